//! Words that a shell takes for what they are.

/// A word as it can be typed in a shell: what is in a hint may have come from a server or a program, and is
/// copied as it stands.
pub(in crate::cli) fn typed(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_obey_is_quoted() {
        assert_eq!(typed("https://mail.example/auth/a.b"), "https://mail.example/auth/a.b");
        assert_eq!(typed("a;b"), "'a;b'");
        assert_eq!(typed("$(b)`c`"), "'$(b)`c`'");
        assert_eq!(typed(""), "''");
    }
}
