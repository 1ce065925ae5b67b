//! Which client sends a request, and whether it proves it the way it is registered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::config::{AuthMethod, Client, Config};
use super::http::{self, Request};
use super::refusal::Refusal;

/// Authenticates the client of a request (RFC 6749, 2.3).
pub(super) fn authenticate(config: &Config, request: &Request) -> Result<Client, Refusal> {
    let claim = Claim::read(request)?;
    let Some(client) = config.client(&claim.id) else {
        return Err(Refusal::invalid_client("The OAuth client was not found."));
    };
    if !client.auth.accepts(claim.method) {
        return Err(wrong_method(config, &claim));
    }
    let known = |secret: &String| client.secrets.contains(secret);
    if client.auth != AuthMethod::None && !claim.secret.as_ref().is_some_and(known) {
        let description = "The provided client secret is invalid.";
        return Err(Refusal::invalid_client(description));
    }
    Ok(client.clone())
}

/// A form that may be trusted: the right content type, nothing twice (RFC 6749, 3.2).
pub(super) fn check_form(request: &Request) -> Result<(), Refusal> {
    if request.method != "POST" {
        return Err(Refusal::new(405, "invalid_request", "Use POST."));
    }
    if request.form.is_empty() {
        return Err(Refusal::invalid_request("A form is expected."));
    }
    if has_doubles(&request.form) {
        return Err(Refusal::invalid_request("A parameter is given twice."));
    }
    Ok(())
}

/// Whether a name occurs twice.
pub(super) fn has_doubles(pairs: &[(String, String)]) -> bool {
    let earlier = |at: usize| pairs[..at].iter().any(|(name, _)| *name == pairs[at].0);
    (0..pairs.len()).any(earlier)
}

/// Who a request says it is from, and how it wants to prove that.
struct Claim {
    id: String,
    secret: Option<String>,
    method: AuthMethod,
}

impl Claim {
    fn read(request: &Request) -> Result<Self, Refusal> {
        match request.header("authorization") {
            Some(header) => Self::from_header(request, header),
            None => Self::from_form(request),
        }
    }

    fn from_form(request: &Request) -> Result<Self, Refusal> {
        let Some(id) = request.field("client_id") else {
            return Err(Refusal::invalid_request("client_id is missing."));
        };
        let secret = request.field("client_secret").map(str::to_owned);
        let method = match secret {
            Some(_) => AuthMethod::Post,
            None => AuthMethod::None,
        };
        Ok(Self { id: id.into(), secret, method })
    }

    fn from_header(request: &Request, header: &str) -> Result<Self, Refusal> {
        if request.field("client_secret").is_some() {
            return Err(Refusal::invalid_request("Two ways to authenticate."));
        }
        let (id, secret) = decode_basic(header)
            .ok_or_else(|| Refusal::invalid_client("The Authorization header is malformed."))?;
        if request.field("client_id").is_some_and(|other| other != id) {
            return Err(Refusal::invalid_request("Two client ids."));
        }
        Ok(Self { id, secret: Some(secret), method: AuthMethod::Basic })
    }
}

/// Id and secret are form-encoded before they are joined by a colon (RFC 6749, 2.3.1).
fn decode_basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

/// Refuses what no form encoding yields, so that a client that forgets to encode is found out.
fn form_decode(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"*-._~+%".contains(&byte);
    if !text.bytes().all(allowed) {
        return None;
    }
    let mut pairs = http::pairs(format!("v={text}").as_bytes());
    pairs.pop().map(|(_, value)| value)
}

fn wrong_method(config: &Config, claim: &Claim) -> Refusal {
    if config.google_habits && claim.method == AuthMethod::None {
        return Refusal::invalid_request("client_secret is missing.");
    }
    Refusal::invalid_client("This client is registered for another authentication method.")
}
