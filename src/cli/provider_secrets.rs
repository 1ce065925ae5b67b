//! The secrets that providers have given out, for people and as JSON: each with its age, and the command
//! that renews it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age_words::age;
use super::hints::some;
use super::output::Output;
use super::table::{self, Cell, Look, Tone};
use crate::ops::secrets::{Dated, ProviderSecret, Secrets};

/// One row for each secret.
pub(super) fn table(secrets: &Secrets, now: Timestamp, look: Look) -> String {
    let rows = secrets.found.iter().map(|secret| row(secret, now)).collect();
    table::table(&["SECRET", "OF", "PROVIDER", "SET", "RENEWED BY"], rows, look)
}

/// A list with one object for each secret.
pub(super) fn json(secrets: &Secrets) -> Value {
    secrets.found.iter().map(object).collect()
}

/// Says what could not be looked into.
pub(super) fn warn_of_unreadable(output: Output, secrets: &Secrets) {
    if !secrets.unreadable.is_empty() {
        output
            .warn(&format!("these cannot be read, and may hold secrets too: {}", some(&secrets.unreadable)));
    }
}

/// What to type for a new one.
pub(super) fn command(secret: &ProviderSecret) -> String {
    let owner = secret.owner();
    match secret {
        ProviderSecret::ClientSecret(_) => format!("vault rotate client-secret {owner}"),
        ProviderSecret::OldClientSecret(_) => format!("vault rotate client-secret {owner} --drop-old"),
        ProviderSecret::Grant(_) => format!("vault rotate grant {owner}"),
        ProviderSecret::ApiKey(_) => format!("vault rotate api-key {owner}"),
    }
}

fn row(dated: &Dated, now: Timestamp) -> Vec<Cell> {
    let set = match dated.since {
        Some(since) => age(since, now).into(),
        None => Cell::new("unknown", Tone::Warning),
    };
    let of = dated.secret.owner().to_string();
    vec![words(&dated.secret).into(), of.into(), (&dated.provider).into(), set, command(&dated.secret).into()]
}

fn words(secret: &ProviderSecret) -> &'static str {
    match secret {
        ProviderSecret::ClientSecret(_) => "client secret",
        ProviderSecret::OldClientSecret(_) => "old client secret",
        ProviderSecret::Grant(_) => "login",
        ProviderSecret::ApiKey(_) => "API key",
    }
}

fn object(dated: &Dated) -> Value {
    json!({
        "kind": dated.secret.kind(),
        "of": dated.secret.owner().to_string(),
        "provider": dated.provider,
        "set_at": dated.since,
        "renewed_by": command(&dated.secret),
    })
}
