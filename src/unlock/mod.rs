//! Getting the vault key: the doors, and how new ones are made.
//!
//! Nothing here prints, reads the environment or decides what the user should do: paths and
//! sources are handed in, and what happened at each door is handed back.

pub mod agent;
pub mod backup;
mod doors;
mod file;
pub mod identity;
pub mod keychain;
mod message;
pub mod passphrase;
mod plugin;
pub mod recipient;
pub mod rewrap;
mod source;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use crate::domain::{DocumentId, KeyId, KeySlot, VaultId};
use crate::seal::VaultKey;

pub use file::Error as FileError;
pub use keychain::Keychain;
pub use message::Error as MessageError;
pub use source::Error as SourceError;

/// Asks the person at the terminal. Implemented where the terminal is.
pub trait Prompt: Send + Sync {
    /// Asks for a passphrase, unseen while it is typed.
    ///
    /// # Errors
    ///
    /// If there is nobody to ask, or no answer.
    fn passphrase(&self, question: &str) -> Result<SecretString, PromptError>;

    /// Shows a message of an age plugin, such as the wish to be touched. The text is foreign.
    fn tell(&self, _message: &str) {}

    /// Asks a question of an age plugin, with its own words for yes and no. None: nobody answers.
    fn confirm(&self, _question: &str, _yes: &str, _no: Option<&str>) -> Option<bool> {
        None
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// There is nobody to ask.
    #[error("there is no terminal to ask on")]
    NoTerminal,
    /// The person does not want to answer.
    #[error("cancelled")]
    Cancelled,
    /// The terminal failed.
    #[error("the terminal failed")]
    Io(#[from] io::Error),
}

/// Where a passphrase comes from without a person. Never the passphrase itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassphraseSource {
    /// The content of a file, less one final newline.
    File(PathBuf),
    /// What a command prints, less one final newline. Split as a shell does, but run without one.
    Command(String),
}

/// The means there are to get at the vault key.
#[derive(Clone)]
pub struct Ways<'a> {
    /// The person, if one may be asked.
    pub prompt: &'a dyn Prompt,
    /// The operating system's keychain.
    pub keychain: &'a dyn Keychain,
    /// The process that may hold the key for a while.
    pub agent: Option<&'a agent::Client>,
    /// Age identity files.
    pub identities: Vec<PathBuf>,
    /// Where a passphrase comes from without a person.
    pub passphrase: Option<PassphraseSource>,
    /// Whether the person may be asked. If not, nothing ever waits for one.
    pub may_ask: bool,
}

impl Ways<'_> {
    /// The person, if one may be asked.
    pub fn person(&self) -> Option<&dyn Prompt> {
        self.may_ask.then_some(self.prompt)
    }
}

/// The vault key, and how it was had.
#[derive(Debug)]
pub struct Opened {
    /// The key; its id is the one that was asked for.
    pub key: VaultKey,
    /// The door that gave it.
    pub by: Door,
    /// What should be told although it worked.
    pub warnings: Vec<Warning>,
    /// The doors that were tried before and did not open.
    pub failed: Vec<Attempt>,
}

/// A door to the vault key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The process that holds the key for a while.
    Agent,
    /// A key slot of the manifest.
    Slot {
        /// Its name.
        id: DocumentId,
        /// `keychain`, `passphrase` or `recipient`.
        kind: &'static str,
    },
}

impl Door {
    /// The door that a slot is.
    pub fn of(slot: &KeySlot) -> Self {
        Self::Slot { id: slot.id.clone(), kind: slot.kind.as_str() }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent => f.write_str("the agent"),
            Self::Slot { id, kind } => write!(f, "the {kind} slot {id}"),
        }
    }
}

/// A door that did not open.
#[derive(Debug)]
pub struct Attempt {
    /// Which.
    pub slot: Door,
    /// Why not.
    pub why: Why,
}

/// Why a door did not open.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The agent failed. That it does not hold the key is no failure.
    #[error(transparent)]
    Agent(Arc<agent::Error>),
    /// The keychain failed, is locked, or is not there.
    #[error(transparent)]
    Keychain(Arc<keychain::Error>),
    /// The keychain works, but has no such entry.
    #[error("the keychain has no entry for this vault")]
    NoEntry,
    /// No identity file was named.
    #[error("no identity file was given")]
    NoIdentity,
    /// The identity files are good, but for other recipients.
    #[error("none of the identity files opens it")]
    OtherIdentity,
    /// An identity file cannot be used.
    #[error(transparent)]
    Identity(Arc<identity::Error>),
    /// No passphrase was given, and nobody may be asked.
    #[error("no passphrase was given and nobody can be asked")]
    NobodyToAsk,
    /// The file or the command gives no passphrase.
    #[error(transparent)]
    Source(Arc<SourceError>),
    /// The question found no answer.
    #[error(transparent)]
    Prompt(Arc<PromptError>),
    /// The slot is damaged or cannot be opened with what was given.
    #[error(transparent)]
    Message(MessageError),
    /// The slot opens, but gives the key of another vault or an old one.
    #[error("it gives another key")]
    OtherKey,
}

/// What should be told although it worked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// Other users may read an identity file.
    #[error("other users may read the identity file {} (mode {mode:03o})", path.display())]
    OpenFile {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A passphrase slot is cheaper to guess than it should be.
    #[error("the passphrase slot {slot} has the work factor {log_n}, which makes guessing cheap")]
    WeakSlot {
        /// The slot.
        slot: DocumentId,
        /// Its work factor, as the exponent of 2.
        log_n: u8,
    },
}

/// Why the vault key could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No door opened.
    #[error("there is no way to get the vault key")]
    NoWay {
        /// What happened at each; every slot is named at least once.
        attempts: Vec<Attempt>,
    },
    /// The person did not want to answer.
    #[error("cancelled")]
    Cancelled,
}

/// Gets the vault key through the cheapest door that opens.
///
/// In this order: the agent, identity files, the keychain, a passphrase from a file or a command,
/// plugins, identity files that need a passphrase, a typed passphrase (three tries). A key counts
/// only if it is the key `kid` of the vault.
///
/// # Errors
///
/// [`Error::NoWay`] tells what happened at each door; [`Error::Cancelled`] ends the search at once.
pub fn open(vault: &VaultId, kid: &KeyId, slots: &[KeySlot], ways: &Ways<'_>) -> Result<Opened, Error> {
    doors::Search::new(vault, kid, slots, ways).run()
}
