//! The lasting consent, as far as it is no secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::DocumentId;

/// Whether a grant can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// The provider has accepted it, or has not been asked.
    Live,
    /// The provider has refused it; its bytes are kept all the same.
    Dead,
}

/// Facts about a grant. The refresh token itself is sealed.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Drawn at random at each consent; ties cached tokens to this consent.
    pub id: DocumentId,
    /// When the user consented.
    pub obtained_at: Timestamp,
    /// When the provider last replaced the refresh token.
    #[serde(default)]
    pub refreshed_at: Option<Timestamp>,
    /// When it will end, where the provider has said so.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Whether it can still be used.
    pub state: GrantState,
    /// Whether a refresh token came with it.
    pub refreshable: bool,
}

impl Grant {
    /// When its refresh token was issued.
    pub fn renewed_at(&self) -> Timestamp {
        self.refreshed_at.map_or(self.obtained_at, |at| at.max(self.obtained_at))
    }
}
