//! `vault show`: one profile. Opens nothing.

use jiff::Timestamp;
use serde_json::json;

use crate::cli::age_words::{age, expiry};
use crate::cli::args::ProfileArg;
use crate::cli::error::Failure;
use crate::cli::json;
use crate::cli::session::Session;
use crate::cli::table::{Cell, Tone, details};
use crate::domain::{Grant, GrantState, GrantType, SealedField, counted};
use crate::ops::registry::{self, Facts};

/// Show one profile
///
/// Needs no key and opens nothing; what it shows has not been verified.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.with(|ctx| {
        let name = args.profile.resolve_unverified(session, ctx)?;
        let facts = registry::show(ctx, &name)?;
        if session.output.json {
            return session.output.json("profiles", json!([json::facts_of(&facts)]));
        }
        session.output.answer(&details(lines(&facts, ctx.clock.now()), session.output.look()))
    })
}

fn lines(facts: &Facts, now: Timestamp) -> Vec<(&'static str, Cell)> {
    let profile = &facts.profile;
    let mut lines = vec![
        ("Profile", profile.name.as_str().into()),
        ("Default", if facts.is_default { "yes".into() } else { "no".into() }),
        ("Account", Cell::optional(profile.account.label())),
        ("Provider", (&profile.provider).into()),
        ("Client", Cell::optional(facts.client.as_ref())),
        (
            "API key",
            if facts.holds(SealedField::ApiKey) { sealed(profile.api_key_set_at, now) } else { Cell::none() },
        ),
    ];
    match profile.grant_type.needs_person() {
        true => lines.extend(grant_lines(profile.grant.as_ref(), now)),
        false => lines.extend(program_lines(facts)),
    }
    lines.push(("Asked", scope_list(&profile.scopes.asked)));
    lines.push(("Granted", scope_list(&profile.scopes.granted)));
    lines.extend(profile.project.as_ref().map(|project| ("Project", project.into())));
    lines.extend(profile.browser.as_ref().map(|browser| ("Browser", browser.into())));
    for (need, hosts) in &profile.hosts {
        lines.extend(hosts.iter().map(|host| ("Bound to", format!("{host} ({need})").into())));
    }
    for (variable, field) in &profile.exports {
        lines.push(("Exports", format!("{variable}={field}").into()));
    }
    lines
}

/// A secret that is there, and since when, where that is known.
pub(super) fn sealed(since: Option<Timestamp>, now: Timestamp) -> Cell {
    since.map_or_else(|| "sealed".into(), |since| format!("sealed, set {}", age(since, now)).into())
}

fn scope_list(scopes: &crate::domain::Scopes) -> Cell {
    Cell::optional((!scopes.is_empty()).then(|| scopes.to_string()))
}

/// What stands in the place of a login.
fn program_lines(facts: &Facts) -> Vec<(&'static str, Cell)> {
    let mut lines = vec![("Tokens by", json::way(&facts.profile.grant_type).into())];
    if let GrantType::Impersonation { endpoint, delegates, lifetime_s, .. } = &facts.profile.grant_type {
        let source = facts.source.as_deref();
        lines.push((
            "By right of",
            source.map_or_else(|| Cell::new("a profile that is gone", Tone::Bad), Into::into),
        ));
        lines.extend(delegates.iter().map(|delegate| ("Delegate", delegate.into())));
        lines.push(("Lifetime", counted((*lifetime_s / 60) as usize, "minute").into()));
        lines.push(("Asked at", endpoint.as_str().into()));
    }
    lines
}

fn grant_lines(grant: Option<&Grant>, now: Timestamp) -> Vec<(&'static str, Cell)> {
    let Some(grant) = grant else { return vec![("Login", Cell::new("never", Tone::Warning))] };
    let state = match grant.state {
        GrantState::Live => Cell::new(age(grant.obtained_at, now), Tone::Plain),
        GrantState::Dead => {
            Cell::new(format!("refused by the provider; {}", age(grant.obtained_at, now)), Tone::Bad)
        }
    };
    let mut lines = vec![("Login", state)];
    if let Some(at) = grant.refreshed_at {
        lines.push(("Renewed", age(at, now).into()));
    }
    if let Some(end) = grant.expires_at {
        lines.push(("Ends", expiry(Some(end), now).into()));
    }
    if !grant.refreshable {
        lines.push(("Refresh", Cell::new("not possible: the provider gave no refresh token", Tone::Warning)));
    }
    lines
}
