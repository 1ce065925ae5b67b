//! `vault verify`: proves that every document and secret opens.

use serde_json::{Value, json};

use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::domain::counted;
use crate::ops::verify::{self, Summary};
use crate::ops::{self, Context, Unlocked, Vault};

/// Prove that every document and secret opens
///
/// Changes nothing. Cached tokens and what interrupted refreshes have left are checked
/// too. Exit code 6 names each document that cannot be trusted, with `--json` on
/// standard output too.
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
        if !args.accept_rollback {
            ctx.audit.forgo();
        }
        let progress = session.output.progress("Verifying");
        let verified = verify::verify(ctx, &vault, &|done, total| progress.at(done, total));
        drop(progress);
        if session.output.json {
            return as_json(session, verified);
        }
        let summary = verified?;
        session.output.say(&format!(
            "{} and {} can be trusted and opened",
            counted(summary.documents, "document"),
            counted(summary.items, "sealed item")
        ));
        Ok(())
    })
}

/// The answer has what failed in every case; who reads JSON does not read standard error.
fn as_json(session: &Session, verified: Result<Summary, ops::Error>) -> Result<(), Failure> {
    let answer = |documents: usize, summary: Summary, failed: Value| {
        let Summary { items, tokens, successors, .. } = summary;
        let counts =
            json!({ "documents": documents, "items": items, "tokens": tokens, "successors": successors });
        let object = json!({ "version": 1, "verified": counts, "failed": failed });
        session.output.answer(&format!("{object:#}\n"))
    };
    match verified {
        Ok(summary) => answer(summary.documents, summary, json!([])),
        Err(ops::Error::NotAllVerified { failed, total, passed }) => {
            let why = |error: &ops::Error| Failure::causes_of(error).join(": ");
            let named =
                failed.iter().map(|(document, error)| json!({ "document": document, "error": why(error) }));
            answer(total - failed.len(), passed, named.collect())?;
            Err(ops::Error::NotAllVerified { failed, total, passed }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The vault, with every document in it accepted as it is now.
fn accept(session: &Session, ctx: Context<'_>) -> Result<Unlocked, Failure> {
    let vault = Vault::open(ctx)?.unlock_restored(ctx)?;
    let accepted = verify::accept_rollback(ctx, &vault)?;
    session.output.say(&format!("Accepted {}", counted(accepted, "older document")));
    Ok(vault)
}
