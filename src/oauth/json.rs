//! JSON from strangers: duplicate keys are seen, and strings are wiped after use.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// A JSON value as it was sent.
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(Zeroizing<String>),
    List(Vec<Self>),
    Object(Members),
}

impl Value {
    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Value {
    /// The members, if it is an object.
    pub(super) fn object(&self) -> Option<&Members> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The value one step below (RFC 6901, 4).
    fn below(&self, step: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(step),
            Self::List(list) => list.get(step.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

/// The members of an object in the order in which they were sent.
#[derive(Default)]
pub(crate) struct Members {
    /// Names are wiped too: there are files whose names are secrets.
    list: Vec<(Zeroizing<String>, Value)>,
}

impl Members {
    /// The last member called `key`. `null` counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let found = self.list.iter().rev().find(|(name, _)| name.as_str() == key);
        found.map(|(_, value)| value).filter(|value| !matches!(value, Value::Null))
    }

    /// Whether there is a member called `key`, `null` or not.
    pub(super) fn names(&self, key: &str) -> bool {
        self.list.iter().any(|(name, _)| name.as_str() == key)
    }

    /// The value where the JSON pointer `place` leads (RFC 6901). `null` counts as absent.
    pub(super) fn at(&self, place: &str) -> Option<&Value> {
        let mut steps = place.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
        let first = self.get(&steps.next()?)?;
        let found = steps.try_fold(first, |value, step| value.below(&step))?;
        Some(found).filter(|value| !matches!(value, Value::Null))
    }

    /// The text called `key`, if there is one and it is a text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::text)
    }

    /// All of them, in order. Those that are `null` are left out.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.list.iter().map(|(name, value)| (name.as_str(), value));
        all.filter(|(_, value)| !matches!(value, Value::Null))
    }

    /// The object called `key`, if there is one and it is an object.
    pub(crate) fn object(&self, key: &str) -> Option<&Self> {
        match self.get(key) {
            Some(Value::Object(members)) => Some(members),
            _ => None,
        }
    }

    /// A key that stands here, or in an object below, more than once.
    pub(crate) fn duplicate(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.list.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let here = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        here.or_else(|| self.list.iter().find_map(|(_, value)| duplicate_below(value)))
    }
}

fn duplicate_below(value: &Value) -> Option<&str> {
    match value {
        Value::Object(members) => members.duplicate(),
        Value::List(list) => list.iter().find_map(duplicate_below),
        _ => None,
    }
}

/// Why a text is no JSON object.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it is not a JSON object")]
    NoObject,
    #[error("it has the key {0:?} twice")]
    Duplicate(String),
}

/// Reads one object without duplicate keys.
pub(crate) fn strict(bytes: &[u8]) -> Result<Members, Malformed> {
    let (members, is_whole) = salvage(bytes);
    if !is_whole {
        return Err(Malformed::NoObject);
    }
    match members.duplicate() {
        Some(key) => Err(Malformed::Duplicate(super::printable(key, 40))),
        None => Ok(members),
    }
}

/// Reads the members of one object as far as it goes, and says whether it was read to its end.
pub(crate) fn salvage(bytes: &[u8]) -> (Members, bool) {
    let mut members = Members::default();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let is_read = Collect(&mut members).deserialize(&mut json).is_ok();
    let is_whole = is_read && json.end().is_ok();
    (members, is_whole)
}

/// Puts the members of an object where they stay also if reading fails.
struct Collect<'a>(&'a mut Members);

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Any)?;
            self.0.list.push((Zeroizing::new(key), value));
        }
        Ok(())
    }
}

/// Reads any value.
struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(E::custom("no bytes in JSON"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(Self)? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        let mut members = Members::default();
        Collect(&mut members).visit_map(map)?;
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"x":{"a":1,"b":2,"a":3}}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#] {
            assert!(
                matches!(strict(text.as_bytes()), Err(Malformed::Duplicate(key)) if key == "a"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_single_object_is_refused() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for text in [
            "",
            "null",
            "[]",
            "\"x\"",
            "{",
            "{}{}",
            "{} x",
            "{\"a\":1,}",
            "<html>",
            "{\"a\":\"\\ud800\"}",
            &deep,
        ] {
            assert!(strict(text.as_bytes()).is_err(), "{text}");
        }
        assert!(strict(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn what_came_before_the_damage_is_salvaged() {
        let (members, is_whole) = salvage(br#"{"refresh_token":"rt","access_token":"a"#);

        assert!(!is_whole);
        assert_eq!(members.text("refresh_token"), Some("rt"));
        assert!(members.get("access_token").is_none());
    }

    #[test]
    fn null_counts_as_absent() {
        let members = strict(br#"{"a":null,"b":"x"}"#).unwrap();

        assert!(members.get("a").is_none());
        assert_eq!(members.text("b"), Some("x"));
    }
}
