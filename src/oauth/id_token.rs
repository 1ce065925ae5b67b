//! Who has signed in, as the ID token says.
//!
//! For us alone, a token that came straight from the token endpoint need not be checked by its signature, because
//! TLS shows who sent it (OpenID Connect Core, 3.1.3.7, 6): that is [`claims`]. One that is given to others is
//! held to what they must hold it to: that is [`check`].

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::json::{self, Members, Value};
use super::key_set::{Claimed, KeySet};
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
    let claims = decode(id_token.expose_secret())?.claims;
    check_issuer(&claims, expect.issuer)?;
    check_audience(&claims, expect.client_id)?;
    check_party(&claims, expect.client_id)?;
    expect.now.map_or(Ok(()), |now| check_time(&claims, now).map(drop))?;
    check_nonce(&claims, expect.nonce)?;
    account(&claims)
}

/// Until when the ID token says to count, if it says so.
pub fn expiry(id_token: &SecretString) -> Option<Timestamp> {
    time(&decode(id_token.expose_secret()).ok()?.claims, "exp")
}

/// An ID token that may be given to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Whom it names.
    pub account: Account,
    /// Until when it counts.
    pub expires_at: Timestamp,
}

/// Checks an ID token as whoever is given it must: by the signature of one of `keys`, and by its claims.
///
/// # Errors
///
/// [`Error::Nonsense`] if it is not an ID token, [`Error::Policy`] if it is not ours, or not signed by its issuer.
pub fn check(
    id_token: &SecretString,
    keys: &KeySet,
    expect: &Expectation<'_>,
    now: Timestamp,
) -> Result<Checked, Error> {
    let checked = check_minted(id_token, keys, (expect.issuer, expect.client_id), now)?;
    let claims = decode(id_token.expose_secret())?.claims;
    check_party(&claims, expect.client_id)?;
    check_nonce(&claims, expect.nonce)?;
    Ok(checked)
}

/// The same of an ID token that was asked for `audience`, and not for a client: it was issued to whoever could ask.
///
/// # Errors
///
/// As [`check`].
pub fn check_minted(
    id_token: &SecretString,
    keys: &KeySet,
    (issuer, audience): (&str, &str),
    now: Timestamp,
) -> Result<Checked, Error> {
    let decoded = decode(id_token.expose_secret())?;
    decoded.check_signature(keys)?;
    check_issuer(&decoded.claims, issuer)?;
    check_audience(&decoded.claims, audience)?;
    let expires_at = check_time(&decoded.claims, now)?;
    Ok(Checked { account: account(&decoded.claims)?, expires_at })
}

fn account(claims: &Members) -> Result<Account, Error> {
    let subject = claims.text("sub").filter(|text| is_subject(text));
    let subject = subject.ok_or_else(|| Error::policy("the ID token names no subject"))?;
    Ok(Account { email: email(claims), subject: Some(subject.to_owned()) })
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
    is_email(email).then(|| email.to_owned())
}

/// Whether `text` can be shown as an address.
pub(super) fn is_email(text: &str) -> bool {
    text.contains('@') && printable(text, MAX_EMAIL) == text && !text.contains(' ')
}

/// An ID token, taken apart.
struct Decoded<'a> {
    header: Members,
    claims: Members,
    /// What is signed (RFC 7515, 5.1): the two parts before the signature, as they were sent.
    signed: &'a str,
    signature: Vec<u8>,
}

/// RFC 7515, 7.1: three parts; the middle one holds the claims. All must be what they claim to be.
fn decode(token: &str) -> Result<Decoded<'_>, Error> {
    let odd = |what: &str| Error::nonsense(format!("the ID token is odd: {what}"));
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return Err(odd("it does not have three parts"));
    };
    let bytes = |part: &str| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map(Zeroizing::new);
        bytes.map_err(|_| odd("it is not in base64url"))
    };
    let object = |part: &str| json::strict(&bytes(part)?).map_err(|e| odd(&e.to_string()));
    let signed = &token[..header.len() + 1 + payload.len()];
    let signature = bytes(signature)?.to_vec();
    let header = object(header)?;
    check_header(&header)?;
    Ok(Decoded { header, claims: object(payload)?, signed, signature })
}

/// A token that nobody signed is no ID token for us, even where we rely on TLS; nor is one whose header has
/// something that must be understood and is not (RFC 7515, 4.1.11).
fn check_header(header: &Members) -> Result<(), Error> {
    if header.names("crit") {
        return Err(Error::policy("the ID token has an extension that is not known here"));
    }
    match header.text("alg") {
        Some(name) if !name.eq_ignore_ascii_case("none") => Ok(()),
        _ => Err(Error::policy("the ID token is not signed")),
    }
}

impl Decoded<'_> {
    fn check_signature(&self, keys: &KeySet) -> Result<(), Error> {
        // Of another type, it is none that a key could have.
        let key = self.header.get("kid").map(|value| value.text().unwrap_or_default());
        let algorithm = self.header.text("alg").unwrap_or_default();
        keys.verify(Claimed { algorithm, key }, self.signed, &self.signature)
    }
}

fn check_issuer(claims: &Members, issuer: &str) -> Result<(), Error> {
    match claims.text("iss") {
        Some(named) if fits(issuer, named) || (issuer, named) == GOOGLE => Ok(()),
        _ => Err(Error::policy("the ID token is from another issuer")),
    }
}

/// Whether `named` is `issuer`, where `/*` stands for one segment of a path: who serves many organisations may
/// name the one that the user belongs to.
fn fits(issuer: &str, named: &str) -> bool {
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    match issuer.split_once("/*") {
        None => issuer == named,
        Some((before, after)) => named
            .strip_prefix(before)
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(is_word),
    }
}

/// OpenID Connect Core, 3.1.3.7, 3 to 5.
fn check_audience(claims: &Members, client_id: &str) -> Result<(), Error> {
    let is_us = |value: &Value| value.text() == Some(client_id);
    let is_for_us = match claims.get("aud") {
        Some(Value::List(list)) => list.iter().any(is_us),
        Some(value) => is_us(value),
        None => false,
    };
    if is_for_us { Ok(()) } else { Err(Error::policy("the ID token is for another client")) }
}

/// The same, of whom it was issued to.
fn check_party(claims: &Members, client_id: &str) -> Result<(), Error> {
    let is_for_many = matches!(claims.get("aud"), Some(Value::List(list)) if list.len() > 1);
    let is_us = match claims.get("azp") {
        Some(party) => party.text() == Some(client_id),
        None => !is_for_many,
    };
    if is_us { Ok(()) } else { Err(Error::policy("the ID token is for another client")) }
}

fn time(claims: &Members, key: &str) -> Option<Timestamp> {
    match claims.get(key) {
        Some(Value::Number(seconds)) => Timestamp::from_second(*seconds as i64).ok(),
        _ => None,
    }
}

/// OpenID Connect Core, 2: both times are required. Says when it ends.
fn check_time(claims: &Members, now: Timestamp) -> Result<Timestamp, Error> {
    let (Some(issued), Some(expires)) = (time(claims, "iat"), time(claims, "exp")) else {
        return Err(Error::policy("the ID token does not say from when to when it is good"));
    };
    if now.duration_since(expires) > LEEWAY {
        return Err(Error::policy("the ID token has expired; is the clock right?"));
    }
    let begins = time(claims, "nbf").map_or(issued, |begins| begins.max(issued));
    if begins.duration_since(now) > LEEWAY {
        return Err(Error::policy("the ID token is from the future; is the clock right?"));
    }
    Ok(expires)
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
