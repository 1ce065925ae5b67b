//! The checks that every text of a file passes before it becomes a part of an [`Item`](super::Item).

use secrecy::SecretString;
use url::Url;

use crate::domain::{Scopes, secret_from_text};

/// Longest client id, account and label, in bytes.
const MAX_TEXT: usize = 1024;

/// A secret: printable ASCII (RFC 6749, Appendix A.2 and A.17).
pub(super) fn secret(text: &str) -> Option<SecretString> {
    let is_fit = !is_placeholder(text) && text.bytes().all(|b| matches!(b, 0x20..=0x7e));
    if is_fit { secret_from_text(&SecretString::from(text)).ok() } else { None }
}

/// A client id, a project: visible ASCII.
pub(super) fn word(text: &str) -> Option<String> {
    let is_fit = !text.is_empty() && text.len() <= MAX_TEXT && text.bytes().all(|b| b.is_ascii_graphic());
    (is_fit && !is_placeholder(text)).then(|| text.to_owned())
}

/// What somebody calls something: one line.
pub(super) fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let is_fit = !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    is_fit.then(|| text.to_owned())
}

/// An address of an account, as opposed to its number or nothing.
pub(super) fn email(text: &str) -> Option<String> {
    word(text)
        .filter(|text| text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()))
}

/// An address on the network.
pub(super) fn url(text: &str) -> Option<Url> {
    Url::parse(text).ok()
}

/// Scopes, with spaces or commas between them. What is no scope is left out: it only says what was once asked for.
pub(super) fn scopes<'a>(texts: impl IntoIterator<Item = &'a str>) -> Scopes {
    let mut scopes = Scopes::default();
    for scope in texts.into_iter().flat_map(|text| text.split([' ', ',', '\t', '\n'])) {
        if !scope.is_empty() && scope.len() <= MAX_TEXT && scopes.len() < 200 {
            let _ = scopes.insert(scope);
        }
    }
    scopes
}

/// What templates have where a secret goes.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim_matches(['<', '>', '[', ']', '{', '}', '$']).to_ascii_lowercase();
    let starts = ["insert_", "your_", "your-", "yourclient", "xxxx", "changeme", "replace_", "..."];
    text.is_empty() || starts.iter().any(|start| text.starts_with(start))
}
