//! What new profiles are called.

use crate::domain::ProfileName;

/// So long that a number fits behind it.
const MAX_LENGTH: usize = 50;

/// The name of a profile made of what a file, a person or a program calls it.
pub(super) fn usable(text: &str) -> Option<ProfileName> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '@');
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match is_allowed(c) {
            true => name.push(c),
            // What cannot stand in a name, and however much of it, is one dash.
            false if name.ends_with('-') => {}
            false => name.push('-'),
        }
        if name.len() >= MAX_LENGTH {
            break;
        }
    }
    name.trim_matches(['-', '.', '_', '@']).parse().ok()
}

/// `wanted`, or the first of its numbered forms that is not taken.
pub(super) fn free(wanted: &ProfileName, is_taken: impl Fn(&ProfileName) -> bool) -> ProfileName {
    let numbered =
        (2..).map(|number| format!("{wanted}-{number}").parse().expect("a name with a number is a name"));
    std::iter::once(wanted.clone())
        .chain(numbered)
        .find(|name: &ProfileName| !is_taken(name))
        .expect("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<String> {
        usable(text).map(String::from)
    }

    #[test]
    fn a_name_is_made_of_whatever_a_file_calls_it() {
        for (text, expected) in [
            ("work", "work"),
            ("My Drive", "my-drive"),
            ("  --x--  ", "x"),
            ("Me@Work.Example", "me@work.example"),
            ("a\u{1b}[2Jb", "a-2jb"),
            ("../../etc/passwd", "etc-passwd"),
            ("Grüße", "gr-e"),
        ] {
            assert_eq!(name(text).as_deref(), Some(expected), "{text:?}");
        }
        assert_eq!(name("東京"), None);
        assert!(name(&"x".repeat(1000)).unwrap().len() <= MAX_LENGTH);
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let work: ProfileName = "work".parse().unwrap();

        assert_eq!(free(&work, |_| false).as_str(), "work");
        assert_eq!(free(&work, |name| ["work", "work-2"].contains(&name.as_str())).as_str(), "work-3");
    }
}
