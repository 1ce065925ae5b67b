//! What a server answers: a token, a fact, or why not, in one line that a person understands.

use std::fmt::Write;

use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::teller::Teller;
use super::{Refusal, RefusalKind};
use crate::domain::{AccessToken, IdToken};
use crate::system::http;

/// How long a token is said to work of which nobody knows, in seconds. Libraries want a number above zero.
pub(super) const UNKNOWN_LIFE: i64 = 300;

/// Largest body of ours, so that it grows in one piece: a token, and what stands around it.
const USUAL_BODY: usize = 8 * 1024;

/// One answer.
pub(super) struct Reply {
    status: &'static str,
    format: &'static str,
    fields: Vec<(&'static str, String)>,
    body: Zeroizing<Vec<u8>>,
}

/// A successful answer of a token endpoint (RFC 6749, 5.1; RFC 8693, 2.2.1).
#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'a str>,
    token_type: &'a str,
    expires_in: i64,
}

impl Reply {
    /// Text.
    pub(super) fn text(status: &'static str, text: impl Into<String>) -> Self {
        Self::of(status, "text/plain; charset=utf-8", text.into().into_bytes())
    }

    /// The same in another format.
    pub(super) fn of(status: &'static str, format: &'static str, body: Vec<u8>) -> Self {
        Self { status, format, fields: Vec::new(), body: Zeroizing::new(body) }
    }

    /// A refusal of the request itself.
    pub(super) fn refused(refusal: http::Refusal, why: &str) -> Self {
        Self::text(refusal.status(), format!("vault: {why}\n"))
    }

    /// A token, as the token endpoints and the metadata server of Google give it.
    pub(super) fn token(teller: &Teller<'_>, token: &AccessToken, issued_token_type: Option<&str>) -> Self {
        let answer = TokenAnswer {
            access_token: token.value.expose_secret(),
            issued_token_type,
            token_type: "Bearer",
            expires_in: teller.seconds_left(token).unwrap_or(UNKNOWN_LIFE).max(1),
        };
        let mut reply = Self::of("200 OK", "application/json", Vec::with_capacity(USUAL_BODY));
        serde_json::to_writer(&mut *reply.body, &answer).expect("text and numbers are JSON");
        reply
    }

    /// An ID token, as the metadata server of Google gives it.
    pub(super) fn identity(token: &IdToken) -> Self {
        Self::of("200 OK", "text/html", token.value.expose_secret().as_bytes().to_vec())
    }

    /// An error of a token endpoint (RFC 6749, 5.2). Libraries show all of it to their user.
    ///
    /// Status 400, as a server error has Google's libraries try for 15 seconds before they say anything.
    pub(super) fn error(error: &'static str, description: &str) -> Self {
        Self::error_with("400 Bad Request", error, description)
    }

    fn error_with(status: &'static str, error: &'static str, description: &str) -> Self {
        let description: String = description.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let body = json!({ "error": error, "error_description": format!("vault: {description}") });
        Self::of(status, "application/json", body.to_string().into_bytes())
    }

    /// Why the desk gives nothing out.
    ///
    /// What a later try can mend is 502. On less than 500, Google's library for Rust never asks again. On 500 and
    /// 503, that for Python tries for 15 seconds before it says anything: the vault has tried already.
    pub(super) fn of_desk(refusal: &Refusal) -> Self {
        let (status, error) = match refusal.kind {
            RefusalKind::Locked | RefusalKind::Offline => ("502 Bad Gateway", "temporarily_unavailable"),
            RefusalKind::LoginNeeded => ("400 Bad Request", "invalid_grant"),
            RefusalKind::ScopesNotGranted => ("400 Bad Request", "invalid_scope"),
            _ => ("400 Bad Request", "invalid_request"),
        };
        Self::error_with(status, error, &refusal.message)
    }

    /// Adds a header field.
    pub(super) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The status code and its phrase.
    pub(super) fn status(&self) -> &'static str {
        self.status
    }

    /// All of it as it is sent. Nothing lets a page of another origin read it.
    pub(super) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        for (name, value) in &self.fields {
            write!(head, "{name}: {value}\r\n").expect("a String takes any text");
        }
        write!(
            head,
            "Content-Type: {}\r\n\
             Content-Length: {}\r\n\
             Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\n\
             Connection: close\r\n\r\n",
            self.format,
            self.body.len()
        )
        .expect("a String takes any text");
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + self.body.len()));
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
