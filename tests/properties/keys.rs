//! A reader of JSON that notices a key that stands twice in one object, where most take the last one and
//! some the first.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Whether every key stands once, at every depth.
pub fn stand_once(json: &[u8]) -> bool {
    serde_json::from_slice::<Once>(json).expect("it is JSON").0
}

struct Once(bool);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Once, E> {
        Ok(Once(true))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Once, E> {
        Ok(Once(true))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Once, E> {
        Ok(Once(true))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Once, E> {
        Ok(Once(true))
    }

    fn visit_str<E>(self, _: &str) -> Result<Once, E> {
        Ok(Once(true))
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once(true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Once, A::Error> {
        let mut once = true;
        while let Some(Once(inner)) = list.next_element()? {
            once &= inner;
        }
        Ok(Once(once))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Once, A::Error> {
        let (mut once, mut keys) = (true, BTreeSet::new());
        while let Some((key, Once(inner))) = object.next_entry::<String, Once>()? {
            once &= inner & keys.insert(key);
        }
        Ok(Once(once))
    }
}
