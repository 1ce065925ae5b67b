//! Questions to the person at the terminal.

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

use secrecy::SecretString;

use super::error::Failure;
use super::exit::Code;
use super::table::printable;
use crate::domain::ProfileName;
use crate::unlock::{Prompt, PromptError, passphrase};

/// How often a new passphrase may be typed.
const TRIES: usize = 3;

/// The person, as far as a terminal reaches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terminal;

impl Terminal {
    /// Whether somebody can be asked something that is typed on standard input.
    pub(super) fn is_there(self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether somebody can be asked for a secret, which is typed on the terminal itself, whatever
    /// standard input is.
    pub(super) fn takes_secrets(self) -> bool {
        io::stderr().is_terminal() && (io::stdin().is_terminal() || has_terminal())
    }

    /// Asks for a new passphrase, twice.
    pub(super) fn new_passphrase(self, question: &str) -> Result<SecretString, Failure> {
        for _ in 0..TRIES {
            let first = self.passphrase(question)?;
            if let Err(error) = passphrase::check(&first) {
                tell(&format!("{error}"));
                continue;
            }
            if is_same(&first, &self.passphrase("The same again: ")?) {
                return Ok(first);
            }
            tell("The two are not the same.");
        }
        Err(Failure::usage("no passphrase was chosen").hint("run the command again"))
    }

    /// Lets the person pick a profile.
    pub(super) fn pick(self, known: &[String]) -> Result<ProfileName, Failure> {
        let picked =
            dialoguer::Select::new().with_prompt("Which profile").items(known).default(0).interact_opt();
        match picked {
            Ok(Some(place)) => known[place].parse().map_err(|_| Failure::usage("that is no profile name")),
            _ => Err(Failure::new(Code::Cancelled, "cancelled")),
        }
    }

    /// Asks a question that is answered with yes or no; no answer is no.
    pub(super) fn confirm_plainly(self, question: &str) -> bool {
        let _ = write!(io::stderr(), "{} [y/N] ", printable(question));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
    }
}

/// Whether this process has a terminal of its own, as opposed to a cron job.
fn has_terminal() -> bool {
    cfg!(unix) && std::fs::File::open("/dev/tty").is_ok()
}

fn is_same(a: &SecretString, b: &SecretString) -> bool {
    use secrecy::ExposeSecret;
    use subtle::ConstantTimeEq;
    a.expose_secret().as_bytes().ct_eq(b.expose_secret().as_bytes()).into()
}

fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

impl Prompt for Terminal {
    fn passphrase(&self, question: &str) -> Result<SecretString, PromptError> {
        let question = format!("{} ", printable(question.trim_end()));
        match rpassword::prompt_password(question) {
            Ok(text) => Ok(text.into()),
            Err(error) => Err(match error.kind() {
                ErrorKind::Interrupted | ErrorKind::UnexpectedEof => PromptError::Cancelled,
                // What opening /dev/tty says in a process without a terminal.
                ErrorKind::NotFound => PromptError::NoTerminal,
                _ if !self.takes_secrets() => PromptError::NoTerminal,
                _ => PromptError::Io(error),
            }),
        }
    }

    fn tell(&self, message: &str) {
        tell(message);
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let choices = format!("{question} (y: {yes}, n: {})", no.unwrap_or("no"));
        self.is_there().then(|| self.confirm_plainly(&choices))
    }
}
