//! `json`: one object of strings on one line, in the order of the names.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::Assignment;
use super::page::Page;

/// `{"NAME":"value"}`. Of two variables with one name, the later one stands.
pub(super) fn object(assignments: &[Assignment<'_>], page: &mut Page) {
    let members: BTreeMap<_, _> = assignments.iter().map(|it| (it.name.as_str(), it.value)).collect();
    for (place, (name, value)) in members.into_iter().enumerate() {
        page.push(if place == 0 { "{" } else { "," });
        string(name, page);
        page.push(":");
        string(value, page);
    }
    page.push(if assignments.is_empty() { "{}\n" } else { "}\n" });
}

/// `"text"`.
fn string(text: &str, page: &mut Page) {
    // RFC 8259, 7: at most six bytes, `\u0001`, for one. With room for all, nothing is left behind
    // in a place that the text has outgrown.
    let mut bytes = Zeroizing::new(Vec::with_capacity(6 * text.len() + 2));
    serde_json::to_writer(&mut *bytes, text).expect("a text is a JSON string");
    page.push(std::str::from_utf8(&bytes).expect("JSON is UTF-8"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn object_of(variables: &[(&str, &str)]) -> String {
        let names: Vec<_> = variables.iter().map(|(name, _)| name.parse().unwrap()).collect();
        let assignments: Vec<_> = names
            .iter()
            .zip(variables)
            .map(|(name, (_, value))| Assignment { name, value, is_secret: true })
            .collect();
        let mut page = Page::with_room_for(&assignments);
        object(&assignments, &mut page);
        page.into_secret().expose_secret().to_owned()
    }

    #[test]
    fn an_object_of_strings_in_the_order_of_the_names() {
        assert_eq!(object_of(&[]), "{}\n");
        assert_eq!(object_of(&[("B", "2"), ("A", "\"\n\u{1}")]), "{\"A\":\"\\\"\\n\\u0001\",\"B\":\"2\"}\n");
    }

    #[test]
    fn a_name_stands_only_once() {
        assert_eq!(object_of(&[("A", "first"), ("A", "last")]), "{\"A\":\"last\"}\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_json_reader_reads_back_what_was_written(a in "[^\\x00]*", b in "[\\x01-\\x7f]*") {
            let read: BTreeMap<String, String> = serde_json::from_str(&object_of(&[("A", &a), ("B", &b)])).unwrap();
            prop_assert_eq!(read, BTreeMap::from([("A".to_owned(), a), ("B".to_owned(), b)]));
        }
    }
}
