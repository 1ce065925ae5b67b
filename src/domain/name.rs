//! The names that people give to profiles and clients.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes: it must fit into a file name with every suffix that we add.
const MAX_LENGTH: usize = 64;

/// Why a text cannot be a name.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} cannot be a name: use 1 to 64 of a-z, 0-9, `.`, `_`, `@` and `-`, beginning with a letter or digit"
)]
pub struct InvalidName {
    text: String,
}

fn check(text: &str) -> Result<(), InvalidName> {
    let mut bytes = text.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let goes_on_well =
        bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'@' | b'-'));
    if starts_well && goes_on_well && text.len() <= MAX_LENGTH {
        return Ok(());
    }
    Err(InvalidName { text: text.chars().take(MAX_LENGTH).collect() })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a profile: `[a-z0-9][a-z0-9._@-]{0,63}`.
    ProfileName
}
name! {
    /// The name of an OAuth client in the vault, of the same form as a profile's.
    ClientName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_people_use_are_accepted() {
        for text in ["work", "me@work.example", "0", "a-b_c.d", &"a".repeat(64)] {
            assert!(text.parse::<ProfileName>().is_ok(), "{text}");
        }
    }

    #[test]
    fn names_that_could_be_a_path_an_option_or_an_escape_are_refused() {
        let long = "a".repeat(65);
        for text in ["", "-p", ".hidden", "../up", "a/b", "Work", "a b", "a\n", "é", "a\u{202e}b", &long] {
            assert!(text.parse::<ProfileName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_refused_name_is_quoted_so_that_it_cannot_move_the_cursor() {
        let error = "a\u{1b}[2J".parse::<ProfileName>().unwrap_err().to_string();

        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
