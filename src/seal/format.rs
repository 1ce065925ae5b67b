//! The kinds of document.

use super::document::Error;

/// The kinds of document, and the only versions of them that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// The manifest of the vault.
    Manifest,
    /// An OAuth client.
    Client,
    /// A profile.
    Profile,
    /// A cached access token.
    Token,
    /// What was about to be asked when a refresh began.
    Intent,
}

impl Format {
    const ALL: [Self; 5] = [Self::Manifest, Self::Client, Self::Profile, Self::Token, Self::Intent];

    /// The value of `format` in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "vault-manifest/1",
            Self::Client => "vault-client/1",
            Self::Profile => "vault-profile/1",
            Self::Token => "vault-token/1",
            Self::Intent => "vault-intent/1",
        }
    }

    pub(super) fn read(text: &str) -> Result<Self, Error> {
        if let Some(known) = Self::ALL.into_iter().find(|format| format.as_str() == text) {
            return Ok(known);
        }
        let (kind, version) = text.rsplit_once('/').ok_or(Error::Envelope("format"))?;
        let is_ours = Self::ALL.iter().any(|format| format.as_str().starts_with(&format!("{kind}/")));
        match version.parse::<u32>() {
            Ok(version) if is_ours && version > 1 => Err(Error::Newer { format: text.to_owned() }),
            _ => Err(Error::Envelope("format")),
        }
    }
}
