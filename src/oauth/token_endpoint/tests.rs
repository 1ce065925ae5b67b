use proptest::prelude::*;

use url::Url;

use super::*;
use crate::oauth::TransportError;
use crate::oauth::provider::GENERIC;
use crate::oauth::script::{Script, answer, redirect};

const TIMEOUT: Duration = Duration::from_secs(30);

const GOOD: &str = r#"{"access_token":"CANARY-AT","token_type":"Bearer","expires_in":3599,
    "refresh_token":"CANARY-RT-2","scope":"openid email","id_token":"a.b.c","refresh_token_expires_in":604799}"#;

fn binding(auth: ClientAuth) -> Binding {
    Binding {
        issuer: "https://as.example".into(),
        token_endpoint: Some(Url::parse("https://as.example/token").unwrap()),
        revocation_endpoint: None,
        client_id: Some("me".into()),
        client_auth: Some(auth),
    }
}

/// Refreshes with the refresh token `CANARY-RT` and the secret `CANARY-CS`.
fn refresh_at(http: &dyn Http, auth: ClientAuth) -> Result<TokenAnswer, Error> {
    let (binding, secret) = (binding(auth), SecretString::from("CANARY-CS"));
    let credentials = Credentials { binding: &binding, secret: Some(&secret), provider: &GENERIC };
    refresh(http, &credentials, &"CANARY-RT".into(), None, TIMEOUT)
}

fn refreshed(status: u16, body: &str) -> Result<TokenAnswer, Error> {
    refresh_at(&Script::new([answer(status, body)]), ClientAuth::Post)
}

/// What a name in the tables below stands for.
fn class(result: &Result<TokenAnswer, Error>) -> &'static str {
    match result {
        Ok(_) => "token",
        Err(Error::Refused(_)) => "refused",
        Err(Error::Unavailable { .. }) => "unavailable",
        Err(Error::Nonsense { rotated: None, .. }) => "nonsense",
        Err(Error::Nonsense { rotated: Some(_), .. }) => "nonsense, rotated",
        Err(Error::Lost { .. }) => "lost",
        Err(_) => "something else",
    }
}

fn value(secret: &Option<SecretString>) -> Option<&str> {
    secret.as_ref().map(|secret| secret.expose_secret())
}

#[test]
fn a_good_answer_is_read_whole() {
    let answer = refreshed(200, GOOD).unwrap();

    assert_eq!(answer.access_token.expose_secret(), "CANARY-AT");
    assert_eq!(answer.expires_in, Some(SignedDuration::from_secs(3599)));
    assert_eq!(value(&answer.refresh_token), Some("CANARY-RT-2"));
    assert_eq!(answer.scope.as_ref().unwrap().to_string(), "email openid");
    assert_eq!(value(&answer.id_token), Some("a.b.c"));
    assert_eq!(answer.refresh_token_expires_in, Some(SignedDuration::from_secs(604_799)));
    assert!(!format!("{answer:?}").contains("CANARY"));
}

#[test]
fn a_refresh_sends_the_token_and_no_scope() {
    let http = Script::new([answer(200, GOOD)]);
    refresh_at(&http, ClientAuth::Post).unwrap();

    let sent = &http.sent()[0];
    assert_eq!(sent.url, "https://as.example/token");
    assert_eq!(sent.value("grant_type"), Some("refresh_token"));
    assert_eq!(sent.value("refresh_token"), Some("CANARY-RT"));
    assert_eq!(sent.value("scope"), None);
}

#[test]
fn the_client_proves_itself_in_one_place_only() {
    let cases = [
        (ClientAuth::Basic, Some("Basic me CANARY-CS"), None, None),
        (ClientAuth::Post, None, Some("me"), Some("CANARY-CS")),
        (ClientAuth::None, None, Some("me"), None),
    ];
    for (auth, header, id, secret) in cases {
        let http = Script::new([answer(200, GOOD)]);
        refresh_at(&http, auth).unwrap();

        let sent = &http.sent()[0];
        assert_eq!(sent.authorization.as_deref(), header, "{auth}");
        assert_eq!((sent.value("client_id"), sent.value("client_secret")), (id, secret), "{auth}");
    }
}

#[test]
fn a_code_goes_with_its_verifier_and_its_redirect_uri() {
    let http = Script::new([answer(200, GOOD)]);
    let binding = binding(ClientAuth::None);
    let redirect_uri: RedirectUri = "http://127.0.0.1:4000/".parse().unwrap();
    let credentials = Credentials { binding: &binding, secret: None, provider: &GENERIC };

    exchange_code(
        &http,
        &credentials,
        &"the-code".into(),
        Some(&"the-verifier".into()),
        &redirect_uri,
        TIMEOUT,
    )
    .unwrap();

    let sent = &http.sent()[0];
    assert_eq!(sent.value("grant_type"), Some("authorization_code"));
    assert_eq!(sent.value("code"), Some("the-code"));
    assert_eq!(sent.value("code_verifier"), Some("the-verifier"));
    assert_eq!(sent.value("redirect_uri"), Some("http://127.0.0.1:4000/"));
    assert_eq!(http.sent().len(), 1);
}

#[test]
fn nothing_is_sent_without_a_sealed_destination() {
    for broken in [
        Binding { token_endpoint: None, ..binding(ClientAuth::Post) },
        Binding { client_id: None, ..binding(ClientAuth::Post) },
    ] {
        let http = Script::new([answer(200, GOOD)]);
        let credentials = Credentials { binding: &broken, secret: None, provider: &GENERIC };
        let result = refresh(&http, &credentials, &"CANARY-RT".into(), None, TIMEOUT);

        assert!(matches!(result, Err(Error::Policy { .. })), "{result:?}");
        assert_eq!(http.sent(), []);
    }
}

#[test]
fn a_lost_answer_is_not_asked_for_again() {
    let http = Script::new([]);

    assert_eq!(class(&refresh_at(&http, ClientAuth::Post)), "lost");
    assert_eq!(http.sent().len(), 1);
}

#[test]
fn every_answer_has_its_class() {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(64 * 1024 + 1));
    let cases = [
        (200, "", "nonsense"),
        (200, "<html>CANARY</html>", "nonsense"),
        (200, "<?xml version='1.0'?><access_token>CANARY</access_token>", "nonsense"),
        (200, "null", "nonsense"),
        (200, "[]", "nonsense"),
        (200, "\"x\"", "nonsense"),
        (200, "{}", "nonsense"),
        (200, "access_token=CANARY&token_type=bearer", "nonsense"),
        (200, r#"{"error":"invalid_grant","access_token":"CANARY"}"#, "refused"),
        (200, r#"{"ok":false,"error":"invalid_auth"}"#, "refused"),
        (200, r#"{"error":null,"access_token":"t"}"#, "token"),
        (200, r#"{"error":"","access_token":"t"}"#, "token"),
        (200, r#"{"access_token":null}"#, "nonsense"),
        (200, r#"{"access_token":7}"#, "nonsense"),
        (200, r#"{"access_token":""}"#, "nonsense"),
        (200, r#"{"access_token":"a b"}"#, "nonsense"),
        (200, r#"{"access_token":"a\r\nb"}"#, "nonsense"),
        (200, r#"{"access_token":"a\u0000b"}"#, "nonsense"),
        (200, r#"{"access_token":"é"}"#, "nonsense"),
        (200, &long, "nonsense"),
        (200, r#"{"access_token":"a","access_token":"b"}"#, "nonsense"),
        (200, r#"{"access_token":"a","token_type":"bEaReR"}"#, "token"),
        (200, r#"{"access_token":"a","token_type":"DPoP"}"#, "nonsense"),
        (200, r#"{"access_token":"a","token_type":7}"#, "nonsense"),
        (201, r#"{"access_token":"a"}"#, "token"),
        (200, r#"{"access_token":"a","refresh_token":"b c"}"#, "nonsense"),
        (200, r#"{"access_token":"a","refresh_token":7}"#, "nonsense"),
        (301, GOOD, "nonsense"),
        (307, "", "nonsense"),
        (302, r#"{"error":"invalid_grant"}"#, "nonsense"),
        (400, r#"{"error":"invalid_grant","error_description":"CANARY-not-ours"}"#, "refused"),
        (400, r#"{"error":"temporarily_unavailable"}"#, "unavailable"),
        (400, r#"{"error":{"code":400,"message":"Bad","status":"INVALID_ARGUMENT"}}"#, "refused"),
        (400, "<html>login please</html>", "nonsense"),
        (400, GOOD, "nonsense"),
        (401, "", "refused"),
        (401, "<html>", "refused"),
        (401, r#"{"error":"deleted_client"}"#, "refused"),
        (403, "", "nonsense"),
        (404, "", "nonsense"),
        (408, "", "unavailable"),
        (429, "", "unavailable"),
        (429, r#"{"error":"invalid_grant"}"#, "unavailable"),
        (500, "<html>", "unavailable"),
        (503, r#"{"error":"invalid_grant"}"#, "unavailable"),
    ];
    for (status, body, expected) in cases {
        let result = refreshed(status, body);
        assert_eq!(class(&result), expected, "{status} {body:.80}: {result:?}");
    }
}

#[test]
fn a_rotated_token_is_never_thrown_away() {
    let cases = [
        r#"{"refresh_token":"CANARY-RT-2"}"#,
        r#"{"refresh_token":"CANARY-RT-2","access_token":7}"#,
        r#"{"refresh_token":"CANARY-RT-2","access_token":"a b"}"#,
        r#"{"refresh_token":"CANARY-RT-2","access_token":"a","token_type":"mac"}"#,
        r#"{"refresh_token":"CANARY-RT-2","access_token":"a","access_token":"b"}"#,
        r#"{"refresh_token":"CANARY-RT-2","access_token":"a"} and more"#,
        r#"{"refresh_token":"CANARY-RT-2","access_token":"a","expires_in":1e999}"#,
    ];
    for body in cases {
        match refreshed(200, body) {
            Err(Error::Nonsense { rotated, what }) => {
                assert_eq!(value(&rotated), Some("CANARY-RT-2"), "{body}");
                assert!(!what.contains("CANARY"), "{what}");
            }
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn an_empty_refresh_token_is_none() {
    for odd in ["null", "\"\""] {
        let answer = refreshed(200, &format!(r#"{{"access_token":"a","refresh_token":{odd}}}"#)).unwrap();
        assert!(answer.refresh_token.is_none(), "{odd}");
    }
}

#[test]
fn a_life_is_believed_between_nothing_and_ten_years() {
    let cases = [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("3599.9", Some(3599)),
        ("\" 60.5 \"", Some(60)),
        ("0", Some(0)),
        ("-5", Some(0)),
        ("1e300", Some(315_576_000)),
        ("99999999999999999999", Some(315_576_000)),
        ("\"nan\"", Some(0)),
        ("\"inf\"", Some(315_576_000)),
        ("\"soon\"", None),
        ("null", None),
        ("true", None),
        ("[1]", None),
    ];
    for (text, expected) in cases {
        let answer = refreshed(200, &format!(r#"{{"access_token":"a","expires_in":{text}}}"#)).unwrap();
        assert_eq!(answer.expires_in, expected.map(SignedDuration::from_secs), "{text}");
    }
}

#[test]
fn scopes_are_read_in_each_way_that_they_are_sent() {
    let cases = [
        (r#""b a""#, Some("a b")),
        (r#""a,b""#, Some("a b")),
        (r#""a,b c""#, Some("a,b c")),
        (r#"["a","b",7]"#, Some("a b")),
        (r#""a \"b""#, Some("a")),
        (r#""""#, None),
        ("7", None),
    ];
    for (text, expected) in cases {
        let answer = refreshed(200, &format!(r#"{{"access_token":"a","scope":{text}}}"#)).unwrap();
        assert_eq!(answer.scope.map(|scopes| scopes.to_string()).as_deref(), expected, "{text}");
    }
}

#[test]
fn what_the_server_says_is_kept_and_filtered() {
    let body = r#"{"error":"invalid_grant","error_description":"reauth \u001b[31mrelated\u202e error",
        "error_subtype":"invalid_rapt","error_uri":"https://support.example/a"}"#;
    let Err(Error::Refused(error)) = refreshed(400, body) else { panic!("not refused") };

    assert_eq!(error.error, "invalid_grant");
    assert_eq!(error.description.as_deref(), Some("reauth [31mrelated error"));
    assert_eq!(error.subtype.as_deref(), Some("invalid_rapt"));
    assert_eq!(error.uri.as_deref(), Some("https://support.example/a"));
    assert_eq!(error.status, 400);
}

#[test]
fn a_secret_that_the_server_repeats_is_not_repeated_by_us() {
    let bodies = [
        r#"{"error":"invalid_grant","error_description":"CANARY-RT is not CANARY-CS"}"#,
        "<html>refresh CANARY-RT with CANARY-CS failed</html>",
        r#"{"access_token":"CANARY-AT"}"#,
    ];
    for body in bodies {
        let error = refreshed(400, body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
    }
}

#[test]
fn a_secret_is_known_as_it_is_and_as_it_was_sent() {
    let binding = binding(ClientAuth::Post);
    let credentials = Credentials { binding: &binding, secret: None, provider: &GENERIC };
    let body = r#"{"error":"invalid_grant","error_description":"1//0CANARY or 1%2F%2F0CANARY is unknown"}"#;
    let result =
        refresh(&Script::new([answer(400, body)]), &credentials, &"1//0CANARY".into(), None, TIMEOUT);

    let Err(Error::Refused(error)) = result else { panic!("not refused") };
    assert_eq!(error.description.as_deref(), Some("[redacted] or [redacted] is unknown"));
}

#[test]
fn an_error_page_is_quoted_in_some_words() {
    let error = refreshed(403, &format!("<h1>Blocked\x1b[2J by proxy</h1>{}", "x".repeat(9999))).unwrap_err();

    let text = error.to_string();
    assert!(text.contains("HTTP status 403") && text.contains("<h1>Blocked [2J by proxy</h1>"), "{text}");
    assert!(text.chars().count() < 300, "{text}");
}

#[test]
fn the_wait_that_a_provider_asks_for_is_handed_on() {
    let wait = Some(Duration::from_secs(30));
    let busy = crate::oauth::Response { retry_after: wait, ..answer(429, "") };
    let result = refresh_at(&Script::new([busy]), ClientAuth::Post);

    assert!(matches!(result, Err(Error::Unavailable { status: 429, retry_after }) if retry_after == wait));
}

#[test]
fn a_redirect_is_not_followed() {
    let http = Script::new([redirect("https://evil.example/"), answer(200, GOOD)]);

    assert_eq!(class(&refresh_at(&http, ClientAuth::Post)), "nonsense");
    assert_eq!(http.sent().len(), 1);
}

#[test]
fn an_endless_answer_makes_no_sense() {
    struct Endless;
    impl Http for Endless {
        fn send(&self, _: &Request) -> Result<Response, TransportError> {
            Err(TransportError::TooLong { host: "as.example".into() })
        }
    }

    assert_eq!(class(&refresh_at(&Endless, ClientAuth::Post)), "nonsense");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_body_makes_the_reader_panic(status in 100u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let http = Script::new([Response { body: body.into(), ..answer(status, "") }]);
        let _ = refresh_at(&http, ClientAuth::Basic);
    }

    #[test]
    fn a_damaged_answer_is_never_a_token_with_odd_bytes(at in 0..GOOD.len(), byte in any::<u8>()) {
        let mut body = GOOD.as_bytes().to_vec();
        body[at] = byte;
        let http = Script::new([Response { body: body.into(), ..answer(200, "") }]);
        if let Ok(answer) = refresh_at(&http, ClientAuth::Basic) {
            prop_assert!(answer.access_token.expose_secret().bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
