//! The vault key as an age message: the sealed part of a key slot.

use std::io::Read;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::seal::{self, VaultKey};

/// Most plaintext of a key slot, in bytes. A vault key has 75; comments may stand beside it.
const MAX_PLAINTEXT: u64 = 16 * 1024;

/// Why the message of a key slot was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The identity or passphrase is for another message.
    #[error("it is sealed to another identity")]
    OtherIdentity,
    /// The passphrase is not the one.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// Opening it would take minutes and gigabytes.
    #[error("it asks for the work factor {log_n}, more than the {max} that is allowed")]
    TooMuchWork {
        /// What it asks for, as the exponent of 2.
        log_n: u8,
        /// The most that is allowed.
        max: u8,
    },
    /// It is no age message, or has been changed.
    #[error("it is damaged")]
    Damaged,
    /// What is in it is no vault key.
    #[error("it holds no vault key")]
    NotAKey,
    /// An age plugin or an SSH key failed.
    #[error("{0}")]
    Plugin(String),
}

/// Seals the vault key to `recipient`, armored.
pub(super) fn seal(key: &VaultKey, recipient: &dyn age::Recipient) -> Result<String, age::EncryptError> {
    use std::io::Write;

    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient))?;
    let mut sealed = Vec::new();
    let armor = age::armor::ArmoredWriter::wrap_output(&mut sealed, age::armor::Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(key.to_identity_file().expose_secret().as_bytes())?;
    writer.finish()?.finish()?;
    Ok(String::from_utf8(sealed).expect("armor is ASCII"))
}

/// Opens the message of a slot with the first of `identities` that fits.
pub(super) fn open<'a>(
    sealed: &str,
    identities: impl Iterator<Item = &'a dyn age::Identity>,
) -> Result<VaultKey, Error> {
    let text = open_text(sealed.as_bytes(), identities, MAX_PLAINTEXT)?;
    VaultKey::from_identity_file(&text).map_err(|_| Error::NotAKey)
}

/// Opens an armored or binary message whose plaintext is at most `max` bytes of text.
pub(super) fn open_text<'a>(
    sealed: &[u8],
    identities: impl Iterator<Item = &'a dyn age::Identity>,
    max: u64,
) -> Result<SecretString, Error> {
    let bounds = Bounds { header: seal::MAX_HEADER, plaintext: max };
    let plaintext = open_bytes(sealed, identities, bounds)?;
    let text = std::str::from_utf8(&plaintext).map_err(|_| Error::NotAKey)?;
    Ok(SecretString::from(text))
}

/// What is read of a message at most, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) header: usize,
    pub(super) plaintext: u64,
}

/// Opens an armored or binary message within `bounds`.
pub(super) fn open_bytes<'a>(
    sealed: &[u8],
    identities: impl Iterator<Item = &'a dyn age::Identity>,
    bounds: Bounds,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let decryptor = seal::decryptor(sealed, bounds.header).ok_or(Error::Damaged)?;
    let reader = decryptor.decrypt(identities).map_err(refused)?;
    // A plaintext is shorter than its message; growing would leave copies of it behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.take(bounds.plaintext + 1).read_to_end(&mut plaintext).map_err(|_| Error::Damaged)?;
    if plaintext.len() as u64 > bounds.plaintext {
        return Err(Error::NotAKey);
    }
    Ok(plaintext)
}

/// Our own words: those of the age crate are translated, long, and may overflow while they are made.
fn refused(error: age::DecryptError) -> Error {
    match error {
        age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed => Error::OtherIdentity,
        age::DecryptError::KeyDecryptionFailed => Error::WrongPassphrase,
        age::DecryptError::Plugin(errors) => Error::Plugin(super::plugin::words(&errors)),
        age::DecryptError::PluginResolve(error) => Error::Plugin(super::plugin::missing(&error)),
        age::DecryptError::Io(error) => Error::Plugin(super::plugin::broken(&error)),
        _ => Error::Damaged,
    }
}
