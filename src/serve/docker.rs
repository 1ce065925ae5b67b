//! The protocol of docker's credential helpers, which podman, skopeo, crane and others speak too: an action as the
//! only argument, what it is about on standard input, JSON or an error on standard output
//! (docker/docker-credential-helpers, `credentials/credentials.go`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::helper::{self, Reply};
use super::{Ask, Desk, RefusalKind, user_name};
use crate::domain::{AccessToken, Host, ProfileName, Use};

/// What docker takes for "go on without": any other error it may tell the person (docker-credential-helpers,
/// `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found in native keychain";

/// The same file: nothing was named.
const NO_SERVER: &str = "no credentials server URL";

/// Longest name of a server in bytes, or what is said to be stored under it.
const MAX_REQUEST: usize = 64 * 1024;

/// Paths with which registries are named by old habit; behind any other path there is something else.
const PATHS: [&str; 5] = ["", "v1", "v1/", "v2", "v2/"];

/// The registry that docker knows by another name than its host's (`registry.IndexServer`).
const DOCKER_HUB: (&str, &str) = ("index.docker.io", "https://index.docker.io/v1/");

/// Answers one action for the vault behind `desk`. `named` is the profile that is meant. What it answers to `list`
/// is [`list`].
///
/// # Errors
///
/// If `input` cannot be read.
pub fn answer(
    desk: &dyn Desk,
    named: Option<&ProfileName>,
    action: &str,
    input: impl Read,
) -> io::Result<Reply> {
    match action {
        "get" => with_server(input, |server| get(desk, named, server)),
        "erase" => with_server(input, |_| Reply::nothing()),
        "store" => store(input),
        "version" => {
            Ok(Reply::of(concat!("docker-credential-vault (vault) ", env!("CARGO_PKG_VERSION"), "\n")))
        }
        _ => Ok(error(&format!("Unknown credential action `{action}`"))),
    }
}

/// The answer to `list`: `bound`, the registries that profiles are bound to, with their users.
pub fn list(bound: &BTreeSet<Host>) -> Reply {
    let users: BTreeMap<String, &str> =
        bound.iter().map(|host| (server_name(host), user_name::for_registry(host))).collect();
    Reply::of(serde_json::to_string(&users).expect("it can be written to memory"))
}

fn with_server(input: impl Read, work: impl FnOnce(&str) -> Reply) -> io::Result<Reply> {
    let read = helper::read(input, MAX_REQUEST)?;
    let server = read.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::trim_ascii);
    Ok(match server {
        Some("") => error(NO_SERVER),
        Some(server) => work(server),
        None => error(NOT_FOUND),
    })
}

fn get(desk: &dyn Desk, named: Option<&ProfileName>, server: &str) -> Reply {
    let Some(host) = host(server) else { return error(NOT_FOUND) };
    let token = match desk.profile_for(Use::Docker, &host, named) {
        Ok(None) => return error(NOT_FOUND),
        Ok(Some(profile)) => desk.token(&profile, &Ask::default()),
        Err(refusal) if refusal.kind == RefusalKind::NotFound => {
            return error(NOT_FOUND).saying(refusal.message);
        }
        Err(refusal) => Err(refusal),
    };
    match token {
        Ok(token) => Reply::of(credentials(server, user_name::for_registry(&host), &token)),
        // Whoever reads the answer mostly keeps it to himself; what is said on standard error is seen.
        Err(refusal) => error(&refusal.message).saying(refusal.message),
    }
}

/// The host of `server`: `host:port`, also with a scheme and a path as in `https://index.docker.io/v1/`.
fn host(server: &str) -> Option<Host> {
    let (scheme, rest) = server.split_once("://").unwrap_or(("https", server));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    PATHS.contains(&path).then(|| Host::under_scheme(scheme, host)).flatten()
}

/// What docker reads.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    username: &'a str,
    secret: &'a str,
}

fn credentials(server: &str, user: &str, token: &AccessToken) -> SecretString {
    let credentials = Credentials { server, username: user, secret: token.value.expose_secret() };
    serde_json::to_string(&credentials).expect("it can be written to memory").into()
}

/// Tokens come from the provider, and nowhere else. An error would end a `docker login` that has succeeded.
fn store(input: impl Read) -> io::Result<Reply> {
    io::copy(&mut input.take(MAX_REQUEST as u64), &mut io::sink())?;
    Ok(Reply::nothing()
        .saying("nothing is stored: this registry is answered out of the vault, with the token of a profile"))
}

fn server_name(host: &Host) -> String {
    let (hub, name) = DOCKER_HUB;
    if host.to_string() == hub { name.to_owned() } else { host.to_string() }
}

/// An error stands on standard output (docker-credential-helpers, `credentials.Serve`).
fn error(text: &str) -> Reply {
    Reply { is_error: true, ..Reply::of(format!("{text}\n")) }
}

#[cfg(test)]
mod tests;
