//! `vault restore`: a backup becomes a vault again, and nothing else is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::backup::{back_up, content, recipient_of};
use crate::disk::{Disk, with_own_mounts};
use crate::expiry::{Snapshot, state_dir, strays};
use crate::forge;
use crate::home::{Home, make_private};
use crate::kills::{Subject, alone, outline};
use crate::provider::{Config, Provider};
use crate::scene::{Scene, edit, read};

const PASSPHRASE: &str = "correct horse battery";

/// Another machine, which has the backup and the identity that opens it, and no keychain.
fn machine_with(backup: &Path, identity: &Path) -> Home {
    let home = Home::new();
    home.write("backup.age", fs::read(backup).unwrap());
    home.write("recovery.txt", fs::read(identity).unwrap());
    home
}

const RESTORE: [&str; 4] = ["restore", "backup.age", "--open-with", "recovery.txt"];

/// Every secret of both profiles.
fn secrets(home: &Home) -> Vec<String> {
    let all = [
        ("work", "refresh_token"),
        ("work", "api_key"),
        ("work", "client_secret"),
        ("other", "refresh_token"),
    ];
    all.map(|(profile, field)| home.run(&["reveal", profile, field]).answer()).to_vec()
}

fn manifest(home: &Home) -> Value {
    read(&home.vault_dir().join("vault.json"))
}

/// The documents of the vault by their names in it.
fn documents(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let files =
        home.files("data/vault").into_iter().filter(|path| path.extension().is_some_and(|it| it == "json"));
    files
        .map(|path| (path.strip_prefix(home.vault_dir()).unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn a_backup_becomes_a_vault_with_a_new_id_and_a_new_key_on_a_machine_without_keychain() {
    let scene = Scene::new();
    let _ = scene.home.run(&["use", "other"]).expect_code(0);
    let file = back_up(&scene.home);
    let there = machine_with(&file, &scene.home.path("identity.txt"));

    let said = there.run(&RESTORE).expect_code(0);

    said.expect_said("a new vault")
        .expect_said("the first refresh in one of them ends the login in the other");
    let _ = there.run(&["verify"]).expect_code(0).expect_unsaid("first use");
    assert_eq!(secrets(&there), secrets(&scene.home));
    let (old, new) = (manifest(&scene.home), manifest(&there));
    assert_ne!(old["vault"], new["vault"]);
    assert_ne!(old["kid"], new["kid"]);
    assert_eq!(old["default_profile"], new["default_profile"]);
    assert_eq!(new["slots"].as_array().unwrap().len(), 1);
    let old_key = forge::vault_key(&scene.home);
    for path in
        there.files("data/vault").iter().filter(|path| path.extension().is_some_and(|it| it == "json"))
    {
        let document = read(path);
        assert_eq!(document["kid"], new["kid"], "{}", path.display());
        for (_, sealed) in document["secrets"].as_object().into_iter().flatten() {
            let message = age::armor::ArmoredReader::new(sealed.as_str().unwrap().as_bytes());
            let opened = age::Decryptor::new(message)
                .unwrap()
                .decrypt(std::iter::once(&old_key as &dyn age::Identity));
            assert!(opened.is_err(), "{}: the old key opens it", path.display());
        }
    }
    let _ = there.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_passphrase_opens_the_backup_and_unlocks_what_was_restored() {
    let Scene { mut home, .. } = Scene::new();
    let passphrase = home.write("passphrase", PASSPHRASE);
    home.set("VAULT_PASSPHRASE_FILE", passphrase.to_str().unwrap());
    let _ = home.run(&["backup", "backup.age"]).expect_code(0);
    let mut there = Home::bare();
    there.write("backup.age", fs::read(home.path("backup.age")).unwrap());

    there.run(&["restore", "backup.age"]).expect_code(4).expect_said("VAULT_PASSPHRASE_FILE");
    let wrong = there.write("passphrase", "wrong horse battery");
    there.set("VAULT_PASSPHRASE_FILE", wrong.to_str().unwrap());
    there.run(&["restore", "backup.age"]).expect_code(4).expect_said("the passphrase is wrong");
    assert!(there.files("data").is_empty(), "{:?}", there.files("data"));
    there.write("passphrase", PASSPHRASE);
    let answer = there.run(&["restore", "backup.age", "--json"]).answer();

    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["restored"]["unlocked_by"], "passphrase");
    assert_eq!((&answer["restored"]["profiles"], &answer["restored"]["clients"]), (&json!(2), &json!(1)));
    assert_eq!(there.run(&["reveal", "work", "api_key"]).answer(), "api-key-of-work");
}

#[test]
fn fields_and_secrets_that_this_version_does_not_know_are_restored_too() {
    let scene = Scene::new();
    let home = &scene.home;
    edit(&home.profile("work"), |work| {
        let bind = json!({"issuer": "i", "token_endpoint": null, "revocation_endpoint": null, "client_id": null, "client_auth": null});
        work["secrets"]["later_secret"] =
            forge::item(home, work, "later_secret", &bind, "value of later").into();
        work["later"] = json!({"kept": [1, true, null]});
    });
    forge::sign(home, &home.profile("work"));
    let there = machine_with(&back_up(home), &home.path("identity.txt"));

    let _ = there.run(&RESTORE).expect_code(0);

    let work = read(&there.profile("work"));
    assert_eq!(work["later"], json!({"kept": [1, true, null]}));
    let item = forge::open(&forge::vault_key(&there), work["secrets"]["later_secret"].as_str().unwrap());
    let item: Value = serde_json::from_str(&item).unwrap();
    assert_eq!((&item["value"], &item["vault"]), (&json!("value of later"), &manifest(&there)["vault"]));
}

#[test]
fn the_same_vault_comes_back_after_the_loss_of_its_disk_though_it_is_older_than_what_was_seen() {
    let Scene { home, provider, .. } = Scene::new();
    provider.configure(|config| config.rotation = crate::provider::Rotation::None);
    back_up(&home);
    let before = documents(&home);
    let _ = home.run(&["edit", "work", "--set", "A=access_token"]).expect_code(0);
    let _ = home.run(&["remove", "other", "--yes"]).expect_code(0);
    fs::remove_dir_all(home.vault_dir()).unwrap();

    let said = home.run(&["restore", "backup.age", "--same-id"]).expect_code(0);

    said.expect_said("unlocked as it was").expect_said("2 documents are older").expect_said("for the newest");
    assert_eq!(documents(&home), before);
    let _ = home.run(&["verify"]).expect_code(0).expect_unsaid("first use");
    let _ = home.run(&["token", "other", "--refresh"]).expect_code(0);
}

#[test]
fn a_backup_under_a_key_that_was_replaced_here_is_restored_with_a_warning() {
    let Scene { home, .. } = Scene::new();
    back_up(&home);
    let _ = home.run(&["rotate", "key"]).expect_code(0);
    let accepted = manifest(&home)["kid"].as_str().unwrap().to_owned();
    let warning = format!("another vault key than {accepted}, which this machine accepted last");
    for options in [&[][..], &["--same-id"]] {
        fs::remove_dir_all(home.vault_dir()).unwrap();
        home.run(&[&["restore", "backup.age"], options].concat()).expect_code(0).expect_said(&warning);
        let _ = home.run(&["verify"]).expect_code(0);
    }
    fs::remove_dir_all(home.vault_dir()).unwrap();
    home.run(&["restore", "backup.age", "--same-id"]).expect_code(0).expect_unsaid("accepted last");
}

#[test]
fn a_key_that_comes_back_with_a_backup_is_not_among_those_to_be_deleted() {
    let Scene { home, .. } = Scene::new();
    back_up(&home);
    let old = manifest(&home)["kid"].clone();
    let _ = home.run(&["rotate", "key"]).expect_code(0);
    // As a rotation leaves it whose old key could not be deleted from the keychain.
    let pin = state_dir(&home).join("pin.json");
    let mut left = read(&pin);
    left["dropped"] = json!([old, "0".repeat(32)]);
    fs::write(&pin, left.to_string()).unwrap();
    fs::remove_dir_all(home.vault_dir()).unwrap();

    let _ = home.run(&["restore", "backup.age", "--same-id"]).expect_code(0);

    let pin = read(&pin);
    assert_eq!((&pin["kids"], &pin["dropped"]), (&json!([old]), &json!(["0".repeat(32)])));
}

#[test]
fn the_same_vault_gets_a_new_way_in_where_none_of_its_own_opens() {
    let scene = Scene::new();
    let there = machine_with(&back_up(&scene.home), &scene.home.path("identity.txt"));
    // Its own identity opens the backup, and is not there afterwards.
    let _ = scene.home.run(&["key", "list"]).expect_code(0);
    let recovery = there.path("recovery.txt");
    let own = there.path("identity.txt");

    let with_new = [
        "restore",
        "backup.age",
        "--same-id",
        "--open-with",
        recovery.to_str().unwrap(),
        "--identity",
        own.to_str().unwrap(),
    ];
    let _ = there.run(&with_new).expect_code(0).expect_said("unlocked by your age identity");

    fs::remove_file(recovery).unwrap();
    assert_eq!(secrets(&there), secrets(&scene.home));
    let (old, new) = (manifest(&scene.home), manifest(&there));
    assert_eq!((&old["vault"], &old["kid"]), (&new["vault"], &new["kid"]));
    assert_eq!(new["slots"].as_array().unwrap().len(), 2);
    assert_eq!(new["slots"][0], old["slots"][0]);
}

#[test]
fn a_vault_that_lives_on_this_machine_is_not_made_a_second_time() {
    let Scene { home, .. } = Scene::new();
    back_up(&home);
    let second = home.path("second");
    let restore = ["restore", "backup.age", "--same-id", "--vault-dir", second.to_str().unwrap()];

    home.run(&restore).expect_code(7).expect_said("data/vault").expect_said("without `--same-id`");

    assert!(!second.exists());
    fs::remove_file(home.vault_dir().join("vault.json")).unwrap();
    let _ = home.run(&restore).expect_code(0);
}

#[test]
fn nothing_that_stands_in_the_place_is_overwritten() {
    let Scene { home, .. } = Scene::new();
    back_up(&home);
    let before = documents(&home);
    home.run(&["restore", "backup.age"]).expect_code(2).expect_said("there is a vault");
    assert_eq!(documents(&home), before);
    let target = home.path("target");
    let restore = ["restore", "backup.age", "--vault-dir", target.to_str().unwrap()];
    for (folder, file) in
        [("", "notes.txt"), ("profiles", "mine.json"), ("clients", "x"), ("locks", "mine"), ("", ".hidden")]
    {
        fs::create_dir_all(target.join(folder)).unwrap();
        make_private(&target);
        make_private(&target.join(folder));
        fs::write(target.join(folder).join(file), "mine").unwrap();

        home.run(&restore)
            .expect_code(2)
            .expect_said("is not empty")
            .expect_said("nothing is ever overwritten");

        assert_eq!(home.files("target"), [target.join(folder).join(file)]);
        fs::remove_dir_all(&target).unwrap();
    }
    fs::write(&target, "a file").unwrap();
    let _ = home.run(&restore).expect_code(6).expect_said("is not a directory");
    assert_eq!(fs::read(&target).unwrap(), b"a file");
    assert!(!home.path(".target.restoring").exists());
}

#[test]
fn a_link_beside_the_place_leads_to_nothing_that_is_swept() {
    let Scene { home, .. } = Scene::new();
    back_up(&home);
    let before = documents(&home);
    // In a folder such as /tmp, somebody else may have made it.
    let link = home.path(".target.restoring");
    std::os::unix::fs::symlink(home.vault_dir(), &link).unwrap();
    let target = home.path("target");

    home.run(&["restore", "backup.age", "--vault-dir", target.to_str().unwrap()])
        .expect_code(6)
        .expect_said("is a symbolic link");

    assert_eq!(documents(&home), before);
    assert!(link.is_symlink() && !target.exists());
}

#[test]
fn a_place_on_which_a_disk_is_mounted_is_refused_with_a_way_out() {
    let Scene { home, .. } = Scene::new();
    back_up(&home);
    with_own_mounts(|| {
        let target = home.path("target");
        fs::create_dir(&target).unwrap();
        let _disk = Disk::under(&target);
        make_private(&target);
        let restore =
            |place: &Path| home.run(&["restore", "backup.age", "--vault-dir", place.to_str().unwrap()]);

        restore(&target).expect_code(10).expect_said("name a directory in it");

        let _ = restore(&target.join("vault")).expect_code(0);
    });
}

#[test]
fn a_place_where_a_vault_never_came_to_be_is_empty() {
    let Scene { home, .. } = Scene::new();
    back_up(&home);
    let target = home.path("target");
    let there = ["--vault-dir", target.to_str().unwrap()];
    let _ = home.run(&[&["init", "--unlock", "keychain"], &there[..]].concat()).expect_code(4);
    assert!(target.join("locks").exists());

    let _ = home.run(&[&["restore", "backup.age"], &there[..]].concat()).expect_code(0);

    let _ = home.run(&[&["verify"], &there[..]].concat()).expect_code(0);
    assert!(!home.path(".target.restoring").exists());
}

#[test]
fn a_file_that_is_no_good_backup_makes_no_vault() {
    let Scene { home, .. } = Scene::new();
    let good = fs::read(back_up(&home)).unwrap();
    let there = machine_with(&home.path("backup.age"), &home.path("identity.txt"));
    let refuse = |code: i32, content: &[u8], why: &str| {
        there.write("backup.age", content);
        let run = there.run(&RESTORE).expect_code(code).expect_said(why).expect_unsaid("AGE-SECRET-KEY");
        assert!(there.files("data").is_empty(), "{why}: {:?} {run:?}", there.files("data"));
    };

    refuse(6, b"", "no age file");
    refuse(6, b"{\"format\":\"vault-backup/1\"}", "no age file");
    for length in [20, 100, 200, good.len() / 2, good.len() - 1] {
        refuse(6, &good[..length], "damaged or cut off");
    }
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    refuse(6, &changed, "damaged or cut off");
    there.run(&["restore", "no-such-file"]).expect_code(2).expect_said("no-such-file");
    there.run(&["restore", "/dev/zero"]).expect_code(2).expect_said("not a regular file");
    fs::File::create(there.path("backup.age")).unwrap().set_len(1 << 40).unwrap();
    let _ = there.run(&RESTORE).expect_code(2).expect_said("larger than");
    there.write("backup.age", &good);
    there.run(&["restore", "backup.age"]).expect_code(4).expect_said("--open-with FILE");
}

#[test]
fn what_is_in_a_backup_is_held_to_all_that_a_vault_is_held_to() {
    let Scene { home, .. } = Scene::new();
    back_up(&home);
    let there = machine_with(&home.path("backup.age"), &home.path("identity.txt"));
    let recipient = recipient_of(&home.path("identity.txt"));
    let content = content(&home, &home.path("backup.age"));
    let seal = |text: &str| {
        there.write("backup.age", forge::seal(&recipient.parse().unwrap(), text.as_bytes()));
        let run = there.run(&RESTORE);
        assert!(run.code == 0 || there.files("data").is_empty(), "{:?}", there.files("data"));
        assert!(!run.stderr.contains("AGE-SECRET-KEY"), "{run:?}");
        run
    };
    let refuse = |code: i32, why: &str, change: &dyn Fn(&mut Value)| {
        let mut content = content.clone();
        change(&mut content);
        seal(&content.to_string()).expect_code(code).expect_said(why);
    };

    refuse(6, "holds no backup", &|it| it["format"] = "vault-profile/1".into());
    refuse(14, "newer version", &|it| it["format"] = "vault-backup/2".into());
    refuse(6, "not hold the strict JSON", &|it| it["unknown"] = true.into());
    refuse(6, "holds no vault key", &|it| it["key"] = "AGE-SECRET-KEY-1QQQQ".into());
    refuse(6, "of another vault key", &|it| it["key"] = another_key().into());
    refuse(6, "of another vault", &|it| it["vault"] = "0".repeat(32).into());
    for name in ["../../../x", "profiles/../x", "profiles/A", "locks/vault.lock", "vault.json"] {
        refuse(6, "which is none", &|it| it["documents"][2]["name"] = name.into());
    }
    refuse(6, "twice", &|it| it["documents"][3]["name"] = it["documents"][2]["name"].clone());
    refuse(6, "its name is another one", &|it| it["documents"][2]["name"] = "profiles/elsewhere".into());
    refuse(6, "its `format` is missing", &|it| it["documents"][1]["name"] = "profiles/client".into());
    refuse(6, "holds no manifest", &|it| drop(it["documents"].as_array_mut().unwrap().remove(0)));
    refuse(6, "MAC does not match", &|it| replace(it, "example.com", "example.org"));
    refuse(14, "newer version", &|it| replace(it, "vault-profile/1", "vault-profile/2"));
    refuse(6, "larger than 1 MiB", &|it| it["documents"][2]["text"] = " ".repeat(2 << 20).into());
    refuse(6, "not strict JSON", &|it| it["documents"][2]["text"] = "[".repeat(10_000).into());
    for text in
        ["", "[]", "null", "{", &"[".repeat(1 << 20), &format!("{{\"format\":{}", "{\"a\":".repeat(100_000))]
    {
        seal(text).expect_code(6).expect_said("strict JSON");
    }
    let key = content["key"].as_str().unwrap().parse().unwrap();
    refuse(6, "more than 32 key slots", &|it| {
        let mut manifest: Value = serde_json::from_str(it["documents"][0]["text"].as_str().unwrap()).unwrap();
        manifest["slots"] = vec![manifest["slots"][0].clone(); 33].into();
        forge::sign_with(&key, &mut manifest);
        it["documents"][0]["text"] = manifest.to_string().into();
    });
    let twice = content.to_string().replacen('{', "{\"vault\":\"x\",", 1);
    seal(&twice).expect_code(6).expect_said("strict JSON");
    let _ = seal(&content.to_string()).expect_code(0);
}

fn another_key() -> String {
    use age::secrecy::ExposeSecret;
    age::x25519::Identity::generate().to_string().expose_secret().to_owned()
}

/// In the text of the first profile.
fn replace(content: &mut Value, from: &str, to: &str) {
    let text = content["documents"][2]["text"].as_str().unwrap();
    assert!(text.contains(from));
    content["documents"][2]["text"] = text.replace(from, to).into();
}

/// A home in memory that has a backup of one profile, and no vault.
fn after_the_loss() -> Home {
    let provider = Provider::start(Config::default());
    let home = Home::in_memory();
    home.add_profile(&provider, "work").expect_code(0);
    let recipient = recipient_of(&home.path("identity.txt"));
    let _ = home.run(&["backup", "backup.age", "--recipient", &recipient]).expect_code(0);
    fs::remove_dir_all(home.vault_dir()).unwrap();
    home
}

fn killed_anywhere(arguments: &[&str]) {
    let home = after_the_loss();
    let lost = Snapshot::of(&home);
    let subject = Subject {
        home: &home,
        arguments,
        prepare: &|| {
            lost.restore(&home);
            for folder in ["data/vault", "data/.vault.restoring"] {
                let _ = fs::remove_dir_all(home.path(folder));
            }
        },
        run: alone,
    };
    let mut seen = BTreeSet::new();
    let tally = subject.kill_at_changes(|step| {
        if !seen.insert(outline(&lost, &home)) {
            return;
        }
        let was_made = home.vault_dir().join("vault.json").exists();
        let seen = home.run(&["list"]).code;
        assert_eq!(seen, if was_made { 0 } else { 3 }, "{step:?}");
        let again = home.run(arguments);
        assert_eq!(again.code, if was_made { 2 } else { 0 }, "{step:?}: {again:?}");
        if was_made {
            let verified = home.run(&["verify"]);
            assert_eq!(verified.code, 0, "{step:?}: {verified:?}");
        }
        assert!(!home.path("data/.vault.restoring").exists(), "{step:?}");
        assert_eq!(documents(&home).len(), 3, "{step:?}");
        assert!(
            strays(&home).iter().all(|path| !path.starts_with(home.path("data"))),
            "{step:?}: {:?}",
            strays(&home)
        );
    });
    eprintln!("kills of vault {}: {tally:?}, {} states", arguments.join(" "), seen.len());
    assert!(tally.is_none_or(|tally| tally.killed >= 40), "too few to be true");
}

#[test]
fn a_restore_that_is_killed_anywhere_leaves_a_whole_vault_or_none_and_is_simply_run_again() {
    killed_anywhere(&["restore", "backup.age"]);
}

#[test]
fn a_restore_of_the_same_vault_that_is_killed_anywhere_is_simply_run_again() {
    killed_anywhere(&["restore", "backup.age", "--same-id"]);
}

#[test]
fn a_full_disk_leaves_nothing_of_a_vault_that_was_to_be_restored() {
    with_own_mounts(|| {
        let home = after_the_loss();
        // A tmpfs of no size would have no bound.
        home.write("data/other", "something");
        let disk = Disk::under(&home.path("data"));
        let restore = |pages| {
            disk.leave_pages(pages);
            let run = home.run(&["restore", "backup.age"]);
            disk.mend();
            if run.code == 0 {
                let _ = home.run(&["verify"]).expect_code(0);
                fs::remove_dir_all(home.vault_dir()).unwrap();
            }
            let left = home.files("data");
            assert!(left.iter().all(|path| path.parent() == Some(&home.path("data"))), "{left:?} {run:?}");
            run.code
        };
        let codes: BTreeSet<i32> = (0..24).map(restore).collect();
        assert_eq!(codes, [0, 10].into());
    });
}
