//! Speaks OAuth 2.0 with providers: the requests, the answers, and what an answer means.

pub mod assertion;
pub mod authorization;
pub mod callback;
pub mod client_file;
pub mod device;
pub mod diagnosis;
pub mod discovery;
mod error;
mod https;
pub mod id_token;
pub mod impersonation;
pub(crate) mod json;
pub mod key_set;
mod obstacle;
pub mod provider;
pub mod resource;
pub mod revocation;
#[cfg(test)]
mod script;
pub mod service_account;
pub mod token_endpoint;
mod transfer;
pub mod userinfo;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;
use zeroize::Zeroizing;

pub use error::{Cause, Error, ServerError, printable};
pub use https::{Https, check_url};
pub use obstacle::Obstacle;

/// The far edge of the network: one request, one whole answer.
pub trait Http: Send + Sync {
    /// Sends `request` once and reads the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// [`TransportError`] says whether the provider can have acted upon the request. It holds no URL
    /// and no body.
    fn send(&self, request: &Request) -> Result<Response, TransportError>;
}

/// What is sent. `Debug` shows no secret.
#[derive(Debug)]
pub struct Request {
    /// The method, with the body where it has one.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Who asks.
    pub authorization: Option<Authorization>,
    /// How long the whole exchange may take, from connecting to the last byte of the answer.
    pub timeout: Duration,
}

/// The two methods that OAuth needs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Method {
    /// Reads something public, or something that the bearer may see.
    Get,
    /// Sends a form (RFC 6749, 4.1.3 and 6).
    PostForm(Vec<(&'static str, SecretString)>),
    /// Sends a JSON text, for the few endpoints that are no OAuth endpoints themselves.
    PostJson(SecretString),
    /// Whatever a provider wants where there is no rule for all.
    Own(Own),
}

/// A request in a provider's own way. `Debug` shows no secret.
#[derive(Debug)]
pub struct Own {
    /// The method.
    pub verb: Verb,
    /// The JSON that is sent along.
    pub json: Option<SecretString>,
    /// Header fields besides the usual ones, checked when the provider's file was read.
    pub headers: Vec<(String, String)>,
}

/// The methods of [`Own`] requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verb {
    Get,
    Post,
    Delete,
}

/// The `Authorization` header. `Debug` shows no secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Authorization {
    /// A client with its secret, both as they are stored: who sends them form-encodes them first
    /// (RFC 6749, 2.3.1).
    Basic {
        /// The client id.
        id: String,
        /// The client secret.
        secret: SecretString,
    },
    /// An access token (RFC 6750, 2.1).
    Bearer(SecretString),
}

/// A whole answer. `Debug` does not show its body.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// How long the provider asks us to wait (RFC 9110, 10.2.3), one day at most.
    pub retry_after: Option<Duration>,
    /// What time it is at the provider.
    pub date: Option<Timestamp>,
    /// Where a redirect leads, as it was sent. Nothing follows it by itself.
    pub location: Option<String>,
    /// The body, at most 1 MiB.
    pub body: Zeroizing<Vec<u8>>,
}

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the status is 3xx.
    pub fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status)
    }

    /// Whether the provider has said that it cannot answer now: 408, 429 and 5xx.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.body.len();
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("length", &length)
            .finish_non_exhaustive()
    }
}

/// Why there is no whole answer. The difference decides whether a refresh token may be spent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nothing of the request has reached the provider.
    #[error("cannot reach {host}")]
    Unreachable {
        /// The host that was tried.
        host: String,
        /// What stands in the way.
        #[source]
        cause: Obstacle,
    },
    /// The request may have been acted upon, and the answer is lost or cut off.
    #[error("the answer of {host} was lost")]
    Lost {
        /// The host that was asked.
        host: String,
        /// What the system said.
        #[source]
        cause: Cause,
    },
    /// The answer is longer than 1 MiB; what came was thrown away.
    #[error("the answer of {host} is longer than 1 MiB")]
    TooLong {
        /// The host that was asked.
        host: String,
    },
    /// The URL is not one that secrets may be sent to; nothing was sent.
    #[error("{what}")]
    Refused {
        /// What is wrong with it.
        what: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_request_nor_response_shows_a_secret() {
        let request = Request {
            method: Method::PostForm(vec![("refresh_token", "CANARY-RT".into())]),
            url: Url::parse("https://as.example/token").unwrap(),
            authorization: Some(Authorization::Basic { id: "me".into(), secret: "CANARY-CS".into() }),
            timeout: Duration::from_secs(30),
        };
        let response = Response {
            status: 200,
            retry_after: None,
            date: None,
            location: Some("/CANARY".into()),
            body: Zeroizing::new(b"CANARY-AT".to_vec()),
        };

        assert!(!format!("{request:?}{response:?}").contains("CANARY"));
    }
}
