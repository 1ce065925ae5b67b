//! How the demo talks: plain lines, with the title of a step in bold on a terminal.

use std::cell::Cell;
use std::io::{self, IsTerminal};

/// Longest line that is shown whole.
const WIDTH: usize = 110;

/// How much of a token is shown.
const SHOWN: usize = 8;

/// Tells the story on standard output.
pub(crate) struct Telling {
    step: Cell<u32>,
    bold: (&'static str, &'static str),
}

impl Telling {
    /// Bold titles on a terminal, nothing but text elsewhere.
    pub(crate) fn new() -> Self {
        let is_plain = !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
        Self { step: Cell::new(0), bold: if is_plain { ("", "") } else { ("\x1b[1m", "\x1b[0m") } }
    }

    /// The title of the next step.
    pub(crate) fn step(&self, title: &str) {
        self.step.set(self.step.get() + 1);
        let (on, off) = self.bold;
        println!("\n{on}{:2}  {title}{off}", self.step.get());
    }

    /// A command, as a person would type it.
    pub(crate) fn command(&self, line: &str) {
        println!("    $ {line}");
    }

    /// What a command has said, with every one of `secrets` shortened.
    pub(crate) fn said(&self, text: &str, secrets: &[String]) {
        let mut text = text.to_owned();
        for secret in secrets {
            text = text.replace(secret, &format!("{}…", beginning(secret)));
        }
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            println!("      {}", shortened(line.trim_end()));
        }
    }

    /// What was shown by this step.
    pub(crate) fn shown(&self, fact: &str) {
        println!("    → {fact}");
    }
}

fn beginning(secret: &str) -> String {
    secret.chars().take(SHOWN).collect()
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(WIDTH - 1).collect::<String>())
}
