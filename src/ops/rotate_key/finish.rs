//! The end of a rotation: what is left, the proof, the switch, and the old key dropped.

use super::super::{Context, Error, Loaded, Unlocked, documents, recover, rescue, vault};
use super::reseal::{self, End};
use super::{OnStep, Request, Rotated, begin, target};
use crate::domain::{KeyId, KeySlot, SlotKind};
use crate::seal::{Format, KeyRing, Manifest, VaultKey};
use crate::store::{Access, Expected, Name, Pin};
use crate::unlock::keychain;

/// Puts the manifest under the new key, once all else is, and drops the old one.
pub(super) fn finish(
    ctx: Context<'_>,
    vault: &Unlocked,
    request: &Request<'_>,
    on_step: OnStep<'_>,
    end: End<'_>,
) -> Result<Rotated, Error> {
    let total = documents::names(ctx)?.len();
    let stopped = || end.stopped(total, total);
    let _lock = vault.lock(ctx, Access::Exclusive).map_err(stopped())?;
    sweep(ctx, vault).map_err(stopped())?;
    // A refresh may have had nowhere to save its token meanwhile, under the old key.
    begin::check_nothing_outside(ctx, vault, request.forget_rescue).map_err(stopped())?;
    // What a killed run has put in its place may not be durable yet, and is about to be the only copy.
    ctx.store.settle(&vault.id).map_err(Error::from).map_err(stopped())?;
    let new = VaultKey::from_identity_file(&vault.keys.current().to_identity_file())
        .expect("a key reads back from its own text");
    let documents = reseal::check_all(ctx, vault, &KeyRing::of(new), on_step, end).map_err(stopped())?;
    let manifest = switch(ctx, vault, request).map_err(stopped())?;
    Ok(Rotated { documents, ..drop_old(ctx, vault, &manifest)? })
}

/// What came or was renamed meanwhile, what interrupted writers have left, and tokens of nobody. The caller
/// holds the vault lock alone.
fn sweep(ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
    recover::everything(ctx, vault)?;
    for name in documents::names(ctx)? {
        reseal::one(ctx, vault, &name)?;
    }
    // Tokens of profiles that are gone, too.
    let tokens = ctx.store.tokens(&vault.id)?.into_iter();
    tokens.map(|id| Name::Token(vault.id.clone(), id)).try_for_each(|name| reseal::token(ctx, vault, &name))
}

/// From here on the old key opens nothing.
fn switch(ctx: Context<'_>, vault: &Unlocked, request: &Request<'_>) -> Result<Loaded<Manifest>, Error> {
    let manifest: Loaded<Manifest> = documents::load(ctx, vault, &Name::Manifest, Format::Manifest)?
        .ok_or_else(|| Error::NoVault { location: ctx.store.location() })?;
    let Some(rotation) = manifest.facts.rotation.clone() else { return Ok(manifest) };
    if request.forget_rescue {
        rescue::forget_all(ctx, vault)?;
    }
    let started_at = rotation.started_at;
    let facts = Manifest {
        slots: rotation.slots,
        rotation: None,
        // The run that began this one may not have known.
        compromised_at: manifest.facts.compromised_at.max(request.is_compromised.then_some(started_at)),
        ..manifest.facts.clone()
    };
    let document = manifest
        .document
        .reseal(&vault.keys, &vault.id, vault.keys.current())
        .map_err(documents::refused(&Name::Manifest))?
        .facts(&facts)
        .sign(&vault.keys);
    documents::save(ctx, &Name::Manifest, &document, Expected::Revision(&manifest.revision))?;
    let revision = crate::store::Revision::of(&document.to_bytes());
    Ok(Loaded { document, facts, revision })
}

/// Finishes a rotation that was interrupted after the switch: its old key is still in the keychain.
pub(super) fn drop_left_over(ctx: Context<'_>, vault: &Unlocked) -> Result<Option<Rotated>, Error> {
    let pin = ctx.memory.pin(&vault.id)?;
    let is_left = |kids: &[KeyId]| kids.len() > 1 && kids.last() == Some(&target(vault));
    if vault.manifest.facts.rotation.is_some() || !pin.is_some_and(|pin| is_left(&pin.kids)) {
        return Ok(None);
    }
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    let documents = documents::names(ctx)?.len();
    let rotated = drop_old(ctx, vault, &vault.manifest)?;
    Ok(Some(Rotated { documents, is_resumed: true, ..rotated }))
}

/// Drops the keys before the current one: from the keychain, the agent, and the pin, which comes last
/// because it says what there is to drop.
fn drop_old(ctx: Context<'_>, vault: &Unlocked, manifest: &Loaded<Manifest>) -> Result<Rotated, Error> {
    let kid = target(vault);
    let pin = ctx.memory.pin(&vault.id)?;
    let pinned = pin.map(|pin| [pin.dropped, pin.kids].concat()).unwrap_or_default();
    let old: Vec<KeyId> = pinned.into_iter().filter(|pinned| *pinned != kid).collect();
    let (mut left, mut dropped) = (Vec::new(), Vec::new());
    for old in &old {
        if let Err(error) = forget(ctx, vault, old, &manifest.facts.slots) {
            left.push(format!("the old key {old} may still be in the keychain: {error}"));
            dropped.push(old.clone());
        }
    }
    let pin = Pin { kids: vec![kid.clone()], since: ctx.clock.now(), dropped };
    vault::warn_unless_saved(ctx, ctx.memory.set_pin(&vault.id, &pin));
    let old = old.last().unwrap_or(&kid).clone();
    Ok(Rotated { kid, old, documents: 0, slots: manifest.facts.slots.clone(), is_resumed: false, left })
}

/// Takes `old` out of the keychain and the agent.
fn forget(ctx: Context<'_>, vault: &Unlocked, old: &KeyId, slots: &[KeySlot]) -> Result<(), keychain::Error> {
    if let Some(agent) = ctx.ways.agent
        && let Err(error) = agent.forget_key(&vault.id, old)
    {
        log::warn!("the agent may still hold the old key: {error}");
    }
    // A slot that was not carried over may have had an entry too.
    let in_keychain = slots.iter().any(|slot| matches!(slot.kind, SlotKind::Keychain { .. }));
    match ctx.ways.keychain.delete(&keychain::entry(&vault.id, old)) {
        Err(keychain::Error::Absent(_)) if !in_keychain => Ok(()),
        deleted => deleted.map(|_| ()),
    }
}
