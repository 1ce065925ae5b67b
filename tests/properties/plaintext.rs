//! The plaintext of a sealed item: it gives its secret only in the one place and for the one
//! destination that it names itself.

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use vault::domain::{Binding, DocumentId, SealedField};
use vault::seal::{Document, Draft, Format, Verified};

use crate::vault_of_vectors::{KEY, VAULT, sign};

/// Longest value in bytes, from `docs/vault-format.md`.
const MAX_VALUE: usize = 64 * 1024;

/// Holds whatever `plaintext` is; says whether it opens where it stands, the refresh token of the
/// document of 32 ones.
pub fn holds(plaintext: &[u8]) -> bool {
    let document = document_with(&KEY.current().seal(plaintext));
    let claimed = claimed_binding(plaintext);
    let open = |binding: &Binding| document.open(&KEY, SealedField::RefreshToken, binding);
    let Ok((secret, bound)) = open(&claimed) else { return false };

    assert_eq!(bound, claimed, "bound to what it says");
    assert_says(plaintext, secret.expose_secret());
    let elsewhere = Binding { client_id: Some("another".into()), ..claimed.clone() };
    assert!(claimed == elsewhere || open(&elsewhere).is_err(), "opens for another client");
    assert!(document.open(&KEY, SealedField::ApiKey, &claimed).is_err(), "opens as another field");

    let again = draft().seal(&KEY, SealedField::RefreshToken, &bound, &secret).sign(&KEY);
    let (same, same_bound) = again.open(&KEY, SealedField::RefreshToken, &bound).expect("opens once more");
    assert_eq!((same.expose_secret(), same_bound), (secret.expose_secret(), bound));
    true
}

fn id() -> DocumentId {
    DocumentId::from_bytes([0x11; 16])
}

fn draft() -> Draft {
    Draft::new(Format::Profile, VAULT.clone(), id())
}

/// The same message in two fields: one of them is the wrong one.
fn document_with(message: &str) -> Verified {
    let document = json!({
        "format": Format::Profile.as_str(), "id": id().to_string(), "generation": 1,
        "secrets": { "refresh_token": message, "api_key": message },
    });
    let Value::Object(fields) = document else { unreachable!("written as an object") };
    Document::parse(&sign(fields)).unwrap().verify(&VAULT, &KEY).unwrap()
}

/// The destination that it names, so that the rest of it decides.
fn claimed_binding(plaintext: &[u8]) -> Binding {
    let item: Option<Value> = serde_json::from_slice(plaintext).ok();
    let binding = item.and_then(|item| serde_json::from_value(item["bind"].clone()).ok());
    binding.unwrap_or_else(|| Binding::issuer_only("https://issuer.example"))
}

/// Another reader finds the same in it.
fn assert_says(plaintext: &[u8], secret: &str) {
    let item: Map<String, Value> = serde_json::from_slice(plaintext).expect("strict JSON is JSON");
    assert!(crate::keys::stand_once(plaintext), "readers differ on which of two counts");
    assert_eq!(item["v"], 1);
    assert_eq!(item["vault"], VAULT.to_string());
    assert_eq!(item["document"], id().to_string());
    assert_eq!(item["field"], "refresh_token");
    assert_eq!(item["value"], secret);
    assert!(secret.len() <= MAX_VALUE);
}
