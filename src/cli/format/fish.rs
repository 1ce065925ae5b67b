//! `fish`: `vault env work --format fish | source`.
//!
//! Between single quotes fish knows two escapes, `\'` and `\\` (fish language, "Quotes"); every
//! other character, the line break included, stands for itself.

use super::Assignment;
use super::page::Page;

/// `set -gx NAME 'value';`
pub(super) fn line(assignment: &Assignment<'_>, page: &mut Page) {
    page.push("set -gx ");
    page.push(assignment.name.as_str());
    page.push(" '");
    for c in assignment.value.chars() {
        if matches!(c, '\'' | '\\') {
            page.push("\\");
        }
        page.push_char(c);
    }
    page.push("';\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::format::page;

    fn written(value: &str) -> String {
        let write = |assignment: &Assignment<'_>, page: &mut Page| {
            line(assignment, page);
            Ok::<(), ()>(())
        };
        page::written(value, write).unwrap()
    }

    /// What fish takes the inside of single quotes for.
    fn unquoted(text: &str) -> String {
        let mut value = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            assert_ne!(c, '\'', "the quotes end too early");
            let escaped = if c == '\\' { rest.next_if(|next| matches!(next, '\'' | '\\')) } else { None };
            value.push(escaped.unwrap_or(c));
        }
        value
    }

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(written(r"it's \n"), "set -gx V 'it\\'s \\\\n';\n");
        assert_eq!(written("$HOME (id)"), "set -gx V '$HOME (id)';\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn fish_reads_back_what_was_written(value in "[^\\x00]*|['\\\\a\n]*") {
            let text = written(&value);
            let quoted = text.strip_prefix("set -gx V '").and_then(|it| it.strip_suffix("';\n")).unwrap();
            prop_assert_eq!(unquoted(quoted), value);
        }
    }
}
