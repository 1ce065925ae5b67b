//! `vault verify`: proves that every document and secret opens.

use serde_json::json;

use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::ops::{Context, Unlocked, Vault, verify};

/// Prove that every document and secret opens
///
/// Changes nothing. Exit code 6 names each document that cannot be trusted.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Accept documents that are older than the last ones seen here, after you have restored a backup
    #[arg(long)]
    accept_rollback: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.with(|ctx| {
        let vault = match args.accept_rollback {
            true => accept(session, ctx)?,
            false => Vault::open(ctx)?.unlock(ctx)?,
        };
        let progress = session.output.progress("Verifying");
        let summary = verify::verify(ctx, &vault, &|done, total| progress.at(done, total))?;
        if session.output.json {
            let verified = json!({ "documents": summary.documents, "items": summary.items });
            return session.output.json("verified", verified);
        }
        session.output.say(&format!(
            "{} and {} can be trusted and opened",
            counted(summary.documents, "document"),
            counted(summary.items, "sealed item")
        ));
        Ok(())
    })
}

/// `1 document`, `2 documents`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The vault, with every document in it accepted as it is now.
fn accept(session: &Session, ctx: Context<'_>) -> Result<Unlocked, Failure> {
    let vault = Vault::open(ctx)?.unlock_restored(ctx)?;
    let accepted = verify::accept_rollback(ctx, &vault)?;
    session.output.say(&format!("Accepted {}", counted(accepted, "older document")));
    Ok(vault)
}
