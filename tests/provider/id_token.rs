//! ID tokens: claims as OIDC Core 2 has them, signed with keys of the server's own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::script::merge;
use super::signing::SigningKey;
use super::state::State;

/// The life of an ID token in seconds.
const LIFE: u64 = 3600;

/// How ID tokens are signed, and what `/jwks` says of that.
#[derive(Clone, Debug)]
pub struct IdTokens {
    /// What signs them.
    pub key: SigningKey,
    /// What is published.
    pub published: Vec<SigningKey>,
    /// Merged (RFC 7396) into the header.
    pub header: Value,
    /// Whether one comes with a refresh too.
    pub on_refresh: bool,
}

impl Default for IdTokens {
    fn default() -> Self {
        Self {
            key: SigningKey::Rsa,
            published: vec![SigningKey::Rsa, SigningKey::P256],
            header: json!({}),
            on_refresh: true,
        }
    }
}

/// Issues an ID token for the user of a family.
pub(super) fn issue(state: &mut State, family: usize, nonce: Option<&str>) -> String {
    let mut claims = claims(state, family, nonce);
    merge(&mut claims, &state.config.id_token_claims);
    let token = signed(&state.config.id_tokens, &claims);
    state.issued.push(token.clone());
    token
}

/// A JWS of these claims, by these habits.
pub(super) fn signed(habits: &IdTokens, claims: &Value) -> String {
    let mut header = json!({"alg": habits.key.algorithm(), "kid": habits.key.id(), "typ": "JWT"});
    merge(&mut header, &habits.header);
    let algorithm = header["alg"].as_str().unwrap_or_default();
    let signed = format!("{}.{}", part(&header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(habits.key.sign(algorithm, signed.as_bytes()));
    format!("{signed}.{signature}")
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
    let user = state.config.user(&family.sub).map(|user| &user.email);
    // Google names the address of a service account without being asked.
    let accounts = state.config.service_accounts.iter().map(|account| &account.email);
    let service_account = accounts.into_iter().find(|email| **email == family.sub);
    if let Some(email) = user.filter(|_| tells_email(&family.scopes)).or(service_account) {
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
