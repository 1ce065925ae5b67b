//! Key slots: the ways to get the vault key.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::DocumentId;

/// One way to get the vault key, as it stands in the manifest.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySlot {
    /// Names the slot for `vault key remove`.
    pub id: DocumentId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How it gives the key.
    #[serde(flatten)]
    pub kind: SlotKind,
}

/// How a slot gives the vault key. No variant holds the key unsealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SlotKind {
    /// An entry of the operating system's keychain.
    Keychain {
        /// The account name of the entry, below the service `vault`.
        entry: String,
    },
    /// An age scrypt message.
    Passphrase {
        /// The vault key as an armored age message.
        sealed: String,
    },
    /// An age message to a recipient outside the vault.
    Recipient {
        /// Who can open it: `age1…`, a plugin's recipient, or an SSH key.
        recipient: String,
        /// The vault key as an armored age message.
        sealed: String,
    },
}

impl SlotKind {
    /// The word for this kind: `keychain`, `passphrase` or `recipient`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Keychain { .. } => "keychain",
            Self::Passphrase { .. } => "passphrase",
            Self::Recipient { .. } => "recipient",
        }
    }
}
