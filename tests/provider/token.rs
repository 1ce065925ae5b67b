//! `/token`: redeems codes and refresh tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client_auth::{authenticate, check_form};
use super::config::{AuthMethod, Client};
use super::http::{Request, Response};
use super::refusal::Refusal;
use super::service_account;
use super::state::{Code, Presented, RevokedBecause, State};
use super::{device, id_token};

/// Answers a token request (RFC 6749, 5).
pub(super) fn answer(state: &mut State, request: &Request) -> Response {
    let answer = match exchange(state, request) {
        Ok(tokens) => Response::json(200, &tokens),
        Err(refusal) => refusal.into_response(),
    };
    match state.config.tells_time {
        true => answer.with("Date", &service_account::http_date(state.now())),
        false => answer,
    }
}

fn exchange(state: &mut State, request: &Request) -> Result<Value, Refusal> {
    check_form(request)?;
    if request.field("grant_type") == Some(service_account::GRANT_TYPE) {
        // RFC 7521, 4.1: the assertion says who it is.
        return service_account::redeem(state, request);
    }
    let client = authenticate(&state.config, request)?;
    match request.field("grant_type") {
        Some("authorization_code") => redeem_code(state, &client, request),
        Some(device::GRANT_TYPE) => redeem_device_code(state, &client, request),
        Some("refresh_token") => refresh(state, &client, request),
        Some("client_credentials") => client_credentials(state, &client, request),
        Some(_) => Err(Refusal::new(400, "unsupported_grant_type", "Invalid grant_type.")),
        None => Err(Refusal::invalid_request("grant_type is missing.")),
    }
}

fn redeem_code(state: &mut State, client: &Client, request: &Request) -> Result<Value, Refusal> {
    let text = required(request, "code")?;
    let known = state.code(text).filter(|code| code.client_id == client.id);
    let Some(code) = known.cloned() else {
        return Err(Refusal::invalid_grant("Malformed auth code."));
    };
    if let Some(family) = code.family {
        // RFC 6749, 4.1.2: a code that comes back may be stolen, so what it gave is revoked.
        state.revoke_family(family, RevokedBecause::CodeReuse);
        return Err(Refusal::invalid_grant("Code was already redeemed."));
    }
    check_code(state.now(), &code, request)?;
    let family = state.redeem(text, &code);
    let refresh_token = code.offline.then(|| state.issue_refresh_token(family));
    Ok(tokens(state, family, &code.scopes, refresh_token, code.nonce.as_deref()))
}

fn redeem_device_code(state: &mut State, client: &Client, request: &Request) -> Result<Value, Refusal> {
    let device::Redeemed { sub, scopes } = device::poll(state, client, request)?;
    let family = state.open_family(&client.id, &sub, &scopes);
    let refresh_token = Some(state.issue_refresh_token(family));
    Ok(tokens(state, family, &scopes, refresh_token, None))
}

fn check_code(now: u64, code: &Code, request: &Request) -> Result<(), Refusal> {
    if now >= code.expires_at {
        return Err(Refusal::invalid_grant("Code has expired."));
    }
    if request.field("redirect_uri") != Some(&code.redirect_uri) {
        return Err(Refusal::invalid_grant("redirect_uri is not the one asked."));
    }
    check_verifier(code.challenge.as_deref(), request.field("code_verifier"))
}

/// RFC 7636, 4.6; a verifier without a challenge is a downgrade (RFC 9700, 2.1.1).
fn check_verifier(challenge: Option<&str>, verifier: Option<&str>) -> Result<(), Refusal> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Refusal::invalid_grant("Missing code verifier.")),
        (Some(challenge), Some(verifier)) if fits(challenge, verifier) => Ok(()),
        _ => Err(Refusal::invalid_grant("Invalid code verifier.")),
    }
}

/// RFC 7636, 4.1: 43 to 128 unreserved characters.
fn fits(challenge: &str, verifier: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge
}

fn refresh(state: &mut State, client: &Client, request: &Request) -> Result<Value, Refusal> {
    let text = required(request, "refresh_token")?;
    let family = match state.present(&client.id, text) {
        Presented::Usable(family) => family,
        Presented::Reused => {
            return Err(Refusal::invalid_grant("Refresh token was used before."));
        }
        Presented::Dead => {
            let description = "Token has been expired or revoked.";
            return Err(Refusal::invalid_grant(description));
        }
    };
    let scopes = narrowed(&state.family(family).scopes, request.field("scope"))?;
    let successor = state.rotate(text);
    let mut answer = tokens(state, family, &scopes, successor, None);
    if !state.config.id_tokens.on_refresh {
        answer.as_object_mut().map(|answer| answer.remove("id_token"));
    }
    Ok(answer)
}

/// RFC 6749, 4.4: confidential clients only, and no refresh token.
fn client_credentials(state: &mut State, client: &Client, request: &Request) -> Result<Value, Refusal> {
    if client.auth == AuthMethod::None || !state.config.client_credentials {
        return Err(Refusal::new(400, "unauthorized_client", "This client may not use client credentials."));
    }
    let scopes = existing(state, request.field("scope"))?;
    let family = state.open_family(&client.id, &client.id, &scopes);
    let mut answer = json!({
        "access_token": state.issue_access_token(family, &scopes),
        "expires_in": state.config.expires_in,
        "token_type": "Bearer",
    });
    if !scopes.is_empty() {
        answer["scope"] = scopes.join(" ").into();
    }
    Ok(answer)
}

/// The scopes that are asked for, if there are such.
pub(super) fn existing(state: &State, asked: Option<&str>) -> Result<Vec<String>, Refusal> {
    let asked: Vec<String> = asked.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let exists = |scope: &String| state.config.scopes.as_ref().is_none_or(|known| known.contains(scope));
    match asked.iter().all(exists) {
        true => Ok(asked),
        false => Err(Refusal::new(400, "invalid_scope", "There is no such scope.")),
    }
}

/// A refresh may ask for less than was granted, never for more (RFC 6749, 6).
fn narrowed(granted: &[String], asked: Option<&str>) -> Result<Vec<String>, Refusal> {
    let Some(asked) = asked else {
        return Ok(granted.to_vec());
    };
    let asked: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
    match asked.iter().all(|scope| granted.contains(scope)) {
        true => Ok(asked),
        false => Err(Refusal::new(400, "invalid_scope", "Not granted.")),
    }
}

fn tokens(
    state: &mut State,
    family: usize,
    scopes: &[String],
    refresh_token: Option<String>,
    nonce: Option<&str>,
) -> Value {
    let access_token = state.issue_access_token(family, scopes);
    let mut answer = json!({
        "access_token": access_token,
        "expires_in": state.config.expires_in,
        "token_type": "Bearer",
        "scope": scopes.join(" "),
    });
    if let Some(token) = refresh_token {
        answer["refresh_token"] = token.into();
    }
    if let Some(life) = state.grant_life(family) {
        answer["refresh_token_expires_in"] = life.into();
    }
    if scopes.iter().any(|scope| scope == "openid") {
        answer["id_token"] = id_token::issue(state, family, nonce).into();
    }
    answer
}

fn required<'a>(request: &'a Request, name: &str) -> Result<&'a str, Refusal> {
    let missing = || Refusal::invalid_request(&format!("{name} is missing."));
    request.field(name).ok_or_else(missing)
}
