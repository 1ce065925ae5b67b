//! `vault exec --token-file`: the token in a private file, never in the environment, and gone afterwards.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::process::Signal;

use crate::exec_stage::{Running, is_dead, run_dirs, send};
use crate::expiry::{assert_nothing_lost, expired};
use crate::holder::wait_until;
use crate::home::Home;
use crate::logout::at_google;
use crate::provider::{Config, Provider};

const STAY: [&str; 2] = ["work", "--token-file"];

fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    (provider, home)
}

#[test]
fn the_token_is_in_a_private_file_and_nowhere_in_the_environment() {
    let (_provider, home) = logged_in();
    let token = home.run(&["token", "work"]).answer();
    let set = ["--set", "MINE=access_token", "--set", "ID=client_id"];

    let running = Running::start(&home, &[&STAY[..], &set].concat());

    for name in ["OAUTH_ACCESS_TOKEN_FILE", "MINE_FILE"] {
        assert_eq!(running.file(name), token, "{name}");
    }
    assert!(running.environment.values().all(|value| !value.contains(&token)), "{:?}", running.environment);
    assert_eq!(running.find("ID"), Some("desktop"));
    assert_eq!(running.find("GOOGLE_APPLICATION_CREDENTIALS"), None);
    let file = Path::new(running.get("OAUTH_ACCESS_TOKEN_FILE"));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
    running.finish().expect_code(0);
}

#[test]
fn a_token_that_an_outer_environment_has_is_taken_out_of_it() {
    let (_provider, mut home) = logged_in();
    home.set("OAUTH_ACCESS_TOKEN", "of another time");

    let running = Running::start(&home, &STAY);

    assert_eq!(running.find("OAUTH_ACCESS_TOKEN"), None);
    running.finish().expect_code(0);
}

#[test]
fn at_google_each_tool_finds_the_file_under_its_own_name() {
    let (_provider, home) = at_google(&["work"]);

    let running = Running::start(&home, &STAY);

    let names = ["OAUTH_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"];
    for name in names {
        assert_eq!(running.find(name), None, "{name}");
        assert_eq!(running.get(&format!("{name}_FILE")), running.get("OAUTH_ACCESS_TOKEN_FILE"));
    }
    assert!(running.find("GOOGLE_APPLICATION_CREDENTIALS").is_some());
    running.finish().expect_code(0);
}

#[test]
fn the_file_is_renewed_before_its_token_ends_and_a_reader_never_finds_half_of_one() {
    let (provider, home) = expired();
    provider.configure(|config| config.expires_in = 2);
    let running = Running::start(&home, &STAY);
    let first = running.file("OAUTH_ACCESS_TOKEN_FILE");

    wait_until("another token", || {
        let token = running.file("OAUTH_ACCESS_TOKEN_FILE");
        assert!(provider.issued().contains(&token), "{token:?}");
        token != first
    });

    provider.configure(|config| config.expires_in = 3600);
    running.finish().expect_code(0);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn the_file_is_gone_after_the_end_and_after_a_signal() {
    let (_provider, home) = logged_in();
    for signal in [None, Some(Signal::TERM), Some(Signal::HUP), Some(Signal::INT)] {
        let running = Running::start(&home, &STAY);
        assert_eq!(run_dirs(&home).len(), 1);
        if let Some(signal) = signal {
            send(running.vault.id(), signal);
            wait_until("the program to have it", || is_dead(running.number));
        }

        let run = running.finish();

        assert_eq!(run.code, signal.map_or(0, |signal| 128 + signal.as_raw()), "{}", run.stderr);
        assert!(run_dirs(&home).is_empty(), "{signal:?}");
    }
}

#[test]
fn the_file_of_a_run_that_was_killed_is_gone_at_the_next_start_and_that_of_a_living_one_is_not() {
    let (_provider, home) = logged_in();
    let living = Running::start(&home, &STAY);
    let mut killed = Running::start(&home, &STAY);
    let left = killed.get("OAUTH_ACCESS_TOKEN_FILE").to_owned();
    send(killed.vault.id(), Signal::KILL);
    killed.vault.wait().unwrap();
    assert!(Path::new(&left).exists(), "nobody could remove it");

    home.run(&["exec", "work", "--token-file", "--", "true"]).expect_code(0);

    assert!(!Path::new(&left).exists());
    assert!(Path::new(living.get("OAUTH_ACCESS_TOKEN_FILE")).exists());
    living.finish().expect_code(0);
    assert!(run_dirs(&home).is_empty());
}

#[test]
fn a_place_that_others_can_enter_or_choose_gets_no_file() {
    let (_provider, home) = logged_in();
    let place = home.path("run/vault");
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o755)).unwrap();
    let exec = ["exec", "work", "--token-file", "--", "touch", "started"];
    home.run(&exec).expect_code(10).expect_said("open to other users");

    std::fs::remove_dir(&place).unwrap();
    symlink(home.path(""), &place).unwrap();
    home.run(&exec).expect_code(10).expect_said("is not a directory");

    assert!(!home.path("started").exists());
}
