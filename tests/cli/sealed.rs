//! age messages that no program of ours has made, in the place of sealed items under a MAC that fits,
//! and in key slots, which are opened before there is a key for a MAC.

use std::collections::HashSet;
use std::process::{Command, Output};

use age::x25519;
use age_core::format::{FileKey, Stanza};
use serde_json::json;

use crate::forge;
use crate::home::{Home, Run, VAULT};
use crate::scene::{Scene, documents, edit, read};

/// More work than any machine does: 2^40 times 1 KiB of memory.
const MONSTROUS: &str = "40";

#[test]
fn a_sealed_message_that_is_none_or_is_for_nobody_here_is_refused_although_the_mac_fits() {
    let scene = Scene::new();
    let (work, key) = (scene.home.profile("work"), forge::vault_key(&scene.home));
    let genuine = read(&work)["secrets"]["refresh_token"].as_str().unwrap().to_owned();

    for (what, message) in hostile(&genuine, &key.to_public()) {
        scene.attack_with_mac(what, &work, |work| work["secrets"]["refresh_token"] = json!(message));
    }
}

#[test]
fn a_slot_of_a_message_that_is_none_or_is_for_nobody_here_unlocks_nothing() {
    let scene = Scene::new();
    let manifest = scene.home.vault_dir().join("vault.json");
    let good = std::fs::read(&manifest).unwrap();
    let slot = read(&manifest)["slots"][0].clone();
    let recipient = slot["recipient"].as_str().unwrap().parse().unwrap();

    for (what, message) in hostile(slot["sealed"].as_str().unwrap(), &recipient) {
        edit(&manifest, |manifest| manifest["slots"][0]["sealed"] = json!(message));
        let before = (documents(&scene.home), scene.provider.requests().len());

        let run = scene.home.run(&["token", "work", "--refresh"]);

        assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{what}: {}", run.stderr);
        assert!(before == (documents(&scene.home), scene.provider.requests().len()), "{what}");
        std::fs::write(&manifest, &good).unwrap();
    }
}

#[test]
fn stanzas_for_others_beside_the_right_one_do_no_harm() {
    let scene = Scene::new();
    let home = &scene.home;
    let (path, key) = (home.profile("work"), forge::vault_key(home));
    let secret = home.run(&["reveal", "work", "refresh_token"]).answer();
    let plaintext = forge::open(&key, read(&path)["secrets"]["refresh_token"].as_str().unwrap());

    for others in [unknown_stanzas(600), strangers(20)] {
        let message = Forged { stanzas: others, genuine: Some(key.to_public()) }.seal(plaintext.as_bytes());
        edit(&path, |work| work["secrets"]["refresh_token"] = json!(message));
        forge::sign(home, &path);

        assert_eq!(home.run(&["reveal", "work", "refresh_token"]).answer(), secret);
    }
}

#[test]
fn a_passphrase_slot_of_monstrous_work_is_refused_without_doing_any() {
    let mut home = Home::bare();
    let file = home.write("passphrase.txt", "correct horse battery\n");
    home.set("VAULT_PASSPHRASE_FILE", file.to_str().unwrap());
    home.run(&["init", "--unlock", "passphrase"]).expect_code(0);
    let manifest = home.vault_dir().join("vault.json");

    for work in ["23", MONSTROUS, "63", "255"] {
        edit(&manifest, |manifest| manifest["slots"][0]["sealed"] = json!(scrypt_message(work)));
        limited(&home, &["verify"]).expect_code(4).expect_said("work factor");
    }
    for work in ["-1", "0x12", "1e1", "999"] {
        edit(&manifest, |manifest| manifest["slots"][0]["sealed"] = json!(scrypt_message(work)));
        limited(&home, &["verify"]).expect_code(4).expect_said("damaged");
    }
}

/// What can be wrong with an age message, each made of `genuine` or for `recipient`.
fn hostile(genuine: &str, recipient: &x25519::Recipient) -> Vec<(&'static str, String)> {
    let bytes = dearmored(genuine);
    let mac = bytes.windows(5).position(|window| window == b"\n--- ").unwrap() + 5;
    let mut other_mac = bytes.clone();
    other_mac[mac] ^= 1;
    let ours = || Some(recipient.clone());
    let forged = |stanzas, genuine| Forged { stanzas, genuine }.seal(b"not looked at");
    vec![
        ("cut in the first line", armored(&bytes[..10])),
        ("cut in a stanza", armored(&bytes[..60])),
        ("cut before the MAC of the header", armored(&bytes[..mac])),
        ("cut after the header", armored(&bytes[..mac + 44])),
        ("another MAC of the header", armored(&other_mac)),
        ("another version of age", genuine_with(&bytes, b"age-encryption.org/v2")),
        ("for a stranger", forged(vec![], Some(x25519::Identity::generate().to_public()))),
        ("for nobody", forged(unknown_stanzas(1), None)),
        ("for ten thousand unknown kinds of key", forged(unknown_stanzas(10_000), None)),
        ("for thousands of strangers", forged(strangers(5_000), None)),
        ("right, after ten thousand unknown kinds of key", forged(unknown_stanzas(10_000), ours())),
        ("a passphrase beside the key", with_scrypt(&forged(vec![placeholder()], ours()))),
        ("two passphrases", with_scrypt(&forged(vec![placeholder(), placeholder()], None))),
        ("a passphrase of monstrous work", scrypt_message(MONSTROUS)),
    ]
}

/// `bytes` with another first line of the same length.
fn genuine_with(bytes: &[u8], first_line: &[u8]) -> String {
    armored(&[first_line, &bytes[first_line.len()..]].concat())
}

/// A recipient that writes the stanzas it likes, and a genuine one if it has it. The MAC of the header
/// fits all of them, as for any sender.
struct Forged {
    stanzas: Vec<Stanza>,
    genuine: Option<x25519::Recipient>,
}

impl Forged {
    fn seal(&self, plaintext: &[u8]) -> String {
        age::encrypt_and_armor(self, plaintext).unwrap()
    }
}

impl age::Recipient for Forged {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let copy = |stanza: &Stanza| Stanza {
            tag: stanza.tag.clone(),
            args: stanza.args.clone(),
            body: stanza.body.clone(),
        };
        let mut stanzas: Vec<Stanza> = self.stanzas.iter().map(copy).collect();
        if let Some(genuine) = &self.genuine {
            stanzas.extend(genuine.wrap_file_key(key)?.0);
        }
        Ok((stanzas, HashSet::new()))
    }
}

fn stanza(tag: &str, args: &[&str], body: &[u8]) -> Stanza {
    let args = args.iter().map(|argument| (*argument).to_owned()).collect();
    Stanza { tag: tag.to_owned(), args, body: body.to_vec() }
}

fn unknown_stanzas(count: usize) -> Vec<Stanza> {
    (0..count).map(|_| stanza("x", &[], &[])).collect()
}

/// Stanzas of the right kind. A share that is not small makes each of them cost as much as a real one.
fn strangers(count: usize) -> Vec<Stanza> {
    let share = "TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc";
    (0..count).map(|_| stanza("X25519", &[share], &[7; 32])).collect()
}

fn scrypt(work: &str) -> Stanza {
    stanza("scrypt", &["bBjlhJVYZeE4aqUdmtRHfw", work], &[7; 32])
}

/// The age crate seals no passphrase beside anything else: so its name comes in afterwards, and the MAC of
/// the header does not fit. With one that fits, vectors of the age format have the same.
fn placeholder() -> Stanza {
    Stanza { tag: "scryyt".to_owned(), ..scrypt("10") }
}

fn with_scrypt(message: &str) -> String {
    let mut bytes = dearmored(message);
    while let Some(at) = bytes.windows(6).position(|window| window == b"scryyt") {
        bytes[at..at + 6].copy_from_slice(b"scrypt");
    }
    armored(&bytes)
}

fn scrypt_message(work: &str) -> String {
    Forged { stanzas: vec![scrypt(work)], genuine: None }.seal(b"not looked at")
}

fn dearmored(message: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = age::armor::ArmoredReader::new(message.as_bytes());
    std::io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    bytes
}

fn armored(message: &[u8]) -> String {
    let mut armored = Vec::new();
    let format = age::armor::Format::AsciiArmor;
    let mut writer = age::armor::ArmoredWriter::wrap_output(&mut armored, format).unwrap();
    std::io::Write::write_all(&mut writer, message).unwrap();
    writer.finish().unwrap();
    String::from_utf8(armored).unwrap()
}

/// Runs the program with so little memory that work of gigabytes would fail in another way.
fn limited(home: &Home, arguments: &[&str]) -> Run {
    let mut command = Command::new("sh");
    home.prepare(&mut command);
    command.args(["-c", "ulimit -v 1000000; exec \"$0\" \"$@\"", VAULT]).args(arguments);
    let output: Output = command.output().unwrap();
    Run::of(arguments, output)
}
