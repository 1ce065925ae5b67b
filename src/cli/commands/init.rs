//! `vault init`: makes a vault and chooses what unlocks it.

use std::path::PathBuf;

use clap::ValueEnum;
use secrecy::SecretString;

use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::ops::init::{FirstSlot, init};
use crate::ops::{Context, Unlocked, Vault};
use crate::unlock::keychain;

/// Make a vault and choose what unlocks it
///
/// Without options: the keychain of this machine, if it keeps what it is given; else a passphrase.
/// `vault add-profile` does the same by itself when there is no vault.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault init
  vault init --unlock passphrase
  vault init --unlock identity --identity ~/key.txt   made by age-keygen -o")]
pub(super) struct Args {
    #[command(flatten)]
    slot: SlotArgs,
}

/// What unlocks a new vault.
#[derive(Debug, clap::Args)]
pub(super) struct SlotArgs {
    /// What unlocks the vault: keychain, passphrase or identity
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    unlock: Option<Unlock>,
    /// The age identity file that unlocks it
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
}

impl SlotArgs {
    /// Whether nothing was said.
    pub(super) fn is_default(&self) -> bool {
        self.unlock.is_none() && self.identity.is_none()
    }

    /// Refuses what makes no sense, before anybody is asked.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match (self.unlock, &self.identity) {
            (Some(Unlock::Identity), None) => {
                Err(Failure::usage("the identity file is missing").hint("add `--identity FILE`"))
            }
            (Some(Unlock::Keychain | Unlock::Passphrase), Some(_)) => {
                Err(Failure::usage("`--identity` goes with `--unlock identity` only"))
            }
            _ => Ok(()),
        }
    }

    /// The slot that was asked for, else the best that works here.
    pub(super) fn first_slot(self, session: &Session) -> Result<FirstSlot, Failure> {
        self.check()?;
        match (self.unlock, self.identity) {
            (_, Some(path)) => absolute(path).map(FirstSlot::Identity),
            (Some(Unlock::Keychain), None) => Ok(FirstSlot::Keychain),
            (Some(Unlock::Passphrase), None) => new_passphrase(session).map(FirstSlot::Passphrase),
            (_, None) => best(session),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Unlock {
    /// The keychain of this machine's operating system
    Keychain,
    /// A passphrase
    Passphrase,
    /// An age identity file
    Identity,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.with(|ctx| {
        if Vault::find(ctx)?.is_some() {
            return Err(crate::ops::Error::VaultExists { location: ctx.store.location() }.into());
        }
        let slot = args.slot.first_slot(session)?;
        let vault = init(ctx, &slot)?;
        if session.output.json {
            session
                .output
                .json("vault", serde_json::json!({ "id": vault.id, "location": ctx.store.location() }))?;
        }
        Ok(())
    })
}

/// The vault, unlocked. If there is none, one is made with the best way that works here.
pub(super) fn open_or_make(session: &Session, ctx: Context<'_>) -> Result<Unlocked, Failure> {
    match Vault::find(ctx)? {
        Some(vault) => Ok(vault.unlock(ctx)?),
        None => match init(ctx, &best(session)?) {
            // Another process was faster.
            Err(crate::ops::Error::VaultExists { .. }) => Ok(Vault::open(ctx)?.unlock(ctx)?),
            made => Ok(made?),
        },
    }
}

/// A keychain that keeps what it is given, else a passphrase.
fn best(session: &Session) -> Result<FirstSlot, Failure> {
    if session.environment.identity_file.is_none() && session.passphrase()?.is_none() {
        match keychain::probe(session.keychain()) {
            Ok(()) => return Ok(FirstSlot::Keychain),
            Err(error) => log::info!("the keychain is not used: {error}"),
        }
    }
    if let Some(identity) = &session.environment.identity_file {
        return Ok(FirstSlot::Identity(absolute(identity.clone())?));
    }
    new_passphrase(session).map(FirstSlot::Passphrase)
}

/// A new passphrase: from where the environment says, else typed twice.
pub(super) fn new_passphrase(session: &Session) -> Result<SecretString, Failure> {
    if let Some(passphrase) = given_or_typed(session, "New passphrase of the vault: ")? {
        return Ok(passphrase);
    }
    Err(Failure::new(
        Code::Locked,
        "there is no keychain that works here, and nobody to ask for a passphrase",
    )
    .hint("run `vault init` on a terminal")
    .hint("or set VAULT_PASSPHRASE_FILE, or run `vault init --unlock identity --identity FILE`"))
}

/// A new passphrase: from where the environment says, else typed twice; none if nobody can be asked.
pub(super) fn given_or_typed(session: &Session, question: &str) -> Result<Option<SecretString>, Failure> {
    if let Some(source) = session.passphrase()? {
        let passphrase = source.read().map_err(|error| Failure::new(Code::Locked, error.to_string()))?;
        return Ok(Some(passphrase));
    }
    if session.may_ask_secrets() {
        return session.terminal().new_passphrase(question).map(Some);
    }
    Ok(None)
}

/// The path as it is remembered, whatever the next command's directory is.
pub(super) fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    std::path::absolute(&path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}
