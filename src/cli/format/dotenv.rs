//! `dotenv`: a `.env` file that python-dotenv and the dotenv of npm read the same.
//!
//! Nobody has specified the format, and the two agree on less than it seems: only the first one
//! unescapes `\\` and `\'`, and it alone replaces `${NAME}`, even between single quotes; both turn a
//! bare carriage return into a line break. So a value is written in the first of three ways in
//! which no such difference can show, and refused if there is none:
//!
//! 1. `'…'`, as it is: any other reader and `. ./.env` in a shell agree as well.
//! 2. `"…"`, with `\r` for a carriage return, the one escape that is needed here.
//! 3. without quotes, where nothing is escaped by either.

use super::page::Page;
use super::{Assignment, Unwritable};

/// `NAME='value'`
pub(super) fn line(assignment: &Assignment<'_>, page: &mut Page) -> Result<(), Unwritable> {
    let value = assignment.value;
    if value.contains("${") {
        return Err(Unwritable("it holds `${`, which some readers would replace"));
    }
    let (open, close) = if fits_single_quotes(value) {
        ("='", "'\n")
    } else if fits_double_quotes(value) {
        ("=\"", "\"\n")
    } else if fits_no_quotes(value) {
        ("=", "\n")
    } else {
        return Err(Unwritable("readers of such files do not agree on its quotes and backslashes"));
    };
    page.push(assignment.name.as_str());
    page.push(open);
    write(value, page);
    page.push(close);
    Ok(())
}

/// No end of the quotes, and no backslash that could be taken for an escape.
fn fits_single_quotes(value: &str) -> bool {
    !value.contains(['\'', '\r']) && !value.contains(r"\\") && !value.ends_with('\\')
}

/// Nothing that any reader gives a meaning to between double quotes.
fn fits_double_quotes(value: &str) -> bool {
    !value.contains(['"', '\\', '$', '`'])
}

/// Nothing that begins a comment or quotes, or is trimmed.
fn fits_no_quotes(value: &str) -> bool {
    let is_trimmed = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    !value.starts_with(['\'', '"', '`']) && !value.contains(|c| c == '#' || is_trimmed(c))
}

/// A carriage return is left only between double quotes.
fn write(value: &str, page: &mut Page) {
    for c in value.chars() {
        match c {
            '\r' => page.push(r"\r"),
            plain => page.push_char(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::page::written;

    #[test]
    fn single_quotes_come_first() {
        for value in
            ["", "plain", " spaces ", "# no comment", "$HOME `id`", "say \"hi\"", "two\nlines", r"a\nb"]
        {
            assert_eq!(written(value, line), Ok(format!("V='{value}'\n")));
        }
    }

    #[test]
    fn double_quotes_carry_single_ones_and_carriage_returns() {
        assert_eq!(written("it's", line), Ok("V=\"it's\"\n".into()));
        assert_eq!(written("a\r\nb", line), Ok("V=\"a\\r\nb\"\n".into()));
    }

    #[test]
    fn backslashes_that_would_be_escapes_stand_bare() {
        for value in [r"a\\b", r"ends\", r#"it's-"this"#, r"\'"] {
            assert_eq!(written(value, line), Ok(format!("V={value}\n")));
        }
    }

    #[test]
    fn what_readers_do_not_agree_on_is_refused() {
        for value in ["${HOME}", r"a \\ b", "'\"", "it's a \"b\"", r"\\#", "'\\", "\u{feff}\\"] {
            assert!(written(value, line).is_err(), "{value:?}");
        }
    }
}
