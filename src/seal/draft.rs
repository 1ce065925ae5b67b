//! A document in the making.

use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::document::{Document, ENVELOPE, TARGET_MAC, Verified, known_fields, mac};
use super::format::Format;
use super::item::{self, Place};
use super::key::VaultKey;
use super::ring::KeyRing;
use crate::domain::{Binding, DocumentId, KeyId, SealedField, VaultId};

/// A document in the making: the only way to write one.
pub struct Draft {
    pub(super) fields: Map<String, Value>,
    pub(super) format: Format,
    pub(super) vault: VaultId,
    pub(super) id: DocumentId,
    /// The key that it is under; the current one if it is new.
    pub(super) kid: Option<KeyId>,
    pub(super) generation: u64,
}

impl Draft {
    /// The first generation of a new document.
    pub fn new(format: Format, vault: VaultId, id: DocumentId) -> Self {
        Self { fields: Map::new(), format, vault, id, kid: None, generation: 1 }
    }

    /// Starts after `generation`, so that a document that takes the place of another is newer.
    #[must_use]
    pub fn after(mut self, generation: u64) -> Self {
        self.generation = generation + 1;
        self
    }

    /// Sets the public facts. Fields that `facts` does not know are kept, except those that it
    /// knows and now leaves out.
    #[must_use]
    pub fn facts<T: Serialize + DeserializeOwned>(mut self, facts: &T) -> Self {
        let known = known_fields::<T>(&self.fields);
        for name in known {
            self.fields.remove(&name);
        }
        let value = serde_json::to_value(facts).expect("facts can be written to memory");
        let Value::Object(facts) = value else { return self };
        self.fields.extend(facts.into_iter().filter(|(name, _)| !ENVELOPE.contains(&name.as_str())));
        self
    }

    /// Seals `secret` as `field`, for `binding`.
    #[must_use]
    pub fn seal(
        mut self,
        keys: &KeyRing,
        field: SealedField,
        binding: &Binding,
        secret: &SecretString,
    ) -> Self {
        let place = Place { vault: &self.vault, document: &self.id, field: field.as_str() };
        let message = item::seal(self.key(keys), place, binding, secret);
        self.secrets().insert(field.as_str().to_owned(), Value::String(message));
        self
    }

    /// Whether it holds `field`, sealed.
    pub fn holds(&self, field: SealedField) -> bool {
        self.fields.get("secrets").is_some_and(|secrets| secrets.get(field.as_str()).is_some())
    }

    /// Forgets `field`.
    #[must_use]
    pub fn without(mut self, field: SealedField) -> Self {
        self.secrets().remove(field.as_str());
        self
    }

    /// Completes the document with its MAC.
    pub fn sign(self, keys: &KeyRing) -> Verified {
        self.complete(keys, None)
    }

    /// Completes a manifest while the vault key is rotated to `target`: with a MAC under each key.
    pub fn sign_for_both(self, keys: &KeyRing, target: &VaultKey) -> Verified {
        self.complete(keys, Some(target))
    }

    fn complete(mut self, keys: &KeyRing, target: Option<&VaultKey>) -> Verified {
        let key = self.key(keys);
        let kid = key.id(&self.vault);
        self.fields.remove(TARGET_MAC);
        let envelope = [
            ("format", Value::from(self.format.as_str())),
            ("vault", Value::from(self.vault.to_string())),
            ("id", Value::from(self.id.to_string())),
            ("kid", Value::from(kid.to_string())),
            ("generation", Value::from(self.generation)),
        ];
        self.fields.extend(envelope.map(|(name, value)| (name.to_owned(), value)));
        // The MAC of the document comes last, over all else.
        for (field, key) in target.map(|target| (TARGET_MAC, target)).into_iter().chain([("mac", key)]) {
            let mac = mac(&self.fields, field, self.format, &self.vault, key);
            self.fields.insert(field.to_owned(), Value::String(mac));
        }
        let Self { fields, format, vault, id, generation, .. } = self;
        Verified { document: Document { fields, format, vault, id, kid, generation } }
    }

    fn key<'a>(&self, keys: &'a KeyRing) -> &'a VaultKey {
        match &self.kid {
            Some(kid) => {
                keys.find(&self.vault, kid).expect("a document is rewritten with the keys that verified it")
            }
            None => keys.current(),
        }
    }

    pub(super) fn secrets(&mut self) -> &mut Map<String, Value> {
        let secrets = self.fields.entry("secrets").or_insert_with(|| Value::Object(Map::new()));
        secrets.as_object_mut().expect("a document's secrets are an object, checked when it was read")
    }
}
