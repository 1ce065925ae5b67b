//! `/device_authorization`, and `/device`, where a person types the code (RFC 8628).

use serde_json::{Value, json};

use super::client_auth::{authenticate, check_form};
use super::config::{Client, Consent};
use super::http::{Request, Response};
use super::refusal::Refusal;
use super::state::State;

/// The grant type of a poll (RFC 8628, 3.4).
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the server says of its codes; see [`super::Config::device`].
#[derive(Clone, Debug)]
pub struct Device {
    /// The life of a code in seconds.
    pub expires_in: u64,
    /// The seconds between two polls; faster ones are answered with `slow_down`, and it grows by 5.
    pub interval: u64,
    /// Whether a client that has a secret must prove itself to get a code (RFC 8628, 3.1).
    pub authenticates: bool,
}

impl Default for Device {
    fn default() -> Self {
        Self { expires_in: 1800, interval: 1, authenticates: true }
    }
}

/// A device code that waits to be redeemed.
#[derive(Clone, Debug)]
pub(super) struct DeviceCode {
    client_id: String,
    user_code: String,
    scopes: Vec<String>,
    expires_at: u64,
    interval: u64,
    polled_at: Option<std::time::Instant>,
    consent: Option<Consent>,
    is_redeemed: bool,
}

/// Answers a device authorization request (RFC 8628, 3.1 and 3.2).
pub(super) fn authorize(state: &mut State, request: &Request) -> Response {
    let Some(device) = state.config.device.clone() else {
        return Response::text(404, "nothing here\n");
    };
    match begin(state, request, &device) {
        Ok(answer) => Response::json(200, &answer),
        Err(refusal) => refusal.into_response(),
    }
}

fn begin(state: &mut State, request: &Request, device: &Device) -> Result<Value, Refusal> {
    check_form(request)?;
    let client =
        if device.authenticates { authenticate(&state.config, request)? } else { named(state, request)? };
    let scopes = request.field("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let number = state.device_codes.len() + 1;
    let user_code = format!("WDJB-{number:04}");
    let device_code = state.fresh("CANARY-DC-");
    let code = DeviceCode {
        client_id: client.id,
        user_code: user_code.clone(),
        scopes,
        expires_at: state.now() + device.expires_in,
        interval: device.interval,
        polled_at: None,
        consent: None,
        is_redeemed: false,
    };
    state.device_codes.push((device_code.clone(), code));
    Ok(json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": state.url("/device"),
        "verification_uri_complete": state.url(&format!("/device?user_code={user_code}")),
        "expires_in": device.expires_in,
        "interval": device.interval,
    }))
}

fn named(state: &State, request: &Request) -> Result<Client, Refusal> {
    // Who proves itself in the header is not looked at: it is the first one.
    let known = match request.field("client_id") {
        Some(id) => state.config.client(id).cloned(),
        None => state.config.clients.first().cloned(),
    };
    known.ok_or_else(|| Refusal::invalid_client("The OAuth client was not found."))
}

/// The page on which a person types `user_code` and answers as planned.
pub(super) fn page(state: &mut State, request: &Request) -> Response {
    let typed = request.param("user_code").unwrap_or_default().to_owned();
    let consent = state.take_consent();
    let now = state.now();
    let is_meant = |code: &&mut DeviceCode| code.user_code == typed && now < code.expires_at;
    match state.device_codes.iter_mut().map(|(_, code)| code).find(is_meant) {
        Some(code) => {
            code.consent = Some(consent);
            Response::text(200, "You can go back to your device.\n")
        }
        None => Response::text(400, "There is no such code.\n"),
    }
}

/// What a poll turned out to be.
pub(super) struct Redeemed {
    pub(super) sub: String,
    pub(super) scopes: Vec<String>,
}

/// Answers a poll (RFC 8628, 3.5) of a client that has proven itself.
pub(super) fn poll(state: &mut State, client: &Client, request: &Request) -> Result<Redeemed, Refusal> {
    let text = request.field("device_code").unwrap_or_default().to_owned();
    let (now, first_user) = (state.now(), state.config.users.first().cloned());
    let refused = |error: &'static str| Refusal::new(400, error, "of a device code");
    let found = state.device_codes.iter_mut().find(|(known, _)| *known == text);
    let (_, code) = found.ok_or_else(|| Refusal::invalid_grant("There is no such device code."))?;
    if code.client_id != client.id || code.is_redeemed {
        return Err(Refusal::invalid_grant("The device code is not good any more."));
    }
    if now >= code.expires_at {
        return Err(refused("expired_token"));
    }
    // A tenth is what the clocks of two processes may differ by, and the way of the request.
    let early = std::time::Duration::from_secs(code.interval).mul_f64(0.9);
    let is_early = code.polled_at.replace(request.at).is_some_and(|last| request.at - last < early);
    if is_early {
        code.interval += 5;
        return Err(refused("slow_down"));
    }
    let Some(consent) = code.consent.clone() else { return Err(refused("authorization_pending")) };
    if consent.error.is_some() {
        return Err(refused("access_denied"));
    }
    code.is_redeemed = true;
    let scopes = consent.granted.clone().unwrap_or_else(|| code.scopes.clone());
    let user = consent.user.as_deref().and_then(|name| state.config.user(name).cloned()).or(first_user);
    Ok(Redeemed { sub: user.expect("the server has a user").sub, scopes })
}
