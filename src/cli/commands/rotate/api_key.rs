//! `vault rotate api-key`: replaces the API key of a profile.

use std::path::PathBuf;

use crate::cli::args::ProfileArg;
use crate::cli::commands::add_profile::report;
use crate::cli::error::Failure;
use crate::cli::secret_input;
use crate::cli::session::Session;
use crate::domain::{Profile, SealedField};
use crate::oauth::provider;
use crate::ops::edit::{Changes, edit};

/// Replace the API key of a profile
///
/// Make the new key at the provider first, and delete the old one there afterwards: vault cannot. A
/// profile without a key gets one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault rotate api-key work
  vault rotate api-key work --api-key-file key.txt
  pass show google-api-key | vault rotate api-key work --api-key-file -")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    /// The file that holds the new key; `-` reads standard input [default: a prompt]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.unlocked(|ctx, vault| {
        let name = args.profile.resolve(session, ctx, vault)?;
        let had_one = vault.profile(ctx, &name)?.document.holds(SealedField::ApiKey);
        let key = secret_input::read_or_ask(session, "the new API key", args.api_key_file.as_ref())?;
        let profile = edit(ctx, vault, &name, Changes { api_key: Some(key), ..Changes::default() })?;
        if session.output.json {
            return report(session, &profile);
        }
        session.output.say(&told(&profile, had_one));
        Ok(())
    })
}

fn told(profile: &Profile, had_one: bool) -> String {
    let name = &profile.name;
    if !had_one {
        return format!("Profile `{name}` has an API key now");
    }
    let page = provider::get(&profile.provider).api_keys_page.unwrap_or("the provider's page for API keys");
    format!("Profile `{name}` has the new API key. Delete the old one at {page}: until then it works")
}
