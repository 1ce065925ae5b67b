//! JSON whose texts may be secrets: written once, into memory that is wiped.

use secrecy::{ExposeSecret, SecretString};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// More than any of our files takes around its values.
const FRAME: usize = 16 * 1024;

/// The value of a member.
pub(super) enum Member<'a> {
    /// A fact.
    Fact(serde_json::Value),
    /// A secret; an empty text where there is none.
    Secret(Option<&'a SecretString>),
    /// An object.
    Object(Object<'a>),
}

/// An object, in the order in which people know the file.
#[derive(Default)]
pub(super) struct Object<'a>(Vec<(&'static str, Member<'a>)>);

impl<'a> Object<'a> {
    /// With a fact.
    pub(super) fn fact(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.0.push((name, Member::Fact(value.into())));
        self
    }

    /// With a fact, if it is known.
    pub(super) fn known(self, name: &'static str, value: Option<impl Into<serde_json::Value>>) -> Self {
        match value {
            Some(value) => self.fact(name, value),
            None => self,
        }
    }

    /// With a secret; an empty text where there is none, for a reader who misses the member.
    pub(super) fn secret(mut self, name: &'static str, secret: Option<&'a SecretString>) -> Self {
        self.0.push((name, Member::Secret(secret)));
        self
    }

    /// With a secret, if there is one.
    pub(super) fn held(self, name: &'static str, secret: Option<&'a SecretString>) -> Self {
        if secret.is_some() { self.secret(name, secret) } else { self }
    }

    /// With an object.
    pub(super) fn object(mut self, name: &'static str, object: Self) -> Self {
        self.0.push((name, Member::Object(object)));
        self
    }

    /// The text of the file.
    pub(super) fn text(&self) -> Zeroizing<String> {
        let mut bytes = self.written(|bytes, object| serde_json::to_writer_pretty(bytes, object));
        bytes.push(b'\n');
        into_text(bytes)
    }

    /// On one line, for a text within another.
    pub(super) fn line(&self) -> Zeroizing<String> {
        into_text(self.written(|bytes, object| serde_json::to_writer(bytes, object)))
    }

    fn written(&self, write: fn(&mut Vec<u8>, &Self) -> serde_json::Result<()>) -> Zeroizing<Vec<u8>> {
        // Room for all of it at once: growing would leave copies of secrets behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FRAME + self.room()));
        write(&mut bytes, self).expect("an object can be written to memory");
        bytes
    }

    /// The most bytes that its values take (RFC 8259, 7: at most six for one).
    fn room(&self) -> usize {
        let room = |member: &Member<'_>| match member {
            Member::Fact(value) => 2 * value.to_string().len(),
            Member::Secret(secret) => secret.map_or(2, |secret| 6 * secret.expose_secret().len()),
            Member::Object(object) => object.room(),
        };
        self.0.iter().map(|(name, member)| 64 + name.len() + room(member)).sum()
    }
}

fn into_text(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *bytes)).expect("JSON is UTF-8"))
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, member) in &self.0 {
            match member {
                Member::Fact(value) => map.serialize_entry(name, value)?,
                Member::Secret(secret) => {
                    map.serialize_entry(name, secret.map_or("", |secret| secret.expose_secret()))?;
                }
                Member::Object(object) => map.serialize_entry(name, object)?,
            }
        }
        map.end()
    }
}
