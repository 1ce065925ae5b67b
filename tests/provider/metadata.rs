//! What the server says about itself: the two discovery documents and the keys.

use serde_json::{Value, json};

use super::http::Response;
use super::state::State;

/// `/.well-known/openid-configuration` (OIDC Discovery 3).
pub(super) fn openid(state: &State) -> Response {
    answer_if(state.config.oidc_discovery, state)
}

/// `/.well-known/oauth-authorization-server` (RFC 8414, 2).
pub(super) fn oauth(state: &State) -> Response {
    answer_if(state.config.oauth_discovery, state)
}

/// `/jwks` (RFC 7517): the keys that are published, whichever signs.
pub(super) fn jwks(state: &State) -> Response {
    let keys: Vec<Value> = state.config.id_tokens.published.iter().map(|key| key.public()).collect();
    Response::json(200, &json!({"keys": keys}))
}

fn answer_if(served: bool, state: &State) -> Response {
    match served {
        true => Response::json(200, &document(state)),
        false => Response::text(404, "nothing here\n"),
    }
}

fn document(state: &State) -> Value {
    let mut document = json!({
        "issuer": state.issuer(),
        "authorization_endpoint": state.url("/authorize"),
        "token_endpoint": state.url("/token"),
        "userinfo_endpoint": state.url("/userinfo"),
        "revocation_endpoint": state.url("/revoke"),
        "jwks_uri": state.url("/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "none"],
    });
    if state.config.device.is_some() {
        document["device_authorization_endpoint"] = state.url("/device_authorization").into();
    }
    if state.config.send_iss {
        document["authorization_response_iss_parameter_supported"] = true.into();
    }
    if let Some(scopes) = &state.config.scopes {
        document["scopes_supported"] = json!(scopes);
    }
    document
}
