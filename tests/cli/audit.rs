//! The audit log: one line for each use of the vault key, whole, harmless, and in nobody's way.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::backup::recipient_of;
use crate::disk::{Disk, with_own_mounts};
use crate::expiry::{allow_writing, as_ordinary_user, forbid_writing, start, state_dir};
use crate::holder::wait_until;
use crate::home::{Home, Run, VAULT};
use crate::outside::program;
use crate::provider::{Config, Consent, Endpoint, Fault, Provider};
use crate::slots::passphrase_home;

/// From this length on, in bytes, a new file is begun.
const FULL: usize = 1 << 20;

/// A provider of the user's own.
const FORGE: &str = r#"
id = "forge"
title = "Forge"
[endpoints]
issuer = "https://forge.example"
authorization = "https://forge.example/authorize"
token = "https://forge.example/token"
"#;

/// Commands that do not ask for the vault key, or hand out nothing and change nothing.
const UNLOGGED: [&str; 15] = [
    "client list",
    "client show",
    "completions",
    "key list",
    "list",
    "log",
    "man",
    "provider list",
    "provider show",
    "rotate list",
    "scan",
    "show",
    "status",
    "unlocked",
    "verify",
];

fn path(home: &Home) -> PathBuf {
    state_dir(home).join("audit.jsonl")
}

fn older(home: &Home) -> PathBuf {
    state_dir(home).join("audit.1.jsonl")
}

/// The lines of the newer file.
pub fn lines(home: &Home) -> Vec<Value> {
    whole_lines(&fs::read_to_string(path(home)).unwrap())
}

#[track_caller]
fn whole_lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// What a line says beside the time and who asked.
fn said(line: &Value) -> Value {
    let mut line = line.clone();
    let fields = line.as_object_mut().unwrap();
    fields.remove("time").unwrap();
    fields.remove("by").unwrap();
    line
}

fn last(home: &Home) -> Value {
    said(lines(home).last().unwrap())
}

/// A home with a profile, and the provider that it is of.
fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    (provider, home)
}

/// Puts lines into the log, so many that the next one is the last of the file.
fn fill(home: &Home) -> usize {
    let filler = json!({
        "time": "2026-01-01T00:00:00Z", "what": "filler", "by": {}, "result": "x".repeat(1000),
    });
    let filler = format!("{filler}\n");
    let mut text = fs::read_to_string(path(home)).unwrap();
    let count = (FULL - text.len()) / filler.len();
    text.push_str(&filler.repeat(count));
    // The rest, in lines without anything.
    text.push_str(&"\n".repeat(FULL - 1 - text.len()));
    fs::write(path(home), text).unwrap();
    count
}

#[test]
fn every_command_that_uses_the_vault_key_leaves_one_line() {
    let (provider, home) = logged_in();
    home.write("key", "api-key\n");
    home.write("forge.toml", FORGE);
    home.write("secret", "secret\n");
    let issuer = provider.issuer();
    let add_client: Vec<&str> =
        "client add --name spare --insecure-loopback --client-id other --client-secret-file secret --issuer"
            .split(' ')
            .chain([&*issuer])
            .collect();
    let api = provider.url("/api/x");
    assert_eq!(last(&home), json!({"what": "add-profile", "profile": "work", "result": "ok"}));
    let elsewhere = [
        "add-profile",
        "backup",
        "doctor",
        "helper cargo",
        "import-rescue",
        "init",
        "key passwd",
        "lock",
        "login",
        "logout",
        "restore",
        "rotate client-secret",
        "rotate grant",
        "serve",
        "setup kubectl",
        "unlock",
    ];
    home.write(
        "login.json",
        r#"{"client_id": "other", "client_secret": "secret", "refresh_token": "of-another-tool"}"#,
    );
    let mut logged: BTreeSet<String> = elsewhere.map(String::from).into();

    for (command, expected) in [
        ("token work", json!({"what": "token", "profile": "work", "token": "cached"})),
        (
            "export work --plaintext --format json --output copy.json",
            json!({"what": "export", "profile": "work", "fields": ["client_secret", "refresh_token"]}),
        ),
        ("token work --refresh", json!({"what": "token", "profile": "work", "token": "refreshed"})),
        ("edit work --api-key-file key", json!({"what": "edit", "profile": "work"})),
        ("reveal work api_key", json!({"what": "reveal", "profile": "work", "fields": ["api_key"]})),
        (
            "env --set K=api_key --set L=api_key",
            json!({"what": "env", "profile": "work", "fields": ["access_token", "api_key"], "token": "cached"}),
        ),
        (
            "exec -p work -- true",
            json!({"what": "exec", "profile": "work", "fields": ["access_token"], "token": "cached"}),
        ),
        (
            "api work API",
            json!({"what": "api", "profile": "work", "fields": ["access_token"], "token": "cached"}),
        ),
        ("helper kubectl work", json!({"what": "helper kubectl", "profile": "work", "token": "cached"})),
        (
            "edit -p work --bind git=git.example.com --bind docker=gcr.io",
            json!({"what": "edit", "profile": "work"}),
        ),
        ("helper git get", json!({"what": "helper git", "profile": "work", "token": "cached"})),
        ("helper docker get", json!({"what": "helper docker", "profile": "work", "token": "cached"})),
        (
            "setup git work --host a.example --write --bin-dir bin",
            json!({"what": "setup git", "profile": "work"}),
        ),
        (
            "setup docker work --host a.example --write --bin-dir bin",
            json!({"what": "setup docker", "profile": "work"}),
        ),
        (
            "setup cargo work --registry r --host a.example --write --bin-dir bin",
            json!({"what": "setup cargo", "profile": "work"}),
        ),
        ("setup gcloud work --write", json!({"what": "setup gcloud", "profile": "work"})),
        (
            "setup msmtp work --host a.example --user me --write",
            json!({"what": "setup msmtp", "profile": "work"}),
        ),
        (
            "setup mbsync work --host a.example --user me --write",
            json!({"what": "setup mbsync", "profile": "work"}),
        ),
        (
            "setup neomutt work --host a.example --user me --write",
            json!({"what": "setup neomutt", "profile": "work"}),
        ),
        ("setup rclone work --write", json!({"what": "setup rclone", "profile": "work"})),
        ("setup direnv work --write", json!({"what": "setup direnv", "profile": "work"})),
        ("setup systemd work --write", json!({"what": "setup systemd", "profile": "work"})),
        ("rename work home", json!({"what": "rename", "profile": "work", "to": "home"})),
        ("use home", json!({"what": "use", "profile": "home"})),
        ("CLIENT ADD", json!({"what": "client add", "client": "spare"})),
        ("import login.json --client spare --profile taken", json!({"what": "import", "profile": "taken"})),
        ("remove taken", json!({"what": "remove", "profile": "taken"})),
        ("client rename spare rest", json!({"what": "client rename", "client": "spare", "to": "rest"})),
        ("client remove rest", json!({"what": "client remove", "client": "rest"})),
        ("provider add forge.toml", json!({"what": "provider add"})),
        ("provider remove forge", json!({"what": "provider remove"})),
        ("key add --identity identity.txt", json!({"what": "key add", "slot": "SLOT"})),
        ("key remove SLOT", json!({"what": "key remove", "slot": "SLOT"})),
        ("rotate", json!({"what": "rotate key"})),
        ("rotate key", json!({"what": "rotate key"})),
        ("rotate api-key home --api-key-file key", json!({"what": "rotate api-key", "profile": "home"})),
        ("key accept KID", json!({"what": "key accept"})),
        ("remove home", json!({"what": "remove", "profile": "home"})),
    ] {
        let before = lines(&home).len();
        let slots: Value = serde_json::from_str(&home.run(&["key", "list", "--json"]).answer()).unwrap();
        let slot = slots["slots"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
        let status: Value = serde_json::from_str(&home.run(&["status", "--json"]).answer()).unwrap();
        let kid = status["vault"]["kid"].as_str().unwrap_or_default().to_owned();
        let words: Vec<&str> = match command {
            "CLIENT ADD" => add_client.clone(),
            _ => command.split(' ').collect(),
        };
        let words: Vec<&str> = words
            .into_iter()
            .map(|word| match word {
                "SLOT" => &*slot,
                "KID" => &*kid,
                "API" => &*api,
                it => it,
            })
            .collect();

        let _ = home.run_with_input(&words, input(command)).expect_code(0).expect_unsaid("warning");

        let found = lines(&home);
        assert_eq!(found.len(), before + 1, "{command}");
        let mut expected = expected;
        expected["result"] = json!("ok");
        let mut found = said(found.last().unwrap());
        if let Some(slot) = found.get_mut("slot") {
            assert_eq!(slot.as_str().unwrap().len(), 32);
            *slot = json!("SLOT");
        }
        assert_eq!(found, expected, "{command}");
        logged.insert(found["what"].as_str().unwrap().to_owned());
    }

    let all: BTreeSet<String> = commands(&vault::cli::command(), "").into_iter().collect();
    let known: BTreeSet<String> = logged.into_iter().chain(UNLOGGED.map(String::from)).collect();
    assert_eq!(all, known, "a new command is to be tried above, or to be named among those without a line");
}

/// What a helper is asked on its standard input.
fn input(command: &str) -> &'static str {
    match command {
        "helper git get" => "protocol=https\nhost=git.example.com\n\n",
        "helper docker get" => "gcr.io",
        _ => "",
    }
}

/// The words of every command that can be called.
fn commands(command: &clap::Command, before: &str) -> Vec<String> {
    let mut command = command.clone();
    command.build();
    let inner = command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help");
    inner
        .flat_map(|it| {
            let words = format!("{before}{}", it.get_name());
            match it.has_subcommands() {
                true => commands(it, &format!("{words} ")),
                false => vec![words],
            }
        })
        .collect()
}

#[test]
fn what_renews_ends_or_copies_a_login_leaves_a_line() {
    let (_provider, home) = logged_in();
    let recipient = recipient_of(&home.path("identity.txt"));
    let _ = home.consent(&["rotate", "grant", "work", "--no-browser"]).expect_code(0);
    assert_eq!(
        last(&home),
        json!({"what": "rotate grant", "profile": "work", "token": "refreshed", "result": "ok"})
    );

    for (command, expected) in [
        (
            "rotate client-secret 127.0.0.1 --client-secret-file desktop.secret",
            json!({"what": "rotate client-secret", "client": "127.0.0.1"}),
        ),
        ("doctor --offline", json!({"what": "doctor"})),
        (&format!("backup backup.age --recipient {recipient}"), json!({"what": "backup"})),
        ("logout work", json!({"what": "logout", "profile": "work"})),
    ] {
        let _ = home.run(&command.split(' ').collect::<Vec<_>>()).expect_code(0);
        let mut expected = expected;
        expected["result"] = json!("ok");
        assert_eq!(last(&home), expected);
    }

    let there = Home::new();
    fs::copy(home.path("backup.age"), there.path("backup.age")).unwrap();
    fs::copy(home.path("identity.txt"), there.path("recovery.txt")).unwrap();
    let _ = there.run(&["restore", "backup.age", "--open-with", "recovery.txt"]).expect_code(0);
    assert_eq!(last(&there), json!({"what": "restore", "result": "ok"}));
}

#[test]
fn each_of_several_logouts_leaves_a_line_of_its_own() {
    let (provider, home) = logged_in();
    home.add_profile(&provider, "other").expect_code(0);
    provider.script(Endpoint::Revoke, vec![Fault::Pass, Fault::unavailable(7)]);
    let before = lines(&home).len();

    let _ = home.run(&["logout", "--all"]).expect_code(13);

    let told = |line: &Value| (line["profile"].clone(), line["result"].clone(), line["exit"].clone());
    let told: Vec<_> = lines(&home)[before..].iter().map(told).collect();
    let later = json!("try later");
    assert_eq!(told[0], (json!("other"), json!("ok"), Value::Null));
    assert_eq!(told[1], (json!("work"), later, json!(8)));
    assert_eq!((&told[2].0, &told[2].2, told.len()), (&Value::Null, &json!(13), 3));
    assert!(lines(&home)[before..].iter().all(|line| line["what"] == "logout"));
}

#[test]
fn a_new_passphrase_leaves_a_line() {
    let home = passphrase_home();
    home.write("new.txt", "another correct horse\n");

    let _ = home.run(&["key", "passwd", "--new-passphrase-file", "new.txt"]).expect_code(0);

    let line = last(&home);
    assert_eq!((&line["what"], &line["result"]), (&json!("key passwd"), &json!("ok")));
    assert_eq!(line["slot"].as_str().unwrap().len(), 32);
}

#[test]
fn logins_and_the_making_of_a_vault_leave_a_line() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    let _ = home.run(&["init"]).expect_code(0);
    assert_eq!(last(&home), json!({"what": "init", "result": "ok"}));
    let _ = home.add_profile(&provider, "work").expect_code(0);

    let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    assert_eq!(last(&home), json!({"what": "login", "profile": "work", "result": "ok"}));
    provider.next_consent(Consent::denied());
    let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(12);
    assert_eq!(last(&home), json!({"what": "login", "profile": "work", "result": "cancelled", "exit": 12}));
}

#[test]
fn what_is_refused_is_written_down_with_its_exit_code() {
    let (provider, mut home) = logged_in();
    let refused = |home: &Home, words: &[&str], code: i32, why: &str| {
        let _ = home.run(words).expect_code(code);
        let line = last(home);
        assert_eq!((&line["result"], &line["exit"]), (&json!(why), &json!(code)), "{line}");
        line
    };

    let missing = refused(&home, &["token", "wrok"], 3, "not found");
    assert_eq!(missing["profile"], "wrok");
    provider.script(Endpoint::Token, vec![Fault::revoked()]);
    let dead = refused(&home, &["token", "work", "--refresh"], 5, "login needed");
    assert_eq!((&dead["profile"], dead.get("token")), (&json!("work"), None));
    fs::write(home.profile("work"), "{}").unwrap();
    let _ = refused(&home, &["reveal", "work", "refresh_token"], 6, "not trusted");
    home.unset("VAULT_IDENTITY_FILE");
    fs::remove_file(state_dir(&home).join("identities.json")).unwrap();
    let _ = refused(&home, &["token", "work", "--no-input"], 4, "locked");
}

#[test]
fn what_needs_no_key_leaves_no_line() {
    let (_provider, home) = logged_in();
    let before = fs::read(path(&home)).unwrap();

    for words in [
        &["list"][..],
        &["show", "work"],
        &["status"],
        &["client", "list"],
        &["key", "list"],
        &["verify"],
        &["log"],
        &["completions", "bash"],
    ] {
        let _ = home.run(words).expect_code(0);
    }

    assert_eq!(fs::read(path(&home)).unwrap(), before);
}

#[test]
fn who_holds_and_forgets_the_key_is_written_down() {
    let holder = crate::holder::Holder::new();
    let _ = holder.unlock("1h").expect_code(0);
    assert_eq!(last(&holder.home), json!({"what": "unlock", "result": "ok"}));
    let _ = holder.home.run(&["lock"]).expect_code(0);
    assert_eq!(last(&holder.home), json!({"what": "lock", "result": "ok"}));
}

#[test]
fn a_line_names_the_process_that_asked_its_program_and_the_user() {
    let (_provider, home) = logged_in();
    let mut shell = Command::new("sh");
    home.prepare(&mut shell);
    let asked =
        shell.args(["-c", "echo $$; readlink /proc/$$/exe; \"$0\" token work >&2; :", VAULT]).output();
    let answered = String::from_utf8(asked.unwrap().stdout).unwrap();
    let (pid, program) = answered.trim_end().split_once('\n').unwrap();

    let lines = lines(&home);
    let by = &lines.last().unwrap()["by"];

    assert_eq!(by["pid"].to_string(), pid);
    assert_eq!(by["program"], program);
    assert_eq!(by["user"], rustix::process::geteuid().as_raw());
    let shown = home.run(&["log"]).answer();
    assert!(shown.lines().last().unwrap().contains(&format!("{pid} {program} (")), "{shown}");
}

#[test]
fn the_log_is_private() {
    let (_provider, home) = logged_in();
    assert_eq!(fs::metadata(path(&home)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn whoever_gets_a_secret_is_in_the_log_before() {
    let (_provider, home) = logged_in();
    for words in [&["token", "work"][..], &["reveal", "work", "refresh_token"], &["env", "work"]] {
        let before = lines(&home).len();
        let mut command = home.command(words);
        command.stdout(File::options().write(true).open("/dev/full").unwrap());

        assert_eq!(command.output().unwrap().status.code(), Some(10));

        // What cannot be printed is handed out as far as we are concerned.
        assert_eq!(lines(&home).len(), before + 1);
        assert_eq!(last(&home)["result"], "ok");
    }
}

#[test]
fn fifty_processes_at_once_leave_fifty_whole_lines() {
    let (_provider, home) = logged_in();
    let before = lines(&home).len();

    crowd(&home, 50);

    assert_eq!(lines(&home).len(), before + 50);
}

#[test]
fn a_full_log_is_begun_anew_under_a_crowd_and_no_line_is_lost() {
    let (_provider, home) = logged_in();
    let before = lines(&home).len();
    let fillers = fill(&home);

    crowd(&home, 50);

    let full = fs::read_to_string(older(&home)).unwrap();
    let full: Vec<Value> = full
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(full.len() > before + fillers, "the line that fills the file stands in it");
    assert_eq!(full.len() + lines(&home).len(), before + fillers + 50);
    assert_eq!(home.run(&["log", "--json"]).answer().lines().count(), before + fillers + 50);
}

#[test]
fn two_files_of_one_mebibyte_are_all_there_ever_is() {
    let (_provider, home) = logged_in();
    for _ in 0..3 {
        fill(&home);
        let _ = home.run(&["token", "work"]).expect_code(0);
        assert!(!path(&home).exists());
        let _ = home.run(&["token", "work"]).expect_code(0);
    }

    let logs = home.files("state").into_iter().filter(|path| path.to_str().unwrap().contains("audit"));
    assert_eq!(logs.collect::<Vec<_>>(), [older(&home), path(&home)]);
    assert!(fs::metadata(older(&home)).unwrap().len() < FULL as u64 + 4096);
}

/// So many processes at once ask for a token that is cached.
fn crowd(home: &Home, count: usize) {
    let children: Vec<Child> = (0..count).map(|_| start(home, &["token", "work"])).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn a_log_that_cannot_be_written_costs_one_warning_and_nothing_else() {
    let (_provider, home) = logged_in();
    let log = path(&home);
    let spoil: [fn(&Path); 4] = [
        |log| fs::create_dir(log).unwrap(),
        |log| symlink("/dev/null", log).unwrap(),
        |log| assert!(Command::new("mkfifo").arg(log).status().unwrap().success()),
        |log| drop(UnixListener::bind(log).unwrap()),
    ];
    for spoil in spoil {
        if log.is_dir() {
            fs::remove_dir(&log).unwrap();
        } else {
            fs::remove_file(&log).unwrap();
        }
        spoil(&log);

        assert_warned_once(&home.run(&["token", "work"]));
    }
}

#[test]
fn a_state_directory_that_may_only_be_read_costs_one_warning() {
    let (_provider, home) = logged_in();
    let Some(_) = as_ordinary_user(&home, &[]) else { return };
    forbid_writing(&home.path("state"));

    let run = as_ordinary_user(&home, &["token", "work"]).unwrap().output().unwrap();

    allow_writing(&home.path("state"));
    assert_warned_once(&Run::of(&["token", "work"], run));
}

#[test]
fn a_full_disk_costs_one_warning_and_the_next_line_is_whole_again() {
    with_own_mounts(|| {
        let (_provider, home) = logged_in();
        let disk = Disk::under(&home.path("state"));
        // The page that the file has is filled up; there is no other one.
        let room = 4096 - fs::read(path(&home)).unwrap().len() % 4096;
        let mut log = File::options().append(true).open(path(&home)).unwrap();
        log.write_all(&vec![b'\n'; room - 20]).unwrap();
        disk.leave_pages(0);

        assert_warned_once(&home.run(&["token", "work"]));
        let cut_off = fs::read_to_string(path(&home)).unwrap().lines().last().unwrap().to_owned();
        assert!(cut_off.len() == 20 && cut_off.starts_with("{\"time\":\"2"), "{cut_off}");

        disk.mend();
        let _ = home.run(&["reveal", "work", "api_key"]).expect_code(3);
        let shown = home.run(&["log", "--json"]).expect_code(0);
        let shown = whole_lines(&shown.stdout);
        assert_eq!(shown.last().unwrap()["what"], "reveal");
        assert_eq!(shown.len(), 2);
    });
}

#[track_caller]
fn assert_warned_once(run: &Run) {
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.stdout.is_empty());
    assert_eq!(
        run.stderr.matches("warning: the audit log could not be written: ").count(),
        1,
        "{}",
        run.stderr
    );
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn the_log_is_shown_newest_last_and_filtered_by_name_and_time() {
    let (_provider, home) = logged_in();
    let _ = home.run(&["token", "work"]).expect_code(0);
    let _ = home.run(&["rename", "work", "home"]).expect_code(0);
    let _ = home.run(&["token", "work"]).expect_code(3);
    let old = r#"{"time":"2020-01-01T00:00:00Z","what":"token","profile":"home","by":{},"result":"ok"}"#;
    fs::write(path(&home), format!("{old}\n{}", fs::read_to_string(path(&home)).unwrap())).unwrap();

    let shown = |words: &[&str]| {
        let text = home.run(&[&["log"], words].concat()).answer();
        let rows = text.lines().skip(1).map(|line| line.split_once("Z  ").unwrap().1.trim_start());
        rows.map(|row| row.split("  ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[]), ["token", "add-profile", "token, cached", "rename", "token"]);
    assert_eq!(shown(&["home"]), ["token", "rename"]);
    assert_eq!(shown(&["--since", "1h"]), ["add-profile", "token, cached", "rename", "token"]);
    assert_eq!(shown(&["home", "--since", "2020-01-02T00:00:00Z"]), ["rename"]);
    assert_eq!(shown(&["home", "--since", "2020-01-01T00:00:00Z"]), ["token", "rename"]);
    let json = home.run(&["log", "--json", "--since", "1h"]).answer() + "\n";
    assert_eq!(format!("{old}\n{json}"), fs::read_to_string(path(&home)).unwrap());
    let _ = home.run(&["log", "nobody"]).expect_code(0).expect_said("The log has nothing of that");
    for odd in ["yesterday", "2026-13-01T00:00:00Z", "-1h"] {
        let _ = home.run(&["log", &format!("--since={odd}")]).expect_code(2);
    }
}

#[test]
fn a_home_without_a_vault_has_no_log() {
    let _ = Home::new().run(&["log"]).expect_code(3);
}

#[test]
fn the_log_is_shown_even_if_the_manifest_is_gone() {
    let (_provider, home) = logged_in();
    fs::remove_file(home.vault_dir().join("vault.json")).unwrap();

    assert!(home.run(&["log"]).answer().contains("add-profile"));
}

#[test]
fn lines_that_cannot_be_read_are_left_out_with_one_warning() {
    let (_provider, home) = logged_in();
    let good = fs::read_to_string(path(&home)).unwrap();
    let odd = [
        &b"no json\n"[..],
        b"{}\n",
        b"[]\n",
        b"\"\x1b]0;owned\x07\"\n",
        b"\xff\xfe\n",
        b"{\"time\":\"yesterday\",\"what\":\"x\",\"by\":{},\"result\":\"ok\"}\n",
        b"{\"time\":1,\"what\":",
        good.as_bytes(),
        b"\0\0\0\0\0\0\0",
        good.as_bytes(),
        &vec![b'['; 100_000],
        b"\n",
        &vec![b'x'; 3_000_000],
    ]
    .concat();
    fs::write(path(&home), odd).unwrap();

    let run = home.run(&["log", "--json"]).expect_code(0).expect_said("some lines of the log cannot be read");

    // What was cut off before a line does it no harm.
    assert_eq!(run.stdout, good.repeat(2));
    assert_eq!(run.stderr.lines().count(), 1);
}

#[test]
fn a_line_that_somebody_wrote_commands_no_terminal() {
    let (_provider, home) = logged_in();
    let evil = "\\u001b]0;owned\\u0007\u{9b}31m\u{202e}\u{7f}\\n\\r";
    let line = format!(
        "{{\"time\":\"2026-01-01T00:00:00Z\",\t\"what\":\"{evil}\",\"profile\":\"{evil}\",\"client\":\"{evil}\",\
         \"to\":\"{evil}\",\"slot\":\"{evil}\",\"fields\":[\"{evil}\"],\"token\":\"{evil}\",\"more\":\"{evil}\",\
         \"by\":{{\"program\":\"{evil}\"}},\r\"result\":\"{evil}\"}}\n"
    );
    fs::write(path(&home), &line).unwrap();

    for words in [&["log"][..], &["log", "--json"]] {
        let shown = home.run(words).expect_code(0).stdout;
        assert!(shown.contains("owned"));
        let is_harmless = |c: char| c == '\n' || (!c.is_control() && c != '\u{202e}');
        assert!(shown.chars().all(is_harmless), "{shown:?}");
        assert_eq!(shown.lines().count(), if words.len() == 1 { 2 } else { 1 });
    }
    let shown: Value = serde_json::from_str(&home.run(&["log", "--json"]).answer()).unwrap();
    assert_eq!(shown, serde_json::from_str::<Value>(&line).unwrap());
}

#[test]
fn a_program_with_an_evil_name_is_written_down_harmlessly() {
    let Some(shell) = program("sh") else { return };
    let (_provider, home) = logged_in();
    let evil = home.path(format!("sh-\u{1b}]0;x\u{7}\n{{\"time\":\u{9b}\u{202e}{}", "🔑".repeat(40)));
    fs::copy(shell, &evil).unwrap();
    let mut command = Command::new(&evil);
    home.prepare(&mut command);
    let run = command.args(["-c", "\"$0\" token work; :", VAULT]).output().unwrap();
    assert!(run.status.success(), "{run:?}");

    let line = fs::read_to_string(path(&home)).unwrap().lines().last().unwrap().to_owned();

    assert!(line.len() < 4096 && line.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{line}");
    let found: Value = serde_json::from_str(&line).unwrap();
    let found = found["by"]["program"].as_str().unwrap().to_owned();
    assert!(evil.to_str().unwrap().ends_with(&found) && found.contains('\u{1b}'), "{found:?}");
    let shown = home.run(&["log"]).answer();
    assert!(!shown.contains('\u{1b}') && shown.lines().count() == 3, "{shown:?}");
}

/// `vault log --follow`, and what it says.
struct Follower {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Follower {
    fn start(home: &Home, options: &[&str]) -> Self {
        let mut command = home.command(&[&["log", "--follow"], options].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn what(&mut self) -> String {
        let line: Value = serde_json::from_str(&self.line()).unwrap();
        line["what"].as_str().unwrap().to_owned()
    }

    /// Closes the pipe, and waits for the end.
    fn leave(self) -> i32 {
        drop(self.stdout);
        let child = RefCell::new(self.child);
        wait_until("the end", || child.borrow_mut().try_wait().unwrap().is_some());
        child.into_inner().wait().unwrap().code().unwrap()
    }
}

#[test]
fn who_follows_the_log_misses_nothing_when_it_is_begun_anew() {
    let (_provider, home) = logged_in();
    let fillers = fill(&home);
    let mut follower = Follower::start(&home, &["--json"]);
    assert_eq!(follower.what(), "add-profile");
    assert!((0..fillers).all(|_| follower.what() == "filler"));

    // The first is the last of its file. When the second file is full too, nobody can have looked between.
    let _ = home.run(&["token", "work"]).expect_code(0);
    let _ = home.run(&["edit", "work", "--set", "A=account"]).expect_code(0);
    assert_eq!((follower.what(), follower.what()), ("token".to_owned(), "edit".to_owned()));
    let again = fill(&home);
    let _ = home.run(&["use", "work"]).expect_code(0);
    let _ = home.run(&["rename", "work", "home"]).expect_code(0);
    assert!((0..again).all(|_| follower.what() == "filler"));
    assert_eq!((follower.what(), follower.what()), ("use".to_owned(), "rename".to_owned()));

    assert_eq!(follower.leave(), 0);
}

#[test]
fn who_follows_the_log_ends_with_the_reader_and_with_ctrl_c() {
    let (_provider, home) = logged_in();
    let mut follower = Follower::start(&home, &[]);
    let header = follower.line();
    assert!(header.starts_with("TIME ") && follower.line().contains("add-profile"));
    let _ = home.run(&["token", "work"]).expect_code(0);
    let row = follower.line();
    assert!(row.contains("token, cached"), "{row}");
    assert_eq!(header.find("WHAT"), row.find("token"), "{header}{row}");
    assert_eq!(follower.leave(), 0);

    let mut follower = Follower::start(&home, &["--json"]);
    let _ = follower.line();
    let id = rustix::process::Pid::from_child(&follower.child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let status = follower.child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2));
}
