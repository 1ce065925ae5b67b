//! `vault use`: chooses the default profile.

use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::domain::ProfileName;
use crate::ops::registry;

/// Choose the default profile
///
/// It is meant wherever no profile is named.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The profile
    #[arg(add = crate::cli::complete::profiles())]
    name: ProfileName,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.unlocked(|ctx, vault| {
        registry::set_default(ctx, vault, &args.name)?;
        session.output.say(&format!("The default profile is now `{}`", args.name));
        Ok(())
    })
}
