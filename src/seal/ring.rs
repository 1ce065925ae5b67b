//! The vault keys at hand: one, or two while the vault key is rotated.

use std::sync::OnceLock;

use super::key::VaultKey;
use crate::domain::{KeyId, VaultId};

/// The vault keys of one vault, oldest first. There is always one.
///
/// Keys only come in, so that whoever has opened a vault before its key was rotated can get the new
/// one and go on.
#[derive(Debug)]
pub struct KeyRing {
    key: VaultKey,
    newer: OnceLock<Box<Self>>,
}

impl KeyRing {
    /// The ring of one key.
    pub fn of(key: VaultKey) -> Self {
        Self { key, newer: OnceLock::new() }
    }

    /// Adds the key that comes after all others.
    pub fn add(&self, key: VaultKey) {
        let mut added = Box::new(Self::of(key));
        let mut last = self;
        // Another thread may be adding one too.
        while let Err(refused) = last.newer.set(added) {
            added = refused;
            last = last.newer.get().expect("it was just refused because there is one");
        }
    }

    /// The key that new documents are made with.
    pub fn current(&self) -> &VaultKey {
        self.newer.get().map_or(&self.key, |newer| newer.current())
    }

    /// The key with this id, if it is at hand.
    pub fn find(&self, vault: &VaultId, kid: &KeyId) -> Option<&VaultKey> {
        if self.key.id(vault) == *kid { Some(&self.key) } else { self.newer.get()?.find(vault, kid) }
    }

    /// The keys themselves, oldest first.
    pub fn into_keys(self) -> Vec<VaultKey> {
        let mut keys = vec![self.key];
        keys.extend(self.newer.into_inner().map(|newer| newer.into_keys()).unwrap_or_default());
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_the_last_one_is_current() {
        let vault = VaultId::from_bytes([1; 16]);
        let keys = [(); 3].map(|()| VaultKey::generate());
        let ids = keys.each_ref().map(|key| key.id(&vault));
        let [first, second, third] = keys;

        let ring = KeyRing::of(first);
        ring.add(second);
        ring.add(third);

        for id in &ids {
            assert_eq!(ring.find(&vault, id).unwrap().id(&vault), *id);
        }
        assert_eq!(ring.current().id(&vault), ids[2]);
        assert!(ring.find(&vault, &VaultKey::generate().id(&vault)).is_none());
        assert_eq!(ring.into_keys().iter().map(|key| key.id(&vault)).collect::<Vec<_>>(), ids);
    }
}
