//! One document: public facts that anyone can read, sealed secrets, and one MAC over all of it.
//!
//! A [`Document`] is what stands in the store: its facts may be listed, never acted upon. Only
//! [`Document::verify`] makes a [`Verified`] one of it, and only that opens secrets.

use hmac::{Hmac, Mac};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::draft::Draft;
use super::format::Format;
use super::item::{self, Place};
use super::json;
use super::key::VaultKey;
use super::ring::KeyRing;
use crate::domain::{Binding, DocumentId, KeyId, SealedField, VaultId};

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not strict JSON.
    #[error(transparent)]
    Json(#[from] json::Error),
    /// A field that every document has is missing or malformed.
    #[error("its `{0}` is missing or malformed")]
    Envelope(&'static str),
    /// It was written by a newer version of this program.
    #[error("it has the format `{format}`, which only a newer version of vault can read")]
    Newer {
        /// What it says of itself.
        format: String,
    },
    /// It belongs to another vault or another document.
    #[error("it is of another {0}")]
    Foreign(&'static str),
    /// It is sealed to another key of the vault.
    #[error("it is of another vault key")]
    OtherKey,
    /// Its MAC does not fit: it was changed by someone without the vault key.
    #[error("it was changed outside vault: its MAC does not match")]
    Mac,
    /// Its facts are not of the right form, although its MAC fits.
    #[error("its content is malformed: {0}")]
    Facts(String),
    /// It has no such secret.
    #[error("it holds no {0}")]
    NoSecret(SealedField),
    /// A secret in it is not what it should be.
    #[error("its {field} is not acceptable")]
    Item {
        /// Which one.
        field: SealedField,
        /// Why.
        #[source]
        source: item::Error,
    },
    /// A secret in it, whose field this version may not know, is not what it should be.
    #[error("its sealed `{field}` is not acceptable")]
    SealedText {
        /// Which one, as the document names it.
        field: String,
        /// Why.
        #[source]
        source: item::Error,
    },
}

/// The fields of the envelope, which [`Verified`] sets itself and facts cannot touch.
pub(super) const ENVELOPE: [&str; 8] =
    ["format", "vault", "id", "kid", "generation", "secrets", TARGET_MAC, "mac"];

/// The MAC under the key that the vault is being rotated to; in the manifest only.
pub(super) const TARGET_MAC: &str = "target_mac";

/// A document as it stands in the store. Nothing in it has been verified.
#[derive(Clone, Debug)]
pub struct Document {
    pub(super) fields: Map<String, Value>,
    pub(super) format: Format,
    pub(super) vault: VaultId,
    pub(super) id: DocumentId,
    pub(super) kid: KeyId,
    pub(super) generation: u64,
}

impl Document {
    /// Reads a document and its envelope.
    ///
    /// # Errors
    ///
    /// If it is not strict JSON, has no complete envelope, or is of a newer format.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let fields = json::parse(bytes)?;
        // The format first: of a newer one, nothing else may be expected.
        let format = Format::read(text(&fields, "format")?)?;
        let document = Self {
            format,
            vault: parsed(&fields, "vault")?,
            id: parsed(&fields, "id")?,
            kid: parsed(&fields, "kid")?,
            generation: fields
                .get("generation")
                .and_then(Value::as_u64)
                .ok_or(Error::Envelope("generation"))?,
            fields,
        };
        text(&document.fields, "mac")?;
        document.check_secrets()?;
        Ok(document)
    }

    fn check_secrets(&self) -> Result<(), Error> {
        let secrets = match self.fields.get("secrets") {
            None => return Ok(()),
            Some(value) => value.as_object().ok_or(Error::Envelope("secrets"))?,
        };
        if secrets.values().all(Value::is_string) { Ok(()) } else { Err(Error::Envelope("secrets")) }
    }

    /// What kind of document it is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The vault that it says to belong to.
    pub fn vault(&self) -> &VaultId {
        &self.vault
    }

    /// Its identifier, which stays when it is renamed.
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// The key that it says to be sealed to.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// How often it has been written.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it holds `field`, sealed.
    pub fn holds(&self, field: SealedField) -> bool {
        self.sealed(field).is_some()
    }

    /// Its public facts. They are for showing; to act on them, verify first.
    ///
    /// # Errors
    ///
    /// [`Error::Facts`] if they are not of the right form.
    pub fn facts<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.fields).map_err(|error| Error::Facts(error.to_string()))
    }

    /// The fields that are neither of the envelope nor of `T`: those of a later version, or of somebody
    /// else.
    pub fn unknown_fields<T: Serialize + DeserializeOwned>(&self) -> Vec<String> {
        let known = known_fields::<T>(&self.fields);
        let is_unknown = |name: &&String| !known.contains(name) && !ENVELOPE.contains(&name.as_str());
        self.fields.keys().filter(is_unknown).cloned().collect()
    }

    /// Checks that one of `keys` made this document and nobody has changed it since.
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`] if it is of another vault, [`Error::OtherKey`] if it is of another key,
    /// [`Error::Mac`] if it was changed.
    pub fn verify(self, vault: &VaultId, keys: &KeyRing) -> Result<Verified, Error> {
        if self.vault != *vault {
            return Err(Error::Foreign("vault"));
        }
        let key = keys.find(vault, &self.kid).ok_or(Error::OtherKey)?;
        self.check_mac("mac", key)?;
        Ok(Verified { document: self })
    }

    fn check_mac(&self, field: &'static str, key: &VaultKey) -> Result<(), Error> {
        let expected = mac(&self.fields, field, self.format, &self.vault, key);
        let found = text(&self.fields, field)?;
        if bool::from(expected.as_bytes().ct_eq(found.as_bytes())) { Ok(()) } else { Err(Error::Mac) }
    }

    /// The document as it is written: indented, for people and `jq`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec_pretty(&self.fields).expect("a JSON value can be written to memory");
        bytes.push(b'\n');
        bytes
    }

    fn sealed(&self, field: SealedField) -> Option<&str> {
        self.fields.get("secrets")?.get(field.as_str())?.as_str()
    }
}

/// A document whose MAC has been checked, or that we have just made.
#[derive(Clone, Debug)]
pub struct Verified {
    pub(super) document: Document,
}

impl std::ops::Deref for Verified {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.document
    }
}

impl Verified {
    /// Opens one secret, if it is sealed for `expected`.
    ///
    /// Returns the secret with the binding that stood inside the seal: that one, and not the
    /// document's, says where the secret goes.
    ///
    /// # Errors
    ///
    /// If the document has no such secret, or the seal says something else than the document.
    pub fn open(
        &self,
        keys: &KeyRing,
        field: SealedField,
        expected: &Binding,
    ) -> Result<(SecretString, Binding), Error> {
        let message = self.sealed(field).ok_or(Error::NoSecret(field))?;
        log::trace!("opening {field} of {}", self.id);
        let key = self.key(keys)?;
        let place = Place { vault: &self.vault, document: &self.id, field: field.as_str() };
        let (secret, binding) =
            item::open(key, place, message).map_err(|source| Error::Item { field, source })?;
        if binding != *expected {
            return Err(Error::Item { field, source: item::Error::OtherDestination });
        }
        Ok((secret, binding))
    }

    /// Opens every sealed item, also those that this version does not know, and says how many there are.
    /// Where they may go is not compared: that takes their owner.
    ///
    /// # Errors
    ///
    /// [`Error::SealedText`] names the first that does not open, or belongs elsewhere.
    pub fn open_all(&self, keys: &KeyRing) -> Result<usize, Error> {
        let key = self.key(keys)?;
        for (field, message) in self.messages() {
            let place = Place { vault: &self.vault, document: &self.id, field };
            item::open(key, place, message).map_err(sealed_text(field))?;
        }
        Ok(self.messages().count())
    }

    /// The start of its next generation, with everything that it holds, under its own key.
    pub fn next(&self) -> Draft {
        Draft {
            fields: self.document.fields.clone(),
            format: self.format,
            vault: self.vault.clone(),
            id: self.id.clone(),
            kid: Some(self.kid.clone()),
            generation: self.generation + 1,
        }
    }

    /// The start of its next generation in the vault `to_vault` under `to_key`: every sealed item is
    /// sealed anew, also those that this version does not know, and proven to open.
    ///
    /// # Errors
    ///
    /// [`Error::SealedText`] names the first that does not open, or belongs elsewhere.
    pub fn reseal(&self, from: &KeyRing, to_vault: &VaultId, to_key: &VaultKey) -> Result<Draft, Error> {
        let key = self.key(from)?;
        let mut draft = self.next();
        for (field, message) in self.messages() {
            let place = Place { vault: &self.vault, document: &self.id, field };
            let anew = item::reseal(key, place, message, to_vault, to_key).map_err(sealed_text(field))?;
            draft.secrets().insert(field.to_owned(), Value::String(anew));
        }
        draft.vault = to_vault.clone();
        draft.kid = Some(to_key.id(to_vault));
        Ok(draft)
    }

    /// Checks the MAC of a manifest under `target`, the key that the vault is being rotated to.
    ///
    /// # Errors
    ///
    /// [`Error::Mac`] if it does not fit, [`Error::Envelope`] if there is none.
    pub fn check_target(&self, target: &VaultKey) -> Result<(), Error> {
        self.check_mac(TARGET_MAC, target)
    }

    fn key<'a>(&self, keys: &'a KeyRing) -> Result<&'a VaultKey, Error> {
        keys.find(&self.vault, &self.kid).ok_or(Error::OtherKey)
    }

    fn messages(&self) -> impl Iterator<Item = (&str, &str)> {
        let secrets = self.fields.get("secrets").and_then(Value::as_object);
        secrets.into_iter().flatten().filter_map(|(field, message)| Some((field.as_str(), message.as_str()?)))
    }
}

fn sealed_text(field: &str) -> impl FnOnce(item::Error) -> Error {
    let field = field.to_owned();
    move |source| Error::SealedText { field, source }
}

/// Which of `fields` belong to `T`: those that come out again when they are read as `T`.
pub(super) fn known_fields<T: Serialize + DeserializeOwned>(fields: &Map<String, Value>) -> Vec<String> {
    let read = serde_json::from_value::<T>(Value::Object(fields.clone()));
    let written = read.ok().and_then(|facts| serde_json::to_value(facts).ok());
    match written {
        Some(Value::Object(known)) => known.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// HMAC-SHA256 over `format` ‖ 0x00 ‖ the canonical form of the document without its MAC, as
/// lower-case hex. The MAC under the target of a rotation is made before, without itself.
pub(super) fn mac(
    fields: &Map<String, Value>,
    field: &'static str,
    format: Format,
    vault: &VaultId,
    key: &VaultKey,
) -> String {
    let mut content = fields.clone();
    content.remove("mac");
    content.remove(field);
    let mut hmac =
        Hmac::<Sha256>::new_from_slice(&*key.mac_key(vault)).expect("HMAC takes a key of any length");
    hmac.update(format.as_str().as_bytes());
    hmac.update(&[0]);
    hmac.update(&json::canonical(&content));
    hex::encode(hmac.finalize().into_bytes())
}

fn text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Error> {
    fields.get(name).and_then(Value::as_str).ok_or(Error::Envelope(name))
}

fn parsed<T: std::str::FromStr>(fields: &Map<String, Value>, name: &'static str) -> Result<T, Error> {
    text(fields, name)?.parse().map_err(|_| Error::Envelope(name))
}
