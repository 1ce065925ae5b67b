//! Hosts that a profile is bound to: where its token may be sent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The port that is meant where none is named, since nothing is sent but over TLS (RFC 9110, 4.2.2).
const DEFAULT_PORT: u16 = 443;

/// The same without TLS (RFC 9110, 4.2.1).
const HTTP_PORT: u16 = 80;

/// Longest name of a host in characters (RFC 1035, 2.3.4).
const MAX_LENGTH: usize = 253;

/// What a host is bound for: who asks for the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// git, through its credential helper.
    Git,
    /// docker and other clients of registries, through a docker credential helper.
    Docker,
    /// cargo, through its credential provider.
    Cargo,
    /// `vault api`.
    Api,
}

impl Use {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Git, Self::Docker, Self::Cargo, Self::Api];

    /// The name as it is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Docker => "docker",
            Self::Cargo => "cargo",
            Self::Api => "api",
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no host.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no host: name one as in `git.example.com` or `127.0.0.1:8080`, and nothing else")]
pub struct InvalidHost {
    /// Its beginning.
    text: String,
}

/// One host, exactly: its name in lower case and ASCII, and its port unless that is 443.
///
/// Two hosts are the same only if they are spelt the same then. There are no wildcards, and a name does not
/// stand for the names below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// The host of `url`, with the port that is used where the URL names none.
    pub fn of_url(url: &url::Url) -> Option<Self> {
        let port = url.port_or_known_default()?;
        format!("{}:{port}", url.host_str()?).parse().ok()
    }

    /// The host that `text` names where it is spoken to under `scheme`: over https, or in the clear on this
    /// machine, where nobody else hears it.
    ///
    /// Only ASCII is a host here: what another program makes of other letters may be another name than ours.
    pub fn under_scheme(scheme: &str, text: &str) -> Option<Self> {
        let host: Self = text.parse().ok().filter(|_| text.is_ascii())?;
        match scheme {
            "https" => Some(host),
            "http" if host.is_loopback() && names_port(text) => Some(host),
            "http" if host.is_loopback() => format!("{text}:{HTTP_PORT}").parse().ok(),
            _ => None,
        }
    }

    /// The name without the port; an IPv6 address in brackets.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// Whether it is this machine, by number or as `localhost`.
    pub fn is_loopback(&self) -> bool {
        match url::Host::parse(&self.name) {
            Ok(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Ok(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Ok(url::Host::Domain(name)) => name == "localhost",
            Err(_) => false,
        }
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        parse(text).ok_or_else(|| InvalidHost { text: text.chars().take(80).collect() })
    }
}

fn parse(text: &str) -> Option<Host> {
    let (name, port) = match text.rsplit_once(':') {
        // The colons within brackets belong to an IPv6 address.
        Some((name, port)) if !port.ends_with(']') => (name, Some(parse_port(port)?)),
        _ => (text, None),
    };
    // In a URL it would be decoded; here it is another text for the one who compares.
    let parsed = url::Host::parse(name).ok().filter(|_| !name.contains('%'))?;
    let spelt = parsed.to_string();
    let is_name = match parsed {
        url::Host::Domain(_) => spelt.split('.').all(is_label),
        // A number that is written in another way is another text for the one who compares, and with a dot
        // behind it a name for the one who looks it up.
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => spelt == name,
    };
    (is_name && spelt.len() <= MAX_LENGTH)
        .then_some(Host { name: spelt, port: port.filter(|it| *it != DEFAULT_PORT) })
}

/// Whether a host ends in a port. The colons within brackets belong to an IPv6 address.
fn names_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'))
}

/// RFC 1123, 2.1; the underscore is met in practice.
fn is_label(label: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && label.bytes().all(is_inner)
}

fn parse_port(text: &str) -> Option<u16> {
    let is_number = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl TryFrom<String> for Host {
    type Error = InvalidHost;

    fn try_from(text: String) -> Result<Self, InvalidHost> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn host(text: &str) -> String {
        text.parse::<Host>().unwrap().to_string()
    }

    #[test]
    fn one_host_has_one_spelling() {
        assert_eq!(host("Git.Example.com:443"), "git.example.com");
        assert_eq!(host("git.example.com:8443"), "git.example.com:8443");
        assert_eq!(host("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(host("127.0.0.1:8080"), "127.0.0.1:8080");
        assert_eq!(host("[::1]:8080"), "[::1]:8080");
        assert_eq!(host("[::1]"), "[::1]");
    }

    #[test]
    fn what_is_more_or_less_than_a_host_is_refused() {
        for text in [
            "",
            ".",
            "example.com.",
            ".example.com",
            "a..b",
            "*.example.com",
            "https://example.com",
            "user@example.com",
            "example.com/path",
            "example.com:",
            "example.com:0",
            "example.com:080",
            "example.com:99999",
            "example.com:44 3",
            "exa mple.com",
            "example.com\n",
            "exam\tple.com",
            "example.com:443:443",
            "::1",
            "0x7f.1",
            "2130706433",
            "127.1",
            "127.0.0.1.",
            "127.0.0.1.:8080",
            "127.0.0.01",
            "[::1].",
            "[::1]x",
            "-a.example",
            "a%2eb.example",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_host_is_spoken_to_over_tls_or_on_this_machine() {
        let under = |scheme, text| Host::under_scheme(scheme, text).map(|host| host.to_string());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(under("https", "Git.example"), some("git.example"));
        assert_eq!(under("https", "localhost"), some("localhost"));
        assert_eq!(under("http", "localhost"), some("localhost:80"));
        assert_eq!(under("http", "127.0.0.1:8080"), some("127.0.0.1:8080"));
        assert_eq!(under("http", "[::1]"), some("[::1]:80"));
        for (scheme, text) in [
            ("http", "git.example"),
            ("http", "localhost.example"),
            ("http", "127.0.0.1.nip.io"),
            ("http", "127.0.0.1."),
            ("http", "127.0.0.1.:8080"),
            ("HTTPS", "git.example"),
            ("ssh", "git.example"),
            ("", "git.example"),
            ("https", "b\u{fc}cher.example"),
            ("https", "\u{ff47}it.example"),
        ] {
            assert_eq!(under(scheme, text), None, "{scheme}://{text}");
        }
    }

    #[test]
    fn the_host_of_a_url_has_the_port_that_is_used() {
        let of = |url: &str| Host::of_url(&url.parse().unwrap()).unwrap().to_string();
        assert_eq!(of("https://a.example/x"), "a.example");
        assert_eq!(of("http://127.0.0.1/x"), "127.0.0.1:80");
        assert_eq!(of("https://[::1]:8443/"), "[::1]:8443");
    }
}
