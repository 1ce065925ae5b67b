//! The test vectors of the age format (C2SP CCTV), all of them, through the functions that open sealed
//! items and passphrase slots here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use vault::seal::{KeyError, VaultKey};
use vault::unlock::{MessageError, passphrase};

use crate::outside;

/// Where the age crate is known to differ, as its own run of the vectors says, and none of it harms: white
/// space before the armor is refused, and a stanza without its last, short line is accepted, as the
/// first versions of age wrote it.
const KNOWN_DIFFERENCES: [&str; 3] =
    ["armor_whitespace_outside", "stanza_missing_body", "stanza_missing_final_line"];

/// One line of the index that `tests/vectors/age.mjs` writes.
#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    /// `success`, or what has to fail.
    expect: String,
    /// SHA-256 of the plaintext, where it is told.
    payload: String,
    identities: Vec<String>,
    passphrases: Vec<String>,
}

#[test]
fn every_vector_of_the_age_format_ends_as_it_must() {
    let (Some(node), Some(_)) =
        (outside::newest_node(), outside::installed("oidc-provider/node_modules/cctv-age"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let modules = outside::installed("oidc-provider/node_modules").unwrap();
    let script = outside::ours("tests/vectors/age.mjs");
    let unpacked = Command::new(node).arg(script).args([&modules, folder.path()]).status().unwrap();
    assert!(unpacked.success());
    let index: Vec<Vector> =
        serde_json::from_slice(&fs::read(folder.path().join("index.json")).unwrap()).unwrap();

    let mut kinds = BTreeMap::new();
    for mut vector in index {
        if KNOWN_DIFFERENCES.contains(&vector.name.as_str()) {
            vector.expect = if vector.expect == "success" { "header failure" } else { "success" }.to_owned();
        }
        *kinds.entry(vector.check(folder.path())).or_insert(0) += 1;
    }

    assert_eq!(kinds, BTreeMap::from([("identity", 100), ("passphrase", 24), ("post-quantum", 19)]));
}

impl Vector {
    /// Opens it with what it comes with, and says with what.
    fn check(&self, folder: &Path) -> &'static str {
        let message = as_text(&fs::read(folder.join(&self.name)).unwrap());
        if self.identities.iter().any(|identity| identity.starts_with("AGE-SECRET-KEY-PQ-1")) {
            self.check_post_quantum();
            return "post-quantum";
        }
        if let [passphrase] = &self.passphrases[..]
            && self.identities.is_empty()
        {
            self.check_passphrase(passphrase::open(&message, &passphrase.as_str().into()).map(drop));
            return "passphrase";
        }
        let keys = self.identities.iter().map(|identity| key(identity).unwrap());
        // Two vectors have none: then any will do, since it is not the key that fails.
        for key in keys.chain(self.identities.is_empty().then(VaultKey::generate)) {
            self.check_identity(key.open(&message).map(|plaintext| plaintext.to_vec()));
        }
        "identity"
    }

    fn check_identity(&self, opened: Result<Vec<u8>, KeyError>) {
        let name = &self.name;
        match (self.expect.as_str(), opened) {
            ("success", Ok(plaintext)) => {
                let sum = hex::encode(Sha256::digest(plaintext));
                assert!(sum == self.payload || self.payload.is_empty(), "{name}: another plaintext");
            }
            // Longer than any item of ours; what is wrong at its end is not looked at.
            ("success" | "payload failure", Err(KeyError::TooLong)) => {}
            ("no match", Err(KeyError::OtherKey)) => {}
            ("no match" | "success", other) => panic!("{name}: {other:?}"),
            (_, Err(KeyError::Damaged)) => {}
            (expected, other) => panic!("{name}: {expected}, and not {other:?}"),
        }
    }

    fn check_passphrase(&self, opened: Result<(), MessageError>) {
        let name = &self.name;
        match (self.expect.as_str(), opened) {
            // It was opened, and is no vault key.
            ("success", Err(MessageError::NotAKey)) => {}
            ("no match", Err(MessageError::WrongPassphrase)) => {}
            // A passphrase slot that is sealed to something else is no passphrase slot.
            ("no match", Err(MessageError::Damaged)) if name == "scrypt_uppercase" => {}
            ("no match" | "success", other) => panic!("{name}: {other:?}"),
            (_, Err(MessageError::Damaged | MessageError::TooMuchWork { .. })) => {}
            (expected, other) => panic!("{name}: {expected}, and not {other:?}"),
        }
    }

    /// A vault key is X25519: a key of another kind is none.
    fn check_post_quantum(&self) {
        for identity in self.identities.iter().filter(|it| it.starts_with("AGE-SECRET-KEY-PQ-1")) {
            assert!(matches!(key(identity), Err(KeyError::NotAKey)), "{}", self.name);
        }
    }
}

fn key(identity: &str) -> Result<VaultKey, KeyError> {
    VaultKey::from_identity_file(&identity.into())
}

/// A binary message as the armor that documents hold; what is text already stays.
fn as_text(message: &[u8]) -> String {
    match std::str::from_utf8(message) {
        Ok(text) if !text.starts_with("age-encryption.org") => text.to_owned(),
        _ => {
            let mut armored = Vec::new();
            let armor = age::armor::Format::AsciiArmor;
            let mut writer = age::armor::ArmoredWriter::wrap_output(&mut armored, armor).unwrap();
            writer.write_all(message).unwrap();
            writer.finish().unwrap();
            String::from_utf8(armored).unwrap()
        }
    }
}
