//! `vault key passwd`: another passphrase, the same key.

use serde_json::Value;

use crate::home::Home;
use crate::slots::{expect_end, manifest_slots, on_terminal, passphrase_home, scrypt_stanza};
use crate::tree::stored;

const OLD: &str = "correct horse battery";
const NEW: &str = "staple correct horse";

fn passwd(home: &Home) -> crate::home::Run {
    home.run(&["key", "passwd", "--new-passphrase-file", "new.txt"])
}

/// The manifest without what a change of its only slot may change.
fn rest(home: &Home) -> Value {
    let mut manifest: Value = crate::tree::json(home.vault_dir().join("vault.json"));
    for name in ["generation", "mac"] {
        manifest.as_object_mut().unwrap().remove(name);
    }
    for name in ["sealed", "created_at"] {
        manifest["slots"][0].as_object_mut().unwrap().remove(name);
    }
    manifest
}

#[test]
fn the_new_passphrase_opens_the_vault_and_the_old_one_does_not() {
    let home = passphrase_home();
    let before = rest(&home);
    home.write("new.txt", format!("{NEW}\n"));

    passwd(&home)
        .expect_code(0)
        .expect_said("still has it")
        .expect_said("`vault rotate key`")
        .expect_unsaid(NEW);

    let _ = home.run(&["verify", "--no-input"]).expect_code(4).expect_said("the passphrase is wrong");
    home.write("passphrase.txt", NEW);
    let _ = home.run(&["verify"]).expect_code(0);
    assert_eq!(rest(&home), before);
    assert!(scrypt_stanza(&home).ends_with(" 18"));
}

#[test]
fn the_old_passphrase_is_typed_and_the_new_one_typed_twice() {
    let mut home = passphrase_home();
    home.unset("VAULT_PASSPHRASE_FILE");

    let mut terminal = on_terminal(&home, &["key", "passwd"]);
    for (question, typed) in [("Passphrase of the vault", OLD), ("New passphrase", NEW), ("again", NEW)] {
        terminal.exp_string(question).unwrap();
        terminal.send_line(typed).unwrap();
    }
    expect_end(terminal, 0);

    home.set("VAULT_PASSPHRASE_COMMAND", &format!("echo '{NEW}'"));
    let _ = home.run(&["verify"]).expect_code(0);
}

#[test]
fn nothing_changes_without_the_old_passphrase_or_with_a_short_new_one() {
    let mut home = passphrase_home();
    let own = home.path("identity.txt");
    crate::home::write_identity(&own);
    let _ = home.run(&["key", "add", "--identity", own.to_str().unwrap()]).expect_code(0);
    let before = stored(&home);
    home.write("new.txt", "short");
    passwd(&home).expect_code(2).expect_said("fewer than 8 characters");
    home.run(&["key", "passwd"]).expect_code(2).expect_said("--new-passphrase-file");
    home.write("new.txt", NEW);
    home.write("passphrase.txt", "wrong horse battery");
    // Its identity opens the vault; that is not enough.
    let _ = home.run(&["verify"]).expect_code(0);
    passwd(&home).expect_code(4).expect_said("the passphrase is wrong");
    home.unset("VAULT_PASSPHRASE_FILE");
    passwd(&home).expect_code(4).expect_said("VAULT_PASSPHRASE_FILE");

    assert_eq!(stored(&home), before);
}

#[test]
fn of_two_passphrases_one_is_named() {
    let home = passphrase_home();
    let _ = home.run(&["key", "add", "--passphrase"]).expect_code(0);
    home.write("new.txt", NEW);
    let ids: Vec<String> =
        manifest_slots(&home).iter().map(|slot| slot["id"].as_str().unwrap().to_owned()).collect();
    let before = manifest_slots(&home);

    passwd(&home).expect_code(2).expect_said(&ids[0]).expect_said(&ids[1]);
    let named = ["key", "passwd", &ids[1][..8], "--new-passphrase-file", "new.txt"];
    let _ = home.run(&named).expect_code(0).expect_said(&ids[1]);

    let after = manifest_slots(&home);
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1]["sealed"], before[1]["sealed"]);
    home.run(&["key", "passwd", "nothing"]).expect_code(3).expect_said("no key slot");
    let other = Home::new();
    let _ = other.run(&["init"]).expect_code(0);
    other.run(&["key", "passwd"]).expect_code(3).expect_said("no passphrase slot");
}
