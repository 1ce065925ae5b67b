//! `vault remove`: removes a profile and its secrets from the vault.

use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::ProfileName;
use crate::ops;

/// Remove a profile and its secrets from the vault
///
/// The grant stays alive at the provider; take it back on the provider's page for connected apps.
/// The client stays for other profiles.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The profile
    #[arg(add = crate::cli::complete::profiles())]
    name: ProfileName,
    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.unlocked(|ctx, vault| {
        match vault.profile(ctx, &args.name) {
            // A copy that has come back is removed like the first one.
            Ok(_) | Err(ops::Error::Removed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let question = format!("Remove profile `{}` and its secrets?", args.name);
        if !args.yes && session.may_ask() && !session.terminal().confirm_plainly(&question) {
            return Err(Failure::new(Code::Cancelled, "nothing was removed"));
        }
        ops::rename::remove(ctx, vault, &args.name)?;
        session.output.say(&format!("Removed profile `{}`", args.name));
        Ok(())
    })
}
