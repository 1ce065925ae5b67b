//! What a user can do about a provider that cannot be had, added or removed.

use super::{did_you_mean, some};
use crate::domain::ClientName;
use crate::ops::providers::Error;

pub(super) fn of(error: &Error) -> Vec<String> {
    let hint = match error {
        Error::Unknown { id, known } => {
            let mut hints = did_you_mean(id, known, "provider");
            hints.push(
                "give any other by `--issuer URL`, or describe it in a file for `vault provider add FILE`"
                    .into(),
            );
            return hints;
        }
        Error::Flawed { id: None, .. } => {
            "`vault provider show google` shows what such a file can say; docs/providers.md explains it"
                .into()
        }
        Error::Flawed { id: Some(id), .. } => {
            format!(
                "a newer vault may have written it; or give it again: `vault provider add FILE --replace` with the file of `{id}`"
            )
        }
        Error::BuiltIn { .. } => "give yours another id".into(),
        Error::Exists { id } => {
            format!("`vault provider show {id}` shows it; `--replace` puts this file in its place")
        }
        Error::Taken { .. } => "give yours another id".into(),
        Error::InUse { clients, .. } => {
            let names: Vec<String> = clients.iter().map(ClientName::to_string).collect();
            format!("remove what uses it first: {}", some(&names))
        }
        Error::NeedsHttps { .. } => {
            return vec![
                "register an https: address of yours at the provider, and name it with `--redirect-uri https://...`"
                    .into(),
                "the browser ends there; you copy the whole address from its address bar and paste it here".into(),
            ];
        }
        Error::NoPkce { .. } => {
            "ask its operator for it; `--allow-no-pkce` logs in without, and records that in the client"
                .into()
        }
        Error::NeedsSecret { .. } => {
            "give its secret with `--client-secret-file FILE`, or at the prompt".into()
        }
        Error::TooMany { .. } => "remove one with `vault provider remove NAME`".into(),
    };
    vec![hint]
}
