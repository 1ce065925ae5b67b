//! `vault rotate`: renews the vault key, or a secret of a provider.

mod api_key;
mod client_secret;
mod grant;
mod key;
mod list;

use clap::Subcommand;

use crate::cli::error::Failure;
use crate::cli::session::Session;

/// Renew the vault key, or a secret of a provider
///
/// Without a command, the vault key: everything in the vault is sealed to a new one, and the old one
/// opens nothing any more.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[group(skip)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Action>,
    #[command(flatten)]
    key: key::Args,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Seal everything to a new vault key
    Key(key::Args),
    /// Replace the secret of a client, proven by a refresh
    ClientSecret(client_secret::Args),
    /// Replace the API key of a profile
    ApiKey(api_key::Args),
    /// List the secrets that providers have given out, by age
    List(list::Args),
    /// Log a profile in anew and retire its old refresh token
    Grant(grant::Args),
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    match args.command.unwrap_or(Action::Key(args.key)) {
        Action::Key(args) => key::run(session, &args),
        Action::ClientSecret(args) => client_secret::run(session, args),
        Action::ApiKey(args) => api_key::run(session, args),
        Action::List(args) => list::run(session, args),
        Action::Grant(args) => grant::run(session, args),
    }
}
