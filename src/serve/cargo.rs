//! cargo's credential providers: questions and answers in lines of JSON, until cargo has no more.
//!
//! <https://doc.rust-lang.org/cargo/reference/credential-provider-protocol.html>

use std::io::{self, BufRead, Read, Write};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::{Ask, Desk, Refusal, RefusalKind};
use crate::domain::{AccessToken, Host, ProfileName, Use};

/// The one version there is.
const VERSION: u32 = 1;

/// Longest question in bytes: a registry's headers come along.
const LONGEST: u64 = 1024 * 1024;

/// Answers the questions of `input` on `output` until it ends.
///
/// What cannot be had is an answer, too: cargo shows none to its user if we end with a failure.
///
/// # Errors
///
/// If `input` cannot be read, or `output` not be written.
pub fn serve(desk: &dyn Desk, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<()> {
    say(output, &Hello { v: [VERSION] })?;
    loop {
        // With `login`, a token of the user's stands in it.
        let mut line = Zeroizing::new(Vec::new());
        let length = input.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        match answer(desk, &line) {
            Ok(token) => say(output, &Answer::Ok(&Got::from(&token)))?,
            Err(refused) => say(output, &Answer::Err(&refused))?,
        }
        if !line.ends_with(b"\n") {
            return Ok(());
        }
    }
}

#[derive(Serialize)]
struct Hello {
    v: [u32; 1],
}

/// A question, as far as it matters here; cargo may send more.
#[derive(Deserialize)]
struct Request {
    v: u32,
    registry: Registry,
    kind: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registry {
    index_url: String,
}

#[derive(Serialize)]
enum Answer<'a> {
    Ok(&'a Got<'a>),
    Err(&'a Refused),
}

/// The token of a registry. It is the same for whatever cargo does there.
#[derive(Serialize)]
#[serde(tag = "kind", rename = "get")]
struct Got<'a> {
    token: Bearer<'a>,
    #[serde(flatten)]
    cache: Cache,
    operation_independent: bool,
}

/// The value of the header `Authorization`, which cargo sends as it is.
struct Bearer<'a>(&'a SecretString);

impl Serialize for Bearer<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = Zeroizing::new(format!("Bearer {}", self.0.expose_secret()));
        serializer.serialize_str(&value)
    }
}

/// How long cargo may keep a token, in its memory and for one run at most.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "cache", rename_all = "kebab-case")]
enum Cache {
    /// Until this second since 1970.
    Expires { expiration: i64 },
    /// For the run.
    Session,
}

/// Why there is no token. Only [`Refused::Other`] reaches the user in our words; after the first two, cargo
/// asks its other providers.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Refused {
    UrlNotSupported,
    OperationNotSupported,
    #[serde(rename_all = "kebab-case")]
    Other {
        message: String,
        caused_by: Vec<String>,
    },
}

impl Refused {
    fn other(message: impl Into<String>) -> Self {
        Self::Other { message: message.into(), caused_by: Vec::new() }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::other(refusal.message)
    }
}

impl<'a> From<&'a AccessToken> for Got<'a> {
    fn from(token: &'a AccessToken) -> Self {
        let cache = match token.expires_at {
            Some(end) => Cache::Expires { expiration: end.as_second() },
            None => Cache::Session,
        };
        Self { token: Bearer(&token.value), cache, operation_independent: true }
    }
}

fn answer(desk: &dyn Desk, line: &[u8]) -> Result<AccessToken, Refused> {
    // What serde says repeats what it met, which may be a token of the user's.
    let request: Request =
        serde_json::from_slice(line).map_err(|_| Refused::other("this is no question of cargo's"))?;
    if request.v != VERSION {
        return Err(Refused::other(format!("version {} of cargo's protocol is not spoken here", request.v)));
    }
    if request.kind != "get" {
        return Err(Refused::OperationNotSupported);
    }
    let named = named(&request.args)?;
    let host = host(&request.registry.index_url).ok_or(Refused::UrlNotSupported)?;
    let profile = match desk.profile_for(Use::Cargo, &host, named.as_ref()) {
        // Where there is no vault, nobody is bound to anything.
        Err(refusal) if refusal.kind == RefusalKind::NotFound && named.is_none() => None,
        found => found?,
    };
    let profile = profile.ok_or_else(|| unbound(&host, named.as_ref()))?;
    Ok(desk.token(&profile, &Ask::default())?)
}

/// The arguments of the configuration: `--profile NAME` or nothing.
fn named(arguments: &[String]) -> Result<Option<ProfileName>, Refused> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let name = match arguments[..] {
        [] => return Ok(None),
        ["--profile" | "-p", name] => name,
        [argument] if argument.starts_with("--profile=") => &argument["--profile=".len()..],
        _ => {
            let typed = arguments.join(" ");
            let message =
                format!("credential-provider takes `--profile NAME` and nothing else, not `{typed}`");
            return Err(Refused::other(message));
        }
    };
    name.parse().map(Some).map_err(|error| Refused::other(format!("credential-provider: {error}")))
}

/// The host of an index whose token would travel encrypted, or not leave this machine.
fn host(index: &str) -> Option<Host> {
    let url = Url::parse(index.strip_prefix("sparse+").unwrap_or(index)).ok()?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    let host = Host::of_url(&url).filter(|_| !has_user)?;
    match url.scheme() {
        "https" => Some(host),
        "http" if host.is_loopback() => Some(host),
        _ => None,
    }
}

/// A provider that was chosen for this registry says what is missing; one of several leaves it to the others.
fn unbound(host: &Host, named: Option<&ProfileName>) -> Refused {
    let Some(name) = named else { return Refused::UrlNotSupported };
    Refused::other(format!(
        "profile `{name}` is not bound to this registry; to send its token there, run `vault edit {name} --bind {}={host}`",
        Use::Cargo
    ))
}

fn say(output: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    let mut line = Zeroizing::new(serde_json::to_vec(what).expect("an answer is plain text"));
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

#[cfg(test)]
mod tests;
