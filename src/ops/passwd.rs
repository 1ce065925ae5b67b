//! `vault key passwd`: another passphrase for a key slot; the vault key stays the same.

use secrecy::SecretString;

use super::{Context, Error, Unlocked, Vault, key_slots};
use crate::domain::{DocumentId, KeySlot, SlotKind};
use crate::seal::VaultKey;
use crate::unlock::passphrase::{self, WorkFactor};
use crate::unlock::{MessageError, Ways};

/// A vault that was opened with the old passphrase, and with nothing else.
pub struct Proven {
    vault: Unlocked,
    slot: DocumentId,
}

/// Opens the vault with the passphrase of `slot`, or of the only passphrase slot.
///
/// # Errors
///
/// If there is no such slot, or more than one; if the passphrase is wrong or cannot be had.
pub fn prove(ctx: Context<'_>, slot: Option<&str>) -> Result<Proven, Error> {
    let vault = Vault::open(ctx)?;
    if vault.manifest().rotation.is_some() {
        return Err(Error::RotationUnfinished);
    }
    let slot = choose(&vault.manifest().slots, slot)?;
    // Whoever happens to sit at an unlocked vault must not be able to lock its owner out.
    let ways = Ways { agent: None, ..ctx.ways.clone() };
    let vault = vault.by_slot_alone(&slot).unlock(Context { ways: &ways, ..ctx })?;
    Ok(Proven { vault, slot })
}

fn choose(slots: &[KeySlot], id: Option<&str>) -> Result<DocumentId, Error> {
    let is_sealed = |slot: &&KeySlot| matches!(slot.kind, SlotKind::Passphrase { .. });
    if let Some(id) = id {
        let slot = &slots[key_slots::find(slots, id)?];
        return match is_sealed(&slot) {
            true => Ok(slot.id.clone()),
            false => Err(Error::NoPassphrase { slot: Some(slot.id.clone()) }),
        };
    }
    let sealed: Vec<DocumentId> = slots.iter().filter(is_sealed).map(|slot| slot.id.clone()).collect();
    match &sealed[..] {
        [] => Err(Error::NoPassphrase { slot: None }),
        [one] => Ok(one.clone()),
        _ => Err(Error::WhichSlot { slots: sealed }),
    }
}

/// Seals the slot with `new`, proves that it opens, and only then saves it.
///
/// # Errors
///
/// If the passphrase is short, the vault key was rotated meanwhile, or as the storage says.
pub fn change(ctx: Context<'_>, proven: &Proven, new: &SecretString) -> Result<(), Error> {
    ctx.audit.slot(&proven.slot);
    let vault = &proven.vault;
    let key = vault.keys.current();
    let kid = key.id(&vault.id);
    let kind = seal(vault, key, new)?;
    key_slots::update(ctx, vault, |manifest| {
        // The lock has brought whatever key there is now.
        if manifest.rotation.is_some() || vault.keys.current().id(&vault.id) != kid {
            return Err(Error::RotationUnfinished);
        }
        let slot = manifest.slots.iter_mut().find(|slot| slot.id == proven.slot);
        let slot = slot.ok_or_else(|| Error::NoSlot { id: proven.slot.to_string() })?;
        (slot.kind, slot.created_at) = (kind, ctx.clock.now());
        Ok(())
    })?;
    Ok(())
}

fn seal(vault: &Unlocked, key: &VaultKey, new: &SecretString) -> Result<SlotKind, Error> {
    let kind = passphrase::seal(key, new, WorkFactor::DEFAULT)?;
    let SlotKind::Passphrase { sealed } = &kind else { return Ok(kind) };
    let opened = passphrase::open(sealed, new).map_err(Error::SlotNotProven)?;
    if opened.id(&vault.id) == key.id(&vault.id) {
        Ok(kind)
    } else {
        Err(Error::SlotNotProven(MessageError::NotAKey))
    }
}

impl Proven {
    /// The slot whose passphrase it was.
    pub fn slot(&self) -> &DocumentId {
        &self.slot
    }
}
