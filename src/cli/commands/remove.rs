//! `vault remove`: removes a profile and its secrets from the vault.

use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::hints::grants_page;
use crate::cli::session::Session;
use crate::domain::{GrantState, Profile, ProfileName};
use crate::ops;

/// Remove a profile and its secrets from the vault
///
/// The grant stays alive at the provider, unless `vault logout NAME` has revoked it before. The client
/// stays for other profiles.
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
        let facts = match vault.profile(ctx, &args.name) {
            Ok(profile) => Some(profile.facts),
            // A copy that has come back is removed like the first one.
            Err(ops::Error::Removed { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let live = facts.filter(has_live_grant);
        let advice = match live {
            Some(_) => format!(" `vault logout {}` first would revoke its login.", args.name),
            None => String::new(),
        };
        let question = format!("Remove profile `{}` and its secrets?{advice}", args.name);
        if !args.yes && session.may_ask() && !session.terminal().confirm_plainly(&question) {
            return Err(Failure::new(Code::Cancelled, "nothing was removed"));
        }
        ops::rename::remove(ctx, vault, &args.name)?;
        session.output.say(&format!("Removed profile `{}`", args.name));
        if let Some(facts) = live {
            let page = grants_page(&facts.provider);
            session.output.say(&format!(
                "Its login lives on at the provider; `vault logout` first would have revoked it. End it at {page}"
            ));
        }
        Ok(())
    })
}

fn has_live_grant(profile: &Profile) -> bool {
    profile.grant.as_ref().is_some_and(|grant| grant.state == GrantState::Live)
}
