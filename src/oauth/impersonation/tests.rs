use super::*;
use crate::oauth::script::{Script, answer};

const ROBOT: &str = "robot@project.example";

fn ask(script: &Script, delegates: &[String]) -> Result<Issued, Error> {
    let account =
        account_url(&Url::parse("https://iamcredentials.googleapis.com/v1/").unwrap(), ROBOT).unwrap();
    let bearer = "CANARY-AT".into();
    let target = Target { account: &account, delegates, bearer: &bearer };
    let scopes = "b a".parse().unwrap();
    let now = Timestamp::from_second(1_000_000).unwrap();
    access_token(script, &target, &scopes, 1800, now, Duration::from_secs(1))
}

#[test]
fn the_request_names_account_scopes_life_and_delegates_and_who_asks() {
    let script =
        Script::new([answer(200, r#"{"accessToken":"ya29.x","expireTime":"1970-01-12T14:16:40Z"}"#)]);

    let issued = ask(&script, &["between@project.example".to_owned()]).unwrap();

    let sent = &script.sent()[0];
    assert_eq!(
        sent.url,
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/robot@project.example:generateAccessToken"
    );
    assert_eq!(sent.authorization.as_deref(), Some("Bearer CANARY-AT"));
    let body: Value = serde_json::from_str(sent.value("").unwrap()).unwrap();
    let delegate = "projects/-/serviceAccounts/between@project.example";
    assert_eq!(body, json!({"scope": ["a", "b"], "lifetime": "1800s", "delegates": [delegate]}));
    assert_eq!(issued.expires_in, Some(SignedDuration::from_secs(1800)));
    assert!(!format!("{issued:?}").contains("ya29"));
}

#[test]
fn the_life_of_a_token_is_counted_by_the_clock_of_its_issuer() {
    let body = r#"{"accessToken":"a","expireTime":"2030-01-01T01:00:00Z"}"#;
    let date = "2030-01-01T00:00:00Z".parse().ok();
    let script = Script::new([Response { date, ..answer(200, body) }]);

    assert_eq!(ask(&script, &[]).unwrap().expires_in, Some(SignedDuration::from_hours(1)));
}

#[test]
fn what_iam_refuses_is_told_in_its_own_words_without_the_token() {
    let body =
        r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"CANARY-AT may not act as it"}}"#;
    let Error::Refused(server) = ask(&Script::new([answer(403, body)]), &[]).unwrap_err() else { panic!() };

    assert_eq!((server.error.as_str(), server.status), ("PERMISSION_DENIED", 403));
    assert_eq!(server.description.as_deref(), Some("[redacted] may not act as it"));
}

#[test]
fn nonsense_brings_no_token() {
    for (status, body) in [
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"accessToken":"two words"}"#),
        (200, r#"{"accessToken":7}"#),
        (200, r#"{"accessToken":"a","accessToken":"b"}"#),
        (302, ""),
        (404, "<html>"),
    ] {
        let error = ask(&Script::new([answer(status, body)]), &[]).unwrap_err();
        assert!(matches!(error, Error::Nonsense { .. }), "{status} {body}: {error:?}");
    }
    let error = ask(&Script::new([answer(503, "")]), &[]).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }));
}

#[test]
fn an_id_token_is_asked_for_with_its_audience() {
    let account = account_url(&Url::parse("https://iam.example/v1").unwrap(), ROBOT).unwrap();
    let bearer = "at".into();
    let target = Target { account: &account, delegates: &[], bearer: &bearer };
    let script = Script::new([answer(200, r#"{"token":"a.b.c"}"#)]);

    id_token(&script, &target, "https://run.example", Duration::from_secs(1)).unwrap();

    let sent = &script.sent()[0];
    assert_eq!(
        sent.url,
        "https://iam.example/v1/projects/-/serviceAccounts/robot@project.example:generateIdToken"
    );
    let body: Value = serde_json::from_str(sent.value("").unwrap()).unwrap();
    assert_eq!(body, json!({"audience": "https://run.example", "includeEmail": true, "delegates": []}));
}
