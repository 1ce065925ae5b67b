//! `vault import-rescue`: takes in tokens that could only be printed.

use std::path::PathBuf;

use crate::cli::error::Failure;
use crate::cli::secret_input;
use crate::cli::session::Session;
use crate::ops::rescue;
use crate::seal::MAX_SIZE;

/// Take in tokens that could only be printed
///
/// When new tokens can be saved nowhere, vault prints them as a sealed rescue block and exits with
/// 11. This command puts them in their place.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file with the block; `-` reads standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let bytes = secret_input::read_bytes("the rescue block", &args.file, MAX_SIZE as u64)?;
    let block = between_marks(&bytes);
    session.unlocked(|ctx, vault| {
        let name = rescue::import(ctx, vault, block)?;
        session.output.say(&format!("Took in the tokens of profile `{name}`"));
        Ok(())
    })
}

/// From the first `{` to the last `}`: the lines around the block, and an error message above it, do
/// no harm.
fn between_marks(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| *b == b'{');
    let end = bytes.iter().rposition(|b| *b == b'}');
    match (start, end) {
        (Some(start), Some(end)) if start < end => &bytes[start..=end],
        _ => bytes,
    }
}
