//! The answer of a token endpoint: what comes out of it is a token and nothing else, and an error
//! repeats nothing that was sent.

use std::time::Duration;

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use vault::domain::{Binding, ClientAuth};
use vault::oauth::provider::GENERIC;
use vault::oauth::token_endpoint::{Credentials, TokenAnswer, refresh};
use vault::oauth::{Error, Http, Request, Response, TransportError};
use zeroize::Zeroizing;

/// What is sent; an answer may repeat it.
const REFRESH_TOKEN: &str = "1//CANARY-RT-4f2c9a";
const CLIENT_SECRET: &str = "GOCSPX-CANARY-CS-77b1";

/// Longest token in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// Longest life that is believed.
const MAX_LIFE: SignedDuration = SignedDuration::from_hours(87_660);

/// Holds whatever `answer` is: its first line is the HTTP status, the rest its body. Says whether
/// there is a token in it.
pub fn holds(answer: &[u8]) -> bool {
    let (status, body) = split(answer);
    let http = Says { status, body: body.to_vec() };
    let binding = binding();
    let secret = SecretString::from(CLIENT_SECRET);
    let credentials = Credentials { binding: &binding, secret: Some(&secret), provider: &GENERIC };

    match refresh(&http, &credentials, &REFRESH_TOKEN.into(), None, Duration::from_secs(30)) {
        Ok(answer) => {
            assert!((200..300).contains(&status), "a token with the status {status}");
            assert_is_an_answer(&answer, body);
            true
        }
        Err(error) => {
            assert_says_nothing_that_was_sent(&error);
            if let Error::Nonsense { rotated: Some(token), .. } = &error {
                assert!(is_token(token.expose_secret()));
            }
            false
        }
    }
}

/// An endpoint that always says the same.
struct Says {
    status: u16,
    body: Vec<u8>,
}

impl Http for Says {
    fn send(&self, _: &Request) -> Result<Response, TransportError> {
        Ok(Response {
            status: self.status,
            retry_after: None,
            date: None,
            location: None,
            body: Zeroizing::new(self.body.clone()),
        })
    }
}

fn split(answer: &[u8]) -> (u16, &[u8]) {
    let end = answer.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let status = std::str::from_utf8(&answer[..end]).ok().and_then(|text| text.parse().ok());
    (status.unwrap_or(200), answer.get(end + 1..).unwrap_or_default())
}

fn binding() -> Binding {
    Binding {
        token_endpoint: Some("https://as.example/token".parse().unwrap()),
        client_id: Some("me".into()),
        client_auth: Some(ClientAuth::Post),
        ..Binding::issuer_only("https://as.example")
    }
}

fn assert_is_an_answer(answer: &TokenAnswer, body: &[u8]) {
    let members: Map<String, Value> = serde_json::from_slice(body).expect("an answer is a JSON object");
    assert!(crate::keys::stand_once(body), "readers differ on which of two counts");
    assert_eq!(members["access_token"], answer.access_token.expose_secret());
    let tokens = [Some(&answer.access_token), answer.refresh_token.as_ref(), answer.id_token.as_ref()];
    for token in tokens.into_iter().flatten() {
        assert!(is_token(token.expose_secret()), "{:?}", token.expose_secret());
    }
    if let Some(token) = &answer.refresh_token {
        assert_eq!(members["refresh_token"], token.expose_secret());
    }
    for life in [answer.expires_in, answer.refresh_token_expires_in].into_iter().flatten() {
        assert!((SignedDuration::ZERO..=MAX_LIFE).contains(&life), "{life}");
    }
    if let Some(scope) = &answer.scope {
        let text = scope.to_string();
        assert!(!scope.is_empty() && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{text:?}");
    }
    let error = members.get("error").and_then(Value::as_str).unwrap_or_default();
    assert!(error.trim().is_empty(), "a token beside the error {error:?}");
    let any = SecretString::from("another");
    assert_eq!(format!("{:?}", answer.access_token), format!("{any:?}"), "Debug shows the token");
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(|b| b.is_ascii_graphic())
}

fn assert_says_nothing_that_was_sent(error: &Error) {
    crate::clean::assert_error(error);
    for secret in [REFRESH_TOKEN, CLIENT_SECRET] {
        crate::clean::assert_does_not_show(error, secret);
    }
}
