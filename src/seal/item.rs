//! The plaintext of a sealed item: the secret, and what it is sealed for.
//!
//! age to a public recipient has no associated data. So the plaintext itself says to which
//! vault, document and field it belongs and where the secret may go; whoever opens it compares.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::json;
use super::key::{self, VaultKey};
use crate::domain::{Binding, DocumentId, VaultId};

/// Version of the plaintext.
const VERSION: u64 = 1;

/// Plaintexts are padded to a multiple of this many bytes, because age shows their length.
const BLOCK: usize = 512;

/// Longest value in bytes.
const MAX_VALUE: usize = 64 * 1024;

/// Why a sealed item is not what its document says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The age message cannot be opened.
    #[error(transparent)]
    Key(#[from] key::Error),
    /// The plaintext is not of this format.
    #[error("the sealed text is malformed")]
    Malformed,
    /// It was moved here from another vault, document or field.
    #[error("the sealed text belongs elsewhere: its {0} is another")]
    Elsewhere(&'static str),
    /// The document names another destination than the seal.
    #[error("the document and the sealed text disagree on where this secret may go")]
    OtherDestination,
}

/// Where an item stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) vault: &'a VaultId,
    pub(super) document: &'a DocumentId,
    /// As the document names it.
    pub(super) field: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Plaintext {
    v: u64,
    vault: VaultId,
    document: DocumentId,
    field: String,
    bind: Binding,
    value: String,
    pad: String,
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

/// Seals `secret` for `place` and `binding`.
pub(super) fn seal(key: &VaultKey, place: Place<'_>, binding: &Binding, secret: &SecretString) -> String {
    let mut plaintext = Plaintext {
        v: VERSION,
        vault: place.vault.clone(),
        document: place.document.clone(),
        field: place.field.to_owned(),
        bind: binding.clone(),
        value: secret.expose_secret().to_owned(),
        pad: String::new(),
    };
    key.seal(&padded(&mut plaintext))
}

/// Its bytes, padded to whole blocks.
fn padded(plaintext: &mut Plaintext) -> Zeroizing<Vec<u8>> {
    plaintext.pad.clear();
    let unpadded = write(plaintext).len();
    plaintext.pad = " ".repeat(unpadded.next_multiple_of(BLOCK) - unpadded);
    write(plaintext)
}

/// Opens `message`, which belongs at `place`, and seals what is in it for the vault `to_vault` and its
/// key. What was sealed is opened and compared.
pub(super) fn reseal(
    key: &VaultKey,
    place: Place<'_>,
    message: &str,
    to_vault: &VaultId,
    to_key: &VaultKey,
) -> Result<String, Error> {
    let opened = key.open(message)?;
    check(&read(&opened)?, place)?;
    let mut whole = Whole(json::parse(&opened).map_err(|_| Error::Malformed)?);
    whole.0.insert("vault".to_owned(), Value::String(to_vault.to_string()));
    let bytes = whole.padded();
    let anew = to_key.seal(&bytes);
    let opened = to_key.open(&anew)?;
    if bool::from(opened.as_slice().ct_eq(bytes.as_slice())) { Ok(anew) } else { Err(Error::Malformed) }
}

/// Opens `message` and returns the secret with the binding inside the seal, if it is the one that
/// belongs at `place`.
pub(super) fn open(
    key: &VaultKey,
    place: Place<'_>,
    message: &str,
) -> Result<(SecretString, Binding), Error> {
    let plaintext = plaintext(key, place, message)?;
    Ok((SecretString::from(plaintext.value.as_str()), plaintext.bind.clone()))
}

/// What is in `message`, if it belongs at `place`.
fn plaintext(key: &VaultKey, place: Place<'_>, message: &str) -> Result<Plaintext, Error> {
    let plaintext = read(&key.open(message)?)?;
    check(&plaintext, place)?;
    Ok(plaintext)
}

fn check(plaintext: &Plaintext, place: Place<'_>) -> Result<(), Error> {
    if plaintext.vault != *place.vault {
        return Err(Error::Elsewhere("vault"));
    }
    if plaintext.document != *place.document {
        return Err(Error::Elsewhere("document"));
    }
    if plaintext.field != place.field {
        return Err(Error::Elsewhere("field"));
    }
    Ok(())
}

/// A plaintext with all that is in it, also what a later version has put there.
struct Whole(Map<String, Value>);

impl Whole {
    /// Its bytes, padded to whole blocks.
    fn padded(&mut self) -> Zeroizing<Vec<u8>> {
        self.0.insert("pad".to_owned(), Value::String(String::new()));
        let unpadded = self.write().len();
        let pad = " ".repeat(unpadded.next_multiple_of(BLOCK) - unpadded);
        self.0.insert("pad".to_owned(), Value::String(pad));
        self.write()
    }

    fn write(&self) -> Zeroizing<Vec<u8>> {
        // As for a plaintext that is sealed for the first time: no copies by growing.
        let length = self.0.get("value").and_then(Value::as_str).map_or(0, str::len);
        let mut bytes = Zeroizing::new(Vec::with_capacity(6 * length + 4 * BLOCK));
        serde_json::to_writer(&mut *bytes, &self.0).expect("a plaintext can be written to memory");
        bytes
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(Value::String(value)) = self.0.get_mut("value") {
            value.zeroize();
        }
    }
}

fn write(plaintext: &Plaintext) -> Zeroizing<Vec<u8>> {
    // Large enough from the start, so that growing does not leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(6 * plaintext.value.len() + 4 * BLOCK));
    serde_json::to_writer(&mut *bytes, plaintext).expect("a plaintext can be written to memory");
    bytes
}

fn read(bytes: &[u8]) -> Result<Plaintext, Error> {
    let object = json::parse(bytes).map_err(|_| Error::Malformed)?;
    // The secret moves along: who would read the bytes twice would leave a copy of it behind.
    let plaintext: Plaintext = serde_json::from_value(Value::Object(object)).map_err(|_| Error::Malformed)?;
    if plaintext.v != VERSION || plaintext.value.len() > MAX_VALUE {
        return Err(Error::Malformed);
    }
    Ok(plaintext)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> DocumentId {
        DocumentId::from_bytes([byte; 16])
    }

    fn vault(byte: u8) -> VaultId {
        VaultId::from_bytes([byte; 16])
    }

    #[test]
    fn a_secret_opens_only_where_it_was_sealed() {
        let key = VaultKey::generate();
        let (vault1, vault2, doc1, doc2) = (vault(1), vault(2), id(1), id(2));
        let place = Place { vault: &vault1, document: &doc1, field: "refresh_token" };
        let binding = Binding::issuer_only("https://issuer.example");

        let message = seal(&key, place, &binding, &"1//canary".into());

        let (secret, bound) = open(&key, place, &message).unwrap();
        assert_eq!((secret.expose_secret(), bound), ("1//canary", binding));
        let elsewhere = |place| open(&key, place, &message).unwrap_err().to_string();
        assert!(elsewhere(Place { vault: &vault2, ..place }).contains("vault"));
        assert!(elsewhere(Place { document: &doc2, ..place }).contains("document"));
        assert!(elsewhere(Place { field: "api_key", ..place }).contains("field"));
    }

    #[test]
    fn the_length_of_a_plaintext_says_little_about_the_secret() {
        let place = Place { vault: &vault(1), document: &id(1), field: "api_key" };
        let key = VaultKey::generate();
        let length = |secret: &str| {
            let message = seal(&key, place, &Binding::issuer_only("i"), &secret.into());
            key.open(&message).unwrap().len()
        };

        assert_eq!(length("a"), 512);
        assert_eq!(length(&"a".repeat(200)), 512);
        assert_eq!(length(&"a".repeat(600)) % 512, 0);
    }

    #[test]
    fn a_secret_sealed_without_its_place_is_refused() {
        let key = VaultKey::generate();
        let place = Place { vault: &vault(1), document: &id(1), field: "api_key" };

        let forged = key.seal(b"1//attackers-own-token");

        assert!(matches!(open(&key, place, &forged), Err(Error::Malformed)));
    }
}
