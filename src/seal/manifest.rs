//! The facts of the manifest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{DocumentId, KeyId, KeySlot, ProfileName};

/// What the manifest says about the vault as a whole.
///
/// The field names are part of the vault format. The slots are read before the MAC can be checked:
/// what comes out of one must then fit the key id that this machine has pinned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// When the vault was made.
    pub created_at: Timestamp,
    /// The ways to get the vault key; never empty.
    pub slots: Vec<KeySlot>,
    /// The profile that is meant where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<DocumentId>,
    /// What that profile is called, or about to be, to find it at once. If its document is not there, it
    /// is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_profile_name: Option<ProfileName>,
    /// The rotation of the vault key that has begun and is not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// When the vault key was last rotated because others may have had it: what a provider has issued
    /// before is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromised_at: Option<Timestamp>,
    /// The user's own providers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<OwnProvider>,
}

/// A provider that the user has described. Its file is read when it is needed, and only then.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnProvider {
    /// What it is called; its file says the same.
    pub id: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// Whether it may name `http:` on this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_loopback: bool,
    /// The file, as it was given.
    pub file: String,
}

/// A rotation of the vault key under way. Until it is finished, the manifest is under the old key, and
/// carries a second MAC under the new one.
///
/// The new key is never sealed to the old one: who has the old one and a copy of this manifest would
/// have the new one too.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rotation {
    /// The new key.
    pub kid: KeyId,
    /// The ways to get it; each has the id of the slot that it comes after.
    pub slots: Vec<KeySlot>,
    /// The old key as an age message to the new one.
    pub old_key: String,
    /// When it began.
    pub started_at: Timestamp,
}
