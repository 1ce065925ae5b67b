//! Why a login by a device code was not begun, or did not end well.

use crate::domain::Scopes;
use crate::oauth::ServerError;

/// Why a login by a device code was not begun, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was sent: there is no endpoint for it.
    #[error("{provider} does not offer the device flow")]
    NotOffered {
        /// The provider, as people call it.
        provider: String,
        /// What the provider says about it.
        note: Option<String>,
    },
    /// Nothing was sent: the provider allows certain scopes only.
    #[error("{provider} does not allow the device flow for {scopes}")]
    ScopesNotAllowed {
        /// The provider, as people call it.
        provider: String,
        /// Those of the scopes that it does not allow.
        scopes: Scopes,
        /// All that it allows.
        allowed: Vec<String>,
    },
    /// Nothing was sent: the provider allows another kind of client only.
    #[error("{provider} does not allow the device flow with a client of type {kind}")]
    OtherClient {
        /// The provider, as people call it.
        provider: String,
        /// What the client file says.
        kind: &'static str,
        /// What the provider says about it.
        note: String,
    },
    /// The provider does not give out a code.
    #[error("{provider} refuses to begin the device flow")]
    NotBegun {
        /// The provider, as people call it.
        provider: String,
        /// What the provider says about it.
        note: Option<String>,
        /// What the provider has answered.
        #[source]
        server: ServerError,
    },
    /// The life of the code is over.
    #[error("the code has expired, and nobody has consented")]
    Expired,
}
