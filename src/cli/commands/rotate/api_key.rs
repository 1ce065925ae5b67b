//! `vault rotate api-key`: replaces the API key of a profile.

use std::path::PathBuf;

use crate::cli::args::ProfileArg;
use crate::cli::commands::add_profile::report;
use crate::cli::error::Failure;
use crate::cli::secret_input;
use crate::cli::session::Session;
use crate::domain::{Profile, SealedField};
use crate::oauth::provider;
use crate::ops::Loaded;
use crate::ops::edit::{Changes, edit};

/// Replace the API key of a profile
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Make the new key at the provider first, and delete the old one there afterwards:
vault cannot. A profile without a key gets one.

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
        let before = vault.profile(ctx, &name)?;
        let key = secret_input::read_or_ask(session, "the new API key", args.api_key_file.as_ref())?;
        let profile = edit(ctx, vault, &name, Changes { api_key: Some(key), ..Changes::default() })?;
        if session.output.json {
            return report(session, &profile);
        }
        session.output.say(&told(&before, &profile));
        Ok(())
    })
}

fn told(before: &Loaded<Profile>, profile: &Profile) -> String {
    let name = &profile.name;
    if !before.document.holds(SealedField::ApiKey) {
        return format!("Profile `{name}` has an API key now");
    }
    // Only another one gets a date.
    if before.facts.api_key_set_at == profile.api_key_set_at {
        return format!("Profile `{name}` has this API key already");
    }
    let page = provider::get(&profile.provider).pages.api_keys.as_deref();
    let page = page.unwrap_or("the provider's page for API keys");
    format!("Profile `{name}` has the new API key. Delete the old one at {page}: until then it works")
}
