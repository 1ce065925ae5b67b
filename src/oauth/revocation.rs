//! The revocation endpoint: a token is given back, and must not work any more (RFC 7009).

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::token_endpoint::{self, Credentials};
use super::{Authorization, Error, Http, Method, Own, Request, Response, Verb, json};
use crate::domain::provider::RevocationStyle;

/// Which kind of token is given back (RFC 7009, 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An access token: it goes alone.
    Access,
    /// A refresh token: the access tokens that came from it go too.
    Refresh,
}

impl Kind {
    /// The value of `token_type_hint`.
    fn hint(self) -> &'static str {
        match self {
            Self::Access => "access_token",
            Self::Refresh => "refresh_token",
        }
    }
}

/// What has become of the token. Of several tokens, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It does not work, and the provider says that it did not work before either.
    Unknown,
    /// It does not work any more. Most providers say so of a token that did not work before, too.
    Revoked,
    /// The provider does not revoke this kind of token (RFC 7009, 2.2.1): it lives on.
    Unsupported,
    /// The provider has told no place where tokens are revoked: it lives on.
    NoEndpoint,
}

/// Revokes `token` where its seal says: one request, no second try. That the provider does not know the
/// token, or does not know it any more, is no error, so that the same call may be made again.
///
/// # Errors
///
/// [`Error::Refused`] if the provider does not accept the client; [`Error::Unavailable`],
/// [`Error::Unreachable`] and [`Error::Lost`] if it must be asked again, and [`Error::Nonsense`] if what
/// answers is no revocation endpoint. After each of them the token must be taken to be alive.
pub fn revoke(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    token: &SecretString,
    kind: Kind,
    timeout: Duration,
) -> Result<Outcome, Error> {
    let Some(url) = credentials.binding.revocation_endpoint.clone() else {
        return Ok(Outcome::NoEndpoint);
    };
    match credentials.provider.revoke.style {
        RevocationStyle::None => return Ok(Outcome::NoEndpoint),
        RevocationStyle::Rfc7009 => {}
        style => return revoke_in_own_way(http, style, credentials, url, token, timeout),
    }
    let form = vec![("token", token.clone()), ("token_type_hint", kind.hint().into())];
    let (request, response) = token_endpoint::post(http, credentials, url, form, timeout)?;
    judge(&response, &token_endpoint::sent_secrets(&request))
}

/// The address with the client id in its place.
fn naming(mut url: Url, client_id: &str) -> Url {
    // The braces, as they stand in a URL.
    const PLACE: &str = "%7Bclient_id%7D";
    let segments = url.path_segments().into_iter().flatten();
    let named: Vec<String> = segments.map(|it| if it == PLACE { client_id } else { it }.to_owned()).collect();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(named);
    }
    url
}

/// As providers have it that do not have RFC 7009.
fn revoke_in_own_way(
    http: &dyn Http,
    style: RevocationStyle,
    credentials: &Credentials<'_>,
    url: Url,
    token: &SecretString,
    timeout: Duration,
) -> Result<Outcome, Error> {
    let id = credentials.binding.client_id.clone().unwrap_or_default();
    let url = if style == RevocationStyle::Github { naming(url, &id) } else { url };
    let basic = credentials.secret.map(|secret| Authorization::Basic { id, secret: secret.clone() });
    let json = |name: &'static str| Some(token_endpoint::json_of(&vec![(name, token.clone())]));
    let (verb, json, authorization) = match style {
        // <https://docs.github.com/en/rest/apps/oauth-applications>
        RevocationStyle::Github => (Verb::Delete, json("access_token"), basic),
        RevocationStyle::Json => (Verb::Post, json("token"), basic),
        _ => (Verb::Post, None, Some(Authorization::Bearer(token.clone()))),
    };
    let method = Method::Own(Own { verb, json, headers: Vec::new() });
    let request = Request { method, url, authorization, timeout };
    let response = http.send(&request)?;
    let mut sent = token_endpoint::sent_secrets(&request);
    sent.push(token);
    match (style, response.status) {
        // Of a token that it does not know, GitHub says that there is none, or that it makes no sense.
        (RevocationStyle::Github, 404 | 422) => Ok(Outcome::Unknown),
        // The token is no good any more, so it cannot ask for its own end.
        (RevocationStyle::Bearer, 401) => Ok(Outcome::Unknown),
        _ => judge(&response, &sent),
    }
}

/// What the answer means. An error member counts first, whatever the status; the rest of the body says
/// nothing (RFC 7009, 2.2).
fn judge(response: &Response, sent: &[&SecretString]) -> Result<Outcome, Error> {
    let status = response.status;
    if response.is_redirect() {
        return Err(token_endpoint::redirected("revocation", status));
    }
    // RFC 7009, 2.2.1: after 503 the client must assume that the token still exists.
    if response.is_unavailable() {
        return Err(Error::Unavailable { status, retry_after: response.retry_after });
    }
    let (members, _) = json::salvage(&response.body);
    match token_endpoint::server_error(&members, status, sent) {
        // The words of Google and Slack for a token that is unknown, or revoked already.
        Some(error) if matches!(error.error.as_str(), "invalid_token" | "invalid_auth" | "token_revoked") => {
            Ok(Outcome::Unknown)
        }
        Some(error) if error.error == "unsupported_token_type" => Ok(Outcome::Unsupported),
        Some(error) => Err(token_endpoint::weigh(error, response)),
        None if response.is_success() => Ok(Outcome::Revoked),
        None => Err(token_endpoint::refused_or_odd("revocation", response, sent)),
    }
}

#[cfg(test)]
mod tests;
