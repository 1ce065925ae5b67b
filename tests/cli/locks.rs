//! Locks whose holder stops, or whose file somebody deletes: still one request at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use crate::expiry::{assert_nothing_lost, expired, finish, refreshes, start, start_and_hold};
use crate::home::{Home, Run, VAULT};
use crate::outside::program;
use crate::provider::{Endpoint, Fault};
use crate::tree::json;

const TOKEN: [&str; 2] = ["token", "work"];

#[test]
fn who_waits_for_a_stopped_process_gives_up_and_nothing_is_asked_twice() {
    let Some(_) = program("faketime") else { return };
    let (provider, home) = expired();
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let stopped = start_and_hold(&provider, &home);
    send(&stopped, Signal::STOP);

    for command in [&TOKEN[..], &["token", "work", "--refresh"], &["edit", "work", "--set", "X=account"]] {
        let waited = Run::of(command, hurried(&home, command).output().unwrap());
        let _ = waited.expect_code(8).expect_said("another vault process has held this grant for 45 seconds");
    }
    provider.release();
    send(&stopped, Signal::CONT);

    assert!(provider.is_live_access_token(&finish(stopped, &TOKEN).answer()));
    assert_eq!(refreshes(&provider), 1);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_lock_that_is_deleted_while_it_is_held_lets_nobody_ask_a_second_time() {
    for deleted in [lock_of_the_grant, |home: &Home| home.vault_dir().join("locks")] {
        let (provider, home) = expired();
        provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
        let first = start_and_hold(&provider, &home);
        let waiting = start(&home, &TOKEN);

        delete(&deleted(&home));
        let late = home.run(&["token", "work", "--refresh"]).expect_code(8);
        let _ = late.expect_said("another vault process is writing profile `work`");
        assert_eq!(refreshes(&provider), 1);
        provider.release();

        let token = finish(first, &TOKEN).answer();
        let waited = finish(waiting, &TOKEN);
        assert!(waited.code == 8 || waited.stdout.trim_end() == token, "{waited:?}");
        assert_eq!(home.run(&TOKEN).answer(), token);
        assert_eq!(refreshes(&provider), 1);
        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn a_lock_directory_that_is_missing_is_made_again() {
    let (provider, home) = expired();
    delete(&home.vault_dir().join("locks"));

    assert!(provider.is_live_access_token(&home.run(&TOKEN).answer()));
    assert!(lock_of_the_grant(&home).is_file());
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_lock_that_is_a_fifo_ends_before_anything_is_sent() {
    let (provider, home) = expired();
    for lock in [lock_of_the_grant(&home), home.vault_dir().join("locks/vault.lock")] {
        fs::remove_file(&lock).unwrap();
        let made = Command::new("mkfifo").arg(&lock).status();
        assert!(made.unwrap().success());

        let _ = home.run(&TOKEN).expect_code(10).expect_said("lock file");

        assert_eq!(refreshes(&provider), 0);
        fs::remove_file(&lock).unwrap();
    }
    let _ = home.run(&TOKEN).answer();
    assert_nothing_lost(&provider, &home);
}

fn lock_of_the_grant(home: &Home) -> PathBuf {
    let id = json(home.profile("work"))["id"].as_str().unwrap().to_owned();
    home.vault_dir().join("locks").join(format!("{id}.lock"))
}

fn delete(path: &Path) {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The program with a clock that runs a hundred times as fast.
fn hurried(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new("faketime");
    home.prepare(&mut command);
    command.args(["-f", "+0 x100", VAULT]).args(arguments);
    command
}
