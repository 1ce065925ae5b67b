//! The lasting consent, as far as it is no secret.

use jiff::{SignedDuration, Timestamp};
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

    /// When the refresh token after this one counts as issued, if it comes at `now`: later than this one,
    /// even if the clock was set back meanwhile. That order tells a newer token from an older one.
    pub fn next_renewal(&self, now: Timestamp) -> Timestamp {
        renewal_after(self.renewed_at(), now)
    }
}

/// When a refresh token that comes at `now` counts as issued, if another one counts as issued at `before`.
pub fn renewal_after(before: Timestamp, now: Timestamp) -> Timestamp {
    let later = before.checked_add(SignedDuration::from_nanos(1));
    later.map_or(now, |later| later.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_later_than_the_one_before_whatever_the_clock_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let grant = Grant {
            id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            obtained_at: at(0),
            refreshed_at: Some(at(7200)),
            expires_at: None,
            state: GrantState::Live,
            refreshable: true,
        };

        assert_eq!(grant.next_renewal(at(9000)), at(9000));
        for now in [at(0), at(7200)] {
            assert!(grant.next_renewal(now) > grant.renewed_at(), "{now}");
        }
    }
}
