//! What is said on the agent's socket: one request, one answer.
//!
//! A frame is the length of the rest (4 bytes, big endian), the version of the protocol (1 byte)
//! and a JSON text. There is no message that asks for anything but the vault key, and no error
//! repeats what was received.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyId, VaultId};

/// The version of this protocol. Another one is refused by both sides, by name.
pub const VERSION: u8 = 1;

/// The file name of the socket in the vault's runtime directory.
pub const SOCKET: &str = "agent";

/// Most bytes after the length in one frame.
pub const MAX_FRAME: u32 = 256 * 1024;

/// Longest time for which a key is held, in seconds: 31 days.
pub const MAX_SECONDS: u64 = 31 * 24 * 60 * 60;

/// Bytes that every message of ours fits in, so that no copy of a key stays behind in a buffer that grew.
const USUAL_FRAME: usize = 4096;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The key of a vault, if it is held.
    Get {
        /// Which vault.
        vault: VaultId,
        /// Which key of it.
        kid: KeyId,
    },
    /// Hold this key for a while. Of one vault two are held at most, the last ones: it has two while its
    /// key is rotated.
    Hold {
        /// Which vault.
        vault: VaultId,
        /// Which key of it.
        kid: KeyId,
        /// The key as an age identity file.
        #[serde(with = "opened")]
        key: SecretString,
        /// For how long; more than 0 and at most [`MAX_SECONDS`].
        seconds: u64,
    },
    /// Forget the keys of one vault, or all.
    Drop {
        /// Which vault; none means every one.
        vault: Option<VaultId>,
        /// Which key of it; none means every one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kid: Option<KeyId>,
    },
    /// Which keys are held.
    Status,
}

/// What the agent answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Response {
    /// The key that was asked for, as an age identity file.
    Key(#[serde(with = "opened")] SecretString),
    /// The key is held.
    Held {
        /// Until when, by the wall clock.
        until: Timestamp,
    },
    /// No such key is held; also the answer to [`Request::Drop`].
    Nothing,
    /// The keys that are held.
    Status {
        /// One for each key.
        vaults: Vec<Held>,
    },
    /// The request was not carried out.
    Failure {
        /// Why.
        reason: Failure,
    },
}

/// A key that is held, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Of which vault.
    pub vault: VaultId,
    /// Which key of it.
    pub kid: KeyId,
    /// Until when, by the wall clock.
    pub until: Timestamp,
}

/// Why the agent did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// The frame was no request.
    #[error("the agent did not understand the request")]
    NotUnderstood,
    /// The time is 0 or too long.
    #[error("a key is held for at least a second and at most 31 days")]
    Time,
    /// The key is longer than any vault key.
    #[error("this is no vault key")]
    Key,
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other side closed the connection without a word.
    #[error("the connection was closed")]
    Closed,
    /// The other side speaks another version.
    #[error("the other side speaks version {theirs} of the agent's protocol, this program version {VERSION}")]
    Version {
        /// Its version.
        theirs: u8,
    },
    /// The frame is empty, too long, cut off, or not a message.
    #[error("what was received is not a message of the agent's protocol")]
    Garbage,
    /// The connection failed, or took too long.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Writes one message as a frame.
///
/// # Errors
///
/// If the connection fails.
pub fn write(mut connection: impl Write, message: &impl Serialize) -> Result<(), Error> {
    connection.write_all(&frame(message))?;
    Ok(connection.flush()?)
}

fn frame(message: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut frame = Zeroizing::new(Vec::with_capacity(USUAL_FRAME));
    frame.extend_from_slice(&[0, 0, 0, 0, VERSION]);
    serde_json::to_writer(&mut *frame, message).expect("our messages are JSON");
    let length = u32::try_from(frame.len() - 4).expect("our messages are short");
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Reads one message from a frame.
///
/// # Errors
///
/// If the connection fails, or what comes is not exactly one message of this version.
pub fn read<T: DeserializeOwned>(mut connection: impl Read) -> Result<T, Error> {
    let length = read_length(&mut connection)?;
    let mut body = Zeroizing::new(vec![0; length as usize]);
    connection.read_exact(&mut body).map_err(cut_off)?;
    match body.split_first() {
        Some((&VERSION, message)) => serde_json::from_slice(message).map_err(|_| Error::Garbage),
        Some((&theirs, _)) => Err(Error::Version { theirs }),
        None => Err(Error::Garbage),
    }
}

fn read_length(connection: &mut impl Read) -> Result<u32, Error> {
    let mut length = [0; 4];
    if connection.read(&mut length[..1])? == 0 {
        return Err(Error::Closed);
    }
    connection.read_exact(&mut length[1..]).map_err(cut_off)?;
    match u32::from_be_bytes(length) {
        0 => Err(Error::Garbage),
        length if length > MAX_FRAME => Err(Error::Garbage),
        length => Ok(length),
    }
}

fn cut_off(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Garbage,
        _ => Error::Io(error),
    }
}

/// A secret in a message, in the clear: the socket is the one place where that is the purpose.
mod opened {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn hold() -> Request {
        Request::Hold {
            vault: VaultId::from_bytes([1; 16]),
            kid: KeyId::from_bytes([2; 16]),
            key: SecretString::from("canary"),
            seconds: 60,
        }
    }

    fn bytes(version: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len() + 1).unwrap().to_be_bytes().to_vec();
        bytes.push(version);
        bytes.extend_from_slice(body);
        bytes
    }

    fn refused(bytes: &[u8]) -> Error {
        read::<Request>(bytes).unwrap_err()
    }

    #[test]
    fn a_message_reads_back_as_it_was_written() {
        let mut wire = Vec::new();
        write(&mut wire, &hold()).unwrap();

        let Request::Hold { key, seconds, .. } = read(&wire[..]).unwrap() else { panic!("another message") };

        assert_eq!((key.expose_secret(), seconds), ("canary", 60));
    }

    #[test]
    fn no_message_shows_its_key() {
        let answer = Response::Key(SecretString::from("canary"));

        assert!(!format!("{:?} {answer:?}", hold()).contains("canary"));
    }

    #[test]
    fn a_frame_of_our_own_never_grows_its_buffer() {
        assert_eq!(frame(&hold()).capacity(), USUAL_FRAME);
    }

    #[test]
    fn lengths_that_no_message_has_are_garbage() {
        for length in [0, MAX_FRAME + 1, u32::MAX] {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[VERSION; 64]);
            assert!(matches!(refused(&bytes), Error::Garbage), "{length}");
        }
    }

    #[test]
    fn a_frame_that_is_cut_off_is_garbage_and_none_at_all_is_the_end() {
        let whole = bytes(VERSION, br#""status""#);

        for length in 1..whole.len() {
            assert!(matches!(refused(&whole[..length]), Error::Garbage), "{length}");
        }
        assert!(matches!(refused(b""), Error::Closed));
    }

    #[test]
    fn another_version_is_named() {
        assert!(matches!(refused(&bytes(2, br#""status""#)), Error::Version { theirs: 2 }));
    }

    #[test]
    fn what_is_unknown_or_too_much_is_garbage_and_never_repeated() {
        let bodies: [&[u8]; 7] = [
            b"",
            b"\xff",
            br#""reveal""#,
            br#"{"refresh_token":{"profile":"canary"}}"#,
            br#""status" 1"#,
            br#"{"drop":{"vault":null,"canary":1}}"#,
            br#"{"hold":{"vault":"01010101010101010101010101010101","kid":"02020202020202020202020202020202","key":"canary","seconds":-1}}"#,
        ];

        for body in bodies {
            let error = refused(&bytes(VERSION, body));
            assert!(matches!(error, Error::Garbage), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }
}
