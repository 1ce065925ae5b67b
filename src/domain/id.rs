//! Identifiers that are drawn at random or derived, never typed by a person.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier.
#[derive(Debug, thiserror::Error)]
#[error("an identifier has 32 lower-case hex digits")]
pub struct InvalidId;

/// 16 bytes as lower-case hex, the form of every identifier in the vault.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Hex16([u8; 16]);

impl FromStr for Hex16 {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 16];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if is_lower => Ok(Self(bytes)),
            _ => Err(InvalidId),
        }
    }
}

impl TryFrom<String> for Hex16 {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Hex16> for String {
    fn from(id: Hex16) -> Self {
        hex::encode(id.0)
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Hex16);

        impl $name {
            /// The identifier with these 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Hex16(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self)
            }
        }
    };
}

identifier! {
    /// One vault, for as long as it lives.
    VaultId
}
identifier! {
    /// One document, also after it has been renamed. Also names a grant and a key slot.
    DocumentId
}
identifier! {
    /// Which vault key sealed a document: derived from the key, so that it cannot be claimed.
    KeyId
}
identifier! {
    /// What a cached token is for: derived from the purpose.
    PurposeId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_reads_back_as_it_was_written() {
        let id = DocumentId::from_bytes([0xab; 16]);

        assert_eq!(id.to_string().parse::<DocumentId>().unwrap(), id);
    }

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_an_identifier() {
        for text in ["", "ab", &"AB".repeat(16), &"ab".repeat(17), &"zz".repeat(16)] {
            assert!(text.parse::<VaultId>().is_err(), "{text}");
        }
    }
}
