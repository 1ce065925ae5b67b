//! `vault agent-process`: the process that `vault unlock` starts. Of no use by hand.

use std::path::PathBuf;

use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::serve::agent;

/// Hold vault keys for a while
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory of the socket
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs it until it holds no key any more.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let dir = args.dir.as_deref().unwrap_or(session.runtime_dir());
    agent::run(dir).map_err(|error| Failure::new(Code::Storage, error.to_string()))
}
