//! The secrets that providers have given out, for people and as JSON: each with its age, and the command
//! that renews it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age_words::age;
use super::error::Failure;
use super::hints::some;
use super::output::Output;
use super::table::{self, Cell, Look, Tone};
use crate::ops::secrets::{Dated, ProviderSecret, Secrets};

/// One row for each secret.
pub(super) fn table(secrets: &Secrets, now: Timestamp, look: Look) -> String {
    let rows = secrets.found.iter().map(|secret| row(secret, secrets.is_compromised(secret), now)).collect();
    table::table(&["SECRET", "OF", "PROVIDER", "SET", "RENEWED BY"], rows, look)
}

/// A list with one object for each secret.
pub(super) fn json(secrets: &Secrets) -> Value {
    secrets.found.iter().map(|secret| object(secret, secrets.is_compromised(secret))).collect()
}

/// Says what could not be looked into.
pub(super) fn warn_of_unreadable(output: Output, secrets: &Secrets) {
    if !secrets.unreadable.is_empty() {
        output
            .warn(&format!("these cannot be read, and may hold secrets too: {}", some(&secrets.unreadable)));
    }
}

/// Ends a rotation of the vault key: what is left to be renewed at the providers, if others may have had the
/// old key; else all there is.
pub(super) fn tell_what_is_left(output: Output, secrets: Secrets, now: Timestamp) -> Result<(), Failure> {
    warn_of_unreadable(output, &secrets);
    let secrets = match secrets.compromised_at {
        Some(moment) => secrets.from_before(moment),
        None => secrets,
    };
    if secrets.found.is_empty() {
        return Ok(());
    }
    output.say(match secrets.compromised_at {
        Some(_) => "Others may have had the old key, and with it these secrets. Renew each at its provider:",
        None => {
            "A new vault key renews nothing at the providers. What they have given out, the oldest first:"
        }
    });
    output.answer(&table(&secrets, now, output.look()))
}

/// What to type for a new one.
pub(super) fn command(secret: &ProviderSecret) -> String {
    let owner = secret.owner();
    match secret {
        ProviderSecret::ClientSecret(_) | ProviderSecret::NewClientSecret(_) => {
            format!("vault rotate client-secret {owner}")
        }
        ProviderSecret::OldClientSecret(_) => format!("vault rotate client-secret {owner} --drop-old"),
        ProviderSecret::Grant(_) | ProviderSecret::OldGrant(_) => format!("vault rotate grant {owner}"),
        ProviderSecret::ApiKey(_) => format!("vault rotate api-key {owner}"),
    }
}

/// The same for a secret that others may have: a token that is only replaced would go on working for them.
fn renewal(secret: &ProviderSecret, is_compromised: bool) -> String {
    let command = command(secret);
    let is_login = matches!(secret, ProviderSecret::Grant(_) | ProviderSecret::OldGrant(_));
    if is_compromised && is_login { format!("{command} --compromised") } else { command }
}

/// What is left to do with a secret that a rotation has left, and the command that does it.
pub(super) fn unfinished(secret: &ProviderSecret) -> String {
    let what = secret.unfinished().unwrap_or("nothing is left to do");
    format!("{what}; run `{}`", command(secret))
}

/// The same for programs.
pub(super) fn unfinished_json(secret: &ProviderSecret) -> Value {
    json!({ "kind": secret.kind(), "of": secret.owner().to_string(), "finished_by": command(secret) })
}

fn row(dated: &Dated, is_compromised: bool, now: Timestamp) -> Vec<Cell> {
    let since = dated.since.map_or_else(|| "unknown".to_owned(), |since| age(since, now));
    let set = match (dated.since, is_compromised) {
        (_, true) => Cell::new(format!("{since}, may be known to others"), Tone::Bad),
        (None, false) => Cell::new(since, Tone::Warning),
        (Some(_), false) => since.into(),
    };
    let of = dated.secret.owner().to_string();
    let command = renewal(&dated.secret, is_compromised);
    vec![words(&dated.secret).into(), of.into(), (&dated.provider).into(), set, command.into()]
}

fn words(secret: &ProviderSecret) -> &'static str {
    match secret {
        ProviderSecret::ClientSecret(_) => "client secret",
        ProviderSecret::OldClientSecret(_) => "old client secret",
        ProviderSecret::NewClientSecret(_) => "new client secret",
        ProviderSecret::Grant(_) => "login",
        ProviderSecret::OldGrant(_) => "old refresh token",
        ProviderSecret::ApiKey(_) => "API key",
    }
}

fn object(dated: &Dated, is_compromised: bool) -> Value {
    json!({
        "kind": dated.secret.kind(),
        "of": dated.secret.owner().to_string(),
        "provider": dated.provider,
        "set_at": dated.since,
        "compromised": is_compromised,
        "renewed_by": renewal(&dated.secret, is_compromised),
    })
}
