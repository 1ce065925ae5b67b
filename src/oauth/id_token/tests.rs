use super::*;

const NOW: i64 = 1_800_000_000;

/// The claims of a good token, with `changes` made to their text.
fn token(changes: &[(&str, &str)]) -> SecretString {
    let claims = format!(
        r#"{{"iss":"https://as.example","aud":"me","sub":"1089","exp":{},"iat":{},"nonce":"n","email":"me@work.example"}}"#,
        NOW + 3600,
        NOW
    );
    let claims = changes.iter().fold(claims, |text, (from, to)| text.replace(from, to));
    signed(r#"{"alg":"RS256"}"#, &claims)
}

fn signed(header: &str, claims: &str) -> SecretString {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", encode(header), encode(claims), encode("signature")).into()
}

fn expectation() -> Expectation<'static> {
    Expectation {
        issuer: "https://as.example",
        client_id: "me",
        nonce: Some("n"),
        now: Some(Timestamp::from_second(NOW).unwrap()),
    }
}

fn read(changes: &[(&str, &str)]) -> Result<Account, Error> {
    claims(&token(changes), &expectation())
}

#[test]
fn the_account_is_named_by_subject_and_address() {
    let account = read(&[]).unwrap();

    assert_eq!(account.subject.as_deref(), Some("1089"));
    assert_eq!(account.email.as_deref(), Some("me@work.example"));
}

#[test]
fn every_claim_must_be_ours() {
    let late = (NOW + 3600).to_string();
    let long = "x".repeat(256);
    let cases: &[(&str, &str)] = &[
        ("https://as.example", "https://as.example/"),
        (r#""iss":"#, r#""issuer":"#),
        (r#""aud":"me""#, r#""aud":"you""#),
        (r#""aud":"me""#, r#""aud":["you"]"#),
        (r#""aud":"me""#, r#""aud":["me","you"]"#),
        (r#""aud":"me""#, r#""aud":["me","you"],"azp":"you""#),
        (r#""aud":"me""#, r#""aud":"me","azp":"you""#),
        (r#""aud":"me","#, ""),
        (r#""sub":"1089","#, ""),
        ("1089", ""),
        ("1089", &long),
        (r#""nonce":"n""#, r#""nonce":"m""#),
        (r#","nonce":"n""#, ""),
        (&late, &(NOW - 301).to_string()),
        (&late, "1e300"),
        (&late, "-1e300"),
        (r#""exp":"#, r#""expires":"#),
        (r#""iat":"#, r#""issued":"#),
        (r#""iat":1800000000"#, r#""iat":1800000301"#),
    ];
    for (from, to) in cases {
        let result = read(&[(from, to)]);
        assert!(matches!(result, Err(Error::Policy { .. })), "{from} -> {to:.60}: {result:?}");
    }
}

#[test]
fn what_may_differ_may_differ() {
    let late = (NOW + 3600).to_string();
    let cases: &[(&str, &str)] = &[
        (r#""aud":"me""#, r#""aud":["me"]"#),
        (r#""aud":"me""#, r#""aud":["me","you"],"azp":"me""#),
        (&late, &(NOW - 299).to_string()),
        (r#""iat":1800000000"#, r#""iat":1800000299.5"#),
    ];
    for (from, to) in cases {
        assert!(read(&[(from, to)]).is_ok(), "{from} -> {to}");
    }
}

#[test]
fn a_refresh_has_no_nonce_to_answer() {
    let expect = Expectation { nonce: None, ..expectation() };

    assert!(claims(&token(&[(r#","nonce":"n""#, "")]), &expect).is_ok());
}

#[test]
fn an_address_that_nobody_has_proven_is_left_out() {
    let email = |more: &str| read(&[(r#""email":"#, &format!(r#"{more}"email":"#))]).unwrap().email;

    assert_eq!(email(r#""email_verified":false,"#), None);
    assert_eq!(email(r#""email_verified":"false","#), None);
    assert!(email(r#""email_verified":true,"#).is_some());
    for odd in ["me\\u202e@x", "me@\\nx", "me", "me @x", ""] {
        assert_eq!(read(&[("me@work.example", odd)]).unwrap().email, None, "{odd}");
    }
}

#[test]
fn google_may_leave_out_its_scheme_and_nobody_else() {
    let google = Expectation { issuer: "https://accounts.google.com", ..expectation() };

    assert!(claims(&token(&[("https://as.example", "accounts.google.com")]), &google).is_ok());
    assert!(read(&[("https://as.example", "as.example")]).is_err());
}

#[test]
fn an_unsigned_token_is_refused() {
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"NONE"}"#, "{}"] {
        let result = claims(&signed(header, "{}"), &expectation());
        assert!(matches!(result, Err(Error::Policy { .. })), "{header}: {result:?}");
    }
}

#[test]
fn what_is_no_id_token_makes_no_sense() {
    let twice = signed(r#"{"alg":"RS256"}"#, r#"{"sub":"1","sub":"2"}"#);
    let list = signed(r#"{"alg":"RS256"}"#, "[]");
    for text in ["", "a.b", "a.b.c.d", "!.!.!", "e30.e30.", twice.expose_secret(), list.expose_secret()] {
        assert!(claims(&text.into(), &expectation()).is_err(), "{text}");
    }
    for token in [twice, list, "a.b".into(), "!.!.!".into()] {
        assert!(matches!(claims(&token, &expectation()), Err(Error::Nonsense { .. })));
    }
}
