//! `vault rotate key`: seals everything to a new vault key.

use std::cell::RefCell;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::json;

use crate::cli::error::Failure;
use crate::cli::progress::Progress;
use crate::cli::provider_secrets;
use crate::cli::session::Session;
use crate::domain::counted;
use crate::ops::rotate_key::{self, Phase, Request, Rotated};
use crate::ops::secrets::{self, Secrets};

/// Seal everything to a new vault key
///
/// Every document and cached token is sealed anew, and every key slot opens the new key then. Other
/// commands go on meanwhile. If it is interrupted, run it again: it goes on where it stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault rotate
  vault rotate key --reason compromise
  vault rotate key --drop-slot 4f1c

On another machine that uses the same vault directory, `vault key accept KID`
takes over the new key; this command prints the KID.")]
pub(super) struct Args {
    /// Why: after a compromise, all that providers have issued before is to be renewed too
    #[arg(long, value_name = "REASON", default_value = "hygiene")]
    reason: Reason,
    /// Leave out this key slot, or the one whose id begins so; may be given more than once
    #[arg(long, value_name = "ID")]
    drop_slot: Vec<String>,
    /// Give up tokens that were only printed as rescue blocks
    #[arg(long)]
    forget_rescue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Reason {
    // It is time.
    Hygiene,
    // Others may have had the old key.
    Compromise,
}

/// What no rotation reaches.
const OLD_COPIES: &str = "Backups and other copies of the vault from before still open with the old key: delete them, and renew \
                          what is listed";

/// Runs it.
pub(super) fn run(session: &Session, args: &Args) -> Result<(), Failure> {
    session.with(|ctx| {
        let request = Request {
            drop_slots: &args.drop_slot,
            forget_rescue: args.forget_rescue,
            is_compromised: args.reason == Reason::Compromise,
        };
        let line = Line { session, shown: RefCell::default() };
        let rotated = rotate_key::rotate(ctx, &request, &|phase, done, total| line.at(phase, done, total))?;
        drop(line);
        report(session, &rotated, secrets::list(ctx)?, ctx.clock.now())?;
        if args.reason == Reason::Compromise {
            session.output.say(OLD_COPIES);
        }
        Ok(())
    })
}

/// The progress line of the phase that goes on.
struct Line<'a> {
    session: &'a Session,
    shown: RefCell<Option<(Phase, Progress)>>,
}

impl Line<'_> {
    fn at(&self, phase: Phase, done: usize, total: usize) {
        let mut shown = self.shown.borrow_mut();
        if shown.as_ref().is_none_or(|(shown, _)| *shown != phase) {
            // The line before vanishes first.
            *shown = None;
            *shown = Some((phase, self.session.output.progress(words(phase))));
        }
        if let Some((_, progress)) = &*shown {
            progress.at(done, total);
        }
    }
}

fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Verifying => "Verifying",
        Phase::Sealing => "Sealing to the new key",
        Phase::Proving => "Opening with the new key",
    }
}

fn report(session: &Session, rotated: &Rotated, secrets: Secrets, now: Timestamp) -> Result<(), Failure> {
    for left in &rotated.left {
        session.output.warn(left);
    }
    if session.output.json {
        let slots: Vec<_> = rotated.slots.iter().map(crate::cli::json::slot).collect();
        let rotation = json!({
            "kid": rotated.kid, "old_kid": rotated.old, "documents": rotated.documents,
            "resumed": rotated.is_resumed, "slots": slots, "secrets": provider_secrets::json(&secrets),
        });
        return session.output.json("rotation", rotation);
    }
    let begun = if rotated.is_resumed { "Finished the rotation" } else { "Rotated the vault key" };
    let documents = counted(rotated.documents, "document");
    let are = if rotated.documents == 1 { "is" } else { "are" };
    session.output.say(&format!("{begun}: {documents} {are} sealed to {}", rotated.kid));
    session.output.say(&format!("On another machine with this vault: vault key accept {}", rotated.kid));
    provider_secrets::tell_what_is_left(session.output, secrets, now)
}
