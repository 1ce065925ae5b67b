//! Scripted faults, recording, and the load a test may put on the server.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

#[test]
fn faults_are_met_in_order_and_then_no_more() {
    let provider = Provider::start(Config::default());
    provider.script(Endpoint::Token, vec![Fault::revoked(), Fault::Pass, Fault::unavailable(7)]);
    let mut token = provider.grant("desktop", "1001", &["openid"]);

    let refused = refresh(&provider, &token).json();
    assert_eq!(refused["error_description"], "Token has been expired or revoked.");
    token = text(&refresh(&provider, &token).json(), "refresh_token").into();
    let later = refresh(&provider, &token);
    assert_eq!((later.status, later.header("retry-after")), (503, Some("7")));
    assert_eq!(refresh(&provider, &token).status, 200);

    assert_eq!(provider.faults_left(Endpoint::Token), 0);
    assert_eq!(provider.count(Endpoint::Token), 4);
}

#[test]
fn a_fault_after_the_commit_has_rotated_and_one_before_has_not() {
    for (fault, rotated) in [
        (Fault::CommitThenReset, true),
        (Fault::CommitThenClose, true),
        (Fault::CommitThenTruncate(10), true),
        (Fault::CommitThenGarbage, true),
        (Fault::ResetBefore, false),
        (Fault::Garbage, false),
    ] {
        let provider = Provider::start(Config::default());
        let token = provider.grant("desktop", "1001", &["openid"]);
        provider.script(Endpoint::Token, vec![fault.clone()]);

        let answer = try_refresh(&provider, &token);

        assert!(answer.is_err(), "{fault:?}: {answer:?}");
        assert_eq!(provider.live_refresh_tokens() != [token], rotated, "{fault:?}");
        assert_eq!(provider.count(Endpoint::Token), 1, "{fault:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_reset_is_a_reset_and_a_close_is_an_end() {
    let provider = Provider::start(Config::default());
    let token = provider.grant("desktop", "1001", &["openid"]);
    let faults = vec![Fault::ResetBefore, Fault::CommitThenReset, Fault::CommitThenClose];
    provider.script(Endpoint::Token, faults);

    let kind = |answer: io::Result<Page>| answer.unwrap_err().kind();

    assert_eq!(kind(try_refresh(&provider, &token)), io::ErrorKind::ConnectionReset);
    assert_eq!(kind(try_refresh(&provider, &token)), io::ErrorKind::ConnectionReset);
    assert_eq!(kind(try_refresh(&provider, &token)), io::ErrorKind::UnexpectedEof);
}

#[test]
fn an_answer_can_be_replaced_amended_dripped_or_sent_elsewhere() {
    let provider = Provider::start(Config { rotation: Rotation::None, ..Config::default() });
    let token = provider.grant("desktop", "1001", &["openid"]);
    let faults = vec![
        Fault::CommitThenStatus(500),
        Fault::CommitThenAmend(json!({"token_type": "bEaReR", "expires_in": null})),
        Fault::DripBytes(Duration::from_micros(1)),
        Fault::Redirect("http://evil.example/".into()),
        Fault::invalid_rapt(),
    ];
    provider.script(Endpoint::Token, faults);

    assert_eq!(refresh(&provider, &token).status, 500);
    let amended = refresh(&provider, &token).json();
    assert_eq!(amended["token_type"], "bEaReR");
    assert!(amended.get("expires_in").is_none());
    assert_eq!(refresh(&provider, &token).json()["token_type"], "Bearer");
    let redirect = refresh(&provider, &token);
    assert_eq!(redirect.header("location"), Some("http://evil.example/"));
    let rapt = refresh(&provider, &token).json();
    assert_eq!(rapt["error_subtype"], "invalid_rapt");
}

#[test]
fn a_held_request_waits_for_its_release() {
    let provider = Provider::start(Config::default());
    let token = provider.grant("desktop", "1001", &["openid"]);
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let began = Instant::now();

    thread::scope(|scope| {
        let held = scope.spawn(|| refresh(&provider, &token));
        assert!(provider.wait_for(Endpoint::Token, 1, SOON));
        assert!(provider.wait_until_holding(1, SOON));
        assert_ne!(provider.live_refresh_tokens(), std::slice::from_ref(&token));
        assert!(!held.is_finished());
        provider.release();
        assert_eq!(held.join().unwrap().status, 200);
    });
    assert!(began.elapsed() < SOON, "no wait was slept through");
}

#[test]
fn dropping_the_server_wakes_what_it_holds_and_closes_the_port() {
    let provider = Provider::start(Config { issuer_path: "/gone".into(), ..Config::default() });
    let url = provider.url("/gone/.well-known/openid-configuration");
    provider.script(Endpoint::OpenidConfiguration, vec![Fault::Delay(Duration::from_secs(3600))]);
    let asked = thread::spawn({
        let url = url.clone();
        move || browser::get(&url, &[])
    });
    assert!(provider.wait_for(Endpoint::OpenidConfiguration, 1, SOON));

    drop(provider);

    assert_eq!(asked.join().unwrap().unwrap().status, 200);
    // Another test's server may have got the port by now; it has no such issuer.
    assert!(!browser::get(&url, &[]).is_ok_and(|page| page.status == 200));
}

#[test]
fn every_request_is_recorded_with_what_it_carried() {
    let provider = Provider::start(Config::default());
    log_in(&provider, &[("login_hint", "me@example.com")]);

    let requests = provider.requests();

    let order: Vec<_> = requests.iter().map(|request| request.endpoint).collect();
    assert_eq!(order, [Endpoint::Authorize, Endpoint::Token]);
    assert_eq!(requests[0].param("login_hint"), Some("me@example.com"));
    assert_eq!(requests[1].field("grant_type"), Some("authorization_code"));
    assert_eq!(requests[1].field("code_verifier"), Some(VERIFIER));
    assert!(requests[1].header("host").is_some());
    assert!(requests[0].at <= requests[1].at);
}

#[test]
fn two_hundred_connections_at_once_are_served_soon() {
    let provider = Provider::start(Config { rotation: Rotation::None, ..Config::default() });
    let token = provider.grant("desktop", "1001", &["openid"]);
    let began = Instant::now();

    thread::scope(|scope| {
        let all: Vec<_> = (0..200).map(|_| scope.spawn(|| refresh(&provider, &token).status)).collect();
        assert!(all.into_iter().all(|one| one.join().unwrap() == 200));
    });

    assert_eq!(provider.count(Endpoint::Token), 200);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}
