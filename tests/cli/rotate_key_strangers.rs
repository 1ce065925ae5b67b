//! Rotations of the vault key that somebody else has begun, or wants to be taken for begun.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use serde_json::{Value, json};

use crate::expiry::state_dir;
use crate::forge;
use crate::home::Home;
use crate::rotation::{Pins, kid, manifest, pinned, stop_before};
use crate::scene::{Scene, documents, edit, restore, write};

/// What uses the vault key, writes with it, or goes on with a rotation.
const COMMANDS: [&[&str]; 6] = [
    &["token", "work", "--refresh"],
    &["edit", "work", "--set", "X=client_id"],
    &["use", "other"],
    &["rotate"],
    &["key", "add", "--recipient", "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"],
    &["verify"],
];

/// A manifest that says that the vault is being rotated to the attacker's key.
struct Forged {
    key: Identity,
    stranger: Identity,
    manifest: Value,
}

impl Forged {
    /// The vault key is known to the forger here, so that each check can be met alone.
    fn new(home: &Home) -> Self {
        let (key, stranger, mut manifest) = (forge::vault_key(home), Identity::generate(), manifest(home));
        manifest["generation"] = 1000.into();
        let mut forged = Self { key, stranger, manifest };
        let (target, old) = (forged.stranger.clone(), forged.key.clone());
        forged.rotate_to(&target, &old);
        forged
    }

    /// The slots of `target` are sealed to the user's own recipient, which everybody can read.
    fn rotate_to(&mut self, target: &Identity, old: &Identity) {
        let mut slot = self.manifest["slots"][0].clone();
        let recipient = slot["recipient"].as_str().unwrap().parse().unwrap();
        slot["sealed"] = forge::seal(&recipient, text(target).as_bytes()).into();
        self.manifest["rotation"] = json!({
            "kid": forge::kid(target, self.manifest["vault"].as_str().unwrap()),
            "slots": [slot],
            "old_key": forge::seal(&target.to_public(), text(old).as_bytes()),
            "started_at": "2026-01-01T00:00:00Z",
        });
    }

    /// The MAC under the target, which anybody can make who has made the target.
    fn endorse(&mut self, target: &Identity) {
        let fields = self.manifest.as_object_mut().unwrap();
        let _ = (fields.remove("mac"), fields.remove("target_mac"));
        self.manifest["target_mac"] = forge::mac(target, &self.manifest).into();
    }

    /// The MAC under the key that it says to be under.
    fn sign(&mut self, with: &Identity) {
        self.manifest.as_object_mut().unwrap().remove("mac");
        self.manifest["mac"] = forge::mac(with, &self.manifest).into();
    }

    /// The right one in every respect: only who has the vault key can make it.
    fn right(home: &Home) -> Self {
        let mut forged = Self::new(home);
        let (stranger, key) = (forged.stranger.clone(), forged.key.clone());
        forged.endorse(&stranger);
        forged.sign(&key);
        forged
    }
}

fn text(key: &Identity) -> String {
    format!("{}\n", key.to_string().expose_secret())
}

/// What an attack may not change: the vault, the cache, and what this machine accepts.
fn all(home: &Home) -> (BTreeMap<PathBuf, Vec<u8>>, Pins) {
    (documents(home), pinned(home))
}

/// Holds that every command refuses, and writes nothing, while `manifest` lies there; then puts the
/// vault back.
#[track_caller]
fn assert_refused(scene: &Scene, what: &str, manifest: &Value) {
    let home = &scene.home;
    let before = documents(home);
    let asked = scene.provider.requests().len();
    write(&home.vault_dir().join("vault.json"), manifest);
    let attacked = all(home);

    for command in COMMANDS {
        let run = home.run(command);
        assert_eq!((run.code, run.stdout.as_str()), (6, ""), "{what}: {command:?}: {}", run.stderr);
    }

    assert!(all(home) == attacked, "{what}: something was written");
    assert_eq!(scene.provider.requests().len(), asked, "{what}: the provider was asked");
    restore(home, &before);
}

#[test]
fn a_rotation_to_a_strangers_key_is_refused_and_nothing_is_sealed_to_it() {
    let scene = Scene::new();
    let home = &scene.home;
    let original = manifest(home);

    // Without the vault key, nobody can seal it to the target.
    let mut forged = Forged::new(home);
    let (stranger, other) = (forged.stranger.clone(), Identity::generate());
    forged.rotate_to(&stranger, &other);
    forged.endorse(&stranger);
    assert_refused(&scene, "the old key is another one", &forged.manifest);
    forged.sign(&stranger);
    assert_refused(&scene, "the old key is another one, with a MAC of the stranger", &forged.manifest);
    forged.manifest["rotation"]["old_key"] = "no age message".into();
    assert_refused(&scene, "the old key is no message", &forged.manifest);

    // From here on, as if they could: the MAC of the pinned key is what counts.
    let mut forged = Forged::new(home);
    forged.manifest["mac"] = original["mac"].clone();
    assert_refused(&scene, "no MAC of the target, and an old one of the pinned key", &forged.manifest);
    forged.endorse(&stranger);
    forged.manifest["mac"] = original["mac"].clone();
    assert_refused(&scene, "the MAC of the pinned key is an old one", &forged.manifest);
    forged.endorse(&forged.stranger.clone());
    forged.sign(&forged.stranger.clone());
    assert_refused(&scene, "both MACs are the stranger's", &forged.manifest);
    assert!(scene.evil.requests().is_empty());
}

#[test]
fn a_target_that_has_not_signed_is_refused_though_the_pinned_key_has() {
    let scene = Scene::new();
    let home = &scene.home;

    let mut forged = Forged::new(home);
    forged.sign(&forged.key.clone());
    assert_refused(&scene, "no MAC of the target", &forged.manifest);
    forged.endorse(&Identity::generate());
    forged.sign(&forged.key.clone());
    assert_refused(&scene, "the MAC of another target", &forged.manifest);
    let mut forged = Forged::right(home);
    forged.manifest["rotation"]["started_at"] = "2026-01-02T00:00:00Z".into();
    assert_refused(&scene, "changed after both have signed", &forged.manifest);
}

#[test]
fn a_strangers_vault_that_is_said_to_be_rotated_to_the_users_key_is_refused() {
    let scene = Scene::new();
    let home = &scene.home;
    let mut forged = Forged::new(home);
    let (stranger, key) = (forged.stranger.clone(), forged.key.clone());
    let vault = forged.manifest["vault"].as_str().unwrap().to_owned();
    let real = forged.manifest["slots"].clone();
    forged.rotate_to(&key, &stranger);
    forged.manifest["rotation"]["slots"] = real;
    forged.manifest["kid"] = forge::kid(&stranger, &vault).into();

    forged.sign(&stranger);
    assert_refused(&scene, "the user's key has not signed", &forged.manifest);
    forged.endorse(&stranger);
    forged.sign(&stranger);
    assert_refused(&scene, "the stranger has signed twice", &forged.manifest);

    // Two strangers, one of which comes after the other.
    let other = Identity::generate();
    forged.rotate_to(&other, &stranger);
    forged.endorse(&other);
    forged.sign(&stranger);
    assert_refused(&scene, "neither key is accepted", &forged.manifest);
}

#[test]
fn who_knows_of_a_rotation_takes_no_other_target_even_from_the_holder_of_the_old_key() {
    let scene = Scene::new();
    let home = &scene.home;
    let thief = Forged::right(home);
    stop_before(home, "work");

    assert_refused(&scene, "another target", &thief.manifest);

    home.run(&["rotate"]).expect_code(0);
    assert_refused(&scene, "another target, after the end", &thief.manifest);
    let mut alone = thief.manifest.clone();
    alone.as_object_mut().unwrap().remove("rotation");
    alone.as_object_mut().unwrap().remove("target_mac");
    forge::sign_with(&thief.key, &mut alone);
    assert_refused(&scene, "the old key alone, after the end", &alone);
}

#[test]
fn a_rotation_cannot_be_hidden_and_its_manifest_cannot_come_back_after_its_end() {
    let scene = Scene::new();
    let home = &scene.home;
    let idle = manifest(home);
    stop_before(home, "work");
    let rotating = manifest(home);

    assert_refused(&scene, "the manifest from before", &idle);
    let mut stripped = rotating.clone();
    stripped.as_object_mut().unwrap().remove("rotation");
    assert_refused(&scene, "without the rotation", &stripped);
    stripped.as_object_mut().unwrap().remove("target_mac");
    assert_refused(&scene, "without anything of the rotation", &stripped);

    home.run(&["rotate"]).expect_code(0);
    assert_refused(&scene, "the manifest from the middle", &rotating);
    assert_refused(&scene, "the manifest from before, after the end", &idle);
    home.run(&["verify"]).expect_code(0);
}

#[test]
fn a_document_of_the_old_key_that_is_put_back_is_refused_during_and_after_the_rotation() {
    let scene = Scene::new();
    let home = &scene.home;
    let before = documents(home);
    stop_before(home, "work");
    let assert_refused = |path: PathBuf, what: &str| {
        let now = fs::read(&path).unwrap();
        fs::write(&path, &before[&path]).unwrap();
        home.run(&["verify"]).expect_code(6);
        let run = home.run(&["rotate"]);
        assert!([6, 13].contains(&run.code), "{what}: {run:?}");
        assert_eq!(home.run(&["verify"]).code, 6, "{what}: it was taken for good");
        fs::write(&path, now).unwrap();
    };

    assert_refused(home.profile("other"), "during");
    home.run(&["rotate"]).expect_code(0);
    for path in [home.profile("other"), home.profile("work"), scene.client()] {
        assert_refused(path, "after");
    }
    // A cached token is ignored instead, and replaced.
    for path in home.files("cache") {
        fs::write(&path, &before[&path]).unwrap();
    }
    home.run(&["token", "work"]).expect_code(0).expect_said("cached");
    home.run(&["verify"]).expect_code(0);
}

#[test]
fn another_machine_forgets_the_old_key_once_it_has_seen_the_end_of_the_rotation() {
    let scene = Scene::new();
    let home = &scene.home;
    let thief = Forged::right(home);
    let other = other_machine(home);
    stop_before(home, "work");
    let (old, new) = (kid(home), manifest(home)["rotation"]["kid"].as_str().unwrap().to_owned());

    other.run(&["verify"]).expect_code(0).expect_unsaid("first use").expect_unsaid("accept");
    assert_eq!(pinned(&other).0, [old.clone(), new.clone()]);
    other.run(&["token", "work", "--refresh"]).expect_code(0);
    home.run(&["rotate"]).expect_code(0);
    other.run(&["token", "work", "--refresh"]).expect_code(0);
    assert_eq!(pinned(&other), (vec![new], vec![old]));

    let path = home.vault_dir().join("vault.json");
    let rightful = fs::read(&path).unwrap();
    let mut forged = thief.manifest.clone();
    forged.as_object_mut().unwrap().remove("rotation");
    forged.as_object_mut().unwrap().remove("target_mac");
    forge::sign_with(&thief.key, &mut forged);
    for forged in [forged, thief.manifest] {
        write(&path, &forged);
        other.run(&["token", "work", "--refresh"]).expect_code(6);
    }
    fs::write(&path, rightful).unwrap();
    other.run(&["verify"]).expect_code(0);
}

#[test]
fn another_machine_that_has_seen_nothing_of_a_rotation_asks_for_the_new_key_to_be_accepted() {
    let scene = Scene::new();
    let home = &scene.home;
    let other = other_machine(home);
    let old = kid(home);
    home.run(&["rotate"]).expect_code(0);
    let new = kid(home);

    other.run(&["verify"]).expect_code(6).expect_said(&format!("vault key accept {new}"));
    other.run(&["rotate"]).expect_code(6);
    other.run(&["key", "accept", &old]).expect_code(6);
    other.run(&["key", "accept", &new]).expect_code(0);
    other.run(&["token", "work", "--refresh"]).expect_code(0);
    other.run(&["rotate"]).expect_code(0);
    // Now it is the first one that has seen nothing.
    home.run(&["verify"]).expect_code(6).expect_said(&kid(home));
}

#[test]
fn the_key_that_the_environment_names_may_be_either_during_a_rotation_and_the_new_one_after_it() {
    let mut scene = Scene::new();
    stop_before(&scene.home, "work");
    let old = kid(&scene.home);
    let new = manifest(&scene.home)["rotation"]["kid"].as_str().unwrap().to_owned();
    let home = &mut scene.home;
    let pin = state_dir(home).join("pin.json");
    let accepted = fs::read(&pin).unwrap();
    let mut verify = |named: &str, code| {
        home.set("VAULT_KEY_ID", named);
        let _ = fs::remove_file(&pin);
        home.run(&["verify"]).expect_code(code).expect_unsaid("first use");
        fs::write(&pin, &accepted).unwrap();
        home.unset("VAULT_KEY_ID");
    };

    verify(&old, 0);
    verify(&new, 0);
    verify(&"0".repeat(32), 6);
    scene.home.run(&["rotate"]).expect_code(0);
    let home = &mut scene.home;
    home.set("VAULT_KEY_ID", &new);
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    home.set("VAULT_KEY_ID", &old);
    home.run(&["verify"]).expect_code(6).expect_unsaid("key accept");
}

/// A machine that shares the vault directory, as a network disk does, and knows what `home` knows.
fn other_machine(home: &Home) -> Home {
    let mut other = Home::copy_of(home);
    other.set("VAULT_DIR", home.vault_dir().to_str().unwrap());
    fs::remove_dir_all(other.vault_dir()).unwrap();
    other
}

#[test]
fn a_rotation_whose_slots_are_one_too_many_is_refused_before_any_is_tried() {
    let scene = Scene::new();
    edit(&scene.home.vault_dir().join("vault.json"), |manifest| {
        let slot = manifest["slots"][0].clone();
        manifest["rotation"] = json!({
            "kid": "0".repeat(32), "slots": vec![slot; 33], "old_key": "", "started_at": "2026-01-01T00:00:00Z",
        });
    });

    scene.home.run(&["token", "work"]).expect_code(6).expect_said("more than 32 key slots");
}
