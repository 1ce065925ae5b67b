//! What a grant allows, as a set of scope tokens.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a scope.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a scope: a scope is printable ASCII without spaces, `\"` and `\\`")]
pub struct InvalidScope {
    text: String,
}

/// A set of scope tokens (RFC 6749, 3.3), always in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// Adds one scope token.
    ///
    /// # Errors
    ///
    /// If it is not made of the characters that RFC 6749, 3.3 allows.
    pub fn insert(&mut self, scope: &str) -> Result<(), InvalidScope> {
        // RFC 6749, 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        let is_allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if scope.is_empty() || !scope.bytes().all(is_allowed) {
            return Err(InvalidScope { text: scope.chars().take(80).collect() });
        }
        self.0.insert(scope.to_owned());
        Ok(())
    }

    /// The scope tokens in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether `scope` is one of them.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Whether there is no scope.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that are here and not in `other`.
    pub fn missing_from(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// Those of both.
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }
}

impl FromStr for Scopes {
    type Err = InvalidScope;

    /// Reads the space-separated list of RFC 6749, 3.3.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().try_into()
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = InvalidScope;

    fn try_from(list: Vec<String>) -> Result<Self, InvalidScope> {
        let mut scopes = Self::default();
        for scope in &list {
            scopes.insert(scope)?;
        }
        Ok(scopes)
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.0.into_iter().collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<&str> = self.iter().collect();
        f.write_str(&list.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_from_a_list_and_print_as_one_in_order() {
        let scopes: Scopes = "openid  email a:b/c".parse().unwrap();

        assert_eq!(scopes.to_string(), "a:b/c email openid");
    }

    #[test]
    fn quotes_and_control_characters_are_no_scope() {
        for text in ["", "a\"b", "a\\b", "a b", "a\u{7}", "é"] {
            assert!(Scopes::default().insert(text).is_err(), "{text:?}");
        }
    }
}
