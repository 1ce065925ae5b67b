//! The key that a machine has accepted, and vaults that come with another one.

use std::fs;
use std::path::Path;

use age::secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::forge;
use crate::home::Home;
use crate::scene::{Scene, edit, read};

#[test]
fn a_manifest_of_the_attackers_own_key_is_refused_until_the_user_accepts_that_key() {
    let scene = Scene::new();
    let home = &scene.home;
    let (old, new) = (kid(home), forge_manifest(home));

    home.run(&["token", "work"]).expect_code(6).expect_said(&format!("vault key accept {new}"));
    home.run(&["key", "accept", &old]).expect_code(6);
    home.run(&["key", "accept", &"0".repeat(32)]).expect_code(6);
    home.run(&["key", "accept", "all"]).expect_code(2);
    home.run(&["token", "work"]).expect_code(6);

    home.run(&["key", "accept", &new]).expect_code(0);
    // Even then the documents that are there are not theirs.
    home.run(&["token", "work"]).expect_code(6).expect_said("another vault key");
    assert!(scene.evil.requests().is_empty());
}

#[test]
fn another_vault_in_the_same_place_is_refused_until_the_user_accepts_its_key() {
    let scene = Scene::new();
    let home = &scene.home;
    let attacker = Home::new();
    attacker.add_profile(&scene.evil, "work").expect_code(0);
    attacker.run(&["key", "add", "--recipient", &recipient(home)]).expect_code(0);
    let theirs = kid(&attacker);
    let asked = scene.evil.requests().len();

    fs::remove_dir_all(home.vault_dir()).unwrap();
    copy(&attacker.vault_dir(), &home.vault_dir());

    home.run(&["token", "work"]).expect_code(6).expect_said(&theirs);
    home.run(&["client", "remove", "x"]).expect_code(6);
    assert_eq!(scene.evil.requests().len(), asked);
    home.run(&["key", "accept", &theirs]).expect_code(0);
    home.run(&["token", "work"]).expect_code(0);
}

#[test]
fn a_user_who_begins_anew_is_not_asked() {
    let home = Home::new();
    for _ in 0..2 {
        home.run(&["init"]).expect_code(0);
        home.run(&["verify"]).expect_code(0).expect_unsaid("First use");
        fs::remove_dir_all(home.vault_dir()).unwrap();
    }
}

#[test]
fn the_first_use_on_a_machine_names_the_key_once() {
    let scene = Scene::new();
    let home = &scene.home;
    let kid = kid(home);
    fs::remove_dir_all(home.path("state")).unwrap();

    home.run(&["verify"]).expect_code(0).expect_said(&kid);
    home.run(&["verify"]).expect_code(0).expect_unsaid(&kid);
    let status: Value = serde_json::from_str(&home.run(&["status", "--json"]).answer()).unwrap();
    assert!(status.to_string().contains(&kid), "{status}");
}

#[test]
fn a_key_that_the_environment_names_is_the_only_one() {
    let mut scene = Scene::new();
    let kid = kid(&scene.home);
    let other = "0".repeat(32);
    let mut run = |named: &str, code| {
        fs::remove_dir_all(scene.home.path("state")).unwrap();
        scene.home.set("VAULT_KEY_ID", named);
        scene.home.run(&["verify"]).expect_code(code).expect_unsaid("First use");
        fs::create_dir_all(scene.home.path("state")).unwrap();
    };

    run(&kid, 0);
    run(&other, 6);
    run(&kid.to_uppercase(), 2);
    run(&kid[..30], 2);
    run(&kid, 0);
}

#[test]
fn a_pinned_key_of_the_environment_refuses_what_the_machine_has_accepted() {
    let mut scene = Scene::new();
    let old = kid(&scene.home);
    let new = forge_manifest(&scene.home);
    scene.home.run(&["key", "accept", &new]).expect_code(0);

    scene.home.set("VAULT_KEY_ID", &old);

    scene.home.run(&["key", "list"]).expect_code(0);
    scene
        .home
        .run(&["verify"])
        .expect_code(6)
        .expect_said("is not the one that was named")
        .expect_said("VAULT_KEY_ID names another key")
        // It would change nothing: the variable counts.
        .expect_unsaid("key accept");
}

#[test]
fn a_slot_of_the_attacker_is_refused_and_nothing_is_sealed_to_it() {
    let scene = Scene::new();
    let home = &scene.home;
    let manifest = home.vault_dir().join("vault.json");
    let stranger = age::x25519::Identity::generate();
    edit(&manifest, |manifest| {
        let mut slot = manifest["slots"][0].clone();
        slot["recipient"] = stranger.to_public().to_string().into();
        manifest["slots"].as_array_mut().unwrap().push(slot);
    });
    let before = fs::read(&manifest).unwrap();

    home.run(&["key", "add", "--recipient", &recipient(home)]).expect_code(6);
    home.run(&["use", "work"]).expect_code(6);
    home.run(&["edit", "work", "--set", "X=client_id"]).expect_code(6);

    assert_eq!(fs::read(&manifest).unwrap(), before);
}

#[test]
fn a_manifest_with_thousands_of_slots_is_refused_before_any_is_tried() {
    let scene = Scene::new();
    edit(&scene.home.vault_dir().join("vault.json"), |manifest| {
        let slot = manifest["slots"][0].clone();
        manifest["slots"] = vec![slot; 33].into();
    });

    scene.home.run(&["token", "work"]).expect_code(6).expect_said("more than 32 key slots");
}

fn kid(home: &Home) -> String {
    manifest(home)["kid"].as_str().unwrap().to_owned()
}

/// What stands in the manifest for everybody to read.
fn recipient(home: &Home) -> String {
    manifest(home)["slots"][0]["recipient"].as_str().unwrap().to_owned()
}

fn manifest(home: &Home) -> Value {
    read(&home.vault_dir().join("vault.json"))
}

/// Puts a key of the attacker's own into the manifest, sealed to the user, under the same vault id
/// and with the MAC of that key. Returns its id.
fn forge_manifest(home: &Home) -> String {
    let key = age::x25519::Identity::generate();
    let text = format!("{}\n", key.to_string().expose_secret());
    let sealed = forge::seal(&recipient(home).parse().unwrap(), text.as_bytes());
    edit(&home.vault_dir().join("vault.json"), |manifest| {
        manifest["slots"][0]["sealed"] = json!(sealed);
        manifest["generation"] = json!(1000);
        forge::sign_with(&key, manifest);
    });
    kid(home)
}

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn another_vault_is_refused_also_in_a_place_that_the_vault_was_moved_to() {
    let (mut home, other) = (Home::new(), Home::new());
    home.run(&["init"]).expect_code(0);
    other.run(&["init"]).expect_code(0);
    let moved = home.path("moved");
    std::fs::rename(home.vault_dir(), &moved).unwrap();
    home.set("VAULT_DIR", moved.to_str().unwrap());
    home.run(&["verify"]).expect_code(0);

    std::fs::remove_dir_all(&moved).unwrap();
    std::fs::rename(other.vault_dir(), &moved).unwrap();

    home.run(&["verify"]).expect_code(6).expect_said("another vault");
}

#[test]
fn an_accepted_key_that_cannot_be_remembered_is_an_error() {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    let status: serde_json::Value = serde_json::from_str(&home.run(&["status", "--json"]).answer()).unwrap();
    let kid = status["vault"]["kid"].as_str().unwrap().to_owned();
    std::fs::remove_dir_all(home.path("state")).unwrap();
    std::fs::write(home.path("state"), "in the way").unwrap();

    home.run(&["key", "accept", &kid]).expect_code(10);
}
