//! The token endpoint: a code or a refresh token goes in, an access token comes out.

mod answer;

pub(super) use answer::is_token;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use zeroize::Zeroizing;

use super::json::{self, Members, Value};
use super::{Authorization, Error, Http, Method, Request, Response, ServerError, printable};
use crate::domain::provider::Body;
use crate::domain::{Binding, ClientAuth, Provider, RedirectUri, Scopes};

/// Who asks, and where. Both come from an opened seal, never from the document around it.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Destination, client id and how the client proves itself.
    pub binding: &'a Binding,
    /// The client secret, for a client that has one.
    pub secret: Option<&'a SecretString>,
    /// How the provider wants to be asked, and how it answers.
    pub provider: &'a Provider,
}

/// What the provider issued (RFC 6749, 5.1). `Debug` shows no token.
#[derive(Debug)]
pub struct TokenAnswer {
    /// The access token: visible ASCII, 64 KiB at most.
    pub access_token: SecretString,
    /// Its life from now, between nothing and ten years; `None` if the provider does not say.
    pub expires_in: Option<SignedDuration>,
    /// A new refresh token. `None` means that the old one stays good.
    pub refresh_token: Option<SecretString>,
    /// Whether a refresh token was announced, and is empty. It counts as none.
    pub has_empty_refresh_token: bool,
    /// What was granted; `None` means what was asked (RFC 6749, 5.1).
    pub scope: Option<Scopes>,
    /// Who the user is, as a signed statement (OpenID Connect Core, 3.1.3.3).
    pub id_token: Option<SecretString>,
    /// The life of the refresh token, where the grant is limited in time.
    pub refresh_token_expires_in: Option<SignedDuration>,
    /// What time it was at the provider.
    pub server_date: Option<Timestamp>,
}

/// The life of an access token that has no end: longer is believed of none.
pub const ENDLESS: SignedDuration = answer::ENDLESS;

impl TokenAnswer {
    /// The access token, if it is all that there is, and lasts until it is revoked: then it is the grant.
    pub fn lasting(&self) -> Option<&SecretString> {
        let is_endless = self.refresh_token.is_none() && self.expires_in.is_some_and(|life| life >= ENDLESS);
        is_endless.then_some(&self.access_token)
    }
}

/// Asks for a new access token (RFC 6749, 6): one request, no second try. `only` asks for these scopes, all of
/// which must have been granted.
///
/// # Errors
///
/// [`Error::Lost`] if the provider may have replaced the refresh token without our knowing; then the
/// same call may be made once more. Every other error is final for this run. [`Error::Nonsense`] can
/// hold a replaced refresh token that must be saved.
pub fn refresh(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    refresh_token: &SecretString,
    only: Option<&Scopes>,
    timeout: Duration,
) -> Result<TokenAnswer, Error> {
    let form = [("grant_type", "refresh_token".into()), ("refresh_token", refresh_token.clone())];
    let scope = only.map(|scopes| ("scope", SecretString::from(scopes.to_string())));
    let form = form.into_iter().chain(scope).collect();
    ask(http, credentials, form, timeout)
}

/// Exchanges an authorization code (RFC 6749, 4.1.3; RFC 7636, 4.5): one request, no second try.
///
/// # Errors
///
/// As [`refresh`]. A code works once, so that [`Error::Lost`] means a new login.
pub fn exchange_code(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    code: &SecretString,
    verifier: Option<&SecretString>,
    redirect_uri: &RedirectUri,
    timeout: Duration,
) -> Result<TokenAnswer, Error> {
    let mut form = vec![
        ("grant_type", "authorization_code".into()),
        ("code", code.clone()),
        ("redirect_uri", redirect_uri.text().into()),
    ];
    form.extend(verifier.map(|verifier| ("code_verifier", verifier.clone())));
    ask(http, credentials, form, timeout)
}

/// Asks for an access token in the client's own right (RFC 6749, 4.4.2): one request, no second try. A refresh
/// token in the answer is of no use, since the same can be asked again.
///
/// # Errors
///
/// As [`refresh`].
pub fn client_credentials(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    scope: Option<&str>,
    timeout: Duration,
) -> Result<TokenAnswer, Error> {
    let mut form: Form = vec![("grant_type", "client_credentials".into())];
    form.extend(scope.map(|scope| ("scope", scope.into())));
    ask(http, credentials, form, timeout)
}

/// Exchanges an assertion for an access token (RFC 7523, 2.1): one request, no second try. The assertion says who
/// asks, so that there is no other authentication.
///
/// # Errors
///
/// As [`refresh`].
pub fn jwt_bearer(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    assertion: &SecretString,
    timeout: Duration,
) -> Result<TokenAnswer, Error> {
    ask(http, credentials, assertion_form(assertion), timeout)
}

/// Exchanges an assertion that names a `target_audience` for an ID token: one request, no second try.
///
/// # Errors
///
/// As [`refresh`].
pub fn jwt_bearer_id_token(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    assertion: &SecretString,
    timeout: Duration,
) -> Result<SecretString, Error> {
    let url = credentials.binding.token_endpoint.clone().ok_or_else(|| unnamed("token endpoint"))?;
    let (request, response) = post(http, credentials, url, assertion_form(assertion), timeout)?;
    let members = judge_error(&response, &sent_secrets(&request), credentials.provider)?.0;
    let token = members.text("id_token").filter(|text| is_token(text));
    token.map(SecretString::from).ok_or_else(|| Error::nonsense("the token answer has no ID token"))
}

fn assertion_form(assertion: &SecretString) -> Form {
    const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    vec![("grant_type", GRANT_TYPE.into()), ("assertion", assertion.clone())]
}

/// The fields of a request (RFC 6749, appendix B).
pub(super) type Form = Vec<(&'static str, SecretString)>;

fn ask(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    form: Form,
    timeout: Duration,
) -> Result<TokenAnswer, Error> {
    let (request, response) = post_token(http, credentials, form, timeout)?;
    judge(&response, &sent_secrets(&request), credentials.provider)
}

/// Sends a form to the token endpoint.
pub(super) fn post_token(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    form: Form,
    timeout: Duration,
) -> Result<(Request, Response), Error> {
    let url = credentials.binding.token_endpoint.clone().ok_or_else(|| unnamed("token endpoint"))?;
    post(http, credentials, url, form, timeout)
}

/// Sends a form to `url` and proves who sends it.
pub(super) fn post(
    http: &dyn Http,
    credentials: &Credentials<'_>,
    url: Url,
    mut form: Form,
    timeout: Duration,
) -> Result<(Request, Response), Error> {
    let binding = credentials.binding;
    let client_id = binding.client_id.as_deref().ok_or_else(|| unnamed("client"))?;
    let authorization = authenticate(&mut form, client_id, binding.client_auth, credentials.secret);
    let json = (credentials.provider.token_request.body == Body::Json).then(|| json_of(&form));
    let request = Request { method: Method::PostForm(form), url, authorization, timeout };
    let response = match json {
        None => http.send(&request)?,
        // What is returned is still the form, in which each secret stands by itself.
        Some(json) => http.send(&with_json(&request, json))?,
    };
    Ok((request, response))
}

fn with_json(request: &Request, json: SecretString) -> Request {
    let authorization = request.authorization.clone();
    Request {
        method: Method::PostJson(json),
        url: request.url.clone(),
        authorization,
        timeout: request.timeout,
    }
}

/// The same fields as an object, for providers that want that.
pub(super) fn json_of(form: &Form) -> SecretString {
    let text = |text: &str| Zeroizing::new(serde_json::to_string(text).expect("a text is JSON"));
    let mut object = Zeroizing::new(String::from("{"));
    for (place, (name, value)) in form.iter().enumerate() {
        object.push_str(if place == 0 { "" } else { "," });
        object.push_str(&text(name));
        object.push(':');
        object.push_str(&text(value.expose_secret()));
    }
    object.push('}');
    SecretString::from(object.as_str())
}

fn unnamed(what: &str) -> Error {
    Error::policy(format!("the sealed secret does not name its {what}"))
}

/// RFC 6749, 2.3.1: in the header or in the body, never in both.
fn authenticate(
    form: &mut Form,
    client_id: &str,
    method: Option<ClientAuth>,
    secret: Option<&SecretString>,
) -> Option<Authorization> {
    match (method, secret) {
        (Some(ClientAuth::Basic), Some(secret)) => {
            return Some(Authorization::Basic { id: client_id.to_owned(), secret: secret.clone() });
        }
        (Some(ClientAuth::Post), Some(secret)) => form.push(("client_secret", secret.clone())),
        // RFC 7521, 4.1: the assertion names the client.
        (Some(ClientAuth::Assertion), _) => return None,
        // Without a secret, or without a way to prove it, the client is a public one: RFC 6749, 3.2.1.
        _ => {}
    }
    form.push(("client_id", client_id.into()));
    None
}

/// What of the request must not come back in an error.
pub(super) fn sent_secrets(request: &Request) -> Vec<&SecretString> {
    let mut secrets = Vec::new();
    if let Method::PostForm(form) = &request.method {
        let is_secret = |name: &str| {
            !matches!(name, "grant_type" | "client_id" | "redirect_uri" | "scope" | "token_type_hint")
        };
        secrets.extend(form.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value));
    }
    if let Some(Authorization::Basic { secret, .. }) = &request.authorization {
        secrets.push(secret);
    }
    secrets
}

/// What the answer as a whole means.
pub(super) fn judge(
    response: &Response,
    sent: &[&SecretString],
    provider: &Provider,
) -> Result<TokenAnswer, Error> {
    let (members, is_whole) = judge_error(response, sent, provider)?;
    answer::read(&members, is_whole, response.date, provider)
}

/// The members of a success, and whether they are all. An error member counts first, whatever the status.
fn judge_error(
    response: &Response,
    sent: &[&SecretString],
    provider: &Provider,
) -> Result<(Members, bool), Error> {
    let status = response.status;
    if response.is_redirect() {
        return Err(redirected("token", status));
    }
    let (members, is_whole) = json::salvage(&response.body);
    if response.is_unavailable() {
        return Err(Error::Unavailable { status, retry_after: response.retry_after });
    }
    if let Some(error) = server_error(&members, status, sent) {
        return Err(weigh(error.known_to(provider), response));
    }
    if response.is_success() {
        return Ok((members, is_whole));
    }
    Err(refused_or_odd("token", response, sent))
}

/// Nothing with a secret in it follows a redirect.
pub(super) fn redirected(endpoint: &str, status: u16) -> Error {
    Error::nonsense(format!(
        "the {endpoint} endpoint redirects (HTTP status {status}), which is not followed"
    ))
}

/// A failure without an OAuth error in it.
pub(super) fn refused_or_odd(endpoint: &str, response: &Response, sent: &[&SecretString]) -> Error {
    match response.status {
        // RFC 6749, 5.2: 401 is how a client is told that it was not recognised.
        401 => Error::Refused(ServerError::new("invalid_client", 401)),
        _ => Error::nonsense(unexpected(endpoint, response, sent)),
    }
}

/// Some errors say nothing about us: they are the server's own trouble (RFC 6749, 4.1.2.1).
pub(super) fn weigh(error: ServerError, response: &Response) -> Error {
    match error.error.as_str() {
        "temporarily_unavailable"
        | "server_error"
        | "internal_failure"
        | "slow_down"
        | "rate_limit_exceeded" => {
            Error::Unavailable { status: response.status, retry_after: response.retry_after }
        }
        _ => Error::Refused(error.at(response.date)),
    }
}

/// The error in a body, in the form of RFC 6749, 5.2, or in the form of Google's other APIs.
pub(super) fn server_error(members: &Members, status: u16, sent: &[&SecretString]) -> Option<ServerError> {
    let text = |members: &Members, key: &str| members.text(key).map(|text| redacted(text, sent));
    // As the RFC has it, as Twitch has it, and as Zoom has it.
    let description =
        ["error_description", "message", "reason"].into_iter().find_map(|key| text(members, key));
    match members.get("error")? {
        Value::Text(code) if !code.trim().is_empty() => {
            let subtype = text(members, "error_subtype").or_else(|| text(members, "suberror"));
            let error = ServerError::new(&redacted(code, sent), status)
                .with_description(description.as_deref())
                .with_subtype(subtype.as_deref())
                .with_uri(text(members, "error_uri").as_deref());
            Some(error)
        }
        Value::Object(inner) => {
            let code = text(inner, "status").unwrap_or_else(|| "error".to_owned());
            Some(ServerError::new(&code, status).with_description(text(inner, "message").as_deref()))
        }
        _ => None,
    }
}

/// `text` without any of the secrets that were sent: some servers quote the request.
fn redacted(text: &str, sent: &[&SecretString]) -> String {
    sent.iter().map(|secret| secret.expose_secret()).filter(|secret| secret.len() >= 6).fold(
        text.to_owned(),
        |text, secret| {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            text.replace(secret, "[redacted]").replace(&encoded, "[redacted]")
        },
    )
}

/// An error page that is no OAuth error. Its first words help people; a token is never among them.
pub(super) fn unexpected(endpoint: &str, response: &Response, sent: &[&SecretString]) -> String {
    let what =
        format!("the {endpoint} endpoint answers with HTTP status {} and no OAuth error", response.status);
    let body = String::from_utf8_lossy(&response.body);
    if body.contains("_token") {
        return what;
    }
    // RFC 6749 has no such page; 200 characters are enough to recognise a proxy or a login form.
    match printable(&redacted(&body, sent), 200) {
        text if text.is_empty() => what,
        text => format!("{what}: {text}"),
    }
}

#[cfg(test)]
mod tests;
