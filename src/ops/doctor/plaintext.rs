//! Copies of secrets that lie open: where tools and tutorials leave them.
//!
//! The places are those of `vault scan`, which looks everywhere else too. Nothing that is read is kept or shown.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Surroundings;
use super::check::{Check, Remedy, Subject};
use crate::ops::scan::holds_a_secret;
use crate::ops::scan::places::{USUAL, Usual};
use crate::system::{Kind, look_behind, read_start};

/// A file that shows itself as holding a secret.
#[derive(Debug)]
struct Copy {
    /// Where it is.
    path: PathBuf,
    /// The place of the table in which it was found.
    usual: &'static Usual,
    /// Its permission bits, where there are such.
    mode: Option<u32>,
}

/// How much of a file is looked at, in bytes.
const MOST_BYTES: u64 = 256 * 1024;

/// Of many, so many are told one by one.
const MOST_TOLD: usize = 50;

/// Every copy in the usual places, each once.
fn find(around: &Surroundings) -> Vec<Copy> {
    let mut seen = BTreeSet::new();
    let candidates = USUAL.iter().flat_map(|usual| candidates(around, usual).map(move |path| (usual, path)));
    let new = candidates.filter(|(_, path)| seen.insert(path.clone()));
    new.filter_map(|(usual, path)| copy(usual, path)).collect()
}

fn candidates<'a>(around: &'a Surroundings, usual: &'a Usual) -> impl Iterator<Item = PathBuf> + 'a {
    usual.paths(&around.home, around.current_dir.as_deref()).into_iter()
}

fn copy(usual: &'static Usual, path: PathBuf) -> Option<Copy> {
    let found = look_behind(&path).ok().filter(|found| found.kind != Kind::Other)?;
    let start = read_start(&path, MOST_BYTES)?;
    holds_a_secret(&path, usual, &start).then_some(Copy { path, usual, mode: found.mode })
}

pub(super) fn checks(around: &Surroundings) -> Vec<Check> {
    let copies = find(around);
    if copies.is_empty() {
        let found = format!("no secret in {} usual places", USUAL.len());
        return vec![Check::ok("plaintext", Subject::None, found)];
    }
    copies.into_iter().take(MOST_TOLD).map(check).collect()
}

fn check(copy: Copy) -> Check {
    let subject = Subject::Path { path: copy.path.clone(), what: copy.usual.path };
    let is_open = copy.mode.is_some_and(|mode| mode & 0o077 != 0);
    let whom = match copy.mode {
        Some(mode) if is_open => format!(", which other users may read (mode {:03o})", mode & 0o777),
        _ => String::new(),
    };
    let found = format!("a secret of {} lies open{whom}", copy.usual.tool);
    Check::warning("plaintext", subject, found).remedy(Remedy::TakeIn(copy.path))
}
