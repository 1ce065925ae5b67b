//! Who has signed in, as the ID token says.
//!
//! Only for a token that came straight from the token endpoint: TLS shows who sent it, so that the
//! signature need not be checked (OpenID Connect Core, 3.1.3.7, 6).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::json::{self, Members, Value};
use super::{Error, printable};
use crate::domain::Account;

/// How far clocks may differ.
const LEEWAY: SignedDuration = SignedDuration::from_mins(5);

/// Longest subject in characters (OpenID Connect Core, 2).
const MAX_SUBJECT: usize = 255;

/// Longest address in characters (RFC 5321, 4.5.3.1 with the `@`).
const MAX_EMAIL: usize = 320;

/// Google leaves out the scheme in old tokens, and says that both forms are its own.
const GOOGLE: (&str, &str) = ("https://accounts.google.com", "accounts.google.com");

/// What an ID token must say to be ours.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// For which client.
    pub client_id: &'a str,
    /// In answer to which login; `None` for one that came with a refresh.
    pub nonce: Option<&'a str>,
    /// What time it is; `None` for one that came with a refresh, whose time does not matter.
    pub now: Option<Timestamp>,
}

/// The account that `id_token` names.
///
/// # Errors
///
/// [`Error::Nonsense`] if it is not an ID token, [`Error::Policy`] if it is not ours.
pub fn claims(id_token: &SecretString, expect: &Expectation<'_>) -> Result<Account, Error> {
    let claims = decode(id_token.expose_secret())?;
    check_issuer(&claims, expect.issuer)?;
    check_audience(&claims, expect.client_id)?;
    expect.now.map_or(Ok(()), |now| check_time(&claims, now))?;
    check_nonce(&claims, expect.nonce)?;
    let subject = claims.text("sub").filter(|text| is_subject(text));
    let subject = subject.ok_or_else(|| Error::policy("the ID token names no subject"))?;
    Ok(Account { email: email(&claims), subject: Some(subject.to_owned()) })
}

/// Whether `text` can be a subject (OpenID Connect Core, 2): some ASCII, not too much.
pub(super) fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SUBJECT && text.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

/// The address, unless the provider says that nobody has proven it.
pub(super) fn email(claims: &Members) -> Option<String> {
    let is_disowned = match claims.get("email_verified") {
        Some(Value::Bool(verified)) => !verified,
        Some(Value::Text(text)) => text.as_str() == "false",
        _ => false,
    };
    let email = claims.text("email").filter(|_| !is_disowned)?;
    let is_plain = email.contains('@') && printable(email, MAX_EMAIL) == email && !email.contains(' ');
    is_plain.then(|| email.to_owned())
}

/// RFC 7515, 7.1: three parts; the middle one holds the claims. All must be what they claim to be.
fn decode(token: &str) -> Result<Members, Error> {
    let odd = |what: &str| Error::nonsense(format!("the ID token is odd: {what}"));
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return Err(odd("it does not have three parts"));
    };
    let bytes = |part: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map(Zeroizing::new);
        bytes.map_err(|_| odd("it is not in base64url"))
    };
    bytes(signature)?;
    let object = |part: &str| json::strict(&bytes(part)?).map_err(|e| odd(&e.to_string()));
    check_algorithm(&object(header)?)?;
    object(payload)
}

/// A token that nobody signed is no ID token for us, even though we rely on TLS.
fn check_algorithm(header: &Members) -> Result<(), Error> {
    match header.text("alg") {
        Some(name) if !name.eq_ignore_ascii_case("none") => Ok(()),
        _ => Err(Error::policy("the ID token is not signed")),
    }
}

fn check_issuer(claims: &Members, issuer: &str) -> Result<(), Error> {
    match claims.text("iss") {
        Some(named) if named == issuer || (issuer, named) == GOOGLE => Ok(()),
        _ => Err(Error::policy("the ID token is from another issuer")),
    }
}

/// OpenID Connect Core, 3.1.3.7, 3 to 5.
fn check_audience(claims: &Members, client_id: &str) -> Result<(), Error> {
    let is_us = |value: &Value| value.text() == Some(client_id);
    let (is_for_us, is_for_many) = match claims.get("aud") {
        Some(Value::List(list)) => (list.iter().any(is_us), list.len() > 1),
        Some(value) => (is_us(value), false),
        None => (false, false),
    };
    let is_party_us = match claims.get("azp") {
        Some(party) => is_us(party),
        None => !is_for_many,
    };
    if is_for_us && is_party_us { Ok(()) } else { Err(Error::policy("the ID token is for another client")) }
}

/// OpenID Connect Core, 2: both times are required.
fn check_time(claims: &Members, now: Timestamp) -> Result<(), Error> {
    let time = |key: &str| match claims.get(key) {
        Some(Value::Number(seconds)) => Timestamp::from_second(*seconds as i64).ok(),
        _ => None,
    };
    let (Some(issued), Some(expires)) = (time("iat"), time("exp")) else {
        return Err(Error::policy("the ID token does not say from when to when it is good"));
    };
    if now.duration_since(expires) > LEEWAY {
        return Err(Error::policy("the ID token has expired; is the clock right?"));
    }
    if issued.duration_since(now) > LEEWAY {
        return Err(Error::policy("the ID token is from the future; is the clock right?"));
    }
    Ok(())
}

fn check_nonce(claims: &Members, nonce: Option<&str>) -> Result<(), Error> {
    match nonce {
        Some(nonce) if claims.text("nonce") != Some(nonce) => {
            Err(Error::policy("the ID token answers another login"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
