//! How a secret that a person hands over becomes a value.

use secrecy::{ExposeSecret, SecretString};

/// Longest secret in bytes: far more than any provider issues, and small enough to be sealed in one document.
const MAX_LENGTH: usize = 64 * 1024;

/// Why a text is not accepted as a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// There is nothing in it.
    #[error("the secret is empty")]
    Empty,
    /// It is longer than any token.
    #[error("the secret is longer than 64 KiB")]
    TooLong,
    /// It has a byte that cannot be in a header, a form or a variable.
    #[error("the secret has a line break or a NUL in it")]
    LineBreak,
}

/// The secret in the text of a file, a pipe or a prompt: all of it, less one final newline.
///
/// # Errors
///
/// If nothing is left, if it is longer than 64 KiB, or if it has a NUL or a line break.
pub fn secret_from_text(text: &SecretString) -> Result<SecretString, InvalidSecret> {
    let text = text.expose_secret();
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(InvalidSecret::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(InvalidSecret::TooLong);
    }
    if text.contains(['\0', '\n', '\r']) {
        return Err(InvalidSecret::LineBreak);
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, InvalidSecret> {
        secret_from_text(&SecretString::from(text)).map(|s| s.expose_secret().to_owned())
    }

    #[test]
    fn one_final_newline_is_not_part_of_the_secret() {
        assert_eq!(read("s3cret\n"), Ok("s3cret".into()));
        assert_eq!(read("s3cret\r\n"), Ok("s3cret".into()));
        assert_eq!(read(" with spaces "), Ok(" with spaces ".into()));
    }

    #[test]
    fn empty_long_and_broken_secrets_are_refused() {
        assert_eq!(read("\n"), Err(InvalidSecret::Empty));
        assert_eq!(read(&"x".repeat(MAX_LENGTH + 1)), Err(InvalidSecret::TooLong));
        assert_eq!(read("two\nlines"), Err(InvalidSecret::LineBreak));
        assert_eq!(read("two\n\n"), Err(InvalidSecret::LineBreak));
        assert_eq!(read("nul\0"), Err(InvalidSecret::LineBreak));
    }
}
