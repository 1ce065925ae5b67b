//! `vault unlock`: holds the vault key for a while.

use std::time::Duration;

use jiff::SignedDuration;

use crate::cli::age_words::expiry;
use crate::cli::args::duration;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::ops::{self, hold};
use crate::serve::agent;
use crate::unlock::agent::Client;

/// Hold the vault key for a while, so that nothing is asked for
///
/// A small process keeps the key in memory until the time is over or `vault lock` is called. Nothing
/// needs it: without it, the key slots are asked each time.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// For how long
    #[arg(long = "for", value_name = "TIME", default_value = "8h", value_parser = duration)]
    time: SignedDuration,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.unlocked(|ctx, vault| {
        let client = running_agent(session)?;
        let time = Duration::try_from(args.time).unwrap_or_default();
        let until = hold::hold(vault, &client, time)?;
        let words = expiry(Some(until), ctx.clock.now());
        session.output.say(&format!("The vault key is held; this ends {words}"));
        Ok(())
    })
}

/// The agent, started if there is none.
fn running_agent(session: &Session) -> Result<Client, Failure> {
    let dir = session.runtime_dir();
    let connect = || Client::connect(dir).map_err(ops::Error::from);
    if let Some(client) = connect()? {
        return Ok(client);
    }
    let program = std::env::current_exe().map_err(|error| not_started(&error))?;
    agent::spawn(&program, dir).map_err(|error| not_started(&error))?;
    connect()?.ok_or_else(|| not_started("it ended at once"))
}

fn not_started(why: impl ToString) -> Failure {
    let mut failure = Failure::new(Code::Storage, "the process that holds the key could not be started");
    failure.messages.push(why.to_string());
    failure
}
