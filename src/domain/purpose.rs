//! What a cached token is for, where it is not the plain one of its profile.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Scopes;
use super::id::{DocumentId, InvalidId, PurposeId};

/// What a cached token is for, where it is not the plain one of its profile.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
#[non_exhaustive]
pub enum Purpose {
    /// An access token that was asked for with exactly these scopes.
    Scopes {
        /// As they were sent.
        scopes: Scopes,
    },
    /// An ID token.
    IdToken {
        /// For whom it is.
        audience: String,
    },
}

impl Purpose {
    /// Under which name its token is kept: of fixed length, whatever the purpose says.
    ///
    /// It only finds the token. What the token is for stands in its document, under the MAC.
    pub fn id(&self) -> PurposeId {
        let text = match self {
            Self::Scopes { scopes } => format!("scopes\0{scopes}"),
            Self::IdToken { audience } => format!("id_token\0{audience}"),
        };
        let hash: [u8; 32] = Sha256::digest(text).into();
        PurposeId::from_bytes(std::array::from_fn(|at| hash[at]))
    }
}

/// Which cached token: the plain one of a profile document, or one for a purpose.
///
/// As text, the id of the document, and after a `_` that of the purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId {
    /// The document of its profile.
    pub profile: DocumentId,
    /// Its purpose; none for the plain one.
    pub purpose: Option<PurposeId>,
}

impl TokenId {
    /// The plain token of a profile.
    pub fn plain(profile: &DocumentId) -> Self {
        Self { profile: profile.clone(), purpose: None }
    }

    /// The token of a profile for `purpose`, or its plain one.
    pub fn of(profile: &DocumentId, purpose: Option<&Purpose>) -> Self {
        Self { profile: profile.clone(), purpose: purpose.map(Purpose::id) }
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.purpose {
            None => self.profile.fmt(f),
            Some(purpose) => write!(f, "{}_{purpose}", self.profile),
        }
    }
}

impl FromStr for TokenId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split_once('_') {
            None => Ok(Self { profile: text.parse()?, purpose: None }),
            Some((profile, purpose)) => {
                Ok(Self { profile: profile.parse()?, purpose: Some(purpose.parse()?) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Purpose {
        Purpose::Scopes { scopes: text.parse().unwrap() }
    }

    #[test]
    fn a_purpose_has_one_name_however_it_is_spelt() {
        assert_eq!(scopes("b a").id(), scopes("a  b a").id());
        assert_ne!(scopes("a").id(), scopes("a b").id());
        assert_ne!(scopes("a").id(), Purpose::IdToken { audience: "a".into() }.id());
        // The vector of docs/vault-format.md.
        assert_eq!(scopes("calendar email").id().to_string(), "817013b076041f80af6b39771afae004");
    }

    #[test]
    fn a_token_id_reads_back_as_it_was_written_and_nothing_else_is_one() {
        let profile = DocumentId::from_bytes([7; 16]);
        for id in [TokenId::plain(&profile), TokenId::of(&profile, Some(&scopes("a")))] {
            assert_eq!(id.to_string().parse::<TokenId>().unwrap(), id);
        }
        for text in ["", "_", &format!("{profile}_"), &format!("{profile}_{profile}_{profile}"), "a_b"] {
            assert!(text.parse::<TokenId>().is_err(), "{text}");
        }
    }
}
