//! `vault rotate list`: the secrets that providers have given out, by age. Opens nothing.

use crate::cli::error::Failure;
use crate::cli::provider_secrets;
use crate::cli::session::Session;
use crate::ops::secrets;

/// List the secrets that providers have given out, by age
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The oldest come first, before them those of unknown age; beside each stands the
command that renews it. Needs no key and opens nothing; what it shows has not
been verified.")]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(session: &Session, _: Args) -> Result<(), Failure> {
    session.with(|ctx| {
        let secrets = secrets::list(ctx)?;
        if session.output.json {
            return session.output.json("secrets", provider_secrets::json(&secrets));
        }
        provider_secrets::warn_of_unreadable(session.output, &secrets);
        if secrets.found.is_empty() {
            session.output.say("No provider has given out a secret yet");
            return Ok(());
        }
        session.output.answer(&provider_secrets::table(&secrets, ctx.clock.now(), session.output.look()))?;
        provider_secrets::say_where_keys_are_made(session.output, &secrets);
        Ok(())
    })
}
