//! git's credential protocol: what git asks for a host, and what it is answered (git-credential(1),
//! gitcredentials(7)).
//!
//! git asks for whatever host a repository names, a hostile one too. So a request is read strictly, only hosts
//! that a profile is bound to are answered, and nothing that git says is kept.

use std::io::{self, Read};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::helper::{self, Reply};
use super::{Ask, Desk, Refusal, RefusalKind, user_name};
use crate::domain::{AccessToken, Host, ProfileName, Use};

/// Longest request in bytes. git keeps each line below 65535 (git-credential(1), Input/output format); a server
/// has room for many challenges.
const MAX_REQUEST: usize = 256 * 1024;

/// What we can do beyond the oldest helpers (git-credential(1), `capability`).
const CAPABILITIES: &str = "version 0\ncapability authtype\n";

/// Answers one operation for the vault behind `desk`. `named` is the profile that the configuration of git names.
///
/// # Errors
///
/// If `input` cannot be read.
pub fn answer(
    desk: &dyn Desk,
    named: Option<&ProfileName>,
    operation: &str,
    input: impl Read,
) -> io::Result<Reply> {
    match operation {
        "capability" => Ok(Reply::of(CAPABILITIES)),
        "get" => asked(input, |request| get(desk, named, request)),
        "erase" => asked(input, |request| erase(desk, named, request)),
        // Tokens come from the provider, and nowhere else. git must be able to say what it has to say.
        _ => io::copy(&mut input.take(MAX_REQUEST as u64), &mut io::sink()).map(|_| Reply::nothing()),
    }
}

fn asked(input: impl Read, work: impl FnOnce(&Request) -> Reply) -> io::Result<Reply> {
    let read = helper::read(input, MAX_REQUEST)?.ok_or("it is too long");
    Ok(match read.and_then(|bytes| Request::parse(&bytes)) {
        Ok(request) => work(&request),
        Err(why) => Reply::nothing().saying(format!("git's request is not answered: {why}")),
    })
}

fn get(desk: &dyn Desk, named: Option<&ProfileName>, request: &Request) -> Reply {
    let Some(host) = request.host() else { return Reply::nothing() };
    match desk.profile_for(Use::Git, &host, named) {
        Ok(None) => Reply::nothing(),
        Ok(Some(profile)) => {
            give(desk, &host, &profile, named.is_some(), request).unwrap_or_else(|refusal| quit(&refusal))
        }
        Err(refusal) if refusal.kind == RefusalKind::NotFound => Reply::nothing().saying(refusal.message),
        Err(refusal) => quit(&refusal),
    }
}

fn give(
    desk: &dyn Desk,
    host: &Host,
    profile: &ProfileName,
    is_named: bool,
    request: &Request,
) -> Result<Reply, Refusal> {
    let asked = request.username.as_deref();
    let Some(user) = user_name::for_git(desk, host, profile, asked, is_named)? else {
        let asked = asked.unwrap_or_default();
        return Ok(Reply::nothing().saying(format!(
            "profile `{profile}` is bound to {host}, but perhaps not `{asked}`; if it is, take the user name \
             out of the remote, or let git call the helper with `--profile {profile}`"
        )));
    };
    let token = desk.token(profile, &Ask::default())?;
    let answer = if request.wants_bearer() { bearer(&token) } else { basic(&user, &token) };
    Ok(Reply::of(answer.ok_or_else(unspeakable)?))
}

/// For a host that is ours, nobody else is to be asked: git would have a person type a password that is not meant.
fn quit(refusal: &Refusal) -> Reply {
    Reply::of("quit=1\n").saying(refusal.message.clone())
}

fn basic(user: &str, token: &AccessToken) -> Option<SecretString> {
    lines(&[("username", user), ("password", token.value.expose_secret())], token)
}

/// `ephemeral`, so that no other helper keeps it (git-credential(1)).
fn bearer(token: &AccessToken) -> Option<SecretString> {
    let credential = token.value.expose_secret();
    let fields = [
        ("capability[]", "authtype"),
        ("authtype", "Bearer"),
        ("credential", credential),
        ("ephemeral", "1"),
    ];
    lines(&fields, token)
}

/// The answer, unless a value would be more than one line.
fn lines(fields: &[(&str, &str)], token: &AccessToken) -> Option<SecretString> {
    let is_line = |value: &str| !value.contains(char::is_control);
    let mut text = Zeroizing::new(String::with_capacity(MAX_REQUEST));
    for (key, value) in fields.iter().filter(|(_, value)| is_line(value)) {
        text.extend([key, "=", value, "\n"]);
    }
    if let Some(end) = token.expires_at {
        text.push_str(&format!("password_expiry_utc={}\n", end.as_second()));
    }
    fields.iter().all(|(_, value)| is_line(value)).then(|| text.as_str().into())
}

fn unspeakable() -> Refusal {
    let message = "the token, or the address of its account, does not fit into a line".to_owned();
    Refusal { kind: RefusalKind::Other, message }
}

/// git says that what it was given does not work.
fn erase(desk: &dyn Desk, named: Option<&ProfileName>, request: &Request) -> Reply {
    let (Some(host), Some(secret)) = (request.host(), &request.secret) else { return Reply::nothing() };
    let forgotten = desk.profile_for(Use::Git, &host, named).and_then(|profile| match profile {
        Some(profile) => desk.forget(&profile, secret),
        None => Ok(()),
    });
    forgotten.map_or_else(|refusal| Reply::nothing().saying(refusal.message), |()| Reply::nothing())
}

/// What git says. `Debug` does not show the secret.
#[derive(Debug, Default)]
struct Request {
    protocol: Option<String>,
    host: Option<String>,
    username: Option<String>,
    /// `password`, or `credential` where git was given one.
    secret: Option<SecretString>,
    /// Whether git can send other headers than `Basic` ones.
    takes_authtype: bool,
    /// The values of the server's `WWW-Authenticate` headers.
    challenges: Vec<String>,
}

impl Request {
    /// Reads `key=value` lines up to a blank one. Whatever can be read in two ways is refused: a line that ends
    /// in more than LF (CVE-2020-5260, CVE-2024-52006), a key that comes twice.
    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
        let mut request = Self::default();
        for line in text.split('\n').take_while(|line| !line.is_empty()) {
            let (key, value) = line.split_once('=').ok_or("a line has no `=`")?;
            if line.contains(char::is_control) {
                return Err("a value holds a control character");
            }
            request.take(key, value)?;
        }
        Ok(request)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        let once = |known: bool| if known { Err("a key comes twice") } else { Ok(()) };
        match key {
            "protocol" => once(self.protocol.replace(value.to_owned()).is_some())?,
            "host" => once(self.host.replace(value.to_owned()).is_some())?,
            "username" if value.is_empty() => {}
            "username" => once(self.username.replace(value.to_owned()).is_some())?,
            "password" | "credential" => once(self.secret.replace(value.into()).is_some())?,
            "capability[]" => self.takes_authtype |= value == "authtype",
            // An empty one begins the list anew (git-credential(1)).
            "wwwauth[]" if value.is_empty() => self.challenges.clear(),
            "wwwauth[]" => self.challenges.push(value.to_owned()),
            // Keys of other versions, and `path`: a token is good for a host.
            _ => {}
        }
        Ok(())
    }

    fn host(&self) -> Option<Host> {
        Host::under_scheme(self.protocol.as_deref()?, self.host.as_deref()?)
    }

    /// A token in place of a password works at every server of git that offers `Basic`; the header of RFC 6750
    /// is for those that offer nothing else.
    fn wants_bearer(&self) -> bool {
        self.takes_authtype && self.is_offered("bearer") && !self.is_offered("basic")
    }

    fn is_offered(&self, scheme: &str) -> bool {
        self.challenges.iter().flat_map(|header| schemes(header)).any(|it| it.eq_ignore_ascii_case(scheme))
    }
}

/// The schemes in a header that may hold several challenges (RFC 9110, 11.6.1): the words behind its commas that
/// are no parameters.
fn schemes(header: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let parts = header.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    parts.filter_map(|part| part.split_whitespace().next()).filter(|word| !word.contains('='))
}

#[cfg(test)]
mod tests;
