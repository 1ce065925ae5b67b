//! `vault scan`: secrets of OAuth that lie open in files, and whose they are. Never the secrets themselves.
//!
//! Nothing is changed, nothing is run, no link is followed, and no secret leaves the buffer of the thread that
//! reads.

mod exposure;
mod facts;
mod format;
mod git_index;
mod judge;
pub mod places;
mod plausible;
mod shapes;
mod walk;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::import;
pub use exposure::{Exposure, Readers};
pub use facts::Whose;
pub use format::Format;
pub use judge::Secret;
pub use shapes::Kind;
pub use walk::{Counts, MOST_BYTES, MOST_FINDINGS};

/// What is to be looked through.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Files and folders.
    pub roots: Vec<Root>,
    /// Folders in which nothing is to be found: the vault's own.
    pub leave_out: Vec<PathBuf>,
    /// Whether `.gitignore` and its like are obeyed. They name just the files that hold secrets.
    pub respect_ignore_files: bool,
    /// Whether folders on other file systems than their root are gone into.
    pub all_file_systems: bool,
    /// Whether folders of installed packages are gone into.
    pub look_into_packages: bool,
}

/// A file or a folder to be looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Where it is.
    pub path: PathBuf,
    /// Its usual path in [`places::USUAL`], if a variable has moved it from there.
    pub stands_for: Option<&'static str>,
}

impl Plan {
    /// The roots without those that lie in another one, or are not there.
    fn outermost_roots(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> =
            self.roots.iter().map(|root| &*root.path).filter(|path| path.exists()).collect();
        paths.sort();
        // What lies in a folder comes behind it.
        paths.dedup_by(|next, kept| next.starts_with(kept));
        paths
    }
}

/// Is told how far the scan is.
pub trait Progress {
    /// So many files were looked at. Whether the scan is to go on.
    fn at(&self, files: u64) -> bool;
}

/// Whoever does not care.
impl Progress for () {
    fn at(&self, _: u64) -> bool {
        true
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The files with secrets, by their paths.
    pub findings: Vec<Finding>,
    /// How many files there were.
    pub counts: Counts,
    /// Some of the files and folders that could not be read.
    pub unreadable: Vec<PathBuf>,
    /// Whether it was ended before its end.
    pub is_interrupted: bool,
}

/// A file with secrets in plain text.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where it is.
    pub path: PathBuf,
    /// What its most lasting secret is for.
    pub kind: Kind,
    /// All its secrets, one for each kind, what lasts first.
    pub secrets: Vec<Secret>,
    /// What kind of document it is.
    pub format: Format,
    /// The tool that keeps it there, by its place.
    pub tool: Option<&'static str>,
    /// Whose the secrets seem to be. Nothing of it is proven.
    pub whose: Whose,
    /// Who can get at it.
    pub exposure: Exposure,
    /// When its access token ends, if it says so.
    pub expires_at: Option<Timestamp>,
    /// What `vault import` makes of it.
    pub import: Import,
}

/// What `vault import` makes of a file: its own reader was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Import {
    /// It finds nothing in it.
    Nothing,
    /// It takes in a login or a client.
    Whole,
    /// It takes in a login, and has to be told of which client.
    NeedsClient,
}

impl Import {
    fn of(path: &Path, bytes: &[u8]) -> Self {
        let input = import::Input { name: path.file_name(), bytes };
        match import::read(&input) {
            Err(_) => Self::Nothing,
            Ok(items) if items.iter().all(|item| item.client.is_none()) => Self::NeedsClient,
            Ok(_) => Self::Whole,
        }
    }
}

impl Finding {
    /// Whether one of its secrets works until somebody ends it.
    pub fn is_lasting(&self) -> bool {
        self.kind.is_lasting()
    }

    /// Whether `vault import` can take it in.
    pub fn is_importable(&self) -> bool {
        self.import != Import::Nothing
    }

    /// Whether everything in it has ended already, as far as the file says.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        !self.is_lasting() && self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Looks for secrets in everything that `plan` names.
pub fn scan(plan: &Plan, progress: &dyn Progress) -> Report {
    let walked = walk::walk(plan, progress);
    let paths: Vec<&Path> = walked.found.iter().map(|(path, ..)| &**path).collect();
    let exposures = exposure::of_all(&paths);
    let findings = walked.found.into_iter().zip(exposures);
    Report {
        findings: findings
            .filter_map(|((path, place, judged, import), exposure)| {
                finding(path, place, judged, import, exposure)
            })
            .collect(),
        counts: walked.counts,
        unreadable: walked.unreadable,
        is_interrupted: walked.is_interrupted,
    }
}

fn finding(
    path: PathBuf,
    place: Option<&places::Usual>,
    judged: judge::Judged,
    import: Import,
    exposure: Exposure,
) -> Option<Finding> {
    Some(Finding {
        path,
        kind: judged.secrets.first()?.kind,
        secrets: judged.secrets,
        format: judged.format,
        tool: place.map(|place| place.tool),
        whose: judged.whose,
        exposure,
        expires_at: judged.expires_at,
        import,
    })
}

/// Whether the beginning of a file in a usual place holds a secret.
pub(super) fn holds_a_secret(path: &Path, place: &places::Usual, start: &[u8]) -> bool {
    judge::judge(path, Some(place), start).is_some()
}
