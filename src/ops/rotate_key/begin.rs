//! The new key and its slots: made, proven, and only then announced.

use super::super::{Context, Error, Loaded, Unlocked, documents, key_slots, rename, rescue, vault};
use super::Request;
use crate::domain::{KeyId, KeySlot, VaultId};
use crate::seal::{Format, Manifest, Rotation, VaultKey};
use crate::store::{Access, Expected, Name};
use crate::unlock::rewrap::{Attentive, rewrap};
use crate::unlock::{self, Door, Ways, Why, keychain};

/// Makes the new key and lets the manifest say so.
pub(super) fn begin(
    ctx: Context<'_>,
    vault: &Unlocked,
    request: &Request<'_>,
    person: &Attentive<'_>,
) -> Result<(), Error> {
    check_nothing_outside(ctx, vault, request.forget_rescue)?;
    let kept = kept_slots(&vault.manifest.facts.slots, request.drop_slots)?;
    let (old, new) = (vault.keys.current(), VaultKey::generate());
    let (old_kid, kid) = (old.id(&vault.id), new.id(&vault.id));
    let ways = vault::with_remembered(ctx, &vault.id);

    forget_unused(ctx, vault)?;
    // Before the keychain has the new key, so that whoever comes after a crash knows of it.
    vault::remember(ctx, &vault.id, vec![old_kid.clone(), kid.clone()])?;
    let made = carry_over(&vault.id, &kept, &new, person, &ways)
        .and_then(|slots| prove(&vault.id, &kid, &slots, person, &ways).map(|()| slots));
    if made.is_err() {
        forget_unused(ctx, vault)?;
        vault::remember(ctx, &vault.id, vec![old_kid])?;
    }

    let rotation = Rotation { old_key: new.seal_key(old), kid, slots: made?, started_at: ctx.clock.now() };
    if request.forget_rescue {
        rescue::forget_all(ctx, vault)?;
    }
    announce(ctx, vault, rotation, new, request)
}

/// What is sealed to the old key and lies where it cannot be sealed anew.
pub(super) fn check_nothing_outside(
    ctx: Context<'_>,
    vault: &Unlocked,
    forget_rescue: bool,
) -> Result<(), Error> {
    let files = ctx.store.kept_aside(&vault.id)?;
    if !files.is_empty() {
        return Err(Error::KeptAside { files });
    }
    let profiles = if forget_rescue { Vec::new() } else { rescue::outstanding(ctx, vault)? };
    if profiles.is_empty() { Ok(()) } else { Err(Error::RescuesOutstanding { profiles }) }
}

fn kept_slots(slots: &[KeySlot], dropped: &[String]) -> Result<Vec<KeySlot>, Error> {
    let mut kept = slots.to_vec();
    for id in dropped {
        let place = key_slots::find(&kept, id)?;
        kept.remove(place);
    }
    if kept.is_empty() { Err(Error::LastSlot) } else { Ok(kept) }
}

/// Clears away the key of a run that ended before the manifest knew of it.
fn forget_unused(ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
    let Some(pin) = ctx.memory.pin(&vault.id)? else { return Ok(()) };
    for kid in pin.kids.iter().filter(|kid| vault.keys.find(&vault.id, kid).is_none()) {
        if let Err(error) = ctx.ways.keychain.delete(&keychain::entry(&vault.id, kid)) {
            log::debug!("the unused key {kid} may still be in the keychain: {error}");
        }
    }
    Ok(())
}

/// The slots of the new key. All that cannot be carried over are named at once, and nothing but entries
/// of the keychain was written then.
fn carry_over(
    vault: &VaultId,
    slots: &[KeySlot],
    new: &VaultKey,
    person: &Attentive<'_>,
    ways: &Ways<'_>,
) -> Result<Vec<KeySlot>, Error> {
    let (mut carried, mut failed) = (Vec::new(), Vec::new());
    for slot in slots {
        match rewrap(slot, vault, new, &person.answers(), ways) {
            Ok(kind) => carried.push(KeySlot { kind, ..slot.clone() }),
            Err(Why::Prompt(error)) if matches!(*error, unlock::PromptError::Cancelled) => {
                return Err(unlock::Error::Cancelled.into());
            }
            Err(why) => failed.push(unlock::Attempt { slot: Door::of(slot), why }),
        }
    }
    if failed.is_empty() { Ok(carried) } else { Err(Error::SlotsNotCarried { slots: failed }) }
}

/// Gets the new key back the way that every command will.
fn prove(
    vault: &VaultId,
    kid: &KeyId,
    slots: &[KeySlot],
    person: &Attentive<'_>,
    ways: &Ways<'_>,
) -> Result<(), Error> {
    let repeating = person.repeating();
    let ways = Ways { agent: None, prompt: &repeating, ..ways.clone() };
    unlock::open(vault, kid, slots, &ways)?;
    Ok(())
}

/// From here on the rotation is under way, for everybody.
fn announce(
    ctx: Context<'_>,
    vault: &Unlocked,
    rotation: Rotation,
    new: VaultKey,
    request: &Request<'_>,
) -> Result<(), Error> {
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    rename::finish(ctx, vault)?;
    let manifest: Loaded<Manifest> = documents::load(ctx, vault, &Name::Manifest, Format::Manifest)?
        .ok_or_else(|| Error::NoVault { location: ctx.store.location() })?;
    if manifest.facts.slots != vault.manifest.facts.slots {
        return Err(crate::store::Error::Conflict { name: Name::Manifest.to_string() }.into());
    }
    let facts = Manifest {
        compromised_at: request
            .is_compromised
            .then_some(rotation.started_at)
            .or(manifest.facts.compromised_at),
        rotation: Some(rotation),
        ..manifest.facts.clone()
    };
    hold_too(ctx, vault, &new);
    let document = manifest.next().facts(&facts).sign_for_both(&vault.keys, &new);
    documents::save(ctx, &Name::Manifest, &document, Expected::Revision(&manifest.revision))?;
    vault.keys.add(new);
    Ok(())
}

/// Whoever relies on the agent goes on doing so.
fn hold_too(ctx: Context<'_>, vault: &Unlocked, new: &VaultKey) {
    let Some(agent) = ctx.ways.agent else { return };
    let old = vault.keys.current().id(&vault.id);
    let held =
        agent.status().ok().into_iter().flatten().find(|held| held.vault == vault.id && held.kid == old);
    let left = held.map(|held| held.until.duration_since(ctx.clock.now()));
    let Some(Ok(left)) = left.map(std::time::Duration::try_from) else { return };
    if let Err(error) = agent.hold(&vault.id, new, left) {
        log::warn!("the agent does not hold the new key: {error}");
    }
}
