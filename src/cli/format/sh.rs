//! `sh`: what dash, bash, zsh, ksh and every other POSIX shell read the same.
//!
//! Single quotes: POSIX.1-2024, Shell Command Language, 2.2.2 gives every character between them
//! its own value, and only a single quote has to stand outside. History expansion of `!` is for
//! typed lines, not for what `eval` reads. The `;` lets also an unquoted `eval $(…)` see where a
//! command ends, as the output of `ssh-agent` does.

use super::Assignment;
use super::page::Page;

/// `export NAME='value';`
pub(super) fn line(assignment: &Assignment<'_>, page: &mut Page) {
    page.push("export ");
    page.push(assignment.name.as_str());
    page.push("='");
    for c in assignment.value.chars() {
        match c {
            '\'' => page.push(r"'\''"),
            plain => page.push_char(plain),
        }
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

    /// What a POSIX shell takes `text` for: quoted parts, and a backslash before one character.
    fn unquoted(text: &str) -> String {
        let mut value = String::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\'' => value.extend(rest.by_ref().take_while(|c| *c != '\'')),
                '\\' => value.extend(rest.next()),
                other => panic!("{other:?} stands outside of quotes"),
            }
        }
        value
    }

    #[test]
    fn a_single_quote_stands_outside_of_the_quotes() {
        assert_eq!(written("it's"), "export V='it'\\''s';\n");
        assert_eq!(written(""), "export V='';\n");
        assert_eq!(written("$(id) `id` $HOME !! \\"), "export V='$(id) `id` $HOME !! \\';\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_shell_reads_back_what_was_written(value in "[^\\x00]*|['\\\\a\n]*") {
            let text = written(&value);
            let quoted = text.strip_prefix("export V=").and_then(|it| it.strip_suffix(";\n")).unwrap();
            prop_assert_eq!(unquoted(quoted), value);
        }
    }
}
