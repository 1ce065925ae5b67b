//! A token answer, read with patience for what providers send and none for what could do harm.

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::TokenAnswer;
use crate::domain::{Provider, Scopes};
use crate::oauth::Error;
use crate::oauth::json::{Members, Value};

/// Longest token in bytes: it must fit into one sealed document.
const MAX_TOKEN: usize = 64 * 1024;

/// Longest life that is believed: ten years.
const MAX_LIFE: f64 = 10.0 * 365.25 * 24.0 * 60.0 * 60.0;

/// The life of a token that has no end.
pub(super) const ENDLESS: SignedDuration = SignedDuration::from_secs(MAX_LIFE as i64);

/// Reads `members`, of which `is_whole` says whether nothing is missing or left over.
///
/// # Errors
///
/// [`Error::Nonsense`], with a refresh token that is good by itself: the old one may be spent.
pub(super) fn read(
    members: &Members,
    is_whole: bool,
    server_date: Option<Timestamp>,
    provider: &Provider,
) -> Result<TokenAnswer, Error> {
    let place = provider.answer.token_at.as_deref();
    let members = place.and_then(|place| members.at(place)).and_then(Value::object).unwrap_or(members);
    let refresh_token = refresh_token(members)?;
    match check(members, is_whole, provider) {
        Ok(access_token) => Ok(TokenAnswer {
            access_token,
            expires_in: life(members, "expires_in").or_else(|| usual_life(provider)),
            refresh_token,
            has_empty_refresh_token: members.text("refresh_token") == Some(""),
            scope: members.get("scope").and_then(scopes),
            id_token: members.text("id_token").filter(|text| is_token(text)).map(SecretString::from),
            refresh_token_expires_in: life(members, "refresh_token_expires_in")
                .filter(|life| !life.is_zero()),
            server_date,
        }),
        Err(what) => Err(Error::Nonsense { what, rotated: refresh_token }),
    }
}

/// Everything that makes an answer unusable, apart from the refresh token.
fn check(members: &Members, is_whole: bool, provider: &Provider) -> Result<SecretString, String> {
    if !is_whole {
        return Err("the token answer is not a JSON object".to_owned());
    }
    if members.duplicate().is_some() {
        return Err("the token answer says the same thing twice".to_owned());
    }
    check_type(members, &provider.answer.token_types)?;
    match members.get("access_token").map(Value::text) {
        None => Err("the token answer has no access token".to_owned()),
        Some(Some(text)) if is_token(text) => Ok(text.into()),
        Some(_) => Err("the access token in the answer is not a token".to_owned()),
    }
}

/// RFC 6749, 5.1: the type is required and has no case. Who leaves it out means `Bearer`.
fn check_type(members: &Members, others: &[String]) -> Result<(), String> {
    match members.get("token_type") {
        None => Ok(()),
        Some(Value::Text(kind)) if kind.eq_ignore_ascii_case("bearer") => Ok(()),
        Some(Value::Text(kind)) if others.iter().any(|other| *other == **kind) => Ok(()),
        Some(_) => Err("the token in the answer is not a bearer token".to_owned()),
    }
}

/// An empty one is none: storing it would lose the old one.
fn refresh_token(members: &Members) -> Result<Option<SecretString>, Error> {
    match members.get("refresh_token") {
        None => Ok(None),
        Some(Value::Text(text)) if text.is_empty() => Ok(None),
        Some(Value::Text(text)) if is_token(text) => Ok(Some(text.as_str().into())),
        Some(_) => Err(Error::nonsense("the refresh token in the answer is not a token")),
    }
}

/// Visible ASCII: what fits into a header, a form and a variable, whatever is around it.
pub(in crate::oauth) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Seconds as a number, or as a text with a number in it, between nothing and [`MAX_LIFE`].
fn life(members: &Members, key: &str) -> Option<SignedDuration> {
    let seconds = match members.get(key)? {
        Value::Number(number) => *number,
        Value::Text(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let seconds = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, MAX_LIFE) };
    Some(SignedDuration::from_secs(seconds as i64))
}

/// How long a token lasts of which the answer does not say so, but the provider's pages do.
fn usual_life(provider: &Provider) -> Option<SignedDuration> {
    let life = provider.refresh.access_lifetime?;
    Some(life.span().unwrap_or(ENDLESS))
}

/// RFC 6749, 3.3 separates by spaces; some providers use commas, and some a list. A scope with
/// characters that none can have is left out.
fn scopes(value: &Value) -> Option<Scopes> {
    let mut scopes = Scopes::default();
    let mut insert = |text: &str| drop(scopes.insert(text));
    match value {
        Value::Text(text) if text.contains(char::is_whitespace) => {
            text.split_whitespace().for_each(&mut insert)
        }
        Value::Text(text) => text.split(',').for_each(&mut insert),
        Value::List(list) => list.iter().filter_map(Value::text).for_each(&mut insert),
        _ => return None,
    }
    Some(scopes).filter(|scopes| !scopes.is_empty())
}
