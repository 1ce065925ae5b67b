//! What a user can do where a request to an API did not do what was asked.

use super::{oauth_hints, typed};
use crate::oauth;
use crate::ops::api::{Error, Obstacle};

pub(super) fn of(error: &Error) -> Vec<String> {
    let hint = match error {
        Error::HostNotAllowed { profile, host } => format!(
            "if you trust {host} with the token of `{profile}`, run the same command with `--allow-host {host}`"
        ),
        Error::Url(what) if what.contains("plain HTTP") => {
            "tokens go to plain HTTP only on this machine, and only if the client was made with \
             `--insecure-loopback`"
                .into()
        }
        Error::Url(what) if what.contains("is not an https:") => "tokens go over https: only".into(),
        Error::Url(_) => "write the address as `https://host/path`, and nothing else before the path".into(),
        Error::NotOfProvider { .. } => "leave out `--api-key` and `--quota-project` for this host".into(),
        // It reads as if a refresh were meant.
        Error::Exchange(oauth::Error::Lost { .. }) | Error::BrokenOff { .. } => {
            "the server may have acted upon the request; if that matters, look before you send it again"
                .into()
        }
        Error::Exchange(error) => return oauth_hints(error),
        Error::Redirected { why: None, .. } => {
            "add `--follow` to go there; the token goes along only within the same host".into()
        }
        Error::Redirected { .. } => "`-i` shows where it leads; ask there directly if you trust it".into(),
        Error::Refused { profile, obstacle: Some(obstacle), .. } => {
            return obstacle_hint(profile.as_str(), obstacle);
        }
        Error::Unavailable { retry_after: Some(wait), .. } => {
            format!("try again in {} seconds", wait.as_secs())
        }
        Error::Unavailable { .. } => "try again in a minute".into(),
        _ => return Vec::new(),
    };
    vec![hint]
}

fn obstacle_hint(profile: &str, obstacle: &Obstacle) -> Vec<String> {
    let hint = match obstacle {
        Obstacle::Scopes(scopes) => {
            let scopes: Vec<&str> = scopes.iter().collect();
            return match &scopes[..] {
                [] => vec![format!(
                    "add the scope that this API asks for: `vault login {profile} --scope SCOPE`"
                )],
                [scope] => vec![format!("run `vault login {profile} --scope {}`", typed(scope))],
                [first, others @ ..] => vec![
                    format!("run `vault login {profile} --scope {}`", typed(first)),
                    format!("any of these may do as well: {}", super::some(&owned(others))),
                ],
            };
        }
        Obstacle::Token => {
            format!(
                "see whether this is an API of the provider of `{profile}`; if it is, run `vault login {profile}`"
            )
        }
        Obstacle::ServiceDisabled => {
            "enable it where the answer says, or name a project in which it is with `--quota-project`".into()
        }
        Obstacle::Project => {
            format!(
                "name a project that this account may use, with `--quota-project`, or from now on with `vault edit {profile} --project`"
            )
        }
    };
    vec![hint]
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}
