//! `vault edit`: changes what a profile links.

use std::path::PathBuf;

use super::add_profile::report;
use crate::cli::args::{ProfileArg, SetArgs};
use crate::cli::error::Failure;
use crate::cli::secret_input;
use crate::cli::session::Session;
use crate::domain::{ClientName, VariableName};
use crate::ops::edit::{Changes, edit};
use crate::ops::{self};

/// Change what a profile links
///
/// Another client or account needs a new login; variables and the API key do not.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault edit work --set GMAIL_TOKEN=access_token
  vault edit work --api-key-file key.txt
  vault edit work --client other --forget-login && vault login work")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    #[command(flatten)]
    set: SetArgs,
    /// No longer set this variable
    #[arg(long, value_name = "VAR")]
    unset: Vec<VariableName>,
    /// Link another stored client
    #[arg(long, value_name = "NAME", add = crate::cli::complete::clients())]
    client: Option<ClientName>,
    /// Keep the API key in this file with the profile; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Link another account
    #[arg(long, value_name = "EMAIL")]
    account: Option<String>,
    /// Forget the login where the change costs it: with another client or account
    #[arg(long)]
    forget_login: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let api_key =
        args.api_key_file.as_ref().map(|source| secret_input::read("the API key", source)).transpose()?;
    let changes = Changes {
        set: args.set.assignments(),
        unset: args.unset,
        client: args.client,
        api_key,
        account: args.account,
        forget_login: args.forget_login,
    };
    if changes.is_empty() {
        return Err(
            Failure::usage("nothing to change").hint("run `vault edit --help` to see what can be changed")
        );
    }
    session.with(|ctx| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve(session, ctx, &vault)?;
        let profile = edit(ctx, &vault, &name, changes)?;
        if session.output.json {
            return report(session, &profile);
        }
        let next = if profile.grant.is_none() {
            format!(". Log it in with: vault login {name}")
        } else {
            String::new()
        };
        session.output.say(&format!("Changed profile `{name}`{next}"));
        Ok(())
    })
}
