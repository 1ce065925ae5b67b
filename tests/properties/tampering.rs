//! Every byte of every document changed, and every length cut to: refused, or of the same meaning.
//! Then the same of what is sealed, under a MAC that fits: as if the attacker could make one.

use std::fs;
use std::path::Path;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use vault::domain::{Binding, Client, SealedField};
use vault::seal::{Document, ItemError, Verified};

use crate::vault_of_vectors::{KEY, VAULT, canonical, sign};

/// The four kinds of document that stand somewhere, each as it was written.
const DOCUMENTS: [&str; 4] = [
    "vault/vault.json",
    "vault/clients/desktop.json",
    "vault/profiles/work.json",
    "documents/token-valid.json",
];

/// What a byte becomes: with one bit flipped, and what has a meaning in JSON, in armor or in hex.
fn others(byte: u8) -> impl Iterator<Item = u8> {
    let flipped = (0..8).map(move |bit| byte ^ (1 << bit));
    flipped.chain([b'"', b' ', b'0', b'\n']).filter(move |other| *other != byte)
}

#[test]
fn every_byte_of_every_document_changed_is_refused_or_means_the_same() {
    for name in DOCUMENTS {
        let (good, meaning) = (read(name), canonical(&facts(&verify(&read(name)).unwrap())));
        let mut accepted = 0;
        for at in 0..good.len() {
            for other in others(good[at]) {
                let mut bytes = good.clone();
                bytes[at] = other;
                if let Some(document) = verify(&bytes) {
                    assert_eq!(canonical(&facts(&document)), meaning, "{name}: byte {at} as {other:#04x}");
                    accepted += 1;
                }
            }
        }
        // A space for a line break: there are such changes, and few of them.
        assert!(accepted > 0 && accepted < good.len(), "{name}: {accepted}");
    }
}

#[test]
fn every_document_cut_at_any_byte_is_refused() {
    for name in DOCUMENTS {
        let good = read(name);
        let end = good.trim_ascii_end().len();
        for length in 0..end {
            assert!(verify(&good[..length]).is_none(), "{name}: {length} bytes");
        }
        assert!(verify(&good[..end]).is_some(), "{name}: without its last line break");
    }
}

#[test]
fn every_byte_of_a_sealed_message_changed_under_a_mac_that_fits_is_refused_or_means_the_same() {
    let profile = facts(&verify(&read("vault/profiles/work.json")).unwrap());
    let message = profile["secrets"]["refresh_token"].as_str().unwrap();
    let mut accepted = 0;
    for at in 0..message.len() {
        // Bytes beyond ASCII cannot stand in a text of JSON.
        for other in others(message.as_bytes()[at]).filter(u8::is_ascii) {
            let mut bytes = message.as_bytes().to_vec();
            bytes[at] = other;
            if let Ok(secret) = open(with_message(&profile, &String::from_utf8(bytes).unwrap())) {
                assert_eq!(secret, "refresh-token-of-work", "byte {at} as {other:#04x}");
                accepted += 1;
            }
        }
        let cut = open(with_message(&profile, &message[..at]));
        assert!(cut.is_err() || message[at..].trim().is_empty(), "cut to {at} bytes");
    }
    assert!(accepted < 20, "white space around the armor, and no more: {accepted}");
}

#[test]
fn every_byte_of_a_plaintext_changed_under_seal_and_mac_is_refused_or_means_the_same() {
    let profile = facts(&verify(&read("vault/profiles/work.json")).unwrap());
    let message = profile["secrets"]["refresh_token"].as_str().unwrap();
    let plaintext = KEY.current().open(message).unwrap();
    let text = std::str::from_utf8(&plaintext).unwrap();
    let secret = "refresh-token-of-work";
    let value = text.find(secret).unwrap();
    let value = value..value + secret.len();
    // One byte of the padding stands for all of them.
    let padding = text.find(&" ".repeat(100)).unwrap();

    for at in (0..=padding).chain(text.rfind('"').unwrap()..text.len()) {
        for other in others(plaintext[at]) {
            let mut bytes = plaintext.to_vec();
            bytes[at] = other;
            // `open` holds that it goes where it went. A host in capitals is the same host.
            if let Ok(opened) = open(with_message(&profile, &KEY.current().seal(&bytes))) {
                assert!(opened == secret || value.contains(&at), "byte {at} as {other:#04x}");
            }
        }
    }
}

#[test]
fn a_plaintext_that_differs_in_one_field_is_refused_for_that_field() {
    let profile = facts(&verify(&read("vault/profiles/work.json")).unwrap());
    let message = profile["secrets"]["refresh_token"].as_str().unwrap();
    let plaintext: Value = serde_json::from_slice(&KEY.current().open(message).unwrap()).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut changed = plaintext.clone();
        change(&mut changed);
        open(with_message(&profile, &KEY.current().seal(changed.to_string().as_bytes()))).unwrap_err()
    };

    for (field, value) in
        [("vault", json!("0".repeat(32))), ("document", json!("0".repeat(32))), ("field", json!("api_key"))]
    {
        let error = refused(&|item| item[field] = value.clone());
        assert!(matches!(error, ItemError::Elsewhere(found) if found == field), "{field}: {error}");
    }
    for name in ["issuer", "token_endpoint", "revocation_endpoint", "client_id"] {
        let error = refused(&|item| item["bind"][name] = json!("http://127.0.0.1:1/other"));
        assert!(matches!(error, ItemError::OtherDestination), "{name}: {error}");
    }
    for auth in ["post", "none"] {
        let error = refused(&|item| item["bind"]["client_auth"] = json!(auth));
        assert!(matches!(error, ItemError::OtherDestination), "{auth}: {error}");
    }
    for name in ["token_endpoint", "revocation_endpoint", "client_id", "client_auth"] {
        let error = refused(&|item| drop(item["bind"].as_object_mut().unwrap().remove(name)));
        assert!(matches!(error, ItemError::OtherDestination), "without {name}: {error}");
    }
    for name in ["v", "vault", "document", "field", "bind", "value", "pad"] {
        let error = refused(&|item| drop(item.as_object_mut().unwrap().remove(name)));
        assert!(matches!(error, ItemError::Malformed), "without {name}: {error}");
    }
}

fn read(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)).unwrap()
}

fn verify(bytes: &[u8]) -> Option<Verified> {
    Document::parse(bytes).ok()?.verify(&VAULT, &KEY).ok()
}

fn facts(document: &Verified) -> Value {
    document.facts().unwrap()
}

/// The profile with another message in the place of its refresh token, and a MAC that fits.
fn with_message(profile: &Value, message: &str) -> Verified {
    let mut changed = profile.as_object().unwrap().clone();
    changed["secrets"]["refresh_token"] = message.into();
    verify(&sign(changed)).expect("the MAC fits")
}

/// The refresh token, opened as for a request.
fn open(profile: Verified) -> Result<String, ItemError> {
    let client: Client = verify(&read("vault/clients/desktop.json")).unwrap().facts().unwrap();
    let binding: Binding = client.binding();
    match profile.open(&KEY, SealedField::RefreshToken, &binding) {
        Ok((secret, bound)) => {
            assert_eq!(bound, binding);
            Ok(secret.expose_secret().to_owned())
        }
        Err(vault::seal::Error::Item { source, .. }) => Err(source),
        Err(other) => panic!("{other}"),
    }
}
