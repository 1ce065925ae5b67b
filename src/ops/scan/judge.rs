//! What one file holds, by its place and its content.

use std::borrow::Cow;
use std::path::Path;

use jiff::Timestamp;

use super::facts::{Facts, Whose};
use super::format::{Format, format};
use super::places::{Shape, Usual};
use super::shapes::{Kind, Seen, Writing, named, secrets, set_to};

/// Most secrets that are counted in one file.
const MOST: usize = 1000;

/// So much of a file tells whether it is text, in bytes: as much as git looks at.
pub(super) const TELLING: usize = 8000;

/// Secrets of one kind in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What they are for.
    pub kind: Kind,
    /// Who gives out such secrets, if they show it.
    pub issuer: Option<&'static str>,
    /// The line in which the first one stands, from 1; none in files that have no lines.
    pub line: Option<usize>,
    /// How many there are.
    pub count: usize,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) format: Format,
    /// One for each kind, what lasts first.
    pub(super) secrets: Vec<Secret>,
    pub(super) whose: Whose,
    /// When its access token ends, if it says so.
    pub(super) expires_at: Option<Timestamp>,
}

/// Judges a file by its place, its name and its bytes. `None`: no secret was seen.
pub(super) fn judge(path: &Path, place: Option<&Usual>, bytes: &[u8]) -> Option<Judged> {
    let (bytes, writing) = readable(bytes, place)?;
    let mut seen = secrets(&bytes, writing, MOST);
    if let Some(place) = place {
        seen.extend(of_place(place.shape, &bytes, &seen));
    }
    if seen.is_empty() {
        return None;
    }
    let json = matches!(first(&bytes), Some(b'{' | b'[')).then(|| Facts::of_json(&bytes)).flatten();
    let is_json = json.is_some();
    let mut facts = json.unwrap_or_else(|| Facts::of_text(&bytes));
    facts.look_at_path(path);
    Some(Judged {
        format: format(place, &facts, is_json, &bytes),
        secrets: by_kind(&bytes, writing, seen),
        expires_at: facts.expires_at,
        whose: facts.whose,
    })
}

/// Whether a file that begins so can be read to its end with any use.
pub(super) fn is_readable(start: &[u8], place: Option<&Usual>) -> bool {
    readable(&start[..start.len().min(TELLING)], place).is_some()
}

/// The bytes as they are to be looked through; `None` if they are neither text nor a format that holds secrets
/// as they are.
fn readable<'a>(bytes: &'a [u8], place: Option<&Usual>) -> Option<(Cow<'a, [u8]>, Writing)> {
    // UTF-16 as Windows writes what is redirected into a file: whatever we look for is ASCII.
    if let [0xff, 0xfe, text @ ..] = bytes {
        let ascii = text.chunks_exact(2).map(|two| if two[1] == 0 { two[0] } else { b'?' });
        return Some((Cow::Owned(ascii.collect()), Writing::Text));
    }
    let is_text = !bytes[..bytes.len().min(TELLING)].contains(&0) && !is_pickle(bytes);
    let writing = match bytes {
        // Vim's swap files are blocks of lines; in their heads are zeros.
        _ if is_text || bytes.starts_with(b"b0VIM") => Writing::Text,
        _ if is_database(bytes) || is_pickle(bytes) => Writing::Binary,
        _ if place.is_some_and(|place| matches!(place.shape, Shape::Any(_))) => Writing::Binary,
        _ => return None,
    };
    Some((Cow::Borrowed(bytes), writing))
}

/// SQLite's file format, 1.3; and its write-ahead log, 4.1.
pub(super) fn is_database(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SQLite format 3\0") || bytes.starts_with(&[0x37, 0x7f, 0x06])
}

/// Python's pickles: from protocol 2 on, PROTO and a version up to 5; older ones by how objects and dicts begin.
pub(super) fn is_pickle(bytes: &[u8]) -> bool {
    const OLDER: [&[u8]; 4] = [b"ccopy_reg\n", b"ccopyreg\n", b"(dp", b"}q\0"];
    matches!(bytes, [0x80, 2..=5, ..]) || OLDER.iter().any(|start| bytes.starts_with(start))
}

fn first(bytes: &[u8]) -> Option<u8> {
    bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// What only the place makes a secret.
fn of_place(shape: Shape, bytes: &[u8], seen: &[Seen]) -> Vec<Seen> {
    let whole = |kind| Seen { kind, issuer: None, at: 0..0 };
    let is_new = |new: &Seen| !seen.iter().any(|old| old.at.start < new.at.end && new.at.start < old.at.end);
    let found: Vec<Seen> = match shape {
        Shape::Itself => Vec::new(),
        Shape::Any(kind) if seen.is_empty() && !bytes.is_empty() => vec![whole(kind)],
        Shape::Any(_) => Vec::new(),
        Shape::Has(kind, words) if seen.iter().all(|seen| seen.kind != kind) => {
            let found = words.iter().find_map(|word| named(bytes, word).next());
            found.map(|at| Seen { kind, issuer: None, at: at..at }).into_iter().collect()
        }
        Shape::Has(..) => Vec::new(),
        Shape::Names(kind, names) => {
            let ends = names.iter().flat_map(|name| named(bytes, name).take(MOST));
            let values = ends.filter_map(|end| set_to(bytes, end, SHORTEST_NAMED));
            values.filter(|at| is_set(&bytes[at.clone()])).map(|at| Seen { kind, issuer: None, at }).collect()
        }
        Shape::Addresses => addresses(bytes),
        Shape::Netrc => netrc(bytes),
    };
    found.into_iter().filter(is_new).collect()
}

/// A value behind a name in its own place need not look random; shorter ones are switches and words.
const SHORTEST_NAMED: usize = 8;

/// `${NPM_TOKEN}` and its like are no values.
fn is_set(value: &[u8]) -> bool {
    !value.contains(&b'$') && !value.starts_with(b"%") && !value.starts_with(b"/")
}

/// `https://user:password@host`.
fn addresses(bytes: &[u8]) -> Vec<Seen> {
    let password = |start: usize| {
        let rest = &bytes[start..bytes.len().min(start + 4096)];
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"'));
        let authority = &rest[..end.unwrap_or(rest.len())];
        let user_info = &authority[..authority.iter().rposition(|byte| *byte == b'@')?];
        let colon = user_info.iter().position(|byte| *byte == b':')?;
        let at = start + colon + 1..start + user_info.len();
        (!at.is_empty()).then_some(Seen { kind: Kind::Password, issuer: None, at })
    };
    named(bytes, "://").take(MOST).filter_map(password).collect()
}

/// `password WORD`, as netrc(5) has it.
fn netrc(bytes: &[u8]) -> Vec<Seen> {
    let value = |end: usize| {
        let blanks = bytes[end..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let length = bytes[end + blanks..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        let at = end + blanks..end + blanks + length;
        (blanks > 0 && length > 0).then_some(Seen { kind: Kind::Password, issuer: None, at })
    };
    named(bytes, "password").take(MOST).filter_map(value).collect()
}

/// One for each kind.
fn by_kind(bytes: &[u8], writing: Writing, mut seen: Vec<Seen>) -> Vec<Secret> {
    seen.sort_by_key(|seen| seen.at.start);
    let mut secrets: Vec<Secret> = Vec::new();
    let (mut counted, mut line) = (0, 1);
    for seen in seen {
        if let Some(known) = secrets.iter_mut().find(|known| known.kind == seen.kind) {
            known.count += 1;
            known.issuer = known.issuer.or(seen.issuer);
            continue;
        }
        line += bytes[counted..seen.at.start].iter().filter(|byte| **byte == b'\n').count();
        counted = seen.at.start;
        let line = (writing == Writing::Text && !seen.at.is_empty()).then_some(line);
        secrets.push(Secret { kind: seen.kind, issuer: seen.issuer, line, count: 1 });
    }
    secrets.sort_by_key(|secret| secret.kind);
    secrets
}
