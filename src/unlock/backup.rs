//! A backup as an age file: sealed to recipients or a passphrase, and opened again.

use std::io::Write;
use std::path::Path;

use age::scrypt;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::identity::{self, Content, Identity, IdentityFile};
use super::message::Bounds;
use super::passphrase::{self, WorkFactor};
use super::recipient::{self, Recipient};
use super::{FileError, MessageError, Prompt, PromptError, SourceError, Ways, file, source};
use crate::seal::MAX_BACKUP;

/// Largest age file that is read, in bytes: the largest content, and a third more where it is armored.
const MAX_FILE: u64 = MAX_BACKUP as u64 / 2 * 3;

/// Longest header, in bytes: 100 recipients, or ten of the post-quantum kind.
const MAX_HEADER: usize = 16 * 1024;

const BOUNDS: Bounds = Bounds { header: MAX_HEADER, plaintext: MAX_BACKUP as u64 };

/// How often a passphrase may be typed.
const TRIES: usize = 3;

/// Who can open a new backup.
pub enum Sealing {
    /// Whoever knows a passphrase.
    Passphrase(SecretString),
    /// Whoever has the identity of one of these recipients.
    Recipients(Vec<Recipient>),
}

/// Why a backup was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is something else.
    #[error("it is no age file")]
    NotAge,
    /// It is cut off, changed, or has a header of more than 16 KiB.
    #[error("it is damaged or cut off")]
    Damaged,
    /// The passphrase could not be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It opens with a passphrase, and there is none.
    #[error("it opens with a passphrase; none was given and nobody can be asked")]
    NobodyToAsk,
    /// The question found no answer.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// It opens with an identity, and none was named.
    #[error("it opens with an age identity, and none was given")]
    NoIdentity,
    /// An identity file cannot be used.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// It does not open with what was given.
    #[error("it does not open with what was given")]
    NotOpened(#[source] MessageError),
}

/// Seals `content`, as a binary age file.
///
/// # Errors
///
/// If a passphrase is too short, or a plugin fails.
pub fn seal(content: &[u8], to: &Sealing, person: Option<&dyn Prompt>) -> Result<Vec<u8>, recipient::Error> {
    let encryptor = match to {
        Sealing::Passphrase(passphrase) => {
            let mut recipient = scrypt::Recipient::new(passphrase.clone());
            recipient.set_work_factor(WorkFactor::DEFAULT.log_n());
            age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
                .expect("sealing to a passphrase in memory does not fail")
        }
        Sealing::Recipients(recipients) => recipient::encryptor(recipients, person)?,
    };
    let mut sealed = Vec::new();
    let written = encryptor.wrap_output(&mut sealed).and_then(|mut writer| {
        writer.write_all(content)?;
        writer.finish().map(drop)
    });
    written.expect("sealing in memory does not fail");
    Ok(sealed)
}

/// Reads the age file at `path`.
///
/// # Errors
///
/// If it cannot be read, is larger than any backup, or is no age file.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut content = file::read_up_to(path, MAX_FILE)?;
    let bytes = std::mem::take(&mut *content.bytes);
    if identity::is_age_message(&bytes) { Ok(bytes) } else { Err(Error::NotAge) }
}

/// Opens a backup that was sealed with `passphrase`.
///
/// # Errors
///
/// If it does not open.
pub fn open_with_passphrase(
    sealed: &[u8],
    passphrase: &SecretString,
) -> Result<Zeroizing<Vec<u8>>, MessageError> {
    passphrase::open_bytes(sealed, passphrase, BOUNDS)
}

/// Opens a backup with those of the identity files that need nobody; none if no identity is for it.
pub fn open_if_at_hand(sealed: &[u8], ways: &Ways<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let mut found = Vec::new();
    for path in &ways.identities {
        if let Ok(IdentityFile { content: Content::Open(identities), .. }) = IdentityFile::read(path) {
            found.extend(identities);
        }
    }
    found
        .iter()
        .filter(|identity| identity.is_ready())
        .find_map(|identity| open_by(identity, sealed, None).ok())
}

/// Opens a backup with the passphrase or the identity files in `ways`, and asks for a passphrase.
///
/// # Errors
///
/// Why it did not open.
pub fn open(sealed: &[u8], ways: &Ways<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let decryptor = crate::seal::decryptor(sealed, MAX_HEADER).ok_or(Error::Damaged)?;
    let opened = if decryptor.is_scrypt() { by_passphrase(sealed, ways) } else { by_identity(sealed, ways) };
    opened.map_err(|error| match error {
        // Which is no fault of what was given.
        Error::NotOpened(MessageError::Damaged) => Error::Damaged,
        other => other,
    })
}

fn by_passphrase(sealed: &[u8], ways: &Ways<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    if let Some(from) = &ways.passphrase {
        match open_with_passphrase(sealed, &source::read(from)?) {
            // It may be that of another vault.
            Err(MessageError::WrongPassphrase) if ways.may_ask => {}
            opened => return opened.map_err(Error::NotOpened),
        }
    }
    let person = ways.person().ok_or(Error::NobodyToAsk)?;
    ask(person, "Passphrase of the backup", |passphrase| open_with_passphrase(sealed, passphrase))
}

/// Asks for a passphrase until it opens, three times at most.
fn ask<T>(
    person: &dyn Prompt,
    question: &str,
    open: impl Fn(&SecretString) -> Result<T, MessageError>,
) -> Result<T, Error> {
    let mut tries = 1;
    loop {
        match open(&person.passphrase(question)?) {
            Err(MessageError::WrongPassphrase) if tries < TRIES => tries += 1,
            opened => return opened.map_err(Error::NotOpened),
        }
    }
}

fn by_identity(sealed: &[u8], ways: &Ways<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut failed = Error::NoIdentity;
    for path in &ways.identities {
        for identity in identities(path, ways.person())? {
            match open_by(&identity, sealed, ways.person()) {
                Ok(content) => return Ok(content),
                // That another one of several identities is for something else is no news.
                Err(MessageError::OtherIdentity) if matches!(failed, Error::NotOpened(_)) => {}
                Err(error) => failed = Error::NotOpened(error),
            }
        }
    }
    Err(failed)
}

/// The identities of a file, which may have a passphrase of its own.
fn identities(path: &Path, person: Option<&dyn Prompt>) -> Result<Vec<Identity>, Error> {
    let sealed = match IdentityFile::read(path)?.content {
        Content::Open(found) => return Ok(found),
        Content::Sealed(bytes) => bytes,
    };
    let person = person.ok_or_else(|| identity::Error::Sealed(path.to_owned()))?;
    let passphrase = person.passphrase(&recipient::question(path))?;
    Ok(identity::unseal(path, &sealed, &passphrase)?)
}

fn open_by(
    identity: &Identity,
    sealed: &[u8],
    person: Option<&dyn Prompt>,
) -> Result<Zeroizing<Vec<u8>>, MessageError> {
    recipient::open_bytes(identity, sealed, person, BOUNDS)
}
