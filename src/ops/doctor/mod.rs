//! `vault doctor`: what is wrong with the vault, its logins and the machine around it. Mends nothing.
//!
//! Nobody is asked for anything, unless grants are to be proven. What only the vault key can tell is left
//! out where the key cannot be had so.

mod check;
mod grants;
mod keys;
mod network;
mod places;
mod plaintext;
mod program;
mod rotations;

use std::path::PathBuf;

pub use check::{Check, Outcome, Remedy, Subject, Trouble};

use super::{Context, Error, Notice, Notices, Unlocked, Vault, registry};
use crate::domain::ProfileName;

/// What surrounds the program.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The user's home.
    pub home: PathBuf,
    /// Where the program was called.
    pub current_dir: Option<PathBuf>,
    /// The directories in which programs are looked for, in order.
    pub search_path: Vec<PathBuf>,
    /// The program itself.
    pub executable: Option<PathBuf>,
    /// Which of [`VARIABLES`] are set.
    pub variables: Vec<String>,
    /// Where the socket of `vault unlock` is.
    pub runtime_dir: PathBuf,
}

pub use program::VARIABLES;

/// What is to be examined.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Only the grant of this profile.
    pub profile: Option<ProfileName>,
    /// Whether each grant is proven by a refresh.
    pub refresh: bool,
    /// Whether no provider is spoken to.
    pub offline: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Examined {
    /// The checks, in the order in which they are told.
    pub checks: Vec<Check>,
    /// How many there are of what.
    pub counts: Counts,
}

/// How many there are of what.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Profiles in the vault.
    pub profiles: usize,
    /// Clients in the vault.
    pub clients: usize,
    /// The kinds of its key slots.
    pub slots: Vec<&'static str>,
}

/// Is told how many of how many grants have been proven.
pub type OnStep<'a> = &'a dyn Fn(usize, usize);

/// Examines everything.
///
/// # Errors
///
/// [`Error::NoProfile`] if the one that was named is not there. What else is wrong is what was found.
pub fn examine(
    ctx: Context<'_>,
    around: &Surroundings,
    request: &Request,
    on_step: OnStep<'_>,
) -> Result<Examined, Error> {
    let mut checks = program::checks(around);
    let (vault, found) = vault(ctx);
    checks.push(found);
    checks.extend(places::checks(&ctx.store.examine()));
    checks.extend(places::runtime_dir(&around.runtime_dir));
    checks.push(keys::keychain(ctx, vault.as_ref()));
    let counts = counts(ctx, vault.as_ref());
    if let Some(vault) = vault {
        if let Some(name) = &request.profile {
            registry::show(ctx, name)?;
        }
        checks.extend(of_vault(ctx, vault, request, on_step));
    } else if let Some(name) = &request.profile {
        return Err(super::documents::no_profile(ctx, name));
    }
    checks.extend(plaintext::checks(around));
    Ok(Examined { checks, counts })
}

fn vault(ctx: Context<'_>) -> (Option<Vault>, Check) {
    match Vault::find(ctx) {
        Ok(Some(vault)) => {
            let check = Check::ok("vault", Subject::None, "there is one").detail(ctx.store.location());
            (Some(vault), check)
        }
        Ok(None) => {
            let check = Check::warning("vault", Subject::None, "there is none yet");
            (None, check.detail(ctx.store.location()).remedy(Remedy::MakeVault))
        }
        Err(error) => {
            (None, Check::bad("vault", Subject::None, Trouble::Integrity, "it cannot be read").because(error))
        }
    }
}

fn counts(ctx: Context<'_>, vault: Option<&Vault>) -> Counts {
    let slots = vault.map(|vault| &vault.manifest().slots[..]).unwrap_or_default();
    Counts {
        profiles: ctx.store.profiles().map_or(0, |names| names.len()),
        clients: ctx.store.clients().map_or(0, |names| names.len()),
        slots: slots.iter().map(|slot| slot.kind.as_str()).collect(),
    }
}

/// What there is to say of a vault that is there.
fn of_vault(ctx: Context<'_>, vault: Vault, request: &Request, on_step: OnStep<'_>) -> Vec<Check> {
    let mut checks = keys::pin(ctx, &vault);
    checks.extend(keys::slots(ctx, &vault));
    checks.extend(grants::ages(ctx, request.profile.as_ref()));
    checks.extend(rotations::checks(ctx));
    let (unlocked, found) = keys::unlock(ctx, vault, request.refresh);
    checks.push(found);
    let why = "the vault was not unlocked";
    match &unlocked {
        Some(vault) => checks.extend(of_unlocked(ctx, vault, request, on_step)),
        None => checks.extend(
            ["documents", "leftovers", "provider", "clock"]
                .map(|check| Check::skipped(check, Subject::None, why)),
        ),
    }
    checks
}

fn of_unlocked(ctx: Context<'_>, vault: &Unlocked, request: &Request, on_step: OnStep<'_>) -> Vec<Check> {
    let quiet = Context { notices: &Quiet, ..ctx };
    let mut checks = vec![places::documents(quiet, vault, on_step)];
    checks.extend(places::halves_and_rescues(quiet, vault));
    checks.extend(network::checks(quiet, vault, request.offline));
    if request.refresh {
        checks.extend(grants::proofs(ctx, vault, request, on_step));
    }
    checks
}

/// What others are told meanwhile is what we find ourselves.
pub(super) struct Quiet;

impl Notices for Quiet {
    fn notice(&self, _: &Notice) {}
}
