//! Scripted faults: what goes wrong on the way to the server or on the way back.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::{Pairs, Response};

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    OpenidConfiguration,
    /// `/.well-known/oauth-authorization-server`
    OauthMetadata,
    /// `/authorize`
    Authorize,
    /// `/token`
    Token,
    /// `/userinfo`
    Userinfo,
    /// `/revoke`
    Revoke,
    /// `/jwks`
    Jwks,
    /// `/device_authorization`
    DeviceAuthorization,
    /// `/device`, where a person types a code
    DevicePage,
    /// `/api/…`, a resource
    Api,
    /// `/v1/projects/…`, which issues tokens of service accounts
    Iam,
    /// Any other path.
    Elsewhere,
}

/// What one request meets. "Commit" is the server's work: a code redeemed, a token rotated.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing: this request is served as usual.
    Pass,
    /// Waits, then serves as usual.
    Delay(Duration),
    /// Waits for [`super::Provider::release`], then serves as usual.
    Hold,
    /// Resets the connection; the server has done nothing.
    ResetBefore,
    /// Answers this; the server has done nothing.
    Respond {
        /// The status code.
        status: u16,
        /// The header fields; a `Content-Length` here is sent as it is.
        headers: Pairs,
        /// The body.
        body: Vec<u8>,
    },
    /// Answers 307 to this URL; the server has done nothing.
    Redirect(String),
    /// Sends bytes that are no HTTP; the server has done nothing.
    Garbage,
    /// Does the work, waits, then answers.
    CommitThenDelay(Duration),
    /// Does the work, waits for [`super::Provider::release`], then answers.
    CommitThenHold,
    /// Does the work, then resets the connection without a byte of answer.
    CommitThenReset,
    /// Does the work, then closes the connection in order, without a byte of answer.
    CommitThenClose,
    /// Does the work, then sends the head and so many bytes of the body, and closes.
    CommitThenTruncate(usize),
    /// Does the work, then sends so many bytes of the answer, its head included, and closes.
    CommitThenCut(usize),
    /// Does the work, then answers with a `Content-Length` that is so much too long.
    CommitThenLength(isize),
    /// Does the work, then answers without a `Content-Length`, cut off after so many bytes of the
    /// body: the end of the connection is the end of the answer.
    CommitThenEndAt(usize),
    /// Does the work, then sends these bytes instead of an answer.
    CommitThenBytes(Vec<u8>),
    /// Does the work, then answers with these header fields besides.
    CommitThenAdd(Pairs),
    /// Does the work, then answers so many mebibytes of nothing.
    CommitThenFlood(usize),
    /// Does the work, then sends so many bytes of the body and holds the connection.
    CommitThenStop(usize),
    /// Does the work, then answers this status with a page of HTML.
    CommitThenStatus(u16),
    /// Does the work, then answers this instead.
    CommitThenRespond {
        /// The status code.
        status: u16,
        /// The header fields; a `Content-Length` here is sent as it is.
        headers: Pairs,
        /// The body.
        body: Vec<u8>,
    },
    /// Does the work, then merges this (RFC 7396) into the answer.
    CommitThenAmend(Value),
    /// Does the work, then sends bytes that are no HTTP.
    CommitThenGarbage,
    /// Does the work, then sends the answer byte by byte, with this pause before each.
    DripBytes(Duration),
}

impl Fault {
    /// An OAuth error answer (RFC 6749, 5.2).
    pub fn error(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, &json!({"error": error, "error_description": description}))
    }

    /// Any JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::body(status, "application/json", body.to_string())
    }

    /// A page where JSON was expected, as proxies and captive portals answer.
    pub fn html(status: u16) -> Self {
        Self::body(status, "text/html", html_page(status))
    }

    /// Google's answer for a refresh token that is dead, whatever it died of.
    pub fn revoked() -> Self {
        Self::error(400, "invalid_grant", "Token has been expired or revoked.")
    }

    /// Google's answer for an account that is gone.
    pub fn account_deleted() -> Self {
        Self::error(400, "invalid_grant", "Account has been deleted")
    }

    /// Google Workspace's answer when the administrator wants the person to log in again.
    pub fn invalid_rapt() -> Self {
        let body = json!({
            "error": "invalid_grant",
            "error_description": "reauth related error (invalid_rapt)",
            "error_uri": "https://support.google.com/a/answer/9368756",
            "error_subtype": "invalid_rapt",
        });
        Self::json(400, &body)
    }

    /// Google's answer for a client whose secret is not the one sent.
    pub fn bad_secret() -> Self {
        let description = "The provided client secret is invalid.";
        Self::error(401, "invalid_client", description)
    }

    /// Google's answer for a client that was deleted in the console.
    pub fn deleted_client() -> Self {
        Self::error(401, "deleted_client", "The OAuth client was deleted.")
    }

    /// Google's answer for a client that was disabled in the console.
    pub fn disabled_client() -> Self {
        Self::error(401, "disabled_client", "The OAuth client was disabled.")
    }

    /// 429 with `Retry-After` in seconds.
    pub fn too_many_requests(retry_after: u64) -> Self {
        Self::error(429, "rate_limit_exceeded", "Too many requests.").later(retry_after)
    }

    /// 503 with `Retry-After` in seconds.
    pub fn unavailable(retry_after: u64) -> Self {
        Self::html(503).later(retry_after)
    }

    /// A JSON answer of at least so many bytes.
    pub fn oversized(bytes: usize) -> Self {
        Self::json(200, &json!({"padding": "x".repeat(bytes)}))
    }

    fn body(status: u16, content_type: &str, body: String) -> Self {
        Self::Respond {
            status,
            headers: vec![("Content-Type".into(), content_type.into())],
            body: body.into_bytes(),
        }
    }

    fn later(mut self, seconds: u64) -> Self {
        if let Self::Respond { headers, .. } = &mut self {
            headers.push(("Retry-After".into(), seconds.to_string()));
        }
        self
    }
}

/// What a broken server shows to a browser.
pub(super) fn html_page(status: u16) -> String {
    format!("<!doctype html><title>{status}</title><p>Something went wrong ({status}).\n")
}

/// Merges a patch into a JSON body as RFC 7396 has it: `null` removes, objects merge.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().map(|object| object.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// Merges a patch into a response, if its body is JSON.
pub(super) fn amend(response: &mut Response, patch: &Value) {
    if let Ok(mut body) = serde_json::from_slice(&response.body) {
        merge(&mut body, patch);
        response.body = body.to_string().into_bytes();
    }
}

/// Where requests wait: for a time, to be released, or for the server's end.
#[derive(Default)]
pub(super) struct Gate {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Default)]
struct Inside {
    holding: usize,
    releases: u64,
    stopped: bool,
}

impl Gate {
    /// Waits for `time`, or the end of the server.
    pub(super) fn sleep(&self, time: Duration) {
        let inside = self.inside.lock().unwrap();
        let _unused = self.changed.wait_timeout_while(inside, time, |inside| !inside.stopped).unwrap();
    }

    /// Waits for the next release, or the end of the server.
    pub(super) fn hold(&self) {
        let mut inside = self.inside.lock().unwrap();
        let entered = inside.releases;
        inside.holding += 1;
        self.changed.notify_all();
        let held = |inside: &mut Inside| inside.releases == entered && !inside.stopped;
        let mut inside = self.changed.wait_while(inside, held).unwrap();
        inside.holding -= 1;
    }

    pub(super) fn wait_until_holding(&self, count: usize, timeout: Duration) -> bool {
        let inside = self.inside.lock().unwrap();
        let fewer = |inside: &mut Inside| inside.holding < count;
        let waited = self.changed.wait_timeout_while(inside, timeout, fewer);
        !waited.unwrap().1.timed_out()
    }

    pub(super) fn release(&self) {
        self.inside.lock().unwrap().releases += 1;
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.inside.lock().unwrap().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.inside.lock().unwrap().stopped
    }
}
