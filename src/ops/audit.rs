//! The audit log: what was done with the vault key, by whom, and how it ended.
//!
//! Whoever gets at the key is written down, without any doing of the operation: [`Vault::unlock`] says so to
//! the [`Entry`] in the context. What the operation adds are names: of the profile, of the fields that were
//! handed out. There is no way to add anything else, so that no secret and no text of a server can get in.
//!
//! [`Vault::unlock`]: super::Vault::unlock

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::domain::{ClientName, DocumentId, Field, ProfileName, SealedField, VaultId};
use crate::store;
use crate::system::Asker;

/// Most characters of an executable's path that are kept, from its end: so each of them may be escaped, and
/// a line is shorter than [`LONGEST_LINE`].
const LONGEST_PROGRAM: usize = 200;

/// Longest line, in bytes: the block of nearly every file system, which is written as a whole.
pub const LONGEST_LINE: usize = 4096;

/// One line of the log. The field names are part of the vault format.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When it ended.
    pub time: Timestamp,
    /// The command, as it is typed: `token`, `client add`.
    pub what: String,
    /// The profile that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The client that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The new name of what was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The key slot that it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The fields that were asked for: what was handed out, if it went well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Where the access token came from: `cached` or `refreshed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who asked.
    pub by: By,
    /// `ok`, or in a few words what went wrong.
    pub result: String,
    /// The exit code of what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
}

/// Who asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct By {
    /// The number of the process that started vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The number of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
}

impl From<Asker> for By {
    fn from(asker: Asker) -> Self {
        let program = asker.program.map(|path| end_of(&path.to_string_lossy()));
        Self { pid: asker.pid, program, user: asker.user }
    }
}

/// The end of a long text: there it says more than at the beginning.
fn end_of(text: &str) -> String {
    match text.chars().count().checked_sub(LONGEST_PROGRAM) {
        None | Some(0) => text.to_owned(),
        Some(more) => text.chars().skip(more).collect(),
    }
}

/// How a deed ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// As it should.
    Done,
    /// It failed.
    Failed {
        /// The exit code.
        exit: u8,
        /// What that means, in a few words.
        why: &'static str,
    },
}

/// Where an access token came from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// It was stored.
    Cached,
    /// The provider has just issued it.
    Refreshed,
}

/// What is known so far about what is being done. Nothing is written before it has ended.
#[derive(Debug)]
pub struct Entry {
    what: String,
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    /// Whose key was asked for. Without it there is nothing to write down.
    vault: Option<VaultId>,
    /// The whole name of a command that has a shorter one.
    what: Option<&'static str>,
    profile: Option<String>,
    client: Option<String>,
    to: Option<String>,
    slot: Option<String>,
    fields: Vec<String>,
    token: Option<Source>,
}

impl Entry {
    /// Nothing is known yet but what is meant to be done.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), facts: Mutex::default() }
    }

    /// The same deed in the same vault, done to one thing of several, with a line of its own.
    pub(super) fn one_of_several(&self) -> Self {
        let vault = self.facts().vault.clone();
        Self { facts: Mutex::new(Facts { vault, ..Facts::default() }), ..Self::new(&*self.what) }
    }

    /// It is to be written down that the key of this vault was asked for, or that it was changed who gets it.
    pub(super) fn concerns(&self, vault: &VaultId) {
        self.facts().vault = Some(vault.clone());
    }

    /// It turns out that nothing is handed out and nothing is changed.
    pub fn forgo(&self) {
        *self.facts() = Facts::default();
    }

    /// It was typed by a shorter name.
    pub(super) fn is_called(&self, what: &'static str) {
        self.facts().what = Some(what);
    }

    pub(super) fn profile(&self, name: &ProfileName) {
        self.facts().profile = Some(name.to_string());
    }

    pub(super) fn client(&self, name: &ClientName) {
        self.facts().client = Some(name.to_string());
    }

    pub(super) fn renamed(&self, to: impl ToString) {
        self.facts().to = Some(to.to_string());
    }

    pub(super) fn slot(&self, id: &DocumentId) {
        self.facts().slot = Some(id.to_string());
    }

    pub(super) fn fields(&self, fields: impl IntoIterator<Item = Field>) {
        let mut names: Vec<String> = fields.into_iter().map(|field| field.to_string()).collect();
        names.sort();
        names.dedup();
        self.facts().fields = names;
    }

    /// What is asked for is an ID token.
    pub(super) fn id_token(&self) {
        self.facts().fields = vec![SealedField::IdToken.to_string()];
    }

    pub(super) fn token(&self, source: Source) {
        self.facts().token = Some(source);
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has been done, and in which vault, if it is to be written down.
    fn take(&self, time: Timestamp, by: By, outcome: Outcome) -> Option<(VaultId, Event)> {
        let facts = std::mem::take(&mut *self.facts());
        let (result, exit) = match outcome {
            Outcome::Done => ("ok", None),
            Outcome::Failed { exit, why } => (why, Some(exit)),
        };
        let token = facts.token.map(|source| match source {
            Source::Cached => "cached".to_owned(),
            Source::Refreshed => "refreshed".to_owned(),
        });
        let Facts { profile, client, to, slot, fields, .. } = facts;
        let what = facts.what.map_or_else(|| self.what.clone(), str::to_owned);
        let result = result.to_owned();
        let event = Event { time, what, profile, client, to, slot, fields, token, by, result, exit };
        Some((facts.vault?, event))
    }
}

/// Writes down what has just ended, if the vault key was asked for.
///
/// # Errors
///
/// If it cannot be written. It is done all the same.
pub fn close(ctx: Context<'_>, by: impl FnOnce() -> Asker, outcome: Outcome) -> Result<(), store::Error> {
    if ctx.audit.facts().vault.is_none() {
        return Ok(());
    }
    match ctx.audit.take(ctx.clock.now(), by().into(), outcome) {
        Some((vault, event)) => ctx.journal.append(&vault, &line(&event)),
        None => Ok(()),
    }
}

/// The event as it is stored, without a line break.
pub fn line(event: &Event) -> String {
    visible(&serde_json::to_string(event).expect("an event can be written to memory"))
}

/// JSON that means the same in visible ASCII, which no terminal obeys.
pub(super) fn visible(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut line, c| {
        match c {
            ' '..='~' => line.push(c),
            // Only between its parts: within a text it is no JSON.
            '\0'..' ' => line.push(' '),
            // Only in a text.
            _ => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| line.push_str(&format!("\\u{unit:04x}")));
            }
        }
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(program: &str) -> Event {
        let asker = Asker { pid: Some(u32::MAX), program: Some(program.into()), user: Some(u32::MAX) };
        let longest = "x".repeat(64);
        Event {
            time: "2026-01-02T03:04:05.123456789Z".parse().unwrap(),
            what: longest.clone(),
            profile: Some(longest.clone()),
            client: Some(longest.clone()),
            to: Some(longest.clone()),
            slot: Some(longest.clone()),
            fields: Field::ALL.map(|field| field.to_string()).to_vec(),
            token: Some("refreshed".to_owned()),
            by: asker.into(),
            result: longest,
            exit: Some(255),
        }
    }

    #[test]
    fn the_longest_line_is_shorter_than_a_block_whatever_the_program_is_called() {
        for name in ["/a", "\u{1b}", "\n", "\u{202e}", "\u{1f511}", "\""] {
            let line = line(&event(&name.repeat(4096)));
            assert!(line.len() < LONGEST_LINE, "{}", line.len());
        }
    }

    #[test]
    fn a_line_is_visible_ascii_and_means_what_was_meant() {
        let name = "/bin/\u{1b}]0;x\u{7}\n\u{7f}\u{9b}\u{202e}Grüße 🔑\"\\";

        let line = line(&event(name));

        assert!(line.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{line}");
        let read: Event = serde_json::from_str(&line).unwrap();
        assert_eq!(read.by.program.as_deref(), Some(name));
    }

    #[test]
    fn of_a_long_path_the_end_is_kept() {
        let path = format!("{}/the-program", "/long".repeat(100));
        let by: By = Asker { pid: None, program: Some(path.into()), user: None }.into();
        assert!(by.program.unwrap().ends_with("/the-program"));
    }
}
