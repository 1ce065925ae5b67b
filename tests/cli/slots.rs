//! Key slots: each kind unlocks the vault in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine};
use rexpect::session::PtySession;
use secrecy::SecretString;
use serde_json::Value;

use crate::home::{Home, Run, write_identity};
use crate::outside;

/// The passphrase of [`passphrase_home`].
pub const PASSPHRASE: &str = "correct horse battery";

#[test]
fn a_passphrase_comes_from_a_file_or_a_command_and_a_wrong_one_opens_nothing() {
    let mut home = passphrase_home();
    assert!(scrypt_stanza(&home).ends_with(" 18"), "{}", scrypt_stanza(&home));
    home.run(&["key", "list"]).expect_code(0);

    home.unset("VAULT_PASSPHRASE_FILE");
    verify(&home).expect_code(4).expect_said("VAULT_PASSPHRASE_FILE or VAULT_PASSPHRASE_COMMAND");
    home.set("VAULT_PASSPHRASE_COMMAND", "cat passphrase.txt");
    verify(&home).expect_code(0);
    home.set("VAULT_PASSPHRASE_COMMAND", "echo wrong-canary");
    verify(&home).expect_code(4).expect_unsaid("wrong-canary");
    home.set("VAULT_PASSPHRASE_COMMAND", "false secret-argument");
    verify(&home).expect_code(4).expect_said("`false` failed").expect_unsaid("secret-argument");
}

#[test]
fn a_passphrase_is_asked_for_on_a_terminal_three_times() {
    let mut home = passphrase_home();
    home.unset("VAULT_PASSPHRASE_FILE");

    let mut terminal = on_terminal(&home, &["verify"]);
    for _ in 0..3 {
        terminal.exp_string("assphrase").unwrap();
        terminal.send_line("wrong-canary").unwrap();
    }
    let said = expect_end(terminal, 4);
    assert!(!said.contains("wrong-canary"), "what is typed is shown: {said}");

    let mut terminal = on_terminal(&home, &["verify"]);
    terminal.exp_string("Passphrase of the vault").unwrap();
    terminal.send_line(PASSPHRASE).unwrap();
    expect_end(terminal, 0);
}

#[test]
fn a_new_passphrase_is_typed_twice_and_must_not_be_short() {
    let home = Home::bare();

    let mut terminal = on_terminal(&home, &["init", "--unlock", "passphrase"]);
    for typed in ["short", PASSPHRASE, "something else", PASSPHRASE, PASSPHRASE] {
        terminal.exp_regex("vault: |again: ").unwrap();
        terminal.send_line(typed).unwrap();
    }
    expect_end(terminal, 0);

    assert!(home.vault_dir().join("vault.json").exists());
}

#[test]
fn an_interrupt_at_the_prompt_is_a_cancel() {
    let mut home = Home::new();
    home.unset("VAULT_IDENTITY_FILE");

    let mut terminal = on_terminal(&home, &["init", "--unlock", "passphrase"]);
    terminal.exp_string("vault: ").unwrap();
    terminal.send_control('c').unwrap();
    let status = format!("{:?}", terminal.process().wait().unwrap());

    assert!(status.ends_with(", 12)") || status.contains("SIGINT"), "{status}");
    assert!(!home.vault_dir().join("vault.json").exists());
}

#[test]
fn the_identity_file_of_init_is_remembered_and_another_one_joins_it() {
    let home = Home::bare();
    let first = identity(&home, "first.txt");
    home.run(&["init", "--unlock", "identity", "--identity", "first.txt"]).expect_code(0);

    verify(&home).expect_code(0);
    let second = identity(&home, "second.txt");
    home.run(&["key", "add", "--identity", second.to_str().unwrap()]).expect_code(0);
    for (away, back) in [(&first, "1"), (&second, "2")] {
        std::fs::rename(away, home.path(back)).unwrap();
        verify(&home).expect_code(0);
        std::fs::rename(home.path(back), away).unwrap();
    }
}

#[test]
fn an_identity_file_is_named_by_the_variable_or_handed_over_by_systemd() {
    let mut home = Home::new();
    home.run(&["init"]).expect_code(0);
    let elsewhere = home.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(home.path("identity.txt"), elsewhere.join("vault-identity")).unwrap();

    home.unset("VAULT_IDENTITY_FILE");
    verify(&home).expect_code(4);
    home.set("CREDENTIALS_DIRECTORY", elsewhere.to_str().unwrap());
    verify(&home).expect_code(0);
    home.unset("CREDENTIALS_DIRECTORY");
    home.set("VAULT_IDENTITY_FILE", elsewhere.join("vault-identity").to_str().unwrap());
    verify(&home).expect_code(0);
}

#[test]
fn an_identity_file_with_comments_and_others_in_it_opens_and_one_that_is_open_warns() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    let file = home.path("identity.txt");
    let ours = std::fs::read_to_string(&file).unwrap();
    let other = std::fs::read_to_string(identity(&home, "other.txt")).unwrap();

    home.write("identity.txt", format!("# a comment\r\n{other}\r\n\r\n{}", ours.to_lowercase()));
    verify(&home).expect_code(0);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    verify(&home).expect_code(0).expect_said("other users may read the identity file");
    home.write("identity.txt", format!("{}canary\n", ours.trim_end()));
    verify(&home).expect_code(4).expect_said("line 1").expect_unsaid("canary");
    let key: age::x25519::Identity = ours.trim().parse().unwrap();
    home.write("identity.txt", key.to_public().to_string());
    verify(&home).expect_code(4).expect_said("public");
}

#[test]
fn a_recovery_recipient_opens_the_vault_with_its_identity_alone() {
    let (Some(keygen), Some(age)) = (outside::program("age-keygen"), outside::program("age")) else { return };
    let mut home = Home::new();
    home.run(&["init"]).expect_code(0);
    let recovery = home.path("recovery.txt");
    let made = Command::new(keygen).arg("-o").arg(&recovery).output().unwrap();
    let said = String::from_utf8(made.stderr).unwrap();
    let recipient = said.split_whitespace().find(|word| word.starts_with("age1")).unwrap().to_owned();

    home.run(&["key", "add", "--recipient", &recipient]).expect_code(0);

    // As on another machine, which remembers nothing.
    std::fs::remove_dir_all(home.path("state")).unwrap();
    std::fs::remove_file(home.path("identity.txt")).unwrap();
    home.set("VAULT_IDENTITY_FILE", recovery.to_str().unwrap());
    verify(&home).expect_code(0).expect_said("first use of this vault");
    let slot = home.write("slot.age", sealed_slot(&home, &recipient));
    let opened = Command::new(age).arg("-d").arg("-i").arg(&recovery).arg(slot).output().unwrap();
    assert!(opened.stdout.starts_with(b"AGE-SECRET-KEY-1"), "{}", String::from_utf8_lossy(&opened.stderr));
}

#[test]
fn a_recipient_with_a_typing_error_and_the_secret_half_are_refused() {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    let secret = std::fs::read_to_string(home.path("identity.txt")).unwrap();

    let typo = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
    home.run(&["key", "add", "--recipient", typo]).expect_code(2).expect_said("typing error");
    home.run(&["key", "add", "--recipient", secret.trim()])
        .expect_code(2)
        .expect_said("the secret half")
        .expect_unsaid(secret.trim());
    assert_eq!(slots(&home).len(), 1);
}

#[test]
fn the_slots_are_listed_without_a_key_and_the_last_one_stays() {
    let mut home = Home::new();
    home.run(&["init"]).expect_code(0);
    let other = identity(&home, "other.txt");
    home.run(&["key", "add", "--identity", other.to_str().unwrap()]).expect_code(0);
    let ids: Vec<String> = slots(&home).iter().map(|slot| slot["id"].as_str().unwrap().to_owned()).collect();

    home.run(&["key", "remove", "zzzz"]).expect_code(3);
    home.run(&["key", "remove", &ids[0]]).expect_code(0);
    home.run(&["key", "remove", &ids[1]]).expect_code(7).expect_said("last");

    verify(&home).expect_code(0);
    std::fs::remove_dir_all(home.path("state")).unwrap();
    verify(&home).expect_code(4);
    home.unset("VAULT_IDENTITY_FILE");
    assert_eq!(slots(&home).len(), 1);
}

#[test]
fn a_sealed_identity_file_asks_for_its_passphrase() {
    let home = Home::bare();
    let plain = std::fs::read(identity(&home, "plain.txt")).unwrap();
    let mut recipient = age::scrypt::Recipient::new(SecretString::from("open sesame"));
    recipient.set_work_factor(2);
    home.write("sealed.age", age::encrypt(&recipient, &plain).unwrap());

    let unlock = ["init", "--unlock", "identity", "--identity", "sealed.age"];
    home.run(&unlock).expect_code(4).expect_said("sealed with a passphrase, and nobody can be asked");
    for (command, typed, code) in
        [(&unlock[..], "open sesame", 0), (&["verify"], "open sesame", 0), (&["verify"], "wrong", 4)]
    {
        let mut terminal = on_terminal(&home, command);
        for _ in 0..if code == 0 { 1 } else { 3 } {
            terminal.exp_string("Passphrase of the identity file").unwrap();
            terminal.send_line(typed).unwrap();
        }
        expect_end(terminal, code);
    }
    verify(&home).expect_code(4);
}

#[test]
fn a_plugin_holds_the_identity_and_may_ask_for_a_pin() {
    let Some(mut home) = plugin_home() else { return };
    home.run(&["init", "--identity", "plugin.txt"]).expect_code(0);

    verify(&home).expect_code(0);
    home.set("TRY_MODE", "touch");
    let said = expect_end(on_terminal(&home, &["verify"]), 0);
    assert!(said.contains("touch the key"), "{said}");
    home.set("TRY_MODE", "pin");
    verify(&home).expect_code(4).expect_said("no PIN");
    let mut terminal = on_terminal(&home, &["verify"]);
    terminal.exp_string("PIN of the  [31mkey").unwrap();
    terminal.send_line("1234").unwrap();
    expect_end(terminal, 0);
}

#[test]
fn a_plugin_that_misbehaves_or_is_missing_unlocks_nothing() {
    let Some(mut home) = plugin_home() else { return };
    home.run(&["init", "--identity", "plugin.txt"]).expect_code(0);

    for mode in ["exit", "garbage", "error"] {
        home.set("TRY_MODE", mode);
        verify(&home).expect_code(4).expect_said("plugin").expect_unsaid("\u{1b}");
    }
    home.set("PATH", "/nonexistent");
    verify(&home).expect_code(4).expect_said("the age plugin `age-plugin-try` is not installed");
}

#[cfg(feature = "ssh")]
#[test]
fn an_ssh_key_opens_the_vault_and_a_sealed_one_asks_for_its_passphrase() {
    for (kind, passphrase) in [("ed25519", ""), ("rsa", ""), ("ed25519", "open sesame")] {
        let home = Home::bare();
        let Some(key) = ssh_key(&home, kind, passphrase) else { return };
        let key = key.to_str().unwrap();
        for command in [&["init", "--identity", key][..], &["verify"]] {
            let mut terminal = on_terminal(&home, command);
            if !passphrase.is_empty() {
                terminal.exp_regex("[Pp]assphrase").unwrap();
                terminal.send_line(passphrase).unwrap();
            }
            expect_end(terminal, 0);
        }
    }
}

#[cfg(feature = "ssh")]
#[test]
fn an_ssh_recipient_opens_the_vault_with_its_key_alone() {
    let mut home = Home::new();
    let Some(key) = ssh_key(&home, "ed25519", "") else { return };
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    home.run(&["init"]).expect_code(0);

    home.run(&["key", "add", "--recipient", public.trim()]).expect_code(0);

    std::fs::remove_file(home.path("identity.txt")).unwrap();
    home.set("VAULT_IDENTITY_FILE", key.to_str().unwrap());
    verify(&home).expect_code(0);
}

#[cfg(not(feature = "ssh"))]
#[test]
fn without_its_feature_an_ssh_key_is_refused_by_name() {
    let home = Home::new();
    let Some(key) = ssh_key(&home, "ed25519", "") else { return };
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();

    home.run(&["init", "--identity", key.to_str().unwrap()]).expect_code(4).expect_said("feature `ssh`");
    home.run(&["init"]).expect_code(0);
    home.run(&["key", "add", "--recipient", public.trim()]).expect_code(2).expect_said("feature `ssh`");
}

/// A command that needs the vault key and asks nobody.
fn verify(home: &Home) -> Run {
    home.run(&["verify", "--no-input"])
}

/// A home whose vault only a passphrase opens, with the variable that names its file.
pub fn passphrase_home() -> Home {
    let mut home = Home::bare();
    let file = home.write("passphrase.txt", format!("{PASSPHRASE}\n"));
    home.set("VAULT_PASSPHRASE_FILE", file.to_str().unwrap());
    home.run(&["init", "--unlock", "passphrase"]).expect_code(0).expect_said("passphrase");
    home
}

/// A new age identity file in `home`.
pub fn identity(home: &Home, name: &str) -> PathBuf {
    let path = home.path(name);
    write_identity(&path);
    path
}

/// A home with an age plugin and an identity of it in `plugin.txt`.
pub fn plugin_home() -> Option<Home> {
    let python = outside::program("python3")?;
    let mut home = Home::bare();
    let folder = home.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    let script = outside::ours("tests/plugin/age-plugin-try");
    // Called by its whole path, so that the search path can be the plugin's alone.
    let call = format!("#!/bin/sh\nexec {} {} \"$@\"\n", python.display(), script.display());
    make_program(&folder.join("age-plugin-try"), &call);
    let path = std::env::var("PATH").unwrap();
    home.set("PATH", &format!("{}:{path}", folder.display()));
    let identity = age::plugin::Identity::default_for_plugin("try").unwrap();
    home.write("plugin.txt", format!("{identity}\n"));
    Some(home)
}

fn make_program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

fn ssh_key(home: &Home, kind: &str, passphrase: &str) -> Option<PathBuf> {
    let path = home.path(format!("id_{kind}"));
    let mut keygen = Command::new(outside::program("ssh-keygen")?);
    keygen.args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(&path);
    assert!(keygen.status().unwrap().success());
    Some(path)
}

/// The slots as `vault key list` has them.
pub fn slots(home: &Home) -> Vec<Value> {
    let answer = home.run(&["key", "list", "--json"]).answer();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["slots"].as_array().unwrap().clone()
}

pub fn manifest_slots(home: &Home) -> Vec<Value> {
    let manifest = std::fs::read(home.vault_dir().join("vault.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["slots"].as_array().unwrap().clone()
}

/// The age message of the slot of `recipient`.
fn sealed_slot(home: &Home, recipient: &str) -> String {
    let slots = manifest_slots(home);
    let slot = slots.iter().find(|slot| slot["recipient"] == recipient).unwrap();
    slot["sealed"].as_str().unwrap().to_owned()
}

/// The stanza of the only slot: `-> scrypt SALT WORK`.
pub fn scrypt_stanza(home: &Home) -> String {
    let slots = manifest_slots(home);
    let armored = slots[0]["sealed"].as_str().unwrap();
    let base64: String = armored.lines().filter(|line| !line.starts_with("-----")).collect();
    let message = BASE64_STANDARD.decode(base64).unwrap();
    let message = String::from_utf8_lossy(&message);
    message.lines().find(|line| line.starts_with("-> scrypt ")).unwrap().to_owned()
}

/// The program on a terminal, where somebody can be asked.
pub fn on_terminal(home: &Home, arguments: &[&str]) -> PtySession {
    let mut command = home.command(arguments);
    command.stdin(Stdio::inherit());
    // Long, because a debug build may take seconds for a passphrase on a busy machine.
    rexpect::session::spawn_command(command, Some(60_000)).unwrap()
}

/// Waits for the end, which must be with `code`; what was said since the last answer.
#[track_caller]
pub fn expect_end(mut terminal: PtySession, code: i32) -> String {
    let said = terminal.exp_eof().unwrap();
    // Its type belongs to a crate that is not ours to name.
    let status = format!("{:?}", terminal.process().wait().unwrap());
    assert!(status.starts_with("Exited") && status.ends_with(&format!(", {code})")), "{status}: {said}");
    said
}
