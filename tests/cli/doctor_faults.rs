//! Every fault that `vault doctor` knows, made here one at a time: its check finds it, names the command
//! that mends it, and ends with its exit code.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use age::scrypt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use vault::ops::scan::places::{Base, Shape, USUAL};

use crate::disk::{Disk, with_own_mounts};
use crate::doctor::{Said, doctor, only, tell_time, with_passphrase};
use crate::expiry::{Snapshot, state_dir};
use crate::forge;
use crate::home::{Home, make_private};
use crate::injection::{Call, Fate, Tracer, is_there};
use crate::provider::{Authority, Config, Endpoint, Fault, HOST, Provider};
use crate::scene::edit;

/// What must be said about a fault.
struct Expected {
    check: &'static str,
    subject: &'static str,
    result: &'static str,
    found: &'static str,
    fix: &'static str,
    code: i32,
}

/// A fault, how it is made, and what must be said about it.
type Row = (&'static str, fn(&Home), Expected);

const fn expected(
    check: &'static str,
    subject: &'static str,
    result: &'static str,
    found: &'static str,
    fix: &'static str,
    code: i32,
) -> Expected {
    Expected { check, subject, result, found, fix, code }
}

impl Expected {
    #[track_caller]
    fn compare(&self, what: &str, checks: &[Said]) {
        let is_it = |said: &&Said| {
            said.check == self.check
                && said.result == self.result
                && said.subject.contains(self.subject)
                && said.found.contains(self.found)
                && said.fix.contains(self.fix)
        };
        assert!(checks.iter().any(|said| is_it(&said)), "{what}: {checks:#?}");
    }
}

/// Makes each fault alone, and undoes it.
fn each_is_found(home: &Home, rows: &[Row]) {
    let files = Snapshot::of(home);
    let modes = modes(home);
    for (what, make, expected) in rows {
        make(home);
        let checks = doctor(home, &["--offline"], expected.code);
        expected.compare(what, &checks);
        for (path, mode) in modes.iter().filter(|(path, _)| path.exists()) {
            fs::set_permissions(path, Permissions::from_mode(*mode)).unwrap();
        }
        files.restore(home);
    }
    let well = doctor(home, &["--offline"], 0);
    assert!(well.iter().all(|it| matches!(it.result.as_str(), "ok" | "skipped")), "{well:#?}");
}

fn modes(home: &Home) -> Vec<(PathBuf, u32)> {
    let folders = ["data/vault", "data/vault/profiles", "data/vault/clients", "run", "state/vault"];
    let paths = home.files("").into_iter().chain(folders.map(|folder| home.path(folder)));
    paths.map(|path| (path.clone(), fs::metadata(&path).unwrap().permissions().mode())).collect()
}

fn mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::write(&path, text).unwrap();
    make_private(path.as_ref());
}

#[test]
fn modes_that_let_others_in_are_found() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    each_is_found(
        &home,
        &[
            (
                "a vault directory that all may write to",
                |home| mode(home.vault_dir(), 0o777),
                expected("modes", "data/vault", "bad", "may write to it (mode 777)", "chmod go-rwx", 6),
            ),
            (
                "a folder that the group may write to",
                |home| mode(home.vault_dir().join("profiles"), 0o770),
                expected("modes", "profiles", "bad", "mode 770", "chmod go-rwx", 6),
            ),
            (
                "a document that all may write to",
                |home| mode(home.profile("work"), 0o666),
                expected("modes", "work.json", "bad", "mode 666", "chmod go-rwx", 6),
            ),
            (
                "a document that all may read",
                |home| mode(home.profile("work"), 0o644),
                expected("modes", "work.json", "warning", "may read it (mode 644)", "chmod go-rwx", 0),
            ),
            (
                "what this machine remembers, readable for all",
                |home| mode(state_dir(home).join("pin.json"), 0o604),
                expected("modes", "pin.json", "warning", "mode 604", "chmod go-rwx", 0),
            ),
            (
                "an identity file that all may read",
                |home| mode(home.path("identity.txt"), 0o644),
                expected("modes", "identity.txt", "warning", "mode 644", "chmod go-rwx", 0),
            ),
        ],
    );
    fs::create_dir(home.path("run/vault")).unwrap();
    mode(home.path("run/vault"), 0o755);
    let checks = doctor(&home, &["--offline"], 6);
    expected("modes", "run/vault", "bad", "this user alone", "chmod go-rwx", 6)
        .compare("the socket", &checks);
}

#[test]
fn a_document_of_another_user_is_found() {
    if !rustix::process::geteuid().is_root() {
        return crate::outside::leave_out("only root can give a file away");
    }
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    chown(home.profile("work"), Some(65534), None).unwrap();

    let checks = doctor(&home, &["--offline"], 6);

    expected("modes", "work.json", "bad", "belongs to another user", "chown", 6).compare("owner", &checks);
}

#[test]
fn for_a_vault_of_another_user_it_advises_to_run_as_its_owner_and_tells_it_once() {
    if !rustix::process::geteuid().is_root() {
        return crate::outside::leave_out("only root can give a file away");
    }
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    for path in [home.vault_dir(), home.vault_dir().join("profiles"), home.profile("work")] {
        chown(path, Some(65534), None).unwrap();
    }

    let checks = doctor(&home, &["--offline"], 6);

    let modes = only(&checks, "modes");
    assert!(modes.subject.ends_with("data/vault") && modes.fix.contains("without sudo"), "{modes:?}");
}

#[test]
fn a_change_of_the_key_that_was_killed_anywhere_is_found_with_what_finishes_it() {
    if !is_there() {
        return;
    }
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    // It makes its lock file.
    let _ = doctor(&home, &["--offline"], 0);
    let before = Snapshot::of(&home);
    let mut unfinished = 0;
    for number in 1.. {
        before.restore(&home);
        let call = Call { name: "rename".to_owned(), number };
        if Tracer::new(&home, "rename").run(&call, Fate::KILL, &["rotate", "key"]).code == 0 {
            break;
        }
        let left = Snapshot::of(&home);
        let checks = doctor(&home, &["--offline"], 0);
        left.assert_unchanged(&home);
        // To unlock the vault would drop the old key.
        let is_over = only(&checks, "unlock").found.contains("still to be dropped");
        assert_eq!(only(&checks, "documents").result, if is_over { "skipped" } else { "ok" }, "{number}");
        if checks.iter().any(|it| it.check == "key" && it.result == "warning") {
            expected("key", "", "warning", "is unfinished", "vault rotate key", 0).compare("a kill", &checks);
            unfinished += 1;
            let _ = home.run(&["rotate", "key"]).expect_code(0);
        }
        assert_eq!(only(&doctor(&home, &["--offline"], 0), "key").result, "ok", "{number}");
    }
    assert!(unfinished >= 3, "{unfinished}");
}

#[test]
fn what_was_left_behind_or_damaged_is_found() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    each_is_found(
        &home,
        &[
            (
                "an interrupted write",
                |home| write(home.vault_dir().join("profiles/work.json.next"), "{"),
                expected(
                    "leftovers",
                    "work.json.next",
                    "warning",
                    "interrupted",
                    "vault token work --refresh",
                    0,
                ),
            ),
            (
                "an interrupted write in the second place",
                |home| {
                    fs::create_dir_all(state_dir(home).join("next")).unwrap();
                    make_private(&state_dir(home).join("next"));
                    write(state_dir(home).join("next/profile-work.json"), "{");
                },
                expected("leftovers", "profile-work.json", "warning", "interrupted", "vault token work", 0),
            ),
            (
                "what was set aside",
                |home| write(home.vault_dir().join("profiles/work.json.next.unread-00"), "x"),
                expected("leftovers", "unread-00", "warning", "was kept", "ls -l", 0),
            ),
            (
                "a foreign file",
                |home| write(home.vault_dir().join("profiles/notes.txt"), "x"),
                expected("leftovers", "", "warning", "profiles/notes.txt", "", 0),
            ),
            (
                "half a rename",
                |home| {
                    let old = fs::read(home.profile("work")).unwrap();
                    home.run(&["rename", "work", "job"]).expect_code(0);
                    fs::write(home.profile("work"), old).unwrap();
                    make_private(&home.profile("work"));
                },
                expected("leftovers", "profile `work`", "warning", "its old half", "completes it", 0),
            ),
            (
                "a rescue that was not taken in",
                |home| {
                    let id = crate::tree::json(home.profile("work"))["id"].as_str().unwrap().to_owned();
                    let folder = state_dir(home).join("rescues");
                    fs::create_dir_all(&folder).unwrap();
                    make_private(&folder);
                    let record = json!({ "profile": "work", "renewed_at": "2999-01-01T00:00:00Z" });
                    write(folder.join(format!("{id}.json")), &record.to_string());
                },
                expected("leftovers", "profile `work`", "warning", "printed", "vault import-rescue", 0),
            ),
            (
                "a changed document",
                |home| edit(&home.profile("work"), |it| it["account"]["email"] = json!("x@y.example")),
                expected(
                    "documents",
                    "",
                    "bad",
                    "profile `work` cannot be trusted: it was changed",
                    "vault verify",
                    6,
                ),
            ),
            (
                "an older copy",
                |home| {
                    let old = fs::read(home.profile("work")).unwrap();
                    home.run(&["edit", "work", "--set", "X=account"]).expect_code(0);
                    fs::write(home.profile("work"), old).unwrap();
                },
                expected("documents", "", "bad", "older than the one", "vault verify", 6),
            ),
            (
                "a manifest that is no JSON",
                |home| write(home.vault_dir().join("vault.json"), "{"),
                expected("vault", "", "bad", "cannot be read", "", 6),
            ),
            (
                "another key than the accepted one",
                |home| edit(&state_dir(home).join("pin.json"), |pin| pin["kids"] = json!(["0".repeat(32)])),
                expected("key", "", "bad", "has not accepted", "vault key accept", 6),
            ),
            (
                "a change of the vault key that was not finished",
                |home| {
                    edit(&state_dir(home).join("pin.json"), |pin| {
                        pin["kids"].as_array_mut().unwrap().push(json!("0".repeat(32)));
                    });
                },
                expected("key", "", "warning", "two keys are accepted", "vault rotate key", 0),
            ),
        ],
    );
}

#[test]
fn a_key_slot_that_does_not_open_or_too_easily_is_found() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    each_is_found(
        &home,
        &[
            (
                "a slot that is damaged",
                |home| {
                    let no_key = forge::seal(&identity(home).to_public(), b"no key");
                    edit(&manifest(home), |it| it["slots"][0]["sealed"] = json!(no_key));
                },
                expected("slot", "recipient slot", "bad", "does not open", "vault key remove", 4),
            ),
            (
                "a passphrase that is cheap to guess",
                |home| {
                    let slot = weak_slot(home);
                    edit(&manifest(home), |it| it["slots"].as_array_mut().unwrap().push(slot));
                    forge::sign(home, &manifest(home));
                },
                expected("slot", "passphrase slot", "warning", "work factor is 10", "vault key remove", 0),
            ),
        ],
    );
    crate::home::write_identity(&home.path("identity.txt"));
    let checks = doctor(&home, &["--offline"], 4);
    expected("slot", "recipient slot", "skipped", "an identity that is not here", "", 4)
        .compare("other", &checks);
    expected("unlock", "", "bad", "none of the identity files opens it", "VAULT_IDENTITY_FILE", 4)
        .compare("other", &checks);
}

#[test]
fn a_wrong_passphrase_and_one_that_cannot_be_read_are_found() {
    let provider = Provider::start(Config::default());
    let mut home = with_passphrase(&provider);

    home.write("passphrase.txt", "wrong-canary\n");
    let wrong = doctor(&home, &["--offline"], 4);
    expected("slot", "passphrase slot", "bad", "does not open", "vault key add", 4).compare("wrong", &wrong);
    assert!(!format!("{wrong:?}").contains("canary"));

    home.set("VAULT_PASSPHRASE_FILE", "/nowhere/at-all");
    let missing = doctor(&home, &["--offline"], 4);
    expected("slot", "passphrase slot", "bad", "cannot be read", "", 4).compare("missing", &missing);
}

#[test]
fn a_login_that_has_ended_or_soon_will_is_found() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    each_is_found(
        &home,
        &[
            (
                "a dead login",
                |home| grant(home, |profile| profile["grant"]["state"] = json!("dead")),
                expected("login", "profile `work`", "bad", "no longer accepts it", "vault login work", 5),
            ),
            (
                "none",
                |home| grant(home, |profile| profile["grant"] = Value::Null),
                expected("login", "profile `work`", "warning", "never been logged in", "vault login work", 0),
            ),
            (
                "one without a refresh token",
                |home| grant(home, |profile| profile["grant"]["refreshable"] = json!(false)),
                expected("login", "profile `work`", "warning", "no refresh token", "vault login work", 0),
            ),
            (
                "one whose known end is over",
                |home| grant(home, |profile| profile["grant"]["expires_at"] = days_ago(1)),
                expected("login", "profile `work`", "bad", "ended at", "vault login work", 5),
            ),
            (
                "one whose known end is near",
                |home| grant(home, |profile| profile["grant"]["expires_at"] = days_ago(-2)),
                expected("login", "profile `work`", "warning", "ends in", "vault login work", 0),
            ),
            (
                "one of a Google app that may be in Testing",
                |home| {
                    grant(home, |profile| {
                        profile["provider"] = json!("google");
                        profile["scopes"]["granted"] = json!(["https://mail.google.com/"]);
                    });
                },
                expected(
                    "login",
                    "profile `work`",
                    "warning",
                    "if the Google app is in Testing",
                    "vault login",
                    0,
                ),
            ),
            (
                "one that nobody has used for months",
                |home| {
                    grant(home, |profile| {
                        profile["provider"] = json!("google");
                        profile["grant"]["obtained_at"] = days_ago(170);
                        profile["grant"]["refreshed_at"] = Value::Null;
                    });
                    fs::remove_dir_all(home.path("cache")).unwrap();
                },
                expected(
                    "login",
                    "profile `work`",
                    "warning",
                    "was not used for 170 days",
                    "vault token work",
                    0,
                ),
            ),
            (
                "one from the future",
                |home| grant(home, |profile| profile["grant"]["obtained_at"] = days_ago(-9)),
                expected("login", "profile `work`", "warning", "in the future", "timedatectl", 0),
            ),
        ],
    );
}

#[test]
fn a_provider_that_cannot_be_reached_or_disagrees_about_the_time_is_found() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let minutes = SignedDuration::from_mins;

    tell_time(&provider, minutes(2));
    let checks = doctor(&home, &[], 0);
    expected("clock", "127.0.0.1", "warning", "seconds behind", "timedatectl", 0).compare("behind", &checks);
    tell_time(&provider, -minutes(2));
    expected("clock", "127.0.0.1", "warning", "seconds ahead", "", 0)
        .compare("ahead", &doctor(&home, &[], 0));
    tell_time(&provider, minutes(10));
    let checks = doctor(&home, &[], 8);
    expected("clock", "127.0.0.1", "bad", "seconds behind", "timedatectl", 8).compare("wrong", &checks);

    let busy = Fault::Respond { status: 503, headers: Vec::new(), body: Vec::new() };
    provider.script(Endpoint::Token, vec![busy]);
    let checks = doctor(&home, &[], 0);
    expected("provider", "127.0.0.1", "warning", "status 503", "vault doctor", 0).compare("busy", &checks);
    provider.script(Endpoint::Token, vec![Fault::ResetBefore]);
    let checks = doctor(&home, &[], 8);
    expected("provider", "127.0.0.1", "bad", "cannot be reached", "try again", 8).compare("reset", &checks);
    drop(provider);
    let checks = doctor(&home, &[], 8);
    expected("provider", "127.0.0.1", "bad", "cannot be reached", "network", 8).compare("gone", &checks);
}

#[test]
fn a_certificate_that_nobody_here_trusts_is_found() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let home = Home::trusting(&authority);
    home.add_profile(&provider, "work").expect_code(0);
    doctor(&home, &[], 0);

    provider.present(Authority::new().certify(HOST));

    let checks = doctor(&home, &[], 8);
    expected("provider", HOST, "bad", "not signed by an authority", "SSL_CERT_FILE", 8)
        .compare("TLS", &checks);
}

#[test]
fn variables_that_shadow_or_hold_a_secret_are_named_and_their_values_are_not() {
    let mut home = Home::new();
    for (name, result, fix) in [
        ("GOOGLE_APPLICATION_CREDENTIALS", "warning", "unset GOOGLE_APPLICATION_CREDENTIALS"),
        ("CLOUDSDK_AUTH_ACCESS_TOKEN", "warning", "unset CLOUDSDK_AUTH_ACCESS_TOKEN"),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", "warning", "unset"),
        ("OAUTH_ACCESS_TOKEN", "warning", "unset"),
        ("CLIENT_ID", "warning", "unset"),
        ("CLIENT_SECRET", "warning", "unset"),
        ("REFRESH_TOKEN", "warning", "unset"),
        ("HTTPS_PROXY", "ok", ""),
        ("https_proxy", "ok", ""),
        ("SSL_CERT_FILE", "ok", ""),
        ("VAULT_TOKEN", "ok", ""),
        ("VAULT_IDENTITY_FILE", "ok", ""),
    ] {
        home.set(name, "/canary-value");
        let run = home.run(&["doctor", "--json", "--offline"]);
        let checks = crate::doctor::said(&run);
        let said =
            checks.iter().find(|it| it.subject == name).unwrap_or_else(|| panic!("{name}: {checks:#?}"));
        assert_eq!((said.check.as_str(), said.result.as_str()), ("variables", result), "{said:?}");
        assert!(said.fix.contains(fix), "{said:?}");
        assert!(!format!("{run:?}").contains("canary"), "{run:?}");
        home.unset(name);
    }
}

#[test]
fn another_program_of_the_same_name_is_found_and_not_run() {
    let mut home = Home::new();
    let touched = home.path("it-was-run");
    for folder in ["first", "second", "ours"] {
        fs::create_dir(home.path(folder)).unwrap();
    }
    for folder in ["first", "second"] {
        let program =
            home.write(&format!("{folder}/vault"), format!("#!/bin/sh\ntouch {}\n", touched.display()));
        mode(program, 0o755);
    }
    std::os::unix::fs::symlink(crate::home::VAULT, home.path("ours/vault")).unwrap();
    let mut path = |folders: &[&str]| {
        let folders: Vec<_> = folders.iter().map(|it| home.path(it).display().to_string()).collect();
        home.set("PATH", &folders.join(":"));
        only(&doctor(&home, &["--offline"], 0), "path")
    };

    let behind = path(&["ours", "first", "second"]);
    assert_eq!(behind.result, "ok");
    assert!(behind.found.contains("first/vault") && behind.found.contains("second/vault"), "{behind:?}");
    let before = path(&["first", "ours"]);
    assert_eq!(before.result, "warning");
    assert!(before.found.contains("calls another program") && before.fix.contains("PATH"), "{before:?}");
    assert_eq!(path(&["ours", "ours"]).found, "no other program is called vault");
    assert!(!touched.exists());
}

#[test]
fn a_secret_in_each_usual_place_is_found_and_not_shown() {
    for usual in USUAL {
        let home = Home::new();
        let folder = if usual.base == Base::Config { ".config/" } else { "" };
        let file = home.path(format!("{folder}{}", usual.path.replace('*', "x")));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let canary = "cA5n4A2rY8q0W3e7R1t6";
        let content = match usual.shape {
            Shape::Itself => format!("refresh_token = {canary}"),
            Shape::Any(_) => canary.to_owned(),
            Shape::Has(_, words) => format!("{}{canary}", words[0]),
            Shape::Names(_, names) => format!(" {}: \"{canary}\"", names[0].trim()),
            Shape::Addresses => format!("https://me:{canary}@git.example"),
            Shape::Netrc => format!("machine x login me password {canary}"),
        };
        fs::write(&file, content).unwrap();
        mode(&file, 0o604);

        let run = home.run(&["doctor", "--json", "--offline"]);
        let checks = crate::doctor::said(&run);

        let found: Vec<_> = checks.iter().filter(|it| it.check == "plaintext").collect();
        assert_eq!(found.len(), 1, "{}: {found:#?}", usual.path);
        assert_eq!(
            (found[0].result.as_str(), found[0].subject.as_str()),
            ("warning", file.to_str().unwrap())
        );
        assert!(found[0].found.contains("may read (mode 604)"), "{found:#?}");
        assert!(found[0].fix.starts_with("vault scan "), "{found:#?}");
        assert!(!format!("{run:?}").contains(canary), "{run:?}");
    }
}

#[test]
fn harmless_files_in_the_usual_places_are_left_alone() {
    let home = Home::new();
    for usual in USUAL {
        if let Shape::Any(_) = usual.shape {
            continue;
        }
        let folder = if usual.base == Base::Config { ".config/" } else { "" };
        let file = home.path(format!("{folder}{}", usual.path.replace('*', "x")));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "nothing of interest").unwrap();
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, home.path("Downloads/token.json"), 0o600.into()).unwrap();

    let checks = doctor(&home, &["--offline"], 0);

    assert_eq!(only(&checks, "plaintext").result, "ok", "{checks:#?}");
    // What is downloaded lies anywhere.
    assert!(USUAL.iter().any(|usual| usual.base == Base::Anywhere));
    let secret = "{\"installed\":{\"client_secret\":\"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\"}}";
    fs::write(home.path("Downloads/client_secret_1.json"), secret).unwrap();
    assert_eq!(only(&doctor(&home, &["--offline"], 0), "plaintext").result, "warning");
}

#[test]
fn a_vault_in_memory_is_told_apart_and_so_is_one_that_is_copied_elsewhere() {
    let mut home = Home::in_memory();
    home.run(&["init"]).expect_code(0);
    let checks = doctor(&home, &["--offline"], 0);
    if home.path("").starts_with("/dev/shm") {
        expected("file-system", "the vault directory", "warning", "tmpfs: all of it is lost", "VAULT_DIR", 0)
            .compare("in memory", &checks);
        expected("file-system", "the state directory", "warning", "tmpfs", "", 0)
            .compare("in memory", &checks);
    }

    let synced = home.path("Dropbox/vault");
    fs::create_dir_all(&synced).unwrap();
    home.set("VAULT_DIR", synced.to_str().unwrap());
    make_private(&synced);
    let checks = doctor(&home, &["--offline"], 0);
    expected("synced", "the vault directory", "ok", "Dropbox copies it", "", 0).compare("synced", &checks);
}

#[test]
fn a_disk_that_is_full_or_cannot_be_written_to_is_found() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    with_own_mounts(|| {
        let disk = Disk::under(&home.vault_dir());
        disk.leave_pages(3);
        let checks = doctor(&home, &["--offline"], 10);
        expected("room", "the vault directory", "bad", "0 MiB are free", "df -h", 10)
            .compare("full", &checks);
        disk.mend();
        disk.leave_files(1);
        let checks = doctor(&home, &["--offline"], 10);
        expected("room", "the vault directory", "bad", "no file can be made", "df -h", 10)
            .compare("no files", &checks);
        disk.mend();
        disk.forbid_writing();
        let checks = doctor(&home, &["--offline"], 10);
        expected("room", "the vault directory", "bad", "only be read", "df -h", 10)
            .compare("read-only", &checks);
        expected("lock", "", "bad", "cannot be taken", "", 10).compare("read-only", &checks);
    });
}

#[test]
fn a_lock_that_keeps_nobody_away_is_found() {
    if !is_there() {
        return;
    }
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    // As on a file system that says yes to every lock.
    home.run_by(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=flock:retval=0"]);

    let checks = doctor(&home, &["--offline"], 10);

    expected("lock", "", "bad", "the same lock at once", "VAULT_DIR", 10).compare("lock", &checks);
}

fn manifest(home: &Home) -> PathBuf {
    home.vault_dir().join("vault.json")
}

fn identity(home: &Home) -> age::x25519::Identity {
    fs::read_to_string(home.path("identity.txt")).unwrap().trim().parse().unwrap()
}

/// Changes the profile `work` as only its owner can.
fn grant(home: &Home, change: impl FnOnce(&mut Value)) {
    edit(&home.profile("work"), change);
    forge::sign(home, &home.profile("work"));
}

fn days_ago(days: i64) -> Value {
    json!((Timestamp::now() - SignedDuration::from_hours(24 * days)).to_string())
}

/// A slot with a passphrase at the thousandth part of the usual work.
fn weak_slot(home: &Home) -> Value {
    use age::secrecy::ExposeSecret;
    let key = forge::vault_key(home).to_string();
    let mut recipient = scrypt::Recipient::new("correct horse battery".to_owned().into());
    recipient.set_work_factor(10);
    let sealed = age::encrypt_and_armor(&recipient, format!("{}\n", key.expose_secret()).as_bytes()).unwrap();
    json!({ "id": "f".repeat(32), "created_at": "2026-01-01T00:00:00Z", "type": "passphrase", "sealed": sealed })
}
