//! `vault backup`: one age file that holds everything, proven before it counts.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::disk::{Disk, with_own_mounts};
use crate::expiry::{Snapshot, expired, finish, start, start_and_hold, strays};
use crate::forge;
use crate::home::{Home, write_identity};
use crate::kills::{Subject, alone, outline};
use crate::outside;
use crate::provider::{Config, Endpoint, Fault, Provider};
use crate::scene::{Scene, edit, read};
use crate::slots::{expect_end, on_terminal, plugin_home};
use crate::tree::stored;

const PASSPHRASE: &str = "correct horse battery";

/// The public half of the identity in the file at `path`.
pub fn recipient_of(path: &Path) -> String {
    let identity: age::x25519::Identity = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
    identity.to_public().to_string()
}

/// What is in the backup at `path`, opened with the identity of `home`.
pub fn content(home: &Home, path: &Path) -> Value {
    let identity: age::x25519::Identity =
        std::fs::read_to_string(home.path("identity.txt")).unwrap().trim().parse().unwrap();
    let file = std::fs::read(path).unwrap();
    let mut text = String::new();
    let opened =
        age::Decryptor::new(&file[..]).unwrap().decrypt(std::iter::once(&identity as &dyn age::Identity));
    opened.unwrap().read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// `vault backup` of the vault in `home`, to its own identity. The path of the file.
pub fn back_up(home: &Home) -> std::path::PathBuf {
    let recipient = recipient_of(&home.path("identity.txt"));
    let _ = home.run(&["backup", "backup.age", "--recipient", &recipient]).expect_code(0);
    home.path("backup.age")
}

#[test]
fn the_age_program_alone_opens_a_backup_and_finds_the_key_and_every_document_as_it_stands() {
    if !outside::have(&["age"]) {
        return;
    }
    let Scene { home, .. } = Scene::new();
    let recipient = recipient_of(&home.path("identity.txt"));

    let said = home.run(&["backup", "backup.age", "--recipient", &recipient]).expect_code(0);

    said.expect_said("opened again and compared");
    let mut age = Command::new("age");
    let output = age.args(["-d", "-i"]).args([home.path("identity.txt"), home.path("backup.age")]).output();
    let output = output.unwrap();
    let content: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(content["format"], "vault-backup/1");
    use age::secrecy::ExposeSecret;
    assert_eq!(content["key"], forge::vault_key(&home).to_string().expose_secret());
    let documents = content["documents"].as_array().unwrap();
    for document in documents {
        let path = home.vault_dir().join(format!("{}.json", document["name"].as_str().unwrap()));
        assert_eq!(document["text"], std::fs::read_to_string(path).unwrap());
    }
    let names: Vec<&str> = documents.iter().map(|document| document["name"].as_str().unwrap()).collect();
    assert_eq!(names[0], "vault");
    assert_eq!(
        names.len(),
        home.files("data/vault")
            .iter()
            .filter(|path| path.extension().is_some_and(|it| it == "json"))
            .count()
    );
}

#[test]
fn a_backup_is_private_changes_nothing_and_never_takes_the_place_of_a_file() {
    use std::os::unix::fs::MetadataExt;
    let Scene { home, .. } = Scene::new();
    let before = stored(&home);

    let file = back_up(&home);

    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(stored(&home), before);
    let first = std::fs::read(&file).unwrap();
    let recipient = recipient_of(&home.path("identity.txt"));
    let again = ["backup", "backup.age", "--recipient", &recipient];
    home.run(&again).expect_code(2).expect_said("exists already").expect_said("nothing is ever overwritten");
    assert_eq!(std::fs::read(&file).unwrap(), first);
    std::os::unix::fs::symlink("nowhere", home.path("link.age")).unwrap();
    home.run(&["backup", "link.age", "--recipient", &recipient]).expect_code(2).expect_said("exists already");
    home.run(&["backup", "-"]).expect_code(2).expect_said("goes into a file");
}

#[test]
fn a_backup_to_an_identity_that_is_elsewhere_says_that_opening_was_not_proven() {
    let Scene { home, .. } = Scene::new();
    write_identity(&home.path("recovery.txt"));
    let recovery = recipient_of(&home.path("recovery.txt"));

    let elsewhere = home.run(&["backup", "one.age", "-r", &recovery, "--json"]).answer();
    let own = recipient_of(&home.path("identity.txt"));
    let both = home.run(&["backup", "two.age", "-r", &recovery, "-r", &own, "--json"]).answer();
    home.run(&["backup", "three.age", "-r", &recovery]).expect_code(0).expect_said("was not proven");

    let summary = |answer: &str| serde_json::from_str::<Value>(answer).unwrap()["backup"].clone();
    assert_eq!(summary(&elsewhere)["opened"], false);
    assert_eq!(summary(&both)["opened"], true);
    assert_eq!(summary(&both)["profiles"], 2);
    for wrong in ["age1nonsense", "me@example.org", "AGE-SECRET-KEY-1CANARY"] {
        let _ = home.run(&["backup", "four.age", "-r", wrong]).expect_code(2).expect_unsaid("CANARY");
    }
    assert!(!home.path("four.age").exists());
}

#[test]
fn a_backup_without_a_recipient_is_sealed_with_a_passphrase_that_is_not_short() {
    let Scene { mut home, .. } = Scene::new();
    home.run(&["backup", "backup.age"]).expect_code(4).expect_said("--recipient");
    let file = home.write("passphrase", "short");
    home.set("VAULT_PASSPHRASE_FILE", file.to_str().unwrap());
    home.run(&["backup", "backup.age"]).expect_code(2).expect_said("fewer than 8 characters");
    assert!(!home.path("backup.age").exists());
    home.write("passphrase", PASSPHRASE);

    home.run(&["backup", "backup.age"]).expect_code(0).expect_said("opened again and compared");

    let text = std::fs::read(home.path("backup.age")).unwrap();
    assert!(text.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    assert!(String::from_utf8_lossy(&text[..200]).contains(" 18\n"), "as much work as a key slot");
}

#[test]
fn a_damaged_document_is_named_and_there_is_no_backup() {
    let Scene { home, .. } = Scene::new();
    edit(&home.profile("other"), |other| other["provider"] = "somewhere".into());
    let recipient = recipient_of(&home.path("identity.txt"));

    home.run(&["backup", "backup.age", "-r", &recipient]).expect_code(6).expect_said("profile `other`");

    assert!(!home.path("backup.age").exists());
    assert_eq!(read(&home.profile("other"))["provider"], "somewhere");
}

#[test]
fn a_backup_that_is_killed_anywhere_leaves_a_whole_file_or_none_and_is_simply_run_again() {
    let provider = Provider::start(Config::default());
    let home = Home::in_memory();
    home.add_profile(&provider, "work").expect_code(0);
    let recipient = recipient_of(&home.path("identity.txt"));
    let file = home.path("data/backup.age");
    let arguments = ["backup", file.to_str().unwrap(), "--recipient", &recipient];
    let (before, documents) = (Snapshot::of(&home), stored(&home));
    let subject =
        Subject { home: &home, arguments: &arguments, prepare: &|| before.restore(&home), run: alone };

    let mut seen = BTreeSet::new();
    let tally = subject.kill_at_changes(|step| {
        let was_made = file.exists();
        if !seen.insert(outline(&before, &home)) {
            let _ = std::fs::remove_file(&file);
            return;
        }
        let again = home.run(&arguments);
        assert_eq!(again.code, if was_made { 2 } else { 0 }, "{step:?}: {again:?}");
        assert_eq!(content(&home, &file)["documents"].as_array().unwrap().len(), 3, "{step:?}");
        if !was_made {
            assert_eq!(strays(&home), std::slice::from_ref(&file), "{step:?}");
        }
        std::fs::remove_file(&file).unwrap();
        let mut now = stored(&home);
        now.retain(|path, _| !path.ends_with(".backup.age.vault-part"));
        assert!(now == documents, "{step:?}");
    });
    eprintln!("kills of vault backup: {tally:?}, {} states", seen.len());
    assert!(tally.is_none_or(|tally| tally.killed >= 8), "too few to be true");
}

#[test]
fn a_full_disk_leaves_no_backup_and_says_so() {
    with_own_mounts(|| {
        let Scene { home, .. } = Scene::new();
        std::fs::create_dir(home.path("disk")).unwrap();
        // A tmpfs of no size would have no bound.
        home.write("disk/other", "something");
        let disk = Disk::under(&home.path("disk"));
        let recipient = recipient_of(&home.path("identity.txt"));
        let backup = |pages| {
            disk.leave_pages(pages);
            let run = home.run(&["backup", "disk/backup.age", "-r", &recipient]);
            disk.mend();
            let left: Vec<_> =
                home.files("disk").iter().filter_map(|path| Some(path.file_name()?.to_owned())).collect();
            if run.code != 0 {
                assert!(
                    !left.iter().any(|name| name.to_str().unwrap().contains("backup")),
                    "{left:?} {run:?}"
                );
                assert!(
                    run.stderr.contains("nothing was sent") || run.stderr.contains("free some space"),
                    "{run:?}"
                );
            } else {
                assert_eq!(
                    content(&home, &home.path("disk/backup.age"))["documents"].as_array().unwrap().len(),
                    4
                );
                std::fs::remove_file(home.path("disk/backup.age")).unwrap();
            }
            run.code
        };
        let codes: BTreeSet<i32> = (0..12).map(backup).collect();
        assert_eq!(codes, [0, 10].into());
    });
}

#[test]
fn what_a_killed_writer_has_left_is_in_the_backup() {
    let Scene { home, .. } = Scene::new();
    // A complete successor that was not yet given its name: as a crash leaves it.
    let before = std::fs::read(home.profile("work")).unwrap();
    let _ = home.run(&["edit", "work", "--set", "NEWER=access_token"]).expect_code(0);
    std::fs::rename(home.profile("work"), home.vault_dir().join("profiles/work.json.next")).unwrap();
    std::fs::write(home.profile("work"), before).unwrap();
    let mark = home
        .files("state")
        .into_iter()
        .find(|path| path.file_stem().unwrap().to_str() == read(&home.profile("work"))["id"].as_str());
    std::fs::write(mark.unwrap(), "{\"generation\":1}").unwrap();

    let file = back_up(&home);

    let texts = content(&home, &file)["documents"].to_string();
    assert!(texts.contains("NEWER"), "{texts}");
}

#[test]
fn a_backup_waits_for_a_refresh_and_has_what_it_brought() {
    let (provider, home) = expired();
    let recipient = recipient_of(&home.path("identity.txt"));
    let arguments = ["backup", "backup.age", "--recipient", &recipient];
    let spent = std::fs::read_to_string(home.profile("work")).unwrap();
    provider.script(Endpoint::Token, vec![Fault::Hold]);
    let refresh = start_and_hold(&provider, &home);
    let mut backup = start(&home, &arguments);
    let mut said = BufReader::new(backup.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("Waiting for another vault process"), "{line}");

    provider.release();

    let _ = finish(refresh, &["token", "work"]).expect_code(0);
    std::io::copy(&mut said, &mut std::io::sink()).unwrap();
    let _ = finish(backup, &arguments).expect_code(0);
    let now = std::fs::read_to_string(home.profile("work")).unwrap();
    assert_ne!(now, spent);
    assert_eq!(content(&home, &home.path("backup.age"))["documents"][2]["text"], now);
}

#[test]
fn recipients_of_a_plugin_stand_beside_others() {
    // Bech32 of five zero bytes for the plugin of the tests.
    const OF_THE_PLUGIN: &str = "age1try1qqqqqqqqfmye9f";
    let Some(mut home) = plugin_home() else { return };
    write_identity(&home.path("identity.txt"));
    let own = recipient_of(&home.path("identity.txt"));
    home.run(&["init", "--identity", "identity.txt"]).expect_code(0);

    let said = home.run(&["backup", "both.age", "-r", OF_THE_PLUGIN, "-r", &own]).expect_code(0);
    said.expect_said("opened again and compared");
    home.run(&["backup", "one.age", "-r", OF_THE_PLUGIN]).expect_code(0).expect_said("was not proven");

    for (file, identity) in [("both.age", "identity.txt"), ("one.age", "plugin.txt")] {
        let place = format!("from-{file}");
        home.run(&[
            "restore",
            file,
            "--open-with",
            identity,
            "--identity",
            "identity.txt",
            "--vault-dir",
            &place,
        ])
        .expect_code(0);
    }
    home.run(&["restore", "one.age", "--open-with", "identity.txt", "--vault-dir", "new"])
        .expect_code(4)
        .expect_said("--open-with");
    home.set("TRY_MODE", "error");
    home.run(&["backup", "two.age", "-r", OF_THE_PLUGIN]).expect_code(4).expect_unsaid("\u{1b}");
    assert!(!home.path("two.age").exists());
}

#[test]
fn the_passphrase_of_a_backup_is_typed_twice_and_once_to_open_it() {
    let Scene { home, .. } = Scene::new();
    let mut terminal = on_terminal(&home, &["backup", "backup.age"]);
    for typed in ["short", PASSPHRASE, "something else", PASSPHRASE, PASSPHRASE] {
        terminal.exp_regex("New passphrase of the backup: |again: ").unwrap();
        terminal.send_line(typed).unwrap();
    }
    expect_end(terminal, 0);

    let mut terminal = on_terminal(&home, &["restore", "backup.age", "--vault-dir", "second"]);
    for typed in ["wrong horse", PASSPHRASE] {
        terminal.exp_string("Passphrase of the backup").unwrap();
        terminal.send_line(typed).unwrap();
    }
    expect_end(terminal, 0);
    let _ = home.run(&["verify", "--vault-dir", "second"]).expect_code(0);
}
