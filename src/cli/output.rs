//! Standard output has the answer and nothing else; standard error talks.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::args::{Globals, When};
use super::environment::Environment;
use super::error::Failure;
use super::exit::Code;
use super::progress::Progress;
use super::table::{Look, printable};

/// Where answers and talk go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// Whether answers are JSON.
    pub json: bool,
    quiet: bool,
    colour: bool,
    colours_stderr: bool,
}

impl Output {
    /// The output that the command line and the environment ask for.
    pub(super) fn new(globals: &Globals, environment: &Environment) -> Self {
        let wants_colour = |is_terminal: bool| match globals.color {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && !environment.no_color,
        };
        Self {
            json: globals.json,
            quiet: globals.quiet,
            colour: wants_colour(io::stdout().is_terminal()),
            colours_stderr: wants_colour(io::stderr().is_terminal()),
        }
    }

    /// How tables are to look.
    pub(super) fn look(self) -> Look {
        Look { width: width(&io::stdout()), colour: self.colour }
    }

    /// How many columns standard error has; `None` where it is no terminal, or nobody knows.
    pub(super) fn columns_of_stderr(self) -> Option<u16> {
        if io::stderr().is_terminal() { width(&io::stderr()) } else { None }
    }

    /// Whether what a terminal obeys may be written to standard error.
    pub(super) fn colours_stderr(self) -> bool {
        self.colours_stderr
    }

    /// Writes the answer to standard output.
    pub(super) fn answer(self, text: &str) -> Result<(), Failure> {
        write_out(text.as_bytes())
    }

    /// Writes a secret answer and a line break to standard output.
    pub(super) fn secret_line(self, secret: &SecretString) -> Result<(), Failure> {
        write_out(secret.expose_secret().as_bytes())?;
        write_out(b"\n")
    }

    /// Writes a secret answer to standard output as it is.
    pub(super) fn secret(self, secret: &SecretString) -> Result<(), Failure> {
        write_out(secret.expose_secret().as_bytes())
    }

    /// Writes `things` under `plural`, or under whatever names they are, as versioned JSON.
    pub(super) fn json(self, plural: &str, things: Value) -> Result<(), Failure> {
        let mut object = json!({ "version": 1 });
        object[plural] = things;
        self.answer(&format!("{object:#}\n"))
    }

    /// Says something to the person, unless nobody wants to hear it.
    pub(super) fn say(self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// A progress line, for what may take longer than a second.
    pub(super) fn progress(self, what: &'static str) -> Progress {
        Progress::new(what, !self.quiet)
    }

    /// Warns the person, even when quiet.
    pub(super) fn warn(self, text: &str) {
        say(&format!("warning: {text}"));
    }
}

/// Sends commands to the program that reads our output, on the stream that is not the answer.
pub(super) fn command_channel(commands: &SecretString) {
    let mut stderr = io::stderr().lock();
    // Whoever does not read them does not obey them either.
    let _ = stderr.write_all(commands.expose_secret().as_bytes()).and_then(|()| stderr.flush());
}

/// Tells what is wrong with the command line, less what a terminal would obey: it repeats what was typed.
pub(super) fn complain(text: &str) {
    say(text.trim_end());
}

/// Tells why the command failed, and returns its exit code.
pub(super) fn fail(failure: &Failure) -> ExitCode {
    let mut text = failure.to_string();
    if let Some(block) = &failure.block {
        text.push_str(&rescue(block));
    }
    let _ = io::stderr().write_all(text.as_bytes());
    failure.status.into()
}

fn rescue(block: &str) -> String {
    format!("-----BEGIN VAULT RESCUE-----\n{block}-----END VAULT RESCUE-----\n")
}

/// Whether anybody may still read our answer: not when the other end of the pipe is closed.
#[cfg(unix)]
pub(super) fn has_reader() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stdout = io::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
    let answered = poll(&mut asked, Some(&Timespec::default()));
    answered.is_err() || !asked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

#[cfg(not(unix))]
pub(super) fn has_reader() -> bool {
    true
}

#[cfg(unix)]
fn width(terminal: &impl std::os::fd::AsFd) -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

#[cfg(not(unix))]
fn width<T>(_: &T) -> Option<u16> {
    None
}

fn say(text: &str) {
    let lines: Vec<_> = text.lines().map(printable).collect();
    // Nobody may be listening; the work goes on.
    let _ = io::stderr().write_all(format!("{}\n", lines.join("\n")).as_bytes());
}

fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        // The reader has had enough; that is its right.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Code::Storage, format!("cannot write the answer: {error}"))
            .hint("the token, if one was obtained, is cached; run the command again")),
    }
}
