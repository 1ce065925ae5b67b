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
        compare(name, &self.text);
    }
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
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
        (r"\b[0-9a-f]{32}\b", "[ID]"),
        (r"age1[0-9a-z]{58}", "[RECIPIENT]"),
        (r"http://127[^\s]*response_type=code[^\s]*", "[ADDRESS]"),
        (r#"("access_token": )"[^"]+""#, r#"$1"[TOKEN]""#),
        (r"just now|\b\d+ seconds? ago", "[AGO]"),
        (r"(LOGIN|TOKEN)(.*\n.*) \ds ", "$1$2 0s "),
        (r"in (59|60) minutes", "in [AN HOUR]"),
        (r"\b(59|60)m\b", "60m"),
    ] {
        settings.add_filter(pattern, instead);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}
