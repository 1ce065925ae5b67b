//! `vault scan`: everything that lies open is found, and nothing of it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::expiry::as_ordinary_user;
use crate::home::{Home, Run};
use crate::outside::program;
use crate::scan_tree::{Canaries, decoys, planted, write};

/// The findings of `vault scan --json` with these arguments, by their paths below the home.
#[track_caller]
pub fn findings(home: &Home, arguments: &[&str]) -> BTreeMap<String, Value> {
    let run = home.run(&[&["scan", "--json"], arguments].concat());
    assert!(matches!(run.code, 0 | 15), "{}", run.stderr);
    let findings = found(home, &run);
    assert_eq!(run.code == 15, !findings.is_empty(), "{}", run.stderr);
    findings
}

#[track_caller]
fn found(home: &Home, run: &Run) -> BTreeMap<String, Value> {
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["version"], 1);
    let base = home.path("").canonicalize().unwrap();
    let findings = answer["findings"].as_array().unwrap().iter().map(|finding| {
        let path = Path::new(finding["path"].as_str().unwrap());
        (path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned(), finding.clone())
    });
    findings.collect()
}

/// A home that has nothing in it that is ours.
pub fn home() -> Home {
    let mut home = Home::bare();
    home.unset("VAULT_IDENTITY_FILE");
    home
}

fn mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const REFRESH_TOKEN: &str = "REFRESH_TOKEN=1//0gXk3JfR7pQzYCgYIARAAGBASNwF-L9IrQ8vZtB2mD5nE\n";

#[test]
fn a_secret_in_every_place_of_the_table_is_found_and_no_part_of_one_is_shown() {
    let home = home();
    let mut canaries = Canaries::new();
    let planted = planted(&mut canaries);
    for file in &planted {
        write(&home.path(""), &file.path, &file.content);
    }

    let found = findings(&home, &[]);
    let text = home.run(&["scan", "-v"]);

    let missed: Vec<&str> =
        planted.iter().map(|file| &*file.path).filter(|path| !found.contains_key(*path)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
    assert_eq!(found.len(), planted.len(), "{:#?}", found.keys());
    for file in &planted {
        assert_eq!(found[&file.path]["kind"], file.kind, "{}", file.path);
        assert!(text.stdout.contains(&file.path), "{}", file.path);
        assert!(!file.secrets.is_empty());
    }
    assert_eq!(text.code, 15, "{}", text.stderr);
    // Not even eight characters of one.
    let said = format!("{}{}{}", Value::from_iter(found), text.stdout, text.stderr);
    let said: BTreeSet<&[u8]> = said.as_bytes().windows(8).collect();
    for canary in &canaries.known {
        let is_shown = canary.as_bytes().windows(8).any(|part| said.contains(part));
        assert!(!is_shown, "{canary}");
    }
}

#[test]
fn what_only_looks_like_a_secret_is_left_alone() {
    let home = home();
    for (path, content) in decoys() {
        write(&home.path(""), path, content.as_bytes());
    }

    let run = home.run(&["scan"]);

    assert_eq!((run.code, &*run.stdout), (0, ""), "{}", run.stderr);
    assert!(
        run.stderr.contains(&format!("No secret lies open in {} files", decoys().len())),
        "{}",
        run.stderr
    );
}

#[test]
fn whose_it_is_and_what_to_type_is_said() {
    let home = home();
    let mut canaries = Canaries::new();
    let adc = serde_json::json!({
        "type": "authorized_user", "account": "me@work.example", "quota_project_id": "my-project-1",
        "client_id": "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com",
        "client_secret": canaries.client_secret(), "refresh_token": canaries.refresh_token(),
    });
    write(
        &home.path(""),
        ".config/gcloud/application_default_credentials.json",
        format!("{adc:#}").as_bytes(),
    );
    mode(home.path(".config/gcloud/application_default_credentials.json"), 0o600);
    let adc = serde_json::json!({ "type": "authorized_user", "client_secret": canaries.client_secret(), "refresh_token": canaries.refresh_token() });
    write(
        &home.path(""),
        ".config/gcloud/legacy_credentials/you@work.example/adc.json",
        adc.to_string().as_bytes(),
    );

    let found = findings(&home, &[]);

    let first = &found[".config/gcloud/application_default_credentials.json"];
    assert_eq!(first["accounts"], serde_json::json!(["me@work.example"]));
    assert_eq!(first["clients"], serde_json::json!(["764086051850-6qr4…"]));
    assert_eq!(first["projects"], serde_json::json!(["my-project-1"]));
    assert_eq!((&first["tool"], &first["format"]), (&"gcloud".into(), &"authorized_user".into()));
    assert_eq!((&first["mode"], &first["readable_by"]), (&"600".into(), &"owner".into()));
    assert_eq!(first["secrets"][0]["line"], 6, "{first:#}");
    assert_eq!(first["importable"], true);
    let path = home.path(".config/gcloud/application_default_credentials.json");
    assert_eq!(first["next"], format!("vault import {}", path.canonicalize().unwrap().display()));
    let second = &found[".config/gcloud/legacy_credentials/you@work.example/adc.json"];
    assert_eq!(second["accounts"], serde_json::json!(["you@work.example"]));
}

#[test]
fn who_can_read_a_file_depends_on_every_folder_above_it() {
    let home = home();
    for path in ["open/deep/.env", "closed/deep/.env", "group/.env", "Dropbox/x/.env"] {
        write(&home.path(""), path, REFRESH_TOKEN.as_bytes());
        mode(home.path(path), 0o644);
    }
    mode(home.path(""), 0o755);
    mode(home.path("closed"), 0o700);
    mode(home.path("group"), 0o750);

    let found = findings(&home, &[]);

    let readers = |path: &str| found[path]["readable_by"].as_str().unwrap().to_owned();
    assert_eq!(readers("open/deep/.env"), "everyone");
    assert_eq!(readers("closed/deep/.env"), "owner");
    assert_eq!(readers("group/.env"), "group");
    assert_eq!(found["Dropbox/x/.env"]["synced_by"], "Dropbox");
    let text = home.run(&["scan"]).stdout;
    assert!(text.contains("every user of this machine can read it (mode 644)"), "{text}");
    assert!(text.contains("Dropbox copies it to other machines"), "{text}");
}

#[test]
fn an_access_token_is_told_from_what_lasts_and_an_ended_one_from_a_live_one() {
    let home = home();
    let mut canaries = Canaries::new();
    for (name, expiry) in [("old", "2020-01-01T00:00:00Z"), ("new", "2999-01-01T00:00:00Z")] {
        let token = serde_json::json!({ "access_token": canaries.access_token(), "expiry": expiry });
        write(&home.path(""), &format!("{name}.json"), token.to_string().as_bytes());
    }
    write(
        &home.path(""),
        "lasting.json",
        format!("{{\"refresh_token\": \"{}\"}}", canaries.refresh_token()).as_bytes(),
    );

    let found = findings(&home, &[]);

    let is = |name: &str, what: &str| found[name][what] == true;
    assert!(is("old.json", "expired") && !is("old.json", "lasting"));
    assert!(!is("new.json", "expired") && !is("new.json", "lasting"));
    assert!(is("lasting.json", "lasting") && !is("lasting.json", "expired"));
}

#[test]
fn databases_and_pickles_as_their_programs_write_them_are_read_and_nothing_in_them_is_run() {
    let Some(python) = program("python3") else { return };
    let home = home();
    let mut canaries = Canaries::new();
    let script = r#"
import os, pickle, sqlite3, sys
refresh, access = sys.argv[1:]
class Credentials: pass
class Bomb:
    def __reduce__(self): return (os.system, ("touch ran",))
made = Credentials()
made.token, made._refresh_token, made._client_id, made.bomb = access, refresh, "x.apps.googleusercontent.com", Bomb()
for protocol in range(6):
    with open(f"token{protocol}.pickle", "wb") as out: pickle.dump(made, out, protocol)
db = sqlite3.connect("credentials.db")
db.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
db.execute("INSERT INTO credentials VALUES (?, ?)", ("me@work.example", '{"type": "authorized_user", "refresh_token": "%s"}' % refresh))
db.commit()
db = sqlite3.connect("access_tokens.db")
db.execute("CREATE TABLE access_tokens (account_id TEXT PRIMARY KEY, access_token TEXT)")
db.execute("INSERT INTO access_tokens VALUES (?, ?)", ("me@work.example", access))
db.commit()
db = sqlite3.connect("empty.db")
db.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
db.commit()
"#;
    let mut command = Command::new(python);
    home.prepare(&mut command);
    let made =
        command.args(["-c", script, &canaries.refresh_token(), &canaries.access_token()]).status().unwrap();
    assert!(made.success());

    let found = findings(&home, &[]);

    for protocol in 0..6 {
        assert_eq!(found[&format!("token{protocol}.pickle")]["kind"], "refresh_token", "{protocol}");
    }
    assert_eq!(found["credentials.db"]["kind"], "refresh_token");
    assert_eq!(found["access_tokens.db"]["kind"], "access_token");
    assert_eq!(found.len(), 8, "{:#?}", found.keys());
    assert!(!home.path("ran").exists());
}

#[test]
fn links_lead_nowhere_and_pipes_sockets_and_loops_keep_nobody_waiting() {
    let (home, outside) = (home(), home());
    write(&outside.path(""), "secret/.env", REFRESH_TOKEN.as_bytes());
    symlink(outside.path("secret"), home.path("folder")).unwrap();
    symlink(outside.path("secret/.env"), home.path(".env")).unwrap();
    symlink(home.path(""), home.path("loop")).unwrap();
    fs::create_dir_all(home.path("src/.git")).unwrap();
    for pipe in [".netrc", "token.json", "src/.git/index"] {
        rustix::fs::mkfifoat(rustix::fs::CWD, home.path(pipe), 0o600.into()).unwrap();
    }
    let _socket = UnixListener::bind(home.path("credentials.json")).unwrap();
    write(&home.path(""), "src/.env", REFRESH_TOKEN.as_bytes());

    let found = findings(&home, &[]);

    assert_eq!(found.keys().collect::<Vec<_>>(), ["src/.env"]);
    // Of an index that is no file nothing is known... but that there is one.
    assert_eq!(found["src/.env"]["tracked_by_git"], Value::Null);
    // What is named itself is looked through, a link too.
    let named = home.run(&["scan", "folder"]);
    assert_eq!(named.code, 15, "{}", named.stderr);
}

#[test]
fn huge_and_sparse_files_cost_no_more_than_their_first_mebibytes_and_are_counted() {
    let home = home();
    let sparse = fs::File::create(home.path("sparse.img")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let line = b"nothing of interest in this line\n";
    let mut log = line.repeat((9 << 20) / line.len());
    log[100..100 + REFRESH_TOKEN.len()].copy_from_slice(REFRESH_TOKEN.as_bytes());
    log[99] = b'\n';
    fs::write(home.path("huge.log"), &log).unwrap();

    let run = home.run(&["scan", "--json"]);

    assert_eq!(run.code, 15, "{}", run.stderr);
    assert_eq!(found(&home, &run)["huge.log"]["secrets"][0]["line"], 5);
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["counts"]["too_long"], 1, "{answer:#}");
    assert!(run.stderr.contains("Of 1 file only the first 8 MiB were read"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_read_is_a_warning_and_the_rest_is_looked_at() {
    let home = home();
    write(&home.path(""), "closed/.env", REFRESH_TOKEN.as_bytes());
    write(&home.path(""), "open/.env", REFRESH_TOKEN.as_bytes());
    mode(home.path("closed"), 0o000);
    let Some(mut command) = as_ordinary_user(&home, &["scan", "--json"]) else { return };

    let run = Run::of(&["scan", "--json"], command.output().unwrap());

    mode(home.path("closed"), 0o700);
    assert_eq!(run.code, 15, "{}", run.stderr);
    assert_eq!(found(&home, &run).keys().collect::<Vec<_>>(), ["open/.env"]);
    assert!(run.stderr.contains("warning: 1 file or folder could not be read, such as "), "{}", run.stderr);
}

#[test]
fn no_name_of_a_file_commands_the_terminal_or_breaks_a_line() {
    let home = home();
    for name in [&b"a\x1b]0;x\x07.env"[..], b"b\nerror: c", b"\xff\xfe.json", "d\u{202e}e.env".as_bytes()] {
        fs::write(home.path(std::ffi::OsStr::from_bytes(name)), REFRESH_TOKEN).unwrap();
    }

    let run = home.run(&["scan"]);
    let json = home.run(&["scan", "--json"]);

    assert_eq!((run.code, json.code), (15, 15));
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
    assert!(!said.contains("\nerror: c"), "{said}");
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap()["findings"].as_array().unwrap().len(), 4);
    assert!(!json.stdout.contains('\u{1b}'));
}

#[test]
fn folders_that_are_deeper_than_any_path_may_be_are_no_end() {
    let home = home();
    // Longer than any path may be (PATH_MAX, 4096): each folder is made in the one before.
    let mut folder = rustix::fs::open(home.path(""), rustix::fs::OFlags::DIRECTORY, 0.into()).unwrap();
    for _ in 0..2500 {
        rustix::fs::mkdirat(&folder, "d", 0o700.into()).unwrap();
        folder = rustix::fs::openat(&folder, "d", rustix::fs::OFlags::DIRECTORY, 0.into()).unwrap();
    }
    write(&home.path(""), "z/.env", REFRESH_TOKEN.as_bytes());

    let run = home.run(&["scan", "--json"]);

    assert_eq!(run.code, 15, "{}", run.stderr);
    assert_eq!(found(&home, &run).keys().collect::<Vec<_>>(), ["z/.env"]);
    assert!(run.stderr.contains("could not be read"), "{}", run.stderr);
    // What removes a home after its test would hold each of them open.
    assert!(Command::new("rm").arg("-rf").arg(home.path("d")).status().unwrap().success());
}

#[test]
fn files_that_change_while_they_are_read_disturb_nobody() {
    let home = home();
    write(&home.path(""), "steady/.env", REFRESH_TOKEN.as_bytes());
    for at in 0..20 {
        write(&home.path(""), &format!("busy/{at}.env"), &REFRESH_TOKEN.repeat(300).into_bytes());
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for at in (0..20).cycle() {
                let path = home.path(format!("busy/{at}.env"));
                fs::write(&path, "").unwrap();
                let _ = fs::remove_file(&path);
                fs::write(&path, REFRESH_TOKEN.repeat(300)).unwrap();
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
            }
        });
        for _ in 0..3 {
            let found = findings(&home, &[]);
            assert!(found.contains_key("steady/.env"));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn packages_of_others_and_our_own_vault_are_passed_over_and_settings_beside_them_are_not() {
    let home = home();
    let ours = [
        "node_modules/x/.env",
        "x/lib/site-packages/y/.env",
        ".cargo/registry/src/z.json",
        "app/target/debug/t.env",
    ];
    for path in ours {
        write(&home.path(""), path, REFRESH_TOKEN.as_bytes());
    }
    write(&home.path(""), "app/target/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55");
    write(&home.path(""), "data/vault/profiles/work.json", REFRESH_TOKEN.as_bytes());
    let theirs = ["target/.env", "objects/.env", "app/.git/config", "app/.npmrc", ".hidden/deep/.env"];
    for path in theirs {
        write(&home.path(""), path, format!("x://me:cA5n4A2rY8q0W3e7R1t6@host\n{REFRESH_TOKEN}").as_bytes());
    }
    write(&home.path(""), ".ignore", b".hidden\n");
    write(&home.path(""), ".gitignore", b"app/.npmrc\n");

    let usually = findings(&home, &[]);
    let all = findings(&home, &["--packages"]);
    let obeying = findings(&home, &["--ignore-files"]);

    let set = |found: &BTreeMap<String, Value>| found.keys().cloned().collect::<BTreeSet<_>>();
    let theirs: BTreeSet<String> = theirs.map(str::to_owned).into_iter().collect();
    assert_eq!(set(&usually), theirs);
    assert_eq!(set(&all), theirs.iter().cloned().chain(ours.map(str::to_owned)).collect());
    assert_eq!(set(&obeying).len(), 3, "{obeying:#?}");
    // A folder that is named is looked through, whatever it is called.
    assert_eq!(findings(&home, &["node_modules"]).len(), 1);
}

#[test]
fn what_variables_have_moved_out_of_the_home_is_found_under_its_name() {
    let (mut home, elsewhere) = (home(), home());
    write(
        &elsewhere.path(""),
        "sdk/credentials.db",
        &[b"SQLite format 3\0", REFRESH_TOKEN.as_bytes()].concat(),
    );
    write(&elsewhere.path(""), "my.conf", b"[x]\nclient_secret = cA5n4A2rY8q0W3e7R1t6\n");
    write(&elsewhere.path(""), "not-named/.env", REFRESH_TOKEN.as_bytes());
    home.set("CLOUDSDK_CONFIG", elsewhere.path("sdk").to_str().unwrap());
    home.set("RCLONE_CONFIG", elsewhere.path("my.conf").to_str().unwrap());

    let run = home.run(&["scan", "--json"]);

    let tools: Vec<(String, Value)> =
        found(&elsewhere, &run).into_iter().map(|(path, finding)| (path, finding["tool"].clone())).collect();
    assert_eq!(
        tools,
        [("my.conf".to_owned(), "rclone".into()), ("sdk/credentials.db".to_owned(), "gcloud".into())]
    );
}

#[test]
fn who_ends_it_gets_what_was_found_until_then() {
    let home = home();
    write(&home.path(""), ".env", REFRESH_TOKEN.as_bytes());
    for at in 0..3000 {
        write(&home.path(""), &format!("many/{}/{at}.txt", at % 30), &b"nothing here\n".repeat(2000));
    }
    let child = stopped_in_the_middle(&home);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    // Longer than it waits between two looks at whether it is to end: the next thing that it does is to look.
    thread::sleep(Duration::from_millis(150));
    rustix::process::kill_process(id, rustix::process::Signal::CONT).unwrap();

    let ended = child.wait_with_output().unwrap();

    let run = Run::of(&["scan", "--json"], ended);
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &answer["complete"]), (12, &Value::Bool(false)), "{}", run.stderr);
    assert!(run.stderr.contains("what was found until then"), "{}", run.stderr);
}

/// A scan of 3000 files that has been stopped when it had read some, and not most of them.
fn stopped_in_the_middle(home: &Home) -> Child {
    loop {
        let mut command = home.command(&["scan", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = rustix::process::Pid::from_child(&child);
        // It handles signals by then.
        while reads(&child).is_some_and(|reads| reads < 100) {
            thread::yield_now();
        }
        let _ = rustix::process::kill_process(id, rustix::process::Signal::STOP);
        if reads(&child).is_some_and(|reads| reads < 1500) {
            return child;
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// How often the program has read something; `None` once it has ended.
fn reads(child: &Child) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{}/io", child.id())).ok()?;
    io.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
}

#[test]
fn a_path_that_is_not_there_is_a_mistake_of_the_command_line() {
    let home = home();
    let run = home.run(&["scan", "nowhere"]);
    assert_eq!((run.code, &*run.stdout), (2, ""));
    assert!(run.stderr.contains("nowhere cannot be looked through"), "{}", run.stderr);
}
