//! Talking with age plugins: other people's programs, which may ask, fail, hang or write rubbish.

use std::fmt::Display;
use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::Prompt;

/// How long a plugin may take, without the time in which a person is asked.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Most characters that are shown of what a plugin says.
const MAX_TEXT: usize = 400;

/// Runs `work`, which talks with a plugin through the [`Relay`] it is given, for at most `limit`.
///
/// The work runs on a thread of its own and is left behind when its time is over; the plugin then
/// loses its pipes when this process ends. The age crate keeps no handle to end it by.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    person: Option<&dyn Prompt>,
    work: impl FnOnce(Relay) -> T + Send + 'static,
) -> Option<T> {
    let (asks, asked) = mpsc::channel();
    let (done, result) = mpsc::channel();
    let relay = Relay { asks: asks.clone() };
    thread::spawn(move || {
        let _ = done.send(work(relay));
        let _ = asks.send(Ask::Done);
    });

    let mut deadline = Instant::now() + limit;
    loop {
        let ask = asked.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
        let start = Instant::now();
        match ask {
            Ask::Done => return result.try_recv().ok(),
            ask => ask.put_to(person),
        }
        deadline += start.elapsed();
    }
}

/// Brings a plugin's questions to the thread on which the person may be asked.
#[derive(Clone)]
pub(super) struct Relay {
    asks: Sender<Ask>,
}

enum Ask {
    Tell(String),
    Secret(String, Sender<Option<SecretString>>),
    Confirm { question: String, yes: String, no: Option<String>, answer: Sender<Option<bool>> },
    Done,
}

impl Ask {
    fn put_to(self, person: Option<&dyn Prompt>) {
        match self {
            Self::Tell(message) => {
                if let Some(person) = person {
                    person.tell(&message);
                }
            }
            // An answer that nobody waits for any more is no harm.
            Self::Secret(question, answer) => {
                let _ = answer.send(person.and_then(|person| person.passphrase(&question).ok()));
            }
            Self::Confirm { question, yes, no, answer } => {
                let _ = answer.send(person.and_then(|person| person.confirm(&question, &yes, no.as_deref())));
            }
            Self::Done => {}
        }
    }
}

impl Relay {
    fn ask<T>(&self, ask: impl FnOnce(Sender<Option<T>>) -> Ask) -> Option<T> {
        let (answer, answered) = mpsc::channel();
        self.asks.send(ask(answer)).ok()?;
        answered.recv().ok()?
    }
}

impl age::Callbacks for Relay {
    fn display_message(&self, message: &str) {
        let _ = self.asks.send(Ask::Tell(clean(message)));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.ask(|answer| Ask::Confirm {
            question: clean(message),
            yes: clean(yes),
            no: no.map(clean),
            answer,
        })
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        // A plugin's public question is rare; unseen typing answers it as well.
        use secrecy::ExposeSecret;
        self.request_passphrase(description).map(|text| text.expose_secret().to_owned())
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.ask(|answer| Ask::Secret(clean(description), answer))
    }
}

/// What a plugin's errors say, on one line.
pub(super) fn words(errors: &[impl Display]) -> String {
    let all: Vec<String> = errors.iter().map(|error| clean(&error.to_string())).collect();
    format!("the age plugin failed: {}", all.join("; "))
}

/// A plugin that is not installed.
pub(super) fn missing(error: &age::plugin::ResolveError) -> String {
    match error {
        age::plugin::ResolveError::MissingPlugin { binary_name } => {
            format!("the age plugin `{}` is not installed", clean(binary_name))
        }
        _ => "this is not the name of an age plugin".into(),
    }
}

/// A plugin with which no talk is possible.
pub(super) fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            "the age plugin ended in the middle of the talk".into()
        }
        kind => format!("the age plugin cannot be talked with ({kind})"),
    }
}

/// A plugin that took too long.
pub(super) fn slow(name: &str, limit: Duration) -> String {
    format!("the age plugin `age-plugin-{name}` took longer than {} seconds", limit.as_secs())
}

/// Foreign text without control characters and without those that change the direction of writing.
fn clean(text: &str) -> String {
    let shown =
        |c: &char| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().filter(shown).map(plain).take(MAX_TEXT).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use age::Callbacks;

    use super::*;
    use crate::unlock::PromptError;

    /// Somebody who answers `1234` to everything, slowly.
    struct Typist;

    impl Prompt for Typist {
        fn passphrase(&self, _question: &str) -> Result<SecretString, PromptError> {
            thread::sleep(Duration::from_millis(150));
            Ok(SecretString::from("1234"))
        }
    }

    #[test]
    fn a_plugin_that_hangs_is_left_behind() {
        let start = Instant::now();

        let result = within(Duration::from_millis(50), None, |_| thread::sleep(Duration::from_secs(60)));

        assert!(result.is_none());
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn the_time_in_which_a_person_types_does_not_count() {
        let answer =
            within(Duration::from_millis(100), Some(&Typist), |relay| relay.request_public_string("PIN?"));

        assert_eq!(answer.flatten().as_deref(), Some("1234"));
    }

    #[test]
    fn without_a_person_every_question_goes_unanswered() {
        let answers = within(Duration::from_secs(5), None, |relay| {
            relay.display_message("touch me");
            (relay.request_passphrase("PIN?").is_none(), relay.confirm("again?", "yes", None).is_none())
        });

        assert_eq!(answers, Some((true, true)));
    }

    #[test]
    fn foreign_text_is_shown_without_what_moves_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\r\nc\u{202e}d\u{2068}"), "a [2Jb  cd");
    }
}
