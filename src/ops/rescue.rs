//! `vault import-rescue`: takes in tokens that could only be printed.

use super::{Context, Error, Loaded, Unlocked, documents, recover};
use crate::domain::{Profile, ProfileName};
use crate::seal::{Document, Format};
use crate::store::{Access, Expected, Lock, Name, Target};

/// Puts the document of a rescue block in its place and returns the profile's name.
///
/// The block is taken in only if this vault made it, and it comes after what is stored.
///
/// # Errors
///
/// [`Error::BadRescue`] if it is of no use, [`Error::Document`] if it cannot be trusted.
pub fn import(ctx: Context<'_>, vault: &Unlocked, block: &[u8]) -> Result<ProfileName, Error> {
    let refused = |source| Error::Document { document: "the rescue block".to_owned(), source };
    let document = Document::parse(block)
        .and_then(|document| document.verify(&vault.id, &vault.key))
        .map_err(refused)?;
    if document.format() != Format::Profile {
        return Err(Error::BadRescue("holds no profile"));
    }
    let profile: Profile = document.facts().map_err(refused)?;
    let stored_as = Name::Profile(profile.name.clone());

    let _lock = ctx.lock(&Lock::Vault, Access::Exclusive)?;
    recover::recover(ctx, vault, &profile.name)?;
    let current = vault.find_profile(ctx, &profile.name)?;
    if current.as_ref().is_some_and(|current| is_same(&current.document, &document)) {
        // A place that failed may have taken it all the same; then it is where it belongs.
        ctx.memory.set_rescue(&vault.id, document.id(), None)?;
        return Ok(profile.name);
    }
    let expected = expected(current.as_ref(), &document)?;
    if !documents::is_current(&document, ctx.memory.mark(&vault.id, document.id())?.as_ref()) {
        return Err(Error::BadRescue("is older than what was last written here, or its profile was removed"));
    }
    documents::save(ctx, &stored_as, &document, expected)?;
    recover::clear(ctx, Target { name: &stored_as, vault: &vault.id })?;
    ctx.memory.set_rescue(&vault.id, document.id(), None)?;
    Ok(profile.name)
}

/// What the block takes the place of, if it comes after that.
fn expected<'a>(current: Option<&'a Loaded<Profile>>, block: &Document) -> Result<Expected<'a>, Error> {
    match current {
        None => Ok(Expected::Absent),
        Some(current) if current.document.id() != block.id() => {
            Err(Error::BadRescue("belongs to another profile of the same name"))
        }
        Some(current) if current.document.generation() >= block.generation() => {
            Err(Error::BadRescue("is older than what is stored"))
        }
        Some(current) => Ok(Expected::Revision(&current.revision)),
    }
}

fn is_same(one: &Document, other: &Document) -> bool {
    one.to_bytes() == other.to_bytes()
}

/// Refuses to go on from a profile whose successor could only be printed: its refresh token is spent,
/// and a provider that sees it again may revoke the whole grant. Another change would take the
/// generation of the printed one, which could not be taken in then.
pub(super) fn check_none_outstanding(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
) -> Result<(), Error> {
    match ctx.memory.rescue(&vault.id, profile.document.id())? {
        Some(rescue) if rescue.generation > profile.document.generation() => {
            Err(Error::RescueOutstanding { profile: profile.facts.name.clone(), at: rescue.at })
        }
        _ => Ok(()),
    }
}
