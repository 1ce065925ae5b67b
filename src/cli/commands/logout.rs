//! `vault logout`: ends a login at the provider and forgets it.

use serde_json::{Value, json};

use crate::cli::args::ProfileArg;
use crate::cli::error::{Failure, outcome_of};
use crate::cli::exit::Code;
use crate::cli::hints::grants_page;
use crate::cli::session::Session;
use crate::domain::ProfileName;
use crate::ops;
use crate::ops::audit::Outcome;
use crate::ops::logout::{Ending, LoggedOut, MayEnd, Request, logout, logout_all};

/// End a login at the provider and forget it
///
/// The refresh token is revoked first and forgotten only then: if the provider cannot be asked, nothing
/// changes. The profile stays, with its client and its API key; `vault login` logs it in again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault logout work
  vault logout work --local-only     the grant lives on at the provider
  vault logout --all                 goes on after a failure; run it again

At Google, one revocation ends all logins of the same user and client. Other
profiles that lose theirs are named before; `--yes` accepts that where nobody
can be asked.")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    /// Log every profile out
    #[arg(long, conflicts_with_all = ["name", "option"])]
    all: bool,
    /// Do not ask the provider: forget the login on this machine only
    #[arg(long)]
    local_only: bool,
    /// Do not ask whether other profiles may lose their login too
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.unlocked(|ctx, vault| {
        let done = match args.all {
            true => logout_all(ctx, vault, args.local_only, &|ctx, result| {
                session.write_down(ctx, result.as_ref().map_or_else(outcome_of, |_| Outcome::Done));
            })?,
            false => {
                let name = args.profile.resolve(session, ctx, vault)?;
                vec![end_named(session, args.yes, |may_end| {
                    logout(ctx, vault, &name, &Request { local_only: args.local_only, may_end })
                })?]
            }
        };
        report(session, &done)
    })
}

/// Does what may end the login of other profiles too, once the person has read which.
pub(super) fn end_named<T>(
    session: &Session,
    yes: bool,
    act: impl Fn(MayEnd<'_>) -> Result<T, ops::Error>,
) -> Result<T, Failure> {
    if yes {
        return Ok(act(MayEnd::Any)?);
    }
    let mut named: Vec<ProfileName> = Vec::new();
    loop {
        match act(MayEnd::These(&named)) {
            Err(error @ ops::Error::EndsSiblings { .. }) if session.may_ask() => {
                if !session.terminal().confirm_plainly(&format!("{error}. Go on?")) {
                    return Err(Failure::new(Code::Cancelled, "nothing was revoked"));
                }
                let ops::Error::EndsSiblings { siblings, .. } = error else { unreachable!("matched above") };
                named = siblings;
            }
            result => return Ok(result?),
        }
    }
}

fn report(session: &Session, done: &[LoggedOut]) -> Result<(), Failure> {
    for out in done {
        warn_of_what_lives(session, out);
    }
    if session.output.json {
        let profiles: Vec<Value> = done.iter().map(as_json).collect();
        return session.output.json("profiles", json!(profiles));
    }
    for out in done {
        session.output.say(&words(out));
    }
    if done.is_empty() {
        session.output.say("No profile is logged in");
    }
    Ok(())
}

/// Says what of a login still works at the provider.
pub(super) fn warn_of_what_lives(session: &Session, out: &LoggedOut) {
    let page = grants_page(&out.provider);
    let why = match out.grant {
        Ending::NotAsked => "the provider was not asked",
        Ending::Unsupported => "the provider does not revoke such tokens",
        Ending::NoEndpoint => "the provider has no address where tokens are revoked",
        _ => return,
    };
    session.output.warn(&format!(
        "{why}: the grant of `{}` was forgotten here and lives on there; end it at {page}",
        out.profile
    ));
}

fn words(out: &LoggedOut) -> String {
    let name = &out.profile;
    let text = match out.grant {
        Ending::NotLoggedIn => return format!("Profile `{name}` is not logged in"),
        Ending::NoPerson => {
            return format!(
                "Profile `{name}` needs no login, so that there is nothing to revoke; its cached tokens are forgotten. \
                 Those that were given out end by themselves. `vault remove {name}` removes it"
            );
        }
        Ending::Revoked | Ending::Gone => format!("Profile `{name}` is logged out, and its grant is revoked"),
        _ => format!("Profile `{name}` is logged out"),
    };
    if out.siblings.is_empty() {
        return text;
    }
    let ended: Vec<String> = out.siblings.iter().map(|name| format!("`{name}`")).collect();
    format!("{text}; these have ended with it: {}", ended.join(", "))
}

fn as_json(out: &LoggedOut) -> Value {
    let grant = match out.grant {
        Ending::NotLoggedIn | Ending::NoPerson => "none",
        Ending::Revoked | Ending::Gone => "revoked",
        Ending::Over => "over",
        Ending::NotAsked | Ending::Unsupported | Ending::NoEndpoint => "alive",
    };
    json!({ "name": out.profile, "grant": grant, "ended_with_it": out.siblings })
}
