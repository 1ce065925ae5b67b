//! `vault helper`: answers other programs in the protocols by which they ask for credentials.

mod cargo;
mod kubectl;

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
enum Protocol {
    Cargo(cargo::Args),
    Kubectl(kubectl::Args),
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    match args.protocol {
        Protocol::Cargo(args) => cargo::run(session, args),
        Protocol::Kubectl(args) => kubectl::run(session, args),
    }
}
