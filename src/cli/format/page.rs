//! The text that is being written: wiped afterwards, and never copied while it grows.

use std::fmt::Write;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::Assignment;

/// The most that a byte of a value grows to: a line break in PowerShell, `,[char]0xa,''`.
const GROWTH: usize = 16;

/// More than any format writes around a name and a value.
const FRAME: usize = 256;

/// The text that is being written.
pub(super) struct Page {
    text: Zeroizing<String>,
}

impl Page {
    /// An empty page on which `assignments` fit in any format: a text that outgrows its place is
    /// copied, and the old place is not wiped.
    pub(super) fn with_room_for(assignments: &[Assignment<'_>]) -> Self {
        let room = |it: &Assignment<'_>| 2 * it.name.as_str().len() + GROWTH * it.value.len() + FRAME;
        let rooms = assignments.iter().map(room).sum::<usize>();
        Self { text: Zeroizing::new(String::with_capacity(rooms + FRAME)) }
    }

    /// Adds `text` as it is.
    pub(super) fn push(&mut self, text: &str) {
        debug_assert!(self.text.len() + text.len() <= self.text.capacity(), "the page has room for it");
        self.text.push_str(text);
    }

    /// Adds one character as it is.
    pub(super) fn push_char(&mut self, c: char) {
        self.push(c.encode_utf8(&mut [0; 4]));
    }

    /// Adds what `format_args!` makes.
    pub(super) fn push_formatted(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.text.write_fmt(arguments).expect("a text takes any text");
    }

    /// The finished text.
    pub(super) fn into_secret(self) -> SecretString {
        SecretString::from(self.text.as_str())
    }

    /// What has been written so far.
    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// What `write` puts on a page for a variable `V` of `value`.
#[cfg(test)]
pub(super) fn written<E>(
    value: &str,
    write: impl FnOnce(&Assignment<'_>, &mut Page) -> Result<(), E>,
) -> Result<String, E> {
    let name = "V".parse().unwrap();
    let assignment = Assignment { name: &name, value, is_secret: true };
    let mut page = Page::with_room_for(std::slice::from_ref(&assignment));
    write(&assignment, &mut page)?;
    Ok(page.as_str().to_owned())
}
