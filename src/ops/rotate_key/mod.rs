//! `vault rotate key`: a new vault key, to which everything is sealed anew.
//!
//! There is no list of what is done: each document says under which key it is, and the manifest whether a
//! rotation is under way. So a run that was interrupted at any point is carried on by the next one.
//!
//! 1. begin: all is verified, the new key and its slots are made and proven, and then the manifest says
//!    so, under both keys.
//! 2. reseal: each document in turn, under its lock, while others refresh. They write a document under the
//!    key that it has, and new ones under the new key, so that there are ever fewer of the old one.
//! 3. finish: alone, what is left is sealed anew, everything is opened with the new key only, and the
//!    manifest is put under the new key. The old key is dropped at once.

mod begin;
mod finish;
mod reseal;

use super::{Context, Error, Unlocked, Vault, key_slots, verify};
use crate::domain::{KeyId, KeySlot};
use crate::store::{Access, Lock};
use crate::system::Deferral;
use crate::unlock::Ways;
use crate::unlock::rewrap::Attentive;

/// How the rotation is to go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Slots, or the beginnings of their ids, that are not carried over.
    pub drop_slots: &'a [String],
    /// Whether tokens that were only printed are given up.
    pub forget_rescue: bool,
    /// Whether others may have had the old key.
    pub is_compromised: bool,
}

/// What has been done.
#[derive(Debug)]
pub struct Rotated {
    /// The key that everything is sealed to now.
    pub kid: KeyId,
    /// The key that was dropped.
    pub old: KeyId,
    /// How many documents there are.
    pub documents: usize,
    /// The slots of the new key.
    pub slots: Vec<KeySlot>,
    /// Whether an earlier run had begun it.
    pub is_resumed: bool,
    /// What could not be cleared away of the old key, and why.
    pub left: Vec<String>,
}

/// What is being done to the documents, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// They are verified and opened, before anything is written.
    Verifying,
    /// They are sealed to the new key.
    Sealing,
    /// They are opened with the new key alone.
    Proving,
}

/// Is told that so many of so many documents are done.
pub type OnStep<'a> = &'a dyn Fn(Phase, usize, usize);

/// Gives the vault a new key, or finishes what an earlier run has begun.
///
/// # Errors
///
/// Before anything is written: as the checks of all documents say, [`Error::SlotsNotCarried`],
/// [`Error::RescuesOutstanding`], [`Error::KeptAside`]. Afterwards [`Error::KeyPartlyRotated`]: the next run
/// goes on.
pub fn rotate(ctx: Context<'_>, request: &Request<'_>, on_step: OnStep<'_>) -> Result<Rotated, Error> {
    let person = Attentive::new(ctx.ways.prompt);
    let ways = Ways { prompt: &person, ..ctx.ways.clone() };
    let ctx = Context { ways: &ways, ..ctx };
    ctx.audit.is_called("rotate key");
    // Where there is no vault, nothing is to be made for its lock.
    Vault::open(ctx)?;
    let _turn = ctx.lock(&Lock::Rotation, Access::Exclusive)?;
    let vault = Vault::open(ctx)?.unlock(ctx)?;

    let left_over = finish::drop_left_over(ctx, &vault)?;
    // Whoever fears for the key wants a new one in any case.
    if let Some(rotated) = left_over.filter(|_| !request.is_compromised) {
        return Ok(rotated);
    }
    let is_resumed = vault.manifest.facts.rotation.is_some();
    if is_resumed {
        check_dropped(&vault, request.drop_slots)?;
        reseal::settle(ctx, &vault)?;
    } else {
        verify::verify(ctx, &vault, &|done, total| on_step(Phase::Verifying, done, total))?;
        begin::begin(ctx, &vault, request, &person)?;
    }
    let deferral = Deferral::between_steps();
    let end = reseal::End(&deferral);
    reseal::all(ctx, &vault, on_step, end)?;
    Ok(Rotated { is_resumed, ..finish::finish(ctx, &vault, request, on_step, end)? })
}

/// The slots of a rotation under way are made. Who calls it again as before has left out the same ones.
fn check_dropped(vault: &Unlocked, dropped: &[String]) -> Result<(), Error> {
    let manifest = &vault.manifest.facts;
    for id in dropped {
        let slot = &manifest.slots[key_slots::find(&manifest.slots, id)?];
        let coming = manifest.rotation.iter().flat_map(|rotation| &rotation.slots);
        if coming.into_iter().any(|coming| coming.id == slot.id) {
            return Err(Error::RotationUnfinished);
        }
    }
    Ok(())
}

/// The key that the vault is being rotated to.
fn target(vault: &Unlocked) -> KeyId {
    vault.keys.current().id(&vault.id)
}
