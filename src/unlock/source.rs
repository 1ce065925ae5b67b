//! A passphrase without a person: from a file, or from what a command prints.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{FileError, PassphraseSource, file};
use crate::domain::{InvalidSecret, secret_from_text};

/// How long a passphrase command may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Most bytes that are read from a command: the longest secret and a line end.
const MAX_OUTPUT: u64 = 64 * 1024 + 2;

/// Why a file or a command gave no passphrase. Never says what it gave, nor the command's arguments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("the passphrase file cannot be used")]
    File(#[source] FileError),
    /// The command is not one: an open quote, or nothing at all.
    #[error("the passphrase command cannot be split into words")]
    NotACommand,
    /// The command could not be started.
    #[error("the passphrase command `{program}` cannot be run")]
    NotRun {
        /// The program, without its arguments.
        program: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The command says that it failed.
    #[error("the passphrase command `{program}` failed ({status})")]
    Failed {
        /// The program, without its arguments.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The command took too long and was stopped.
    #[error("the passphrase command `{program}` took longer than {} seconds", limit.as_secs())]
    TooSlow {
        /// The program, without its arguments.
        program: String,
        /// What it had.
        limit: Duration,
    },
    /// What was given is not one line of text.
    #[error("what the passphrase file or command gives is no passphrase")]
    NotAPassphrase(#[source] InvalidSecret),
    /// What was given is not text.
    #[error("what the passphrase file or command gives is not UTF-8")]
    NotText,
}

impl PassphraseSource {
    /// The passphrase, for a new slot.
    ///
    /// # Errors
    ///
    /// If the file or the command gives none.
    pub fn read(&self) -> Result<SecretString, Error> {
        read(self)
    }
}

/// Reads the passphrase.
pub(super) fn read(source: &PassphraseSource) -> Result<SecretString, Error> {
    let bytes = match source {
        PassphraseSource::File(path) => from_file(path)?,
        PassphraseSource::Command(line) => from_command(line, LIMIT)?,
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::NotText)?;
    secret_from_text(&SecretString::from(text)).map_err(Error::NotAPassphrase)
}

fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    Ok(file::read(path).map_err(Error::File)?.bytes)
}

fn from_command(line: &str, limit: Duration) -> Result<Zeroizing<Vec<u8>>, Error> {
    let deadline = Instant::now() + limit;
    let words = shlex::split(line).ok_or(Error::NotACommand)?;
    let (program, arguments) = words.split_first().ok_or(Error::NotACommand)?;
    let mut command = Command::new(program);
    // What it has to say, and its own questions, reach the person as if it were run alone.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|source| Error::NotRun { program: program.clone(), source })?;

    let output = output_until(deadline, &mut child);
    let ended = end_until(deadline, &mut child);
    match (output, ended) {
        (Some(bytes), Some(status)) if status.success() => Ok(bytes),
        (_, Some(status)) if !status.success() => Err(Error::Failed { program: program.clone(), status }),
        _ => Err(Error::TooSlow { program: program.clone(), limit }),
    }
}

/// What the child prints. Read on a thread of its own, because a grandchild may keep the pipe open
/// for ever, also after the child is gone.
fn output_until(deadline: Instant, child: &mut Child) -> Option<Zeroizing<Vec<u8>>> {
    let pipe = child.stdout.take()?;
    let (done, output) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT as usize));
        if pipe.take(MAX_OUTPUT).read_to_end(&mut bytes).is_ok() {
            let _ = done.send(bytes);
        }
    });
    output.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

/// How the child ends; it is killed if it does not.
fn end_until(deadline: Instant, child: &mut Child) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

#[cfg(all(test, unix))]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn run(line: &str) -> Result<String, Error> {
        read(&PassphraseSource::Command(line.into())).map(|text| text.expose_secret().to_owned())
    }

    #[test]
    fn a_passphrase_is_what_the_file_or_the_command_gives_less_one_newline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        std::fs::write(&path, "from a file \r\n").unwrap();

        let from_file = read(&PassphraseSource::File(path)).unwrap();

        assert_eq!(from_file.expose_secret(), "from a file ");
        assert_eq!(run("printf '%s\\n' 'from a command'").unwrap(), "from a command");
    }

    #[test]
    fn a_command_that_fails_is_named_without_its_arguments_and_output() {
        let error = run("sh -c 'echo canary-out; exit 3' canary-argument").unwrap_err();

        assert!(matches!(error, Error::Failed { .. }));
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert!(matches!(run("/nonexistent/helper").unwrap_err(), Error::NotRun { .. }));
        assert!(matches!(run("'open").unwrap_err(), Error::NotACommand));
        assert!(matches!(run("").unwrap_err(), Error::NotACommand));
    }

    #[test]
    fn a_command_that_does_not_end_is_stopped() {
        let start = Instant::now();

        for line in ["sleep 5", "sh -c 'sleep 5 & echo early'", "cat /dev/zero"] {
            let limit = Duration::from_millis(200);
            let result = from_command(line, limit);
            assert!(result.is_err() || line.contains("zero"), "{line}");
        }

        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_is_not_one_line_of_text_is_no_passphrase() {
        assert!(matches!(run("true").unwrap_err(), Error::NotAPassphrase(InvalidSecret::Empty)));
        assert!(matches!(run("printf 'a\\nb'").unwrap_err(), Error::NotAPassphrase(_)));
        assert!(matches!(run("printf '\\377'").unwrap_err(), Error::NotText));
    }
}
