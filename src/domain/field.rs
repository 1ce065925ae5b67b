//! The fields of a profile that can be handed out, and the ones that are sealed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What `--set VAR=field` and `vault reveal` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Field {
    /// A token that works now.
    AccessToken,
    /// The e-mail address of the linked account, else its subject.
    Account,
    /// The API key of the profile.
    ApiKey,
    /// The public id of the OAuth client.
    ClientId,
    /// The secret of the OAuth client.
    ClientSecret,
    /// When the access token expires, as RFC 3339.
    ExpiresAt,
    /// The refresh token of the grant.
    RefreshToken,
}

impl Field {
    /// Every field, in the order in which help lists them.
    pub const ALL: [Self; 7] = [
        Self::AccessToken,
        Self::ApiKey,
        Self::ClientId,
        Self::ClientSecret,
        Self::RefreshToken,
        Self::Account,
        Self::ExpiresAt,
    ];

    /// The name as it is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::Account => "account",
            Self::ApiKey => "api_key",
            Self::ClientId => "client_id",
            Self::ClientSecret => "client_secret",
            Self::ExpiresAt => "expires_at",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// Whether its value must not be shown.
    pub fn is_secret(self) -> bool {
        !matches!(self, Self::Account | Self::ClientId | Self::ExpiresAt)
    }

    /// Whether answering it needs an access token.
    pub fn needs_token(self) -> bool {
        matches!(self, Self::AccessToken | Self::ExpiresAt)
    }
}

/// Why a text names no field.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is no field: use access_token, api_key, client_id, client_secret, refresh_token, account or expires_at"
)]
pub struct UnknownField {
    text: String,
}

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        let found = Self::ALL.into_iter().find(|field| field.as_str() == text);
        found.ok_or_else(|| UnknownField { text: text.chars().take(80).collect() })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The secrets that a document holds sealed, under these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealedField {
    /// In a cached token; in a profile, one that has no end and no refresh token beside it.
    AccessToken,
    /// In a profile.
    ApiKey,
    /// In a client.
    ClientSecret,
    /// In a client: a new secret that has not been proven yet.
    ClientSecretNext,
    /// In a client: the secret before, until it is disabled at the provider.
    ClientSecretPrevious,
    /// In a cached token: a signed statement in place of an access token.
    IdToken,
    /// In a profile.
    RefreshToken,
    /// In a profile: the one before, until it is retired at the provider.
    RefreshTokenPrevious,
    /// In a profile or a client: copies of the files that they were taken in from.
    TakenFiles,
}

impl SealedField {
    /// Those that a client may hold, the one in use first.
    pub const OF_CLIENT: [Self; 3] = [Self::ClientSecret, Self::ClientSecretNext, Self::ClientSecretPrevious];

    /// Those that a profile may hold, the one that lasts first.
    pub const OF_PROFILE: [Self; 4] =
        [Self::RefreshToken, Self::RefreshTokenPrevious, Self::AccessToken, Self::ApiKey];

    /// The key below `secrets` in the document, and `field` in the sealed plaintext.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::ApiKey => "api_key",
            Self::ClientSecret => "client_secret",
            Self::ClientSecretNext => "client_secret_next",
            Self::ClientSecretPrevious => "client_secret_previous",
            Self::IdToken => "id_token",
            Self::RefreshToken => "refresh_token",
            Self::RefreshTokenPrevious => "refresh_token_previous",
            Self::TakenFiles => "taken_files",
        }
    }
}

impl fmt::Display for SealedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_reads_back_from_its_name() {
        for field in Field::ALL {
            assert_eq!(field.as_str().parse::<Field>().unwrap(), field);
        }
    }
}
