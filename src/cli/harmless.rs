//! What a server sends, made fit for a terminal: nothing in it is obeyed, and JSON is laid out to be read.

use std::io::{self, Write};

use super::table::is_printable;

/// Passes text on in which a terminal finds nothing to obey, and lines stay lines. What is no text is replaced.
pub(super) struct Harmless<W> {
    out: W,
    /// The beginning of a character whose end is still to come.
    rest: Vec<u8>,
}

impl<W: Write> Harmless<W> {
    /// Passes on to `out`.
    pub(super) fn new(out: W) -> Self {
        Self { out, rest: Vec::new() }
    }

    /// Says that there is no more.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.rest.is_empty() {
            self.out.write_all("\u{fffd}".as_bytes())?;
        }
        self.out.flush()
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.rest);
        let mut text = String::with_capacity(all.len());
        for chunk in all.utf8_chunks() {
            text.extend(chunk.valid().chars().filter(|c| *c != '\r').map(|c| match c {
                '\n' | '\t' => c,
                c if is_printable(c) => c,
                _ => char::REPLACEMENT_CHARACTER,
            }));
            let invalid = chunk.invalid();
            let is_unfinished = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if is_unfinished && all.ends_with(invalid) {
                self.rest = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.out.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether these first bytes are of something that is no text.
pub(super) fn is_binary(begun: &[u8]) -> bool {
    let is_cut_off = |error: std::str::Utf8Error| error.error_len().is_some();
    begun.contains(&0) || std::str::from_utf8(begun).is_err_and(is_cut_off)
}

/// Blanks before each level of JSON.
const INDENT: &str = "  ";

/// Lays JSON out in lines as it flows. Only white space between its parts is changed: numbers, texts and the
/// order of names stay as they were sent, and what is no JSON stays what it is.
pub(super) struct Pretty<W> {
    out: W,
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
    /// Whether a bracket was just opened; the next part decides whether it stays empty.
    is_open: bool,
    /// Whether white space has come since the last part.
    is_parted: bool,
    has_begun: bool,
}

impl<W: Write> Pretty<W> {
    /// Passes on to `out`.
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            depth: 0,
            is_in_text: false,
            is_escaped: false,
            is_open: false,
            is_parted: false,
            has_begun: false,
        }
    }

    /// Ends the last line.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.has_begun {
            self.out.write_all(b"\n")?;
        }
        Ok(self.out)
    }

    fn byte(&mut self, byte: u8, line: &mut Vec<u8>) {
        if self.is_in_text {
            line.push(byte);
            self.is_in_text = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            return;
        }
        if byte.is_ascii_whitespace() {
            self.is_parted = true;
            return;
        }
        if matches!(byte, b'}' | b']') {
            self.depth = self.depth.saturating_sub(1);
            if !std::mem::take(&mut self.is_open) {
                self.new_line(line);
            }
        } else if std::mem::take(&mut self.is_open) {
            self.new_line(line);
        } else if self.depth == 0 && self.has_begun && self.is_parted {
            // One of several values, each on lines of its own.
            line.push(b'\n');
        }
        (self.is_parted, self.has_begun) = (false, true);
        line.push(byte);
        match byte {
            b'"' => self.is_in_text = true,
            b'{' | b'[' => (self.depth, self.is_open) = (self.depth + 1, true),
            b',' => self.new_line(line),
            b':' => line.push(b' '),
            _ => {}
        }
    }

    fn new_line(&self, line: &mut Vec<u8>) {
        line.push(b'\n');
        // Nobody reads what is deeper, and a server could ask for as many blanks as it likes.
        line.extend_from_slice(INDENT.repeat(self.depth.min(64)).as_bytes());
    }
}

impl<W: Write> Write for Pretty<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = Vec::with_capacity(bytes.len() * 2);
        for byte in bytes {
            self.byte(*byte, &mut line);
        }
        self.out.write_all(&line)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out, however the bytes are cut into pieces.
    fn harmless(bytes: &[u8]) -> String {
        let whole = piecewise(bytes, bytes.len().max(1));
        for size in 1..5 {
            assert_eq!(piecewise(bytes, size), whole);
        }
        whole
    }

    fn piecewise(bytes: &[u8], size: usize) -> String {
        let mut out = Vec::new();
        let mut harmless = Harmless::new(&mut out);
        bytes.chunks(size).for_each(|piece| harmless.write_all(piece).unwrap());
        harmless.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_terminal_finds_nothing_to_obey_and_lines_stay_lines() {
        assert_eq!(harmless(b"a\x1b[2Jb\r\n\tc\x07\x7f"), "a\u{fffd}[2Jb\n\tc\u{fffd}\u{fffd}");
        assert_eq!(harmless("x\u{9b}31m\u{202e}y".as_bytes()), "x\u{fffd}31m\u{fffd}y");
        assert_eq!(harmless("Grüße 東京 🔑".as_bytes()), "Grüße 東京 🔑");
        assert_eq!(harmless(b"a\xffb\xe2\x82"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn what_is_no_text_is_told_from_text_that_is_cut_off() {
        assert!(is_binary(b"PK\x03\x04\0") && is_binary(b"\x89PNG\r\n") && is_binary("h\0i\0".as_bytes()));
        assert!(!is_binary(b"") && !is_binary(&"Grü".as_bytes()[..3]) && !is_binary(b"\x1b[2J"));
    }

    fn pretty(text: &str) -> String {
        let mut out = Vec::new();
        for size in [1, 3, 1000] {
            out.clear();
            let mut pretty = Pretty::new(&mut out);
            text.as_bytes().chunks(size).for_each(|piece| pretty.write_all(piece).unwrap());
            pretty.finish().unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_laid_out_and_nothing_else_about_it_is_changed() {
        assert_eq!(
            pretty(r#"{"b":1.50,"a":[],"c":{"t":"x, {\"y\": [\\"}, "n":[1e400,true]}"#),
            "{\n  \"b\": 1.50,\n  \"a\": [],\n  \"c\": {\n    \"t\": \"x, {\\\"y\\\": [\\\\\"\n  },\n  \"n\": [\n    1e400,\n    true\n  ]\n}\n"
        );
        assert_eq!(pretty("{}\n{}\n"), "{}\n{}\n");
        assert_eq!(pretty("  12 \n"), "12\n");
        assert_eq!(pretty(""), "");
    }

    #[test]
    fn what_is_laid_out_means_what_was_sent() {
        let text = r#"[{"a":"\u001b\n","b":[[],{},[{}]],"c":-0.0},"x",null]"#;
        let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(same(&pretty(text)), same(text));
        assert_eq!(pretty(&pretty(text)), pretty(text));
        // Neither brackets without an end nor those without a beginning cost more than they are long.
        assert!(pretty(&"[".repeat(1000)).len() < 200_000);
        assert!(pretty("]]]}").contains(']'));
    }
}
