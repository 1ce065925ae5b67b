//! `vault verify`: every document and every sealed item opened and checked; nothing is changed.

use super::{Context, Error, Loaded, Unlocked, documents, rename, reveal};
use crate::domain::{ClientAuth, Field, Profile, SealedField};
use crate::seal::{Document, Format};
use crate::store::{Access, Lock, Mark, Name};

/// What was checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// How many documents.
    pub documents: usize,
    /// How many sealed items in them.
    pub items: usize,
}

/// Checks the whole vault. `on_step` is told how many documents are done, and how many there are.
///
/// # Errors
///
/// [`Error::NotAllVerified`] names each document that failed.
pub fn verify(ctx: Context<'_>, vault: &Unlocked, on_step: &dyn Fn(usize, usize)) -> Result<Summary, Error> {
    let names = names(ctx)?;
    let total = names.len();
    let mut summary = Summary { documents: total, items: 0 };
    let mut failed = Vec::new();
    for (done, name) in names.into_iter().enumerate() {
        on_step(done, total);
        match check(ctx, vault, &name) {
            Ok(items) => summary.items += items,
            Err(error) => failed.push((name.to_string(), Box::new(error))),
        }
    }
    if failed.is_empty() { Ok(summary) } else { Err(Error::NotAllVerified { failed, total }) }
}

/// Accepts the present generation of every document that verifies, after a backup was restored.
/// Returns how many were older than the last ones seen.
///
/// # Errors
///
/// If a document does not verify, or the state directory cannot be written.
pub fn accept_rollback(ctx: Context<'_>, vault: &Unlocked) -> Result<usize, Error> {
    let _lock = ctx.lock(&Lock::Vault, Access::Exclusive)?;
    // The older half of an interrupted rename is no backup.
    rename::finish(ctx, vault)?;
    let mut accepted = 0;
    for name in names(ctx)? {
        let Some(stored) = ctx.store.read(&name)? else { continue };
        let document = documents::parse(&name, &stored.bytes)?;
        let document = document.verify(&vault.id, &vault.key).map_err(documents::refused(&name))?;
        accepted += usize::from(lower_mark(ctx, vault, &document)?);
    }
    Ok(accepted)
}

fn lower_mark(ctx: Context<'_>, vault: &Unlocked, document: &Document) -> Result<bool, Error> {
    let mark = ctx.memory.mark(&vault.id, document.id())?;
    if documents::is_current(document, mark.as_ref()) {
        return Ok(false);
    }
    let mark = Mark { generation: document.generation(), removed: false };
    ctx.memory.set_mark(&vault.id, document.id(), &mark)?;
    Ok(true)
}

fn names(ctx: Context<'_>) -> Result<Vec<Name>, Error> {
    let clients = ctx.store.clients()?.into_iter().map(Name::Client);
    let profiles = ctx.store.profiles()?.into_iter().map(Name::Profile);
    Ok(std::iter::once(Name::Manifest).chain(clients).chain(profiles).collect())
}

/// How many items of the document were opened.
fn check(ctx: Context<'_>, vault: &Unlocked, name: &Name) -> Result<usize, Error> {
    match name {
        Name::Manifest => {
            let found =
                documents::load::<crate::seal::Manifest>(ctx, &vault.id, &vault.key, name, Format::Manifest)?;
            found.map(|_| 0).ok_or(Error::ManifestMissing)
        }
        Name::Client(name) => {
            let client = vault.client_named(ctx, name)?;
            let has_secret = client.facts.client_auth != ClientAuth::None;
            super::refresh::client_secret(vault, &client, &Name::Client(name.clone()))?;
            Ok(usize::from(has_secret))
        }
        Name::Profile(name) => check_profile(ctx, vault, &vault.profile(ctx, name)?),
        Name::Token(..) => Ok(0),
    }
}

fn check_profile(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Result<usize, Error> {
    let sealed = [(SealedField::RefreshToken, Field::RefreshToken), (SealedField::ApiKey, Field::ApiKey)];
    let mut items = 0;
    for (_, field) in sealed.into_iter().filter(|(sealed, _)| profile.document.holds(*sealed)) {
        reveal::of_profile(ctx, vault, profile, field)?;
        items += 1;
    }
    // A profile whose client is gone is of no use, even if it holds nothing.
    vault.client(ctx, &profile.facts.client)?;
    Ok(items)
}
