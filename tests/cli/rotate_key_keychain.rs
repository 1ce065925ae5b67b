//! `vault rotate key` with a slot in the keychain, which may fail at any call.

use std::fs;

use serde_json::json;

use crate::expiry::{Snapshot, state_dir};
use crate::home::{Home, write_identity};
use crate::keyring::{Keyring, name};
use crate::rotation::{assert_rotated_from, assert_unnamed, kid, manifest, pinned};
use crate::slots::slots;

#[test]
fn the_entry_of_the_new_key_comes_in_place_of_that_of_the_old_one() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let home = keyring.home();
    home.run(&["init"]).expect_code(0);
    let (old, entry) = (kid(&home), name(&home));

    home.run(&["rotate"]).expect_code(0);

    assert_rotated_from(&home, &old, "with the keychain");
    assert!(keyring.lookup(&home).is_some());
    assert_eq!((keyring.entry(&entry), keyring.count()), (None, 1));
}

#[test]
fn a_keychain_that_cannot_be_asked_stops_a_rotation_before_anything_is_written() {
    for state in ["locked", "absent", "hung"] {
        let Some((keyring, home)) = with_identity() else { return };
        let (old, before) = (kid(&home), Snapshot::of(&home));
        keyring.set_state(state);

        let run = home.run(&["rotate"]).expect_code(4).expect_said(&format!("--drop-slot {}", slot(&home)));

        let why = format!("{state}: {run:?}");
        let mut changed = before.changed(&home);
        changed.retain(|path| !path.ends_with("rotation.lock") && !path.ends_with("pin.json"));
        assert!(changed.is_empty(), "{why}: {changed:?}");
        assert_eq!(pinned(&home).0, std::slice::from_ref(&old), "{why}");
        home.run(&["verify"]).expect_code(0);
        if state == "hung" {
            keyring.set_state("unlocked");
            home.run(&["rotate"]).expect_code(0);
            assert_rotated_from(&home, &old, "after all");
            assert_eq!(keyring.count(), 1);
        }
    }
}

#[test]
fn an_old_entry_that_cannot_be_deleted_is_told_and_does_not_keep_the_old_key_accepted() {
    let Some((keyring, home)) = with_identity() else { return };
    let (old, slot) = (kid(&home), slot(&home));
    keyring.set_state("locked");

    let run = home.run(&["rotate", "--drop-slot", &slot]).expect_code(0);

    run.expect_said(&format!(
        "warning: the old key {old} may still be in the keychain: the keychain is locked"
    ));
    let first = kid(&home);
    assert_eq!(pinned(&home), (vec![first.clone()], vec![old.clone()]));
    // It stands in nobody's way.
    home.run(&["rotate"]).expect_code(0).expect_said("Rotated the vault key").expect_said(&old);
    assert_ne!(kid(&home), first);
    assert!(pinned(&home).1.contains(&old));
    home.run(&["verify"]).expect_code(0);
}

#[test]
fn an_entry_that_could_not_be_deleted_is_deleted_by_the_next_rotation() {
    let Some((keyring, home)) = with_identity() else { return };
    let (old, entry, key) = (kid(&home), name(&home), keyring.lookup(&home).unwrap());
    home.run(&["rotate"]).expect_code(0);
    let first = kid(&home);
    keyring.put(&entry, &key);
    write_pin(&home, &[&first], &[&old]);

    home.run(&["rotate"]).expect_code(0).expect_said("Rotated the vault key").expect_unsaid("warning");

    assert_eq!((keyring.entry(&entry), keyring.count()), (None, 1));
    assert_rotated_from(&home, &first, "the second one");
    assert_unnamed(&home, &old, "the second one");
}

#[test]
fn a_rotation_that_was_killed_before_the_old_entry_was_deleted_is_finished_by_the_next_run() {
    for a_command_comes_first in [false, true] {
        let Some((keyring, home)) = with_identity() else { return };
        let (old, entry, key) = (kid(&home), name(&home), keyring.lookup(&home).unwrap());
        home.run(&["rotate"]).expect_code(0);
        let new = kid(&home);
        keyring.put(&entry, &key);
        write_pin(&home, &[&old, &new], &[]);
        if a_command_comes_first {
            home.run(&["verify"]).expect_code(0);
            assert_eq!(pinned(&home), (vec![new.clone()], vec![old.clone()]));
        }

        home.run(&["rotate"]).expect_code(0);

        assert_eq!((keyring.entry(&entry), keyring.count()), (None, 1));
        assert_eq!(kid(&home) == new, !a_command_comes_first, "it is not begun anew where it is known");
        assert_rotated_from(&home, &old, "finished");
    }
}

#[test]
fn whoever_fears_for_the_key_gets_a_new_one_though_an_old_one_was_left() {
    let Some((keyring, home)) = with_identity() else { return };
    let (old, entry, key) = (kid(&home), name(&home), keyring.lookup(&home).unwrap());
    home.run(&["rotate"]).expect_code(0);
    let new = kid(&home);
    keyring.put(&entry, &key);
    write_pin(&home, &[&old, &new], &[]);

    home.run(&["rotate", "--reason", "compromise"]).expect_code(0);

    assert_rotated_from(&home, &new, "once more");
    assert_eq!((keyring.entry(&entry), keyring.count()), (None, 1));
}

#[test]
fn entries_of_runs_that_ended_too_early_do_not_stay_in_the_keychain() {
    let Some((keyring, mut home)) = with_identity() else { return };
    let old = kid(&home);
    // Killed after the entry was made, and before the manifest knew of it.
    let (vault, never) = (manifest(&home)["vault"].as_str().unwrap().to_owned(), "ab".repeat(16));
    keyring.put(&format!("{vault}/{never}"), "AGE-SECRET-KEY-1");
    write_pin(&home, &[&old, &never], &[]);
    home.run(&["verify"]).expect_code(0);
    // Given up after the entry was made, for the sake of another slot.
    let passphrase = home.write("passphrase.txt", "correct horse battery");
    home.set("VAULT_PASSPHRASE_FILE", passphrase.to_str().unwrap());
    home.run(&["key", "add", "--passphrase"]).expect_code(0);
    home.unset("VAULT_PASSPHRASE_FILE");

    home.run(&["rotate"]).expect_code(4).expect_said("--drop-slot");

    assert_eq!(keyring.count(), 1);
    assert!(keyring.lookup(&home).is_some());
    assert_eq!(pinned(&home), (vec![old], Vec::new()));
}

#[test]
fn a_machine_whose_keychain_never_had_the_key_rotates_without_it_if_told_so_and_the_other_one_follows() {
    let (Some((here, home)), Some(there)) = (with_identity(), Keyring::start("unlocked")) else { return };
    let mut other = Home::copy_of(&home);
    other.set("VAULT_DIR", home.vault_dir().to_str().unwrap());
    other.set("DBUS_SESSION_BUS_ADDRESS", there.bus());
    let (old, slot) = (kid(&home), slot(&home));

    other.run(&["rotate"]).expect_code(4).expect_said(&format!("vault rotate key --drop-slot {slot}"));
    assert_eq!(there.count(), 0);
    other.run(&["rotate", "key", "--drop-slot", &slot]).expect_code(0);

    let new = kid(&home);
    home.run(&["verify"]).expect_code(6).expect_said(&format!("vault key accept {new}"));
    home.run(&["key", "accept", &new]).expect_code(0);
    home.run(&["key", "add", "--keychain"]).expect_code(0);
    fs::remove_file(home.path("identity.txt")).unwrap();
    home.run(&["verify"]).expect_code(0);
    assert!(here.lookup(&home).is_some());
    assert_ne!(new, old);
}

#[test]
fn a_rotation_on_one_machine_is_followed_by_the_keychain_of_another_one() {
    let (Some((here, home)), Some(there)) = (with_identity(), Keyring::start("unlocked")) else { return };
    let mut other = Home::copy_of(&home);
    other.set("VAULT_DIR", home.vault_dir().to_str().unwrap());
    other.set("DBUS_SESSION_BUS_ADDRESS", there.bus());
    other.run(&["key", "add", "--keychain"]).expect_code(0);
    assert_eq!((slots(&home).len(), there.count()), (2, 1), "one slot serves both");

    home.run(&["rotate"]).expect_code(0);
    let new = kid(&home);
    assert_eq!(here.count(), 1);

    other.run(&["key", "accept", &new]).expect_code(0);
    other.run(&["key", "add", "--keychain"]).expect_code(0);
    assert_eq!(slots(&home).len(), 2);
    let identity = home.path("identity.txt");
    fs::rename(&identity, home.path("away.txt")).unwrap();
    other.run(&["verify"]).expect_code(0);
    home.run(&["verify"]).expect_code(0);
}

/// A vault that the keychain and an identity file open.
fn with_identity() -> Option<(Keyring, Home)> {
    let keyring = Keyring::start("unlocked")?;
    let mut home = keyring.home();
    home.run(&["init"]).expect_code(0);
    let identity = home.path("identity.txt");
    write_identity(&identity);
    home.run(&["key", "add", "--identity", identity.to_str().unwrap()]).expect_code(0);
    home.set("VAULT_IDENTITY_FILE", identity.to_str().unwrap());
    Some((keyring, home))
}

fn slot(home: &Home) -> String {
    let slots = slots(home);
    slots.iter().find(|slot| slot["type"] == "keychain").unwrap()["id"].as_str().unwrap().to_owned()
}

fn write_pin(home: &Home, kids: &[&str], dropped: &[&str]) {
    let pin = json!({"kids": kids, "dropped": dropped, "since": "2026-01-01T00:00:00Z"});
    fs::write(state_dir(home).join("pin.json"), pin.to_string()).unwrap();
}
