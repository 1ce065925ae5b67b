//! `vault key`: lists, adds, changes, removes and accepts the ways to the vault key.

use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::init::{absolute, new_passphrase};
use crate::cli::age_words::age;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::cli::table::{Cell, table};
use crate::cli::{json, secret_input};
use crate::domain::{KeyId, KeySlot, SlotKind};
use crate::ops::key_slots::{self, NewSlot};
use crate::ops::passwd;
use crate::unlock::recipient::{self, Recipient};

/// List, add, change, remove and accept the ways to the vault key
///
/// Each key slot opens the vault by itself: the keychain, a passphrase, or an age recipient, such as
/// a recovery key that lies in a safe.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the key slots; needs no key
    List,
    /// Add a key slot
    Add(AddArgs),
    /// Change the passphrase of a key slot
    #[command(after_help = "\
The old passphrase is asked for, or comes from VAULT_PASSPHRASE_FILE or
VAULT_PASSPHRASE_COMMAND; the new one is asked for twice. The vault key stays
the same: whoever has the old passphrase and an old copy of the vault still has
it. After a passphrase has leaked, `vault rotate key` makes a new key.")]
    Passwd {
        /// The slot, or the beginning of its id [default: the only passphrase slot]
        slot: Option<String>,
        /// The new passphrase; `-` reads standard input
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Remove a key slot; the last one stays
    Remove {
        /// The slot, or the beginning of its id
        id: String,
    },
    /// Accept the vault key KID on this machine, after a change that you have made elsewhere
    Accept {
        /// The key, as the error names it
        kid: KeyId,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct AddArgs {
    /// A passphrase, asked for twice
    #[arg(long)]
    passphrase: bool,
    /// The keychain of this machine
    #[arg(long)]
    keychain: bool,
    /// An age recipient: age1..., a plugin's, or an SSH key where that is built in
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Option<String>,
    /// An age identity file of this machine
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    match args.command {
        Action::List => session.with(|ctx| list(session, &key_slots::list(ctx)?, ctx.clock.now())),
        Action::Add(args) => add(session, args),
        Action::Passwd { slot, new_passphrase_file } => passwd(session, slot.as_deref(), new_passphrase_file),
        Action::Remove { id } => session.unlocked(|ctx, vault| {
            let slot = key_slots::remove(ctx, vault, &id)?;
            session.output.say(&format!("Removed the {} slot {}", slot.kind.as_str(), slot.id));
            Ok(())
        }),
        Action::Accept { kid } => session.with(|ctx| {
            key_slots::accept(ctx, &kid)?;
            session.output.say(&format!("This machine now accepts the vault key {kid}"));
            Ok(())
        }),
    }
}

fn add(session: &Session, args: AddArgs) -> Result<(), Failure> {
    let recipient = args.recipient.map(|text| text.parse::<Recipient>()).transpose();
    let recipient = recipient.map_err(|invalid| crate::ops::Error::from(recipient::Error::from(invalid)))?;
    session.unlocked(|ctx, vault| {
        let new = match (recipient, args.identity) {
            (Some(recipient), _) => NewSlot::Recipient(recipient),
            (None, Some(path)) => NewSlot::Identity(absolute(path)?),
            (None, None) if args.keychain => NewSlot::Keychain,
            (None, None) => NewSlot::Passphrase(new_passphrase(session)?),
        };
        let slot = key_slots::add(ctx, vault, new)?;
        session.output.say(&format!("Added the {} slot {}", slot.kind.as_str(), slot.id));
        Ok(())
    })
}

fn passwd(session: &Session, slot: Option<&str>, file: Option<PathBuf>) -> Result<(), Failure> {
    session.with(|ctx| {
        let proven = passwd::prove(ctx, slot)?;
        let new = match file {
            Some(file) => secret_input::read("the new passphrase", &file)?,
            None if session.may_ask_secrets() => session.terminal().new_passphrase("New passphrase of the vault: ")?,
            None => {
                return Err(Failure::usage("the new passphrase is missing")
                    .hint("run this on a terminal, or add `--new-passphrase-file FILE`"));
            }
        };
        passwd::change(ctx, &proven, &new)?;
        session.output.say(&format!("Changed the passphrase of the slot {}", proven.slot()));
        session.output.say(
            "The vault key is the same: whoever has the old passphrase and an old copy of the vault still has it. \
             `vault rotate key` makes a new one",
        );
        Ok(())
    })
}

fn list(session: &Session, slots: &[KeySlot], now: Timestamp) -> Result<(), Failure> {
    if session.output.json {
        let slots: Vec<Value> = slots.iter().map(json::slot).collect();
        return session.output.json("slots", json!(slots));
    }
    let rows = slots.iter().map(|slot| row(slot, now)).collect();
    session.output.answer(&table(&["SLOT", "TYPE", "MADE", "OPENED BY"], rows, session.output.look()))
}

fn row(slot: &KeySlot, now: Timestamp) -> Vec<Cell> {
    let opened_by: Cell = match &slot.kind {
        SlotKind::Keychain { .. } => "the keychain of the machine that made it".into(),
        SlotKind::Passphrase { .. } => "its passphrase".into(),
        SlotKind::Recipient { recipient, .. } => recipient.into(),
    };
    vec![slot.id.to_string().into(), slot.kind.as_str().into(), age(slot.created_at, now).into(), opened_by]
}
