//! The secrets that providers have given out, for people and as JSON: each with its age, and the command
//! that renews it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age_words::age;
use super::error::Failure;
use super::hints::{SERVICE_ACCOUNTS_PAGE, some};
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

/// Says where the keys of service accounts are made, if there are any.
pub(super) fn say_where_keys_are_made(output: Output, secrets: &Secrets) {
    if secrets.found.iter().any(|dated| dated.is_key) {
        output.say(&format!("Keys of service accounts are made and deleted at {SERVICE_ACCOUNTS_PAGE}"));
    }
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
    output.answer(&table(&secrets, now, output.look()))?;
    say_where_keys_are_made(output, &secrets);
    Ok(())
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

/// The same where more is known of it. A token that others may have would go on working for them if it were only
/// replaced; a key comes in a file.
fn renewal(dated: &Dated, is_compromised: bool) -> String {
    let command = command(&dated.secret);
    match dated.secret {
        ProviderSecret::Grant(_) | ProviderSecret::OldGrant(_) if is_compromised => {
            format!("{command} --compromised")
        }
        ProviderSecret::ClientSecret(_) if dated.is_key => format!("{command} --client-file FILE"),
        _ => command,
    }
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
    let command = renewal(dated, is_compromised);
    vec![words(dated).into(), of.into(), (&dated.provider).into(), set, command.into()]
}

fn words(dated: &Dated) -> &'static str {
    match dated.secret {
        ProviderSecret::ClientSecret(_) if dated.is_key => "service account key",
        ProviderSecret::OldClientSecret(_) if dated.is_key => "old service account key",
        ProviderSecret::NewClientSecret(_) if dated.is_key => "new service account key",
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
        "renewed_by": renewal(dated, is_compromised),
    })
}
