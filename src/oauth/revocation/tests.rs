use url::Url;

use super::*;
use crate::domain::{Binding, ClientAuth};
use crate::oauth::provider::GENERIC;
use crate::oauth::script::{Script, answer, redirect};

const TIMEOUT: Duration = Duration::from_secs(30);

fn binding(auth: ClientAuth) -> Binding {
    Binding {
        issuer: "https://as.example".into(),
        token_endpoint: Some(Url::parse("https://as.example/token").unwrap()),
        revocation_endpoint: Some(Url::parse("https://as.example/revoke").unwrap()),
        client_id: Some("me".into()),
        client_auth: Some(auth),
    }
}

/// Revokes the token `CANARY-RT` as the client `me` with the secret `CANARY-CS`.
fn revoke_at(http: &dyn Http, binding: &Binding, kind: Kind) -> Result<Outcome, Error> {
    let secret = SecretString::from("CANARY-CS");
    let credentials = Credentials { binding, secret: Some(&secret), provider: &GENERIC };
    revoke(http, &credentials, &"CANARY-RT".into(), kind, TIMEOUT)
}

fn answered(response: Response) -> Result<Outcome, Error> {
    revoke_at(&Script::new([response]), &binding(ClientAuth::Post), Kind::Refresh)
}

/// What a name in the table below stands for.
fn class(result: &Result<Outcome, Error>) -> &'static str {
    match result {
        Ok(Outcome::Revoked) => "revoked",
        Ok(Outcome::Unknown) => "unknown",
        Ok(Outcome::Unsupported) => "unsupported",
        Ok(Outcome::NoEndpoint) => "no endpoint",
        Err(Error::Refused(_)) => "refused",
        Err(Error::Unavailable { .. }) => "unavailable",
        Err(Error::Nonsense { .. }) => "nonsense",
        Err(Error::Lost { .. }) => "lost",
        Err(_) => "something else",
    }
}

#[test]
fn a_revocation_goes_to_the_pinned_endpoint_with_the_token_and_its_kind() {
    for (kind, hint) in [(Kind::Refresh, "refresh_token"), (Kind::Access, "access_token")] {
        let http = Script::new([answer(200, "")]);
        revoke_at(&http, &binding(ClientAuth::Post), kind).unwrap();

        let sent = &http.sent()[0];
        assert_eq!(sent.url, "https://as.example/revoke");
        assert_eq!(sent.value("token"), Some("CANARY-RT"));
        assert_eq!(sent.value("token_type_hint"), Some(hint));
        assert_eq!(sent.form.len(), 4, "and who asks: {:?}", sent.form);
    }
}

#[test]
fn the_client_proves_itself_at_the_revocation_endpoint_as_it_is_bound() {
    let cases = [
        (ClientAuth::Basic, Some("Basic me CANARY-CS"), None, None),
        (ClientAuth::Post, None, Some("me"), Some("CANARY-CS")),
        (ClientAuth::None, None, Some("me"), None),
    ];
    for (auth, header, id, secret) in cases {
        let http = Script::new([answer(200, "")]);
        revoke_at(&http, &binding(auth), Kind::Refresh).unwrap();

        let sent = &http.sent()[0];
        assert_eq!(sent.authorization.as_deref(), header, "{auth}");
        assert_eq!(sent.value("client_id"), id, "{auth}");
        assert_eq!(sent.value("client_secret"), secret, "{auth}");
    }
}

#[test]
fn every_answer_of_a_revocation_endpoint_means_what_the_specification_says() {
    let google = r#"{"error":"invalid_token","error_description":"Token expired or revoked"}"#;
    let table = [
        (200, "", "revoked"),
        (200, "{}", "revoked"),
        (200, "<p>bye</p>", "revoked"),
        (204, "", "revoked"),
        (400, google, "unknown"),
        (400, r#"{"error":"unsupported_token_type"}"#, "unsupported"),
        (400, r#"{"error":"invalid_request"}"#, "refused"),
        (401, r#"{"error":"invalid_client"}"#, "refused"),
        (403, r#"{"error":"unauthorized_client"}"#, "refused"),
        (200, r#"{"error":"invalid_client"}"#, "refused"),
        (401, "", "refused"),
        (503, "", "unavailable"),
        (500, google, "unavailable"),
        (429, r#"{"error":"rate_limit_exceeded"}"#, "unavailable"),
        (400, r#"{"error":"temporarily_unavailable"}"#, "unavailable"),
        (404, "not here", "nonsense"),
        (400, "", "nonsense"),
    ];
    for (status, body, meaning) in table {
        assert_eq!(class(&answered(answer(status, body))), meaning, "{status} {body}");
    }
}

#[test]
fn a_provider_that_is_busy_says_when_to_ask_for_a_revocation_again() {
    let wait = Some(Duration::from_secs(7));
    let busy = Response { retry_after: wait, ..answer(503, "") };

    let Err(Error::Unavailable { status: 503, retry_after }) = answered(busy) else { panic!() };
    assert_eq!(retry_after, wait);
}

#[test]
fn a_revocation_follows_no_redirect_and_is_sent_once() {
    let http = Script::new([redirect("https://evil.example/"), answer(200, "")]);
    assert_eq!(class(&revoke_at(&http, &binding(ClientAuth::Post), Kind::Refresh)), "nonsense");
    assert_eq!(http.sent().len(), 1);

    let silent = Script::new([]);
    assert_eq!(class(&revoke_at(&silent, &binding(ClientAuth::Post), Kind::Refresh)), "lost");
    assert_eq!(silent.sent().len(), 1);
}

#[test]
fn without_a_pinned_revocation_endpoint_nothing_is_sent() {
    let http = Script::new([answer(200, "")]);
    let unpinned = Binding { revocation_endpoint: None, ..binding(ClientAuth::Post) };

    assert_eq!(class(&revoke_at(&http, &unpinned, Kind::Refresh)), "no endpoint");
    assert!(http.sent().is_empty());
}

#[test]
fn what_a_revocation_endpoint_quotes_of_the_request_is_not_repeated() {
    for body in [
        r#"{"error":"invalid_client","error_description":"CANARY-RT with CANARY-CS for refresh_token"}"#,
        "<h1>no token CANARY-RT here, CANARY-CS</h1>",
    ] {
        let error = answered(answer(400, body)).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("CANARY"), "{error:?}");
    }
}
