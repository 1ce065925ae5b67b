//! A refresh that is told an error at each of its system calls, or lied to.
//!
//! strace answers in the kernel's place. Only calls that touch the files of the grant are looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::expiry::{expired, refreshes};
use crate::home::{Home, Run};
use crate::injection::{Call, Fate, Tracer, files_of_the_grant, is_there, name};
use crate::outside;
use crate::provider::{Config, Endpoint, Provider};
use crate::tree::json;

/// Calls that change files, or keep others from changing them: each of them is one of its kind.
const CHANGING: [&str; 8] = ["flock", "fsync", "ftruncate", "lseek", "mkdir", "rename", "unlink", "write"];

/// Calls that look at files: of those on one file, one stands for all.
const LOOKING: [&str; 3] = ["close", "read", "statx"];

/// What a full disk, a broken one, an administrator, a limit or a quota says. At each call, the usual run
/// meets the first two once, and one of all in turn that lasts.
const ERRORS: [&str; 6] = ["ENOSPC", "EIO", "EROFS", "EACCES", "EMFILE", "EDQUOT"];

/// Calls that a signal may interrupt (signal(7)).
const INTERRUPTIBLE: [&str; 7] = ["close", "flock", "fsync", "ftruncate", "openat", "read", "write"];

const REFRESH: [&str; 3] = ["token", "work", "--refresh"];

#[test]
fn an_error_at_any_call_loses_nothing_and_one_before_the_request_sends_nothing() {
    let codes = with_each_call(|at, calls| {
        let mut codes = BTreeSet::new();
        let errors = if outside::is_exhaustive() { &ERRORS[..] } else { &ERRORS[..2] };
        for call in calls {
            for error in errors {
                codes.insert(at.refresh_with(call, error, false));
            }
        }
        codes
    });
    assert!(codes.is_none_or(|codes| codes == [0, 10].into()), "one place is always left");
}

#[test]
fn an_error_that_lasts_loses_nothing() {
    let codes = with_each_call(|at, calls| {
        let mut codes = BTreeSet::new();
        for (turn, call) in calls.iter().enumerate() {
            let errors =
                if outside::is_exhaustive() { &ERRORS[..] } else { &ERRORS[turn % ERRORS.len()..][..1] };
            for error in errors {
                codes.insert(at.refresh_with(call, error, true));
            }
        }
        codes
    });
    assert!(codes.is_none_or(|codes| codes == [0, 10, 11].into()));
}

#[test]
fn an_interrupted_call_is_made_again() {
    let _ = with_each_call(|at, calls| {
        for call in calls.iter().filter(|call| INTERRUPTIBLE.contains(&call.name.as_str())) {
            assert_eq!(at.refresh_with(call, "EINTR", false), 0, "{call:?}");
        }
    });
}

#[test]
fn a_disk_that_says_it_has_written_what_it_has_not_is_caught() {
    // After the room in both places.
    let saving = Call { name: "write".to_owned(), number: 3 };
    let _ = with_each_call(|at, calls| {
        for call in calls.iter().filter(|call| call.name == "write") {
            assert_eq!(at.refresh_after(call, "retval=1", false), 0, "{call:?}");
        }
        // Of the token itself, a third is said to be written, and the rest lands where it began.
        assert_eq!(at.refresh_after(&saving, "retval=1000", false), 0);
        assert_eq!(at.refresh_after(&saving, "retval=1", true), 11);
    });
}

#[test]
fn a_failed_sync_is_never_asked_for_again_on_the_same_file() {
    let (provider, home) = expired();
    let at = Stage { provider, home };
    let all = Tracer::new(&at.home, "fsync");
    let Some(calls) = all.calls(&REFRESH) else { return };
    assert!(calls.len() > 6, "the room, the successor and the mark, with their directories: {calls:?}");

    let mut codes = BTreeSet::new();
    for call in &calls {
        for lasts in [false, true] {
            let before = at.before();
            let (run, lines) = all.run_traced(call, Fate { what: "error=EIO", lasts }, &REFRESH);

            let mut failed = BTreeSet::new();
            for line in lines.iter().filter(|line| name(line) == Some("fsync")) {
                assert!(!failed.contains(file_of(line)), "{call:?}: {lines:#?}");
                if line.contains("INJECTED") {
                    let _ = failed.insert(file_of(line));
                }
            }
            assert!(!failed.is_empty(), "{lines:#?}");
            codes.insert(at.assert_nothing_lost(&before, &run, &format!("{call:?} {lasts}")));
        }
    }
    assert_eq!(codes, [0, 10, 11].into());
}

#[test]
fn a_login_whose_disk_fails_is_saved_or_printed_or_has_not_spent_its_code() {
    let login = ["login", "work", "--no-browser"];
    let codes = with_each_call(|at, _| {
        let tracer = at.tracer();
        let _ = Home::consent_to(tracer.traced(&[], &login), &login).expect_code(0);
        let mut calls = one_of_each_kind(&tracer.lines());
        calls.retain(|call| !LOOKING.contains(&call.name.as_str()));
        let mut codes = BTreeSet::new();
        for (turn, call) in calls.iter().enumerate() {
            let what = format!("error={}", ERRORS[turn % ERRORS.len()]);
            let before = at.before();
            let command = tracer.command(call, Fate { what: &what, lasts: true }, &login);
            let run = Home::consent_to(command, &login);
            codes.insert(at.assert_login_kept(&before, &run, &format!("{call:?} {what}")));
        }
        codes
    });
    assert!(codes.is_none_or(|codes| codes == [0, 10, 11].into()));
}

#[test]
fn a_client_that_cannot_be_written_after_the_code_is_spent_leaves_a_login_that_the_next_one_mends() {
    if !is_there() {
        return;
    }
    let (provider, home) = (Provider::start(Config::default()), Home::new());
    let _ = home.run(&["init"]).expect_code(0);
    let options = home.desktop(&provider);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let add = [&["add-profile", "work", "--no-browser"], &options[..]].concat();
    // How this client proves itself is found out with the code: it is written before that and after.
    let client = home.client("127.0.0.1");
    let tracer = Tracer::new(&home, "rename").at(vec![client.with_extension("json.tmp")]);
    let second = Call { name: "rename".to_owned(), number: 2 };

    let command = tracer.command(&second, Fate { what: "error=EIO", lasts: true }, &add);
    let run = Home::consent_to(command, &add).expect_code(10);

    let _ = run.expect_said("vault login work").expect_unsaid("nothing was sent");
    assert_eq!(json(&client)["client_auth"], "basic");
    let _ = home.run(&["verify"]).expect_code(0);
    let _ = home.run(&["token", "work", "--refresh"]).expect_code(7);
    let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    assert_eq!(json(&client)["client_auth"], "post");
    let _ = home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_client_that_may_have_to_be_written_and_cannot_be_costs_no_code() {
    let (provider, home) = (Provider::start(Config::default()), Home::new());
    let options = home.desktop(&provider);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let _ = home.run(&["init"]).expect_code(0);
    let _ = home.run(&[&["client", "add"], &options[..]].concat()).expect_code(0);
    let in_the_way = home.client("127.0.0.1").with_extension("json.tmp");
    std::fs::create_dir(&in_the_way).unwrap();

    let add = ["add-profile", "work", "--no-browser", "--client", "127.0.0.1"];
    let _ = home.consent(&add).expect_code(10);

    assert_eq!(provider.count(Endpoint::Token), 0);
    std::fs::remove_dir(&in_the_way).unwrap();
    let _ = home.consent(&add).expect_code(0);
}

/// A user whose token has expired, and a disk that fails when it is told to.
struct Stage {
    provider: Provider,
    home: Home,
}

/// Does `work` with the calls of a refresh, unless strace does not work here.
fn with_each_call<T>(work: impl FnOnce(&Stage, &[Call]) -> T) -> Option<T> {
    let (provider, home) = expired();
    let at = Stage { provider, home };
    let calls = one_of_each_kind(&at.tracer().trace(&["-y"], &REFRESH)?);
    assert!(calls.len() > 50, "{calls:?}");
    Some(work(&at, &calls))
}

impl Stage {
    fn tracer(&self) -> Tracer<'_> {
        let calls = [&CHANGING[..], &LOOKING, &["openat"]].concat().join(",");
        Tracer::new(&self.home, &calls).at(files_of_the_grant(&self.home))
    }

    fn refresh_with(&self, call: &Call, error: &str, lasts: bool) -> i32 {
        self.refresh_after(call, &format!("error={error}"), lasts)
    }

    /// A refresh in which `call` meets this fate, and what holds of each. Returns its exit code.
    fn refresh_after(&self, call: &Call, what: &str, lasts: bool) -> i32 {
        let before = self.before();
        let run = self.tracer().run(call, Fate { what, lasts }, &REFRESH);
        self.assert_nothing_lost(&before, &run, &format!("{call:?} {what} {lasts}"))
    }

    fn before(&self) -> Before {
        Before { asked: refreshes(&self.provider), live: self.provider.live_refresh_tokens() }
    }

    /// Nothing was sent, or the new token is saved or printed; and once the disk works again, so does
    /// everything. Returns the exit code.
    fn assert_nothing_lost(&self, before: &Before, run: &Run, when: &str) -> i32 {
        let said = format!("{when}: {run:?}");
        let sent = refreshes(&self.provider) - before.asked;
        match run.code {
            0 => assert!(sent == 1 && self.provider.is_live_access_token(run.stdout.trim_end()), "{said}"),
            10 => assert!(sent == 0 && self.provider.live_refresh_tokens() == before.live, "{said}"),
            11 => assert_eq!(sent, 1, "{said}"),
            _ => panic!("{said}"),
        }
        self.assert_works_again(run, &said);
        run.code
    }

    fn assert_works_again(&self, run: &Run, said: &str) {
        if run.code == 11 {
            let _ = self.home.run_with_input(&["import-rescue"], &run.stderr).expect_code(0);
        }
        let again = self.home.run(&REFRESH);
        assert_eq!(again.code, 0, "{said}\nand then {again:?}");
        assert_eq!(self.provider.families_revoked(), [], "{said}");
    }

    /// The code was not spent, or what it gave is saved or printed. Returns the exit code.
    fn assert_login_kept(&self, before: &Before, run: &Run, when: &str) -> i32 {
        let said = format!("{when}: {run:?}");
        let spent = refreshes(&self.provider) - before.asked;
        assert_eq!(spent, usize::from(run.code != 10), "{said}");
        assert!([0, 10, 11].contains(&run.code), "{said}");
        let newest = self.provider.live_refresh_tokens().pop().unwrap();
        self.assert_works_again(run, &said);
        // The refresh after it has used that very grant.
        assert!(!self.provider.live_refresh_tokens().contains(&newest), "{said}");
        run.code
    }
}

/// What the provider knew before.
struct Before {
    asked: usize,
    live: Vec<String>,
}

/// The calls of a trace: all that change something, and of those that look at something one for each
/// file.
fn one_of_each_kind(lines: &[String]) -> Vec<Call> {
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut seen = BTreeSet::new();
    let mut calls = Vec::new();
    for line in lines {
        let Some(name) = name(line) else { continue };
        let number = *counts.entry(name).and_modify(|count| *count += 1).or_insert(1);
        let is_change = CHANGING.contains(&name) || line.contains("O_CREAT");
        if is_change || outside::is_exhaustive() || seen.insert((name, file_of(line))) {
            calls.push(Call { name: name.to_owned(), number });
        }
    }
    calls
}

/// The last path in a line of strace that says them.
fn file_of(line: &str) -> &str {
    let mut parts = line.rsplit(['<', '>', '"']);
    parts.find(|part| part.starts_with('/')).unwrap_or_default()
}
