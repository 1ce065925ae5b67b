//! What is in a backup: the vault key, and every document as it stood, in one JSON object. Pure.
//!
//! A backup that was read has passed every check that a vault passes: whoever made it had the vault
//! key, and each document stands under its own name.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::str::FromStr;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::document::{self, Document, Verified};
use super::format::Format;
use super::key::VaultKey;
use super::ring::KeyRing;
use crate::domain::{Client, ClientName, KeyId, Profile, ProfileName, VaultId};

/// What a backup says of itself.
const FORMAT: &str = "vault-backup/1";

/// Largest content that is written or read, in bytes: some 40,000 profiles.
pub const MAX_BACKUP: usize = 128 * 1024 * 1024;

/// Longest foreign name that is shown, in characters.
const SHOWN: usize = 80;

/// Why the content of a backup is refused. Never says what stood there, because the vault key may have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More than [`MAX_BACKUP`] bytes.
    #[error("it is larger than 128 MiB")]
    TooLarge,
    /// Not the JSON of a backup.
    #[error("it does not hold the strict JSON of a backup, line {line} column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It was written by a newer version of this program.
    #[error("it has the format `{format}`, which only a newer version of vault can read")]
    Newer {
        /// What it says of itself.
        format: String,
    },
    /// It holds something else.
    #[error("it opens, and holds no backup of a vault")]
    OtherFormat,
    /// What stands in the place of the vault key is none.
    #[error("it holds no vault key")]
    NotAKey,
    /// A document in it has an impossible name.
    #[error("it holds a document of the name {name:?}, which is none")]
    Name {
        /// Its beginning.
        name: String,
    },
    /// Two documents have one name.
    #[error("it holds `{0}` twice")]
    Twice(Part),
    /// There is nothing that says what unlocks the vault.
    #[error("it holds no manifest")]
    NoManifest,
    /// A document in it is refused.
    #[error("`{part}` in it cannot be trusted")]
    Document {
        /// Which one.
        part: Part,
        /// Why.
        #[source]
        source: document::Error,
    },
    /// Its documents are under two keys. Nothing writes such a backup.
    #[error("it was made while its vault key was rotated")]
    TwoKeys,
    /// A document stands under another name than its own.
    #[error("`{part}` in it says that its name is another one")]
    Misplaced {
        /// Where it stands.
        part: Part,
    },
}

/// The name of a document in a backup: `vault`, `clients/NAME` or `profiles/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The manifest.
    Manifest,
    /// A client.
    Client(ClientName),
    /// A profile.
    Profile(ProfileName),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("vault"),
            Self::Client(name) => write!(f, "clients/{name}"),
            Self::Profile(name) => write!(f, "profiles/{name}"),
        }
    }
}

impl FromStr for Part {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let not_a_name = || Error::Name { name: text.chars().take(SHOWN).collect() };
        match text.split_once('/') {
            None if text == "vault" => Ok(Self::Manifest),
            Some(("clients", name)) => name.parse().map(Self::Client).map_err(|_| not_a_name()),
            Some(("profiles", name)) => name.parse().map(Self::Profile).map_err(|_| not_a_name()),
            _ => Err(not_a_name()),
        }
    }
}

/// A backup: a whole vault at one moment, with its key.
#[derive(Debug)]
pub struct Backup {
    /// When it was made.
    pub created_at: Timestamp,
    /// The vault that it was made of.
    pub vault: VaultId,
    /// The key of that vault; there is one only.
    pub keys: KeyRing,
    /// Its documents in order, the manifest first.
    pub documents: Vec<(Part, Verified)>,
}

/// What every backup says, also one of a later format.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
}

/// The whole of it. The key is borrowed from the content, so that no second copy of it is made.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    created_at: Timestamp,
    vault: VaultId,
    key: &'a str,
    #[serde(borrow)]
    documents: Vec<Entry<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

impl Backup {
    /// What its manifest says.
    ///
    /// # Panics
    ///
    /// If it was neither read nor made of a vault: then it may have none.
    pub fn manifest(&self) -> super::Manifest {
        let (_, manifest) = self.documents.first().expect("a backup begins with the manifest");
        manifest.facts().expect("the facts of the manifest were read before")
    }

    /// How many of its documents are clients, and how many profiles.
    pub fn count(&self) -> (usize, usize) {
        let count =
            |is_one: fn(&Part) -> bool| self.documents.iter().filter(|(part, _)| is_one(part)).count();
        (count(|part| matches!(part, Part::Client(_))), count(|part| matches!(part, Part::Profile(_))))
    }

    /// The key that all of it is under.
    pub fn kid(&self) -> KeyId {
        self.keys.current().id(&self.vault)
    }

    /// Writes the content of a backup.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if nobody could read it.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let file = self.keys.current().to_identity_file();
        let texts: Vec<Vec<u8>> = self.documents.iter().map(|(_, document)| document.to_bytes()).collect();
        let entries = self.documents.iter().zip(&texts).map(|((part, _), text)| Entry {
            name: part.to_string().into(),
            text: String::from_utf8_lossy(text),
        });
        let content = Content {
            format: FORMAT.into(),
            created_at: self.created_at,
            vault: self.vault.clone(),
            key: file.expose_secret().trim_end(),
            documents: entries.collect(),
        };
        let length = length(&content);
        if length > MAX_BACKUP {
            return Err(Error::TooLarge);
        }
        // Room for all of it at once: growing would leave copies of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        serde_json::to_writer(&mut *bytes, &content).expect("a backup can be written to memory");
        Ok(bytes)
    }

    /// Reads the content of a backup, and verifies every document in it.
    ///
    /// # Errors
    ///
    /// If it is no backup, is of a newer format, or holds anything that a vault would refuse.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BACKUP {
            return Err(Error::TooLarge);
        }
        check_format(bytes)?;
        let content: Content<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
        let key = VaultKey::from_identity_file(&SecretString::from(content.key));
        let keys = KeyRing::of(key.map_err(|_| Error::NotAKey)?);
        let documents = verified(&content.vault, &keys, &content.documents)?;
        Ok(Self { created_at: content.created_at, vault: content.vault, keys, documents })
    }
}

/// Of a newer format, nothing else may be expected than that it says so.
fn check_format(bytes: &[u8]) -> Result<(), Error> {
    let head: Head<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
    if head.format == FORMAT {
        return Ok(());
    }
    match head.format.strip_prefix("vault-backup/").map(str::parse::<u32>) {
        Some(Ok(version)) if version > 1 => Err(Error::Newer { format: head.format.into_owned() }),
        _ => Err(Error::OtherFormat),
    }
}

fn malformed(error: serde_json::Error) -> Error {
    Error::Malformed { line: error.line(), column: error.column() }
}

/// The documents, in order; the manifest is one of them.
fn verified(vault: &VaultId, keys: &KeyRing, entries: &[Entry<'_>]) -> Result<Vec<(Part, Verified)>, Error> {
    let mut parts = BTreeSet::new();
    let mut documents = Vec::new();
    for entry in entries {
        let part: Part = entry.name.parse()?;
        if !parts.insert(part.clone()) {
            return Err(Error::Twice(part));
        }
        let document = verify(&part, entry.text.as_bytes(), vault, keys)?;
        documents.push((part, document));
    }
    documents.sort_by(|(a, _), (b, _)| a.cmp(b));
    match documents.first() {
        Some((Part::Manifest, _)) => Ok(documents),
        _ => Err(Error::NoManifest),
    }
}

fn verify(part: &Part, text: &[u8], vault: &VaultId, keys: &KeyRing) -> Result<Verified, Error> {
    let refused = |source| Error::Document { part: part.clone(), source };
    let document = Document::parse(text).map_err(refused)?;
    if document.format() != format_of(part) {
        return Err(refused(document::Error::Envelope("format")));
    }
    let document = document.verify(vault, keys).map_err(refused)?;
    if *part == Part::Manifest && is_rotating(&document).map_err(refused)? {
        return Err(Error::TwoKeys);
    }
    if is_in_its_place(part, &document).map_err(refused)? {
        Ok(document)
    } else {
        Err(Error::Misplaced { part: part.clone() })
    }
}

fn is_rotating(manifest: &Document) -> Result<bool, document::Error> {
    Ok(manifest.facts::<super::Manifest>()?.rotation.is_some())
}

fn format_of(part: &Part) -> Format {
    match part {
        Part::Manifest => Format::Manifest,
        Part::Client(_) => Format::Client,
        Part::Profile(_) => Format::Profile,
    }
}

fn is_in_its_place(part: &Part, document: &Document) -> Result<bool, document::Error> {
    fn facts<T: DeserializeOwned>(document: &Document) -> Result<T, document::Error> {
        document.facts()
    }
    Ok(match part {
        Part::Manifest => true,
        Part::Client(name) => facts::<Client>(document)?.name == *name,
        Part::Profile(name) => facts::<Profile>(document)?.name == *name,
    })
}

/// How many bytes `content` takes.
fn length(content: &Content<'_>) -> usize {
    struct Counted(usize);

    impl io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut counted = Counted(0);
    serde_json::to_writer(&mut counted, content).expect("bytes can be counted");
    counted.0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::DocumentId;
    use crate::seal::{Draft, Manifest};

    fn backup() -> Backup {
        let (vault, keys) = (VaultId::from_bytes([1; 16]), KeyRing::of(VaultKey::generate()));
        let facts = Manifest {
            created_at: Timestamp::UNIX_EPOCH,
            slots: Vec::new(),
            default_profile: None,
            default_profile_name: None,
            rotation: None,
            compromised_at: None,
            providers: Vec::new(),
        };
        let manifest = Draft::new(Format::Manifest, vault.clone(), DocumentId::from_bytes([2; 16]))
            .facts(&facts)
            .sign(&keys);
        Backup { created_at: Timestamp::UNIX_EPOCH, vault, keys, documents: vec![(Part::Manifest, manifest)] }
    }

    fn value() -> Value {
        serde_json::from_slice(&backup().to_bytes().unwrap()).unwrap()
    }

    fn refused(value: &Value) -> Error {
        Backup::parse(value.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn a_backup_reads_back_as_it_was_from_room_that_did_not_grow() {
        let backup = backup();

        let bytes = backup.to_bytes().unwrap();
        let read = Backup::parse(&bytes).unwrap();

        assert_eq!(bytes.len(), bytes.capacity());
        assert_eq!(*read.to_bytes().unwrap(), *bytes);
        assert_eq!(read.kid(), backup.kid());
    }

    #[test]
    fn a_newer_format_is_recognised_whatever_else_is_in_it() {
        assert!(matches!(refused(&json!({"format": "vault-backup/2", "new": [1.5]})), Error::Newer { .. }));
        for other in ["vault-backup/0", "vault-backup/x", "vault-profile/1", ""] {
            assert!(matches!(refused(&json!({ "format": other })), Error::OtherFormat), "{other}");
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_none() {
        for name in
            ["../x", "profiles/../x", "profiles/", "clients/A", "vault.json", "profiles/a/b", "/vault", ""]
        {
            let mut value = value();
            value["documents"][0]["name"] = name.into();
            assert!(matches!(refused(&value), Error::Name { .. }), "{name}");
        }
    }

    #[test]
    fn what_is_there_twice_or_not_at_all_is_refused() {
        let mut twice = value();
        let manifest = twice["documents"][0].clone();
        twice["documents"].as_array_mut().unwrap().push(manifest);
        let mut none = value();
        none["documents"] = json!([]);

        assert!(matches!(refused(&twice), Error::Twice(Part::Manifest)));
        assert!(matches!(refused(&none), Error::NoManifest));
        let text = value().to_string().replacen('{', r#"{"key":"x","#, 1);
        assert!(matches!(Backup::parse(text.as_bytes()).unwrap_err(), Error::Malformed { .. }));
    }

    #[test]
    fn a_refusal_never_repeats_what_stood_there() {
        for field in ["format", "created_at", "vault", "key", "documents"] {
            for odd in [json!("AGE-SECRET-KEY-1CANARY"), json!(["canary"]), json!({"canary": 1}), json!(1.5)]
            {
                let mut value = value();
                value[field] = odd;
                let text = format!("{0} {0:?}", refused(&value)).to_lowercase();
                assert!(!text.contains("canary"), "{field}: {text}");
            }
        }
    }
}
