//! `vault rename` and `vault remove`: safe at every moment, and finished by whoever comes next.

use std::collections::HashMap;

use super::{
    Context, Error, Loaded, Unlocked, cache, documents, key_slots, mint, recover, rescue, successor,
};
use crate::domain::{DocumentId, Profile, ProfileName};
use crate::seal::{Document, Manifest};
use crate::store::{self, Access, Expected, Name, Reservation, Target};

/// Gives a profile another name. Grants, tokens and the default profile follow: they name its
/// document.
///
/// # Errors
///
/// [`Error::NoProfile`], or [`Error::ProfileExists`] if the new name is taken.
pub fn rename(ctx: Context<'_>, vault: &Unlocked, from: &ProfileName, to: &ProfileName) -> Result<(), Error> {
    ctx.audit.profile(from);
    ctx.audit.renamed(to);
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    let finished = finish(ctx, vault)?;
    recover::recover(ctx, vault, from)?;
    // A profile whose making was interrupted may be waiting under the new name.
    recover::recover(ctx, vault, to)?;
    let profile = match vault.profile(ctx, from) {
        // This very rename was interrupted, and is through now.
        Err(Error::NoProfile { .. }) if is_through(ctx, &finished, from, to)? => return Ok(()),
        found => found?,
    };
    rescue::check_none_outstanding(ctx, vault, &profile)?;
    if ctx.store.profiles()?.contains(to) {
        return Err(Error::ProfileExists { name: to.to_string() });
    }
    let facts = Profile { name: to.clone(), ..profile.facts.clone() };
    let document = profile.next().facts(&facts).sign(&vault.keys);
    let (old, new) = (Name::Profile(from.clone()), Name::Profile(to.clone()));
    lead_default_to(ctx, vault, document.id(), to)?;
    let intent = announce(ctx, vault, &old, &profile)?;
    // The new one first: a crash leaves both, and the old one is recognised as older.
    if let Err(error) = documents::save(ctx, &new, &document, Expected::Absent) {
        take_back(ctx, &new, &error, intent);
        return Err(error);
    }
    ctx.store.remove(&old)?;
    intent.discard();
    Ok(())
}

/// Lets the default profile be looked for under its new name before that is there: a name that leads to
/// nothing costs a search, while the old one would lead to the older half of this rename.
fn lead_default_to(
    ctx: Context<'_>,
    vault: &Unlocked,
    id: &DocumentId,
    to: &ProfileName,
) -> Result<(), Error> {
    let is_default = |manifest: &Manifest| manifest.default_profile.as_ref() == Some(id);
    if !is_default(&vault.manifest.facts) {
        return Ok(());
    }
    key_slots::update_locked(ctx, vault, |manifest| {
        if is_default(manifest) {
            manifest.default_profile_name = Some(to.clone());
        }
        Ok(())
    })?;
    Ok(())
}

/// Removes a new document that could not be written, because it may be there all the same.
fn take_back(ctx: Context<'_>, new: &Name, error: &Error, intent: Box<dyn Reservation>) {
    // What was there already is somebody else's.
    let is_taken = matches!(error, Error::Store(store::Error::Conflict { .. }));
    if is_taken || ctx.store.remove(new).is_ok() { intent.discard() } else { intent.keep() }
}

/// Leaves word beside the old document, so that whoever finds both after a crash knows why, and does not
/// use the grant of the old one.
fn announce(
    ctx: Context<'_>,
    vault: &Unlocked,
    old: &Name,
    profile: &Loaded<Profile>,
) -> Result<Box<dyn Reservation>, Error> {
    let id = profile.document.id();
    let grant_id = profile.facts.grant.as_ref().map_or(id, |grant| &grant.id);
    let next = successor::Next { generation: profile.document.generation(), grant_id };
    successor::reserve(ctx, vault, Target { name: old, vault: &vault.id }, id, next)
}

/// Whether the old name has just gone, and the new one is there.
fn is_through(
    ctx: Context<'_>,
    finished: &[Name],
    from: &ProfileName,
    to: &ProfileName,
) -> Result<bool, Error> {
    Ok(finished.contains(&Name::Profile(from.clone())) && ctx.store.profiles()?.contains(to))
}

/// Removes a profile with its secrets and its cached token. Its grant stays alive at the provider.
///
/// # Errors
///
/// [`Error::NoProfile`], [`mint::Error::SourceInUse`] if others ask with its tokens, or as the storage says.
pub fn remove(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<(), Error> {
    ctx.audit.profile(name);
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    finish(ctx, vault)?;
    recover::recover(ctx, vault, name)?;
    let stored_as = Name::Profile(name.clone());
    let profile = match vault.profile(ctx, name) {
        // A copy of what was removed before has come back, and is sent after it.
        Err(Error::Removed { .. }) => return Ok(ctx.store.remove(&stored_as)?),
        found => found?,
    };
    let users = mint::users_of(ctx, vault, profile.document.id())?;
    if !users.is_empty() {
        return Err(mint::Error::SourceInUse { profile: name.clone(), users }.into());
    }
    // The document last, because only who finds it can run this again; its tombstone after it, or else
    // it would be taken for a copy that has come back.
    cache::forget(ctx, vault, &profile)?;
    recover::clear(ctx, Target { name: &stored_as, vault: &vault.id })?;
    ctx.store.remove(&stored_as)?;
    documents::bury(ctx, &profile.document);
    Ok(())
}

/// Finishes renames that were interrupted between writing the new document and removing the old
/// one, and says which names are gone. The caller holds the vault lock alone.
///
/// # Errors
///
/// As the storage says.
pub(super) fn finish(ctx: Context<'_>, vault: &Unlocked) -> Result<Vec<Name>, Error> {
    let older = older_halves(ctx, vault)?;
    older.iter().try_for_each(|name| ctx.store.remove(name))?;
    Ok(older)
}

/// What interrupted renames have left under the old names.
pub(super) fn older_halves(ctx: Context<'_>, vault: &Unlocked) -> Result<Vec<Name>, Error> {
    let mut seen: HashMap<DocumentId, Vec<Name>> = HashMap::new();
    for name in documents::names(ctx)? {
        let Some(stored) = ctx.store.read(&name)? else { continue };
        // One that cannot be read is no half of a rename, and is reported by whoever needs it.
        if let Ok(document) = Document::parse(&stored.bytes) {
            seen.entry(document.id().clone()).or_default().push(name);
        }
    }
    let mut older = Vec::new();
    for names in seen.into_values().filter(|names| names.len() > 1) {
        older.extend(all_but_the_newest(ctx, vault, names)?);
    }
    Ok(older)
}

/// Of several documents with one id, those that are not the newest. Only documents of this vault count, and of two
/// that are equally new none is half of a rename.
fn all_but_the_newest(ctx: Context<'_>, vault: &Unlocked, names: Vec<Name>) -> Result<Vec<Name>, Error> {
    let mut found = Vec::new();
    for name in names {
        let Some(stored) = ctx.store.read(&name)? else { continue };
        let verified =
            Document::parse(&stored.bytes).and_then(|document| document.verify(&vault.id, &vault.keys));
        if let Ok(document) = verified {
            found.push((document.generation(), name));
        }
    }
    let newest = found.iter().map(|(generation, _)| *generation).max();
    let is_older = |(generation, name)| (Some(generation) < newest).then_some(name);
    Ok(found.into_iter().filter_map(is_older).collect())
}
