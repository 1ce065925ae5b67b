//! `github`: `vault env work --format github >> "$GITHUB_ENV"` in a step of GitHub Actions.
//!
//! The answer is what the environment file takes: `NAME<<END`, the value, `END`. An end mark is
//! usually random because a script does not know the value; here the value is known, so the mark is
//! one that is no line of it.
//!
//! The log shows the environment of every later step, so each secret is hidden first with
//! `::add-mask::`. These commands go to standard error: the runner reads commands on both streams of
//! a step, and standard output is the file by then. They hold the secrets themselves, so whoever
//! prints them does so only where `GITHUB_ACTIONS` is `true`.

use secrecy::SecretString;

use super::page::Page;
use super::{Assignment, Unwritable};

/// The beginning of an end mark.
const END: &str = "VAULT_END";

/// `NAME<<END`, the value, `END`
pub(super) fn lines(assignment: &Assignment<'_>, page: &mut Page) -> Result<(), Unwritable> {
    if assignment.value.ends_with('\r') {
        // The runner on Windows takes CR LF for the end of the last line.
        return Err(Unwritable("it ends with a carriage return, which would be cut off"));
    }
    let end = end_mark(assignment.value);
    page.push_formatted(format_args!("{}<<{end}\n", assignment.name));
    page.push(assignment.value);
    page.push_formatted(format_args!("\n{end}\n"));
    Ok(())
}

/// A mark that is no line of `value`, whatever counts as a line break.
fn end_mark(value: &str) -> String {
    let numbered = (1..).map(|number| format!("{END}_{number}"));
    let mut marks = std::iter::once(END.to_owned()).chain(numbered);
    marks.find(|mark| value.split(['\r', '\n']).all(|line| line != mark)).expect("numbers do not end")
}

/// The commands that hide every secret, line by line as a log would show it.
pub(super) fn masks(assignments: &[Assignment<'_>]) -> SecretString {
    let mut page = Page::with_room_for(assignments);
    for secret in assignments.iter().filter(|it| it.is_secret) {
        // The runner warns about a mask of blanks, and has nothing to hide then.
        let lines = secret.value.split(['\r', '\n']).filter(|line| !line.trim().is_empty());
        lines.for_each(|line| mask(line, &mut page));
    }
    page.into_secret()
}

/// `::add-mask::line`, where `%` begins an escape.
fn mask(line: &str, page: &mut Page) {
    page.push("::add-mask::");
    for c in line.chars() {
        match c {
            '%' => page.push("%25"),
            plain => page.push_char(plain),
        }
    }
    page.push("\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::cli::format::page::written;

    /// What the runner takes from the file: the lines between the first one and its mark.
    fn value_in(file: &str) -> String {
        let (first, rest) = file.split_once('\n').unwrap();
        let mark = first.strip_prefix("V<<").unwrap();
        let lines: Vec<_> = rest.split('\n').take_while(|line| *line != mark).collect();
        assert!(rest.ends_with(&format!("\n{mark}\n")));
        lines.join("\n")
    }

    fn masks_of(value: &str, is_secret: bool) -> String {
        let name = "V".parse().unwrap();
        masks(&[Assignment { name: &name, value, is_secret }]).expose_secret().to_owned()
    }

    #[test]
    fn the_mark_is_no_line_of_the_value() {
        let value = "VAULT_END\nVAULT_END_1\r\nVAULT_END_3";
        let text = written(value, lines).unwrap();
        assert_eq!(text, format!("V<<VAULT_END_2\n{value}\nVAULT_END_2\n"));
    }

    #[test]
    fn a_carriage_return_at_the_end_is_refused() {
        assert!(written("a\r", lines).is_err());
        assert!(written("a\r\nb", lines).is_ok());
    }

    #[test]
    fn secrets_are_masked_line_by_line() {
        assert_eq!(masks_of("100%\n\n two\r\n", true), "::add-mask::100%25\n::add-mask:: two\n");
    }

    #[test]
    fn what_is_no_secret_is_not_masked() {
        assert_eq!(masks_of("work", false), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_runner_reads_back_what_was_written(value in "([^\\x00]|VAULT_END|\n)*x?") {
            prop_assume!(!value.ends_with('\r'));
            let text = written(&value, lines).unwrap();
            prop_assert_eq!(value_in(&text), value);
        }
    }
}
