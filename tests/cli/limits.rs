//! Limits on what the process may use: kept to, and noticed before anything is sent.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;

use crate::disk::least_enough;
use crate::expiry::{assert_nothing_lost, expired, refreshes};
use crate::home::{Home, Run, VAULT};
use crate::provider::{Config, Endpoint, Provider};

/// Where the search for the least sufficient limit begins, in KiB: more than the debug build needs.
const MUCH_MEMORY: u64 = 200 * 1024;

/// How far around the least sufficient limit each step is tried, in KiB.
const AROUND: u64 = 160;

#[test]
fn however_little_memory_there_is_nothing_is_asked_whose_answer_could_not_be_saved() {
    let (provider, home) = expired();
    // An answer as long as one may be needs more memory than a common one.
    provider.amend(Endpoint::Token, json!({"padding": "x".repeat(1_000_000)}));
    let with_memory = |kib| refresh_with_memory(&provider, &home, kib);

    assert!([0, 10].contains(&with_memory(64 * 1024)));
    let enough = least_enough(MUCH_MEMORY, |kib| with_memory(kib) == 0);
    assert!((enough - AROUND..enough + AROUND).step_by(4).map(with_memory).any(|code| code == 10));

    assert!(provider.is_live_access_token(&home.run(&["token", "work"]).answer()));
    assert_nothing_lost(&provider, &home);
}

/// A refresh that either succeeds or sends nothing. Returns its exit code: below what the loader and
/// the runtime of the language need, that is theirs.
fn refresh_with_memory(provider: &Provider, home: &Home, kib: u64) -> i32 {
    let asked = refreshes(provider);

    let run = refresh_limited(home, &format!("ulimit -c 0; ulimit -v {kib}"));

    assert_eq!(refreshes(provider), asked + usize::from(run.code == 0), "{run:?}");
    run.code
}

#[test]
fn few_file_descriptors_are_enough_or_nothing_is_sent() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    let mut codes = BTreeSet::new();
    for limit in 3..16 {
        let before = provider.count(Endpoint::Token);
        let run = refresh_limited(&home, &format!("ulimit -n {limit}"));
        let sent = provider.count(Endpoint::Token) - before;
        assert!(run.code == 0 || sent == 0, "{limit}, {sent} requests: {run:?}");
        assert_ne!(run.code, 1, "{limit}: {run:?}");
        codes.insert(run.code);
    }
    assert!(codes.len() > 1 && codes.contains(&0), "{codes:?}");
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    assert!(provider.families_revoked().is_empty());
}

/// A refresh under the limits that a shell sets first.
fn refresh_limited(home: &Home, limits: &str) -> Run {
    let script = format!("{limits} && exec \"$0\" token work --refresh");
    let mut command = Command::new("sh");
    home.prepare(&mut command);
    Run::of(&[&script], command.args(["-c", &script, VAULT]).output().unwrap())
}
