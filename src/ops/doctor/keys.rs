//! The ways to the vault key: the keychain, each key slot, and what this machine has accepted.

use super::Quiet;
use super::check::{Check, Remedy, Subject, Trouble};
use crate::domain::{KeySlot, SlotKind};
use crate::ops::vault::{Place, accepted, with_remembered};
use crate::ops::{Context, Error, Unlocked, Vault};
use crate::unlock::{self, Attempt, Ways, Why, keychain, passphrase};

/// Whether the keychain keeps what it is given. Only where it is used, or would be for a new vault.
pub(super) fn keychain(ctx: Context<'_>, vault: Option<&Vault>) -> Check {
    let has_entry = |slot: &KeySlot| matches!(slot.kind, SlotKind::Keychain { .. });
    let is_used = vault.is_none_or(|vault| vault.manifest().slots.iter().any(has_entry));
    if !is_used {
        return Check::skipped("keychain", Subject::None, "no key slot uses it");
    }
    match keychain::probe(ctx.ways.keychain) {
        Ok(()) => Check::ok("keychain", Subject::None, "an entry was written, read back and deleted")
            .detail(ctx.ways.keychain.name()),
        Err(error) if vault.is_none() => {
            let check = Check::warning("keychain", Subject::None, "it cannot be used for a new vault");
            check.detail(error.to_string()).remedy(Remedy::UnlockKeychain)
        }
        Err(error) => {
            let check = Check::bad("keychain", Subject::None, Trouble::Locked, "it does not keep an entry");
            check.because(error.into()).remedy(Remedy::UnlockKeychain)
        }
    }
}

/// What this machine has accepted as the key of the vault.
pub(super) fn pin(ctx: Context<'_>, vault: &Vault) -> Vec<Check> {
    let mut checks = vec![match accepted(ctx, vault) {
        Ok(Place::FirstUse) => {
            let found = "this machine has not used the vault yet, and remembers no key of it";
            Check::warning("key", Subject::None, found).remedy(Remedy::FirstUse)
        }
        Ok(_) => Check::ok("key", Subject::None, "the vault is sealed to the key that was accepted here"),
        Err(error) => {
            let found = "the vault is not the one that was accepted here";
            Check::bad("key", Subject::None, Trouble::Integrity, found).because(error)
        }
    }];
    let pinned = ctx.memory.pin(vault.id()).ok().flatten();
    if vault.manifest().rotation.is_some() || pinned.is_some_and(|pin| pin.kids.len() > 1) {
        let found = "a change of the vault key is unfinished: two keys are accepted";
        checks.push(Check::warning("key", Subject::None, found).remedy(Remedy::FinishRotation));
    }
    checks
}

/// Each slot, tried by itself. Nobody is asked.
pub(super) fn slots(ctx: Context<'_>, vault: &Vault) -> Vec<Check> {
    let ways = Ways { agent: None, may_ask: false, ..with_remembered(ctx, vault.id()) };
    // While the key is rotated, the ways to the new one are those that count.
    let manifest = vault.manifest();
    let rotated = manifest.rotation.as_ref().map(|rotation| (&rotation.kid, &rotation.slots));
    let (kid, slots) = rotated.unwrap_or((vault.kid(), &manifest.slots));
    let open = |slot| unlock::open(vault.id(), kid, std::slice::from_ref(slot), &ways);
    let tried: Vec<_> = slots.iter().map(|slot| (slot, open(slot))).collect();
    let is_lost = tried.iter().all(|(_, opened)| opened.is_err());
    tried.into_iter().flat_map(|(slot, opened)| of_slot(slot, opened, is_lost)).collect()
}

fn of_slot(slot: &KeySlot, opened: Result<unlock::Opened, unlock::Error>, is_lost: bool) -> Vec<Check> {
    let subject = Subject::Slot { kind: slot.kind.as_str(), id: slot.id.clone() };
    let mut checks = vec![match opened {
        Ok(opened) => {
            let mut checks: Vec<Check> = opened.warnings.iter().filter_map(open_file).collect();
            checks.insert(0, Check::ok("slot", subject.clone(), "opens here"));
            checks.extend(weakness(slot, subject));
            return checks;
        }
        Err(unlock::Error::NoWay { attempts }) => not_opened(slot, subject.clone(), &attempts, is_lost),
        Err(error) => {
            Check::bad("slot", subject.clone(), Trouble::Locked, "cannot be tried").because(error.into())
        }
    }];
    checks.extend(weakness(slot, subject));
    checks
}

/// A slot that only a person, or another machine, opens is nothing to worry about.
fn not_opened(slot: &KeySlot, subject: Subject, attempts: &[Attempt], is_lost: bool) -> Check {
    let why = attempts.last().map(|attempt| &attempt.why);
    let is_damaged = matches!(why, Some(Why::Message(_) | Why::OtherKey));
    match why {
        Some(Why::NobodyToAsk) => return Check::skipped("slot", subject, "needs its passphrase"),
        Some(Why::NoIdentity | Why::OtherIdentity) => {
            return Check::skipped("slot", subject, "opens with an identity that is not here");
        }
        _ => {}
    }
    let found = match why {
        Some(Why::NoEntry) => "the keychain has no entry for it",
        Some(Why::Keychain(_)) => "the keychain cannot be asked for it",
        Some(Why::Source(_)) => "the passphrase cannot be read from where it is said to be",
        Some(Why::Identity(_)) => "the identity file cannot be used",
        _ => "does not open",
    };
    let check = match is_lost {
        true => Check::bad("slot", subject, Trouble::Locked, found),
        false => Check::warning("slot", subject, found),
    };
    let check = match why {
        Some(why) => check.detail(why.to_string()),
        None => check,
    };
    match why {
        Some(Why::Keychain(_)) => check.remedy(Remedy::UnlockKeychain),
        _ if is_damaged || matches!(why, Some(Why::NoEntry)) => {
            check.remedy(Remedy::ReplaceSlot(slot.id.clone()))
        }
        _ => check.remedy(Remedy::AddSlot),
    }
}

fn open_file(warning: &unlock::Warning) -> Option<Check> {
    let unlock::Warning::OpenFile { path, mode } = warning else { return None };
    let subject = Subject::Path { path: path.clone(), what: "an identity file" };
    let found = format!("other users may read it (mode {mode:03o})");
    Some(Check::warning("modes", subject, found).remedy(Remedy::CloseToOthers(path.clone())))
}

/// A work factor says how much each guess costs who has a copy of the vault.
fn weakness(slot: &KeySlot, subject: Subject) -> Option<Check> {
    let SlotKind::Passphrase { sealed } = &slot.kind else { return None };
    let log_n = passphrase::weakness(sealed)?;
    let found = format!("its work factor is {log_n}, so that guessing is cheap");
    Some(Check::warning("slot", subject, found).remedy(Remedy::ReplaceSlot(slot.id.clone())))
}

/// The vault with its key, if that can be had. A person is asked only where grants are to be proven.
pub(super) fn unlock(ctx: Context<'_>, vault: Vault, is_needed: bool) -> (Option<Unlocked>, Check) {
    if let Some(check) = news(ctx, &vault).filter(|_| !is_needed) {
        return (None, check);
    }
    let ctx = if is_needed { ctx } else { Context { notices: &Quiet, ..ctx } };
    match vault.unlock(ctx) {
        Ok(vault) => (Some(vault), Check::ok("unlock", Subject::None, "the vault key can be had")),
        Err(error) if !is_needed && is_for_a_person(&error) => {
            let check = Check::skipped("unlock", Subject::None, "only a person can, and nobody was asked");
            (None, check.remedy(Remedy::UnlockFirst))
        }
        Err(error) => {
            let check = Check::bad("unlock", Subject::None, Trouble::Locked, "the vault cannot be opened");
            (None, check.because(error))
        }
    }
}

/// What this machine would remember of the vault if it were unlocked. The doctor changes nothing.
fn news(ctx: Context<'_>, vault: &Vault) -> Option<Check> {
    let (why, remedy) = match accepted(ctx, vault).ok()? {
        Place::Known => return None,
        Place::Rotated => ("the old vault key is still to be dropped", Remedy::FinishRotation),
        Place::FirstUse | Place::New | Place::NewKey => {
            ("this machine has not used the vault in this place and with this key yet", Remedy::FirstUse)
        }
    };
    Some(Check::skipped("unlock", Subject::None, why).remedy(remedy))
}

fn is_for_a_person(error: &Error) -> bool {
    let Error::Unlock(unlock::Error::NoWay { attempts }) = error else { return false };
    attempts.iter().any(|attempt| matches!(attempt.why, Why::NobodyToAsk))
}
