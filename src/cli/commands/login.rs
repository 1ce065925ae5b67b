//! `vault login`: logs a profile in again, or for more scopes.

use super::add_profile::report;
use super::consent::ConsentArgs;
use crate::cli::args::ProfileArg;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::ops;

/// Log a profile in again, or for more scopes
///
/// The account that consents must be the linked one. What the profile asked for before is asked for
/// again, together with every `--scope`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault login work
  vault login work --scope calendar.readonly
  vault login work --no-browser         over SSH: open the address elsewhere
  vault login work --flow device        type a code on any device
  vault login work --browser 'firefox -P work'

docs/logins.md explains each way.")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Link whichever account consents, even if it is another one
    #[arg(long)]
    replace_account: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if !args.consent.is_wanted() {
        return Err(Failure::usage("`vault login --flow none` would do nothing"));
    }
    session.with(|ctx| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve(session, ctx, &vault)?;
        let courier = args.consent.courier(session)?;
        let request = args.consent.request(&courier, args.replace_account);
        report(session, &ops::login::login(ctx, &vault, &name, &request)?)
    })
}
