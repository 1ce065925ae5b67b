//! `vault man`: writes the manual pages.

use std::path::PathBuf;

use crate::cli::args;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;

/// Write the manual pages
///
/// One page for vault, and one for each command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: vault man ~/.local/share/man/man1 && man vault-token")]
pub(super) struct Args {
    /// The directory that they are written to; made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(&args.dir)
        .and_then(|()| clap_mangen::generate_to(args::command(), &args.dir));
    match written {
        Ok(()) => {
            session.output.say(&format!("Wrote the manual pages to {}", args.dir.display()));
            Ok(())
        }
        Err(error) => {
            let mut failure = Failure::new(Code::Storage, format!("cannot write to {}", args.dir.display()));
            failure.messages.push(error.to_string());
            Err(failure)
        }
    }
}
