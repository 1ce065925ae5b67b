//! `/userinfo`: who an access token belongs to.

use serde_json::json;

use super::http::{Request, Response};
use super::id_token::tells_email;
use super::state::{AccessToken, State};

/// Answers a userinfo request (OIDC Core 5.3), with the errors of RFC 6750, 3.1.
pub(super) fn answer(state: &State, request: &Request) -> Response {
    let Some(bearer) = bearer(request) else {
        return refuse(401, "Bearer realm=\"provider\"");
    };
    let Some(token) = state.live_access_token(bearer) else {
        return refuse(401, "Bearer error=\"invalid_token\"");
    };
    if !opens_userinfo(&token.scopes) {
        return refuse(403, "Bearer error=\"insufficient_scope\"");
    }
    tell(state, token)
}

fn tell(state: &State, token: &AccessToken) -> Response {
    let sub = &state.family(token.family).sub;
    let mut claims = json!({"sub": sub});
    let email = state.config.user(sub).map(|user| &user.email);
    if let Some(email) = email.filter(|_| tells_email(&token.scopes)) {
        claims["email"] = email.as_str().into();
        claims["email_verified"] = true.into();
    }
    Response::json(200, &claims)
}

pub(super) fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn opens_userinfo(scopes: &[String]) -> bool {
    scopes.iter().any(|scope| scope == "openid") || tells_email(scopes)
}

fn refuse(status: u16, challenge: &str) -> Response {
    Response::text(status, "").with("WWW-Authenticate", challenge)
}
