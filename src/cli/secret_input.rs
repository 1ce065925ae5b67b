//! Secrets that the user hands over: from a file, from standard input, or from a prompt. Never from
//! the command line, where every process can read them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::error::Failure;
use super::exit::Code;
use super::session::Session;
use crate::domain::secret_from_text;
use crate::unlock::Prompt;

/// Most bytes that are read: the longest secret, and a line end.
const MAX_SIZE: u64 = 64 * 1024 + 2;

/// Reads the secret in `source`: a file, or `-` for standard input.
pub(super) fn read(what: &str, source: &Path) -> Result<SecretString, Failure> {
    let bytes = read_bytes(what, source, MAX_SIZE)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Failure::usage(format!("{what} is not UTF-8 text")))?;
    check(what, &SecretString::from(text))
}

/// Reads the secret in `source`, or asks for it on a terminal.
pub(super) fn read_or_ask(
    session: &Session,
    what: &str,
    source: Option<&PathBuf>,
) -> Result<SecretString, Failure> {
    match source {
        Some(source) => read(what, source),
        None if session.may_ask_secrets() => {
            check(what, &session.terminal().passphrase(&format!("{}:", capitalised(what)))?)
        }
        None => Err(Failure::usage(format!("{what} is missing"))
            .hint("hand it over in a file, or on standard input with `-` in place of the file")),
    }
}

/// At most `limit` bytes of a file or of standard input.
pub(super) fn read_bytes(what: &str, source: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let reader: Box<dyn Read> = if source == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let file = File::open(source).map_err(|error| unreadable(what, source, &error))?;
        Box::new(file)
    };
    // Large enough from the start, so that growing leaves no copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit as usize + 1));
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(|error| unreadable(what, source, &error))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::usage(format!("{what} is too long")));
    }
    Ok(bytes)
}

fn check(what: &str, text: &SecretString) -> Result<SecretString, Failure> {
    secret_from_text(text).map_err(|error| Failure::usage(format!("{what} cannot be used: {error}")))
}

fn unreadable(what: &str, source: &Path, error: &io::Error) -> Failure {
    let mut failure = Failure::new(Code::Usage, format!("cannot read {what} from {}", source.display()));
    failure.messages.push(error.to_string());
    failure
}

fn capitalised(what: &str) -> String {
    let what = what.strip_prefix("the ").unwrap_or(what);
    let mut chars = what.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
