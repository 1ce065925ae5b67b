//! One entry in a map of a JSON file: put in and taken out as text, so that everything else stays as it is.

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::Refusal;

/// What is left of a file that was made for our entry alone. Nobody else writes an empty object so.
const NOTHING_LEFT: &str = "{\n}\n";

/// An entry `KEY: VALUE` in the map that stands under `map` in the object that is the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the map.
    pub map: &'static str,
    /// The key in it.
    pub key: String,
    /// Its value, a text.
    pub value: &'static str,
}

impl Entry {
    /// The text with the entry in it.
    pub fn written(&self, text: Option<&str>) -> Result<String, Refusal> {
        // Some programs leave an empty file behind.
        let text = text.filter(|text| !text.trim().is_empty()).unwrap_or(NOTHING_LEFT);
        with_object(text, |file| {
            let Some(property) = find(file, self.map)? else {
                return Ok(inserted(text, file, &self.whole_map(&lead(text, file))));
            };
            let map = map_in(property)?;
            match find(map, &self.key)? {
                None => Ok(inserted(text, map, &self.member())),
                Some(there) if text_in(there) == Some(self.value) => Ok(text.to_owned()),
                Some(_) => Err(Refusal::because(format!(
                    "`{}` names something else for `{}`; take that out first",
                    self.map, self.key
                ))),
            }
        })
    }

    /// The text without the entry, and without the map if it was made for it. `None` if nothing is left of a file that
    /// was made for it. An entry with another value is not ours.
    pub fn removed(&self, text: &str) -> Result<Option<String>, Refusal> {
        if text.trim().is_empty() {
            return Ok(Some(text.to_owned()));
        }
        let removed = with_object(text, |file| {
            let Some(property) = find(file, self.map)? else { return Ok(text.to_owned()) };
            let map = map_in(property)?;
            let ours = find(map, &self.key)?.filter(|it| text_in(it) == Some(self.value));
            let Some(ours) = ours else { return Ok(text.to_owned()) };
            let is_all_ours = slice(text, property) == self.whole_map(&lead(text, file));
            Ok(if is_all_ours { taken_out(text, file, property) } else { taken_out(text, map, ours) })
        })?;
        Ok((removed != NOTHING_LEFT).then_some(removed))
    }

    /// As a person would type it.
    pub fn lines(&self) -> String {
        format!("{{\n\t{}\n}}\n", self.whole_map("\n\t"))
    }

    fn member(&self) -> String {
        format!("{}: {}", quoted(&self.key), quoted(self.value))
    }

    /// The map with our entry alone, where members of the file begin with the white space `lead`.
    fn whole_map(&self, lead: &str) -> String {
        let unit = lead.rsplit_once('\n').map_or("", |(_, indent)| indent);
        let (inner, outer) =
            if lead.contains('\n') { (format!("{lead}{unit}"), lead) } else { (String::new(), "") };
        format!("{}: {{{inner}{}{outer}}}", quoted(self.map), self.member())
    }
}

/// The keys of `map` that have this value.
pub(super) fn keys(text: &str, map: &str, value: &str) -> Result<Vec<String>, Refusal> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    with_object(text, |file| {
        let Some(property) = find(file, map)? else { return Ok(Vec::new()) };
        let ours = map_in(property)?.properties.iter().filter(|it| text_in(it) == Some(value));
        Ok(ours.map(|it| it.name.as_str().to_owned()).collect())
    })
}

fn with_object<T>(text: &str, work: impl FnOnce(&Object<'_>) -> Result<T, Refusal>) -> Result<T, Refusal> {
    let refused = |error: &dyn std::fmt::Display| Refusal::because(format!("it is not JSON: {error}"));
    // This crate says where things are; whether they are JSON, the stricter one says.
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| refused(&error))?;
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    match parsed.map_err(|error| refused(&error))?.value {
        Some(Value::Object(object)) => work(&object),
        _ => Err(Refusal::because("it is not a JSON object")),
    }
}

fn find<'o, 't>(object: &'o Object<'t>, key: &str) -> Result<Option<&'o ObjectProp<'t>>, Refusal> {
    let mut found = object.properties.iter().filter(|it| it.name.as_str() == key);
    let first = found.next();
    match found.next() {
        Some(_) => Err(Refusal::because(format!("`{key}` stands in it twice"))),
        None => Ok(first),
    }
}

fn map_in<'o, 't>(property: &'o ObjectProp<'t>) -> Result<&'o Object<'t>, Refusal> {
    match &property.value {
        Value::Object(object) => Ok(object),
        _ => Err(Refusal::because(format!("`{}` is not an object", property.name.as_str()))),
    }
}

fn text_in<'o>(property: &'o ObjectProp<'_>) -> Option<&'o str> {
    match &property.value {
        Value::StringLit(text) => Some(&text.value),
        _ => None,
    }
}

/// The white space before each member: that of the first one.
fn lead(text: &str, object: &Object<'_>) -> String {
    let inside = object.range.start + 1;
    match object.properties.first() {
        Some(first) => text[inside..first.range.start].to_owned(),
        None if text[inside..object.range.end].contains('\n') => "\n\t".to_owned(),
        None => String::new(),
    }
}

/// As the first member, so that [`taken_out`] finds the same bytes again.
fn inserted(text: &str, object: &Object<'_>, member: &str) -> String {
    let inside = object.range.start + 1;
    let comma = if object.properties.is_empty() { "" } else { "," };
    [&text[..inside], &lead(text, object), member, comma, &text[inside..]].concat()
}

fn taken_out(text: &str, object: &Object<'_>, property: &ObjectProp<'_>) -> String {
    let members = &object.properties;
    let at = members.iter().position(|it| it.range.start == property.range.start).unwrap_or_default();
    let end = property.range.end;
    let (start, end) = match at.checked_sub(1) {
        Some(before) => (members[before].range.end, end),
        None => {
            let comma = if members.len() > 1 { text[end..].find(',').map_or(0, |it| it + 1) } else { 0 };
            (object.range.start + 1, end + comma)
        }
    };
    [&text[..start], &text[end..]].concat()
}

fn slice<'t>(text: &'t str, property: &ObjectProp<'_>) -> &'t str {
    &text[property.start()..property.end()]
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> Entry {
        Entry { map: "credHelpers", key: key.to_owned(), value: "vault" }
    }

    #[test]
    fn an_entry_that_is_taken_out_again_leaves_every_byte_as_it_was() {
        for text in [
            "{}",
            "{}\n",
            "{ }",
            "{\n\n}\n",
            "{\"auths\":{}}",
            "{\n\t\"auths\": {\n\t\t\"a.example\": {}\n\t},\n\t\"x\": \"é\"\n}",
            "{\n  \"credHelpers\": {\n    \"gcr.io\": \"gcloud\"\n  }\n}\n",
            "{\"credHelpers\":{\"gcr.io\":\"gcloud\"},\"n\":1e3}",
            "{\n  \"credHelpers\": {}\n}\n",
            "{\n  \"a\" : 1 ,\n  \"b\" : 2\n}\n",
        ] {
            let one = entry("a.example").written(Some(text)).unwrap();
            let both = entry("b.example").written(Some(&one)).unwrap();

            assert_eq!(entry("a.example").written(Some(&both)).unwrap(), both, "twice is as once");
            assert_eq!(keys(&both, "credHelpers", "vault").unwrap(), ["b.example", "a.example"]);
            let again = entry("b.example").removed(&both).unwrap().unwrap();
            assert_eq!(again, one);
            assert_eq!(entry("a.example").removed(&again).unwrap().as_deref(), Some(text));
            let other_order = entry("a.example").removed(&both).unwrap().unwrap();
            assert_eq!(entry("b.example").removed(&other_order).unwrap().as_deref(), Some(text));
        }
    }

    #[test]
    fn it_looks_as_docker_itself_writes_it() {
        let made = entry("a.example").written(None).unwrap();
        assert_eq!(made, "{\n\t\"credHelpers\": {\n\t\t\"a.example\": \"vault\"\n\t}\n}\n");
        assert_eq!(entry("a.example").removed(&made).unwrap(), None);
        assert_eq!(entry("a.example").lines(), made);
    }

    #[test]
    fn what_others_have_put_there_is_not_touched() {
        let theirs = "{\"credHelpers\": {\"a.example\": \"gcloud\"}}";
        assert!(entry("a.example").written(Some(theirs)).is_err());
        assert_eq!(entry("a.example").removed(theirs).unwrap().as_deref(), Some(theirs));
        assert_eq!(entry("b.example").removed(theirs).unwrap().as_deref(), Some(theirs));
    }

    #[test]
    fn what_is_not_as_expected_is_refused() {
        for text in [
            "[]",
            "null",
            "{",
            "{}}",
            "{\"a\": 1,}",
            "{\"a\": 1 /* why */}",
            "{'a': 1}",
            "{\"credHelpers\": []}",
            "{\"credHelpers\": null}",
            "{\"credHelpers\": {}, \"credHelpers\": {}}",
            "{\"credHelpers\": {\"a.example\": \"x\", \"a.example\": \"vault\"}}",
        ] {
            assert!(entry("a.example").written(Some(text)).is_err(), "{text}");
            assert!(entry("a.example").removed(text).is_err(), "{text}");
        }
    }
}
