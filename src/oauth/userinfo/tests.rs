use super::*;
use crate::oauth::script::{Script, answer};

fn ask(http: &Script) -> Result<Account, Error> {
    let url = Url::parse("https://as.example/me").unwrap();
    userinfo(http, &url, &"CANARY-AT".into(), Duration::from_secs(30))
}

fn asked(status: u16, body: &str) -> Result<Account, Error> {
    ask(&Script::new([answer(status, body)]))
}

#[test]
fn the_bearer_learns_whose_token_it_is() {
    let http = Script::new([answer(200, r#"{"sub":"1089","email":"me@work.example"}"#)]);
    let account = ask(&http).unwrap();

    assert_eq!(account.subject.as_deref(), Some("1089"));
    assert_eq!(account.email.as_deref(), Some("me@work.example"));
    assert_eq!(http.sent()[0].authorization.as_deref(), Some("Bearer CANARY-AT"));
}

#[test]
fn an_answer_that_names_nobody_makes_no_sense() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"sub":7}"#,
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"email":"x","email_verified":false}"#,
    ] {
        assert!(matches!(asked(200, body), Err(Error::Nonsense { .. })), "{body}");
    }
}

#[test]
fn a_refused_token_is_told_from_a_provider_in_trouble() {
    assert!(matches!(asked(401, ""), Err(Error::Refused(e)) if e.error == "invalid_token"));
    assert!(matches!(asked(403, ""), Err(Error::Refused(e)) if e.error == "insufficient_scope"));
    assert!(matches!(asked(503, ""), Err(Error::Unavailable { status: 503, .. })));
    assert!(matches!(asked(302, ""), Err(Error::Nonsense { .. })));
}
