//! Which vault keys can be had, and what they open: computed from the disk and the keychain, never from
//! what the product says of itself.

use std::path::Path;

use secrecy::SecretString;
use vault::domain::{KeyId, KeySlot, SlotKind, VaultId};
use vault::seal::{Document, Format, KeyRing, Manifest, VaultKey};

use crate::commands::Keyring;

/// A file and what is in it.
type File<'a> = (&'a Path, &'a [u8]);

/// Judges the disk by the keychain.
pub(crate) struct Keys<'a> {
    pub(crate) vault: &'a VaultId,
    pub(crate) keyring: &'a Keyring,
}

impl Keys<'_> {
    /// What cannot be opened any more although it should be. Whoever has the keychain must get at every
    /// document: with the key that the manifest names, or while that is rotated with one of the two.
    pub(crate) fn out_of_reach<'a>(&self, files: impl Iterator<Item = File<'a>> + Clone) -> Option<String> {
        let Some(keys) = self.given_by(files.clone()) else {
            return Some("nobody can get the key that the manifest names".to_owned());
        };
        let mut kept = documents(files).filter(|(path, _)| is_kept(path));
        let (path, document) = kept.find(|(_, document)| keys.find(self.vault, document.kid()).is_none())?;
        Some(format!("{} is under {}, a key that is gone", path.display(), self.describe(document.kid())))
    }

    /// What a rotation that says that it is through has left undone: nothing on the disk is under, or names,
    /// a key from before the one of the manifest, and everything opens.
    pub(crate) fn left_undone<'a>(&self, files: impl Iterator<Item = File<'a>> + Clone) -> Option<String> {
        let keys = self.given_by(files.clone())?;
        let manifest = manifest(files.clone())?;
        let gone: Vec<KeyId> = self.all().into_iter().take_while(|kid| kid != manifest.kid()).collect();
        let is_named = |bytes: &[u8]| gone.iter().find(|kid| holds(bytes, kid.to_string().as_bytes()));
        if let Some((path, kid)) = files.clone().find_map(|(path, bytes)| Some((path, is_named(bytes)?))) {
            return Some(format!("{} still names {}", path.display(), self.describe(kid)));
        }
        let does_not_open = |document: &Document| {
            let verified = document.clone().verify(self.vault, &keys);
            verified.and_then(|document| document.open_all(&keys)).is_err()
        };
        let mut kept = documents(files).filter(|(path, _)| is_kept(path));
        kept.find(|(_, document)| does_not_open(document))
            .map(|(path, _)| format!("{} does not open with the new key", path.display()))
    }

    /// Which key from before the one of the manifest is still in the keychain.
    pub(crate) fn left_in_keychain<'a>(&self, files: impl Iterator<Item = File<'a>>) -> Option<String> {
        let manifest = manifest(files)?;
        let gone: Vec<KeyId> = self.all().into_iter().take_while(|kid| kid != manifest.kid()).collect();
        let kept = self.keyring.vault_keys().filter_map(|text| VaultKey::from_identity_file(text).ok());
        let kid = kept.map(|key| key.id(self.vault)).find(|kid| gone.contains(kid))?;
        Some(format!("the keychain still has {}", self.describe(&kid)))
    }

    /// Whether `new` puts a document back to an older key than it has in `old`.
    pub(crate) fn goes_back(&self, old: &[u8], new: &[u8]) -> bool {
        let (Ok(old), Ok(new)) = (Document::parse(old), Document::parse(new)) else { return false };
        let all = self.all();
        let age = |document: &Document| all.iter().position(|kid| kid == document.kid());
        old.id() == new.id() && old.format() == new.format() && age(&new) < age(&old)
    }

    /// The keys that the manifest gives to whoever has the keychain, oldest first.
    fn given_by<'a>(&self, files: impl Iterator<Item = File<'a>>) -> Option<KeyRing> {
        let document = manifest(files)?;
        let facts: Manifest = document.facts().ok()?;
        let Some(rotation) = facts.rotation else {
            return self.key(document.kid(), &facts.slots).map(KeyRing::of);
        };
        let target = self.key(&rotation.kid, &rotation.slots)?;
        let old =
            target.open_key(&rotation.old_key).ok().filter(|old| old.id(self.vault) == *document.kid())?;
        let keys = KeyRing::of(old);
        keys.add(target);
        Some(keys)
    }

    fn key(&self, kid: &KeyId, slots: &[KeySlot]) -> Option<VaultKey> {
        let entries = slots.iter().filter_map(|slot| match &slot.kind {
            SlotKind::Keychain { entry } => self.keyring.entry(entry),
            _ => None,
        });
        let mut keys = entries.filter_map(|text| VaultKey::from_identity_file(text).ok());
        keys.find(|key| key.id(self.vault) == *kid)
    }

    /// Every key that ever was, oldest first.
    fn all(&self) -> Vec<KeyId> {
        let keys = self.keyring.all_keys().iter();
        keys.filter_map(|text| Some(VaultKey::from_identity_file(text).ok()?.id(self.vault))).collect()
    }

    /// A key by its number: its id is another one in each run.
    fn describe(&self, kid: &KeyId) -> String {
        let number = self.all().iter().position(|found| found == kid);
        number.map_or_else(|| "an unknown key".to_owned(), |number| format!("key {number}"))
    }
}

/// The ring of several keys.
pub(crate) fn ring<'a>(keys: impl Iterator<Item = &'a SecretString>) -> Option<KeyRing> {
    let mut keys = keys.filter_map(|text| VaultKey::from_identity_file(text).ok());
    let ring = KeyRing::of(keys.next()?);
    keys.for_each(|key| ring.add(key));
    Some(ring)
}

fn manifest<'a>(mut files: impl Iterator<Item = File<'a>>) -> Option<Document> {
    let (_, bytes) = files.find(|(path, _)| path.ends_with("vault/vault.json"))?;
    Document::parse(bytes).ok().filter(|found| found.format() == Format::Manifest)
}

fn documents<'a>(files: impl Iterator<Item = File<'a>>) -> impl Iterator<Item = (&'a Path, Document)> {
    files.filter_map(|(path, bytes)| Some((path, Document::parse(bytes).ok()?)))
}

/// Whether it is a client or a profile in its place.
fn is_kept(path: &Path) -> bool {
    let is_in = |folder| path.parent().is_some_and(|parent| parent.ends_with(folder));
    (is_in("clients") || is_in("profiles")) && path.extension().is_some_and(|end| end == "json")
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
