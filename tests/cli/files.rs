//! What may lie in the directories of a vault beside what the program wrote there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::provider::Endpoint;
use crate::scene::{Scene, documents, read};

#[test]
fn a_profile_that_is_no_document_refuses_and_the_others_go_on() {
    let scene = Scene::new();
    let work = scene.home.profile("work");
    let text = fs::read_to_string(&work).unwrap();
    let nested = format!("{{\"a\":{}", "[".repeat(100_000));
    let closed = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let conflict = text.replacen('\n', "\n<<<<<<< HEAD\n", 1);
    let cases: [(&str, Vec<u8>); 12] = [
        ("line 1", Vec::new()),
        ("line 1", b"\0".repeat(4096)),
        ("line 1", b"\xef\xbb\xbf".iter().copied().chain(text.bytes()).collect()),
        ("line 1", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("strict JSON", text.replace("me@", "\u{1}@").into_bytes()),
        ("strict JSON", [text.as_bytes(), b"\xff"].concat()),
        ("strict JSON", text.replace("me@", "\\ud800@").into_bytes()),
        ("too deep", nested.into_bytes()),
        ("too deep", closed.into_bytes()),
        ("unresolved merge conflict", conflict.into_bytes()),
        ("larger than 1 MiB", [text.as_bytes(), &b" ".repeat(1024 * 1024)].concat()),
        ("not a JSON object", b"[]".to_vec()),
    ];

    for (says, bytes) in cases {
        fs::write(&work, &bytes).unwrap();

        scene.home.run(&["token", "work"]).expect_code(6).expect_said(says).expect_unsaid("me@");
        scene.home.run(&["rename", "work", "new"]).expect_code(6);
        scene.home.run(&["token", "other"]).expect_code(0);
        let listed = scene.home.run(&["list"]).answer();
        assert!(listed.contains("work") && listed.contains("other@example.com"), "{listed}");
        assert!(fs::read(&work).unwrap() == bytes, "nothing is repaired or removed");
    }
}

#[test]
fn a_document_of_two_gibibytes_is_not_read() {
    let scene = Scene::new();
    let work = scene.home.profile("work");
    fs::OpenOptions::new().write(true).open(&work).unwrap().set_len(2 << 30).unwrap();

    // Less memory than the file is long: reading it would fail in another way.
    let mut limited = std::process::Command::new("sh");
    scene.home.prepare(&mut limited);
    limited.args(["-c", "ulimit -v 1000000; exec \"$0\" token work", crate::home::VAULT]);
    let output = limited.output().unwrap();

    assert_eq!(output.status.code(), Some(6), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("larger than any document"));
    scene.home.run(&["list"]).expect_code(0);
}

#[test]
fn what_is_no_plain_file_is_no_document_and_nothing_waits_for_it() {
    let scene = Scene::new();
    let home = &scene.home;
    let (work, real) = (home.profile("work"), home.path("real.json"));
    fs::rename(&work, &real).unwrap();
    let mut sockets = Vec::new();

    for kind in ["link", "dangling link", "fifo", "directory", "device", "socket"] {
        match kind {
            "link" => symlink(&real, &work).unwrap(),
            "dangling link" => symlink("/nowhere/at/all", &work).unwrap(),
            "fifo" => make_fifo(&work),
            "directory" => fs::create_dir(&work).unwrap(),
            "device" => symlink("/dev/zero", &work).unwrap(),
            _ => sockets.push(UnixListener::bind(&work).unwrap()),
        }

        home.run(&["token", "work"]).expect_code(6);
        home.run(&["edit", "work", "--set", "X=client_id"]).expect_code(6);
        home.run(&["token", "other"]).expect_code(0);
        home.run(&["list"]).expect_code(0);

        if work.is_dir() { fs::remove_dir(&work).unwrap() } else { fs::remove_file(&work).unwrap() }
    }
    fs::rename(&real, &work).unwrap();
    home.run(&["token", "work"]).expect_code(0);
}

#[test]
fn a_manifest_or_client_that_is_no_plain_file_is_refused() {
    let scene = Scene::new();
    let client = scene.client();
    for path in [scene.home.vault_dir().join("vault.json"), client] {
        let real = scene.home.path("real.json");
        fs::rename(&path, &real).unwrap();
        symlink(&real, &path).unwrap();
        scene.home.run(&["token", "work", "--refresh"]).expect_code(6).expect_said("symbolic link");
        fs::remove_file(&path).unwrap();
        make_fifo(&path);
        scene.home.run(&["token", "work", "--refresh"]).expect_code(6).expect_said("not a plain file");
        fs::remove_file(&path).unwrap();
        fs::rename(&real, &path).unwrap();
    }
    scene.home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_vault_that_others_can_write_to_is_refused_with_the_command_that_helps() {
    let scene = Scene::new();
    let dir = scene.home.vault_dir();
    let asked = scene.provider.count(Endpoint::Token);

    for mode in [0o777, 0o770, 0o702] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        for command in [&["token", "work", "--refresh"][..], &["list"], &["init"], &["add-profile", "x"]] {
            let said = format!("chmod go-w {}", dir.display());
            scene.home.run(command).expect_code(6).expect_said(&said);
        }
    }
    for mode in [0o755, 0o700, 0o500] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        scene.home.run(&["token", "work"]).expect_code(0);
    }

    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(scene.provider.count(Endpoint::Token), asked);
}

#[test]
fn a_folder_of_the_vault_that_others_can_write_to_is_refused_with_the_command_that_helps() {
    let scene = Scene::new();
    let asked = scene.provider.count(Endpoint::Token);

    for folder in ["profiles", "clients", "locks"] {
        let folder = scene.home.vault_dir().join(folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        let said = format!("chmod go-w {}", folder.display());
        scene.home.run(&["token", "work", "--refresh"]).expect_code(6).expect_said(&said);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        scene.home.run(&["verify"]).expect_code(0);
    }

    assert_eq!(scene.provider.count(Endpoint::Token), asked);
}

#[test]
fn nobody_is_led_to_a_browser_for_a_vault_whose_folders_others_can_write_to() {
    let scene = Scene::new();
    let asked = scene.provider.count(Endpoint::Authorize);

    for folder in ["profiles", "clients", "locks"] {
        let folder = scene.home.vault_dir().join(folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        let said = format!("chmod go-w {}", folder.display());
        scene.home.consent(&["login", "work", "--no-browser"]).expect_code(6).expect_said(&said);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    }

    assert_eq!(scene.provider.count(Endpoint::Authorize), asked);
}

#[test]
fn a_copy_of_a_profile_names_both() {
    let scene = Scene::new();
    fs::copy(scene.home.profile("work"), scene.home.profile("copy")).unwrap();

    scene
        .home
        .run(&["token", "copy"])
        .expect_code(6)
        .expect_said("profile `copy` says that its name is `work`");
    scene.home.run(&["verify"]).expect_code(6).expect_said("`copy`");
    scene.home.run(&["token", "work", "--refresh"]).expect_code(0);
    // From then on it is the older half of a rename, and counts as gone.
    let gone = scene.home.run(&["token", "copy"]).expect_code(3);
    assert!(!gone.stderr.contains("did you mean `copy`"), "{gone:?}");
}

#[test]
fn odd_names_are_left_alone() {
    let scene = Scene::new();
    let profiles = scene.home.vault_dir().join("profiles");
    let long = format!("{}.json", "a".repeat(250));
    let names = [
        "a\nb.json",
        "-p.json",
        "..json",
        ".json",
        ".hidden.json",
        "Work.json",
        "work.JSON",
        "work.json~",
        "work (conflict).json",
        "e\u{301}.json",
        "\u{e9}.json",
        "\u{202e}evil.json",
        "a b.json",
        "x.json.tmp",
        ".DS_Store",
        "notes.txt",
        &long,
    ];
    for name in names {
        fs::write(profiles.join(name), "odd").unwrap();
    }
    let not_utf8 = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff.json".as_slice());
    fs::write(profiles.join::<&std::ffi::OsStr>(not_utf8), "odd").unwrap();
    fs::create_dir(profiles.join("folder")).unwrap();
    let before = odd_files(&profiles);

    let listed: serde_json::Value =
        serde_json::from_str(&scene.home.run(&["list", "--json"]).answer()).unwrap();
    let names: Vec<&str> = listed["profiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|profile| profile["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["other", "work"]);
    scene.home.run(&["token", "work", "--refresh"]).expect_code(0);
    for command in ["list", "status"] {
        scene.home.run(&[command]).expect_code(0).expect_unsaid("ignored");
    }
    let verified = scene.home.run(&["verify"]).expect_code(0).expect_said("are ignored: profiles/");
    assert_eq!(verified.stderr.matches("ignored").count(), 1, "{}", verified.stderr);
    assert!(verified.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", verified.stderr);
    scene.home.run(&["rename", "work", "new"]).expect_code(0);
    scene.home.run(&["remove", "new", "--yes"]).expect_code(0);

    assert_eq!(odd_files(&profiles), before);
}

#[test]
fn what_our_own_writers_leave_is_no_stranger() {
    let scene = Scene::new();
    let profiles = scene.home.vault_dir().join("profiles");
    for name in ["work.json.tmp", "gone.json.next", "work.json.next.unread-00112233445566778899aabbccddeeff"]
    {
        fs::write(profiles.join(name), "x").unwrap();
    }

    scene.home.run(&["verify"]).expect_code(0).expect_unsaid("ignored");
    fs::write(profiles.join("notes.next"), "x").unwrap();
    scene.home.run(&["verify"]).expect_code(0).expect_said("are ignored: profiles/notes.next\n");
}

#[test]
fn a_lock_that_is_no_plain_file_ends_before_anything_is_sent() {
    let scene = Scene::new();
    let home = &scene.home;
    let id = read(&home.profile("work"))["id"].as_str().unwrap().to_owned();
    let asked = scene.provider.count(Endpoint::Token);

    for name in ["vault.lock".to_owned(), format!("{id}.lock")] {
        let lock = home.vault_dir().join("locks").join(name);
        let _ = fs::remove_file(&lock);
        let target = home.path("target");

        symlink(&target, &lock).unwrap();
        home.run(&["token", "work", "--refresh"]).expect_code(10).expect_said("lock file");
        assert!(!target.exists(), "a link is not followed");
        fs::remove_file(&lock).unwrap();

        fs::create_dir(&lock).unwrap();
        home.run(&["token", "work", "--refresh"]).expect_code(10).expect_said("lock file");
        fs::remove_dir(&lock).unwrap();
    }

    assert_eq!(scene.provider.count(Endpoint::Token), asked);
    home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_missing_manifest_is_never_made_anew() {
    let scene = Scene::new();
    let home = &scene.home;
    let manifest = home.vault_dir().join("vault.json");
    let kept = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let before = documents(home);

    for command in [
        &["token", "work"][..],
        &["list"],
        &["status"],
        &["init"],
        &["add-profile", "new", "--client", "x", "--flow", "none"],
    ] {
        home.run(command).expect_code(6).expect_said("vault.json");
    }

    assert!(documents(home) == before);
    fs::write(&manifest, kept).unwrap();
    home.run(&["token", "work"]).expect_code(0);
}

#[test]
fn every_file_and_folder_is_private() {
    let scene = Scene::new();
    scene.home.run(&["token", "work", "--refresh"]).expect_code(0);
    for folder in ["data/vault", "cache/vault", "state/vault"] {
        check_private(&scene.home.path(folder));
    }
}

fn check_private(path: &Path) {
    let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| check_private(&entry.unwrap().path()));
    }
}

fn odd_files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| !path.ends_with("work.json") && !path.ends_with("new.json")).count()
}

fn make_fifo(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
}
