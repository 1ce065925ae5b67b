//! What a helper says: to the program that has called it, and beside that to the person.

use std::io::{self, Read};

use secrecy::SecretString;
use zeroize::Zeroizing;

/// What a helper says.
#[derive(Debug)]
pub struct Reply {
    /// For the program, on standard output.
    pub answer: SecretString,
    /// For the person, in one line: why there is no better answer.
    pub word: Option<String>,
    /// Whether the program is to take the answer for an error.
    pub is_error: bool,
}

impl Reply {
    /// Nothing, for whatever is none of our business.
    pub(super) fn nothing() -> Self {
        Self::of("")
    }

    /// An answer.
    pub(super) fn of(answer: impl Into<SecretString>) -> Self {
        Self { answer: answer.into(), word: None, is_error: false }
    }

    /// The same with a word for the person.
    pub(super) fn saying(self, word: impl Into<String>) -> Self {
        Self { word: Some(word.into()), ..self }
    }
}

/// Everything that a program says, or nothing if that is more than `most` bytes. May hold a secret, so it is read
/// into one place, without copies.
pub(super) fn read(input: impl Read, most: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    input.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}
