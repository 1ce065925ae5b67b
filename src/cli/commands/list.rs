//! `vault list`: the profiles. Opens nothing.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::age_words::{short_age, short_expiry};
use crate::cli::error::Failure;
use crate::cli::json;
use crate::cli::session::Session;
use crate::cli::table::{Cell, Tone, table};
use crate::domain::{GrantState, GrantType, Profile};
use crate::ops::registry::{self, Facts, Listed};

/// List the profiles
///
/// Needs no key and opens nothing; what it shows has not been verified.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs it.
pub(super) fn run(session: &Session, _: Args) -> Result<(), Failure> {
    session.with(|ctx| {
        let profiles = registry::list(ctx)?;
        if session.output.json {
            let profiles: Vec<Value> = profiles.iter().map(json::listed).collect();
            return session.output.json("profiles", json!(profiles));
        }
        if profiles.is_empty() {
            session.output.say("There are no profiles yet. Make one with: vault add-profile NAME");
            return Ok(());
        }
        let now = ctx.clock.now();
        let rows = profiles.iter().map(|listed| row(listed, now)).collect();
        let header = ["", "PROFILE", "ACCOUNT", "PROVIDER", "CLIENT", "LOGIN", "SCOPES"];
        session.output.answer(&table(&header, rows, session.output.look()))
    })
}

fn row(listed: &Listed, now: Timestamp) -> Vec<Cell> {
    let name = listed.name.as_str();
    match &listed.profile {
        Err(error) => vec![" ".into(), name.into(), Cell::new(error.to_string(), Tone::Bad)],
        Ok(facts) => vec![
            if facts.is_default { "*".into() } else { " ".into() },
            name.into(),
            Cell::optional(facts.profile.account.label()),
            (&facts.profile.provider).into(),
            Cell::optional(facts.client.as_ref()),
            login(&facts.profile, now),
            scopes(facts),
        ],
    }
}

/// How the login is, in a few words.
pub(super) fn login(profile: &Profile, now: Timestamp) -> Cell {
    match profile.grant_type {
        GrantType::AuthorizationCode => {}
        GrantType::ClientCredentials => return "client".into(),
        GrantType::JwtBearer { .. } => return "key".into(),
        GrantType::Impersonation { .. } => return "acts as it".into(),
    }
    let Some(grant) = &profile.grant else { return Cell::new("never", Tone::Warning) };
    match grant.state {
        GrantState::Dead => Cell::new("refused", Tone::Bad),
        GrantState::Live => match grant.expires_at {
            Some(end) => short_expiry(Some(end), now).into(),
            None => short_age(grant.obtained_at, now).into(),
        },
    }
}

fn scopes(facts: &Facts) -> Cell {
    let scopes = &facts.profile.scopes;
    let count = if scopes.granted.is_empty() { scopes.asked.len() } else { scopes.granted.len() };
    count.to_string().into()
}
