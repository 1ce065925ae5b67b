//! `vault status`: how the vault and its logins are, and what needs attention. Opens nothing.

use jiff::Timestamp;
use serde_json::json;

use super::list::login;
use crate::cli::age_words::{age, expiry, short_expiry};
use crate::cli::args::ProfileArg;
use crate::cli::error::Failure;
use crate::cli::json;
use crate::cli::provider_secrets;
use crate::cli::session::Session;
use crate::cli::table::{Cell, Tone, details, table};
use crate::domain::{GrantState, Profile};
use crate::ops::hold;
use crate::ops::secrets::ProviderSecret;
use crate::ops::status::{ProfileStatus, Status, status};

/// Show how the vault and its logins are, and what needs attention
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
        let status = status(ctx, args.profile.typed())?;
        let held_until = hold::held_until(ctx).unwrap_or_default();
        if session.output.json {
            return as_json(session, &status, held_until);
        }
        let now = ctx.clock.now();
        let look = session.output.look();
        session.output.answer(&details(vault_lines(&status, held_until, now), look))?;
        if status.profiles.is_empty() {
            return Ok(());
        }
        let rows = status.profiles.iter().map(|profile| row(profile, now)).collect();
        session.output.answer("\n")?;
        session.output.answer(&table(&["PROFILE", "ACCOUNT", "LOGIN", "TOKEN", "ATTENTION"], rows, look))
    })
}

fn as_json(session: &Session, status: &Status, held_until: Option<Timestamp>) -> Result<(), Failure> {
    let object = json!({
        "version": 1,
        "vault": json::status(status, held_until),
        "profiles": status.profiles.iter().map(json::profile_status).collect::<Vec<_>>(),
    });
    session.output.answer(&format!("{object:#}\n"))
}

fn vault_lines(status: &Status, held_until: Option<Timestamp>, now: Timestamp) -> Vec<(&'static str, Cell)> {
    let pin = match &status.pin {
        Some(pin) if pin.kids.contains(&status.kid) => {
            Cell::new(format!("{}, accepted on this machine {}", status.kid, age(pin.since, now)), Tone::Good)
        }
        Some(_) => Cell::new(format!("{}, not accepted on this machine", status.kid), Tone::Bad),
        None => Cell::new(format!("{}, not used on this machine yet", status.kid), Tone::Warning),
    };
    let mut lines = vec![
        ("Vault", (&status.location).into()),
        ("Key", pin),
        ("Unlocked by", status.slots.join(", ").into()),
    ];
    if let Some(end) = held_until {
        lines.push(("Key held", expiry(Some(end), now).into()));
    }
    let unfinished = |secret: &ProviderSecret| {
        let text = format!("{}: {}", secret.owner(), provider_secrets::unfinished(secret));
        ("Unfinished", Cell::new(text, Tone::Warning))
    };
    lines.extend(status.unfinished.iter().map(unfinished));
    lines
}

fn row(status: &ProfileStatus, now: Timestamp) -> Vec<Cell> {
    let name = status.listed.name.as_str();
    match &status.listed.profile {
        Err(error) => vec![
            name.into(),
            Cell::none(),
            Cell::none(),
            Cell::none(),
            Cell::new(error.to_string(), Tone::Bad),
        ],
        Ok(facts) => vec![
            name.into(),
            Cell::optional(facts.profile.account.label()),
            login(&facts.profile, now),
            Cell::optional(status.token_expires_at.map(|end| short_expiry(Some(end), now))),
            attention(status),
        ],
    }
}

fn needs_login(profile: &Profile) -> bool {
    profile.grant_type.needs_person()
        && profile.grant.as_ref().is_none_or(|grant| grant.state == GrantState::Dead)
}

fn attention(status: &ProfileStatus) -> Cell {
    let mut warnings: Vec<String> = status.warnings.iter().map(ToString::to_string).collect();
    if status.listed.profile.as_ref().is_ok_and(|facts| needs_login(&facts.profile)) {
        warnings.push(format!("run `vault login {}`", status.listed.name));
    }
    if warnings.is_empty() { Cell::none() } else { Cell::new(warnings.join("; "), Tone::Warning) }
}
