//! Tables and details for people: no borders, and colour only where the words say the same.

use std::borrow::Cow;

use comfy_table::{Attribute, Color, ContentArrangement, presets};

/// Shown instead of a character that could move the cursor, hide text or turn its direction.
const SHOWN_INSTEAD: char = char::REPLACEMENT_CHARACTER;

/// Blank columns between two columns of a table.
const GAP: u16 = 2;

/// What the place is like where the text goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// Columns of the terminal; `None` where nobody needs lines to be broken, as in a pipe.
    pub width: Option<u16>,
    /// Whether colour is wanted.
    pub colour: bool,
}

/// What a cell means, as its words say too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing particular.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Soon to be looked at.
    Warning,
    /// Does not work.
    Bad,
    /// Of little interest.
    Faint,
}

/// One cell of a table, or one value of the details.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell that shows `text`, less what a terminal would obey.
    pub(super) fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: printable(text.as_ref()).into_owned(), tone }
    }

    /// A cell for what there is not.
    pub(super) fn none() -> Self {
        Self::new("-", Tone::Faint)
    }

    /// A cell for `text`, if there is one.
    pub(super) fn optional(text: Option<impl AsRef<str>>) -> Self {
        text.map_or_else(Self::none, Self::from)
    }

    fn styled(self) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new_owned(self.text);
        match self.tone {
            Tone::Plain => cell,
            Tone::Good => cell.fg(Color::DarkGreen),
            Tone::Warning => cell.fg(Color::DarkYellow),
            Tone::Bad => cell.fg(Color::DarkRed),
            Tone::Faint => cell.add_attribute(Attribute::Dim),
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Rows under the names of their columns. Every line ends with a line break.
pub(super) fn table(header: &[&str], rows: Vec<Vec<Cell>>, look: Look) -> String {
    let names = header.iter().map(|name| comfy_table::Cell::new(name).add_attribute(Attribute::Bold));
    let mut table = bare_table(look);
    table.set_header(names.collect::<Vec<_>>());
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(Cell::styled).collect::<Vec<_>>()));
    text_of(table)
}

/// One thing, as a line `key:  value` for each fact, the values under one another.
///
/// Values are never broken: they are what people copy.
pub(super) fn details(facts: Vec<(&str, Cell)>, look: Look) -> String {
    let mut table = bare_table(Look { width: None, ..look });
    // A value that goes on with the one above it has no key.
    let name = |key: &str| if key.is_empty() { String::new() } else { format!("{key}:") };
    let key = |key: &str| comfy_table::Cell::new_owned(name(key)).add_attribute(Attribute::Bold);
    table.add_rows(facts.into_iter().map(|(name, value)| vec![key(name), value.styled()]));
    text_of(table)
}

/// `text` in the colour of `tone`, where colour is wanted.
pub(super) fn toned(text: &str, tone: Tone, look: Look) -> String {
    // ECMA-48, 8.3.117: select graphic rendition.
    let code = match tone {
        Tone::Good => "32",
        Tone::Warning => "33",
        Tone::Bad => "31",
        Tone::Faint => "2",
        Tone::Plain => return text.to_owned(),
    };
    if look.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// `text` with every character replaced that a terminal would obey or that hides what is written:
/// controls, line breaks, marks of direction, and what has no width.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    let shown = |c| if is_printable(c) { c } else { SHOWN_INSTEAD };
    Cow::Owned(text.chars().map(shown).collect())
}

pub(super) fn is_printable(c: char) -> bool {
    // Unicode's Default_Ignorable_Code_Point, Bidi_Control, and the separators of lines; the
    // variation selectors, U+FE00 to U+FE0F, stay because emoji use them.
    let is_hidden = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !is_hidden
}

fn bare_table(look: Look) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    if look.colour {
        table.enforce_styling().style_text_only();
    }
    if let Some(width) = look.width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

fn text_of(mut table: comfy_table::Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { width: None, colour: false };

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec!["work".into(), "me@work.example".into(), Cell::new("live", Tone::Good)],
            vec!["a-longer-name".into(), Cell::none(), Cell::new("dead", Tone::Bad)],
        ]
    }

    #[test]
    fn columns_stand_under_one_another_and_nothing_trails() {
        let text = table(&["NAME", "ACCOUNT", "GRANT"], rows(), PLAIN);

        assert_eq!(
            text,
            "NAME           ACCOUNT          GRANT\n\
             work           me@work.example  live\n\
             a-longer-name  -                dead\n"
        );
    }

    #[test]
    fn the_values_of_details_stand_under_one_another() {
        let facts = vec![("name", "work".into()), ("provider", "google".into()), ("scopes", Cell::none())];

        assert_eq!(details(facts, PLAIN), "name:      work\nprovider:  google\nscopes:    -\n");
    }

    #[test]
    fn a_narrow_terminal_breaks_cells_and_no_line_is_wider() {
        let look = Look { width: Some(30), ..PLAIN };
        let text = table(&["NAME", "ACCOUNT", "GRANT"], rows(), look);

        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.lines().count() > 3);
    }

    #[test]
    fn without_a_width_no_line_is_broken() {
        let long = "x".repeat(500);
        assert_eq!(details(vec![("url", (&long).into())], PLAIN), format!("url:  {long}\n"));
    }

    #[test]
    fn colour_changes_no_word_and_no_column() {
        let header = ["NAME", "ACCOUNT", "GRANT"];
        let coloured = table(&header, rows(), Look { colour: true, ..PLAIN });

        assert!(coloured.contains('\u{1b}'));
        assert_eq!(without_escapes(&coloured), table(&header, rows(), PLAIN));
        assert!(!table(&header, rows(), PLAIN).contains('\u{1b}'));
    }

    /// `text` without `ESC [ … m`, and without the blanks that they kept at the end of a line.
    fn without_escapes(text: &str) -> String {
        let mut parts = text.split("\u{1b}[");
        let first = parts.next().unwrap().to_owned();
        let bare = first + &parts.map(|part| part.split_once('m').unwrap().1).collect::<String>();
        bare.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    #[test]
    fn a_cell_cannot_command_the_terminal() {
        let cell = Cell::from("a\u{1b}]0;x\u{7}\u{9b}1m\nb\u{202e}c\u{200b}d\u{2066}");
        let text = details(vec![("x", cell)], PLAIN);

        assert_eq!(text, "x:  a\u{fffd}]0;x\u{fffd}\u{fffd}1m\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}\n");
    }

    #[test]
    fn what_people_write_is_printable() {
        for text in ["work@x.example", "Grüße", "日本語", "🔑", "עברית", "it's \"so\""] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn an_empty_table_is_its_header() {
        assert_eq!(table(&["NAME"], Vec::new(), PLAIN), "NAME\n");
    }
}
