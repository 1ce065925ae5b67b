//! Documents that come back: older ones, removed ones, and a whole vault from a backup.

use std::fs;

use serde_json::Value;

use crate::injection::{self, Call, Fate, Tracer};
use crate::scene::{Scene, documents, read, restore};

#[test]
fn an_older_copy_is_accepted_only_on_demand() {
    let scene = Scene::new();
    let home = &scene.home;
    let old = fs::read(home.profile("work")).unwrap();
    home.run(&["token", "work", "--refresh"]).expect_code(0);

    fs::write(home.profile("work"), &old).unwrap();
    home.run(&["token", "work"]).expect_code(6).expect_said("vault verify --accept-rollback");
    home.run(&["token", "other"]).expect_code(0);
    home.run(&["verify", "--accept-rollback"]).expect_code(0);

    home.run(&["token", "work"]).expect_code(0);
}

#[test]
fn a_restored_vault_is_accepted_as_a_whole() {
    let scene = Scene::new();
    let home = &scene.home;
    let old = documents(home);
    home.run(&["use", "other"]).expect_code(0);
    home.run(&["remove", "work", "--yes"]).expect_code(0);

    restore(home, &old);
    home.run(&["token", "work"]).expect_code(6).expect_said("vault verify --accept-rollback");
    home.run(&["verify"]).expect_code(6);
    home.run(&["verify", "--accept-rollback"]).expect_code(0);

    home.run(&["reveal", "work", "refresh_token"]).expect_code(0);
    home.run(&["use", "work"]).expect_code(0);
}

#[test]
fn a_removed_profile_does_not_come_back_with_its_file() {
    let scene = Scene::new();
    let home = &scene.home;
    let old = fs::read(home.profile("work")).unwrap();
    home.run(&["remove", "work", "--yes"]).expect_code(0);

    fs::write(home.profile("work"), &old).unwrap();

    home.run(&["token", "work"]).expect_code(6);
}

#[test]
fn an_older_copy_does_not_come_in_as_a_successor() {
    let scene = Scene::new();
    let home = &scene.home;
    let (work, next) = (home.profile("work"), home.vault_dir().join("profiles/work.json.next"));
    let old = fs::read(&work).unwrap();
    home.run(&["token", "work", "--refresh"]).expect_code(0);

    fs::remove_file(&work).unwrap();
    fs::write(&next, &old).unwrap();
    let _ = home.run(&["rename", "work", "renamed"]);
    let _ = home.run(&["token", "work", "--refresh"]);
    let _ = home.run(&["edit", "work", "--unset", "X"]);

    assert!(!work.exists() && !home.profile("renamed").exists(), "an old document has come back");
}

#[test]
fn a_removed_profile_does_not_come_back_as_a_successor() {
    let scene = Scene::new();
    let home = &scene.home;
    let old = fs::read(home.profile("work")).unwrap();
    home.run(&["remove", "work", "--yes"]).expect_code(0);
    fs::write(home.vault_dir().join("profiles/work.json.next"), &old).unwrap();

    home.add_profile(&scene.provider, "work").expect_code(0);

    let id = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["id"].clone();
    assert_ne!(id(&fs::read(home.profile("work")).unwrap()), id(&old));
}

#[test]
fn a_removed_profile_does_not_come_back_as_a_rescue() {
    let scene = Scene::new();
    let home = &scene.home;
    let block = fs::read_to_string(home.profile("work")).unwrap();
    home.run(&["remove", "work", "--yes"]).expect_code(0);

    home.run_with_input(&["import-rescue"], &block).expect_code(7);

    assert!(!home.profile("work").exists());
}

#[test]
fn the_document_of_another_profile_is_no_successor() {
    let scene = Scene::new();
    let home = &scene.home;
    for _ in 0..3 {
        home.run(&["token", "other", "--refresh"]).expect_code(0);
    }
    let id = read(&home.profile("work"))["id"].clone();

    fs::copy(home.profile("other"), home.vault_dir().join("profiles/work.json.next")).unwrap();
    home.run(&["token", "work", "--refresh"]).expect_code(0);

    assert_eq!(read(&home.profile("work"))["id"], id);
    assert_eq!(home.run(&["reveal", "work", "account"]).answer(), "me@example.com");
}

#[test]
fn an_interrupted_rename_of_a_client_is_finished_by_the_next_writer() {
    let scene = Scene::new();
    let home = &scene.home;
    let old = scene.client();
    let bytes = fs::read(&old).unwrap();
    let name = old.file_stem().unwrap().to_str().unwrap();
    home.run(&["client", "rename", name, "desk"]).expect_code(0);

    // As if it had been killed before the old file was removed.
    fs::write(&old, &bytes).unwrap();
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    home.add_profile(&scene.provider, "third").expect_code(0);
    assert!(!old.exists());

    fs::write(&old, &bytes).unwrap();
    home.run(&["client", "rename", "desk", "desktop"]).expect_code(0);
    assert_eq!(home.files("data/vault/clients"), [home.client("desktop")]);
}

#[test]
fn the_older_half_of_an_interrupted_rename_is_no_damage() {
    let scene = Scene::new();
    let home = &scene.home;
    let profile = home.profile("work");
    let client = scene.client();
    let name = client.file_stem().unwrap().to_str().unwrap();
    let older = [&profile, &client].map(|path| fs::read(path).unwrap());
    home.run(&["rename", "work", "office"]).expect_code(0);
    home.run(&["client", "rename", name, "desk"]).expect_code(0);
    fs::write(&profile, &older[0]).unwrap();
    fs::write(&client, &older[1]).unwrap();

    home.run(&["verify"])
        .expect_code(0)
        .expect_said("profile `work` is what an interrupted rename has left; the next change")
        .expect_said(&format!("client `{name}` is what an interrupted rename has left"))
        .expect_said("4 documents");
    assert!(profile.exists() && client.exists(), "verify changes nothing");

    home.run(&["rename", "office", "bureau"]).expect_code(0);
    assert!(!profile.exists() && !client.exists());
    home.run(&["verify"]).expect_code(0).expect_unsaid("interrupted").expect_said("4 documents");
}

#[test]
fn the_default_profile_is_found_beside_the_older_half_of_its_rename() {
    let scene = Scene::new();
    let home = &scene.home;
    home.run(&["use", "work"]).expect_code(0);
    let older = fs::read(home.profile("work")).unwrap();
    home.run(&["rename", "work", "office"]).expect_code(0);

    // As if it had been killed before the old file was removed.
    fs::write(home.profile("work"), &older).unwrap();
    home.run(&["token"]).expect_code(0);
    home.run(&["token", "--refresh"]).expect_code(0);
    assert!(home.run(&["show"]).answer().contains("office"));
}

#[test]
fn a_rename_removes_nothing_that_has_come_under_the_new_name_meanwhile() {
    if !injection::is_there() {
        return;
    }
    let scene = Scene::new();
    let home = &scene.home;
    let before = documents(home);

    // What comes between the look at the names and the write is not among the names.
    let tracer = Tracer::new(home, "getdents64").at(vec![home.vault_dir().join("profiles")]);
    let listing = Call { name: "getdents64".to_owned(), number: 1 };
    let nothing = Fate { what: "retval=0", lasts: true };
    tracer.run(&listing, nothing, &["rename", "work", "other"]).expect_code(8);

    assert!(documents(home) == before);
}

#[test]
fn a_rename_in_the_midst_of_a_check_is_waited_for() {
    let scene = Scene::new();
    let rename_back_and_forth = || {
        for (from, to) in [("work", "office"), ("office", "work")].iter().cycle().take(20) {
            scene.home.run(&["rename", from, to]).expect_code(0);
        }
    };
    std::thread::scope(|scope| {
        let renames = scope.spawn(rename_back_and_forth);
        while !renames.is_finished() {
            scene.home.run(&["verify"]).expect_code(0);
        }
    });
}

#[test]
fn a_vault_that_nobody_can_write_to_is_checked_all_the_same() {
    let scene = Scene::new();
    let lock = scene.home.vault_dir().join("locks/vault.lock");
    fs::remove_file(&lock).unwrap();
    // No lock can be had here, not even by root.
    fs::create_dir(&lock).unwrap();

    scene.home.run(&["verify"]).expect_code(0);
}

#[test]
fn a_removed_profile_that_comes_back_is_refused_and_can_be_removed_again() {
    let scene = Scene::new();
    let document = scene.home.profile("work");
    let bytes = std::fs::read(&document).unwrap();
    scene.home.run(&["remove", "work", "--yes"]).expect_code(0);

    std::fs::write(&document, bytes).unwrap();

    scene.home.run(&["token", "work"]).expect_code(6).expect_said("was removed here");
    scene.home.run(&["remove", "work", "--yes"]).expect_code(0);
    assert!(!document.exists());
}

#[test]
fn an_older_client_or_manifest_is_refused_until_it_is_accepted() {
    let scene = Scene::new();
    let home = &scene.home;
    let client = scene.client();
    let name = client.file_stem().unwrap().to_str().unwrap().to_owned();
    let manifest = home.vault_dir().join("vault.json");
    let old = [&client, &manifest].map(|path| (path.clone(), fs::read(path).unwrap()));
    home.run(&["client", "rename", &name, "elsewhere"]).expect_code(0);
    home.run(&["client", "rename", "elsewhere", &name]).expect_code(0);
    home.run(&["use", "other"]).expect_code(0);

    for (path, old) in old {
        let new = fs::read(&path).unwrap();
        fs::write(&path, &old).unwrap();
        let asked = scene.provider.requests().len();

        home.run(&["token", "work", "--refresh"])
            .expect_code(6)
            .expect_said("vault verify --accept-rollback");
        assert_eq!(scene.provider.requests().len(), asked);
        assert!(fs::read(&path).unwrap() == old, "nothing is repaired");

        fs::write(&path, new).unwrap();
        home.run(&["token", "work", "--refresh"]).expect_code(0);
        fs::write(&path, old).unwrap();
        home.run(&["verify", "--accept-rollback"]).expect_code(0);
        home.run(&["token", "work", "--refresh"]).expect_code(0);
    }
}

#[test]
fn a_profile_that_is_deleted_is_missed_and_one_that_is_added_is_not_adopted() {
    let scene = Scene::new();
    let (home, stranger) = (&scene.home, Scene::new());
    let work = home.profile("work");
    let bytes = fs::read(&work).unwrap();

    fs::remove_file(&work).unwrap();
    home.run(&["token", "work"]).expect_code(3);
    home.run(&["verify"]).expect_code(0);
    home.run(&["token", "other"]).expect_code(0);
    fs::write(&work, bytes).unwrap();
    home.run(&["token", "work"]).expect_code(0);

    let asked = stranger.provider.requests().len();
    fs::copy(stranger.home.profile("other"), home.profile("added")).unwrap();
    fs::write(home.vault_dir().join("profiles/notes.txt"), "not ours").unwrap();
    home.run(&["token", "added"]).expect_code(6).expect_said("another vault");
    home.run(&["use", "added"]).expect_code(6);
    home.run(&["verify"]).expect_code(6).expect_said("added");
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    assert_eq!(stranger.provider.requests().len(), asked);
}
