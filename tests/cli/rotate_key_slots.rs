//! The ways to the new vault key: each slot of the old one is carried over, or left out by name.

use crate::expiry::Snapshot;
use crate::home::{Home, Run, write_identity};
use crate::rotation::{assert_rotated_from, assert_unchanged, kid, pinned};
use crate::slots::{PASSPHRASE, expect_end, identity, on_terminal, passphrase_home, plugin_home, slots};

#[test]
fn a_passphrase_is_typed_once_for_a_whole_rotation_and_may_be_wrong_at_first() {
    let mut home = passphrase_home();
    home.unset("VAULT_PASSPHRASE_FILE");
    for typed in [&[PASSPHRASE][..], &["wrong-canary", PASSPHRASE]] {
        let (old, before) = (kid(&home), slots(&home));

        let mut terminal = on_terminal(&home, &["rotate"]);
        for typed in typed {
            terminal.exp_string("assphrase of the vault").unwrap();
            terminal.send_line(typed).unwrap();
        }
        let said = expect_end(terminal, 0);

        assert!(!said.contains("assphrase") && !said.contains("canary"), "{said}");
        assert_eq!(slots(&home), before, "the slot is the same one");
        home.set("VAULT_PASSPHRASE_FILE", home.path("passphrase.txt").to_str().unwrap());
        assert_rotated_from(&home, &old, "typed");
        home.unset("VAULT_PASSPHRASE_FILE");
    }
}

#[test]
fn a_passphrase_from_a_file_carries_its_slot_over_and_another_one_does_not() {
    let mut home = with_identity_and_passphrase();
    let old = kid(&home);
    let other = home.write("other.txt", "another passphrase");
    home.set("VAULT_PASSPHRASE_FILE", other.to_str().unwrap());
    let before = Snapshot::of(&home);

    let run = home.run(&["rotate"]).expect_code(4).expect_unsaid("another passphrase");
    assert_nothing_begun(&home, &before, &old);
    assert!(run.stderr.contains(&format!("--drop-slot {}", slot(&home, "passphrase"))), "{run:?}");

    home.set("VAULT_PASSPHRASE_FILE", home.path("passphrase.txt").to_str().unwrap());
    home.run(&["rotate"]).expect_code(0);
    assert_rotated_from(&home, &old, "with the file");
    for variable in ["VAULT_IDENTITY_FILE", "VAULT_PASSPHRASE_FILE"] {
        let mut alone = Home::copy_of(&home);
        alone.unset(variable);
        // As on a machine that knows of no identity file.
        std::fs::remove_dir_all(alone.path("state")).unwrap();
        alone.run(&["verify"]).expect_code(0);
    }
}

#[test]
fn a_passphrase_that_nobody_types_stops_a_rotation_before_anything_is_written() {
    let mut home = with_identity_and_passphrase();
    home.unset("VAULT_PASSPHRASE_FILE");
    let (old, before) = (kid(&home), Snapshot::of(&home));

    for arguments in [&["rotate"][..], &["rotate", "--no-input"]] {
        home.run(arguments).expect_code(4).expect_said("--drop-slot");
        assert_nothing_begun(&home, &before, &old);
    }
    let mut terminal = on_terminal(&home, &["rotate"]);
    terminal.exp_string("for its new key").unwrap();
    terminal.send_control('c').unwrap();
    let status = format!("{:?}", terminal.process().wait().unwrap());
    assert!(status.ends_with(", 12)") || status.contains("SIGINT"), "{status}");
    home.run(&["verify"]).expect_code(0);
    assert_eq!(kid(&home), old);
    let mut terminal = on_terminal(&home, &["rotate"]);
    for _ in 0..3 {
        terminal.exp_string("for its new key").unwrap();
        terminal.send_line("wrong-canary").unwrap();
    }
    let said = expect_end(terminal, 4);
    assert!(said.contains("--drop-slot") && !said.contains("canary"), "{said}");
    assert_nothing_begun(&home, &before, &old);

    let mut terminal = on_terminal(&home, &["rotate"]);
    terminal.exp_string("for its new key").unwrap();
    terminal.send_line(PASSPHRASE).unwrap();
    expect_end(terminal, 0);
    assert_rotated_from(&home, &old, "typed at last");
}

#[test]
fn all_slots_that_cannot_be_carried_over_are_named_with_the_command_that_leaves_them_out() {
    let Some(plugin) = plugin_home() else { return };
    let mut home = plugin;
    home.run(&["init", "--identity", "plugin.txt"]).expect_code(0);
    let own = identity(&home, "identity.txt");
    home.run(&["key", "add", "--identity", own.to_str().unwrap()]).expect_code(0);
    let passphrase = home.write("passphrase.txt", PASSPHRASE);
    home.set("VAULT_PASSPHRASE_FILE", passphrase.to_str().unwrap());
    home.run(&["key", "add", "--passphrase"]).expect_code(0);
    home.run(&["rotate"]).expect_code(0);
    let before = slots(&home);
    let old = kid(&home);

    // What the plugin's recipient is, only its identity file says.
    home.unset("VAULT_PASSPHRASE_FILE");
    std::fs::remove_file(home.path("plugin.txt")).unwrap();
    let files = Snapshot::of(&home);
    let run = home.run(&["rotate"]).expect_code(4);

    assert_nothing_begun(&home, &files, &old);
    let command = run.stderr.split('`').find(|part| part.starts_with("vault rotate key ")).unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    assert_eq!(words.iter().filter(|word| **word == "--drop-slot").count(), 2, "{command}");
    home.run(&words).expect_code(0);
    assert_rotated_from(&home, &old, "without two of them");
    let left = slots(&home);
    assert_eq!(left.len(), 1);
    assert!(before.contains(&left[0]), "the slot is the same one");
}

#[test]
fn the_last_slot_cannot_be_left_out_nor_one_that_is_not_there() {
    let home = with_identity_and_passphrase();
    let (old, before) = (kid(&home), Snapshot::of(&home));
    let (first, second) = (slot(&home, "recipient"), slot(&home, "passphrase"));

    home.run(&["rotate", "--drop-slot", &first, "--drop-slot", &second]).expect_code(7).expect_said("last");
    home.run(&["rotate", "--drop-slot", "zzzz"]).expect_code(3);
    home.run(&["rotate", "--drop-slot", ""]).expect_code(3);
    home.run(&["rotate", "--drop-slot", &first, "--drop-slot", &first]).expect_code(3);

    assert_nothing_begun(&home, &before, &old);
    home.run(&["rotate", "--drop-slot", &second[..4]]).expect_code(0);
    assert_eq!(slots(&home).len(), 1);
    assert_rotated_from(&home, &old, "without the passphrase");
}

#[test]
fn a_sealed_identity_file_asks_for_its_passphrase_once() {
    let home = Home::bare();
    let plain = std::fs::read(identity(&home, "plain.txt")).unwrap();
    let mut recipient = age::scrypt::Recipient::new("open sesame".to_owned().into());
    recipient.set_work_factor(2);
    home.write("sealed.age", age::encrypt(&recipient, &plain).unwrap());
    let mut terminal = on_terminal(&home, &["init", "--unlock", "identity", "--identity", "sealed.age"]);
    terminal.exp_string("Passphrase of the identity file").unwrap();
    terminal.send_line("open sesame").unwrap();
    expect_end(terminal, 0);
    let old = kid(&home);

    let mut terminal = on_terminal(&home, &["rotate"]);
    terminal.exp_string("Passphrase of the identity file").unwrap();
    terminal.send_line("open sesame").unwrap();
    let said = expect_end(terminal, 0);

    assert!(!said.contains("Passphrase"), "{said}");
    assert_ne!(kid(&home), old);
}

#[test]
fn a_plugin_and_a_recovery_recipient_open_the_new_key_too() {
    let Some(home) = plugin_home() else { return };
    home.run(&["init", "--identity", "plugin.txt"]).expect_code(0);
    let recovery = home.path("recovery.txt");
    write_identity(&recovery);
    let identity = std::fs::read_to_string(&recovery).unwrap();
    let identity: age::x25519::Identity = identity.trim().parse().unwrap();
    home.run(&["key", "add", "--recipient", &identity.to_public().to_string()]).expect_code(0);
    let old = kid(&home);

    home.run(&["rotate"]).expect_code(0);

    assert_rotated_from(&home, &old, "with the plugin");
    let mut other = Home::copy_of(&home);
    std::fs::remove_dir_all(other.path("state")).unwrap();
    other.set("VAULT_IDENTITY_FILE", recovery.to_str().unwrap());
    other.run(&["verify"]).expect_code(0);
}

/// A vault that an identity file opens, and a passphrase that `VAULT_PASSPHRASE_FILE` gives.
fn with_identity_and_passphrase() -> Home {
    let mut home = Home::new();
    home.run(&["init"]).expect_code(0);
    let passphrase = home.write("passphrase.txt", PASSPHRASE);
    home.set("VAULT_PASSPHRASE_FILE", passphrase.to_str().unwrap());
    home.run(&["key", "add", "--passphrase"]).expect_code(0);
    home
}

fn slot(home: &Home, kind: &str) -> String {
    let slots = slots(home);
    slots.iter().find(|slot| slot["type"] == kind).unwrap()["id"].as_str().unwrap().to_owned()
}

/// Asserts that the vault is as it was, and that only its key is accepted.
#[track_caller]
fn assert_nothing_begun(home: &Home, before: &Snapshot, kid: &str) {
    let pin = crate::expiry::state_dir(home).join("pin.json");
    assert_eq!(pinned(home), (vec![kid.to_owned()], Vec::new()));
    // It was written twice, with what it says now.
    let now = std::fs::read(&pin).unwrap();
    std::fs::write(&pin, before.get(&pin).unwrap()).unwrap();
    assert_unchanged(before, home);
    std::fs::write(&pin, now).unwrap();
}

#[test]
fn a_rotation_on_a_terminal_says_how_the_other_machines_follow_and_nothing_when_it_is_quiet() {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);

    let said = expect_end(on_terminal(&home, &["rotate"]), 0);
    assert!(said.contains(&format!("vault key accept {}", kid(&home))), "{said}");
    let Run { stdout, stderr, .. } = home.run(&["-q", "rotate"]).expect_code(0);
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", ""));
}
