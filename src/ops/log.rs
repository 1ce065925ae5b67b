//! `vault log`: what was done with the vault on this machine. Needs no key.

use jiff::Timestamp;

use super::audit::{Event, visible};
use super::{Context, Error, Vault};
use crate::domain::{ProfileName, VaultId};
use crate::store::Reading;

/// Longest line that is tried, in bytes: ours are much shorter, and an edited file may have no line breaks.
const LONGEST_TRIED: usize = 64 * 1024;

/// How every line of ours begins. Within a text its quotes would be escaped.
const BEGINNING: &[u8] = br#"{"time":"#;

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Those about the profile or the client of this name.
    pub about: Option<ProfileName>,
    /// Those from this moment on.
    pub since: Option<Timestamp>,
}

impl Query {
    fn wants(&self, event: &Event) -> bool {
        let is_about = |name: &ProfileName| {
            let names = [&event.profile, &event.client, &event.to];
            names.into_iter().flatten().any(|it| it == name.as_str())
        };
        self.since.is_none_or(|since| event.time >= since) && self.about.as_ref().is_none_or(is_about)
    }
}

/// A line that could be read.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it says. Anybody who can write the file could have said so.
    pub event: Event,
    /// The line as it is stored, in visible ASCII.
    pub text: String,
}

/// Some lines, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Those that are wanted.
    pub lines: Vec<Line>,
    /// How many could not be read.
    pub unreadable: usize,
}

/// The log of one vault, being read.
pub struct Log<'a> {
    reading: Box<dyn Reading + 'a>,
    query: Query,
    /// The beginning of a line whose end has not been read yet.
    rest: Vec<u8>,
    is_too_long: bool,
}

impl<'a> Log<'a> {
    /// The log of the vault in this place.
    ///
    /// # Errors
    ///
    /// [`Error::NoVault`] if there is none, or as the storage says.
    pub fn open(ctx: Context<'a>, query: Query) -> Result<Self, Error> {
        let reading = ctx.journal.read(&vault_here(ctx)?)?;
        Ok(Self { reading, query, rest: Vec::new(), is_too_long: false })
    }

    /// The next lines, if there are any by now. Ask again until there are none.
    ///
    /// # Errors
    ///
    /// As the storage says.
    pub fn more(&mut self) -> Result<Option<Batch>, Error> {
        let piece = self.reading.more()?;
        let mut batch = Batch::default();
        piece.split_inclusive(|byte| *byte == b'\n').for_each(|part| self.take(part, &mut batch));
        Ok((!piece.is_empty()).then_some(batch))
    }

    /// Whether the last line has no end: it was cut off by a full disk or a power loss.
    pub fn is_cut_off(&self) -> bool {
        self.is_too_long || !self.rest.is_empty()
    }

    fn take(&mut self, part: &[u8], batch: &mut Batch) {
        self.is_too_long |= self.rest.len() + part.len() > LONGEST_TRIED;
        if !self.is_too_long {
            self.rest.extend_from_slice(part);
        }
        if !part.ends_with(b"\n") {
            return;
        }
        let line = std::mem::take(&mut self.rest);
        let is_too_long = std::mem::take(&mut self.is_too_long);
        match parse(line.trim_ascii()).filter(|_| !is_too_long) {
            Some(line) if self.query.wants(&line.event) => batch.lines.push(line),
            Some(_) => {}
            None if line.trim_ascii().is_empty() && !is_too_long => {}
            None => batch.unreadable += 1,
        }
    }
}

/// The vault in this place; if it cannot be read, the one that was seen there last.
fn vault_here(ctx: Context<'_>) -> Result<VaultId, Error> {
    let error = match Vault::open(ctx) {
        Ok(vault) => return Ok(vault.id().clone()),
        Err(error) => error,
    };
    ctx.memory.known_vault()?.ok_or(error)
}

fn parse(bytes: &[u8]) -> Option<Line> {
    let whole = |bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(Line { event: serde_json::from_str(text).ok()?, text: visible(text) })
    };
    // What was cut off before it has no line break, and stands in the same line.
    let last = || bytes.windows(BEGINNING.len()).rposition(|window| window == BEGINNING);
    whole(bytes).or_else(|| whole(&bytes[last()?..]))
}
