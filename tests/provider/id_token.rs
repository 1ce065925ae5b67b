//! ID tokens: claims as OIDC Core 2 has them, under a signature that nobody can verify.
//!
//! A client that gets its ID token straight from the token endpoint need not check the signature
//! (OIDC Core 3.1.3.7, 6), so these have the shape of RS256 and no key behind it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::script::merge;
use super::state::State;

/// The key id in every ID token and in `/jwks`.
pub(super) const KEY_ID: &str = "provider-1";

/// The life of an ID token in seconds.
const LIFE: u64 = 3600;

/// An RS256 signature and the modulus of its key have this many bytes.
const KEY_BYTES: usize = 256;

/// Issues an ID token for the user of a family.
pub(super) fn issue(state: &mut State, family: usize, nonce: Option<&str>) -> String {
    let mut claims = claims(state, family, nonce);
    merge(&mut claims, &state.config.id_token_claims);
    let header = json!({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"});
    let token = format!("{}.{}.{}", part(&header), part(&claims), filler());
    state.issued.push(token.clone());
    token
}

/// As many bytes as a real signature or modulus has, in base64url.
pub(super) fn filler() -> String {
    URL_SAFE_NO_PAD.encode([0xa5; KEY_BYTES])
}

fn claims(state: &State, family: usize, nonce: Option<&str>) -> Value {
    let family = state.family(family);
    let mut claims = json!({
        "iss": state.issuer(),
        "aud": family.client_id,
        "azp": family.client_id,
        "sub": family.sub,
        "iat": state.now(),
        "exp": state.now() + LIFE,
        "jti": state.issued.len().to_string(),
    });
    let email = state.config.user(&family.sub).map(|user| &user.email);
    if let Some(email) = email.filter(|_| tells_email(&family.scopes)) {
        claims["email"] = email.as_str().into();
        claims["email_verified"] = true.into();
    }
    if let Some(nonce) = nonce {
        claims["nonce"] = nonce.into();
    }
    claims
}

/// Whether the e-mail address was granted, by OIDC's name or by Google's.
pub(super) fn tells_email(scopes: &[String]) -> bool {
    let tells = |scope: &String| scope == "email" || scope.ends_with("/auth/userinfo.email");
    scopes.iter().any(tells)
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
