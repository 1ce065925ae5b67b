//! `vault api`: what is sent with a profile's token, and what comes back.

use serde_json::{Value, json};

use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Fault, Provider, Request};

/// A provider with an API at `/api/…`, and a home whose profile `work` may send its token there.
pub fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.forget_requests();
    (provider, home)
}

/// The token that went along with `request`, if one did.
pub fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

/// The only request to the API.
#[track_caller]
pub fn only(provider: &Provider) -> Request {
    let mut requests = provider.requests_to(Endpoint::Api);
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

/// What the API says that it was asked.
#[track_caller]
fn asked(run: Run) -> Value {
    serde_json::from_str(&run.expect_code(0).stdout).unwrap()
}

#[test]
fn a_request_has_the_token_in_its_header_and_its_answer_is_the_answer() {
    let (provider, home) = logged_in();

    let answer = asked(home.run(&["api", "work", "GET", &provider.url("/api/me?x=1")]));

    assert_eq!(answer["query"], json!([["x", "1"]]));
    let request = only(&provider);
    assert!(provider.is_live_access_token(bearer(&request).unwrap()));
    assert!(request.body.is_empty() && request.header("content-type").is_none());
    assert_eq!(provider.count(Endpoint::Token), 0, "the cached token was good enough");
}
