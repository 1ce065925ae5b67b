//! What is sent along: a text, a file, standard input, or fields.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use url::Url;

use super::Args;
use super::words::Words;
use crate::cli::error::Failure;
use crate::cli::progress::Progress;
use crate::oauth::resource::{Body, Header, Method};

/// How much is looked at to tell what a body is, in bytes.
const LOOK: usize = 64 * 1024;

/// The body of a request.
#[derive(Debug)]
pub(super) enum Content {
    /// There is none.
    Nothing,
    /// It was typed.
    Bytes(Vec<u8>),
    /// It is in a file.
    File(PathBuf),
    /// It comes in on standard input.
    Stdin,
}

/// A body that is about to be sent, and whether it looks like JSON.
pub(super) struct Opened {
    pub(super) body: Body,
    is_json: bool,
}

impl Opened {
    /// The body, which shows how much of it is sent.
    pub(super) fn shown_in(self, progress: Progress) -> Body {
        let length = self.body.length;
        Body { bytes: Box::new(Counted { bytes: self.body.bytes, sent: 0, length, progress }), length }
    }

    /// Says what it is, if `headers` do not.
    pub(super) fn kind_for(&self, headers: &[Header]) -> Option<Header> {
        let kind = if self.is_json { "application/json" } else { "application/octet-stream" };
        let is_said = headers.iter().any(|header| header.name() == "content-type");
        (!is_said).then(|| Header::known("content-type", kind))
    }
}

/// A body that shows how much of it was read. It is dropped, and the line vanishes, before its end is known to
/// the server.
struct Counted {
    bytes: Box<dyn Read + Send>,
    sent: u64,
    length: Option<u64>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(piece)?;
        self.sent += count as u64;
        self.progress.at_byte(self.sent, self.length);
        Ok(count)
    }
}

impl Content {
    /// The body that was asked for; `fields` are those that do not go into the query.
    pub(super) fn of(args: &Args, fields: Vec<&Field>) -> Result<Self, Failure> {
        let source = |path: &Path| match path.to_str() {
            Some("-") => Self::Stdin,
            _ => Self::File(path.to_owned()),
        };
        Ok(match (&args.data, &args.input) {
            (Some(text), _) => match text.strip_prefix('@') {
                Some(file) => source(Path::new(file)),
                None => Self::Bytes(text.as_bytes().to_vec()),
            },
            (None, Some(path)) => source(path),
            (None, None) if fields.is_empty() => Self::Nothing,
            (None, None) => Self::Bytes(object(fields)?.to_string().into_bytes()),
        })
    }

    /// What is meant where no method is named.
    pub(super) fn usual_method(&self) -> Method {
        if matches!(self, Self::Nothing) { Method::Get } else { Method::Post }
    }

    /// Whether it can be sent a second time. A pipe cannot be read twice.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Nothing | Self::Bytes(_) => true,
            Self::File(path) => std::fs::metadata(path).is_ok_and(|facts| facts.is_file()),
            Self::Stdin => false,
        }
    }

    /// Opens it, and looks at its beginning.
    pub(super) fn open(&self) -> Result<Option<Opened>, Failure> {
        let (bytes, length): (Box<dyn Read + Send>, _) = match self {
            Self::Nothing => return Ok(None),
            Self::Bytes(bytes) => (Box::new(Cursor::new(bytes.clone())), Some(bytes.len() as u64)),
            Self::File(path) => {
                let file = File::open(path).map_err(|error| unreadable(path, &error))?;
                let facts = file.metadata().map_err(|error| unreadable(path, &error))?;
                (Box::new(file), facts.is_file().then_some(facts.len()))
            }
            Self::Stdin => (Box::new(io::stdin()), None),
        };
        let mut bytes = BufReader::with_capacity(LOOK, bytes);
        let begun = bytes.fill_buf().map_err(|error| unreadable(self.path(), &error))?;
        let first = begun.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_json = matches!(first, Some(b'{' | b'['));
        Ok(Some(Opened { body: Body { bytes: Box::new(bytes), length }, is_json }))
    }

    fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            _ => Path::new("standard input"),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let mut failure = Failure::usage(format!("cannot read the body from {}", path.display()));
    failure.messages.push(error.to_string());
    failure
}

/// One field of a JSON body, or of a query.
#[derive(Clone, Debug)]
pub(super) struct Field {
    key: String,
    value: Value,
}

/// Reads `KEY=TEXT`, split at the first `=`.
pub(super) fn text_field(text: &str) -> Result<Field, String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=TEXT")?;
    Ok(Field { key: key.to_owned(), value: value.into() })
}

/// Reads `KEY=JSON`, split at the first `=`.
pub(super) fn json_field(text: &str) -> Result<Field, String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=JSON")?;
    let value = serde_json::from_str(value)
        .map_err(|_| "the value is no JSON; a text is given with `--field`, without quotes")?;
    Ok(Field { key: key.to_owned(), value })
}

impl Field {
    /// The value as it stands in a query.
    fn in_query(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

/// The URL with the fields that go into its query, and the fields that go into the body.
pub(super) fn split<'a>(args: &'a Args, words: &Words) -> Result<(Url, Vec<&'a Field>), Failure> {
    let mut url = words.url.clone();
    let fields: Vec<&Field> = args.field.iter().chain(&args.json_field).collect();
    let has_body = args.data.is_some() || args.input.is_some();
    let has_none =
        matches!(words.method, Some(Method::Get | Method::Head | Method::Delete | Method::Options));
    if fields.is_empty() || !(has_body || has_none) {
        return Ok((url, fields));
    }
    url.query_pairs_mut().extend_pairs(fields.iter().map(|field| (&field.key, field.in_query())));
    Ok((url, Vec::new()))
}

/// The fields as one object.
fn object(fields: Vec<&Field>) -> Result<Value, Failure> {
    let mut object = Map::new();
    for Field { key, value } in fields {
        if object.insert(key.clone(), value.clone()).is_some() {
            return Err(Failure::usage(format!("the field `{key}` is there twice")));
        }
    }
    Ok(Value::Object(object))
}
