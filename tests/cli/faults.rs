//! Providers that fail: every kind of failure has its exit code, and none of them costs the login.

use serde_json::json;

use crate::expiry::{
    API_KEY, assert_no_stray_file, assert_nothing_lost, beside, expired, expired_with_grace,
    expired_without_rotation, refresh_token, refreshes,
};
use crate::home::Home;
use crate::provider::{Endpoint, Fault};

#[test]
fn a_lost_request_is_sent_once_more_at_once() {
    let (provider, home) = expired();
    provider.script(Endpoint::Token, vec![Fault::ResetBefore]);

    let run = home.run(&["token", "work"]).expect_said("lost; asking once more");

    assert!(provider.is_live_access_token(&run.answer()));
    assert_eq!(refreshes(&provider), 2);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_lost_answer_is_had_again_from_a_provider_with_grace() {
    let lost = [
        Fault::CommitThenReset,
        Fault::CommitThenClose,
        Fault::CommitThenTruncate(0),
        Fault::CommitThenTruncate(40),
        Fault::CommitThenGarbage,
    ];
    for fault in lost {
        let (provider, home) = expired_with_grace();
        provider.script(Endpoint::Token, vec![fault.clone()]);

        let token = home.run(&["token", "work"]).answer();

        assert!(provider.is_live_access_token(&token), "{fault:?}");
        assert_eq!(refreshes(&provider), 2, "{fault:?}");
        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn a_lost_answer_without_grace_costs_the_login_and_nothing_else() {
    let (provider, home) = expired();
    let before = refresh_token(&home);
    provider.script(Endpoint::Token, vec![Fault::CommitThenReset]);

    let refused = home.run(&["token", "work"]).expect_code(5);

    let _ = refused
        .expect_said("likely: the answer to an earlier refresh was lost")
        .expect_said("run `vault login work`");
    assert_eq!(refreshes(&provider), 2);
    assert_eq!(refresh_token(&home), before);
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
    assert_no_stray_file(&home);
}

#[test]
fn two_lost_answers_leave_an_intent_and_the_next_run_succeeds() {
    let (provider, home) = expired_with_grace();
    provider.script(Endpoint::Token, vec![Fault::CommitThenReset, Fault::CommitThenReset]);

    let _ = home.run(&["token", "work"]).expect_code(8).expect_said("was lost");
    assert_eq!(refreshes(&provider), 2);
    assert!(beside(&home).exists());

    let token = home.run(&["token", "work"]).answer();
    assert!(provider.is_live_access_token(&token));
    assert_eq!(refreshes(&provider), 3);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn an_answer_that_was_lost_in_an_earlier_run_is_named_as_the_cause() {
    let (provider, home) = expired();
    provider.script(Endpoint::Token, vec![Fault::CommitThenReset, Fault::ResetBefore]);
    let _ = home.run(&["token", "work"]).expect_code(8);
    // What happens in between says nothing about the request that was lost.
    provider.script(Endpoint::Token, vec![Fault::bad_secret()]);
    let _ = home.run(&["token", "work"]).expect_code(7);

    let refused = home.run(&["token", "work"]).expect_code(5);

    let _ = refused.expect_said("likely: the answer to an earlier refresh was lost");
    assert_no_stray_file(&home);
}

#[test]
fn a_provider_that_is_not_available_is_asked_once_and_says_when() {
    let faults = [
        (Fault::unavailable(17), "try again in 17 seconds"),
        (Fault::too_many_requests(40), "try again in 40 seconds"),
        (Fault::html(500), "try again in a minute"),
        (Fault::error(400, "temporarily_unavailable", "Later."), "try again in a minute"),
    ];
    let (provider, home) = expired();
    for (done, (fault, hint)) in faults.into_iter().enumerate() {
        provider.script(Endpoint::Token, vec![fault]);

        let _ = home.run(&["token", "work"]).expect_code(8).expect_said(hint);

        assert_eq!(refreshes(&provider), done + 1);
    }
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_provider_that_fails_after_it_has_replaced_the_token_is_asked_again_by_the_next_run() {
    let (provider, home) = expired_with_grace();
    provider.script(Endpoint::Token, vec![Fault::CommitThenStatus(500)]);
    let _ = home.run(&["token", "work"]).expect_code(8);

    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);

    let (provider, home) = expired();
    provider.script(Endpoint::Token, vec![Fault::CommitThenStatus(502)]);
    let _ = home.run(&["token", "work"]).expect_code(8);

    let _ = home.run(&["token", "work"]).expect_code(5).expect_said("an earlier refresh was lost");
}

#[test]
fn a_provider_that_cannot_be_reached_costs_nothing() {
    let (provider, home) = expired();
    drop(provider);

    let _ = home.run(&["token", "work"]).expect_code(8).expect_said("cannot reach 127.0.0.1");

    assert_no_stray_file(&home);
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
}

#[test]
fn an_answer_that_makes_no_sense_changes_nothing() {
    let (provider, home) = expired();
    let json = |body: &str| Fault::Respond {
        status: 200,
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: body.as_bytes().to_vec(),
    };
    let before = std::fs::read(home.profile("work")).unwrap();
    let odd = [
        Fault::html(200),
        Fault::html(404),
        Fault::oversized(2 << 20),
        json(""),
        json("null"),
        json("[]"),
        json("\"ya29.x\""),
        json("{}"),
        json(r#"{"access_token": null, "token_type": "Bearer"}"#),
        json(r#"{"access_token": 7, "token_type": "Bearer"}"#),
        json(r#"{"access_token": "", "token_type": "Bearer"}"#),
        json(r#"{"access_token": "a\r\nb", "token_type": "Bearer"}"#),
        json(r#"{"access_token": "a b", "token_type": "Bearer"}"#),
        json(r#"{"access_token": "a", "token_type": "mac"}"#),
        json(r#"{"access_token": "a", "access_token": "b", "token_type": "Bearer"}"#),
        json(r#"{"access_token": "a", "token_type": "Bearer"} and more"#),
        json(&format!(r#"{{"access_token": "{}"}}"#, "a".repeat(1 << 19))),
    ];
    for (done, fault) in odd.into_iter().enumerate() {
        provider.script(Endpoint::Token, vec![fault]);

        let _ = home.run(&["token", "work"]).expect_code(9);

        assert_eq!(refreshes(&provider), done + 1, "an answer is never asked for again");
        assert!(std::fs::read(home.profile("work")).unwrap() == before);
    }
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_new_refresh_token_in_an_answer_that_makes_no_sense_is_saved() {
    let odd = [
        json!({"access_token": null}),
        json!({"access_token": 7}),
        json!({"token_type": "mac"}),
        json!({"access_token": "two words"}),
    ];
    let (provider, home) = expired();
    for patch in odd {
        provider.script(Endpoint::Token, vec![Fault::CommitThenAmend(patch)]);

        let _ = home.run(&["token", "work"]).expect_code(9);

        assert_nothing_lost(&provider, &home);
    }
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_refused_grant_is_not_sent_again_and_its_bytes_are_kept() {
    let (provider, home) = expired();
    let kept = refresh_token(&home);
    provider.revoke_user_grant("desktop", "me@example.com");

    let _ = home
        .run(&["token", "work"])
        .expect_code(5)
        .expect_said("caused by: invalid_grant: Token has been expired or revoked.")
        .expect_said("run `vault login work`");
    let _ = home.run(&["token", "work"]).expect_code(5).expect_said("run `vault login work`");

    assert_eq!(refreshes(&provider), 1);
    assert_eq!(refresh_token(&home), kept);
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
    assert_no_stray_file(&home);
}

#[test]
fn a_login_revives_a_refused_grant() {
    let (provider, home) = expired();
    provider.revoke_user_grant("desktop", "me@example.com");
    let _ = home.run(&["token", "work"]).expect_code(5);

    let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(0);

    let token = home.run(&["token", "work", "--refresh"]).answer();
    assert!(provider.is_live_access_token(&token));
    assert_eq!(refresh_token(&home), *provider.live_refresh_tokens().last().unwrap());
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
}

#[test]
fn a_refused_client_leaves_the_grant_alone() {
    let refusals = [
        (Fault::bad_secret(), "invalid_client"),
        (Fault::deleted_client(), "deleted_client"),
        (Fault::disabled_client(), "disabled_client"),
        (Fault::error(400, "unauthorized_client", "No."), "unauthorized_client"),
        (Fault::error(400, "invalid_scope", "No."), "invalid_scope"),
        (Fault::error(200, "invalid_request", "An error with status 200."), "invalid_request"),
    ];
    let (provider, home) = expired();
    for (fault, word) in refusals {
        provider.script(Endpoint::Token, vec![fault]);

        let _ =
            home.run(&["token", "work"]).expect_code(7).expect_said(word).expect_said("the grant is kept");

        assert_no_stray_file(&home);
    }
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_session_that_the_organisation_ends_is_explained() {
    let (provider, home) = expired_without_rotation();
    provider.script(Endpoint::Token, vec![Fault::invalid_rapt()]);

    let _ = home
        .run(&["token", "work"])
        .expect_code(5)
        .expect_said("asks for a new login every few hours")
        .expect_said("run `vault login work`");
}

#[test]
fn the_words_of_a_server_cannot_steer_the_terminal_and_its_echo_is_no_leak() {
    let (provider, home) = expired();
    let words = format!("\x1b]0;owned\x07 {} \x1b[2J\u{202e}", refresh_token(&home));
    provider.script(Endpoint::Token, vec![Fault::error(400, "unauthorized_client", &words)]);

    let run = home.run(&["-vvv", "token", "work"]).expect_code(7);

    assert!(!run.stderr.contains(['\x1b', '\x07', '\u{202e}']), "{:?}", run.stderr);
    let _ = run.expect_unsaid(&refresh_token(&home));
}

#[test]
fn the_tokens_of_a_provider_are_never_said() {
    let (provider, home) = expired_with_grace();
    let faults = [
        Fault::CommitThenAmend(json!({"access_token": 7})),
        Fault::CommitThenStatus(500),
        Fault::CommitThenTruncate(200),
        Fault::revoked(),
    ];
    for fault in faults {
        provider.script(Endpoint::Token, vec![fault]);
        let run = home.run(&["-vvv", "token", "work"]);

        let secrets = provider.issued();
        assert!(secrets.iter().all(|secret| !run.stderr.contains(secret)), "{}", run.stderr);
        assert!(!run.stderr.contains("GOCSPX-desktop-secret"), "{}", run.stderr);
    }
}

#[test]
fn a_grant_that_was_renewed_elsewhere_meanwhile_is_used() {
    let (provider, home) = expired();
    let elsewhere = Home::copy_of(&home);
    provider.script(Endpoint::Token, vec![Fault::Hold]);
    let child = crate::expiry::start_and_hold(&provider, &home);

    // The same directory on another machine, where the user logs in anew; then it is synced.
    provider.revoke_user_grant("desktop", "me@example.com");
    let _ = elsewhere.consent(&["login", "work", "--no-browser"]).expect_code(0);
    std::fs::copy(elsewhere.profile("work"), home.profile("work")).unwrap();
    provider.release();

    let token = crate::expiry::finish(child, &["token", "work"]).answer();
    assert!(provider.is_live_access_token(&token));
    assert_eq!(refresh_token(&home), *provider.live_refresh_tokens().last().unwrap());
    assert_no_stray_file(&home);
}
