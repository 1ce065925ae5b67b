//! `powershell`: `vault env work --format powershell | Invoke-Expression`, in Windows PowerShell 5.1
//! and PowerShell 7.
//!
//! A line is a whole statement of printable ASCII, whatever the value holds: PowerShell reads the
//! output of a program line by line and in the code page of the console, takes ‘ ’ ‚ ‛ for single
//! quotes as well, and would join lines with the line break of its own system. All other characters
//! are written as their UTF-16 code units, `[char]0x…`, joined by `-join`.

use super::page::Page;
use super::{Assignment, Unwritable};

/// `$env:NAME = 'value'`
pub(super) fn line(assignment: &Assignment<'_>, page: &mut Page) -> Result<(), Unwritable> {
    if assignment.value.is_empty() {
        return Err(Unwritable("it is empty, and PowerShell would remove the variable"));
    }
    page.push("$env:");
    page.push(assignment.name.as_str());
    page.push(" = ");
    if assignment.value.chars().all(is_plain) {
        quote(assignment.value, page);
    } else {
        join(assignment.value, page);
    }
    page.push("\n");
    Ok(())
}

/// Whether it may stand between quotes.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

/// `'text'`, with every quote doubled (about_Quoting_Rules).
fn quote(text: &str, page: &mut Page) {
    page.push("'");
    for c in text.chars() {
        if c == '\'' {
            page.push("'");
        }
        page.push_char(c);
    }
    page.push("'");
}

/// `-join @('text',[char]0xa,'text')`: flat, because a long chain of `+` would nest as deep.
fn join(text: &str, page: &mut Page) {
    page.push("-join @(''");
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        page.push(",");
        let length = if is_plain(first) { plain_length(rest) } else { first.len_utf8() };
        let (part, behind) = rest.split_at(length);
        if is_plain(first) {
            quote(part, page)
        } else {
            code_units(first, page)
        }
        rest = behind;
    }
    page.push(")");
}

/// How many bytes at the beginning of `text` may stand between quotes.
fn plain_length(text: &str) -> usize {
    text.find(|c| !is_plain(c)).unwrap_or(text.len())
}

fn code_units(c: char, page: &mut Page) {
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units);
    for (place, unit) in units.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        page.push_formatted(format_args!("{comma}[char]0x{unit:x}"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::format::page::written;

    /// What PowerShell takes the right side of the assignment for.
    fn value_of(expression: &str) -> String {
        let list = expression.strip_prefix("-join @(").and_then(|it| it.strip_suffix(')'));
        let mut rest = list.unwrap_or(expression);
        let mut units = Vec::new();
        loop {
            rest = if let Some(quoted) = rest.strip_prefix('\'') {
                text_between_quotes(quoted, &mut units)
            } else {
                let number = rest.strip_prefix("[char]0x").unwrap();
                let end = number.find(',').unwrap_or(number.len());
                units.push(u16::from_str_radix(&number[..end], 16).unwrap());
                &number[end..]
            };
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        assert_eq!(rest, "");
        String::from_utf16(&units).unwrap()
    }

    fn text_between_quotes<'a>(text: &'a str, units: &mut Vec<u16>) -> &'a str {
        let mut rest = text;
        loop {
            let end = rest.find('\'').unwrap();
            units.extend(rest[..end].encode_utf16());
            rest = &rest[end + 1..];
            match rest.strip_prefix('\'') {
                Some(behind_doubled) => {
                    units.push(u16::from(b'\''));
                    rest = behind_doubled;
                }
                None => return rest,
            }
        }
    }

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(written("it's `$x \"y\"", line), Ok("$env:V = 'it''s `$x \"y\"'\n".into()));
    }

    #[test]
    fn everything_else_is_a_number() {
        assert_eq!(written("a\nb", line), Ok("$env:V = -join @('','a',[char]0xa,'b')\n".into()));
        assert_eq!(written("’", line), Ok("$env:V = -join @('',[char]0x2019)\n".into()));
        assert_eq!(written("🔑", line), Ok("$env:V = -join @('',[char]0xd83d,[char]0xdd11)\n".into()));
    }

    #[test]
    fn an_empty_value_is_refused() {
        assert!(written("", line).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn powershell_reads_back_what_was_written(value in "[^\\x00]+|['‘’‚‛a\n,()]+") {
            let text = written(&value, line).unwrap();
            let expression = text.strip_prefix("$env:V = ").and_then(|it| it.strip_suffix('\n')).unwrap();
            prop_assert!(expression.chars().all(is_plain));
            prop_assert_eq!(value_of(expression), value);
        }
    }
}
