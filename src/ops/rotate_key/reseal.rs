//! Documents under the new key, one after the other, while others go on with their work.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::{Context, Error, Loaded, Unlocked, cache, documents, recover, successor};
use super::{OnStep, Phase, target};
use crate::domain::{DocumentId, Profile, ProfileName};
use crate::seal::KeyRing;
use crate::store::{Access, Expected, Lock, Name, Target};
use crate::system::{Deferral, is_asked_to_end};

/// Makes durable that a rotation is under way. A run that was killed may not have: after a power loss, nobody
/// would know the key of the documents that were sealed anew since.
pub(super) fn settle(ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
    let total = documents::names(ctx)?.len();
    let stopped = |error| Error::KeyPartlyRotated { done: 0, total, source: Some(Box::new(error)) };
    // No lock: nothing is changed, and others may be waiting for a provider.
    ctx.store.sync(&vault.id).map_err(Error::from).map_err(stopped)
}

/// Seals every document that is there to the new key. What comes meanwhile is under it already.
pub(super) fn all(
    ctx: Context<'_>,
    vault: &Unlocked,
    on_step: OnStep<'_>,
    end: End<'_>,
) -> Result<(), Error> {
    let names = documents::names(ctx)?;
    let total = names.len();
    for (done, name) in names.iter().enumerate() {
        on_step(Phase::Sealing, done, total);
        end.check().and_then(|()| in_turn(ctx, vault, name)).map_err(end.stopped(done, total))?;
    }
    Ok(())
}

fn in_turn(ctx: Context<'_>, vault: &Unlocked, name: &Name) -> Result<(), Error> {
    let _lock = vault.lock(ctx, Access::Shared)?;
    one(ctx, vault, name)
}

/// Whether the person wants the run to end: a Ctrl-C ends it between two documents, and within one it
/// waits, but not for locks.
#[derive(Clone, Copy)]
pub(super) struct End<'a>(pub(super) &'a Deferral);

impl End<'_> {
    /// An error if the run is to end.
    fn check(self) -> Result<(), Error> {
        if is_asked_to_end() { Err(Error::RotationUnfinished) } else { Ok(()) }
    }

    /// What an error after so many documents is, for the person.
    pub(super) fn stopped(self, done: usize, total: usize) -> impl FnOnce(Error) -> Error {
        move |error| {
            // Whoever has ended it knows why.
            let source = (!self.0.is_interrupted()).then(|| Box::new(error));
            Error::KeyPartlyRotated { done, total, source }
        }
    }
}

/// Seals the document `name` to the new key, if it is there and not yet under it. The caller holds the
/// vault lock.
pub(super) fn one(ctx: Context<'_>, vault: &Unlocked, name: &Name) -> Result<(), Error> {
    match name {
        Name::Profile(name) => profile(ctx, vault, name),
        Name::Client(name) => match vault.find_client(ctx, name)? {
            Some(client) => document(ctx, vault, &Name::Client(name.clone()), &client),
            None => Ok(()),
        },
        // The manifest is under the new key at the very end.
        Name::Manifest | Name::Token(..) => Ok(()),
    }
}

fn profile(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<(), Error> {
    let Some(found) = vault.find_profile(ctx, name)? else { return Ok(()) };
    let _turn = ctx.lock(&Lock::Grant(found.document.id().clone()), Access::Exclusive)?;
    let stored_as = Name::Profile(name.clone());
    let recovered = recover::recover(ctx, vault, name)?;
    let Some(profile) = vault.find_profile(ctx, name)? else { return Ok(()) };
    if recovered.uncertain {
        remake_intent(ctx, vault, &stored_as, &profile)?;
    }
    document(ctx, vault, &stored_as, &profile)?;
    let tokens = cache::names(ctx, vault, profile.document.id())?;
    tokens.iter().try_for_each(|name| token(ctx, vault, name))
}

/// Writes the next generation of `loaded` under the new key, unless it is under it.
fn document<T: Serialize + DeserializeOwned>(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &Name,
    loaded: &Loaded<T>,
) -> Result<(), Error> {
    if *loaded.document.kid() == target(vault) {
        return Ok(());
    }
    let resealed = loaded
        .document
        .reseal(&vault.keys, &vault.id, vault.keys.current())
        .map_err(documents::refused(name))?
        .sign(&vault.keys);
    documents::save(ctx, name, &resealed, Expected::Revision(&loaded.revision))
}

/// An answer of the provider may be lost: whoever asks next must still learn of it. The intent comes
/// before the document that it is for, so that a run which is killed in between does not forget it.
fn remake_intent(
    ctx: Context<'_>,
    vault: &Unlocked,
    stored_as: &Name,
    profile: &Loaded<Profile>,
) -> Result<(), Error> {
    let id = profile.document.id();
    let grant_id = grant_id(profile).unwrap_or(id);
    let is_resealed = *profile.document.kid() == target(vault);
    let generation = profile.document.generation() + u64::from(!is_resealed);
    let next = successor::Next { generation, grant_id };
    successor::reserve(ctx, vault, Target { name: stored_as, vault: &vault.id }, id, next)?.keep();
    Ok(())
}

fn grant_id(profile: &Loaded<Profile>) -> Option<&DocumentId> {
    profile.facts.grant.as_ref().map(|grant| &grant.id)
}

/// A cached token follows; one that cannot be opened is asked for again.
pub(super) fn token(ctx: Context<'_>, vault: &Unlocked, name: &Name) -> Result<(), Error> {
    match resealed_token(ctx, vault, name)? {
        Token::Fine => Ok(()),
        Token::Resealed(bytes) => Ok(ctx.store.write(name, &bytes, Expected::Anything)?),
        Token::Unusable => Ok(ctx.store.remove(name)?),
    }
}

enum Token {
    Fine,
    Resealed(Vec<u8>),
    Unusable,
}

fn resealed_token(ctx: Context<'_>, vault: &Unlocked, name: &Name) -> Result<Token, Error> {
    let Some(stored) = ctx.store.read(name)? else { return Ok(Token::Fine) };
    let Ok(document) = cache::verified(&vault.id, &vault.keys, &stored.bytes) else {
        return Ok(Token::Unusable);
    };
    if *document.kid() == target(vault) {
        return Ok(Token::Fine);
    }
    let resealed = document.reseal(&vault.keys, &vault.id, vault.keys.current());
    Ok(resealed.map_or(Token::Unusable, |draft| Token::Resealed(draft.sign(&vault.keys).to_bytes())))
}

/// Opens everything that is in the store with `keys` alone.
pub(super) fn check_all(
    ctx: Context<'_>,
    vault: &Unlocked,
    keys: &KeyRing,
    on_step: OnStep<'_>,
    end: End<'_>,
) -> Result<usize, Error> {
    let names = documents::names(ctx)?;
    for (done, name) in names.iter().enumerate() {
        on_step(Phase::Proving, done, names.len());
        end.check()?;
        let Some(stored) = ctx.store.read(name)? else { continue };
        let document = documents::parse(name, &stored.bytes)?;
        let opened = document.verify(&vault.id, keys).and_then(|document| document.open_all(keys));
        opened.map_err(documents::refused(name))?;
    }
    for id in ctx.store.tokens(&vault.id)? {
        let name = Name::Token(vault.id.clone(), id);
        let Some(stored) = ctx.store.read(&name)? else { continue };
        cache::verified(&vault.id, keys, &stored.bytes).map_err(documents::refused(&name))?;
    }
    Ok(names.len())
}
