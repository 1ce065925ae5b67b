//! A refresh that is killed, or told that the disk failed, at each of its system calls.
//!
//! strace does it to the real program: `inject=SYSCALL:signal=KILL:when=N`. A call is numbered among
//! those that touch the files of the grant, so that the numbers do not depend on anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::expiry::{
    API_KEY, assert_no_stray_file, assert_nothing_lost, beside, expired, expired_with_grace, second,
    state_dir,
};
use crate::home::{Home, Run, VAULT};

/// The calls after which files may be different from before, or that guard them.
const CALLS: &str = "openat,flock,lseek,write,ftruncate,fsync,rename,unlink";

const REFRESH: [&str; 3] = ["token", "work", "--refresh"];

#[test]
fn a_kill_at_any_moment_is_made_up_for_by_the_next_run_at_a_provider_with_grace() {
    let (provider, home) = expired_with_grace();
    for_each_call(&home, |call| {
        let generation = generation(&home);
        let killed = call.run(&home, "signal=KILL", "");
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
    for_each_call(&home, |call| {
        let _ = call.run(&home, "signal=KILL", "");

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
    for lasts in ["", "+"] {
        let (provider, home) = expired();
        for_each_call(&home, |call| {
            let run = call.run(&home, "error=EIO", lasts);

            let said = format!("{call:?}{lasts}: {run:?}");
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

/// The `number`th call of this `name` that touches the files of the grant.
#[derive(Debug)]
struct Call {
    name: String,
    number: usize,
}

/// Does `work` for each call that a refresh makes.
fn for_each_call(home: &Home, mut work: impl FnMut(&Call)) {
    let Some(counts) = count_calls(home) else { return };
    for (name, count) in counts {
        (1..=count).for_each(|number| work(&Call { name: name.clone(), number }));
    }
}

fn count_calls(home: &Home) -> Option<BTreeMap<String, usize>> {
    let trace = home.path("trace");
    let mut command = strace(home);
    command.args(["-o", trace.to_str()?, VAULT]).args(REFRESH);
    if !command.output().is_ok_and(|output| output.status.success()) {
        let is_strict = std::env::var_os("VAULT_TESTS_STRICT").is_some_and(|value| value == "1");
        assert!(!is_strict, "strace does not work here");
        eprintln!("skipped: strace does not work here");
        return None;
    }
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(trace).unwrap().lines() {
        let call = line.split_once(' ')?.1.trim_start().split_once('(');
        if let Some((name, _)) = call {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    assert!(counts["fsync"] >= 5, "the room, the successor and their directories: {counts:?}");
    Some(counts)
}

/// strace, with its eyes on the files of the grant only.
fn strace(home: &Home) -> Command {
    let mut command = Command::new("strace");
    home.prepare(&mut command);
    command.args(["-f", "-qq", "-e", &format!("trace={CALLS}")]);
    for path in files_of_the_grant(home) {
        command.arg("-P").arg(path);
    }
    command
}

fn files_of_the_grant(home: &Home) -> Vec<std::path::PathBuf> {
    let (beside, second, document) = (beside(home), second(home), home.profile("work"));
    let id = serde_json::from_slice::<Value>(&std::fs::read(&document).unwrap()).unwrap()["id"].clone();
    let of_id = |folder: &Path, end: &str| folder.join(format!("{}{end}", id.as_str().unwrap()));
    let (marks, cache) = (state_dir(home).join("marks"), home.files("cache").pop().unwrap());
    let cache = cache.parent().unwrap();
    vec![
        of_id(&home.vault_dir().join("locks"), ".lock"),
        beside.parent().unwrap().to_owned(),
        second.parent().unwrap().to_owned(),
        beside,
        second,
        document,
        of_id(&marks, ".json"),
        of_id(&marks, ".json.tmp"),
        of_id(cache, ".json"),
        of_id(cache, ".json.tmp"),
    ]
}

impl Call {
    /// Runs a refresh that meets `fate` at this call, and with `+` at all later ones of its name.
    fn run(&self, home: &Home, fate: &str, lasts: &str) -> Run {
        let mut command = strace(home);
        let inject = format!("inject={}:{fate}:when={}{lasts}", self.name, self.number);
        command.args(["-o", "/dev/null", "-e", &inject, VAULT]).args(REFRESH);
        Run::of(&REFRESH, command.output().unwrap())
    }
}
