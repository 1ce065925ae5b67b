//! `vault key`: lists, adds, removes and accepts the ways to the vault key.

use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::init::{absolute, new_passphrase};
use crate::cli::age_words::age;
use crate::cli::error::Failure;
use crate::cli::json;
use crate::cli::session::Session;
use crate::cli::table::{Cell, table};
use crate::domain::{KeyId, KeySlot, SlotKind};
use crate::ops::key_slots::{self, NewSlot};
use crate::unlock::recipient::{self, Recipient};

/// List, add, remove and accept the ways to the vault key
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
