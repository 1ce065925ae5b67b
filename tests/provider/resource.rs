//! `/api/…`: a resource that tells what it was asked, to whoever has a token that works.

use serde_json::json;

use super::http::{Request, Response};
use super::state::State;
use super::userinfo::bearer;

/// Answers a request to a resource, with the errors of RFC 6750, 3.1.
pub(super) fn answer(state: &State, request: &Request) -> Response {
    if bearer(request).and_then(|token| state.live_access_token(token)).is_none() {
        let refusal = Response::json(401, &json!({"error": "who are you?"}));
        return refusal.with("WWW-Authenticate", "Bearer error=\"invalid_token\"");
    }
    let asked = json!({
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "type": request.header("content-type"),
        "body": String::from_utf8_lossy(&request.body),
    });
    Response::json(200, &asked)
}
