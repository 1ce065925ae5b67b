//! `vault rotate key` while others go on with their work, and what a person does meanwhile.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::expiry::{assert_nothing_lost, expired, finish, start, start_and_hold};
use crate::holder::{Holder, wait_until};
use crate::home::{Home, Run};
use crate::injection::{Fate, Tracer, is_there};
use crate::outside;
use crate::provider::{Config, Endpoint, Fault, Provider, browser};
use crate::recovery::pid;
use crate::rotation::{assert_rotated_from, kid, kids, manifest, stop_before};
use crate::stage::Stage;

const PASSPHRASE: &str = "correct horse battery";

/// Between two runs of one loop. Without it, eight loops on two processors let nobody have the vault alone.
const PAUSE: Duration = Duration::from_millis(30);

/// Rotations in a row, where nobody asks for more.
const ROTATIONS: usize = 2;

#[test]
fn four_refresh_loops_and_others_lose_nothing_while_the_key_is_rotated_several_times() {
    let provider = Provider::start(Config::default());
    let mut home = Home::in_memory();
    home.unset("VAULT_IDENTITY_FILE");
    let passphrase = home.write("passphrase.txt", PASSPHRASE).to_str().unwrap().to_owned();
    home.set("VAULT_PASSPHRASE_FILE", &passphrase);
    home.run(&["init", "--unlock", "passphrase"]).expect_code(0);
    let names = ["work", "first", "second", "third"];
    home.add_profile(&provider, "work").expect_code(0);
    for name in &names[1..] {
        home.add_profile(&provider, name).expect_code(0);
    }
    let mut holder = Holder::of(home);
    holder.unlock("1h").expect_code(0);
    // From here on the agent is all that the others have.
    holder.home.unset("VAULT_PASSPHRASE_FILE");
    let home = &holder.home;

    let (is_over, runs) = (AtomicBool::new(false), AtomicUsize::new(0));
    let first = kid(home);
    let mut seen = BTreeSet::from([first.clone()]);
    let again = |what: &dyn Fn() -> Run| {
        while !is_over.load(Ordering::SeqCst) {
            let run = what();
            assert_eq!(run.code, 0, "{run:?}");
            assert!(!run.stderr.contains("warning"), "{run:?}");
            let _ = runs.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(PAUSE);
        }
    };
    std::thread::scope(|scope| {
        let again = &again;
        for name in names {
            scope.spawn(move || again(&|| home.run(&["token", name, "--refresh"])));
        }
        scope.spawn(move || again(&|| home.run(&["edit", "first", "--set", "X=client_id"])));
        scope.spawn(move || again(&|| home.run(&["use", "second"])));
        scope.spawn(move || again(&|| home.consent(&["login", "third", "--no-browser"])));
        scope.spawn(move || {
            again(&|| {
                let add = ["add-profile", "new", "--client", "127.0.0.1", "--no-browser"];
                home.consent(&add).expect_code(0);
                home.run(&["remove", "new", "--yes"])
            });
        });
        let is_over = EndsAll(&is_over);
        for _ in 0..rotations() {
            let mut rotate = home.command(&["rotate"]);
            rotate.env("VAULT_PASSPHRASE_FILE", &passphrase);
            let before = runs.load(Ordering::SeqCst);
            let _ = Run::of(&["rotate"], rotate.output().unwrap()).expect_code(0);
            assert!(seen.insert(kid(home)));
            wait_until("the others to go on", || runs.load(Ordering::SeqCst) > before + names.len());
        }
        drop(is_over);
    });

    eprintln!("{} runs during {} rotations", runs.into_inner(), rotations());
    assert_rotated_from(home, &first, "at the end");
    assert_eq!(provider.families_revoked(), []);
    let live = provider.live_refresh_tokens();
    for name in names {
        assert!(live.contains(&home.run(&["reveal", name, "refresh_token"]).answer()), "{name}");
    }
}

fn rotations() -> usize {
    if outside::is_exhaustive() { 10 * ROTATIONS } else { ROTATIONS }
}

/// Tells the loops to end, also when an assertion fails.
struct EndsAll<'a>(&'a AtomicBool);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn logins_that_wait_for_the_browser_are_saved_under_the_key_that_came_meanwhile() {
    for times in [1, 2] {
        let stage = Stage::without_grace();
        let home = &stage.home;
        let old = kid(home);
        let login = ["login", "work", "--no-browser"];
        let issuer = stage.provider.issuer();
        let add = [
            "add-profile",
            "new",
            "--no-browser",
            "--insecure-loopback",
            "--client-id",
            "public",
            "--client-auth",
            "none",
            "--issuer",
            &issuer,
        ];
        let waiting = [(home.start_login(&login), &login[..]), (home.start_login(&add), &add[..])];

        for _ in 0..times {
            home.run(&["rotate"]).expect_code(0);
        }
        for (login, arguments) in waiting {
            let _ = browser::consent(login.url.as_deref().unwrap());
            let _ = login.finish(arguments).expect_code(0);
        }

        assert_rotated_from(home, &old, "after the logins");
        home.run(&["token", "work", "--refresh"]).expect_code(0);
        home.run(&["token", "new", "--refresh"]).expect_code(0);
        assert_eq!(stage.provider.families_revoked(), []);
    }
}

#[test]
fn the_first_login_of_a_vault_that_waits_for_the_browser_is_saved_under_the_key_that_came_meanwhile() {
    let (provider, home) = (Provider::start(Config::default()), Home::new());
    home.run(&["init"]).expect_code(0);
    let options = home.desktop(&provider);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let add = [&["add-profile", "work", "--no-browser"], &options[..]].concat();
    let (old, waiting) = (kid(&home), home.start_login(&add));

    home.run(&["rotate"]).expect_code(0);
    let _ = browser::consent(waiting.url.as_deref().unwrap());
    let _ = waiting.finish(&add).expect_code(0);

    assert_rotated_from(&home, &old, "after the login");
    home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_rotation_waits_for_a_refresh_whose_answer_is_slow_and_loses_nothing_of_it() {
    for in_the_middle in [false, true] {
        let (provider, home) = expired();
        let old = kid(&home);
        if in_the_middle {
            stop_before(&home, "work");
        }
        provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
        let refresh = start_and_hold(&provider, &home);
        let rotation = start_and_wait(&home);
        assert_eq!(manifest(&home)["rotation"].is_object(), in_the_middle);

        provider.release();

        let token = finish(refresh, &["token", "work"]).answer();
        let _ = finish(rotation, &["rotate"]).expect_code(0);
        assert!(provider.is_live_access_token(&token));
        assert_rotated_from(&home, &old, "after both");
        assert_eq!(home.run(&["token", "work"]).answer(), token, "the cached token was carried over");
        assert_nothing_lost(&provider, &home);
    }
}

/// Starts `vault rotate`, and waits until it says that it waits for somebody.
fn start_and_wait(home: &Home) -> Child {
    let mut rotation = start(home, &["rotate"]);
    let mut said = BufReader::new(rotation.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Waiting for another vault process") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it does not wait");
    }
    rotation.stderr = Some(said.into_inner());
    rotation
}

#[test]
fn who_stands_still_while_the_vault_is_opened_goes_on_after_any_number_of_rotations() {
    if !is_there() {
        return;
    }
    for times in [1, 2] {
        let (provider, home) = expired();
        let old = kid(&home);
        // The manifest has been read, and the way to the key has not been opened yet.
        let tracer = Tracer::new(&home, "open,openat").at(vec![home.path("identity.txt")]);
        let first = tracer.calls(&["verify"]).unwrap().remove(0);
        let stop = Fate { what: "signal=STOP", lasts: false };
        let mut command = tracer.command(&first, stop, &["token", "work"]);
        let tracer = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("it to stand still", || traced(&tracer).is_some_and(is_stopped));

        for _ in 0..times {
            home.run(&["rotate"]).expect_code(0);
        }
        let stopped = traced(&tracer).unwrap();
        kill_process(Pid::from_raw(stopped).unwrap(), Signal::CONT).unwrap();

        let run = finish(tracer, &["token", "work"]).expect_code(0);
        assert!(provider.is_live_access_token(run.stdout.trim_end()));
        assert_rotated_from(&home, &old, "after it");
        assert_nothing_lost(&provider, &home);
    }
}

/// The process that strace looks at.
fn traced(tracer: &Child) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", tracer.id())).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Whether a signal has stopped it (proc(5)).
fn is_stopped(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    // It is not traced to a stop at the call itself for longer than a moment.
    matches!(state, Some('T' | 't')) && {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        now == stat
    }
}

#[test]
fn ctrl_c_ends_a_rotation_between_two_documents_and_while_it_waits() {
    for signal in [Signal::INT, Signal::TERM] {
        let (provider, home) = expired();
        let old = kid(&home);
        stop_before(&home, "work");
        provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
        let refresh = start_and_hold(&provider, &home);
        let rotation = start_and_wait(&home);

        kill_process(pid(&rotation), signal).unwrap();

        // Nobody has let the refresh go on, which it waits for.
        let run = finish(rotation, &["rotate"]).expect_code(13);
        let _ = run.expect_said("1 of 2 documents").expect_said("run `vault rotate` again");
        provider.release();
        let _ = finish(refresh, &["token", "work"]).expect_code(0);
        home.run(&["rotate"]).expect_code(0);
        assert_rotated_from(&home, &old, "after all");
        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn ctrl_z_stops_a_rotation_between_two_documents_and_fg_goes_on() {
    let (provider, home) = expired();
    let old = kid(&home);
    stop_before(&home, "work");
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let refresh = start_and_hold(&provider, &home);
    let rotation = start_and_wait(&home);

    kill_process(pid(&rotation), Signal::TSTP).unwrap();
    provider.release();
    let _ = finish(refresh, &["token", "work"]).expect_code(0);

    let (_, status) = waitpid(Some(pid(&rotation)), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
    home.run(&["verify"]).expect_code(0);
    kill_process(pid(&rotation), Signal::CONT).unwrap();
    let _ = finish(rotation, &["rotate"]).expect_code(0);
    assert_rotated_from(&home, &old, "after all");
}

#[test]
fn who_relies_on_the_agent_goes_on_through_a_rotation() {
    let stage = Stage::with_grace();
    let holder = Holder::of(stage.home);
    holder.unlock("1h").expect_code(0);
    let (old, until) = (kid(&holder.home), holder.held_until());

    stop_before(&holder.home, "work");
    holder.hide_identity();
    holder.verify().expect_code(0);
    holder.home.run(&["token", "work", "--refresh"]).expect_code(0);
    holder.home.run(&["rotate"]).expect_code(0);

    assert_rotated_from(&holder.home, &old, "with the agent");
    holder.verify().expect_code(0);
    assert!(holder.held_until() <= until, "a rotation gives no more time");
    holder.home.run(&["lock"]).expect_code(0);
    holder.verify().expect_code(4);
}

#[test]
fn a_new_key_that_only_the_agent_could_give_is_not_begun_with() {
    let stage = Stage::with_grace();
    let holder = Holder::of(stage.home);
    holder.unlock("1h").expect_code(0);
    holder.hide_identity();
    let before = crate::expiry::Snapshot::of(&holder.home);

    holder.home.run(&["rotate", "--no-input"]).expect_code(4);

    let changed = before.changed(&holder.home);
    assert!(
        changed.iter().all(|path| path.ends_with("rotation.lock") || path.ends_with("pin.json")),
        "{changed:?}"
    );
    assert_eq!(crate::rotation::pinned(&holder.home), (vec![kid(&holder.home)], Vec::new()));
    holder.verify().expect_code(0);
}

#[test]
fn two_rotations_at_once_come_one_after_the_other() {
    let stage = Stage::with_grace();
    let home = &stage.home;
    let old = kid(home);

    let rotations: Vec<Child> = (0..4).map(|_| start(home, &["rotate", "--json"])).collect();

    let answers = rotations.into_iter().map(|child| finish(child, &["rotate"]).answer());
    let kids_made: BTreeSet<String> = answers
        .map(|answer| {
            let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
            answer["rotation"]["kid"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(kids_made.len(), 4);
    assert!(kids_made.contains(&kid(home)));
    assert_eq!(kids(home).len(), 1);
    assert_rotated_from(home, &old, "after all");
}
