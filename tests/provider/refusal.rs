//! An OAuth error, and how it is answered.

use serde_json::json;

use super::http::Response;

/// Why a request is refused (RFC 6749, 5.2).
pub(super) struct Refusal {
    status: u16,
    error: &'static str,
    description: String,
}

impl Refusal {
    pub(super) fn new(status: u16, error: &'static str, description: &str) -> Self {
        Self { status, error, description: description.into() }
    }

    pub(super) fn invalid_request(description: &str) -> Self {
        Self::new(400, "invalid_request", description)
    }

    pub(super) fn invalid_client(description: &str) -> Self {
        Self::new(401, "invalid_client", description)
    }

    pub(super) fn invalid_grant(description: &str) -> Self {
        Self::new(400, "invalid_grant", description)
    }

    pub(super) fn into_response(self) -> Response {
        let body = json!({"error": self.error, "error_description": self.description});
        let response = Response::json(self.status, &body);
        if self.status == 401 {
            response.with("WWW-Authenticate", "Basic realm=\"provider\"")
        } else {
            response
        }
    }
}
