//! The facts of the manifest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{DocumentId, KeySlot, ProfileName};

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
}
