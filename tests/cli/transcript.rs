//! What the program says, written down as a person sees it at a terminal, for snapshots.
//!
//! A snapshot that differs fails. To take in what you have read and want: `INSTA_UPDATE=always`.

use crate::home::{Home, Run};

/// Commands with everything that they have answered and said.
#[derive(Default)]
pub struct Transcript {
    text: String,
}

impl Transcript {
    /// Runs a command and writes down how it went.
    pub fn run(&mut self, home: &Home, arguments: &[&str]) {
        let run = home.run(arguments);
        self.note(&run);
    }

    /// Runs a command that logs in, consents, and writes down how it went.
    pub fn run_login(&mut self, home: &Home, arguments: &[&str]) {
        let run = home.consent(arguments);
        self.note(&run);
    }

    /// Writes down how a run went.
    pub fn note(&mut self, run: &Run) {
        let Run { arguments, code, stdout, stderr } = run;
        self.text.push_str(&format!("$ vault {arguments}\n{stdout}{stderr}[exit code {code}]\n\n"));
    }

    /// Compares it with the snapshot `name`.
    #[track_caller]
    pub fn compare(self, name: &str) {
        // A slow machine makes ages longer and columns wider; that columns are straight, a unit test holds.
        compare(name, &with_narrow_columns(&self.text));
    }
}

fn with_narrow_columns(text: &str) -> String {
    let narrow = |line: &str| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        format!("{indent}{}\n", cells.join("  "))
    };
    text.lines().map(narrow).collect()
}

/// Compares `text` with the snapshot `name`, less what differs from run to run.
#[track_caller]
pub fn compare(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, instead) in [
        (r"/[^\s`]*/vault-test-[A-Za-z0-9]+", "[HOME]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
        (r"\d{8}T\d{6}\.\d{3}Z", "[TIME]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
        (r"\b[0-9a-f]{32}\b", "[ID]"),
        (r"age1[0-9a-z]{58}", "[RECIPIENT]"),
        (r"http://127[^\s]*response_type=code[^\s]*", "[ADDRESS]"),
        (r#"("access_token": )"[^"]+""#, r#"$1"[TOKEN]""#),
        (r"just now|\b\d+ seconds? ago", "[AGO]"),
        (r"\b\d+s ago", "0s ago"),
        (r"\b(5\d|60)m left", "60m left"),
    ] {
        settings.add_filter(pattern, instead);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}
