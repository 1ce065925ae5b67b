//! The vault of `tests/vectors`, whose key is no secret: documents and items as only its owner can
//! make them.

use std::sync::LazyLock;

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use sha2::Sha256;
use vault::domain::VaultId;
use vault::seal::{KeyRing, VaultKey};

/// From `docs/vault-format.md`, which quotes it.
pub static KEY: LazyLock<KeyRing> = LazyLock::new(|| {
    let text = "AGE-SECRET-KEY-1TUKNTS9G0HGDSZHSCXYCNUKZLGFN9P2FLW2LRN3Y5L74KU6SN22QZFMEGG";
    KeyRing::of(VaultKey::from_identity_file(&text.into()).unwrap())
});

/// Its identifier, as the documents there name it.
pub static VAULT: LazyLock<VaultId> = LazyLock::new(|| {
    let manifest = include_bytes!("../vectors/vault/vault.json");
    serde_json::from_slice::<Value>(manifest).unwrap()["vault"].as_str().unwrap().parse().unwrap()
});

static MAC_KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let (text, salt) = (KEY.current().to_identity_file(), VAULT.to_string());
    let mut bytes = [0; 32];
    Hkdf::<Sha256>::new(Some(salt.as_bytes()), text.expose_secret().trim().as_bytes())
        .expand(b"vault/v1/doc-mac", &mut bytes)
        .unwrap();
    bytes
});

/// `fields` as a document of this vault, with a MAC that fits. Made by hand, and not by the library:
/// so that a field of the envelope may be anything.
pub fn sign(mut fields: Map<String, Value>) -> Vec<u8> {
    fields.remove("mac");
    fields.insert("vault".into(), VAULT.to_string().into());
    fields.insert("kid".into(), KEY.current().id(&VAULT).to_string().into());
    let mut mac = Hmac::<Sha256>::new_from_slice(&*MAC_KEY).unwrap();
    mac.update(fields["format"].as_str().unwrap_or_default().as_bytes());
    mac.update(&[0]);
    mac.update(canonical(&Value::Object(fields.clone())).as_bytes());
    fields.insert("mac".into(), hex::encode(mac.finalize().into_bytes()).into());
    canonical(&Value::Object(fields)).into_bytes()
}

/// RFC 8785 for strict JSON, written once more and from the text alone: sorted keys, no spaces, and
/// the escapes of 3.2.2.2.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members = members.iter().map(|(name, value)| format!("{}:{}", text(name), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::String(value) => text(value),
        Value::Number(number) => number.as_u64().expect("strict JSON has no other numbers").to_string(),
        Value::Bool(_) | Value::Null => value.to_string(),
    }
}

fn text(value: &str) -> String {
    let mut written = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\u{8}' => written.push_str("\\b"),
            '\t' => written.push_str("\\t"),
            '\n' => written.push_str("\\n"),
            '\u{c}' => written.push_str("\\f"),
            '\r' => written.push_str("\\r"),
            '\0'..='\u{1f}' => written.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => written.push(c),
        }
    }
    written.push('"');
    written
}
