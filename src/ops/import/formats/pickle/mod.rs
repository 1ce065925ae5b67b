//! Pickles: `token.pickle`, `~/.gcs_tokens` of gcsfs, `oauth` of gcalcli. Never loaded, only walked.

mod reader;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::super::item::{FoundClient, FoundGrant, Item, MAX_ITEMS, Odd};
use super::super::text;
use crate::domain::Scopes;
use reader::{Broken, Id, Node, Pickle};

/// Objects in objects: a login is in a dictionary at most, which may be in an object.
const MAX_DEPTH: usize = 12;

/// Whether it begins as a pickle does, and ends as one: later ones say their protocol; those of protocols 0 and 1
/// begin with a name to call, or with something that has parts.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    match bytes {
        [0x80, 0..=5, ..] => true,
        [b'c', rest @ .., b'.'] => is_name(rest),
        [b'(' | b'}' | b']', b'd' | b'l' | b'i' | b'c' | b'q' | b'(', .., b'.'] => true,
        _ => false,
    }
}

/// Two lines, a module and what is in it.
fn is_name(bytes: &[u8]) -> bool {
    let is_word = |line: &[u8]| {
        !line.is_empty() && line.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(byte))
    };
    let mut lines = bytes.split(|byte| *byte == b'\n');
    [lines.next(), lines.next()].into_iter().all(|line| line.is_some_and(is_word))
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Item>, Odd> {
    let pickle = Pickle::read(bytes).map_err(|Broken(why)| Odd::malformed(why))?;
    let mut walk = Walk { pickle: &pickle, seen: HashSet::with_capacity(pickle.len()), items: Vec::new() };
    walk.node(pickle.top(), None, 0);
    match walk.items.len() {
        0 => Err(Odd::useless(
            "it is a pickle without a refresh token that could be found; it was not loaded, since that runs what it says",
            "log in with `vault add-profile NAME`",
        )),
        count if count > MAX_ITEMS => Err(Odd::TooMany),
        _ => Ok(walk.items),
    }
}

/// A way through all that there is, to each once: a pickle may hold itself.
struct Walk<'a> {
    pickle: &'a Pickle<'a>,
    seen: HashSet<Id>,
    items: Vec<Item>,
}

impl Walk<'_> {
    fn node(&mut self, id: Id, label: Option<&str>, depth: usize) {
        if depth > MAX_DEPTH || self.items.len() > MAX_ITEMS || !self.seen.insert(id) {
            return;
        }
        let pickle = self.pickle;
        match pickle.get(id) {
            Node::List(parts) => parts.iter().for_each(|part| self.node(*part, label, depth + 1)),
            Node::Object { with, state } => {
                with.iter().chain(state).for_each(|part| self.node(*part, label, depth + 1));
            }
            Node::Dict(members) => self.dict(members, label, depth),
            Node::Text(_) | Node::Other => {}
        }
    }

    fn dict(&mut self, members: &[(Id, Id)], label: Option<&str>, depth: usize) {
        let dict = Dict { pickle: self.pickle, members };
        if let Some(item) = dict.login(label) {
            return self.items.push(item);
        }
        for (key, value) in members {
            self.node(*value, dict.label(*key).or(label), depth + 1);
        }
    }
}

struct Dict<'a> {
    pickle: &'a Pickle<'a>,
    members: &'a [(Id, Id)],
}

impl<'a> Dict<'a> {
    /// The login that an object with these attributes is, as google-auth, its predecessor oauth2client and their
    /// users call them.
    fn login(&self, label: Option<&str>) -> Option<Item> {
        let refresh_token = text::secret(self.text("refresh_token")?)?;
        let client = self.text("client_id").and_then(text::word).map(|client_id| FoundClient {
            client_id,
            client_secret: self.text("client_secret").and_then(text::secret),
            ..FoundClient::default()
        });
        Some(Item {
            kind: "pickle",
            client,
            grant: Some(FoundGrant { refresh_token, scopes: self.scopes() }),
            account: self.text("account").and_then(text::email),
            project: self.text("quota_project_id").and_then(text::word),
            label: label.and_then(text::label),
            token_endpoint: self.text("token_uri").and_then(text::url),
            ..Item::default()
        })
    }

    /// The value of an attribute, which may have an underscore before its name.
    fn get(&self, name: &str) -> Option<&'a Node<'a>> {
        let is_it =
            |key: Id| self.pickle.text(key).is_some_and(|key| key.strip_prefix('_').unwrap_or(key) == name);
        let found = self.members.iter().rfind(|(key, _)| is_it(*key));
        found.map(|(_, value)| self.pickle.get(*value))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            Node::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn scopes(&self) -> Scopes {
        let granted = self.texts("granted_scopes");
        if granted.is_empty() { self.texts("scopes") } else { granted }
    }

    /// The texts of a list, which an object may be made of: a set is.
    fn texts(&self, name: &str) -> Scopes {
        let list = match self.get(name) {
            Some(Node::Object { with: Some(with), .. }) => match self.pickle.get(*with) {
                Node::List(parts) if parts.len() == 1 => self.pickle.get(parts[0]),
                other => other,
            },
            Some(other) => other,
            None => return Scopes::default(),
        };
        match list {
            Node::Text(text) => text::scopes([*text]),
            Node::List(parts) => text::scopes(parts.iter().filter_map(|part| self.pickle.text(*part))),
            _ => Scopes::default(),
        }
    }

    /// What a key calls what stands under it: a text, or the first of several, as gcsfs has project and access.
    fn label(&self, key: Id) -> Option<&'a str> {
        match self.pickle.get(key) {
            Node::Text(text) => Some(text),
            Node::List(parts) => parts.iter().find_map(|part| self.pickle.text(*part)),
            _ => None,
        }
    }
}
