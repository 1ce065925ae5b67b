//! Clocks that are wrong: by years, beyond 2038, in any zone, or going back between two runs.

use std::process::Command;

use crate::expiry::{assert_nothing_lost, expired, refreshes};
use crate::home::{Home, Run, VAULT};
use crate::outside::have;
use crate::provider::{Config, Endpoint, Fault, Provider};

/// Moments as faketime(1) has them: shifts by years and by hours, after 2038, and what a machine
/// without a battery believes when it starts.
const MOMENTS: [&str; 7] =
    ["-2y", "+2y", "@2038-01-19 03:14:06", "@2106-02-07 06:28:14", "@1970-01-01 00:00:10", "-4h", "+4h"];

/// Runs the program at that moment. Only the clock on the wall is wrong: a machine does not wait
/// longer because of it.
fn run_at(home: &Home, moment: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new("faketime");
    home.prepare(&mut command);
    command.args(["--exclude-monotonic", "-f", moment, VAULT]).args(arguments);
    Run::of(arguments, command.output().unwrap())
}

#[test]
fn at_a_wrong_time_one_request_is_made_and_its_token_is_cached() {
    if !have(&["faketime"]) {
        return;
    }
    let (provider, home) = expired();
    for moment in MOMENTS {
        provider.forget_requests();

        let token = run_at(&home, moment, &["token", "work"]).answer();
        let again = run_at(&home, moment, &["token", "work"]).answer();

        assert!(provider.is_live_access_token(&token), "{moment}");
        assert_eq!((again, refreshes(&provider)), (token, 1), "{moment}");
        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn a_clock_that_goes_back_and_forth_costs_a_request_each_time_and_no_more() {
    if !have(&["faketime"]) {
        return;
    }
    let (provider, home) = expired();
    for (done, moment) in ["+2y", "+0", "-2y", "+0", "+3h", "+0"].into_iter().enumerate() {
        let token = run_at(&home, moment, &["token", "work"]).answer();

        assert!(provider.is_live_access_token(&token), "{moment}");
        assert_eq!(refreshes(&provider), done + 1, "{moment}");
    }
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_token_that_has_expired_meanwhile_is_not_handed_out_by_a_clock_that_was_set_back() {
    if !have(&["faketime"]) {
        return;
    }
    let (provider, home) = expired();
    let old = run_at(&home, "+0", &["token", "work"]).answer();
    // Two hours later the machine starts with the time of years ago.
    provider.advance(std::time::Duration::from_secs(2 * 60 * 60));
    assert!(!provider.is_live_access_token(&old));

    let token = run_at(&home, "-2y", &["token", "work"]).answer();

    assert!(provider.is_live_access_token(&token));
}

#[test]
fn an_expiry_at_a_wrong_time_is_one_request_even_if_the_answer_is_lost() {
    if !have(&["faketime"]) {
        return;
    }
    for moment in MOMENTS {
        let (provider, home) = crate::expiry::expired_with_grace();
        provider.script(Endpoint::Token, vec![Fault::CommitThenReset]);

        let _ = run_at(&home, moment, &["token", "work"]).answer();

        assert_eq!(refreshes(&provider), 2, "{moment}");
        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn what_lists_and_shows_says_that_the_clock_may_be_wrong() {
    if !have(&["faketime"]) {
        return;
    }
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    for moment in MOMENTS {
        for command in [&["list"][..], &["show", "work"], &["status"], &["verify"]] {
            let _ = run_at(&home, moment, command).expect_code(0);
        }
    }

    let status = |moment| run_at(&home, moment, &["status"]).answer();
    assert!(status("-2y").contains("in the future by the clock of this machine; is it right?"));
    assert!(!status("+0").contains("in the future"));
    assert!(run_at(&home, "-2y", &["show", "work"]).answer().contains("in 23 months"));
    assert!(run_at(&home, "+2y", &["status"]).answer().contains("expired"));
}

#[test]
fn a_clock_that_is_wrong_is_named_when_a_login_fails_for_it() {
    if !have(&["faketime"]) {
        return;
    }
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    provider.forget_requests();
    // The login waits for its browser in the program itself, which needs the library of faketime.
    let Some(library) = library() else { return };
    home.set("LD_PRELOAD", &library);
    home.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");

    for (moment, why) in [("-2y", "from the future"), ("+2y", "has expired")] {
        home.set("FAKETIME", moment);
        let refused = home.consent(&["login", "work", "--no-browser"]).expect_code(7);
        let _ = refused.expect_said(why).expect_said("is the clock right?");
    }
}

/// What faketime(1) loads into programs.
fn library() -> Option<String> {
    let output = Command::new("faketime").args(["+0", "sh", "-c", "echo $LD_PRELOAD"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split([':', ' ', '\n']).find(|path| path.contains("faketime")).map(str::to_owned)
}

#[test]
fn the_zone_and_its_summer_time_change_nothing() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    provider.forget_requests();
    let token = home.run(&["token", "work", "--json"]).answer();

    // Half a day on either side of Greenwich, rules with a summer time, and nonsense.
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12", "CET-1CEST,M3.5.0,M10.5.0/3", "Nowhere/At_all", ""] {
        home.set("TZ", zone);

        assert_eq!(home.run(&["token", "work", "--json"]).answer(), token, "{zone}");
        let _ = home.run(&["status"]).expect_code(0);
    }
    assert_eq!(refreshes(&provider), 0);
}

#[test]
fn a_provider_whose_clock_is_wrong_by_hours_changes_nothing() {
    let (provider, home) = expired();
    // `Date` (RFC 9110, 6.6.1) is the provider's own time; `expires_in` counts from ours.
    let dated = |date: &str| Fault::Respond {
        status: 200,
        headers: vec![("Content-Type".into(), "application/json".into()), ("Date".into(), date.into())],
        body: br#"{"access_token": "a-token", "token_type": "Bearer", "expires_in": 3600}"#.to_vec(),
    };
    let dates = ["Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 2100 23:59:59 GMT", "yesterday", ""];
    for date in dates {
        provider.forget_requests();
        provider.script(Endpoint::Token, vec![dated(date)]);

        assert_eq!(home.run(&["token", "work", "--refresh"]).answer(), "a-token");
        assert_eq!(home.run(&["token", "work"]).answer(), "a-token");

        assert_eq!(refreshes(&provider), 1, "{date}");
    }
}
