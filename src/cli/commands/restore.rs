//! `vault restore`: a vault out of a backup.

use std::path::PathBuf;

use serde_json::json;

use super::init::{SlotArgs, absolute};
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::counted;
use crate::ops::Context;
use crate::ops::init::FirstSlot;
use crate::ops::restore::{self, Restored};
use crate::seal::Backup;
use crate::unlock::Ways;

/// Make a vault out of a backup
///
/// The vault directory must be new or empty: nothing is ever overwritten. The backup opens with its
/// passphrase (asked for, or from VAULT_PASSPHRASE_FILE or VAULT_PASSPHRASE_COMMAND), or with the age
/// identity of one of its recipients. What is restored is a vault of its own, with a new key; it is
/// unlocked as one that `vault init` makes. It holds the same logins as the one that was backed up:
/// where a provider replaces refresh tokens, the first refresh of one ends the login of the other. After
/// the loss of a vault, `--same-id` puts it back as it was, with its key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault restore ~/vault-2026-01.age
  vault restore vault.age --open-with recovery-key.txt --unlock passphrase
  vault restore vault.age --vault-dir ~/second-vault
  vault restore vault.age --same-id     the disk of the vault is lost")]
pub(super) struct Args {
    /// The file that `vault backup` has written
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// An age identity file that opens the backup [default: VAULT_IDENTITY_FILE, and that of --identity]
    #[arg(long, value_name = "FILE")]
    open_with: Vec<PathBuf>,
    /// Put the vault back as it was: the same id, key, key slots and documents
    #[arg(long)]
    same_id: bool,
    #[command(flatten)]
    slot: SlotArgs,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let file = absolute(args.file)?;
    session.with(|ctx| {
        restore::check_place(ctx)?;
        args.slot.check()?;
        let ways = Ways {
            identities: [
                args.open_with,
                args.slot.identity.clone().into_iter().collect(),
                ctx.ways.identities.clone(),
            ]
            .concat(),
            ..ctx.ways.clone()
        };
        let ctx = Context { ways: &ways, ..ctx };
        let backup = restore::open(ctx, &file)?;
        let progress = session.output.progress("Restoring");
        let on_step = |done, total| progress.at(done, total);
        let restored = if args.same_id {
            let slot = slot_if_needed(session, ctx, &backup, args.slot)?;
            restore::as_it_was(ctx, &backup, slot.as_ref(), &on_step)?
        } else {
            let slot = args.slot.first_slot(session).map_err(nobody_to_ask)?;
            restore::as_new(ctx, &file, &backup, &slot, &on_step)?
        };
        drop(progress);
        tell(session, ctx, &restored, args.same_id)
    })
}

/// A new way in, if one was asked for or none of its own opens here.
fn slot_if_needed(
    session: &Session,
    ctx: Context<'_>,
    backup: &Backup,
    slot: SlotArgs,
) -> Result<Option<FirstSlot>, Failure> {
    restore::check_same(ctx, backup)?;
    if slot.is_default() && restore::opens_here(ctx, backup)? {
        return Ok(None);
    }
    slot.first_slot(session).map(Some).map_err(nobody_to_ask)
}

/// The hints of `vault init` lead to `vault init`.
fn nobody_to_ask(mut failure: Failure) -> Failure {
    if failure.status == Code::Locked as u8 {
        failure.hints = vec![
            "run it on a terminal, or add `--unlock identity --identity FILE`".to_owned(),
            "or set VAULT_PASSPHRASE_FILE, which then opens the backup too".to_owned(),
        ];
    }
    failure
}

fn tell(session: &Session, ctx: Context<'_>, restored: &Restored, same_id: bool) -> Result<(), Failure> {
    if session.output.json {
        return session.output.json(
            "restored",
            json!({
                "location": ctx.store.location(),
                "vault": restored.vault,
                "kid": restored.kid,
                "same_id": same_id,
                "clients": restored.clients,
                "profiles": restored.profiles,
                "unlocked_by": restored.unlocked_by,
                "older": restored.older,
            }),
        );
    }
    for line in lines(ctx, restored, same_id) {
        session.output.say(&line);
    }
    Ok(())
}

fn lines(ctx: Context<'_>, restored: &Restored, same_id: bool) -> Vec<String> {
    let what = format!(
        "Restored {} and {} to {}",
        counted(restored.profiles, "profile"),
        counted(restored.clients, "client"),
        ctx.store.location()
    );
    let unlocked_by = match restored.unlocked_by {
        Some(kind) => format!(", unlocked by {}", crate::cli::notices::with_article(kind)),
        None => ", unlocked as it was".to_owned(),
    };
    if same_id {
        let mut lines = vec![format!("{what}{unlocked_by}: the same vault, under its key {}", restored.kid)];
        lines.push("This machine takes what was restored for the newest".to_owned());
        if restored.older > 0 {
            lines.push(format!("{} older than what was last seen here", counted_are(restored.older)));
        }
        return lines;
    }
    vec![
        format!("{what}{unlocked_by}: a new vault, with the new key {}", restored.kid),
        "It holds the same logins as the vault that was backed up: where a provider replaces refresh tokens, the \
         first refresh in one of them ends the login in the other"
            .to_owned(),
    ]
}

fn counted_are(count: usize) -> String {
    format!("{} {}", counted(count, "document"), if count == 1 { "is" } else { "are" })
}
