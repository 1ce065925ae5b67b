//! The metadata of a machine at Google: a tree of folders and facts, shown in text or in JSON.

use std::fmt::Write;

use serde_json::{Map, Value};

/// A place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// One fact.
    Text(String),
    /// A number.
    Number(u64),
    /// Several facts, one in a line.
    Lines(Vec<String>),
    /// What is made when it is asked for: a token. It has a name, and is part of no list of values.
    Made,
    /// More places, each with its name.
    Folder(Vec<(String, Self)>),
}

impl Node {
    /// A folder with these places.
    pub(super) fn folder<const N: usize>(places: [(&str, Self); N]) -> Self {
        Self::Folder(places.map(|(name, node)| (name.to_owned(), node)).into())
    }

    /// The place of this name.
    pub(super) fn place(&self, name: &str) -> Option<&Self> {
        let Self::Folder(places) = self else { return None };
        places.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// What stands here: the value, or the names of what is below.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Lines(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
            Self::Made => String::new(),
            Self::Folder(places) => places.iter().map(|(name, node)| node.listed_as(name)).collect(),
        }
    }

    fn listed_as(&self, name: &str) -> String {
        if matches!(self, Self::Folder(_)) { format!("{name}/\n") } else { format!("{name}\n") }
    }

    /// All values below, each behind its path.
    pub(super) fn text_below(&self) -> String {
        let mut text = String::new();
        self.write_below("", &mut text);
        text
    }

    fn write_below(&self, path: &str, text: &mut String) {
        let mut line = |value: &str| writeln!(text, "{path} {value}").expect("a String takes any text");
        match self {
            Self::Text(value) => line(value),
            Self::Number(number) => line(&number.to_string()),
            Self::Lines(lines) => lines.iter().for_each(|value| line(value)),
            Self::Made => {}
            Self::Folder(places) => {
                for (name, node) in places {
                    let separator = if path.is_empty() { "" } else { "/" };
                    node.write_below(&format!("{path}{separator}{name}"), text);
                }
            }
        }
    }

    /// All values from here on, in JSON; nothing where they are made only when asked for.
    pub(super) fn json(&self) -> Option<Value> {
        Some(match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::from(*number),
            Self::Lines(lines) => Value::from(lines.clone()),
            Self::Made => return None,
            Self::Folder(places) => {
                let values = places.iter().filter_map(|(name, node)| Some((in_json(name), node.json()?)));
                Value::Object(values.collect::<Map<_, _>>())
            }
        })
    }
}

/// `projectId` for `project-id`. The address of an account stays as it is.
fn in_json(name: &str) -> String {
    if name.contains('@') {
        return name.to_owned();
    }
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |whole, word| {
        let mut letters = word.chars();
        let capital = letters.next().map(|c| c.to_ascii_uppercase());
        whole + &capital.into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Node {
        let account = Node::folder([
            ("aliases", Node::Lines(vec!["default".into()])),
            ("email", Node::Text("a-b@work.example".into())),
            ("token", Node::Made),
        ]);
        Node::folder([
            ("project", Node::folder([("numeric-project-id", Node::Number(7))])),
            ("service-accounts", Node::folder([("a-b@work.example", account)])),
        ])
    }

    #[test]
    fn a_folder_is_listed_by_the_names_of_what_is_in_it() {
        assert_eq!(tree().text(), "project/\nservice-accounts/\n");
        assert_eq!(tree().place("project").unwrap().text(), "numeric-project-id\n");
        assert_eq!(tree().place("project").unwrap().place("numeric-project-id").unwrap().text(), "7");
    }

    #[test]
    fn json_has_its_own_spelling_and_no_token() {
        let expected = r#"{"project":{"numericProjectId":7},"serviceAccounts":{"a-b@work.example":{"aliases":["default"],"email":"a-b@work.example"}}}"#;

        assert_eq!(tree().json().unwrap().to_string(), expected);
    }

    #[test]
    fn all_values_in_text_stand_behind_their_paths() {
        let expected = "project/numeric-project-id 7\nservice-accounts/a-b@work.example/aliases default\n\
                        service-accounts/a-b@work.example/email a-b@work.example\n";

        assert_eq!(tree().text_below(), expected);
    }
}
