//! Secrets by their shape: what a secret of a known issuer looks like, and what stands behind the names that
//! OAuth gives to secrets. Pure: bytes in, places of secrets out.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::plausible::{is_random, is_random_enough};

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A refresh token: whoever has it gets access tokens until it is revoked.
    RefreshToken,
    /// The private key of a service account.
    PrivateKey,
    /// A token that stays valid until it is revoked.
    Token,
    /// A password, or a token that a tool keeps where passwords are.
    Password,
    /// The secret of an OAuth client.
    ClientSecret,
    /// An API key.
    ApiKey,
    /// An access token, which ends by itself.
    AccessToken,
}

impl Kind {
    /// One word, which stays the same.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh_token",
            Self::PrivateKey => "private_key",
            Self::Token => "token",
            Self::Password => "password",
            Self::ClientSecret => "client_secret",
            Self::ApiKey => "api_key",
            Self::AccessToken => "access_token",
        }
    }

    /// Whether it works until somebody ends it.
    pub fn is_lasting(self) -> bool {
        self != Self::AccessToken
    }
}

/// A secret in some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    /// Who gives out secrets that look so, if the shape says it.
    pub(super) issuer: Option<&'static str>,
    /// Where it stands.
    pub(super) at: Range<usize>,
}

/// How a literal leads to a secret.
#[derive(Clone, Copy)]
enum Lead {
    /// The secret begins with it: so many more characters of its alphabet follow.
    Prefix { kind: Kind, issuer: &'static str, least: usize, most: usize },
    /// It is a name, and the secret is what it is set to.
    Name(Kind),
    /// It says that the text is the key file of a service account.
    KeyFile,
    /// The same, encoded as base64.
    EncodedKeyFile,
}

const fn prefix(kind: Kind, issuer: &'static str, least: usize, most: usize) -> Lead {
    Lead::Prefix { kind, issuer, least, most }
}

/// No token is longer, in bytes: what is longer is a file in base64.
const LONGEST: usize = 4096;

/// No value behind a name is shorter, in characters.
const SHORTEST: usize = 16;

/// What secrets begin with, or which names they are given.
///
/// Google: client secrets of 28 characters (24 before 2021), API keys of 39. GitHub:
/// docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github. GitLab:
/// docs.gitlab.com/security/tokens. Slack: api.slack.com/concepts/token-types, whose `xoxe.` and `xoxe-` rotate.
const LEADS: &[(&str, Lead)] = &[
    ("1//0", prefix(Kind::RefreshToken, "Google", 20, 512)),
    ("GOCSPX-", prefix(Kind::ClientSecret, "Google", 20, 40)),
    ("AIza", prefix(Kind::ApiKey, "Google", 35, 35)),
    ("ya29.", prefix(Kind::AccessToken, "Google", 20, LONGEST)),
    ("gho_", prefix(Kind::Token, "GitHub", 36, 255)),
    ("ghp_", prefix(Kind::Token, "GitHub", 36, 255)),
    ("ghu_", prefix(Kind::AccessToken, "GitHub", 36, 255)),
    ("ghs_", prefix(Kind::AccessToken, "GitHub", 36, 255)),
    ("ghr_", prefix(Kind::RefreshToken, "GitHub", 36, 255)),
    ("github_pat_", prefix(Kind::Token, "GitHub", 60, 255)),
    ("glpat-", prefix(Kind::Token, "GitLab", 20, 300)),
    ("gloas-", prefix(Kind::ClientSecret, "GitLab", 20, 300)),
    ("xoxa-", prefix(Kind::Token, "Slack", 24, 512)),
    ("xoxb-", prefix(Kind::Token, "Slack", 24, 512)),
    ("xoxp-", prefix(Kind::Token, "Slack", 24, 512)),
    ("xoxr-", prefix(Kind::RefreshToken, "Slack", 24, 512)),
    ("xoxs-", prefix(Kind::Token, "Slack", 24, 512)),
    ("xoxe-", prefix(Kind::RefreshToken, "Slack", 24, 512)),
    ("xoxe.", prefix(Kind::AccessToken, "Slack", 24, 512)),
    ("refresh_token", Lead::Name(Kind::RefreshToken)),
    ("REFRESH_TOKEN", Lead::Name(Kind::RefreshToken)),
    ("refreshToken", Lead::Name(Kind::RefreshToken)),
    ("refresh-token", Lead::Name(Kind::RefreshToken)),
    ("client_secret", Lead::Name(Kind::ClientSecret)),
    ("CLIENT_SECRET", Lead::Name(Kind::ClientSecret)),
    ("clientSecret", Lead::Name(Kind::ClientSecret)),
    ("client-secret", Lead::Name(Kind::ClientSecret)),
    ("access_token", Lead::Name(Kind::AccessToken)),
    ("ACCESS_TOKEN", Lead::Name(Kind::AccessToken)),
    ("accessToken", Lead::Name(Kind::AccessToken)),
    ("oauth_token", Lead::Name(Kind::Token)),
    ("identitytoken", Lead::Name(Kind::RefreshToken)),
    ("_authToken", Lead::Name(Kind::Token)),
    ("service_account", Lead::KeyFile),
    // `{\n  "type": "service_account"`, as Google's answers carry a new key and terraform keeps it.
    ("ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCIs", Lead::EncodedKeyFile),
];

static LITERALS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::new(LEADS.iter().map(|(literal, _)| literal)).expect("the literals are few and short")
});

/// How the bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// As text.
    Text,
    /// As values with their lengths, one right behind the other.
    Binary,
}

/// The secrets in `bytes`, `most` of them at most, in the order in which they stand there.
pub(super) fn secrets(bytes: &[u8], writing: Writing, most: usize) -> Vec<Seen> {
    let mut found: Vec<Seen> = Vec::new();
    for literal in LITERALS.find_iter(bytes) {
        if found.len() >= most {
            break;
        }
        let lead = LEADS[literal.pattern().as_usize()].1;
        let Some(seen) = seen(bytes, literal.range(), lead, writing) else { continue };
        match found.last_mut().filter(|last| last.at.end > seen.at.start) {
            // The value of a name shows by itself whose it is: one secret, known better.
            Some(last) if seen.issuer.is_some() && last.issuer.is_none() => *last = seen,
            Some(_) => {}
            None => found.push(seen),
        }
    }
    found
}

fn seen(bytes: &[u8], literal: Range<usize>, lead: Lead, writing: Writing) -> Option<Seen> {
    match lead {
        Lead::Prefix { kind, issuer, least, most } => {
            let begins = writing == Writing::Binary || begins_a_word(bytes, literal.start);
            let end = begins.then(|| literal.end + length_of_word(&bytes[literal.end..], most + 1))?;
            let value = &bytes[literal.end..end];
            let fits = (least..=most).contains(&value.len()) && is_random_enough(value);
            fits.then_some(Seen { kind, issuer: Some(issuer), at: literal.start..end })
        }
        Lead::Name(kind) => {
            let at = match writing {
                Writing::Text => value_of(bytes, literal.end),
                Writing::Binary => value_of(bytes, literal.end).or_else(|| pickled(bytes, literal.end)),
            }?;
            is_random(&bytes[at.clone()]).then_some(Seen { kind, issuer: None, at })
        }
        Lead::KeyFile => key_file(bytes, literal.start),
        Lead::EncodedKeyFile => {
            let length = bytes[literal.start..].iter().take_while(|byte| is_base64(**byte)).count();
            // A key of 2048 bits alone has 1,600 characters.
            let is_whole = length > 1600;
            is_whole.then_some(Seen {
                kind: Kind::PrivateKey,
                issuer: Some("Google"),
                at: literal.start..literal.start + length,
            })
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Whether no word goes on at `at`. An escape before it, as `\n`, belongs to no word.
fn begins_a_word(bytes: &[u8], at: usize) -> bool {
    match &bytes[..at] {
        [] => true,
        [.., b'\\', b'n' | b't' | b'r'] => true,
        // What a URL has encoded: `%3D` before a value.
        [.., b'%', _, _] => true,
        [.., before] => !is_word(*before) && !matches!(before, b'/' | b'+'),
    }
}

fn length_of_word(bytes: &[u8], most: usize) -> usize {
    // Access tokens of Google and rotating ones of Slack are made of parts with dots between them.
    let length = bytes.iter().take(most).take_while(|byte| is_word(**byte) || **byte == b'.').count();
    // A full stop ends a sentence.
    bytes[..length].iter().rposition(|byte| *byte != b'.').map_or(0, |last| last + 1)
}

/// What a name is set to, if the name ends at `at`: in JSON, also inside of a text; YAML, ini files, shells, URLs, XML.
fn value_of(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    set_to(bytes, at, SHORTEST)
}

/// The same, of so many characters at least.
pub(super) fn set_to(bytes: &[u8], at: usize, shortest: usize) -> Option<Range<usize>> {
    let mut rest = Rest { bytes, at };
    rest.skip(4, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b'`'));
    rest.skip(32, |byte| byte.is_ascii_whitespace());
    let is_set = rest.skip(2, |byte| matches!(byte, b':' | b'=' | b'>'));
    if is_set == 0 {
        return None;
    }
    rest.skip(64, |byte| byte.is_ascii_whitespace());
    // Python's prefixes of texts.
    if let [b'b' | b'u' | b'r', b'"' | b'\'', ..] = &bytes[rest.at..] {
        rest.at += 1;
    }
    let is_quoted = rest.skip(4, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b'`')) > 0;
    let start = rest.at;
    let length = rest.skip(LONGEST + 1, |byte| is_value(byte, is_quoted));
    let ends = rest.bytes.get(rest.at).is_none_or(|byte| ends_value(*byte, is_quoted));
    (ends && (shortest..=LONGEST).contains(&length)).then_some(start..start + length)
}

fn is_value(byte: u8, is_quoted: bool) -> bool {
    let everywhere = is_word(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=' | b'%' | b'|');
    // Microsoft's refresh tokens have the last three.
    everywhere || (is_quoted && matches!(byte, b':' | b'!' | b'*' | b'$' | b'@'))
}

/// What goes on with a bracket is a call or an index: code, and no value.
fn ends_value(byte: u8, is_quoted: bool) -> bool {
    if is_quoted {
        return matches!(byte, b'"' | b'\'' | b'\\' | b'`');
    }
    byte.is_ascii_whitespace()
        || matches!(byte, b'"' | b'\'' | b'&' | b',' | b'}' | b'<' | b';' | b'#' | b'\\' | 0)
}

/// A text behind its name in a pickle: in between stands what remembers the name, and how the text is written
/// (`pickletools` of Python: SHORT_BINUNICODE, BINUNICODE, SHORT_BINSTRING, and BINPUT or MEMOIZE).
fn pickled(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let mut at = match bytes.get(at)? {
        0x94 => at + 1,
        b'q' => at + 2,
        b'r' => at + 5,
        _ => at,
    };
    let length = match bytes.get(at)? {
        0x8c | b'U' => usize::from(*bytes.get(at + 1)?),
        b'X' => u32::from_le_bytes(bytes.get(at + 1..at + 5)?.try_into().ok()?) as usize,
        _ => return None,
    };
    at += if bytes[at] == b'X' { 5 } else { 2 };
    let is_text = (SHORTEST..=LONGEST).contains(&length)
        && bytes.get(at..at + length)?.iter().all(|byte| is_value(*byte, true));
    is_text.then_some(at..at + length)
}

/// The private key of a key file around `at`. Key files have less than 4 KiB; one in another text is near too.
fn key_file(bytes: &[u8], at: usize) -> Option<Seen> {
    const NEAR: usize = 4096;
    const BEGIN: &[u8] = b"-----BEGIN ";
    // A key of 1024 bits, the shortest of all, has 800 characters.
    const SHORTEST_KEY: usize = 800;

    let from = at.saturating_sub(NEAR);
    let near = &bytes[from..bytes.len().min(at + NEAR)];
    let start = near.windows(BEGIN.len()).position(|window| window == BEGIN)?;
    let is_private = near[start..].iter().take(40).copied().collect::<Vec<u8>>();
    if !is_private.windows(11).any(|window| window == b"PRIVATE KEY") {
        return None;
    }
    let is_key = |byte: &&u8| is_base64(**byte) || matches!(**byte, b'\\' | b'\n' | b'\r' | b' ' | b'-');
    // It may go on beyond what is near.
    let length = bytes[from + start..].iter().take(2 * NEAR).take_while(is_key).count();
    let key = from + start..from + start + length;
    let is_whole = length >= SHORTEST_KEY && is_random_enough(&bytes[key.start + 40..key.start + 400]);
    is_whole.then_some(Seen { kind: Kind::PrivateKey, issuer: Some("Google"), at: key })
}

/// What is still to be read of some bytes.
struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Rest<'_> {
    /// Goes on behind `most` bytes at most that are such; returns how many there were.
    fn skip(&mut self, most: usize, is_such: impl Fn(u8) -> bool) -> usize {
        let count = self.bytes[self.at..].iter().take(most).take_while(|byte| is_such(**byte)).count();
        self.at += count;
        count
    }
}

/// What stands behind each `name`, `most` times at most, as short text: a fact and no secret.
pub(super) fn value_of_any<'a>(
    bytes: &'a [u8],
    name: &'a str,
    most: usize,
) -> impl Iterator<Item = &'a str> + 'a {
    named(bytes, name).take(most).filter_map(|end| {
        let at = set_to(bytes, end, 3)?;
        std::str::from_utf8(&bytes[at]).ok()
    })
}

/// Where each `name` ends in `bytes`.
pub(super) fn named<'a>(bytes: &'a [u8], name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let finder = aho_corasick::packed::Searcher::new([name]);
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(from..)?;
        let found = match &finder {
            Some(finder) => finder.find(rest).map(|found| found.end()),
            // No vector instructions here.
            None => {
                let at = rest.windows(name.len()).position(|window| window == name.as_bytes());
                at.map(|at| at + name.len())
            }
        };
        from += found?;
        Some(from)
    })
}
