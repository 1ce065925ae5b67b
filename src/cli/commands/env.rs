//! `vault env`: variables for the current shell or another tool.

use super::only::OnlyArgs;
use crate::cli::args::{ProfileArg, SetArgs};
use crate::cli::error::Failure;
use crate::cli::format::{self, Format};
use crate::cli::output;
use crate::cli::session::Session;
use crate::ops::{self, variables};

/// Print variables for the current shell or another tool
///
/// `vault exec` is safer where it is possible: only the one program gets the variables.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eval \"$(vault env work)\"                      in dash, bash, zsh and ksh
  vault env work --format fish | source
  vault env work --format powershell | Invoke-Expression
  vault env work --format nushell | from json | load-env
  vault env work --set TOKEN=access_token --set KEY=api_key

Formats: sh, fish, powershell, nushell, dotenv, docker, github, json")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    /// For whom the variables are written; the formats are listed below
    #[arg(long, value_name = "FORMAT", default_value = "sh", hide_possible_values = true)]
    format: Format,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    only: OnlyArgs,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let rendered = session.with(|ctx| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve(session, ctx, &vault)?;
        let plan = variables::plan(ctx, &vault, &name, &args.set.assignments())?;
        let variables = plan.narrowed(&vault, args.only.scopes().as_ref())?.open(ctx, &vault)?.variables;
        let format = if session.output.json { Format::Json } else { args.format };
        Ok(format::render(format, &variables)?)
    })?;
    // Anywhere but on GitHub Actions, nobody obeys them, and they would only show the secrets.
    if let Some(masks) = rendered.masks.as_ref().filter(|_| session.environment.is_github_actions) {
        output::command_channel(masks);
    }
    session.output.secret(&rendered.stdout)
}
