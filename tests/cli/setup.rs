//! `vault setup`: what it prints, writes, refuses and takes away again, in homes with and without such files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rexpect::session::PtySession;
use serde_json::{Value, json};

use crate::disk::{Disk, with_own_mounts};
use crate::home::{Home, Run, VAULT};
use crate::outside::have;
use crate::transcript::Transcript;

/// Each tool: how it is set up, its file, and what may stand there already.
const TOOLS: [(&str, &str, &str); 10] = [
    ("git work --host git.example.com --host 127.0.0.1:8080", ".gitconfig", "[user]\n\tname = Me # me\n"),
    (
        "docker work --host gcr.io --host 127.0.0.1:5000",
        ".docker/config.json",
        "{\n  \"auths\": {\n    \"a.example\": {}\n  },\n  \"credHelpers\": {\n    \"b.example\": \"gcloud\"\n  }\n}\n",
    ),
    (
        "cargo work --registry corp",
        ".cargo/config.toml",
        "[build] # mine\njobs = 2\n\n[registries.corp]\nindex = \"sparse+https://crates.example.com/index/\"\n",
    ),
    ("gcloud work", ".config/gcloud/configurations/config_vault-work", ""),
    ("msmtp work", ".msmtprc", "defaults\ntls on\n\naccount other\nhost mail.example"),
    ("mbsync work", ".mbsyncrc", "IMAPAccount other\nHost mail.example\nUser me\n"),
    ("neomutt work", ".config/neomutt/neomuttrc", "set sort = threads # é\n"),
    ("rclone work", ".config/rclone/rclone.conf", "[other]\ntype = local\n"),
    ("direnv work", ".config/direnv/lib/vault.sh", ""),
    ("systemd work", ".config/systemd/user/vault-serve@.service", ""),
];

#[test]
fn without_write_the_lines_are_printed_and_nothing_is_changed_and_no_key_is_needed() {
    let mut home = with_profile();
    home.unset("VAULT_IDENTITY_FILE");
    let before = everything(&home);

    let mut transcript = Transcript::default();
    for (words, ..) in TOOLS {
        let words =
            words.replace("--registry corp", "--registry corp --index sparse+https://crates.example.com/");
        transcript.run(&home, &setup(&words));
    }
    transcript.run(&home, &setup("kubectl work"));
    transcript.run(&home, &setup("docker work --host gcr.io --json"));

    assert_eq!(everything(&home), before);
    transcript.compare("setup-lines");
}

#[test]
fn what_is_written_is_shown_before_and_taken_away_to_the_last_byte() {
    let mut transcript = Transcript::default();
    for (words, file, existing) in TOOLS {
        let home = with_profile();
        let path = home.path(file);
        if !existing.is_empty() {
            put(&path, existing);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        let words = words.replace("--registry corp", "--registry corp --host crates.example.com");

        transcript.run(&home, &setup(&format!("{words} --write")));
        let written = fs::read_to_string(&path).unwrap();
        assert_ne!(written, existing);
        assert_eq!(
            fs::metadata(&path).unwrap().mode() & 0o777,
            if existing.is_empty() { 0o600 } else { 0o640 }
        );
        assert_eq!(copies(&home, file), if existing.is_empty() { vec![] } else { vec![existing.to_owned()] });

        let again = home.run(&setup(&format!("{words} --write"))).expect_code(0);
        again.expect_said("nothing is to be changed");
        assert_eq!(fs::read_to_string(&path).unwrap(), written, "twice is as once: {words}");

        let tool = words.split(' ').next().unwrap();
        transcript.run(&home, &setup(&format!("{tool} work --undo")));
        match (existing, fs::read_to_string(&path)) {
            // rclone keeps a file that it may have made itself.
            ("", left) => assert!(left.is_err(), "{tool} {left:?}"),
            (existing, left) => assert_eq!(left.unwrap(), existing, "{tool}"),
        }
        assert_eq!(hosts(&home), json!({}), "{tool}");
        assert_eq!(links(&home), ["vault"], "{tool}");
        let _ = home
            .run(&setup(&format!("{tool} work --undo")))
            .expect_code(0)
            .expect_said("nothing is to be changed");
    }
    transcript.compare("setup-written");
}

#[test]
fn the_token_may_go_to_the_hosts_that_were_written_and_to_no_other() {
    let home = with_profile();
    let _ = home.run(&setup("git work --host git.example.com --write")).expect_code(0);
    let _ = home.run(&setup("git work --host two.example --write")).expect_code(0);
    let _ = home.run(&setup("docker work --host gcr.io --write")).expect_code(0);
    assert_eq!(hosts(&home), json!({"git": ["git.example.com", "two.example"], "docker": ["gcr.io"]}));

    let _ = home.run(&setup("git work --host git.example.com --undo")).expect_code(0);

    assert_eq!(hosts(&home), json!({"git": ["two.example"], "docker": ["gcr.io"]}));
    assert!(!read(&home, ".gitconfig").contains("git.example.com"));
    assert_eq!(
        links(&home),
        ["docker-credential-vault", "git-credential-vault", "vault"],
        "both are still used"
    );
}

#[test]
fn the_lines_of_another_profile_stay() {
    let home = with_profile();
    let _ = home.run(&add("play")).expect_code(0);
    for profile in ["work", "play"] {
        let _ = home.run(&setup(&format!("git {profile} --host git.example.com --write"))).expect_code(0);
        let _ = home.run(&setup(&format!("docker {profile} --host gcr.io --write"))).expect_code(0);
    }

    let _ = home.run(&setup("git work --undo")).expect_code(0);
    let _ = home.run(&setup("docker work --undo")).expect_code(0);

    assert!(read(&home, ".gitconfig").contains("vault --profile play"));
    assert!(!read(&home, ".gitconfig").contains("vault --profile work"));
    assert!(read(&home, ".docker/config.json").contains("gcr.io"), "play needs it");
    assert_eq!(links(&home), ["docker-credential-vault", "git-credential-vault", "vault"]);
}

#[test]
fn a_profile_that_is_gone_has_left_lines_that_can_be_taken_away() {
    let home = with_profile();
    let _ = home.run(&setup("git work --host git.example.com --write")).expect_code(0);
    let _ = home.run(&["remove", "work", "--yes"]).expect_code(0);

    let _ = home.run(&setup("git work --undo")).expect_code(0);

    assert!(!home.path(".gitconfig").exists());
    assert_eq!(links(&home), ["vault"]);
}

#[test]
fn a_file_that_is_not_as_expected_is_left_as_it_is_and_nothing_else_is_done() {
    let directory: fn(&Path) = |path| fs::create_dir_all(path).unwrap();
    let broken_link: fn(&Path) = |path| symlink("nowhere", path).unwrap();
    let device: fn(&Path) = |path| symlink("/dev/null", path).unwrap();
    let read_only: fn(&Path) = |path| {
        put(path, "[a]\n");
        fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
    };
    let two_names: fn(&Path) = |path| {
        put(path, "[a]\n");
        fs::hard_link(path, path.with_extension("other")).unwrap();
    };
    let of_others: fn(&Path) = |path| {
        put(path, "[a]\n");
        std::os::unix::fs::chown(path, Some(65534), None).unwrap();
    };
    let mut cases = vec![
        (".gitconfig", directory, "is no file"),
        (".gitconfig", broken_link, "is a link to something that is not there"),
        (".gitconfig", device, "is no file"),
        (".gitconfig", read_only, "is read-only"),
        (".gitconfig", two_names, "has several names"),
        (".gitconfig", |path| fs::write(path, b"[a]\n\tb = \xff\n").unwrap(), "is not UTF-8 text"),
        (".gitconfig", |path| put(path, "[a]\r\n\tb = c\r\n"), "CR LF"),
        (
            ".gitconfig",
            |path| put(path, "# >>> vault setup git work git.example.com >>>\n"),
            "is missing below",
        ),
        (".docker/config.json", |path| put(path, "{\"auths\": "), "it is not JSON"),
        (
            ".docker/config.json",
            |path| put(path, "{\"credHelpers\": {\"git.example.com\": \"x\"}}"),
            "take that out first",
        ),
        (".cargo/config.toml", |path| put(path, "[registries\n"), "it is not TOML"),
        (".cargo/config.toml", |path| put(path, "registries.corp.index = \"x\"\n"), "header of its own"),
    ];
    if rustix::process::geteuid().is_root() {
        cases.push((".gitconfig", of_others, "belongs to another user"));
    }
    for (file, make, why) in cases {
        let home = with_profile();
        fs::create_dir_all(home.path(file).parent().unwrap()).unwrap();
        make(&home.path(file));
        let before = everything(&home);
        let tool = match file {
            ".gitconfig" => "git",
            ".docker/config.json" => "docker",
            _ => "cargo --registry corp",
        };

        let run = home.run(&setup(&format!("{tool} work --host git.example.com --write"))).expect_code(7);

        let _ = run.expect_said(why).expect_said("hint: nothing was changed");
        assert_eq!(everything(&home), before, "{why}");
        assert_eq!(links(&home), ["vault"]);
    }
}

#[test]
fn a_link_to_a_file_elsewhere_stays_a_link() {
    let home = with_profile();
    put(&home.path("dotfiles/gitconfig"), "[a]\n");
    symlink("dotfiles/gitconfig", home.path(".gitconfig")).unwrap();

    let _ = home.run(&setup("git work --host git.example.com --write")).expect_code(0);

    assert_eq!(fs::read_link(home.path(".gitconfig")).unwrap(), Path::new("dotfiles/gitconfig"));
    assert!(read(&home, "dotfiles/gitconfig").contains("helper = vault"));
    assert_eq!(copies(&home, "dotfiles/gitconfig"), ["[a]\n"]);
}

#[test]
fn the_file_is_the_one_that_the_environment_names() {
    for (variable, value, words, file) in [
        ("GIT_CONFIG_GLOBAL", "own", "git work --host a.example", "own"),
        ("XDG_CONFIG_HOME", "x", "direnv work", "x/direnv/lib/vault.sh"),
        ("DOCKER_CONFIG", "d", "docker work --host a.example", "d/config.json"),
        ("CARGO_HOME", "c", "cargo work --registry r --host a.example", "c/config.toml"),
        ("CLOUDSDK_CONFIG", "g", "gcloud work", "g/configurations/config_vault-work"),
        ("RCLONE_CONFIG", "r.conf", "rclone work", "r.conf"),
        ("UNUSED", "", "msmtp work --file own.rc", "own.rc"),
    ] {
        let mut home = with_profile();
        home.set(variable, home.path(value).to_str().unwrap());
        let _ = home.run(&setup(&format!("{words} --write"))).expect_code(0);
        assert!(home.path(file).is_file(), "{variable}");
    }
}

#[test]
fn secrets_that_others_keep_in_the_file_are_not_shown() {
    let one_line = "{\"auths\": {\"a.example\": {\"auth\": \"c2VjcmV0\"}}}";
    let others = "apiVersion: v1\nkind: Config\nusers:\n  - name: other\n    user:\n      token: c2VjcmV0\n";
    let mut cases = vec![
        ("docker work --host gcr.io", ".docker/config.json", one_line),
        ("msmtp work", ".msmtprc", "account other\npassword c2VjcmV0"),
    ];
    if have(&["kubectl"]) {
        cases.push(("kubectl work", ".kube/config", others));
    }
    for (words, file, existing) in cases {
        for json in ["", " --json"] {
            let home = with_profile();
            put(&home.path(file), existing);
            let tool = words.split(' ').next().unwrap();

            let written = home.run(&setup(&format!("{words} --write{json}"))).expect_code(0);
            let undone = home.run(&setup(&format!("{tool} work --undo{json}"))).expect_code(0);

            assert!(read(&home, file).contains("c2VjcmV0"));
            for run in [written, undone] {
                assert!(!format!("{}{}", run.stdout, run.stderr).contains("c2VjcmV0"), "{words}{json}");
            }
        }
    }
}

#[test]
fn a_token_that_rclone_has_put_into_its_file_is_not_shown() {
    let home = with_profile();
    let _ = home.run(&setup("rclone work --write")).expect_code(0);
    let file = home.path(".config/rclone/rclone.conf");
    let lived = fs::read_to_string(&file).unwrap().replace("\"none\"", "\"ya29.live\"");
    put(&file, &lived);

    let run = home.run(&setup("rclone work --undo")).expect_code(0);

    let _ = run.expect_said("-[work]").expect_said("1 other line, not shown").expect_unsaid("ya29.live");
}

#[test]
fn a_link_that_the_usual_file_needs_stays_when_another_file_is_undone() {
    let home = with_profile();
    let other = home.path("other");
    let elsewhere = |how: &str| format!("git work --host b.example {how} --file {}", other.display());
    let _ = home.run(&setup("git work --host a.example --write")).expect_code(0);
    let _ = home.run(&setup(&elsewhere("--write"))).expect_code(0);

    let _ = home.run(&setup(&elsewhere("--undo"))).expect_code(0);
    assert_eq!(links(&home), ["git-credential-vault", "vault"], "~/.gitconfig names it");

    let _ = home.run(&setup("git work --undo")).expect_code(0);
    assert_eq!(links(&home), ["vault"]);
}

#[test]
fn a_program_of_the_helpers_name_that_is_not_ours_is_not_replaced() {
    let home = with_profile();
    put(&home.path(".local/bin/git-credential-vault"), "theirs");

    let run = home.run(&setup("git work --host git.example.com --write")).expect_code(7);
    let _ = run.expect_said("git-credential-vault is there already").expect_said("--bin-dir");

    assert_eq!(read(&home, ".local/bin/git-credential-vault"), "theirs");
    assert!(!home.path(".gitconfig").exists());
    assert_eq!(hosts(&home), json!({}));
    let _ = home.run(&setup("git work --undo")).expect_code(0);
    assert_eq!(read(&home, ".local/bin/git-credential-vault"), "theirs");
}

#[test]
fn a_place_that_is_not_on_the_path_has_to_be_named() {
    let mut home = with_profile();
    home.set("PATH", "/usr/bin:/bin");

    let run = home.run(&setup("git work --host git.example.com --write")).expect_code(2);
    let _ = run.expect_said(".local/bin is not on the PATH").expect_said("--bin-dir DIR");
    assert!(!home.path(".gitconfig").exists());

    let bin = home.path("bin");
    let words = format!("git work --host git.example.com --write --bin-dir {}", bin.display());
    let _ = home.run(&setup(&words)).expect_code(0);
    assert!(bin.join("git-credential-vault").is_file());
}

#[test]
fn a_vault_in_another_place_is_named_in_the_lines() {
    let home = with_profile();
    let other = home.path("other");
    fs::rename(home.vault_dir(), &other).unwrap();
    let other = other.to_str().unwrap();

    let lines = home.run(&["setup", "git", "work", "--host", "a.example", "--vault-dir", other]).answer();
    assert!(lines.contains(&format!("helper = vault --vault-dir {other} --profile work")), "{lines}");
    let lines = home.run(&["setup", "msmtp", "work", "--vault-dir", other]).answer();
    assert!(lines.contains(&format!("\"vault --vault-dir {other} token work\"")), "{lines}");
    let index = "sparse+https://crates.example.com/";
    for words in [&["docker", "--host", "gcr.io"][..], &["cargo", "--registry", "corp", "--index", index]] {
        let typed = [&["setup"], words, &["-p", "work", "--vault-dir", other]].concat();
        let run = home.run(&typed).expect_code(0).expect_said("set VAULT_DIR");
        assert!(!run.stdout.contains(other), "its helper takes no such option: {}", run.stdout);
    }
}

#[test]
fn on_a_terminal_the_answer_no_changes_nothing() {
    let home = with_profile();
    let before = everything(&home);
    let mut session = on_terminal(&home, "git work --host git.example.com --write");

    session.exp_string("helper = vault --profile work").unwrap();
    session.exp_string("Do this? [y/N]").unwrap();
    session.send_line("n").unwrap();
    session.exp_string("nothing was changed").unwrap();
    session.process().wait().unwrap();

    assert_eq!(everything(&home), before);

    let mut session = on_terminal(&home, "git work --host git.example.com --write");
    session.exp_string("Do this? [y/N]").unwrap();
    session.send_line("y").unwrap();
    session.process().wait().unwrap();
    assert!(read(&home, ".gitconfig").contains("helper = vault --profile work"));
}

#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    with_own_mounts(|| {
        let home = with_profile();
        let file = "etc/gitconfig";
        put(&home.path(file), "[a]\n");
        let disk = Disk::under(&home.path("etc"));
        disk.leave_pages(0);
        let words = format!("git work --host git.example.com --write --file {}", home.path(file).display());

        let _ = home.run(&setup(&words)).expect_code(10).expect_said("hint: free some space");

        assert_eq!(read(&home, file), "[a]\n");
        assert_eq!(fs::read_dir(home.path("etc")).unwrap().count(), 1);

        disk.forbid_writing();
        let _ = home.run(&setup(&words)).expect_code(10);
        assert_eq!(read(&home, file), "[a]\n");
        assert_eq!(
            (hosts(&home), links(&home)),
            (json!({}), vec!["vault".to_owned()]),
            "nothing has been done"
        );

        disk.mend();
        let _ = home.run(&setup(&words)).expect_code(0);
        assert!(read(&home, file).contains("helper = vault"));
    });
}

#[test]
fn nothing_in_the_current_directory_is_run() {
    let mut home = with_profile();
    put(&home.path("kubectl"), "#!/bin/sh\ntouch ran\n");
    fs::set_permissions(home.path("kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
    home.set("PATH", &format!(".::{}", home.path(".local/bin").display()));

    let _ = home.run(&setup("kubectl work --write")).expect_code(7).expect_said("kubectl, which writes it");

    assert!(!home.path("ran").exists());
}

#[test]
fn kubectl_writes_its_own_file_after_the_change_was_shown() {
    if !have(&["kubectl"]) {
        return;
    }
    let home = with_profile();
    let existing = "apiVersion: v1\nkind: Config\nusers:\n- name: other\n  user:\n    token: theirs\n";
    put(&home.path(".kube/config"), existing);

    let run = home.run(&setup("kubectl work --write")).expect_code(0);
    let _ = run.expect_said("+      command: kubectl-credential-vault").expect_unsaid("theirs");

    assert_eq!(copies(&home, ".kube/config"), [existing]);
    let config = kube_config(&home);
    let user = |name: &str| config["users"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned();
    assert_eq!(user("other").unwrap()["user"]["token"], "theirs");
    let exec = user("vault-work").unwrap()["user"]["exec"].clone();
    assert_eq!(exec["args"], json!(["--profile", "work"]));
    let _ = home.run(&setup("kubectl work --write")).expect_code(0).expect_said("nothing is to be changed");

    let _ = home.run(&setup("kubectl work --undo")).expect_code(0);

    let config = kube_config(&home);
    assert_eq!(config["users"].as_array().unwrap().len(), 1);
    assert_eq!(links(&home), ["vault"]);
    assert_eq!(
        fs::read_dir(home.path("run/vault"))
            .unwrap()
            .filter(|it| it.as_ref().unwrap().path().is_dir())
            .count(),
        0
    );
}

fn kube_config(home: &Home) -> Value {
    let mut command = Command::new("kubectl");
    home.prepare(&mut command);
    let shown = command.args(["config", "view", "--raw", "--output=json"]).output().unwrap();
    serde_json::from_slice(&shown.stdout).unwrap()
}

/// A vault with a profile of google that has not been logged in, and `vault` on the path, in `~/.local/bin`.
pub fn with_profile() -> Home {
    let mut home = Home::new();
    let path = std::env::var("PATH").unwrap();
    home.set("PATH", &format!("{}:{path}", home.path(".local/bin").display()));
    fs::create_dir_all(home.path(".local/bin")).unwrap();
    symlink(VAULT, home.path(".local/bin/vault")).unwrap();
    let _ = home.run(&add("work")).expect_code(0);
    home
}

fn add(name: &str) -> [&str; 10] {
    let client = "--client-id desktop --client-auth none --flow none --account me@work.example";
    let mut words = ["add-profile", name].into_iter().chain(client.split(' '));
    std::array::from_fn(|_| words.next().unwrap())
}

pub fn setup(words: &str) -> Vec<&str> {
    std::iter::once("setup").chain(words.split(' ')).collect()
}

/// Every file and link of the home outside of the vault's own places, and what is in it.
fn everything(home: &Home) -> Vec<(PathBuf, Vec<u8>)> {
    let ours = ["data", "state", "cache", "run"].map(|it| home.path(it));
    let files = home.files("").into_iter().filter(|path| !ours.iter().any(|it| path.starts_with(it)));
    files.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
}

pub fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub fn read(home: &Home, name: &str) -> String {
    fs::read_to_string(home.path(name)).unwrap()
}

/// What is in the copies beside a file.
fn copies(home: &Home, file: &str) -> Vec<String> {
    let path = home.path(file);
    let begin = format!("{}.vault-backup-", path.file_name().unwrap().to_str().unwrap());
    let is_copy = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&begin);
    let beside = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let private = |path: PathBuf| {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o077, 0);
        fs::read_to_string(path).unwrap()
    };
    beside.filter(is_copy).map(private).collect()
}

fn links(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.path(".local/bin")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What the profile `work` is bound to.
fn hosts(home: &Home) -> Value {
    let document: Value = serde_json::from_slice(&fs::read(home.profile("work")).unwrap()).unwrap();
    document.get("hosts").cloned().unwrap_or_else(|| json!({}))
}

fn on_terminal(home: &Home, words: &str) -> PtySession {
    let mut command = home.command(&setup(words));
    command.stdin(Stdio::inherit());
    rexpect::session::spawn_command(command, Some(60_000)).unwrap()
}

/// Panics unless a tool has ended well; what it says.
#[track_caller]
pub fn said(mut command: Command) -> String {
    let run = Run::of(&[], command.output().unwrap());
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    run.stdout
}
