//! The log on standard error, and what a bug says: neither shows a secret.
//!
//! What keeps secrets out of the log is that they are in types without `Display`. Here stand three
//! nets behind that: records of other crates, which know nothing of it, are dropped at every level;
//! text that looks like a secret is blacked out; and a panic says where it happened, not its
//! message.

use std::io::{self, Write};
use std::panic::Location;

use env_logger::{Builder, Logger, Target};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::table::printable;

/// The target of our records, and the beginning of those of our modules.
const OURS: &str = "vault";

/// How much the log says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Verbosity {
    /// How often `-v` was given.
    pub verbose: u8,
    /// Whether `-q` was given.
    pub quiet: bool,
}

impl Verbosity {
    /// What was asked for on the command line, if anything was.
    fn asked(self) -> Option<LevelFilter> {
        match (self.quiet, self.verbose) {
            (true, _) => Some(LevelFilter::Error),
            (false, 0) => None,
            (false, 1) => Some(LevelFilter::Info),
            (false, 2) => Some(LevelFilter::Debug),
            (false, _) => Some(LevelFilter::Trace),
        }
    }
}

/// Starts the log: warnings, unless the command line or else `rust_log`, the value of `RUST_LOG`, says
/// otherwise. Does nothing if a log has been started already.
pub(super) fn start(verbosity: Verbosity, rust_log: Option<&str>) {
    let log = our_log(verbosity, rust_log, Target::Stderr);
    let level = log.inner.filter();
    if log::set_boxed_logger(Box::new(log)).is_ok() {
        log::set_max_level(level);
    }
}

/// Makes a panic say that it is a bug, and where; its message could hold a secret.
///
/// Whoever catches the panic, or the end of the main thread, still picks the exit code.
pub(super) fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // Standard error may be closed, and a panic in here would end the process at once.
        let _ = io::stderr().write_all(bug_report(panic.location()).as_bytes());
    }));
}

fn bug_report(location: Option<&Location<'_>>) -> String {
    let place = location.map_or_else(String::new, |place| format!(" at {place}"));
    format!("error: vault has met a bug{place}\nhint: please report this line; it shows no secret\n")
}

/// A log that knows only our own records.
struct OurLog {
    inner: Logger,
}

fn our_log(verbosity: Verbosity, rust_log: Option<&str>, target: Target) -> OurLog {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Warn).target(target).format(write_record);
    match (verbosity.asked(), rust_log) {
        (Some(level), _) => builder.filter_level(level),
        (None, Some(filters)) => builder.parse_filters(filters),
        (None, None) => &mut builder,
    };
    OurLog { inner: builder.build() }
}

impl Log for OurLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata.target()) && self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if is_ours(record.target()) {
            self.inner.log(record);
        }
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// `warning: message`; the module too where somebody looks closer.
fn write_record(out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    let message = redacted(&record.args().to_string());
    let message = printable(&message);
    let module = record.target().strip_prefix("vault::").unwrap_or(OURS);
    match record.level() {
        Level::Error => writeln!(out, "error: {message}"),
        Level::Warn => writeln!(out, "warning: {message}"),
        Level::Info => writeln!(out, "info: {message}"),
        Level::Debug => writeln!(out, "debug: {module}: {message}"),
        Level::Trace => writeln!(out, "trace: {module}: {message}"),
    }
}

/// Stands for what looked like a secret.
const REDACTED: &str = "[redacted]";

/// Names whose value is a secret, in a form, a header, a URL or JSON.
const SECRET_NAMES: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "assertion",
    "authorization",
    "client_secret",
    "code_verifier",
    "cookie",
    "device_code",
    "id_token",
    "passphrase",
    "password",
    "refresh_token",
    "secret",
    "token",
];

/// Such names that are ordinary words as well: only before a `=`.
const SECRET_PARAMETERS: &[&str] = &["code", "key", "state"];

/// How secrets of the providers and of age begin.
const SECRET_BEGINNINGS: &[&str] = &[
    "AGE-SECRET-KEY-",
    "AIza",
    "GOCSPX-",
    "eyJ",
    "gho_",
    "ghp_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "ya29.",
];

/// Shortest run of letters and digits, mixed as no word or number is, that is taken for a secret: a
/// name is shorter, a random value of 128 bits in base64 is not.
const RANDOM_LENGTH: usize = 22;

/// `text` without what looks like a secret.
fn redacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_named_secret = false;
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = split_word(rest);
        let (gap, next) = after.split_at(after.find(is_word_char).unwrap_or(after.len()));
        let is_scheme = is_one_of(&["basic", "bearer"], word);
        let is_secret = !word.is_empty() && (is_named_secret || looks_secret(word)) && !is_scheme;
        out.push_str(if is_secret { REDACTED } else { word });
        out.push_str(gap);
        is_named_secret = is_scheme || names_a_secret(word, gap);
        rest = next;
    }
    out
}

/// Splits off the word at the beginning, which may be empty.
fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word_char(c)).unwrap_or(text.len()))
}

/// Letters, digits, and what base64, its URL form, JWTs and percent-encoding use; not `=`, which
/// parts a name from its value.
fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '%')
}

/// Whether `name` and what stands behind it, `=` or `: ` or `": "`, introduce a secret.
fn names_a_secret(name: &str, gap: &str) -> bool {
    let introduces =
        gap.contains(['=', ':']) && gap.chars().all(|c| matches!(c, '=' | ':' | '"' | '\'' | ' '));
    let is_parameter = gap.starts_with('=') && is_one_of(SECRET_PARAMETERS, name);
    introduces && (is_parameter || is_one_of(SECRET_NAMES, name))
}

fn is_one_of(names: &[&str], word: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Whether a part of it has a secret's beginning, or is long and mixed as only random text is.
fn looks_secret(word: &str) -> bool {
    let begins_so = |part: &str| SECRET_BEGINNINGS.iter().any(|beginning| part.starts_with(beginning));
    begins_so(word) || word.split(['/', '.', '%']).any(|part| begins_so(part) || is_random(part))
}

fn is_random(part: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| part.as_bytes().iter().any(kind);
    part.len() >= RANDOM_LENGTH
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps what is written to it.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What stands in the log after one record of each level from `target`.
    fn logged(verbosity: Verbosity, rust_log: Option<&str>, target: &str) -> String {
        let paper = Paper::default();
        let log = our_log(verbosity, rust_log, Target::Pipe(Box::new(paper.clone())));
        for level in Level::iter() {
            log.log(&Record::builder().target(target).level(level).args(format_args!("hello")).build());
        }
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn verbose(verbose: u8) -> Verbosity {
        Verbosity { verbose, quiet: false }
    }

    #[test]
    fn each_v_says_more() {
        assert_eq!(logged(verbose(0), None, "vault::ops"), "error: hello\nwarning: hello\n");
        assert_eq!(logged(verbose(1), None, "vault::ops"), "error: hello\nwarning: hello\ninfo: hello\n");
        assert!(logged(verbose(2), None, "vault::ops").ends_with("debug: ops: hello\n"));
        assert!(logged(verbose(3), None, "vault").ends_with("trace: vault: hello\n"));
        let quiet = Verbosity { verbose: 0, quiet: true };
        assert_eq!(logged(quiet, Some("trace"), "vault::ops"), "error: hello\n");
    }

    #[test]
    fn rust_log_counts_where_the_command_line_is_silent() {
        assert!(logged(verbose(0), Some("debug"), "vault::ops").ends_with("debug: ops: hello\n"));
        assert!(logged(verbose(0), Some("vault::oauth=trace"), "vault::oauth::wire").contains("trace"));
        assert_eq!(
            logged(verbose(0), Some("vault::oauth=trace"), "vault::ops"),
            "error: hello\nwarning: hello\n"
        );
        assert!(!logged(verbose(1), Some("trace"), "vault::ops").contains("debug"));
    }

    #[test]
    fn other_crates_are_not_heard_at_any_level() {
        for target in ["reqwest", "rustls::client", "vaulted", "h2::vault", "vault_core", ""] {
            assert_eq!(logged(verbose(9), None, target), "", "{target}");
            assert_eq!(logged(verbose(0), Some(&format!("trace,{target}=trace")), target), "", "{target}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_blacked_out() {
        for text in [
            "got ya29.canary",
            "refresh_token=1//canary&x=1",
            "Authorization: Bearer canary",
            "authorization: basic canary",
            r#"{"access_token": "canary", "expires_in": 3599}"#,
            "http://127.0.0.1:1234/?code=4%2F0canary&scope=x",
            "AGE-SECRET-KEY-1CANARY",
            "key AIzacanary",
            "1//0gCanaryCanaryCanary09Canary-Canary",
            "client_secret='canary'",
        ] {
            let shown = redacted(text);
            assert!(!shown.to_lowercase().contains("canary"), "{text} → {shown}");
            assert!(shown.contains(REDACTED), "{text} → {shown}");
        }
    }

    #[test]
    fn a_record_is_blacked_out_before_it_is_written() {
        let mut out = Vec::new();
        let record = Record::builder().level(Level::Info).args(format_args!("got ya29.canary")).build();

        write_record(&mut out, &record).unwrap();

        assert_eq!(String::from_utf8(out).unwrap(), "info: got [redacted]\n");
    }

    #[test]
    fn ordinary_messages_stay_readable() {
        for text in [
            "",
            "refreshing profile `work` at https://oauth2.googleapis.com/token",
            "wrote /home/me/.local/share/vault/profiles/work.json, generation 42",
            "document 0123456789abcdef0123456789abcdef has no mark",
            "scope https://www.googleapis.com/auth/gmail.readonly: granted",
            "error code: 503, state: live, key: 0123",
            "the token endpoint; a token, a secret and a key",
            "waited 45 s; status 503; at 2026-11-22T16:04:00Z",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn a_record_cannot_command_the_terminal_or_forge_a_line() {
        let mut out = Vec::new();
        let record = Record::builder().level(Level::Warn).args(format_args!("a\u{1b}[2J\nerror: b")).build();

        write_record(&mut out, &record).unwrap();

        assert_eq!(String::from_utf8(out).unwrap(), "warning: a\u{fffd}[2J\u{fffd}error: b\n");
    }

    /// Runs itself again, because a panic hook belongs to the whole process.
    #[test]
    fn a_panic_says_where_and_not_what() {
        if std::env::var_os("VAULT_TEST_PANICS").is_some() {
            hide_panics();
            panic!("canary");
        }
        let this = "cli::log::tests::a_panic_says_where_and_not_what";
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", this, "--nocapture"]).env("VAULT_TEST_PANICS", "1").env("RUST_BACKTRACE", "1");

        let output = again.output().unwrap();

        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains("error: vault has met a bug at src/cli/log.rs:"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}
