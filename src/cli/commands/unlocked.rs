//! `vault unlocked`: tells whether the vault key is held.

use serde_json::json;

use crate::cli::age_words::expiry;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::ops::hold;

/// Tell whether the vault key is held
///
/// Exit code 0 if `vault unlock` holds it, 4 if not. Starts nothing and asks nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(session: &Session, _: Args) -> Result<(), Failure> {
    session.with(|ctx| {
        let until = hold::held_until(ctx)?;
        if session.output.json {
            session.output.json("held_until", json!(until))?;
        }
        match until {
            Some(until) => {
                session.output.say(&format!(
                    "The vault key is held; this ends {}",
                    expiry(Some(until), ctx.clock.now())
                ));
                Ok(())
            }
            None => {
                Err(Failure::new(Code::Locked, "the vault key is not held")
                    .hint("run `vault unlock` to hold it"))
            }
        }
    })
}
