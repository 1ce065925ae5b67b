//! `vault key list|add|remove|accept`: the ways to get the vault key.

use std::path::PathBuf;

use secrecy::SecretString;

use super::init::{FirstSlot, make_slot};
use super::{Context, Error, Unlocked, Vault, documents, vault};
use crate::domain::{DocumentId, KeyId, KeySlot, SlotKind};
use crate::seal::Manifest;
use crate::store::{Access, Expected, Name};
use crate::system::random_id;
use crate::unlock::recipient::{self, Recipient};

/// A new way to get the vault key.
pub enum NewSlot {
    /// An entry of the operating system's keychain.
    Keychain,
    /// A passphrase.
    Passphrase(SecretString),
    /// An age identity file of this machine.
    Identity(PathBuf),
    /// Somebody who has the identity of this recipient.
    Recipient(Recipient),
}

/// The slots of the vault; opens nothing.
///
/// # Errors
///
/// If there is no vault, or its manifest cannot be read.
pub fn list(ctx: Context<'_>) -> Result<Vec<KeySlot>, Error> {
    Ok(Vault::open(ctx)?.manifest().slots.clone())
}

/// Adds a slot and returns it.
///
/// The keychains of several machines hold the vault key under the same name, so that one slot serves
/// them all: where there is one, only the entry is made.
///
/// # Errors
///
/// If the slot cannot be made or saved.
pub fn add(ctx: Context<'_>, vault: &Unlocked, slot: NewSlot) -> Result<KeySlot, Error> {
    if vault.manifest.facts.rotation.is_some() {
        return Err(Error::RotationUnfinished);
    }
    let kind = match slot {
        NewSlot::Recipient(recipient) => {
            recipient::seal(vault.keys.current(), &recipient, ctx.ways.person())?
        }
        NewSlot::Keychain => make_slot(ctx, &vault.id, vault.keys.current(), &FirstSlot::Keychain)?,
        NewSlot::Passphrase(passphrase) => {
            make_slot(ctx, &vault.id, vault.keys.current(), &FirstSlot::Passphrase(passphrase))?
        }
        NewSlot::Identity(path) => {
            make_slot(ctx, &vault.id, vault.keys.current(), &FirstSlot::Identity(path))?
        }
    };
    if let Some(same) = vault.manifest.facts.slots.iter().find(|slot| is_same_entry(&slot.kind, &kind)) {
        ctx.audit.slot(&same.id);
        return Ok(same.clone());
    }
    let slot = KeySlot { id: random_id(), created_at: ctx.clock.now(), kind };
    ctx.audit.slot(&slot.id);
    update(ctx, vault, |manifest| {
        manifest.slots.push(slot.clone());
        Ok(())
    })?;
    Ok(slot)
}

/// Whether both name the same entry of a keychain.
pub(super) fn is_same_entry(a: &SlotKind, b: &SlotKind) -> bool {
    matches!((a, b), (SlotKind::Keychain { entry: a }, SlotKind::Keychain { entry: b }) if a == b)
}

/// Removes the slot `id`, and its keychain entry if it has one.
///
/// # Errors
///
/// [`Error::LastSlot`] if no other is left, [`Error::NoSlot`] if there is none.
pub fn remove(ctx: Context<'_>, vault: &Unlocked, id: &str) -> Result<KeySlot, Error> {
    let mut removed = None;
    update(ctx, vault, |manifest| {
        let place = find(&manifest.slots, id)?;
        if manifest.slots.len() == 1 {
            return Err(Error::LastSlot);
        }
        ctx.audit.slot(&manifest.slots[place].id);
        removed = Some(manifest.slots.remove(place));
        Ok(())
    })?;
    let slot = removed.expect("the update has removed one");
    // After the manifest, so that a crash leaves an entry too many and never one too few.
    if let SlotKind::Keychain { entry } = &slot.kind {
        ctx.ways.keychain.delete(entry)?;
    }
    Ok(slot)
}

/// The place of the slot whose id is, or alone begins with, `id`.
pub(super) fn find(slots: &[KeySlot], id: &str) -> Result<usize, Error> {
    let matches: Vec<usize> = (0..slots.len())
        .filter(|&place| !id.is_empty() && slots[place].id.to_string().starts_with(id))
        .collect();
    match matches[..] {
        [place] => Ok(place),
        _ => Err(Error::NoSlot { id: id.to_owned() }),
    }
}

/// Accepts `kid` as the key of this vault on this machine, after a change made on another one.
///
/// # Errors
///
/// [`Error::KeyNotAccepted`] if the vault is sealed to yet another key.
pub fn accept(ctx: Context<'_>, kid: &KeyId) -> Result<(), Error> {
    let vault = Vault::open(ctx)?;
    ctx.audit.concerns(vault.id());
    if !vault.kids().any(|known| known == kid) {
        return Err(Error::KeyNotAccepted { kid: vault.kid().clone(), by_environment: false });
    }
    Ok(vault::remember(ctx, vault.id(), vec![kid.clone()])?)
}

/// Changes the manifest under the vault lock.
pub(super) fn update(
    ctx: Context<'_>,
    vault: &Unlocked,
    change: impl FnOnce(&mut Manifest) -> Result<(), Error>,
) -> Result<DocumentId, Error> {
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    update_locked(ctx, vault, change)
}

/// The same for a caller who holds the vault lock alone.
pub(super) fn update_locked(
    ctx: Context<'_>,
    vault: &Unlocked,
    change: impl FnOnce(&mut Manifest) -> Result<(), Error>,
) -> Result<DocumentId, Error> {
    let manifest = documents::load::<Manifest>(ctx, vault, &Name::Manifest, crate::seal::Format::Manifest)?
        .ok_or_else(|| Error::NoVault { location: ctx.store.location() })?;
    let mut facts = manifest.facts.clone();
    change(&mut facts)?;
    if facts.rotation.is_some() && facts.slots != manifest.facts.slots {
        return Err(Error::RotationUnfinished);
    }
    let draft = manifest.next().facts(&facts);
    let document = match &facts.rotation {
        None => draft.sign(&vault.keys),
        Some(_) => draft.sign_for_both(&vault.keys, vault.keys.current()),
    };
    documents::save(ctx, &Name::Manifest, &document, Expected::Revision(&manifest.revision))?;
    Ok(document.id().clone())
}
