//! Answers of a token endpoint that are odd, and what becomes of each.

use serde_json::{Value, json};

use crate::expiry::{assert_nothing_lost, expired, expired_without_rotation, refresh_token, refreshes};
use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Fault, Provider};

fn answer(content_type: &str, body: impl Into<Vec<u8>>) -> Fault {
    Fault::Respond {
        status: 200,
        headers: vec![("Content-Type".into(), content_type.into())],
        body: body.into(),
    }
}

/// A refresh that meets the usual answer with this merged into it.
fn refreshed_with(provider: &Provider, home: &Home, patch: Value) -> Run {
    provider.script(Endpoint::Token, vec![Fault::CommitThenAmend(patch)]);
    home.run(&["token", "work", "--refresh"])
}

#[test]
fn what_calls_itself_json_must_be_it_and_what_is_json_may_call_itself_anything() {
    let (provider, home) = expired_without_rotation();
    let body = r#"{"access_token": "a-token", "token_type": "Bearer", "expires_in": 3600}"#;
    for content_type in ["text/html", "text/plain; charset=utf-7", "application/jwt", ""] {
        provider.script(Endpoint::Token, vec![answer(content_type, body)]);

        assert_eq!(home.run(&["token", "work", "--refresh"]).answer(), "a-token", "{content_type}");
    }
    let odd: [(&str, &[u8]); 6] = [
        ("application/x-www-form-urlencoded", b"access_token=a-token&token_type=bearer"),
        ("application/json", b"<?xml version=\"1.0\"?><access_token>a-token</access_token>"),
        ("application/json", b"\xef\xbb\xbf\xff{\"access_token\": \"a-token\"}"),
        ("application/json", b"{\"access_token\": \"a\0b\"}"),
        ("application/json", b"{\"access_token\": \"a-token\", \"token_type\": \"N_A\"}"),
        ("application/json", b"{\"access_token\": \"a-token\", \"token_type\": null, \"token_type\": 1}"),
    ];
    for (content_type, body) in odd {
        provider.script(Endpoint::Token, vec![answer(content_type, body)]);

        let run = home.run(&["token", "work", "--refresh"]).expect_code(9);

        let _ = run.expect_unsaid("a-token");
    }
    let nested = format!("{{\"a\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    provider.script(Endpoint::Token, vec![answer("application/json", nested)]);
    let _ = home.run(&["token", "work", "--refresh"]).expect_code(9);
    let _ = home.run(&["token", "work", "--refresh"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_refresh_token_that_is_none_or_the_old_one_leaves_the_old_one() {
    let (provider, home) = expired_without_rotation();
    let kept = refresh_token(&home);
    let before = std::fs::read(home.profile("work")).unwrap();
    for odd in [json!(""), json!(null), json!(kept)] {
        provider.forget_requests();
        let run = refreshed_with(&provider, &home, json!({"refresh_token": odd}));

        // Without a value is how some serializers leave a field out.
        assert_eq!(
            run.stderr.contains("warning: the provider sent an empty refresh token"),
            odd == "",
            "{odd}"
        );
        assert!(provider.is_live_access_token(&run.answer()), "{odd}");
        assert_eq!(refresh_token(&home), kept, "{odd}");
        assert!(std::fs::read(home.profile("work")).unwrap() == before, "{odd}");
    }
    for odd in [json!(7), json!(["x"]), json!("two words"), json!("x".repeat(70_000))] {
        let _ = refreshed_with(&provider, &home, json!({"refresh_token": odd})).expect_code(9);

        assert_eq!(refresh_token(&home), kept);
    }
    let _ = home.run(&["token", "work", "--refresh"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_life_is_taken_for_what_it_can_be() {
    let (provider, home) = expired_without_rotation();
    // What is said, and whether a token with it may be answered from the cache.
    let lives = [
        (json!(3600), true),
        (json!("3600"), true),
        (json!(3600.7), true),
        (json!(1e300), true),
        (json!(u64::MAX), true),
        (json!(0), false),
        (json!(-5), false),
        (json!("soon"), false),
        (json!([3600]), false),
        (json!(true), false),
        (json!(null), false),
    ];
    for (life, is_cached) in lives {
        provider.forget_requests();
        let token = refreshed_with(&provider, &home, json!({"expires_in": life})).answer();
        assert!(provider.is_live_access_token(&token), "{life}");

        let _ = home.run(&["token", "work"]).answer();

        assert_eq!(refreshes(&provider), if is_cached { 1 } else { 2 }, "{life}");
        let _ = home.run(&["status"]).expect_code(0);
    }
    assert_nothing_lost(&provider, &home);
}

#[test]
fn the_type_of_a_token_has_no_case() {
    let (provider, home) = expired();
    for kind in ["bEaReR", "BEARER", "bearer"] {
        let token = refreshed_with(&provider, &home, json!({"token_type": kind})).answer();

        assert!(provider.is_live_access_token(&token), "{kind}");
    }
    for kind in ["DPoP", "mac", "Bearer ", ""] {
        let _ = refreshed_with(&provider, &home, json!({"token_type": kind})).expect_code(9);
        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn a_challenge_without_an_error_is_a_refused_client_and_the_grant_is_kept() {
    let (provider, home) = expired();
    let challenge = |body: &str| Fault::Respond {
        status: 401,
        headers: vec![("WWW-Authenticate".into(), "Basic realm=\"provider\"".into())],
        body: body.as_bytes().to_vec(),
    };
    for body in ["", "<h1>Unauthorized</h1>", "{}"] {
        provider.forget_requests();
        provider.script(Endpoint::Token, vec![challenge(body)]);

        let run = home.run(&["token", "work"]).expect_code(7);

        let _ = run.expect_said("invalid_client").expect_said("the grant is kept");
        assert_eq!(refreshes(&provider), 1, "{body}");
    }
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_wait_that_is_asked_for_is_told_and_capped_and_not_waited_for() {
    let (provider, home) = expired();
    let later = |status: u16, fields: &[(&str, &str)]| {
        let headers = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Fault::Respond { status, headers, body: Vec::new() }
    };
    let day = "try again in 86400 seconds";
    let waits: [(Fault, &str); 7] = [
        (later(429, &[]), "try again in a minute"),
        (later(429, &[("Retry-After", "0")]), "try again in 0 seconds"),
        (later(429, &[("Retry-After", "99999999")]), day),
        (later(503, &[("Retry-After", "99999999999999999999999999")]), day),
        (
            later(
                503,
                &[
                    ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
                    ("Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT"),
                ],
            ),
            "try again in 30 seconds",
        ),
        (later(429, &[("Retry-After", "tomorrow")]), "try again in a minute"),
        (later(500, &[("Retry-After", "-1")]), "try again in a minute"),
    ];
    for (fault, hint) in waits {
        provider.forget_requests();
        provider.script(Endpoint::Token, vec![fault]);

        let _ = home.run(&["token", "work"]).expect_code(8).expect_said(hint);

        assert_eq!(refreshes(&provider), 1, "{hint}");
    }
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_description_of_ten_mebibytes_or_of_sequences_is_cut_and_filtered() {
    let (provider, home) = expired();
    let long = "\u{1b}]52;c;x\u{7}\u{202e}<b>".repeat(20_000);
    provider.script(Endpoint::Token, vec![Fault::error(400, "invalid_scope", &long)]);
    let run = home.run(&["token", "work"]).expect_code(7);
    assert!(run.stderr.len() < 2000, "{} bytes", run.stderr.len());
    assert!(!run.stderr.contains(['\u{1b}', '\u{7}', '\u{202e}']));

    provider.script(Endpoint::Token, vec![Fault::error(400, "invalid_scope", &"x".repeat(10 << 20))]);
    let run = home.run(&["token", "work"]).expect_code(9).expect_said("longer than 1 MiB");
    assert!(run.stderr.len() < 2000, "{} bytes", run.stderr.len());

    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn what_was_granted_beyond_what_was_asked_is_stored_as_it_is() {
    let provider = Provider::start(Config::default());
    provider.amend(Endpoint::Token, json!({"scope": "openid email admin"}));
    let home = Home::new();

    let run = home.add_profile(&provider, "work").expect_code(0);

    let _ = run.expect_said("warning: the grant has scopes that were not asked for: admin");
    let show: Value = serde_json::from_str(&home.run(&["show", "work", "--json"]).answer()).unwrap();

    let scopes = &show["profiles"][0]["scopes"];
    assert!(scopes["granted"].to_string().contains("admin"), "{show}");
    assert!(!scopes["asked"].to_string().contains("admin"), "{show}");
}

#[test]
fn endpoints_that_no_secret_may_be_sent_to_end_a_login_before_it_begins() {
    let bad = [
        json!({"token_endpoint": "http://token.example/token"}),
        json!({"token_endpoint": null}),
        json!({"token_endpoint": "https://user:pw@127.0.0.1/token"}),
        json!({"token_endpoint": "https://127.0.0.1/token#part"}),
        json!({"token_endpoint": "file:///etc/passwd"}),
        json!({"token_endpoint": 7}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"authorization_endpoint": "--new-window"}),
        json!({"authorization_endpoint": null}),
        json!({"issuer": "https://another.example"}),
        json!({"issuer": null}),
        json!({"code_challenge_methods_supported": ["plain"]}),
    ];
    for patch in bad {
        let provider = Provider::start(Config { oauth_discovery: false, ..Config::default() });
        provider.amend(Endpoint::OpenidConfiguration, patch.clone());
        let home = Home::new();

        let run = home.add_profile(&provider, "work");

        assert!(matches!(run.code, 7 | 9), "{patch}: {run:?}");
        assert!(!run.stderr.contains("response_type=code"), "{patch}: nobody is sent anywhere");
        assert!(!home.profile("work").exists() && home.files("data/vault/clients").is_empty(), "{patch}");
    }
}
