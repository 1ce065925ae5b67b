//! A file that is ours as a whole.

use super::Refusal;

/// A file that is ours as a whole; its first line says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// All that is in it.
    pub text: String,
}

impl Whole {
    /// A file with these lines, made for what is named as in `direnv`.
    pub fn new(name: &str, lines: &str) -> Self {
        Self {
            text: format!("# Made by `vault setup {name}`; with `--undo` it is taken away again.\n{lines}"),
        }
    }

    /// The file, in place of an older one of ours.
    pub fn written(&self, text: Option<&str>) -> Result<String, Refusal> {
        self.check_ours(text.unwrap_or_default())?;
        Ok(self.text.clone())
    }

    /// Nothing.
    pub fn removed(&self, text: &str) -> Result<Option<String>, Refusal> {
        self.check_ours(text)?;
        Ok(None)
    }

    fn check_ours(&self, text: &str) -> Result<(), Refusal> {
        let first = |text: &str| text.lines().next().map(str::to_owned);
        if text.is_empty() || first(text) == first(&self.text) {
            return Ok(());
        }
        Err(Refusal::because("it was not made by `vault setup`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_ours_is_made_replaced_and_removed_and_any_other_is_left() {
        let new = Whole::new("direnv", "new\n");
        let old = Whole::new("direnv", "old\n").text;

        assert_eq!(new.written(None).unwrap(), new.text);
        assert_eq!(new.written(Some(&old)).unwrap(), new.text);
        assert_eq!(new.removed(&old).unwrap(), None);
        for theirs in
            ["use_vault() { :; }\n", "\n# Made by `vault setup direnv`\n", &Whole::new("systemd", "").text]
        {
            assert!(new.written(Some(theirs)).is_err());
            assert!(new.removed(theirs).is_err());
        }
    }
}
