//! The walk: every plain file below the roots, each read once, by as many threads as there are processors.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};

use super::judge::{Judged, TELLING, is_readable, judge};
use super::places::{Usual, place_of};
use super::{Import, Plan, Progress, Root};
use crate::system::{ForeignFile, ReadBuffer};

/// So much of a file is read, in bytes. What tools keep secrets in is far shorter; histories and logs may be longer.
pub const MOST_BYTES: usize = 8 << 20;

/// Up to this length a file is read at once; of a longer one, first what tells whether it is text.
const AT_ONCE: usize = 64 << 10;

/// So many files with secrets are told one by one.
pub const MOST_FINDINGS: usize = 10_000;

/// So many of the places that could not be read are named.
const MOST_NAMED: usize = 20;

/// How often the person is told how far we are.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// What the walk has seen, beside what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Plain files that were looked at.
    pub files: u64,
    /// Files of which only the first [`MOST_BYTES`] were read.
    pub too_long: u64,
    /// Files and folders that could not be read.
    pub unreadable: u64,
    /// Folders of installed packages and other caches that were left out.
    pub left_out: u64,
    /// Files with secrets that are not among the findings, being more than [`MOST_FINDINGS`].
    pub untold: u64,
}

/// A file with secrets: where it is, the usual place that this is, what is in it, and what can be taken in of it.
pub(super) type Seen = (PathBuf, Option<&'static Usual>, Judged, Import);

/// What was found where.
pub(super) struct Walked {
    pub(super) found: Vec<Seen>,
    pub(super) counts: Counts,
    /// Some of the places that could not be read, in order.
    pub(super) unreadable: Vec<PathBuf>,
    pub(super) is_interrupted: bool,
}

/// Walks through everything below the roots of `plan`.
pub(super) fn walk(plan: &Plan, progress: &dyn Progress) -> Walked {
    let shared = Shared::default();
    let Some(builder) = builder(plan, &shared) else { return shared.finish() };
    let walker = builder.build_parallel();
    let caller = thread::current();
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            walker.visit(&mut Threads { plan, shared: &shared });
            caller.unpark();
        });
        while !work.is_finished() {
            thread::park_timeout(TOLD_EVERY);
            if !progress.at(shared.files.load(Ordering::Relaxed)) {
                shared.is_interrupted.store(true, Ordering::Relaxed);
            }
        }
    });
    shared.finish()
}

fn builder(plan: &Plan, shared: &Shared) -> Option<WalkBuilder> {
    let mut roots = plan.outermost_roots().into_iter();
    let mut builder = WalkBuilder::new(roots.next()?);
    roots.for_each(|root| {
        builder.add(root);
    });
    let left_out = plan.leave_out.clone();
    let (counted, skips) = (Arc::clone(&shared.left_out), !plan.look_into_packages);
    builder
        .standard_filters(plan.respect_ignore_files)
        .require_git(false)
        .hidden(false)
        .follow_links(false)
        .same_file_system(!plan.all_file_systems)
        .filter_entry(move |entry| {
            if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
                return true;
            }
            let is_package = skips && entry.depth() > 0 && is_of_others(entry);
            if is_package {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            !is_package && !left_out.iter().any(|path| path == entry.path())
        });
    Some(builder)
}

/// Whether a folder holds what others have published, or compressed copies that show nothing.
///
/// What is in a package was public before it came here; it is not the user's secret. The settings of a project
/// lie beside such folders: `.npmrc`, `.git/config`.
fn is_of_others(entry: &DirEntry) -> bool {
    let Some(name) = entry.file_name().to_str() else { return false };
    let parent = |at: usize| entry.path().iter().rev().nth(at).and_then(OsStr::to_str).unwrap_or_default();
    match name {
        "node_modules" | "site-packages" | "dist-packages" | "_cacache" | "__pycache__" => true,
        // Objects of git are compressed.
        "objects" | "lfs" => parent(1).ends_with(".git") || entry.path().join("../HEAD").is_file(),
        "registry" => parent(1) == ".cargo",
        "toolchains" => parent(1) == ".rustup",
        "mod" => parent(1) == "pkg" && parent(2) == "go",
        "repository" => parent(1) == ".m2",
        "caches" => parent(1) == ".gradle",
        "packages" => parent(1) == ".nuget",
        // Of cargo, if it has marked it (bford.info/cachedir).
        "target" => entry.path().join("CACHEDIR.TAG").is_file(),
        _ => false,
    }
}

/// What the threads share.
#[derive(Default)]
struct Shared {
    files: AtomicU64,
    left_out: Arc<AtomicU64>,
    is_interrupted: AtomicBool,
    sum: Mutex<Sum>,
}

/// What the threads have found together.
#[derive(Default)]
struct Sum {
    found: Vec<Seen>,
    counts: Counts,
    unreadable: Vec<PathBuf>,
}

impl Shared {
    fn finish(self) -> Walked {
        let Sum { mut found, mut counts, mut unreadable } =
            self.sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by(|one, other| one.0.cmp(&other.0));
        unreadable.sort();
        unreadable.truncate(MOST_NAMED);
        counts.files = self.files.into_inner();
        counts.left_out = self.left_out.load(Ordering::Relaxed);
        Walked { found, counts, unreadable, is_interrupted: self.is_interrupted.into_inner() }
    }
}

struct Threads<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
}

impl<'a> ParallelVisitorBuilder<'a> for Threads<'a> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 'a> {
        Box::new(Visitor {
            stand_ins: self.plan.roots.iter().filter(|root| root.stands_for.is_some()).collect(),
            shared: self.shared,
            buffer: ReadBuffer::default(),
            sum: Sum::default(),
        })
    }
}

/// What one thread does.
struct Visitor<'a> {
    /// Folders that a variable has moved.
    stand_ins: Vec<&'a Root>,
    shared: &'a Shared,
    buffer: ReadBuffer,
    sum: Sum,
}

impl ParallelVisitor for Visitor<'_> {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        if self.shared.is_interrupted.load(Ordering::Relaxed) {
            return WalkState::Quit;
        }
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                self.shared.files.fetch_add(1, Ordering::Relaxed);
                self.look_at(entry.path());
            }
            Ok(_) => {}
            Err(error) => self.fail(&error),
        }
        WalkState::Continue
    }
}

impl Visitor<'_> {
    fn look_at(&mut self, path: &Path) {
        let place = place_of(&self.as_if_at_home(path));
        match self.read(path, place) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.cannot_read(&error, path),
        }
        let Some(judged) = judge(path, place, self.buffer.bytes()) else { return };
        if self.sum.found.len() < MOST_FINDINGS {
            let import = Import::of(path, self.buffer.bytes());
            self.sum.found.push((path.to_owned(), place, judged, import));
        } else {
            self.sum.counts.untold += 1;
        }
    }

    /// Reads the beginning of a file, as long as it may be read with any use.
    fn read(&mut self, path: &Path, place: Option<&Usual>) -> std::io::Result<bool> {
        let Some(mut file) = ForeignFile::open(path)? else { return Ok(false) };
        self.buffer.clear();
        if file.length() > AT_ONCE as u64 {
            self.buffer.fill(&mut file, TELLING)?;
            if !is_readable(self.buffer.bytes(), place) {
                return Ok(false);
            }
        }
        self.buffer.fill(&mut file, MOST_BYTES)?;
        self.sum.counts.too_long += u64::from(file.length() > MOST_BYTES as u64);
        Ok(true)
    }

    /// The path that a file would have if no variable had moved its folder.
    fn as_if_at_home<'p>(&self, path: &'p Path) -> std::borrow::Cow<'p, Path> {
        let moved = self.stand_ins.iter().find_map(|root| {
            let below = path.strip_prefix(&root.path).ok()?;
            let usual = root.stands_for?;
            Some(if below.as_os_str().is_empty() {
                PathBuf::from(usual)
            } else {
                Path::new(usual).join(below)
            })
        });
        moved.map_or(path.into(), Into::into)
    }

    fn cannot_read(&mut self, error: &std::io::Error, path: &Path) {
        if error.kind() == std::io::ErrorKind::NotFound {
            return;
        }
        self.sum.counts.unreadable += 1;
        if self.sum.unreadable.len() < MOST_NAMED {
            self.sum.unreadable.push(path.to_owned());
        }
    }

    fn fail(&mut self, error: &ignore::Error) {
        // What has gone meanwhile is not missed; an ignore file that makes no sense ignores nothing.
        let Some(cause) = error.io_error() else { return };
        match path_of(error) {
            Some(path) => self.cannot_read(cause, path),
            None if cause.kind() != std::io::ErrorKind::NotFound => self.sum.counts.unreadable += 1,
            None => {}
        }
    }
}

/// What one thread has found is added when it ends.
impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        let mut sum = self.shared.sum.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_FINDINGS.saturating_sub(sum.found.len());
        let found = std::mem::take(&mut self.sum.found);
        sum.counts.untold += found.len().saturating_sub(room) as u64 + self.sum.counts.untold;
        sum.found.extend(found.into_iter().take(room));
        sum.counts.too_long += self.sum.counts.too_long;
        sum.counts.unreadable += self.sum.counts.unreadable;
        sum.unreadable.append(&mut self.sum.unreadable);
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}
