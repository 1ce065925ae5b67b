//! A refresh that is killed, or told that the disk failed, at each of its system calls.
//!
//! A call is numbered among those that touch the files of the grant, so that the numbers do not depend
//! on anything else.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::expiry::{API_KEY, assert_no_stray_file, assert_nothing_lost, expired, expired_with_grace};
use crate::home::Home;
use crate::injection::{Call, Fate, Tracer, files_of_the_grant};

/// The calls after which files may be different from before, or that guard them.
const CALLS: &str = "openat,flock,lseek,write,ftruncate,fsync,rename,unlink";

const REFRESH: [&str; 3] = ["token", "work", "--refresh"];

#[test]
fn a_kill_at_any_moment_is_made_up_for_by_the_next_run_at_a_provider_with_grace() {
    let (provider, home) = expired_with_grace();
    for_each_call(&home, |tracer, call| {
        let generation = generation(&home);
        let killed = tracer.run(call, Fate::KILL, &REFRESH);
        assert_eq!(killed.code, 128 + 9, "{call:?}");
        assert!((generation..=generation + 1).contains(&self::generation(&home)), "{call:?}");

        let token = home.run(&REFRESH).answer();

        assert!(provider.is_live_access_token(&token), "{call:?}");
        assert_nothing_lost(&provider, &home);
    });
}

#[test]
fn a_kill_at_any_moment_costs_at_most_the_login_at_a_provider_without_grace() {
    let (provider, home) = expired();
    let mut lost = Vec::new();
    for_each_call(&home, |tracer, call| {
        let _ = tracer.run(call, Fate::KILL, &REFRESH);

        let next = home.run(&REFRESH);

        assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY, "{call:?}");
        assert_no_stray_file(&home);
        if next.code == 5 {
            let _ = next.expect_said("the answer to an earlier refresh was lost");
            let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(0);
            lost.push(format!("{call:?}"));
        } else {
            assert!(provider.is_live_access_token(&next.answer()), "{call:?}");
        }
    });
    // The window that no client can close: the answer is here, and its bytes are not yet in the file.
    assert!(lost.len() <= 2, "{lost:?}");
}

#[test]
fn a_disk_that_fails_once_or_from_any_moment_on_costs_nothing() {
    let mut codes = BTreeSet::new();
    for lasts in [false, true] {
        let (provider, home) = expired();
        for_each_call(&home, |tracer, call| {
            let run = tracer.run(call, Fate { what: "error=EIO", lasts }, &REFRESH);

            let said = format!("{call:?}, lasts {lasts}: {run:?}");
            codes.insert(run.code);
            assert!([0, 10, 11].contains(&run.code), "{said}");
            if run.code == 11 {
                let _ = home.run_with_input(&["import-rescue"], &run.stderr).expect_code(0);
            }
            let token = home.run(&REFRESH).answer();
            assert!(provider.is_live_access_token(&token), "{said}");
            assert_nothing_lost(&provider, &home);
        });
    }
    // A machine without strace has seen none.
    assert!(codes.is_empty() || codes == [0, 10, 11].into(), "{codes:?}");
}

fn generation(home: &Home) -> u64 {
    let document: Value = serde_json::from_slice(&std::fs::read(home.profile("work")).unwrap()).unwrap();
    document["generation"].as_u64().unwrap()
}

/// Does `work` for each call of a refresh that touches the files of the grant.
fn for_each_call(home: &Home, mut work: impl FnMut(&Tracer<'_>, &Call)) {
    let tracer = Tracer::new(home, CALLS).at(files_of_the_grant(home));
    let Some(calls) = tracer.calls(&REFRESH) else { return };
    let syncs = calls.iter().filter(|call| call.name == "fsync").count();
    assert!(syncs >= 5, "the room, the successor and their directories: {calls:?}");
    calls.iter().for_each(|call| work(&tracer, call));
}
