//! `vault import-rescue`: takes in tokens that could only be printed.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Context, Error, Loaded, Unlocked, documents, recover};
use crate::domain::{DocumentId, Grant, Profile, ProfileName, SealedField};
use crate::seal::{Document, Format, Verified};
use crate::store::{Access, Expected, Name, Target};

/// Puts the tokens of a rescue block in their place and returns the profile's name.
///
/// The block is taken in only if this vault made it, and its refresh token is newer than the stored
/// one.
///
/// # Errors
///
/// [`Error::BadRescue`] if it is of no use, [`Error::Document`] if it cannot be trusted.
pub fn import(ctx: Context<'_>, vault: &Unlocked, block: &[u8]) -> Result<ProfileName, Error> {
    let rescued = Rescued::read(vault, block)?;
    let name = rescued.facts.name.clone();
    ctx.audit.profile(&name);
    let stored_as = Name::Profile(name.clone());

    let _lock = vault.lock(ctx, Access::Exclusive)?;
    recover::recover(ctx, vault, &name)?;
    match vault.find_profile(ctx, &name)? {
        // A place that failed may have taken it all the same; then it is where it belongs.
        Some(current) if rescued.is_in(&current) => {}
        Some(current) => rescued.replace(ctx, vault, &current)?,
        None => rescued.restore(ctx)?,
    }
    recover::clear(ctx, Target { name: &stored_as, vault: &vault.id })?;
    ctx.memory.set_rescue(&vault.id, rescued.document.id(), None)?;
    Ok(name)
}

/// Refuses to use a refresh token whose successor was printed and has not been taken in: the
/// provider would take it for a stolen one.
pub(super) fn check_none_outstanding(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
) -> Result<(), Error> {
    let (id, grant) = (profile.document.id(), profile.facts.grant.as_ref());
    if is_outstanding(ctx, vault, id, grant)? {
        return Err(Error::RescueOutstanding { profile: profile.facts.name.clone() });
    }
    // A later login, or a recovery, has brought a newer token.
    Ok(ctx.memory.set_rescue(&vault.id, id, None)?)
}

/// Whether a refresh token that is newer than that of `grant` was printed and has not been taken in.
pub(super) fn is_outstanding(
    ctx: Context<'_>,
    vault: &Unlocked,
    id: &DocumentId,
    grant: Option<&Grant>,
) -> Result<bool, Error> {
    let record = ctx.memory.rescue(&vault.id, id)?;
    Ok(record.is_some_and(|record| grant.is_none_or(|grant| grant.renewed_at() < record.renewed_at)))
}

/// The profiles whose newest tokens were printed and have not been taken in.
pub(super) fn outstanding(ctx: Context<'_>, vault: &Unlocked) -> Result<Vec<String>, Error> {
    let ids = ctx.memory.rescues(&vault.id)?;
    let mut grants = HashMap::new();
    for name in if ids.is_empty() { Vec::new() } else { ctx.store.profiles()? } {
        let profile = vault.profile(ctx, &name)?;
        grants.insert(profile.document.id().clone(), profile.facts.grant);
    }
    let mut profiles = Vec::new();
    for id in ids {
        // Nobody takes in what belongs to a profile that was removed.
        if ctx.memory.mark(&vault.id, &id)?.is_some_and(|mark| mark.removed) {
            continue;
        }
        // One that is of no document yet is the only copy of what it holds.
        if is_outstanding(ctx, vault, &id, grants.get(&id).and_then(Option::as_ref))? {
            profiles.extend(ctx.memory.rescue(&vault.id, &id)?.map(|record| record.profile.to_string()));
        }
    }
    Ok(profiles)
}

/// Gives up all tokens that were only printed.
pub(super) fn forget_all(ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
    for id in ctx.memory.rescues(&vault.id)? {
        ctx.memory.set_rescue(&vault.id, &id, None)?;
    }
    Ok(())
}

/// When the newest refresh token of a profile was issued, stored or printed.
pub(super) fn last_renewal(
    ctx: Context<'_>,
    vault: &Unlocked,
    id: &DocumentId,
    grant: Option<&Grant>,
) -> Result<Option<Timestamp>, Error> {
    let printed = ctx.memory.rescue(&vault.id, id)?.map(|record| record.renewed_at);
    Ok(printed.max(grant.map(Grant::renewed_at)))
}

/// The document of a rescue block.
struct Rescued {
    document: Verified,
    facts: Profile,
    grant: Grant,
}

impl Rescued {
    fn read(vault: &Unlocked, block: &[u8]) -> Result<Self, Error> {
        let refused = |source| Error::Document { document: "the rescue block".to_owned(), source };
        let document = Document::parse(block)
            .and_then(|document| document.verify(&vault.id, &vault.keys))
            .map_err(refused)?;
        if document.format() != Format::Profile {
            return Err(Error::BadRescue("holds no profile"));
        }
        let facts: Profile = document.facts().map_err(refused)?;
        let grant = facts.grant.clone().ok_or(Error::BadRescue("holds no login"))?;
        Ok(Self { document, facts, grant })
    }

    /// Whether the stored document has the same token already.
    fn is_in(&self, current: &Loaded<Profile>) -> bool {
        current.facts.grant.as_ref().is_some_and(|stored| {
            stored.id == self.grant.id && stored.renewed_at() == self.grant.renewed_at()
        })
    }

    /// Follows the stored document, which may have been edited since.
    fn replace(&self, ctx: Context<'_>, vault: &Unlocked, current: &Loaded<Profile>) -> Result<(), Error> {
        if current.document.id() != self.document.id() {
            return Err(Error::BadRescue("belongs to another profile of the same name"));
        }
        let stored = current.facts.grant.as_ref();
        if stored.is_some_and(|stored| stored.renewed_at() >= self.grant.renewed_at()) {
            return Err(Error::BadRescue("is older than what is stored"));
        }
        if current.facts.client != self.facts.client {
            return Err(Error::BadRescue("belongs to another client than the profile now links"));
        }
        let (_, client) = vault.client(ctx, &self.facts.client)?;
        let binding = client.facts.binding();
        let stored_as = Name::Profile(self.facts.name.clone());
        let (token, _) = self
            .document
            .open(&vault.keys, SealedField::RefreshToken, &binding)
            .map_err(documents::refused(&stored_as))?;
        let facts = Profile {
            grant: Some(self.grant.clone()),
            account: self.facts.account.clone(),
            scopes: self.facts.scopes.clone(),
            ..current.facts.clone()
        };
        let mut draft =
            current.next().facts(&facts).seal(&vault.keys, SealedField::RefreshToken, &binding, &token);
        if self.document.holds(SealedField::RefreshTokenPrevious) {
            // The block is of a rotation, whose old token is not retired yet.
            let opened = self.document.open(&vault.keys, SealedField::RefreshTokenPrevious, &binding);
            let (previous, _) = opened.map_err(documents::refused(&stored_as))?;
            draft = draft.seal(&vault.keys, SealedField::RefreshTokenPrevious, &binding, &previous);
        }
        let document = draft.sign(&vault.keys);
        documents::save(ctx, &stored_as, &document, Expected::Revision(&current.revision))
    }

    /// Comes in place of a document that could not be written at all.
    fn restore(&self, ctx: Context<'_>) -> Result<(), Error> {
        let mark = ctx.memory.mark(self.document.vault(), self.document.id())?;
        if !documents::is_current(&self.document, mark.as_ref()) {
            return Err(Error::BadRescue(
                "is older than what was last written here, or its profile was removed",
            ));
        }
        documents::save(ctx, &Name::Profile(self.facts.name.clone()), &self.document, Expected::Absent)
    }
}
