//! Why a request to an API did not do what was asked.

use std::time::Duration;

use crate::domain::{Host, ProfileName, Scopes};
use crate::oauth;

/// Why a request to an API did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token may not go there; nothing was opened or sent.
    #[error("the token of profile `{profile}` may not go to {host}; nothing was sent")]
    HostNotAllowed {
        /// The profile.
        profile: ProfileName,
        /// The host.
        host: Host,
    },
    /// No token goes to such a URL, whoever allows it; nothing was sent.
    #[error("{0}; nothing was sent")]
    Url(String),
    /// Something that only the provider's own APIs understand would go elsewhere; nothing was sent.
    #[error(
        "{what} goes to the APIs of the provider only, and {host} is none of {provider}; nothing was sent"
    )]
    NotOfProvider {
        /// What it is.
        what: &'static str,
        /// The host.
        host: Host,
        /// The provider.
        provider: String,
    },
    /// The request was not sent, or its answer did not come.
    #[error(transparent)]
    Exchange(oauth::Error),
    /// The answer says where else to ask, and that was not done.
    #[error("the answer (HTTP status {status}) leads to {to}, and was not followed{}", why.map_or_else(String::new, |why| format!(": {why}")))]
    Redirected {
        /// The status.
        status: u16,
        /// Where it leads, less what could be a secret.
        to: String,
        /// Why it was not followed, if that was wanted.
        why: Option<&'static str>,
    },
    /// The server refuses.
    #[error("the server refuses the request (HTTP status {status}){}", obstacle.as_ref().map_or_else(String::new, |it| format!(": {it}")))]
    Refused {
        /// The status.
        status: u16,
        /// The profile.
        profile: ProfileName,
        /// What stands in the way, where that is known.
        obstacle: Option<Obstacle>,
    },
    /// The server cannot answer now.
    #[error("the server cannot answer now (HTTP status {status})")]
    Unavailable {
        /// The status.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The answer has begun, and its end is missing.
    #[error("the answer was broken off after {received}: {why}")]
    BrokenOff {
        /// How much of it has come, in words.
        received: String,
        /// What happened.
        why: String,
    },
}

/// What stands in the way of a request, as the server says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// The token does not work, although it is new.
    #[error("it does not accept the token")]
    Token,
    /// The login is not good for this.
    #[error("the login does not cover what it asks for")]
    Scopes(Scopes),
    /// The API is not enabled in the project.
    #[error("the API is not enabled in the project of the client")]
    ServiceDisabled,
    /// The project may not be charged.
    #[error("the account may not use the project that the request is counted for")]
    Project,
}
