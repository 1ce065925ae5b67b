//! Many processes, one grant: one request for each expiry, and one token for everybody.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Child;

use crate::expiry::{
    LONG, assert_nothing_lost, expired, expired_with_grace, finish, refreshes, start, start_and_hold,
};
use crate::home::Home;
use crate::provider::{Endpoint, Fault};

#[test]
fn a_hundred_processes_make_one_request_and_get_one_token() {
    let (provider, home) = expired();

    let children = start_many(&home, 100, &["token", "work"]);

    let tokens = tokens(children);
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert!(provider.is_live_access_token(tokens.first().unwrap()));
    assert_eq!(refreshes(&provider), 1);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn who_waits_for_a_refresh_that_began_later_shares_its_token() {
    let (provider, home) = expired();
    provider.script(Endpoint::Token, vec![Fault::Hold]);
    let first = start(&home, &["token", "work", "--refresh"]);
    assert!(provider.wait_until_holding(1, LONG));

    // Each says that it waits; by then it has begun to wait, and the token comes later.
    let mut waiting = start_many(&home, 5, &["token", "work", "--refresh"]);
    for child in &mut waiting {
        let mut line = String::new();
        let _ = BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "Waiting for another vault process…\n");
    }
    assert_eq!(refreshes(&provider), 1);
    provider.release();

    waiting.push(first);
    assert_eq!(tokens(waiting).len(), 1);
    assert_eq!(refreshes(&provider), 1);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn forced_refreshes_at_once_never_present_a_spent_token() {
    let (provider, home) = expired();

    let children = start_many(&home, 20, &["token", "work", "--refresh"]);

    // Who began after a token was obtained asks for a new one; who waited for it shares it.
    let tokens = tokens(children);
    assert_eq!(tokens.len(), refreshes(&provider));
    assert_nothing_lost(&provider, &home);
}

#[test]
fn short_lived_tokens_are_shared_by_those_who_waited() {
    let (provider, home) = expired();
    provider.configure(|config| config.expires_in = 30);

    let children = start_many(&home, 20, &["token", "work"]);

    assert_eq!(tokens(children).len(), refreshes(&provider));
    assert_nothing_lost(&provider, &home);
}

#[test]
fn profiles_do_not_wait_for_one_another() {
    let (provider, home) = expired();
    let _ = home.consent(&["add-profile", "home", "--client", "127.0.0.1", "--no-browser"]).expect_code(0);
    provider.script(Endpoint::Token, vec![Fault::Hold]);
    let held = start_and_hold(&provider, &home);

    let other = home.run(&["token", "home", "--refresh"]).expect_unsaid("Waiting").answer();

    assert!(provider.is_live_access_token(&other));
    provider.release();
    let _ = finish(held, &["token", "work"]).answer();
}

#[test]
fn a_killed_holder_frees_the_lock_and_the_next_one_goes_on() {
    let (provider, home) = expired_with_grace();
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let mut first = start_and_hold(&provider, &home);
    let second = start(&home, &["token", "work"]);

    first.kill().unwrap();
    let _ = first.wait().unwrap();

    let token = finish(second, &["token", "work"]).answer();
    provider.release();
    assert!(provider.is_live_access_token(&token));
    assert_eq!(refreshes(&provider), 2);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_killed_holder_without_grace_costs_the_login_and_nothing_else() {
    let (provider, home) = expired();
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let mut first = start_and_hold(&provider, &home);
    first.kill().unwrap();
    let _ = first.wait().unwrap();
    provider.release();

    let refused = home.run(&["token", "work"]).expect_code(5);

    let _ = refused.expect_said("likely: the answer to an earlier refresh was lost");
    crate::expiry::assert_no_stray_file(&home);
}

fn start_many(home: &Home, count: usize, arguments: &[&str]) -> Vec<Child> {
    (0..count).map(|_| start(home, arguments)).collect()
}

/// What they have printed; panics unless all succeeded.
fn tokens(children: Vec<Child>) -> BTreeSet<String> {
    children.into_iter().map(|child| finish(child, &["token"]).answer()).collect()
}
