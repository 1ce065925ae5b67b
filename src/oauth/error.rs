//! Why something did not work with a provider. No secret, URL or body is in an error.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::device::NotYet;
use super::{Obstacle, TransportError};
use crate::domain::Provider;
use crate::domain::provider::KnownError;

/// Longest text of a server that is shown, in characters.
const SERVER_TEXT: usize = 300;

/// Why something did not work with a provider.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The provider was not reached; it has acted upon nothing.
    #[error("cannot reach {host}")]
    Unreachable {
        /// The host that was tried.
        host: String,
        /// What stands in the way.
        #[source]
        cause: Obstacle,
    },
    /// The request was sent and no whole answer came: the provider may have acted upon it.
    #[error("the answer of {host} was lost")]
    Lost {
        /// The host that was asked.
        host: String,
        /// What the system said.
        #[source]
        cause: Cause,
    },
    /// The provider refuses, and says why.
    #[error("the provider refuses the request")]
    Refused(#[source] ServerError),
    /// The provider cannot answer now: 408, 429, 5xx, or an error that says the same.
    #[error("the provider is not available (HTTP status {status})")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// How long it asks us to wait, one day at most.
        retry_after: Option<Duration>,
    },
    /// The provider's answer makes no sense.
    #[error("{what}")]
    Nonsense {
        /// What is odd about it.
        what: String,
        /// A refresh token that came with it all the same. It may be the only one that still works.
        rotated: Option<SecretString>,
    },
    /// A check that keeps secrets where they belong did not pass.
    #[error("{what}")]
    Policy {
        /// Which one.
        what: String,
    },
    /// The user, or the provider on the user's behalf, said no.
    #[error("consent was denied")]
    Denied(#[source] ServerError),
    /// The user has not consented yet: the only answer after which a device asks again (RFC 8628, 3.5).
    #[error("nobody has consented yet")]
    NotYet(NotYet),
    /// The provider does not wait for the user any more (RFC 8628, 3.5).
    #[error("nobody has consented before the code expired")]
    Expired(#[source] ServerError),
    /// The user did not come back from the browser in time.
    #[error("no answer came from the browser in time")]
    TimedOut,
    /// The wait for the browser was given up.
    #[error("the login was cancelled")]
    Cancelled,
    /// The redirect URI cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the system said.
        #[source]
        cause: Cause,
    },
}

impl Error {
    /// An answer that makes no sense and holds nothing worth saving.
    pub(super) fn nonsense(what: impl Into<String>) -> Self {
        Self::Nonsense { what: what.into(), rotated: None }
    }

    /// A check that did not pass.
    pub(super) fn policy(what: impl Into<String>) -> Self {
        Self::Policy { what: what.into() }
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Unreachable { host, cause } => Self::Unreachable { host, cause },
            TransportError::Lost { host, cause } => Self::Lost { host, cause },
            TransportError::TooLong { .. } => Self::nonsense(error.to_string()),
            TransportError::Refused { what } => Self::Policy { what },
        }
    }
}

/// What the layer below said, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

impl Cause {
    /// The innermost cause of `error`: the others only name the layers in between.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut innermost = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        // A certificate puts its own names into the text.
        Self(printable(&innermost.to_string(), SERVER_TEXT))
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        Self(printable(text, SERVER_TEXT))
    }
}

/// An error as the server told it (RFC 6749, 4.1.2.1 and 5.2), safe to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// The code: `invalid_grant` and its like.
    pub error: String,
    /// A sentence for people.
    pub description: Option<String>,
    /// A finer code: Google's `error_subtype`, Microsoft's `suberror`.
    pub subtype: Option<String>,
    /// A page for people. It is text to be shown, not a link to be followed.
    pub uri: Option<String>,
    /// The HTTP status it came with; 0 if it came through the browser.
    pub status: u16,
    /// What time it was at the server, if it has said so.
    pub date: Option<Timestamp>,
    /// What the provider's pages say of it, where they say more than the RFC.
    pub known: Option<Box<KnownError>>,
}

impl ServerError {
    /// An error with nothing but a code.
    pub fn new(error: &str, status: u16) -> Self {
        Self {
            error: printable(error, 100),
            description: None,
            subtype: None,
            uri: None,
            status,
            date: None,
            known: None,
        }
    }

    /// The same error with this description.
    pub fn with_description(mut self, text: Option<&str>) -> Self {
        self.description = shown(text);
        self
    }

    /// The same error with this finer code.
    pub fn with_subtype(mut self, text: Option<&str>) -> Self {
        self.subtype = shown(text);
        self
    }

    /// The same error, told at this time by the server's clock.
    pub fn at(mut self, date: Option<Timestamp>) -> Self {
        self.date = date;
        self
    }

    /// The same error with what `provider` says of it: what it means, and which error of RFC 6749 it is.
    pub(super) fn known_to(mut self, provider: &Provider) -> Self {
        let found = provider.errors.iter().find(|known| known.is(&self.error, self.description.as_deref()));
        let Some(known) = found else { return self };
        if let Some(same) = known.same_as {
            let told = std::mem::replace(&mut self.error, same.as_str().to_owned());
            let description = self.description.take();
            self.description = match description {
                description if told == self.error => description,
                Some(description) => Some(format!("{told}: {description}")),
                None => Some(told),
            };
        }
        self.known = Some(Box::new(known.clone()));
        self
    }

    /// The same error with this page.
    pub fn with_uri(mut self, text: Option<&str>) -> Self {
        self.uri = shown(text);
        self
    }
}

fn shown(text: Option<&str>) -> Option<String> {
    text.map(|text| printable(text, SERVER_TEXT)).filter(|text| !text.is_empty())
}

impl std::error::Error for ServerError {}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        match &self.description {
            Some(description) => write!(f, ": {description}"),
            None => Ok(()),
        }
    }
}

/// What of a foreign `text` is safe on a terminal, at most `max` characters of it.
///
/// Control characters, bidirectional marks and characters without width would let a server write
/// somebody else's words; each run of them, and of white space, becomes one space.
pub fn printable(text: &str, max: usize) -> String {
    let mut shown = String::new();
    let mut length = 0;
    // Whatever is beyond is not even looked at: a description can have megabytes.
    for c in text.chars().take(max.saturating_mul(4)) {
        let c = if is_unprintable(c) { ' ' } else { c };
        if c == ' ' && (shown.is_empty() || shown.ends_with(' ')) {
            continue;
        }
        if length == max {
            break;
        }
        shown.push(c);
        length += 1;
    }
    shown.truncate(shown.trim_end().len());
    shown
}

fn is_unprintable(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{e000}'..='\u{f8ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_lose_their_teeth() {
        assert_eq!(printable("a\x1b[31mb\x1b]52;c;x\x07c", 300), "a [31mb ]52;c;x c");
        assert_eq!(printable("a\u{9b}31mb\r\nc\0", 300), "a 31mb c");
        assert_eq!(printable("\u{202e}evil\u{200b}\u{2066}\u{feff}x", 300), "evil x");
        assert_eq!(printable("Zürich \u{1f512} 東京", 300), "Zürich \u{1f512} 東京");
    }

    #[test]
    fn foreign_text_is_capped_in_characters() {
        assert_eq!(printable(&"é".repeat(1000), 300).chars().count(), 300);
        assert_eq!(printable(&"\x1b".repeat(10 << 20), 300), "");
        assert_eq!(printable("abc", 0), "");
    }

    #[test]
    fn a_server_error_reads_as_code_and_sentence() {
        let error = ServerError::new("invalid_grant", 400).with_description(Some("Token\nexpired."));

        assert_eq!(error.to_string(), "invalid_grant: Token expired.");
    }

    #[test]
    fn the_rotated_token_is_not_shown() {
        let error = Error::Nonsense { what: "odd".into(), rotated: Some("CANARY-RT".into()) };

        assert!(!format!("{error:?} {error}").contains("CANARY"));
    }
}
