//! Passphrase slots: the vault key in an age scrypt message.

use std::io::Read;

use age::scrypt;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::message;
use crate::domain::SlotKind;
use crate::seal::VaultKey;

/// Fewest characters of a new passphrase: NIST SP 800-63B (2017), 5.1.1.2.
pub const MIN_CHARACTERS: usize = 8;

/// The largest work factor that is ever computed: 4 GiB and about ten seconds.
pub const MAX_LOG_N: u8 = 22;

/// Why a passphrase slot could not be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// It is empty.
    #[error("the passphrase is empty")]
    Empty,
    /// It is so short that trying them all is cheap, however slow each try is made.
    #[error(
        "the passphrase has fewer than {MIN_CHARACTERS} characters; whoever gets a copy of the vault can guess it"
    )]
    Short,
}

/// How much work one guess at a passphrase costs: scrypt with N = 2^log_n, r = 8, p = 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkFactor(u8);

impl WorkFactor {
    /// What new slots get, 256 MiB and most of a second: the same as `age -p`.
    pub const DEFAULT: Self = Self(18);

    /// Below this, opening a slot warns: the least that the OWASP Password Storage Cheat Sheet
    /// accepts for scrypt (N = 2^17, r = 8, p = 1).
    pub const FLOOR: Self = Self(17);

    /// Cheap, so that tests do not spend their time here. Whatever it seals opens with a warning.
    #[doc(hidden)]
    pub const FOR_TESTS: Self = Self(10);

    /// The exponent of 2.
    pub fn log_n(self) -> u8 {
        self.0
    }
}

/// Seals the vault key with a new passphrase.
///
/// # Errors
///
/// If the passphrase is empty or short.
pub fn seal(key: &VaultKey, passphrase: &SecretString, work: WorkFactor) -> Result<SlotKind, Error> {
    check(passphrase)?;
    Ok(reseal(key, passphrase, work))
}

/// The same for a passphrase that has a slot already, however short it is.
pub(super) fn reseal(key: &VaultKey, passphrase: &SecretString, work: WorkFactor) -> SlotKind {
    let mut recipient = scrypt::Recipient::new(passphrase.clone());
    // The crate would measure this machine in a hurry and choose by that.
    recipient.set_work_factor(work.0);
    let sealed = message::seal(key, &recipient).expect("sealing to a passphrase in memory does not fail");
    SlotKind::Passphrase { sealed }
}

/// Whether `passphrase` is good enough for a new slot; worth knowing before it is typed again.
///
/// # Errors
///
/// If it is empty or short.
pub fn check(passphrase: &SecretString) -> Result<(), Error> {
    match passphrase.expose_secret().chars().count() {
        0 => Err(Error::Empty),
        count if count < MIN_CHARACTERS => Err(Error::Short),
        _ => Ok(()),
    }
}

/// Opens the sealed part of a passphrase slot.
///
/// # Errors
///
/// If the passphrase is wrong, the message damaged, or its work factor above [`MAX_LOG_N`], which
/// is seen before any work is done.
pub fn open(sealed: &str, passphrase: &SecretString) -> Result<VaultKey, message::Error> {
    message::open(sealed, std::iter::once(&identity(sealed.as_bytes(), passphrase)? as &dyn age::Identity))
        .map_err(wrong_passphrase)
}

/// Opens any message that is sealed with a passphrase: an identity file.
pub(super) fn open_text(
    sealed: &[u8],
    passphrase: &SecretString,
    max: u64,
) -> Result<SecretString, message::Error> {
    let identity = identity(sealed, passphrase)?;
    message::open_text(sealed, std::iter::once(&identity as &dyn age::Identity), max)
        .map_err(wrong_passphrase)
}

/// Opens any message that is sealed with a passphrase, within `bounds`: a backup.
pub(super) fn open_bytes(
    sealed: &[u8],
    passphrase: &SecretString,
    bounds: message::Bounds,
) -> Result<Zeroizing<Vec<u8>>, message::Error> {
    let identity = identity(sealed, passphrase)?;
    message::open_bytes(sealed, std::iter::once(&identity as &dyn age::Identity), bounds)
        .map_err(wrong_passphrase)
}

/// The work factor below the floor of a passphrase slot, if it is.
pub fn weakness(sealed: &str) -> Option<u8> {
    log_n(sealed.as_bytes()).filter(|log_n| *log_n < WorkFactor::FLOOR.0)
}

fn identity(sealed: &[u8], passphrase: &SecretString) -> Result<scrypt::Identity, message::Error> {
    let log_n = log_n(sealed).ok_or(message::Error::Damaged)?;
    if log_n > MAX_LOG_N {
        return Err(message::Error::TooMuchWork { log_n, max: MAX_LOG_N });
    }
    let mut identity = scrypt::Identity::new(passphrase.clone());
    identity.set_max_work_factor(MAX_LOG_N);
    Ok(identity)
}

/// The work factor in the header, where the age crate does not show it.
///
/// `-> scrypt <salt> <log_n>` stands in the second line: C2SP age, "scrypt recipient stanza".
fn log_n(sealed: &[u8]) -> Option<u8> {
    let mut start = [0; 256];
    let mut length = 0;
    let mut armored = age::armor::ArmoredReader::new(sealed);
    while length < start.len() {
        match armored.read(&mut start[length..]) {
            Ok(0) | Err(_) => break,
            Ok(count) => length += count,
        }
    }
    let mut lines = start[..length].split(|byte| *byte == b'\n');
    let stanza = std::str::from_utf8(lines.nth(1)?).ok()?;
    stanza.strip_prefix("-> scrypt ")?.split(' ').nth(1)?.parse().ok()
}

/// A passphrase message has one recipient, so what does not fit is the passphrase.
fn wrong_passphrase(error: message::Error) -> message::Error {
    match error {
        message::Error::OtherIdentity => message::Error::WrongPassphrase,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn sealed(kind: SlotKind) -> String {
        match kind {
            SlotKind::Passphrase { sealed } => sealed,
            _ => unreachable!("a passphrase makes a passphrase slot"),
        }
    }

    #[test]
    fn the_passphrase_opens_the_slot_and_another_one_does_not() {
        let key = VaultKey::generate();
        let slot = sealed(seal(&key, &phrase("correct horse"), WorkFactor::FOR_TESTS).unwrap());

        let opened = open(&slot, &phrase("correct horse")).unwrap();
        let refused = open(&slot, &phrase("correct house")).unwrap_err();

        let text = |key: &VaultKey| key.to_identity_file().expose_secret().to_owned();
        assert_eq!(text(&opened), text(&key));
        assert_eq!(refused, message::Error::WrongPassphrase);
    }

    #[test]
    fn a_new_slot_costs_as_much_as_agrees_with_age() {
        let slot =
            sealed(seal(&VaultKey::generate(), &phrase("correct horse"), WorkFactor::DEFAULT).unwrap());

        assert_eq!(log_n(slot.as_bytes()), Some(18));
        assert_eq!(weakness(&slot), None);
    }

    #[test]
    fn an_empty_or_short_passphrase_makes_no_slot() {
        let key = VaultKey::generate();

        for (text, error) in [("", Error::Empty), ("7 chars", Error::Short), ("ååååååå", Error::Short)]
        {
            assert_eq!(seal(&key, &phrase(text), WorkFactor::FOR_TESTS).unwrap_err(), error);
        }
    }

    #[test]
    fn a_cheap_slot_is_noticed() {
        let slot =
            sealed(seal(&VaultKey::generate(), &phrase("long enough"), WorkFactor::FOR_TESTS).unwrap());

        assert_eq!(weakness(&slot), Some(10));
    }

    #[test]
    fn a_work_factor_of_40_is_refused_without_any_work() {
        let bytes = b"age-encryption.org/v1\n-> scrypt bBjlhJVYZeE4aqUdmtRHfw 40\nZV/AhotwSGqaPCU43cepl4WYUouAa17a3xpu4G2yi5k\n--- fgMiVLJHMlg9fW7CVG/hPS5EAU4Zeg19LyCP7SoH5nA\n";
        let mut armored = Vec::new();
        let mut writer =
            age::armor::ArmoredWriter::wrap_output(&mut armored, age::armor::Format::AsciiArmor).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
        writer.finish().unwrap();

        let error = open(std::str::from_utf8(&armored).unwrap(), &phrase("any")).unwrap_err();

        assert_eq!(error, message::Error::TooMuchWork { log_n: 40, max: 22 });
    }

    #[test]
    fn a_message_that_is_cut_or_changed_is_damaged() {
        let slot =
            sealed(seal(&VaultKey::generate(), &phrase("long enough"), WorkFactor::FOR_TESTS).unwrap());

        for text in ["", "nothing", &slot[..60], &slot.replace("\n-----END", "A\n-----END")] {
            assert_eq!(open(text, &phrase("long enough")).unwrap_err(), message::Error::Damaged, "{text}");
        }
    }
}
