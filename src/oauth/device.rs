//! Device authorization (RFC 8628): a code that a person types on another device, and the polls that ask
//! whether that was done.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::json::{self, Members, Value};
use super::token_endpoint::{self, Credentials, TokenAnswer};
use super::{Error, Http, Response, check_url, printable};

/// RFC 8628, 3.4.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8628, 3.5: what holds where the provider names no interval, and how much each `slow_down` adds.
const STEP: Duration = Duration::from_secs(5);

/// Longest interval that is honoured at the start. Real ones are 5 seconds; with a longer one a person would sit
/// before a login that seems not to go on.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// How long the pauses grow while the provider is out of reach.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The life of a code where the provider names none, although RFC 8628, 3.2 demands it.
const DEFAULT_LIFE: Duration = Duration::from_secs(5 * 60);

/// Longest life of a code that is believed. The longest in use is half an hour.
const MAX_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest code that a person could type, in characters. RFC 8628, 6.1 thinks of eight.
const MAX_USER_CODE: usize = 64;

/// Longest device code, in bytes. The longest in use have some hundred.
const MAX_DEVICE_CODE: usize = 4096;

/// Longest address that is shown, in bytes.
const MAX_ADDRESS: usize = 2048;

/// What the provider has begun for us (RFC 8628, 3.2). `Debug` does not show the device code.
#[derive(Debug)]
pub struct DeviceAuthorization {
    /// What brings the tokens; it is never shown.
    pub device_code: SecretString,
    /// What the person types: printable, 64 characters at most.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: Url,
    /// The same page with the code in it already, on the same host.
    pub verification_uri_complete: Option<Url>,
    /// How long the codes work, a day at most.
    pub expires_in: Duration,
    /// How long to wait between two polls: one second at least.
    pub interval: Duration,
}

/// Why there is no token yet (RFC 8628, 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// The person has not consented yet.
    Pending,
    /// The same, and we ask too often.
    SlowDown,
}

/// Asks for a code (RFC 8628, 3.1): one request, no second try. With `credentials` that have a secret the client
/// proves itself as at the token endpoint, which RFC 8628 wants of those that can.
///
/// # Errors
///
/// [`Error::Policy`] if the person would be sent to an address that is not `https:`; else as a token request.
pub fn authorize(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    endpoint: &Url,
    scope: &str,
    insecure_loopback: bool,
    timeout: Duration,
) -> Result<DeviceAuthorization, Error> {
    let form = if scope.is_empty() { Vec::new() } else { vec![("scope", scope.into())] };
    let (request, response) = token_endpoint::post(http, credentials, endpoint.clone(), form, timeout)?;
    let sent = token_endpoint::sent_secrets(&request);
    judge(&response, &sent, insecure_loopback)
}

/// Asks for the tokens (RFC 8628, 3.4): one request, no second try, because the next poll is one.
///
/// # Errors
///
/// [`Error::NotYet`] if the person has not consented yet. [`Error::Denied`] and [`Error::Expired`] end the flow, as
/// does everything that the provider refuses.
pub fn poll(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    device_code: &SecretString,
    timeout: Duration,
) -> Result<TokenAnswer, Error> {
    let form = vec![("grant_type", GRANT_TYPE.into()), ("device_code", device_code.clone())];
    let (request, response) = token_endpoint::post_token(http, credentials, form, timeout)?;
    let sent = token_endpoint::sent_secrets(&request);
    // The error counts more than the status: Google says 428 and 403, GitHub 200, and others 400 or 429.
    let (members, _) = json::salvage(&response.body);
    match token_endpoint::server_error(&members, response.status, &sent) {
        Some(error) if !response.is_redirect() => Err(match error.error.as_str() {
            "authorization_pending" => Error::NotYet(NotYet::Pending),
            "slow_down" => Error::NotYet(NotYet::SlowDown),
            // The second is what Microsoft says.
            "access_denied" | "authorization_declined" => Error::Denied(error),
            "expired_token" => Error::Expired(error),
            _ => token_endpoint::weigh(error, &response),
        }),
        _ => token_endpoint::judge(&response, &sent, credentials.provider),
    }
}

fn judge(
    response: &Response,
    sent: &[&SecretString],
    insecure_loopback: bool,
) -> Result<DeviceAuthorization, Error> {
    const ENDPOINT: &str = "device authorization";
    if response.is_redirect() {
        return Err(token_endpoint::redirected(ENDPOINT, response.status));
    }
    let (members, _) = json::salvage(&response.body);
    if let Some(error) = token_endpoint::server_error(&members, response.status, sent) {
        return Err(token_endpoint::weigh(error, response));
    }
    if response.is_unavailable() {
        return Err(Error::Unavailable { status: response.status, retry_after: response.retry_after });
    }
    if response.is_success() {
        return read(&response.body, insecure_loopback);
    }
    Err(token_endpoint::refused_or_odd(ENDPOINT, response, sent))
}

/// Reads the answer that begins a flow.
///
/// # Errors
///
/// [`Error::Nonsense`] if it is none, or one that could not be shown as it is. [`Error::Policy`] if it leads the
/// person elsewhere than to an `https:` address.
pub fn read(body: &[u8], insecure_loopback: bool) -> Result<DeviceAuthorization, Error> {
    let members = json::strict(body)
        .map_err(|error| Error::nonsense(format!("the device authorization answer is odd: {error}")))?;
    // Google calls it as a draft of RFC 8628 did.
    let address = members.text("verification_uri").or_else(|| members.text("verification_url"));
    let address = address.ok_or_else(|| odd("names no address where the code is typed"))?;
    let verification_uri = for_the_person(address, insecure_loopback)?;
    Ok(DeviceAuthorization {
        device_code: device_code(&members)?,
        user_code: user_code(&members)?,
        verification_uri_complete: complete(&members, &verification_uri, insecure_loopback)?,
        verification_uri,
        expires_in: seconds(&members, "expires_in").map_or(DEFAULT_LIFE, |life| life.min(MAX_LIFE)),
        interval: interval(&members),
    })
}

fn odd(what: &str) -> Error {
    Error::nonsense(format!("the device authorization answer {what}"))
}

/// RFC 6749, appendix A.11 has the same characters for the code that it is in place of.
fn device_code(members: &Members) -> Result<SecretString, Error> {
    let is_code = |text: &&str| {
        !text.is_empty() && text.len() <= MAX_DEVICE_CODE && text.bytes().all(|b| matches!(b, 0x20..=0x7e))
    };
    let code = members.text("device_code").filter(is_code);
    code.map(SecretString::from).ok_or_else(|| odd("has no device code"))
}

/// A code with something in it that a terminal would obey, or that cannot be seen, is not one to be typed: it
/// would not work without that either.
fn user_code(members: &Members) -> Result<String, Error> {
    let code = members.text("user_code").map(str::trim).ok_or_else(|| odd("has no code to type"))?;
    if code.is_empty() || code.len() > MAX_USER_CODE || printable(code, MAX_USER_CODE) != code {
        return Err(odd("has a code that nobody can type"));
    }
    Ok(code.to_owned())
}

/// An address that a person may be sent to, as whoever opens it reads it.
fn for_the_person(text: &str, insecure_loopback: bool) -> Result<Url, Error> {
    if text.len() > MAX_ADDRESS {
        return Err(odd("has an address that nobody can type"));
    }
    let url = Url::parse(text).map_err(|_| odd("has an address that is none"))?;
    let mut checked = url.clone();
    // No secret goes there, so that a page within the page is fine.
    checked.set_fragment(None);
    check_url(&checked, insecure_loopback)?;
    Ok(url)
}

/// RFC 8628, 3.3.1. What is shown and what a camera reads must lead to the same host; else it is not used.
fn complete(members: &Members, plain: &Url, insecure_loopback: bool) -> Result<Option<Url>, Error> {
    let Some(text) = members.text("verification_uri_complete") else { return Ok(None) };
    let url = for_the_person(text, insecure_loopback)?;
    Ok(Some(url).filter(|url| url.origin() == plain.origin()))
}

/// A number of seconds, or a text with one in it. What is below nothing is nothing.
fn seconds(members: &Members, key: &str) -> Option<Duration> {
    let seconds: f64 = match members.get(key)? {
        Value::Number(number) => *number,
        Value::Text(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let seconds = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, MAX_LIFE.as_secs_f64() * 2.0) };
    Some(Duration::from_secs_f64(seconds))
}

/// RFC 8628, 3.2: five seconds where none is named. Less than one second is no interval.
fn interval(members: &Members) -> Duration {
    let named = seconds(members, "interval").filter(|named| *named >= Duration::from_secs(1));
    named.unwrap_or(STEP).min(MAX_INTERVAL)
}

/// How fast is polled.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    interval: Duration,
    /// How often the provider was out of reach since its last answer.
    failures: u32,
    /// How long it has asked us to stay away, at its last answer.
    stays_away: Duration,
}

impl Pace {
    /// The pace that the provider asks for.
    pub fn new(interval: Duration) -> Self {
        Self { interval, failures: 0, stays_away: Duration::ZERO }
    }

    /// How long to wait before the next poll.
    pub fn pause(&self) -> Duration {
        let doubled = self.interval.saturating_mul(1 << self.failures.min(16));
        let pause = if self.failures == 0 { self.interval } else { doubled.min(MAX_PAUSE) };
        pause.max(self.interval).max(self.stays_away)
    }

    /// The provider has answered that there is no token yet. `slow_down` holds for this poll and all that follow
    /// (RFC 8628, 3.5).
    pub fn answered(&mut self, not_yet: NotYet) {
        (self.failures, self.stays_away) = (0, Duration::ZERO);
        if not_yet == NotYet::SlowDown {
            self.interval = self.interval.saturating_add(STEP);
        }
    }

    /// Whether the provider could not be asked the last time.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// The provider could not be asked, or not answer. RFC 8628, 3.5: the pauses double.
    pub fn failed(&mut self, retry_after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        self.stays_away = retry_after.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
