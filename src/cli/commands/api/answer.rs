//! Where an answer goes: to standard output as it comes, readable to a terminal, or into a file.

use std::fmt::Write as _;
use std::io::{self, Cursor, ErrorKind, IsTerminal, Read, Write};
use std::path::Path;

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::Args;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::harmless::{Harmless, Pretty, is_binary};
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::oauth::resource::Answer;
use crate::ops;
use crate::ops::api::{self, Exchanged, Pass};
use crate::system::{NewFile, Overwrite};

/// How much is copied at once, in bytes.
const PIECE: usize = 64 * 1024;

/// How much of the body of an error is kept, in bytes, to see what stands in the way.
const KEPT: usize = 64 * 1024;

/// How much of a body is looked at, in bytes, to tell whether it is text.
const LOOK: usize = 1024;

/// Longest body that can be a part of a JSON answer, in bytes: it has to be held in memory.
const LONGEST_IN_JSON: u64 = 16 << 20;

/// Writes the answer to where it is wanted, and fails if it is not what was asked for. Of a HEAD request
/// (`is_head`), the head is the answer.
pub(super) fn deliver(
    session: &Session,
    args: &Args,
    is_head: bool,
    mut exchanged: Exchanged,
    pass: &Pass,
) -> Result<(), Failure> {
    let head = Head::of(&exchanged.answer, is_head);
    let mut body = Tracked::of(&mut exchanged.answer, head.length, args.progress(session, "Received"));
    let written = write(session, args, &head, &mut body);
    let (received, begun) = (body.received, std::mem::take(&mut body.begun));
    let verdict = || Ok(exchanged.verdict(pass, &begun)?);
    match written {
        // Whoever has stopped reading has had enough; what the server said counts all the same.
        Ok(()) | Err(Stop::NoReader) => verdict(),
        Err(Stop::BrokenOff(error)) => Err(broken_off(&error, received, head.length)),
        // That the request has failed is what a script has to know; that its answer cannot be shown is less.
        Err(Stop::Failed(failure)) => {
            verdict().inspect_err(|_| output::complain(&format!("vault: {}", failure.in_one_line())))?;
            Err(*failure)
        }
    }
}

fn write(session: &Session, args: &Args, head: &Head, body: &mut Tracked<'_>) -> Result<(), Stop> {
    let file = args.file().filter(|_| head.is_success);
    if session.output.json {
        return write_json(head, file.map(|path| (&**path, args.force)), body);
    }
    let is_terminal = args.output.is_none() && io::stdout().is_terminal();
    if args.include || head.is_all {
        onto_stdout(&head.lines())?;
    }
    match file {
        Some(path) => into_file(path, args.force, body),
        None if is_terminal => onto_terminal(head, body),
        None => copy(body, &mut io::stdout().lock()),
    }
}

/// Why the end of an answer was not reached.
enum Stop {
    /// Nobody reads standard output any more.
    NoReader,
    /// The server.
    BrokenOff(io::Error),
    /// Something else that the user has to know.
    Failed(Box<Failure>),
}

impl Stop {
    fn of_writing(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            return Self::NoReader;
        }
        Failure::new(Code::Storage, format!("cannot write the answer: {error}"))
            .hint(
                "the request was sent and answered; if it has changed anything, do not send it again blindly",
            )
            .into()
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

fn broken_off(error: &io::Error, received: u64, length: Option<u64>) -> Failure {
    let of = length.map_or_else(String::new, |length| format!(" of {length}"));
    api::Error::BrokenOff { received: format!("{received}{of} bytes"), why: error.to_string() }.into()
}

/// The head of an answer, as far as it is shown.
struct Head {
    status: u16,
    status_line: String,
    is_success: bool,
    fields: Vec<(String, String)>,
    length: Option<u64>,
    is_json: bool,
    /// Whether nothing else was asked for.
    is_all: bool,
}

impl Head {
    fn of(answer: &Answer, is_all: bool) -> Self {
        let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        Self {
            status: answer.status,
            status_line: answer.status_line.clone(),
            is_success: answer.is_success(),
            fields: answer.headers().map(|(name, value)| (name.to_owned(), value)).collect(),
            // A server says how long the body would be (RFC 9110, 9.3.2).
            length: answer.length().filter(|_| !is_all),
            is_json: kind == "application/json" || kind.ends_with("+json"),
            is_all,
        }
    }

    /// As it was sent, with line ends of here.
    fn lines(&self) -> String {
        let mut lines = format!("{}\n", self.status_line);
        for (name, value) in &self.fields {
            let _ = writeln!(lines, "{name}: {value}");
        }
        lines + "\n"
    }

    /// For a JSON answer; fields of one name are joined as RFC 9110, 5.3 has it.
    fn as_json(&self) -> Map<String, Value> {
        let mut fields = Map::<String, Value>::new();
        for (name, value) in &self.fields {
            let joined = match fields.get(name).and_then(Value::as_str) {
                Some(before) => format!("{before}, {value}"),
                None => value.clone(),
            };
            fields.insert(name.clone(), joined.into());
        }
        let mut object = Map::new();
        object.insert("version".into(), 1.into());
        object.insert("status".into(), self.status.into());
        object.insert("headers".into(), fields.into());
        object
    }
}

/// A body on its way to the user: counted and shown, and kept for a moment if it is that of an error.
struct Tracked<'a> {
    body: &'a mut dyn Read,
    received: u64,
    length: Option<u64>,
    /// The beginning of the body of an error.
    begun: Vec<u8>,
    is_kept: bool,
    progress: Progress,
}

impl<'a> Tracked<'a> {
    fn of(answer: &'a mut Answer, length: Option<u64>, progress: Progress) -> Self {
        let is_kept = !answer.is_success();
        Self { body: &mut answer.body, received: 0, length, begun: Vec::new(), is_kept, progress }
    }
}

impl Read for Tracked<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(piece)?;
        self.received += count as u64;
        if self.is_kept && self.begun.len() < KEPT {
            self.begun.extend_from_slice(&piece[..count]);
        }
        self.progress.at_byte(self.received, self.length);
        Ok(count)
    }
}

/// The next piece of a body; nothing at its end.
fn next<'p>(body: &mut dyn Read, piece: &'p mut [u8]) -> Result<&'p [u8], Stop> {
    let count = body.read(piece).map_err(Stop::BrokenOff)?;
    Ok(&piece[..count])
}

fn copy(body: &mut dyn Read, out: &mut dyn Write) -> Result<(), Stop> {
    let mut piece = vec![0; PIECE];
    loop {
        match next(body, &mut piece)? {
            [] => return out.flush().map_err(Stop::of_writing),
            bytes => out.write_all(bytes).map_err(Stop::of_writing)?,
        }
    }
}

/// A text that the server has had a hand in.
fn onto_stdout(text: &str) -> Result<(), Stop> {
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() {
        let mut harmless = Harmless::new(stdout);
        return harmless
            .write_all(text.as_bytes())
            .and_then(|()| harmless.finish())
            .map_err(Stop::of_writing);
    }
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Stop::of_writing)
}

fn into_file(path: &Path, force: bool, body: &mut dyn Read) -> Result<(), Stop> {
    let failed = |error| Stop::from(Failure::from(ops::Error::NewFile(error)));
    let overwrite = if force { Overwrite::Allowed } else { Overwrite::Never };
    let mut file = NewFile::begin(path, overwrite).map_err(failed)?;
    let mut piece = vec![0; PIECE];
    loop {
        match next(body, &mut piece)? {
            [] => return file.finish().map_err(failed),
            bytes => file.write(bytes).map_err(failed)?,
        }
    }
}

/// Text, of which the terminal obeys nothing; JSON in lines.
fn onto_terminal(head: &Head, body: &mut dyn Read) -> Result<(), Stop> {
    let mut piece = vec![0; LOOK];
    let begun = next(body, &mut piece)?;
    if is_binary(begun) {
        return Err(Failure::usage("the answer is no text, and is not written to a terminal")
            .hint("the request was sent and answered; `-o FILE` writes an answer into a file")
            .into());
    }
    let mut whole = Cursor::new(begun).chain(body);
    let mut out = Harmless::new(io::stdout().lock());
    if head.is_json {
        let mut pretty = Pretty::new(&mut out);
        copy(&mut whole, &mut pretty)?;
        pretty.finish().map_err(Stop::of_writing)?;
    } else {
        copy(&mut whole, &mut out)?;
    }
    out.finish().map_err(Stop::of_writing)
}

/// The answer as one object; its body as JSON if it is that, else as a text, else in base64.
fn write_json(head: &Head, file: Option<(&Path, bool)>, body: &mut Tracked<'_>) -> Result<(), Stop> {
    let mut object = head.as_json();
    if let Some((path, force)) = file {
        into_file(path, force, body)?;
        object.insert("file".into(), path.to_string_lossy().into());
        object.insert("bytes".into(), body.received.into());
        return onto_stdout(&format!("{:#}\n", Value::Object(object)));
    }
    let mut bytes = Vec::new();
    (&mut *body).take(LONGEST_IN_JSON + 1).read_to_end(&mut bytes).map_err(Stop::BrokenOff)?;
    if bytes.len() as u64 > LONGEST_IN_JSON {
        return Err(Failure::usage("the answer is too long for `--json`, which holds it in memory")
            .hint("the request was sent and answered; leave out `--json`, or add `-o FILE`")
            .into());
    }
    onto_stdout(&with_body(object, &bytes))
}

fn with_body(mut object: Map<String, Value>, bytes: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let text = std::str::from_utf8(bytes).ok();
    match text.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok()) {
        // Put in as it is: a number means the same to the reader that it meant to the server.
        Some(json) => {
            let rest = Value::Object(object).to_string();
            format!("{},\"body\":{}}}\n", &rest[..rest.len() - 1], json.trim())
        }
        None => {
            let (name, value) = match text {
                Some(text) => ("body", json!(text)),
                None => ("body_base64", json!(BASE64_STANDARD.encode(bytes))),
            };
            object.insert(name.into(), value);
            format!("{}\n", Value::Object(object))
        }
    }
}
