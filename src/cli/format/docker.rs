//! `docker`: a file for `docker run --env-file` and `podman run --env-file`.
//!
//! The file has lines `NAME=value` and no quoting, so a value is what stands there. What the reader
//! of the docker command line (its package `kvfile`) does to a line decides what it cannot carry.

use super::page::Page;
use super::{Assignment, Unwritable};

/// Longest line in bytes: the reader gives up at 64 KiB, the line break included (Go's
/// `bufio.MaxScanTokenSize`).
const LONGEST_LINE: usize = 64 * 1024 - 1;

/// `NAME=value`
pub(super) fn line(assignment: &Assignment<'_>, page: &mut Page) -> Result<(), Unwritable> {
    if assignment.value.contains('\n') {
        return Err(Unwritable("it has a line break"));
    }
    if assignment.value.ends_with('\r') {
        return Err(Unwritable("it ends with a carriage return, which would be cut off"));
    }
    if is_wrapped_in_quotes(assignment.value) {
        return Err(Unwritable("it stands in quotes, which some versions of docker would remove"));
    }
    if assignment.name.as_str().len() + 1 + assignment.value.len() > LONGEST_LINE {
        return Err(Unwritable("it is too long for a line of such a file"));
    }
    page.push(assignment.name.as_str());
    page.push("=");
    page.push(assignment.value);
    page.push("\n");
    Ok(())
}

fn is_wrapped_in_quotes(value: &str) -> bool {
    value.len() >= 2 && ['\'', '"'].iter().any(|quote| value.starts_with(*quote) && value.ends_with(*quote))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::page::written;

    #[test]
    fn a_value_stands_as_it_is() {
        for value in ["", " a ", "it's \"$x\" #no", "a=b", "tab\t", "a\rb", "'", "'a\""] {
            assert_eq!(written(value, line), Ok(format!("V={value}\n")));
        }
    }

    #[test]
    fn what_would_be_read_differently_is_refused() {
        let too_long = "x".repeat(LONGEST_LINE - 1);
        for value in ["a\nb", "a\n", "\r", "a\r", "'a'", "\"\"", &too_long] {
            assert!(written(value, line).is_err(), "{value:.20?}");
        }
        assert!(written(&too_long[1..], line).is_ok());
    }
}
