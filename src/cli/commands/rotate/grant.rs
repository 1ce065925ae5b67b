//! `vault rotate grant`: a fresh consent in place of the old one.

use serde_json::json;

use crate::cli::args::ProfileArg;
use crate::cli::commands::add_profile;
use crate::cli::commands::consent::ConsentArgs;
use crate::cli::commands::logout::{end_named, warn_of_what_lives};
use crate::cli::error::Failure;
use crate::cli::hints::grants_page;
use crate::cli::json;
use crate::cli::session::Session;
use crate::domain::ProfileName;
use crate::ops::rotate_grant::{Previous, Rotated, finish, rotate, rotate_compromised};
use crate::ops::{Context, Unlocked};

/// Log a profile in anew and retire its old refresh token
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault rotate grant work
  vault rotate grant work --compromised      somebody else may have the token

The same account must consent. The new login is saved first; then the old
refresh token is revoked, unless that would end the new login too: at Google it
would, and the old token is only forgotten. If it cannot be revoked now, it is
kept sealed, and the same command tries again without a new consent.")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    /// Revoke the old login first, then log in: for a token that somebody else may have
    #[arg(long)]
    compromised: bool,
    /// Give up a refresh token that an earlier rotation could not revoke, and change nothing else
    #[arg(long, conflicts_with = "compromised")]
    forget_previous: bool,
    /// Do not ask whether other profiles may lose their login too
    #[arg(short = 'y', long)]
    yes: bool,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if !args.consent.is_wanted() {
        return Err(Failure::usage("`--flow none` makes no new login")
            .hint("`vault logout NAME` ends a login without a new one"));
    }
    session.unlocked(|ctx, vault| {
        let name = args.profile.resolve(session, ctx, vault)?;
        if args.compromised {
            return run_compromised(session, ctx, vault, &name, &args);
        }
        if let Some(rotated) = finish(ctx, vault, &name, args.forget_previous)? {
            return report(session, &rotated, "has finished an earlier rotation, without a new consent");
        }
        if args.forget_previous {
            session.output.say(&format!("Profile `{name}` has no refresh token that waits to be retired"));
            return Ok(());
        }
        let courier = args.consent.courier(session)?;
        report(session, &rotate(ctx, vault, &name, &args.consent.renewal(&courier))?, "is logged in anew")
    })
}

fn run_compromised(
    session: &Session,
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    args: &Args,
) -> Result<(), Failure> {
    // Before anything is revoked: without a person there is no new login.
    let courier = args.consent.courier(session)?;
    let profile = end_named(session, args.yes, |may_end| {
        let request = args.consent.renewal(&courier);
        rotate_compromised(ctx, vault, name, &request, may_end, &|out| warn_of_what_lives(session, out))
    })?;
    add_profile::report(session, &profile)
}

/// Says what has become of the refresh token before; `done` is what else there is to say of the profile.
fn report(session: &Session, rotated: &Rotated, done: &str) -> Result<(), Failure> {
    let (name, provider) = (&rotated.profile.name, &rotated.profile.provider);
    let page = grants_page(provider);
    match rotated.previous {
        Previous::Unsupported | Previous::NoEndpoint | Previous::Forgotten => session.output.warn(&format!(
            "the refresh token before was forgotten here and not revoked; it may live on, see {page}"
        )),
        _ => {}
    }
    if session.output.json {
        let mut profile = json::profile(&rotated.profile);
        profile["previous"] = json!(word(rotated.previous));
        return session.output.json("profiles", json!([profile]));
    }
    let text = match rotated.previous {
        Previous::Same => {
            "the provider gave no new refresh token, so that the one before stays and nothing was retired"
                .to_owned()
        }
        Previous::Revoked => "the refresh token before is revoked".to_owned(),
        Previous::Spared => format!(
            "the refresh token before is forgotten and was not revoked, because that would have ended the new \
             login too; if somebody else may have it, run `vault rotate grant {name} --compromised`"
        ),
        _ => "the refresh token before is forgotten".to_owned(),
    };
    session.output.say(&format!("Profile `{name}` {done}: {text}"));
    Ok(())
}

fn word(previous: Previous) -> &'static str {
    match previous {
        Previous::Same => "same",
        Previous::Revoked => "revoked",
        Previous::Spared | Previous::Unsupported | Previous::NoEndpoint | Previous::Forgotten => "forgotten",
    }
}
