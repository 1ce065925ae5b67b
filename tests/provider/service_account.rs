//! Service accounts: what they sign is exchanged for tokens, and whoever may act as one gets tokens of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::config::ServiceAccount;
use super::http::{Request, Response};
use super::id_token;
use super::refusal::Refusal;
use super::state::State;
use super::token::existing;
use super::userinfo::bearer;

/// RFC 7523, 2.1.
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How far the clock of a client may be ahead, in seconds.
const SKEW: u64 = 300;

/// The longest life of an assertion, and of a token of a service account, in seconds.
const HOUR: u64 = 3600;

/// What Google's libraries name as the audience, wherever they send it.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";

/// The public half of a private key in PKCS#8.
pub(super) fn public_half(pem: &str) -> Vec<u8> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("a key of a test is one");
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("and signs").public_key().as_ref().to_vec()
}

/// Exchanges an assertion for an access token, or for an ID token if it names an audience.
pub(super) fn redeem(state: &mut State, request: &Request) -> Result<Value, Refusal> {
    let missing = || Refusal::invalid_request("assertion is missing.");
    let assertion = request.field("assertion").ok_or_else(missing)?;
    let claims = verified(state, assertion)?;
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    let email = text("iss").unwrap_or_default();
    if let Some(audience) = text("target_audience") {
        return Ok(json!({"id_token": signed_for(state, &email, &audience)}));
    }
    let scopes = existing(state, claims["scope"].as_str())?;
    if scopes.is_empty() {
        return Err(Refusal::new(400, "invalid_scope", "Empty or missing scope not allowed."));
    }
    let family = state.open_family(&email, &text("sub").unwrap_or_else(|| email.clone()), &scopes);
    // As Google answers: without the scopes.
    Ok(json!({
        "access_token": state.issue_access_token(family, &scopes),
        "expires_in": state.config.expires_in,
        "token_type": "Bearer",
    }))
}

/// The claims of an assertion that the key of its account has signed, for us and for now.
fn verified(state: &State, assertion: &str) -> Result<Value, Refusal> {
    let malformed = || Refusal::invalid_grant("Invalid JWT.");
    let [header, claims, signature] = &assertion.split('.').collect::<Vec<_>>()[..] else {
        return Err(malformed());
    };
    let read = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
    };
    let (head, body) = (read(header).ok_or_else(malformed)?, read(claims).ok_or_else(malformed)?);
    let unknown = || Refusal::invalid_grant("Invalid grant: account not found");
    let email = body["iss"].as_str().unwrap_or_default();
    let account =
        state.config.service_accounts.iter().find(|account| account.email == email).ok_or_else(unknown)?;
    let signed = &assertion[..header.len() + 1 + claims.len()];
    let signature = URL_SAFE_NO_PAD.decode(signature.trim_end_matches('=')).map_err(|_| malformed())?;
    check_signature(account, &head, signed.as_bytes(), &signature)?;
    if ![state.url("/token").as_str(), GOOGLE].contains(&body["aud"].as_str().unwrap_or_default()) {
        return Err(Refusal::invalid_grant("Invalid JWT: Failed audience check."));
    }
    check_time(state.now(), &body)?;
    check_subject(account, &body)?;
    Ok(body)
}

fn check_signature(
    account: &ServiceAccount,
    header: &Value,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), Refusal> {
    let named = account.keys.iter().find(|(id, _)| header["kid"] == id.as_str());
    let is_right = |key: &(String, Vec<u8>)| {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &key.1).verify(signed, signature).is_ok()
    };
    match header["alg"] == "RS256" && named.is_some_and(is_right) {
        true => Ok(()),
        false => Err(Refusal::invalid_grant("Invalid JWT Signature.")),
    }
}

/// In Google's words.
fn check_time(now: u64, claims: &Value) -> Result<(), Refusal> {
    let second = |name: &str| claims[name].as_u64().unwrap_or(0);
    let (iat, exp) = (second("iat"), second("exp"));
    match iat <= now + SKEW && exp > now && exp - iat <= HOUR {
        true => Ok(()),
        false => Err(Refusal::invalid_grant(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your \
             iat and exp values in the JWT claim.",
        )),
    }
}

fn check_subject(account: &ServiceAccount, claims: &Value) -> Result<(), Refusal> {
    match claims["sub"].as_str() {
        Some(user) if user != account.email && !account.subjects.iter().any(|known| known == user) => {
            Err(Refusal::new(
                401,
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any \
                 of the scopes requested.",
            ))
        }
        _ => Ok(()),
    }
}

fn signed_for(state: &mut State, email: &str, audience: &str) -> String {
    let family = state.open_family(audience, email, &[]);
    id_token::issue(state, family, None)
}

/// Why IAM refuses: status, word and sentence.
type Denial = (u16, &'static str, String);

/// `…/serviceAccounts/ADDRESS:generateAccessToken` and `:generateIdToken`.
pub(super) fn impersonate(state: &mut State, request: &Request) -> Response {
    match issue(state, request) {
        Ok(answer) => Response::json(200, &answer),
        Err((status, word, message)) => {
            Response::json(status, &json!({"error": {"code": status, "status": word, "message": message}}))
        }
    }
}

fn issue(state: &mut State, request: &Request) -> Result<Value, Denial> {
    let (email, method) = target(request).ok_or((404, "NOT_FOUND", "Not found.".to_owned()))?;
    let body: Value =
        serde_json::from_slice(&request.body).map_err(|_| invalid("Invalid JSON payload received."))?;
    check_right(state, request, &email, &body)?;
    match method.as_str() {
        "generateAccessToken" => access_token(state, &email, &body),
        "generateIdToken" => {
            let audience = body["audience"].as_str().filter(|text| !text.is_empty());
            let audience = audience.ok_or_else(|| invalid("audience is required"))?.to_owned();
            Ok(json!({"token": signed_for(state, &email, &audience)}))
        }
        _ => Err((404, "NOT_FOUND", "Method not found.".to_owned())),
    }
}

fn target(request: &Request) -> Option<(String, String)> {
    let rest = request.path.strip_prefix("/v1/projects/-/serviceAccounts/")?;
    let (email, method) = rest.split_once(':')?;
    Some((email.to_owned(), method.to_owned()))
}

/// Whoever asks must be alive, have a scope for it, and may act as the next in the chain, up to the last.
fn check_right(state: &State, request: &Request, email: &str, body: &Value) -> Result<(), Denial> {
    let nobody = || (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.".to_owned());
    let token = bearer(request).and_then(|token| state.live_access_token(token)).ok_or_else(nobody)?;
    let is_enough = |scope: &String| scope.ends_with("/auth/cloud-platform") || scope.ends_with("/auth/iam");
    if !token.scopes.iter().any(is_enough) {
        let message = "Request had insufficient authentication scopes.";
        return Err((403, "PERMISSION_DENIED", message.to_owned()));
    }
    let who = &state.family(token.family).sub;
    let mut at = state.config.user(who).map_or_else(|| who.clone(), |user| user.email.clone());
    let delegates = body["delegates"].as_array().cloned().unwrap_or_default();
    let delegates = delegates.iter().filter_map(|it| it.as_str()?.rsplit('/').next().map(str::to_owned));
    for next in delegates.chain([email.to_owned()]) {
        if !state.config.service_accounts.iter().any(|account| account.email == next) {
            return Err((404, "NOT_FOUND", format!("Unknown service account {next}")));
        }
        if !state.config.token_creators.contains(&(at, next.clone())) {
            let message =
                "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
            return Err((403, "PERMISSION_DENIED", message.to_owned()));
        }
        at = next;
    }
    Ok(())
}

fn access_token(state: &mut State, email: &str, body: &Value) -> Result<Value, Denial> {
    let scopes: Vec<String> = body["scope"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect();
    if scopes.is_empty() {
        return Err(invalid("Request contains an invalid argument: scope is required."));
    }
    let life =
        body["lifetime"].as_str().and_then(|text| text.strip_suffix('s')?.parse().ok()).unwrap_or(HOUR);
    if life > HOUR {
        return Err(invalid(
            "The access token lifetime cannot exceed 3600s, unless an exemption is granted.",
        ));
    }
    let life = life.min(state.config.expires_in);
    let family = state.open_family(email, email, &scopes);
    let token = state.issue_access_token_for(family, &scopes, life);
    let end = jiff::Timestamp::from_second((state.now() + life).cast_signed()).expect("a time that can be");
    Ok(json!({"accessToken": token, "expireTime": end.to_string()}))
}

fn invalid(message: &str) -> Denial {
    (400, "INVALID_ARGUMENT", message.to_owned())
}

/// RFC 9110, 5.6.7.
pub(super) fn http_date(second: u64) -> String {
    let time = jiff::Timestamp::from_second(second.cast_signed()).expect("a time that can be");
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&time).expect("a year of four digits")
}
