//! What a file holds, as it says itself: nothing here has been checked with anybody.

use std::ffi::OsStr;

use secrecy::SecretString;
use url::Url;

use crate::domain::Scopes;
use crate::ops::mint::KeyFacts;

/// Largest file that is read, in bytes: the cache of oauth2l and the settings of rclone are some kilobytes long.
pub const MAX_SIZE: usize = 4 * 1024 * 1024;

/// Most things that are taken from one file.
pub const MAX_ITEMS: usize = 200;

/// A file, a part of standard input, or the environment.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What the file is called: a hint, where its text leaves out what it should say.
    pub name: Option<&'a OsStr>,
    /// What is in it.
    pub bytes: &'a [u8],
}

impl<'a> Input<'a> {
    /// The name, if it is text.
    pub(super) fn name(&self) -> Option<&'a str> {
        self.name.and_then(OsStr::to_str)
    }
}

/// One thing that a file holds: a client, a grant, or a grant with its client.
#[derive(Debug, Default)]
pub struct Item {
    /// In what form it stood there: `authorized_user`, `rclone`, …
    pub kind: &'static str,
    /// The client, where the file says which it is.
    pub client: Option<FoundClient>,
    /// The lasting consent.
    pub grant: Option<FoundGrant>,
    /// Whose account it is, as the file says.
    pub account: Option<String>,
    /// An API key beside it.
    pub api_key: Option<SecretString>,
    /// The project that requests are counted for.
    pub project: Option<String>,
    /// What the file calls it: the name of a remote, a key in a map. The profile is called after it.
    pub label: Option<String>,
    /// The id of the provider, where the form of the file says which it is.
    pub provider: Option<&'static str>,
    /// Where tokens are issued, as the file says. It is compared and never used: who plants a file could otherwise
    /// say where secrets go.
    pub token_endpoint: Option<Url>,
}

/// A client, as far as a file says.
#[derive(Clone, Debug, Default)]
pub struct FoundClient {
    /// The public identifier.
    pub client_id: String,
    /// The secret, where it stands there.
    pub client_secret: Option<SecretString>,
    /// The registered redirect URIs of a client of type *web*.
    pub redirect_uris: Vec<String>,
    /// What the key file says beside the key, where the secret is the private key of a service account.
    pub key: Option<KeyFacts>,
}

/// A lasting consent, as it stands in a file.
#[derive(Debug)]
pub struct FoundGrant {
    /// The refresh token.
    pub refresh_token: SecretString,
    /// What it is good for, where the file says so.
    pub scopes: Scopes,
}

/// Why nothing can be taken from a file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Odd {
    /// It is too long.
    #[error("it is longer than 4 MiB")]
    TooLong,
    /// It holds too much.
    #[error("it holds more than {MAX_ITEMS} logins")]
    TooMany,
    /// It is nothing that is known here.
    #[error("it is in no form that vault knows")]
    Unknown,
    /// It is something that is known, and broken.
    #[error("{0}")]
    Malformed(String),
    /// It is something that is known, and nothing in it can be used here.
    #[error("{what}")]
    Useless {
        /// What it is, and why it cannot be used.
        what: String,
        /// What can be done instead.
        hint: &'static str,
    },
}

impl Odd {
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    pub(super) fn useless(what: impl Into<String>, hint: &'static str) -> Self {
        Self::Useless { what: what.into(), hint }
    }
}
