use secrecy::ExposeSecret;

use super::*;
use crate::domain::{Binding, ClientAuth};
use crate::oauth::script::{Script, answer, redirect};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The answer of RFC 8628, 3.2, and what is changed about it: `null` takes a member away.
fn body(changed: &str) -> String {
    let mut answer = serde_json::json!({
        "device_code": "CANARY-DC-4f2c9a", "user_code": "WDJB-MJHT",
        "verification_uri": "https://example.com/device",
        "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
        "expires_in": 1800, "interval": 5,
    });
    let changed: serde_json::Value = serde_json::from_str(changed).unwrap();
    for (name, value) in changed.as_object().unwrap() {
        answer[name] = value.clone();
    }
    answer.to_string()
}

fn read_with(changed: &str) -> Result<DeviceAuthorization, Error> {
    read(body(changed).as_bytes(), false)
}

fn binding() -> Binding {
    Binding {
        token_endpoint: Some(Url::parse("https://as.example/token").unwrap()),
        client_id: Some("me".into()),
        client_auth: Some(ClientAuth::Post),
        ..Binding::issuer_only("https://as.example")
    }
}

fn polled(http: &Script) -> Result<TokenAnswer, Error> {
    let (binding, secret) = (binding(), SecretString::from("CANARY-CS"));
    let credentials =
        Credentials { binding: &binding, secret: Some(&secret), provider: &crate::oauth::provider::GENERIC };
    poll(http, &credentials, &"CANARY-DC-4f2c9a".into(), TIMEOUT)
}

#[test]
fn the_answer_of_the_specification_is_read_whole() {
    let begun = read_with("{}").unwrap();

    assert_eq!(begun.device_code.expose_secret(), "CANARY-DC-4f2c9a");
    assert_eq!(begun.user_code, "WDJB-MJHT");
    assert_eq!(begun.verification_uri.as_str(), "https://example.com/device");
    assert_eq!(begun.verification_uri_complete.as_ref().unwrap().query(), Some("user_code=WDJB-MJHT"));
    assert_eq!((begun.expires_in.as_secs(), begun.interval.as_secs()), (1800, 5));
    assert!(!format!("{begun:?}").contains("CANARY"));
}

#[test]
fn the_address_is_found_under_the_name_that_google_gives_it() {
    let google = r#"{"verification_uri":null,"verification_uri_complete":null,
        "verification_url":"https://www.google.com/device"}"#;

    let begun = read_with(google).unwrap();

    assert_eq!(begun.verification_uri.as_str(), "https://www.google.com/device");
    assert!(begun.verification_uri_complete.is_none());
}

#[test]
fn an_interval_is_taken_for_what_it_can_be() {
    for (interval, seconds) in [
        ("null", 5),
        ("7", 7),
        ("1", 1),
        ("\"9\"", 9),
        ("0", 5),
        ("0.5", 5),
        ("-3", 5),
        ("1e9", 60),
        ("1e300", 60),
        ("\"soon\"", 5),
        ("[]", 5),
    ] {
        let begun = read_with(&format!(r#"{{"interval":{interval}}}"#)).unwrap();
        assert_eq!(begun.interval.as_secs(), seconds, "{interval}");
    }
}

#[test]
fn the_life_of_a_code_is_taken_for_what_it_can_be() {
    for (life, seconds) in
        [("null", 300), ("900", 900), ("\"900\"", 900), ("0", 0), ("-1", 0), ("1e300", 86_400), ("{}", 300)]
    {
        let begun = read_with(&format!(r#"{{"expires_in":{life}}}"#)).unwrap();
        assert_eq!(begun.expires_in.as_secs(), seconds, "{life}");
    }
}

#[test]
fn a_person_is_sent_to_https_only() {
    for address in [
        "http://example.com/device",
        "http://127.0.0.1/device",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "https://you@example.com/device",
    ] {
        for name in ["verification_uri", "verification_uri_complete"] {
            let refused = read_with(&format!(r#"{{"{name}":"{address}"}}"#));
            assert!(matches!(refused, Err(Error::Policy { .. })), "{name} {address}: {refused:?}");
        }
    }
    let local =
        body(r#"{"verification_uri":"http://127.0.0.1:8080/device","verification_uri_complete":null}"#);
    read(local.as_bytes(), true).unwrap();
    let refused = read(body(r#"{"verification_uri":"http://example.com/"}"#).as_bytes(), true);
    assert!(matches!(refused, Err(Error::Policy { .. })), "only this machine: {refused:?}");
}

#[test]
fn a_camera_is_led_nowhere_but_to_the_address_that_is_shown() {
    let begun = read_with(r#"{"verification_uri_complete":"https://evil.example/device?c=1"}"#).unwrap();

    assert!(begun.verification_uri_complete.is_none());
}

#[test]
fn an_answer_that_cannot_be_shown_as_it_is_makes_no_sense() {
    let long = "A".repeat(65);
    let address = format!("https://example.com/{}", "a".repeat(2048));
    for changed in [
        r#"{"user_code":null}"#.to_owned(),
        r#"{"user_code":""}"#.to_owned(),
        r#"{"user_code":42}"#.to_owned(),
        r#"{"user_code":"AB\u001b[2JCD"}"#.to_owned(),
        r#"{"user_code":"AB\u202eCD"}"#.to_owned(),
        r#"{"user_code":"AB\u200bCD"}"#.to_owned(),
        r#"{"user_code":"AB\nCD"}"#.to_owned(),
        format!(r#"{{"user_code":"{long}"}}"#),
        r#"{"device_code":null}"#.to_owned(),
        r#"{"device_code":""}"#.to_owned(),
        r#"{"device_code":"a\u0000b"}"#.to_owned(),
        format!(r#"{{"device_code":"{}"}}"#, "d".repeat(4097)),
        r#"{"verification_uri":null}"#.to_owned(),
        r#"{"verification_uri":"here"}"#.to_owned(),
        format!(r#"{{"verification_uri":"{address}"}}"#),
    ] {
        let refused = read_with(&changed);
        assert!(matches!(refused, Err(Error::Nonsense { .. })), "{changed}: {refused:?}");
        assert!(!refused.unwrap_err().to_string().contains("CANARY"));
    }
    let doubled = body("{}").replace(r#""interval":5"#, r#""interval":5,"user_code":"OTHER""#);
    for text in [doubled.as_str(), "", "[]", "{}", "<html>", &body("{}")[1..]] {
        assert!(matches!(read(text.as_bytes(), false), Err(Error::Nonsense { .. })), "{text}");
    }
}

#[test]
fn a_code_is_asked_for_as_the_specification_says() {
    let http = Script::new([answer(200, &body("{}"))]);
    let (binding, secret) = (binding(), SecretString::from("CANARY-CS"));
    let endpoint = Url::parse("https://as.example/device").unwrap();

    let credentials =
        Credentials { binding: &binding, secret: Some(&secret), provider: &crate::oauth::provider::GENERIC };
    authorize(&http, &credentials, &endpoint, "openid email", false, TIMEOUT).unwrap();

    let sent = &http.sent()[0];
    assert_eq!(sent.url, "https://as.example/device");
    assert_eq!(sent.value("scope"), Some("openid email"));
    assert_eq!((sent.value("client_id"), sent.value("client_secret")), (Some("me"), Some("CANARY-CS")));
    assert_eq!(sent.value("grant_type"), None);
}

#[test]
fn a_poll_sends_the_device_code_to_the_token_endpoint_and_proves_the_client() {
    let http = Script::new([answer(200, r#"{"access_token":"CANARY-AT","token_type":"Bearer"}"#)]);

    let token = polled(&http).unwrap();

    assert_eq!(token.access_token.expose_secret(), "CANARY-AT");
    let sent = &http.sent()[0];
    assert_eq!(sent.url, "https://as.example/token");
    assert_eq!(sent.value("grant_type"), Some("urn:ietf:params:oauth:grant-type:device_code"));
    assert_eq!(sent.value("device_code"), Some("CANARY-DC-4f2c9a"));
    assert_eq!(sent.value("client_secret"), Some("CANARY-CS"));
}

#[test]
fn what_a_poll_is_answered_counts_by_its_error_whatever_its_status() {
    for (status, error, means) in [
        (400, "authorization_pending", "pending"),
        (428, "authorization_pending", "pending"),
        (200, "authorization_pending", "pending"),
        (400, "slow_down", "slow down"),
        (403, "slow_down", "slow down"),
        (429, "slow_down", "slow down"),
        (503, "authorization_pending", "pending"),
        (400, "access_denied", "denied"),
        (403, "access_denied", "denied"),
        (400, "authorization_declined", "denied"),
        (400, "expired_token", "expired"),
        (400, "invalid_grant", "refused"),
        (401, "invalid_client", "refused"),
        (400, "unauthorized_client", "refused"),
        (400, "temporarily_unavailable", "unavailable"),
    ] {
        let text = format!(r#"{{"error":"{error}","error_description":"of CANARY-DC-4f2c9a"}}"#);
        let failed = polled(&Script::new([answer(status, &text)])).unwrap_err();

        let found = match &failed {
            Error::NotYet(NotYet::Pending) => "pending",
            Error::NotYet(NotYet::SlowDown) => "slow down",
            Error::Denied(_) => "denied",
            Error::Expired(_) => "expired",
            Error::Refused(_) => "refused",
            Error::Unavailable { .. } => "unavailable",
            _ => "something else",
        };
        assert_eq!(found, means, "{status} {error}");
        assert!(!format!("{failed:?}").contains("CANARY"), "{failed:?}");
    }
}

#[test]
fn an_answer_of_a_poll_that_is_no_oauth_answer_ends_the_flow_or_is_a_provider_in_trouble() {
    let refused = polled(&Script::new([answer(400, "<html>no</html>")]));
    assert!(matches!(refused, Err(Error::Nonsense { .. })), "{refused:?}");
    let refused = polled(&Script::new([redirect("https://evil.example/")]));
    assert!(matches!(refused, Err(Error::Nonsense { .. })), "{refused:?}");
    let refused = polled(&Script::new([answer(502, "<html>later</html>")]));
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert!(matches!(polled(&Script::new([])), Err(Error::Lost { .. })));
}

#[test]
fn a_provider_that_is_asked_too_often_is_asked_five_seconds_later_for_good() {
    let mut pace = Pace::new(Duration::from_secs(5));

    pace.answered(NotYet::SlowDown);
    assert_eq!(pace.pause().as_secs(), 10);
    pace.answered(NotYet::Pending);
    assert_eq!(pace.pause().as_secs(), 10, "it is not forgotten");
    pace.answered(NotYet::SlowDown);
    assert_eq!(pace.pause().as_secs(), 15);
}

#[test]
fn a_provider_that_is_out_of_reach_is_asked_less_often_and_never_more() {
    let mut pace = Pace::new(Duration::from_secs(5));
    let pauses: Vec<u64> = std::iter::repeat_with(|| {
        pace.failed(None);
        pace.pause().as_secs()
    })
    .take(40)
    .collect();

    assert_eq!(pauses[..5], [10, 20, 40, 60, 60]);
    assert_eq!(pauses[39], 60);
    pace.answered(NotYet::Pending);
    assert_eq!(pace.pause().as_secs(), 5);

    pace.failed(Some(Duration::from_secs(600)));
    assert_eq!(pace.pause().as_secs(), 600, "as it has asked for");
    let mut slow = Pace::new(Duration::from_secs(55));
    slow.answered(NotYet::SlowDown);
    slow.answered(NotYet::SlowDown);
    slow.failed(None);
    assert_eq!(slow.pause().as_secs(), 65, "not faster than before");
}
