//! `vault lock`: forgets the vault key that is held.

use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::ops::hold;

/// Forget the vault key that is held
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(session: &Session, _: Args) -> Result<(), Failure> {
    session.with(|ctx| {
        hold::forget(ctx)?;
        session.output.say("The vault key is no longer held");
        Ok(())
    })
}
