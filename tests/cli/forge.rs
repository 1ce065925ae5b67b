//! What only the owner of a vault can make: sealed items and MACs, with the vault key in hand.

use std::fs;
use std::io::Read;
use std::path::Path;

use age::secrecy::ExposeSecret;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::home::Home;

/// The vault key of the vault in `home`, had through its first slot with the identity file there.
pub fn vault_key(home: &Home) -> age::x25519::Identity {
    let manifest: Value =
        serde_json::from_slice(&fs::read(home.vault_dir().join("vault.json")).unwrap()).unwrap();
    let identity = fs::read_to_string(home.path("identity.txt")).unwrap();
    let text = open(&identity.trim().parse().unwrap(), manifest["slots"][0]["sealed"].as_str().unwrap());
    text.trim().parse().unwrap()
}

/// Opens an armored age message.
pub fn open(key: &age::x25519::Identity, message: &str) -> String {
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(message.as_bytes())).unwrap();
    let mut plaintext = String::new();
    decryptor
        .decrypt(std::iter::once(key as &dyn age::Identity))
        .unwrap()
        .read_to_string(&mut plaintext)
        .unwrap();
    plaintext
}

/// Gives the document the kid and the MAC of the vault in `home`.
pub fn sign(home: &Home, path: &Path) {
    let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    sign_with(&vault_key(home), &mut document);
    fs::write(path, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
}

/// Gives the document the kid and the MAC of `key`.
pub fn sign_with(key: &age::x25519::Identity, document: &mut Value) {
    document.as_object_mut().unwrap().remove("mac");
    document["kid"] = kid(key, document["vault"].as_str().unwrap()).into();
    document["mac"] = mac(key, document).into();
}

/// The key id of `key` in `vault`.
pub fn kid(key: &age::x25519::Identity, vault: &str) -> String {
    hex::encode(derive(key, vault, "vault/v1/kid", 16))
}

/// The MAC that `key` makes of the document, which has none yet.
pub fn mac(key: &age::x25519::Identity, document: &Value) -> String {
    let vault = document["vault"].as_str().unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&derive(key, vault, "vault/v1/doc-mac", 32)).unwrap();
    mac.update(document["format"].as_str().unwrap().as_bytes());
    mac.update(&[0]);
    mac.update(document.to_string().as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn derive(key: &age::x25519::Identity, vault: &str, info: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Hkdf::<Sha256>::new(Some(vault.as_bytes()), key.to_string().expose_secret().as_bytes())
        .expand(info.as_bytes(), &mut bytes)
        .unwrap();
    bytes
}

/// A perfect sealed item for `field` of `document`, made with no more than the recipient.
pub fn item(home: &Home, document: &Value, field: &str, bind: &Value, value: &str) -> String {
    let plaintext = json!({
        "v": 1, "vault": document["vault"], "document": document["id"], "field": field,
        "bind": bind, "value": value, "pad": "",
    });
    seal(&vault_key(home).to_public(), plaintext.to_string().as_bytes())
}

/// Seals `plaintext` as `age -a -r` does.
pub fn seal(recipient: &age::x25519::Recipient, plaintext: &[u8]) -> String {
    age::encrypt_and_armor(recipient, plaintext).unwrap()
}

/// What the secrets of `client` and its grants are sealed for.
pub fn binding(client: &Value) -> Value {
    json!({
        "issuer": client["issuer"],
        "token_endpoint": client["endpoints"]["token"],
        "revocation_endpoint": client["endpoints"]["revocation"],
        "client_id": client["client_id"],
        "client_auth": client["client_auth"],
    })
}
