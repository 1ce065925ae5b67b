//! `/revoke`: a client gives a token back (RFC 7009).

use serde_json::json;

use super::client_auth::{authenticate, check_form};
use super::http::{Request, Response};
use super::refusal::Refusal;
use super::state::{RevokedBecause, State};

/// Answers a revocation request.
pub(super) fn answer(state: &mut State, request: &Request) -> Response {
    let revoked = match state.config.google_habits {
        true => revoke_whole_grant(state, request),
        false => revoke_token(state, request),
    };
    match revoked {
        Ok(()) => Response::json(200, &json!({})),
        Err(refusal) => refusal.into_response(),
    }
}

/// RFC 7009, 2.2: a token that is unknown or dead already counts as revoked.
fn revoke_token(state: &mut State, request: &Request) -> Result<(), Refusal> {
    let token = token(request)?;
    let client = authenticate(&state.config, request)?;
    let Some(family) = state.family_of(token) else {
        return Ok(());
    };
    if state.family(family).client_id != client.id {
        let description = "The token was issued to another client.";
        return Err(Refusal::new(400, "unauthorized_client", description));
    }
    // An access token goes alone; a refresh token takes all it has given with it (2.1).
    if !state.forget_access_token(token) {
        state.revoke_family(family, RevokedBecause::ByClient);
    }
    Ok(())
}

/// Google asks for no client authentication, takes either token, and ends all grants of the
/// user to the client.
fn revoke_whole_grant(state: &mut State, request: &Request) -> Result<(), Refusal> {
    let token = token(request)?;
    let Some(family) = state.family_of(token) else {
        let description = "Token expired or revoked";
        return Err(Refusal::new(400, "invalid_token", description));
    };
    let family = state.family(family).clone();
    state.revoke_grant(&family.client_id, &family.sub, RevokedBecause::ByClient);
    Ok(())
}

fn token(request: &Request) -> Result<&str, Refusal> {
    check_form(request)?;
    let missing = || Refusal::invalid_request("token is missing.");
    request.field("token").ok_or_else(missing)
}
