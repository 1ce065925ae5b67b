//! `vault helper`: answers other programs in the protocols by which they ask for credentials.

use clap::Subcommand;

use crate::cli::error::Failure;
use crate::cli::session::Session;

/// Answer another program in its own protocol
///
/// These are called by the tools themselves, also under the names that they look for, such as
/// `git-credential-vault`. `vault setup TOOL` tells a tool to do so.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    protocol: Protocol,
}

#[derive(Debug, Subcommand)]
enum Protocol {}

/// Runs it.
pub(super) fn run(_: &Session, args: Args) -> Result<(), Failure> {
    match args.protocol {}
}
