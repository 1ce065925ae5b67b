//! Tokens of a service account, asked for with the token of somebody who may act as it.
//!
//! Google's IAM Service Account Credentials API:
//! <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts>. It is no OAuth
//! endpoint: JSON goes in, JSON comes out, and errors have the form of Google's other APIs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::json;
use super::token_endpoint::{is_token, redirected, server_error, unexpected, weigh};
use super::{Authorization, Error, Http, Method, Request, Response};
use crate::domain::Scopes;

/// Longest life of a token, in seconds: 12 hours, where the organisation allows more than one.
/// <https://cloud.google.com/iam/docs/create-short-lived-credentials-direct#sa-credentials-oauth>
pub const MAX_LIFETIME: u64 = 43_200;

/// Who is to be acted as, and where that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The service account at its API, without a method.
    pub account: &'a Url,
    /// The service accounts in between, each allowed to act as the next.
    pub delegates: &'a [String],
    /// The token of whoever may act as the first of them.
    pub bearer: &'a SecretString,
}

/// A token of a service account. `Debug` does not show it.
#[derive(Debug)]
pub struct Issued {
    /// The access token.
    pub access_token: SecretString,
    /// Its life from now, by the clock of whoever issued it.
    pub expires_in: Option<SignedDuration>,
}

/// The service account `address` at the API whose address is `base`.
///
/// # Errors
///
/// [`Error::Policy`] if `base` can have nothing below it.
pub fn account_url(base: &Url, address: &str) -> Result<Url, Error> {
    let mut url = base.clone();
    // `-` stands for the project, which the address says already.
    url.path_segments_mut()
        .map_err(|()| Error::policy("the address of the IAM API is not one that has paths"))?
        .pop_if_empty()
        .extend(["projects", "-", "serviceAccounts", address]);
    Ok(url)
}

/// Asks for an access token with `scopes` that lives for `lifetime_s` seconds: one request, no second try.
///
/// # Errors
///
/// [`Error::Lost`] if it may be asked again; all others are final for this run.
pub fn access_token(
    http: &dyn Http,
    target: &Target<'_>,
    scopes: &Scopes,
    lifetime_s: u64,
    now: Timestamp,
    timeout: Duration,
) -> Result<Issued, Error> {
    let scopes: Vec<&str> = scopes.iter().collect();
    let body = json!({
        "scope": scopes,
        "lifetime": format!("{lifetime_s}s"),
        "delegates": delegates(target.delegates),
    });
    let response = ask(http, target, "generateAccessToken", &body, timeout)?;
    let members = members(&response)?;
    let end = members.text("expireTime").and_then(|text| text.parse::<Timestamp>().ok());
    let clock = response.date.unwrap_or(now);
    Ok(Issued {
        access_token: token(members.text("accessToken"), "access token")?,
        expires_in: end.map(|end| end.duration_since(clock).max(SignedDuration::ZERO)),
    })
}

/// Asks for an ID token for `audience`, which names the service account's address too: one request.
///
/// # Errors
///
/// As [`access_token`].
pub fn id_token(
    http: &dyn Http,
    target: &Target<'_>,
    audience: &str,
    timeout: Duration,
) -> Result<SecretString, Error> {
    let body = json!({
        "audience": audience,
        "includeEmail": true,
        "delegates": delegates(target.delegates),
    });
    let response = ask(http, target, "generateIdToken", &body, timeout)?;
    token(members(&response)?.text("token"), "ID token")
}

/// The API wants them by their resource names.
fn delegates(addresses: &[String]) -> Vec<String> {
    addresses.iter().map(|address| format!("projects/-/serviceAccounts/{address}")).collect()
}

fn ask(
    http: &dyn Http,
    target: &Target<'_>,
    method: &str,
    body: &Value,
    timeout: Duration,
) -> Result<Response, Error> {
    let mut url = target.account.clone();
    url.set_path(&format!("{}:{method}", target.account.path()));
    let authorization = Some(Authorization::Bearer(target.bearer.clone()));
    let method = Method::PostJson(body.to_string().into());
    let response = http.send(&Request { method, url, authorization, timeout })?;
    judge(&response, &[target.bearer])?;
    Ok(response)
}

fn judge(response: &Response, sent: &[&SecretString]) -> Result<(), Error> {
    let status = response.status;
    if response.is_redirect() {
        return Err(redirected("IAM", status));
    }
    if response.is_unavailable() {
        return Err(Error::Unavailable { status, retry_after: response.retry_after });
    }
    if response.is_success() {
        return Ok(());
    }
    let (members, _) = json::salvage(&response.body);
    Err(match server_error(&members, status, sent) {
        Some(error) => weigh(error, response),
        None => Error::nonsense(unexpected("IAM", response, sent)),
    })
}

fn members(response: &Response) -> Result<json::Members, Error> {
    json::strict(&response.body)
        .map_err(|error| Error::nonsense(format!("the answer of IAM is odd: {error}")))
}

fn token(text: Option<&str>, what: &str) -> Result<SecretString, Error> {
    let odd = || Error::nonsense(format!("the answer of IAM has no {what}"));
    text.filter(|text| is_token(text)).map(SecretString::from).ok_or_else(odd)
}

#[cfg(test)]
mod tests;
