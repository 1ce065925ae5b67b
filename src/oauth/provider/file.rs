//! The file of a provider, as text.

use super::check::{self, Form};
use crate::domain::Provider;

/// Largest file in bytes; Google's, the longest that is built in, has a sixth of that.
pub const MAX_FILE: usize = 64 * 1024;

/// What is wrong with a provider's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", place(*.line))]
pub struct Flaw {
    /// The line, where one is to blame.
    line: Option<usize>,
    /// What is wrong.
    what: String,
}

fn place(line: Option<usize>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}

impl Flaw {
    pub(super) fn of(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }
}

/// Reads and checks the file of a provider. The built-in ones and the user's own are held to the same.
///
/// `insecure_loopback` lets it name `http:` on this machine, for a server that is being developed.
///
/// # Errors
///
/// [`Flaw`] says what is wrong with it.
pub fn parse(bytes: &[u8], insecure_loopback: bool) -> Result<Provider, Flaw> {
    if bytes.len() > MAX_FILE {
        return Err(Flaw::of(format!("it is longer than {} KiB", MAX_FILE / 1024)));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Flaw::of("it is not UTF-8"))?;
    // The parser refuses what stands twice, and what is nested deeper than 80 levels.
    let provider: Provider = toml_edit::de::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
        Flaw { line, what: crate::oauth::printable(error.message(), 300) }
    })?;
    check::check(&provider, &Form { insecure_loopback })?;
    Ok(provider)
}
