//! `vault verify`: every document and every sealed item opened and checked; nothing is changed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Context, Error, Loaded, Notice, Unlocked, documents, rename, reveal};
use crate::domain::{ClientAuth, Field, Profile, SealedField};
use crate::seal::{Document, Format};
use crate::store::{self, Access, Held, Mark, Name};

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
    let _lock = lock_if_writable(ctx, vault, Access::Shared)?;
    verify_locked(ctx, vault, on_step)
}

/// The same for a caller who holds the vault lock.
pub(super) fn verify_locked(
    ctx: Context<'_>,
    vault: &Unlocked,
    on_step: &dyn Fn(usize, usize),
) -> Result<Summary, Error> {
    let older = rename::older_halves(ctx, vault)?;
    tell_what_is_odd(ctx, &older)?;
    let names: Vec<Name> = names(ctx)?.into_iter().filter(|name| !older.contains(name)).collect();
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

/// Keeps a rename from happening meanwhile. A vault that cannot be written to has nobody to wait for.
pub(super) fn lock_if_writable(
    ctx: Context<'_>,
    vault: &Unlocked,
    access: Access,
) -> Result<Option<Box<dyn Held>>, Error> {
    match vault.lock(ctx, access) {
        Ok(held) => Ok(Some(held)),
        Err(Error::Store(store::Error::Io { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Neither half a rename nor a foreign file is damage.
fn tell_what_is_odd(ctx: Context<'_>, older: &[Name]) -> Result<(), Error> {
    for name in older {
        ctx.notices.notice(&Notice::OlderHalf { document: name.to_string() });
    }
    let strangers = ctx.store.strangers()?;
    if !strangers.is_empty() {
        ctx.notices.notice(&Notice::Strangers { files: strangers });
    }
    Ok(())
}

/// Accepts the present generation of every document that verifies, after a backup was restored.
/// Returns how many were older than the last ones seen.
///
/// # Errors
///
/// If a document does not verify, or the state directory cannot be written.
pub fn accept_rollback(ctx: Context<'_>, vault: &Unlocked) -> Result<usize, Error> {
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    // The older half of an interrupted rename is no backup.
    rename::finish(ctx, vault)?;
    let mut accepted = 0;
    for name in names(ctx)? {
        let Some(stored) = ctx.store.read(&name)? else { continue };
        let document = documents::parse(&name, &stored.bytes)?;
        let document = document.verify(&vault.id, &vault.keys).map_err(documents::refused(&name))?;
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

/// All documents of the vault, the manifest first.
pub(super) fn names(ctx: Context<'_>) -> Result<Vec<Name>, Error> {
    Ok(std::iter::once(Name::Manifest).chain(documents::names(ctx)?).collect())
}

/// How many items of the document were opened.
fn check(ctx: Context<'_>, vault: &Unlocked, name: &Name) -> Result<usize, Error> {
    match name {
        Name::Manifest => {
            let found = documents::load::<crate::seal::Manifest>(ctx, vault, name, Format::Manifest)?;
            let manifest = found.ok_or(Error::ManifestMissing)?;
            tell_what_is_unknown(ctx, name, &manifest);
            Ok(0)
        }
        Name::Client(client) => {
            let client = vault.client_named(ctx, client)?;
            tell_what_is_unknown(ctx, name, &client);
            let has_secret = client.facts.client_auth != ClientAuth::None;
            super::refresh::client_secret(vault, &client, name)?;
            Ok(usize::from(has_secret))
        }
        Name::Profile(profile) => {
            let profile = vault.profile(ctx, profile)?;
            tell_what_is_unknown(ctx, name, &profile);
            check_profile(ctx, vault, &profile)
        }
        Name::Token(..) => Ok(0),
    }
}

fn tell_what_is_unknown<T: Serialize + DeserializeOwned>(ctx: Context<'_>, name: &Name, loaded: &Loaded<T>) {
    let fields = loaded.document.unknown_fields::<T>();
    if !fields.is_empty() {
        ctx.notices.notice(&Notice::UnknownFields { document: name.to_string(), fields });
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
