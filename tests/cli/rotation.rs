//! A vault whose key is rotated: its keys, what is under which of them, and rotations that stop half-way.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::Value;
use vault::domain::VaultId;
use vault::seal::{Document, KeyRing, VaultKey};

use crate::expiry::{Snapshot, state_dir};
use crate::home::Home;
use crate::tree::json;

/// The manifest, unverified.
pub fn manifest(home: &Home) -> Value {
    json(home.vault_dir().join("vault.json"))
}

/// The vault key of a home whose identity file opens it.
pub fn key(home: &Home) -> (VaultId, VaultKey) {
    key_in(home, &manifest(home)["slots"])
}

/// The key that the vault is being rotated to.
pub fn coming_key(home: &Home) -> (VaultId, VaultKey) {
    key_in(home, &manifest(home)["rotation"]["slots"])
}

fn key_in(home: &Home, slots: &Value) -> (VaultId, VaultKey) {
    let sealed = slots[0]["sealed"].as_str().unwrap();
    let identity = fs::read_to_string(home.path("identity.txt")).unwrap();
    let identity: age::x25519::Identity = identity.trim().parse().unwrap();
    let text = String::from_utf8(age::decrypt(&identity, sealed.as_bytes()).unwrap()).unwrap();
    let key = VaultKey::from_identity_file(&SecretString::from(text)).unwrap();
    (manifest(home)["vault"].as_str().unwrap().parse().unwrap(), key)
}

/// The id of the key that the manifest is under.
pub fn kid(home: &Home) -> String {
    manifest(home)["kid"].as_str().unwrap().to_owned()
}

/// Every file of the vault and its cache that holds a document.
pub fn documents(home: &Home) -> Vec<PathBuf> {
    let folders = ["data", "cache", "state"];
    let files = folders.iter().flat_map(|folder| home.files(folder));
    files.filter(|path| fs::read(path).is_ok_and(|bytes| Document::parse(&bytes).is_ok())).collect()
}

/// The keys that documents are under.
pub fn kids(home: &Home) -> BTreeSet<String> {
    documents(home).iter().map(|path| json(path)["kid"].as_str().unwrap().to_owned()).collect()
}

/// Keys that are accepted, and keys that were dropped, by their ids.
pub type Pins = (Vec<String>, Vec<String>);

/// The ids of the keys that this machine accepts, and of those that may still lie in its keychain.
pub fn pinned(home: &Home) -> Pins {
    let pin = json(state_dir(home).join("pin.json"));
    let ids = |field: &str| {
        let ids = pin[field].as_array().map(Vec::as_slice).unwrap_or_default();
        ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    (ids("kids"), ids("dropped"))
}

/// Asserts that a rotation is over: every document is under one key, which is not `old`, and opens with
/// it alone; nothing names the old one.
#[track_caller]
pub fn assert_rotated_from(home: &Home, old: &str, why: &str) {
    let now = kid(home);
    assert_ne!(now, old, "{why}");
    assert_eq!(kids(home), BTreeSet::from([now.clone()]), "{why}");
    assert!(manifest(home)["rotation"].is_null(), "{why}");
    assert_eq!(pinned(home), (vec![now], Vec::new()), "{why}");
    assert_unnamed(home, old, why);
    let verified = home.run(&["verify"]);
    assert_eq!(verified.code, 0, "{why}: {}", verified.stderr);
}

/// Asserts that no file has the key's id in it.
#[track_caller]
pub fn assert_unnamed(home: &Home, old: &str, why: &str) {
    for path in ["data", "state", "cache"].iter().flat_map(|folder| home.files(folder)) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(old), "{why}: {} names the old key", path.display());
    }
}

/// Asserts that every item of every document opens with `key` alone.
#[track_caller]
pub fn assert_all_open(home: &Home, vault: &VaultId, key: VaultKey) {
    let keys = KeyRing::of(key);
    for path in documents(home) {
        let document = Document::parse(&fs::read(&path).unwrap()).unwrap();
        document.verify(vault, &keys).unwrap().open_all(&keys).unwrap();
    }
}

/// Asserts that no file is other than before, but for the lock of the rotation itself.
#[track_caller]
pub fn assert_unchanged(before: &Snapshot, home: &Home) {
    let mut changed = before.changed(home);
    changed.retain(|path| !path.ends_with("rotation.lock"));
    assert!(changed.is_empty(), "{changed:?}");
}

/// A document that cannot be written as long as this lives, even by root.
pub struct InTheWay(PathBuf);

impl InTheWay {
    /// A folder has the name that its next version would be written under.
    pub fn of(document: &Path) -> Self {
        let path = document.with_extension("json.tmp");
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for InTheWay {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
    }
}

/// Begins a rotation that stops before the document of the profile `name`.
#[track_caller]
pub fn stop_before(home: &Home, name: &str) {
    let _in_the_way = InTheWay::of(&home.profile(name));
    let _ = home.run(&["rotate"]).expect_code(13).expect_said("run `vault rotate` again");
    assert!(manifest(home)["rotation"].is_object());
}
