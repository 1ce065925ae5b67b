//! The vault key: the one age identity to which every secret is sealed.

use std::io::{BufReader, Read};
use std::sync::OnceLock;

use age::armor::ArmoredReader;
use age::x25519;
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domain::{KeyId, VaultId};

/// Why an age message could not be made or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no age identity.
    #[error("this is not a vault key: it must be one `AGE-SECRET-KEY-1…` line")]
    NotAKey,
    /// The message is sealed to another key.
    #[error("the message is sealed to another key")]
    OtherKey,
    /// The message is damaged or no age message at all.
    #[error("the message is damaged")]
    Damaged,
    /// The message is longer than any secret.
    #[error("the message is too long")]
    TooLong,
}

/// Most plaintext that is read out of one message, in bytes: a secret of 64 KiB, JSON-escaped.
const MAX_PLAINTEXT: u64 = 512 * 1024;

/// Longest header of an age message, in bytes. One of ours has some 200 of them; a stanza for a
/// post-quantum recipient has 1.5 KiB.
pub const MAX_HEADER: usize = 4 * 1024;

/// The vault key. It cannot be printed; [`VaultKey::to_identity_file`] is the one way out.
pub struct VaultKey {
    identity: x25519::Identity,
    /// For the vault that was asked about first. There is hardly ever a second, and each document that
    /// is verified needs both.
    derived: OnceLock<(VaultId, Derived)>,
}

/// What is derived from the key for one vault.
struct Derived {
    id: KeyId,
    mac_key: Zeroizing<[u8; 32]>,
}

impl VaultKey {
    /// A new key from the operating system's random numbers.
    pub fn generate() -> Self {
        Self::of(x25519::Identity::generate())
    }

    /// Reads an age identity file that holds one key, as slots hold it: comments are allowed.
    ///
    /// # Errors
    ///
    /// [`Error::NotAKey`] if there is no key or more than one.
    pub fn from_identity_file(text: &SecretString) -> Result<Self, Error> {
        let mut keys = text
            .expose_secret()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(Error::NotAKey);
        };
        key.parse().map(Self::of).map_err(|_| Error::NotAKey)
    }

    fn of(identity: x25519::Identity) -> Self {
        Self { identity, derived: OnceLock::new() }
    }

    /// The key as an age identity file: the plaintext of every key slot.
    pub fn to_identity_file(&self) -> SecretString {
        let text = self.identity.to_string();
        SecretString::from(format!("{}\n", text.expose_secret()))
    }

    /// The key once more, for whoever keeps it longer.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::of(self.identity.clone())
    }

    /// The identifier of this key in the vault `vault`.
    ///
    /// Derived, so that a document cannot claim another key: HKDF-SHA256 of the identity's
    /// upper-case text, salt = vault id, info = `vault/v1/kid`, first 16 bytes.
    pub fn id(&self, vault: &VaultId) -> KeyId {
        self.derived(vault, |derived| derived.id.clone())
    }

    /// The key of the MAC over every document of the vault `vault`.
    pub(super) fn mac_key(&self, vault: &VaultId) -> Zeroizing<[u8; 32]> {
        self.derived(vault, |derived| derived.mac_key.clone())
    }

    fn derived<T>(&self, vault: &VaultId, wanted: impl Fn(&Derived) -> T) -> T {
        let (first, derived) = self.derived.get_or_init(|| (vault.clone(), self.derive(vault)));
        if first == vault { wanted(derived) } else { wanted(&self.derive(vault)) }
    }

    fn derive(&self, vault: &VaultId) -> Derived {
        let text = self.identity.to_string();
        let salt = vault.to_string();
        let hkdf = Hkdf::<Sha256>::new(Some(salt.as_bytes()), text.expose_secret().as_bytes());
        Derived {
            id: KeyId::from_bytes(*expand(&hkdf, "vault/v1/kid")),
            mac_key: expand(&hkdf, "vault/v1/doc-mac"),
        }
    }

    /// Seals `plaintext` as an armored age message that this key opens.
    pub fn seal(&self, plaintext: &[u8]) -> String {
        age::encrypt_and_armor(&self.identity.to_public(), plaintext)
            .expect("sealing to an X25519 recipient in memory does not fail")
    }

    /// Seals `other` as a key slot does, so that whoever has this key has that one too.
    pub fn seal_key(&self, other: &Self) -> String {
        self.seal(other.to_identity_file().expose_secret().as_bytes())
    }

    /// Opens what [`Self::seal_key`] has sealed.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; [`Error::NotAKey`] if something else is in it.
    pub fn open_key(&self, message: &str) -> Result<Self, Error> {
        let plaintext = self.open(message)?;
        let text = std::str::from_utf8(&plaintext).map_err(|_| Error::NotAKey)?;
        Self::from_identity_file(&SecretString::from(text))
    }

    /// Opens an armored age message.
    ///
    /// # Errors
    ///
    /// If it is sealed to another key, damaged, or longer than any item of ours.
    pub fn open(&self, message: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let decryptor = decryptor(message.as_bytes(), MAX_HEADER).ok_or(Error::Damaged)?;
        let identity: &dyn age::Identity = &self.identity;
        let reader = decryptor.decrypt(std::iter::once(identity)).map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => Error::OtherKey,
            _ => Error::Damaged,
        })?;
        read_bounded(reader, message.len())
    }
}

impl std::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VaultKey(…)")
    }
}

/// Begins to open an age message, armored or not, unless it is damaged or has a header of more than
/// `max_header` bytes.
///
/// The age crate reads a header from its start again after every line of it. A document has room for so
/// many lines that this would take hours, and nothing but its length shows it beforehand.
pub fn decryptor(
    message: &[u8],
    max_header: usize,
) -> Option<age::Decryptor<ArmoredReader<BufReader<&[u8]>>>> {
    let mut start = Vec::new();
    ArmoredReader::new(message).take(max_header as u64).read_to_end(&mut start).ok()?;
    // C2SP age, "header": its last line, and no other, begins with three dashes.
    start.windows(4).any(|window| window == b"\n---").then_some(())?;
    age::Decryptor::new_buffered(ArmoredReader::new(message)).ok()
}

fn expand<const N: usize>(hkdf: &Hkdf<Sha256>, info: &str) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    hkdf.expand(info.as_bytes(), bytes.as_mut()).expect("HKDF-SHA256 gives up to 8160 bytes");
    bytes
}

/// Reads a plaintext that is not longer than `room`, in bytes. Growing would leave copies of it behind.
fn read_bounded(reader: impl Read, room: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut plaintext = Zeroizing::new(Vec::with_capacity(room));
    // A tampered payload shows itself only here, as an I/O error.
    reader.take(MAX_PLAINTEXT + 1).read_to_end(&mut plaintext).map_err(|_| Error::Damaged)?;
    if plaintext.len() as u64 > MAX_PLAINTEXT {
        return Err(Error::TooLong);
    }
    Ok(plaintext)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plaintext_is_read_into_room_that_does_not_grow() {
        let key = VaultKey::generate();
        for length in [1, 512, 64 * 1024] {
            let message = key.seal(&vec![b'x'; length]);

            let plaintext = key.open(&message).unwrap();

            assert_eq!((plaintext.len(), plaintext.capacity()), (length, message.len()));
        }
    }

    #[test]
    fn what_is_derived_belongs_to_the_vault_that_is_asked_about() {
        let key = VaultKey::generate();
        let again = VaultKey::from_identity_file(&key.to_identity_file()).unwrap();
        let [one, two] = [1, 2].map(|byte| VaultId::from_bytes([byte; 16]));

        assert_eq!(key.id(&one), again.id(&one));
        assert_ne!(key.id(&one), key.id(&two));
        assert_ne!(key.mac_key(&one), key.mac_key(&two));
        // Asked about in another order.
        let fresh = VaultKey::from_identity_file(&key.to_identity_file()).unwrap();
        assert_eq!((fresh.id(&two), fresh.id(&one)), (key.id(&two), key.id(&one)));
        assert_eq!(fresh.mac_key(&one), key.mac_key(&one));
    }
}
