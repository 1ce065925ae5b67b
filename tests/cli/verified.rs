//! `vault verify`: everything that is sealed is opened, all that fails is named, and nothing is changed.

use std::fs;

use serde_json::{Value, json};

use crate::disk::{Disk, with_own_mounts};
use crate::expiry::{Snapshot, beside, second};
use crate::forge;
use crate::home::{Home, make_private};
use crate::provider::{Config, Provider};
use crate::scene::{Scene, edit, read};

#[test]
fn every_document_item_cached_token_and_successor_is_counted() {
    let scene = Scene::new();
    // A successor as a refresh leaves it that was killed before its last step.
    let mut next = read(&scene.home.profile("work"));
    next["generation"] = json!(next["generation"].as_u64().unwrap() + 1);
    fs::write(beside(&scene.home), next.to_string()).unwrap();
    make_private(&beside(&scene.home));
    forge::sign(&scene.home, &beside(&scene.home));

    let run = scene.home.run(&["verify", "--json"]).expect_said("completed by the next `vault token work`");

    let answer: Value = serde_json::from_str(&run.answer()).unwrap();
    // The manifest, a client and two profiles; a client secret, two refresh tokens and an API key.
    let expected = json!({ "documents": 4, "items": 4, "tokens": 2, "successors": 1 });
    assert_eq!((&answer["verified"], &answer["failed"]), (&expected, &json!([])));
}

#[test]
fn all_that_fail_are_named_also_in_json() {
    let scene = Scene::new();
    edit(&scene.home.profile("work"), |document| document["generation"] = json!(99));
    edit(&scene.client(), |document| document["client_id"] = json!("other"));

    let people = scene.home.run(&["verify"]).expect_code(6);
    let scripts = scene.home.run(&["verify", "--json"]);

    for name in ["profile `work`", "client `127.0.0.1`", "profile `other`"] {
        assert!(people.stderr.contains(name), "{name}: {}", people.stderr);
    }
    assert_eq!(scripts.code, 6);
    let answer: Value = serde_json::from_str(&scripts.stdout).unwrap();
    let failed: Vec<&str> =
        answer["failed"].as_array().unwrap().iter().map(|it| it["document"].as_str().unwrap()).collect();
    // The profile `other` cannot be used without its client.
    assert_eq!(failed, ["client `127.0.0.1`", "profile `other`", "profile `work`"]);
    assert_eq!(answer["verified"]["documents"], 1);
    assert!(answer["failed"][0]["error"].as_str().unwrap().contains("MAC"), "{answer}");
}

#[test]
fn an_item_under_a_name_of_a_later_version_is_opened_too() {
    let scene = Scene::new();
    let home = &scene.home;
    let document = read(&home.profile("work"));
    let item = forge::item(home, &document, "later_secret", &forge::binding(&read(&scene.client())), "x");
    let with = |sealed: Value| {
        edit(&home.profile("work"), |document| document["secrets"]["later_secret"] = sealed);
        forge::sign(home, &home.profile("work"));
    };

    with(json!(item));
    home.run(&["verify"]).expect_code(0).expect_said("4 documents and 5 sealed items");
    with(json!(item.replace("\n-----END", "A\n-----END")));
    home.run(&["verify"]).expect_code(6).expect_said("profile `work`").expect_said("later_secret");
}

#[test]
fn a_cached_token_or_a_successor_that_cannot_be_read_only_warns() {
    let scene = Scene::new();
    let home = &scene.home;
    for token in home.files("cache") {
        edit(&token, |document| document["expires_at"] = json!("2999-01-01T00:00:00Z"));
    }
    fs::write(beside(home), "torn: BEGIN AGE ENCRYPTED").unwrap();
    make_private(&beside(home));
    let before = Snapshot::of(home);

    let run = home.run(&["verify", "--json"]);

    let run = run.expect_said("the cached token of `work`").expect_said("the cached token of `other`");
    let run = run.expect_said("an interrupted write of `work` cannot be read");
    assert_eq!(serde_json::from_str::<Value>(&run.answer()).unwrap()["verified"]["tokens"], 0);
    before.assert_unchanged(home);
}

#[test]
fn a_successor_whose_secrets_do_not_open_is_named() {
    let scene = Scene::new();
    let home = &scene.home;
    let mut next = read(&home.profile("work"));
    next["generation"] = json!(next["generation"].as_u64().unwrap() + 1);
    next["secrets"]["refresh_token"] = json!("no age message");
    fs::write(beside(home), next.to_string()).unwrap();
    make_private(&beside(home));
    forge::sign(home, &beside(home));

    home.run(&["verify"]).expect_code(6).expect_said("profile `work`").expect_said("refresh_token");
}

#[test]
fn nothing_is_changed_whether_all_is_well_or_not() {
    let scene = Scene::new();
    scene.home.run(&["verify"]).expect_code(0);
    let before = Snapshot::of(&scene.home);

    scene.home.run(&["verify"]).expect_code(0);
    before.assert_unchanged(&scene.home);

    edit(&scene.home.profile("work"), |document| document["generation"] = json!(99));
    fs::write(scene.home.vault_dir().join("profiles/foreign.txt"), "x").unwrap();
    let broken = Snapshot::of(&scene.home);
    scene.home.run(&["verify"]).expect_code(6);
    assert_eq!(scene.home.run(&["verify", "--json"]).code, 6);
    broken.assert_unchanged(&scene.home);
    assert!(!second(&scene.home).exists());
}

#[test]
fn a_vault_that_can_only_be_read_is_verified() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    with_own_mounts(|| {
        let disk = Disk::under(&home.vault_dir());
        disk.forbid_writing();

        home.run(&["verify"]).expect_code(0).expect_said("3 documents and 2 sealed items");
    });
}
