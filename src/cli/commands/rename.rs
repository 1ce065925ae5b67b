//! `vault rename`: gives a profile another name.

use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::domain::ProfileName;
use crate::ops;

/// Give a profile another name
///
/// Its login, its cached token and the default profile follow.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The present name
    #[arg(add = crate::cli::complete::profiles())]
    from: ProfileName,
    /// The new name
    to: ProfileName,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.unlocked(|ctx, vault| {
        ops::rename::rename(ctx, vault, &args.from, &args.to)?;
        session.output.say(&format!("Profile `{}` is now `{}`", args.from, args.to));
        Ok(())
    })
}
