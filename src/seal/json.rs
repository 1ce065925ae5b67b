//! The strict JSON that documents are written in.
//!
//! A subset of JSON on which every reader agrees: no duplicate keys, no floats, no exponents, keys
//! of letters, digits and `_`, bounded depth and size. On it, [`canonical`] gives the form of
//! RFC 8785.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Longest document in bytes.
pub const MAX_SIZE: usize = 1024 * 1024;

/// Deepest nesting of objects and lists; our own documents need four.
const MAX_DEPTH: usize = 16;

/// Largest integer that every JSON reader keeps exact (RFC 7493, 2.2): 2^53 - 1.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why bytes are not strict JSON.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More than [`MAX_SIZE`] bytes.
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// Not JSON, or not the strict kind.
    #[error("it is not strict JSON: {0}")]
    Malformed(String),
    /// JSON, but not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
}

/// Reads one strict JSON object.
///
/// # Errors
///
/// If it is too large, malformed, or anything but an object.
pub(super) fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    if bytes.len() > MAX_SIZE {
        return Err(Error::TooLarge);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| Error::Malformed(describe(bytes, &error)))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Error::NotAnObject),
    }
}

/// The canonical form (RFC 8785): sorted keys, no spaces.
///
/// `serde_json` keeps keys sorted, and escapes strings as RFC 8785, 3.2.2.2 asks.
pub(super) fn canonical(object: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(object).expect("a JSON value can be written to memory")
}

/// Says where it broke, never what stood there; a merge conflict is recognised.
fn describe(bytes: &[u8], error: &serde_json::Error) -> String {
    if bytes.windows(8).any(|window| window == b"<<<<<<< ") {
        return "it has the marks of an unresolved merge conflict".to_owned();
    }
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&place).unwrap_or(&text);
    format!("{reason}, line {}", error.line())
}

struct Strict {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_INTEGER {
            return Err(E::custom("a number is larger than 2^53"));
        }
        Ok(Value::from(value))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Value, E> {
        Err(E::custom("a number is negative"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom("a number is not a plain integer"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let depth = deeper(self.depth)?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Self { depth })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = deeper(self.depth)?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            check_key(&key)?;
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("the key `{key}` appears twice")));
            }
            object.insert(key, map.next_value_seed(Self { depth })?);
        }
        Ok(Value::Object(object))
    }
}

fn deeper<E: de::Error>(depth: usize) -> Result<usize, E> {
    if depth >= MAX_DEPTH {
        return Err(E::custom("it is nested too deep"));
    }
    Ok(depth + 1)
}

fn check_key<E: de::Error>(key: &str) -> Result<(), E> {
    let is_plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_plain { Ok(()) } else { Err(E::custom("a key has other characters than letters, digits and `_`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn the_canonical_form_is_that_of_rfc_8785() {
        let object =
            parse(br#" { "b" : [1, true, null], "a": "\u20ac \u0007\u001F\/ \"\\ \n", "A": {} } "#).unwrap();

        let form = String::from_utf8(canonical(&object)).unwrap();

        assert_eq!(form, "{\"A\":{},\"a\":\"€ \\u0007\\u001f/ \\\"\\\\ \\n\",\"b\":[1,true,null]}");
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        assert!(refused(r#"{"a":1,"a":1}"#).contains("twice"));
        assert!(refused(r#"{"a":{"b":1,"b":2}}"#).contains("twice"));
        for text in [r#"{"a":1.0}"#, r#"{"a":1e2}"#, r#"{"a":1e400}"#, r#"{"a":-0}"#, r#"{"a":-1}"#] {
            refused(text);
        }
        refused(r#"{"a":9007199254740992}"#);
        refused(r#"{"":1}"#);
        refused(r#"{"a-b":1}"#);
        refused("{\"a\":1}x");
        refused("\u{feff}{}");
        refused(r#"{"a":"\ud800"}"#);
        refused("[]");
        refused("");
    }

    #[test]
    fn a_hundred_thousand_brackets_do_not_overflow_the_stack() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));

        assert!(refused(&deep).contains("deep"));
    }

    #[test]
    fn more_than_one_mebibyte_is_not_parsed() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_SIZE));

        assert!(matches!(parse(large.as_bytes()), Err(Error::TooLarge)));
    }

    #[test]
    fn an_error_names_the_line_but_not_what_stands_there() {
        let error = refused("{\n\"secret\": canary}");

        assert!(error.contains("line 2"), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn a_merge_conflict_is_named() {
        assert!(refused("{\n<<<<<<< HEAD\n}").contains("merge conflict"));
    }
}
