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

use super::item::{self, Place};
use super::json;
use super::key::VaultKey;
use crate::domain::{Binding, DocumentId, KeyId, SealedField, VaultId};

/// The kinds of document, and the only versions of them that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// The manifest of the vault.
    Manifest,
    /// An OAuth client.
    Client,
    /// A profile.
    Profile,
    /// A cached access token.
    Token,
    /// What was about to be asked when a refresh began.
    Intent,
}

impl Format {
    const ALL: [Self; 5] = [Self::Manifest, Self::Client, Self::Profile, Self::Token, Self::Intent];

    /// The value of `format` in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "vault-manifest/1",
            Self::Client => "vault-client/1",
            Self::Profile => "vault-profile/1",
            Self::Token => "vault-token/1",
            Self::Intent => "vault-intent/1",
        }
    }

    fn read(text: &str) -> Result<Self, Error> {
        if let Some(known) = Self::ALL.into_iter().find(|format| format.as_str() == text) {
            return Ok(known);
        }
        let (kind, version) = text.rsplit_once('/').ok_or(Error::Envelope("format"))?;
        let is_ours = Self::ALL.iter().any(|format| format.as_str().starts_with(&format!("{kind}/")));
        match version.parse::<u32>() {
            Ok(version) if is_ours && version > 1 => Err(Error::Newer { format: text.to_owned() }),
            _ => Err(Error::Envelope("format")),
        }
    }
}

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
    /// It belongs to another vault, or to another key of it.
    #[error("it is of another {0}")]
    Foreign(&'static str),
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
}

/// The fields of the envelope, which [`Verified`] sets itself and facts cannot touch.
const ENVELOPE: [&str; 7] = ["format", "vault", "id", "kid", "generation", "secrets", "mac"];

/// A document as it stands in the store. Nothing in it has been verified.
#[derive(Clone, Debug)]
pub struct Document {
    fields: Map<String, Value>,
    format: Format,
    vault: VaultId,
    id: DocumentId,
    kid: KeyId,
    generation: u64,
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

    /// Checks that `key` made this document and nobody has changed it since.
    ///
    /// # Errors
    ///
    /// [`Error::Foreign`] if it is of another vault or key, [`Error::Mac`] if it was changed.
    pub fn verify(self, vault: &VaultId, key: &VaultKey) -> Result<Verified, Error> {
        if self.vault != *vault {
            return Err(Error::Foreign("vault"));
        }
        if self.kid != key.id(vault) {
            return Err(Error::Foreign("vault key"));
        }
        let expected = mac(&self.fields, self.format, vault, key);
        let found = text(&self.fields, "mac")?;
        if !bool::from(expected.as_bytes().ct_eq(found.as_bytes())) {
            return Err(Error::Mac);
        }
        Ok(Verified { document: self })
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
    document: Document,
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
        key: &VaultKey,
        field: SealedField,
        expected: &Binding,
    ) -> Result<(SecretString, Binding), Error> {
        let message = self.sealed(field).ok_or(Error::NoSecret(field))?;
        log::trace!("opening {field} of {}", self.id);
        let place = Place { vault: &self.vault, document: &self.id, field };
        let (secret, binding) =
            item::open(key, place, message).map_err(|source| Error::Item { field, source })?;
        if binding != *expected {
            return Err(Error::Item { field, source: item::Error::OtherDestination });
        }
        Ok((secret, binding))
    }

    /// The start of its next generation, with everything that it holds.
    pub fn next(&self) -> Draft {
        Draft {
            fields: self.document.fields.clone(),
            format: self.format,
            vault: self.vault.clone(),
            id: self.id.clone(),
            generation: self.generation + 1,
        }
    }
}

/// A document in the making: the only way to write one.
pub struct Draft {
    fields: Map<String, Value>,
    format: Format,
    vault: VaultId,
    id: DocumentId,
    generation: u64,
}

impl Draft {
    /// The first generation of a new document.
    pub fn new(format: Format, vault: VaultId, id: DocumentId) -> Self {
        Self { fields: Map::new(), format, vault, id, generation: 1 }
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
        key: &VaultKey,
        field: SealedField,
        binding: &Binding,
        secret: &SecretString,
    ) -> Self {
        let place = Place { vault: &self.vault, document: &self.id, field };
        let message = item::seal(key, place, binding, secret);
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
    pub fn sign(mut self, key: &VaultKey) -> Verified {
        let kid = key.id(&self.vault);
        let envelope = [
            ("format", Value::from(self.format.as_str())),
            ("vault", Value::from(self.vault.to_string())),
            ("id", Value::from(self.id.to_string())),
            ("kid", Value::from(kid.to_string())),
            ("generation", Value::from(self.generation)),
        ];
        self.fields.extend(envelope.map(|(name, value)| (name.to_owned(), value)));
        let mac = mac(&self.fields, self.format, &self.vault, key);
        self.fields.insert("mac".to_owned(), Value::String(mac));
        let Self { fields, format, vault, id, generation } = self;
        Verified { document: Document { fields, format, vault, id, kid, generation } }
    }

    fn secrets(&mut self) -> &mut Map<String, Value> {
        let secrets = self.fields.entry("secrets").or_insert_with(|| Value::Object(Map::new()));
        secrets.as_object_mut().expect("a document's secrets are an object, checked when it was read")
    }
}

/// Which of `fields` belong to `T`: those that come out again when they are read as `T`.
fn known_fields<T: Serialize + DeserializeOwned>(fields: &Map<String, Value>) -> Vec<String> {
    let read = serde_json::from_value::<T>(Value::Object(fields.clone()));
    let written = read.ok().and_then(|facts| serde_json::to_value(facts).ok());
    match written {
        Some(Value::Object(known)) => known.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// HMAC-SHA256 over `format` ‖ 0x00 ‖ the canonical form of the document without its MAC, as
/// lower-case hex.
fn mac(fields: &Map<String, Value>, format: Format, vault: &VaultId, key: &VaultKey) -> String {
    let mut content = fields.clone();
    content.remove("mac");
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
