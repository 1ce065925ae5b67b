//! A request to a resource server: whatever API the token is for. Bodies flow both ways and have any length.

use std::fmt;
use std::io::Read;
use std::str::FromStr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use secrecy::SecretString;
use url::Url;

use super::{TransportError, https};

/// The way to resource servers. A body is asked for and given away piece by piece.
pub trait Resources {
    /// Sends `request` once, and returns as soon as the head of the answer is there, whatever its status.
    ///
    /// # Errors
    ///
    /// [`TransportError`] says whether the server can have acted upon the request.
    fn exchange(&self, request: Request) -> Result<Answer, TransportError>;
}

/// What is done with the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read it.
    Get,
    /// Read what is known about it (RFC 9110, 9.3.2).
    Head,
    /// Give it something to work on.
    Post,
    /// Replace it.
    Put,
    /// Change a part of it (RFC 5789).
    Patch,
    /// Remove it.
    Delete,
    /// Ask what can be done with it.
    Options,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// The name as it is typed and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is sent. `Debug` shows no secret.
#[derive(Debug)]
pub struct Request {
    /// What is done.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// What the user says besides.
    pub headers: Vec<Header>,
    /// Fields that only the server may see, each with a name of ours.
    pub secret_headers: Vec<(String, SecretString)>,
    /// The access token (RFC 6750, 2.1): in no other place than the header.
    pub bearer: Option<SecretString>,
    /// What is sent along.
    pub body: Option<Body>,
    /// How long it may take.
    pub limits: Limits,
}

/// How long an exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest time in which nothing moves, in either direction.
    pub idle: Duration,
    /// When all of it must be over.
    pub deadline: Option<Instant>,
}

/// A body that is sent as it is read.
pub struct Body {
    /// The bytes.
    pub bytes: Box<dyn Read + Send>,
    /// How many there are, where that is known.
    pub length: Option<u64>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}

/// The head of an answer, and its body as it comes in.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The version, the status and its reason, as in the first line of the answer.
    pub status_line: String,
    /// Where it came from.
    pub url: Url,
    /// The fields of the head, in the order in which they came.
    headers: HeaderMap,
    /// The body. An error of the kind `TimedOut` means that the time was over, any other that the answer was
    /// broken off.
    pub body: Box<dyn Read>,
}

impl Answer {
    /// An answer with this head.
    pub(super) fn new(
        status: reqwest::StatusCode,
        version: reqwest::Version,
        url: Url,
        headers: HeaderMap,
        body: Box<dyn Read>,
    ) -> Self {
        let reason = status.canonical_reason().map_or_else(String::new, |reason| format!(" {reason}"));
        let status_line = format!("{version:?} {}{reason}", status.as_u16());
        Self { status: status.as_u16(), status_line, url, headers, body }
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the server has said that it cannot answer now: 408, 429 and 5xx.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }

    /// Names and values of the head, in the order in which they came. A value is text of any kind.
    pub fn headers(&self) -> impl Iterator<Item = (&str, String)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), text(value)))
    }

    /// The first field of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(text)
    }

    /// How long the body is, if the server says so.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// Where the server would send us (RFC 9110, 15.4), if it does; nothing if that is no URL, or is not said.
    pub fn redirect(&self) -> Option<Option<Url>> {
        let is_redirect = matches!(self.status, 301 | 302 | 303 | 307 | 308);
        is_redirect.then(|| self.url.join(&self.header("location")?).ok())
    }

    /// How long the server asks us to wait, one day at most.
    pub fn retry_after(&self) -> Option<Duration> {
        let date: Option<Timestamp> = self.header("date").as_deref().and_then(https::http_date);
        https::retry_after(&self.header("retry-after")?, date)
    }

    /// What the server says against the token (RFC 6750, 3): the error, and the scopes that would do.
    pub fn challenge(&self) -> Option<Challenge> {
        let all = self.headers.get_all(WWW_AUTHENTICATE).iter().map(text);
        all.filter_map(|text| Challenge::read(&text)).next()
    }
}

/// What a server says against a token (RFC 6750, 3).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// `invalid_token` and its like.
    pub error: Option<String>,
    /// Scopes of which some server wants one and some want all.
    pub scopes: Vec<String>,
}

impl Challenge {
    fn read(text: &str) -> Option<Self> {
        let parameters = text.get(..7).filter(|it| it.eq_ignore_ascii_case("bearer ")).map(|_| &text[7..])?;
        let value = |name: &str| {
            let parts = parameters.split(',').map(str::trim);
            let mut found = parts.filter_map(|part| part.split_once('='));
            let (_, value) = found.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.trim_matches('"').to_owned())
        };
        let scopes = value("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        Some(Self { error: value("error"), scopes })
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// One field of the head of a request, as the user types it: `Name: value`.
#[derive(Clone, Debug)]
pub struct Header {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl Header {
    /// The field `name` with this value; both are known to be well-formed.
    pub fn known(name: &'static str, value: &'static str) -> Self {
        Self { name: HeaderName::from_static(name), value: HeaderValue::from_static(value) }
    }

    /// The field `name` with this value, if the value can stand in a head.
    pub fn with(name: &'static str, value: &str) -> Option<Self> {
        let value = HeaderValue::from_str(value).ok()?;
        Some(Self { name: HeaderName::from_static(name), value })
    }

    /// The name in lower case.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}

/// Fields that hold secrets. What is typed is seen by every process.
const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-goog-api-key"];

/// Fields by which client, proxy and server agree where a message goes and where it ends.
const OURS: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
        let name: HeaderName = name.parse().map_err(|_| "the name of the header is none".to_owned())?;
        if SECRET.contains(&name.as_str()) {
            return Err(format!("{name} would show a secret to every process; vault sends what it has"));
        }
        if OURS.contains(&name.as_str()) {
            return Err(format!("{name} is for vault to say"));
        }
        // No line break and no other control character gets through here (RFC 9110, 5.5).
        let value = HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes());
        let value = value.map_err(|_| format!("the value of {name} has a control character in it"))?;
        Ok(Self { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_field_and_none_that_holds_a_secret_or_ends_a_message() {
        for good in ["Accept: text/csv", "X-Odd:", "if-none-match: \"a:b\"", "X-Name: Grüße"] {
            assert!(good.parse::<Header>().is_ok(), "{good}");
        }
        for bad in [
            "Accept",
            ": x",
            "A B: x",
            "X: a\r\nAuthorization: b",
            "X: a\nb",
            "X: a\rb",
            "X: a\0b",
            "X: a\u{1b}b",
            "X\r\nY: a",
            "Authorization: Bearer x",
            "AUTHORIZATION: x",
            "Authorization : x",
            "proxy-authorization: x",
            "Cookie: a=b",
            "X-Goog-Api-Key: AIza",
            "Host: evil.example",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "Connection: close, Authorization",
        ] {
            assert!(bad.parse::<Header>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_challenge_says_what_is_missing() {
        let read = Challenge::read(
            "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", scope=\"a https://b/c\"",
        );

        assert_eq!(
            read,
            Some(Challenge {
                error: Some("insufficient_scope".into()),
                scopes: vec!["a".into(), "https://b/c".into()]
            })
        );
        assert_eq!(Challenge::read("bearer error=invalid_token").unwrap().error.unwrap(), "invalid_token");
        assert_eq!(Challenge::read("Basic realm=\"x\""), None);
        assert_eq!(Challenge::read("Bearer"), None);
        assert_eq!(Challenge::read("Grüße, ü"), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let request = Request {
            method: Method::Post,
            url: "https://a.example/".parse().unwrap(),
            headers: Vec::new(),
            secret_headers: vec![("x-goog-api-key".to_owned(), "CANARY-KEY".into())],
            bearer: Some("CANARY-AT".into()),
            body: Some(Body { bytes: Box::new(&b"CANARY-BODY"[..]), length: None }),
            limits: Limits { idle: Duration::from_secs(1), deadline: None },
        };

        assert!(!format!("{request:?}").contains("CANARY"));
    }
}
