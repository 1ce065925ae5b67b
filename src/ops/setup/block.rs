//! Our lines in a file where `#` begins a comment: between two marks, so that they are found again.

use super::Refusal;

/// Says in a block that there was no file before it.
const MADE: &str = "# This file was made by `vault setup`.\n";

/// Lines between two marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What tells it from other blocks: the tool, the profile, and what else there may be several of.
    pub name: String,
    /// What stands between the marks; each line ends with a line break.
    pub lines: String,
}

/// Where a block is, or is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the end of the file.
    End,
    /// At this byte, where a line begins.
    At(usize),
}

impl Block {
    /// The text with the block in it; one of the same name is replaced where it is.
    pub fn written(&self, text: Option<&str>, place: Place) -> Result<String, Refusal> {
        let Some(text) = text else { return Ok(self.marked(MADE)) };
        if let Some(range) = find(text, &self.name)? {
            let made = if text[range.clone()].contains(MADE) { MADE } else { "" };
            let mut block = self.marked(made);
            if !text[range.clone()].ends_with('\n') {
                block.pop();
            }
            return Ok([&text[..range.start], &block, &text[range.end..]].concat());
        }
        match place {
            Place::At(at) => Ok([&text[..at], &self.marked(""), &text[at..]].concat()),
            Place::End => self.appended(text),
        }
    }

    /// A text that does not end with a line break does not do so afterwards either: so it is known how it ended.
    fn appended(&self, text: &str) -> Result<String, Refusal> {
        if text.trim_end_matches('\n').ends_with('\\') {
            return Err(Refusal::because("its last line goes on (it ends with `\\`)"));
        }
        let block = self.marked("");
        if text.is_empty() || text.ends_with('\n') {
            return Ok([text, &block].concat());
        }
        Ok([text, "\n", block.trim_end_matches('\n')].concat())
    }

    fn marked(&self, made: &str) -> String {
        let (first, last) = marks(&self.name);
        format!("{first}\n{made}{}{last}\n", self.lines)
    }
}

/// The text without the block of that name, and without those whose names go on behind it. `None` if nothing is left
/// of a file that was made for it.
pub(super) fn removed(text: &str, name: &str) -> Result<Option<String>, Refusal> {
    let mut text = text.to_owned();
    let mut is_made = false;
    for name in names(&text, name) {
        while let Some(range) = find(&text, &name)? {
            is_made |= text[range.clone()].contains(MADE);
            let takes_break = !text[range.clone()].ends_with('\n') && text[..range.start].ends_with('\n');
            let start = range.start - usize::from(takes_break);
            text.replace_range(start..range.end, "");
        }
    }
    Ok((!is_made || !text.is_empty()).then_some(text))
}

/// The names of the blocks in a text that begin with these words.
fn names(text: &str, words: &str) -> Vec<String> {
    let first = |line: &str| Some(line.strip_prefix("# >>> vault setup ")?.strip_suffix(" >>>")?.to_owned());
    let is_meant =
        |name: &String| name.strip_prefix(words).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let mut names: Vec<String> = text.lines().filter_map(first).filter(is_meant).collect();
    names.dedup();
    names
}

fn marks(name: &str) -> (String, String) {
    (format!("# >>> vault setup {name} >>>"), format!("# <<< vault setup {name} <<<"))
}

/// From the first mark to behind the line break of the last one.
fn find(text: &str, name: &str) -> Result<Option<std::ops::Range<usize>>, Refusal> {
    let (first, last) = marks(name);
    let Some(start) = line(text, 0, &first) else { return Ok(None) };
    let broken = || Refusal::because(format!("the line `{last}` is missing below `{first}`"));
    let end = line(text, start, &last).ok_or_else(broken)?;
    if line(&text[..end], start + first.len(), &first).is_some() {
        return Err(broken());
    }
    let end = end + last.len();
    Ok(Some(start..end + usize::from(text[end..].starts_with('\n'))))
}

/// Where a line is that says exactly this.
fn line(text: &str, from: usize, wanted: &str) -> Option<usize> {
    text[from..].match_indices(wanted).map(|(at, _)| from + at).find(|at| {
        let ends = |rest: &str| rest.is_empty() || rest.starts_with('\n');
        (*at == 0 || text[..*at].ends_with('\n')) && ends(&text[at + wanted.len()..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str) -> Block {
        Block { name: name.to_owned(), lines: "our line\n".to_owned() }
    }

    fn written(text: &str, name: &str) -> String {
        block(name).written(Some(text), Place::End).unwrap()
    }

    #[test]
    fn what_is_taken_away_again_leaves_every_byte_as_it_was() {
        for text in [
            "",
            "\n",
            "a\n",
            "a",
            "a\n\n",
            "# >>> other >>>\n",
            "é\r",
            " ",
            "# >>> vault setup git wor >>>\n",
        ] {
            let with = written(text, "git work");

            assert_ne!(with, text);
            assert_eq!(written(&with, "git work"), with, "twice is as once: {text:?}");
            assert_eq!(removed(&with, "git work").unwrap().as_deref(), Some(text), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_was_made_for_it_goes_with_it_unless_something_else_has_come_in() {
        let made = block("git work").written(None, Place::End).unwrap();
        assert_eq!(removed(&made, "git work").unwrap(), None);
        assert_eq!(removed(&(made.clone() + "theirs\n"), "git work").unwrap().as_deref(), Some("theirs\n"));

        let changed = Block { lines: "another\n".to_owned(), ..block("git work") };
        let again = changed.written(Some(&made), Place::End).unwrap();
        assert_eq!(removed(&again, "git work").unwrap(), None);
        assert_eq!(removed("", "git work").unwrap().as_deref(), Some(""), "an empty file is somebody's");
    }

    #[test]
    fn blocks_of_other_names_stay() {
        let both = written(&written("a\n", "git work one.example"), "git work two.example");
        let other = written(&both, "git working one.example");

        let one = removed(&other, "git work one.example").unwrap().unwrap();
        let none = removed(&other, "git work").unwrap().unwrap();

        assert_eq!(names(&one, "git"), ["git work two.example", "git working one.example"]);
        assert_eq!(names(&none, "git"), ["git working one.example"]);
    }

    #[test]
    fn a_changed_block_is_replaced_where_it_is() {
        let text = written("a", "git work").replace("our line", "edited") + "\nbelow\n";

        let again = written(&text, "git work");

        assert!(
            again.starts_with("a\n# >>>") && again.ends_with("<<<\nbelow\n") && again.contains("our line")
        );
        assert!(!again.contains("edited"));
    }

    #[test]
    fn a_block_may_stand_within_the_text() {
        let text = "[a]\nb = 1\n";
        let with = block("cargo work").written(Some(text), Place::At(4)).unwrap();

        assert!(with.starts_with("[a]\n# >>> vault setup cargo work >>>\nour line\n# <<<"));
        assert_eq!(removed(&with, "cargo work").unwrap().as_deref(), Some(text));
    }

    #[test]
    fn a_block_without_its_end_is_not_guessed_at() {
        let broken = "# >>> vault setup git work >>>\nx\n";
        assert!(removed(broken, "git work").is_err());
        assert!(block("git work").written(Some(broken), Place::End).is_err());
        let nested = format!("{broken}{}", written("", "git work"));
        assert!(removed(&nested, "git work").is_err());
    }

    #[test]
    fn a_line_that_goes_on_does_not_swallow_the_mark() {
        assert!(block("neomutt work").written(Some("set a=\\\n"), Place::End).is_err());
        assert!(block("neomutt work").written(Some("set a=\\"), Place::End).is_err());
    }
}
