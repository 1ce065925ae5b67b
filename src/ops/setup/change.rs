//! The user's files as they are and as they would be, and how the one becomes the other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Change, Edit, Error, Plan, Refusal};
use crate::system::UserFile;

/// A file before and after. Nothing is written by making it.
#[derive(Debug)]
pub struct FileChange {
    /// As the tool names it.
    pub path: PathBuf,
    file: UserFile,
    after: Option<String>,
    /// Of a file that is not changed by whole lines of ours: our lines.
    ours: Option<BTreeSet<String>>,
}

/// What `plan` does to each file; the changes of one file are taken together.
///
/// # Errors
///
/// If a file is not what it is expected to be. None is changed then.
pub fn prospects(plan: &Plan, is_undo: bool) -> Result<Vec<FileChange>, Error> {
    let mut prospects: Vec<FileChange> = Vec::new();
    for change in &plan.changes {
        let at = match prospects.iter().position(|it| it.path == change.file) {
            Some(at) => at,
            None => {
                prospects.push(FileChange::unchanged(&change.file)?);
                prospects.len() - 1
            }
        };
        let prospect = &mut prospects[at];
        let next = next(prospect.after.as_deref(), change, is_undo);
        if let Some(lines) = change.edit.lines_among_others() {
            prospect.ours.get_or_insert_default().extend(lines.iter().map(|line| bare(line).to_owned()));
        }
        prospect.after = next.map_err(|refusal| Error::Refused { file: change.file.clone(), refusal })?;
    }
    Ok(prospects)
}

fn next(text: Option<&str>, Change { edit, .. }: &Change, is_undo: bool) -> Result<Option<String>, Refusal> {
    if text.is_some_and(|text| text.contains("\r\n")) {
        return Err(Refusal::because("its lines end as on Windows (CR LF)"));
    }
    match (is_undo, text) {
        (false, text) => Edit::written(edit, text).map(Some),
        (true, Some(text)) => edit.undone(text),
        (true, None) => Ok(None),
    }
}

impl FileChange {
    fn unchanged(path: &Path) -> Result<Self, Error> {
        let file = UserFile::read(path)?;
        let after = file.text().map(str::to_owned);
        Ok(Self { path: path.to_owned(), file, after, ours: None })
    }

    /// Whether there is anything to do.
    pub fn is_needed(&self) -> bool {
        self.before() != self.after()
    }

    /// What is in it now, if it is there.
    pub fn before(&self) -> Option<&str> {
        self.file.text()
    }

    /// What is to be in it; `None` if it is to be removed.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Whether a line that is put in or taken out may be shown. It may not if it is somebody else's: it can hold a
    /// secret, and is in the change because a tool writes its file anew, or because all of it is one line.
    pub fn may_show(&self, line: &str) -> bool {
        let is_new = self.before().is_none_or(str::is_empty);
        is_new || self.ours.as_ref().is_none_or(|ours| ours.contains(bare(line)))
    }

    /// Writes it, and says where the copy of what was there is.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or was changed meanwhile. It is as it was then.
    pub fn apply(&self, now: Timestamp) -> Result<Option<PathBuf>, Error> {
        let copy = self.file.copy_beside(&now.strftime("%Y%m%dT%H%M%S%.3fZ").to_string());
        match &self.after {
            Some(text) => self.file.replace(text, &copy)?,
            None => self.file.remove(&copy)?,
        }
        Ok(self.before().is_some().then_some(copy))
    }
}

/// A line as it is compared: JSON and YAML move lines to the right, and JSON puts commas behind them.
fn bare(line: &str) -> &str {
    line.trim().trim_end_matches(',')
}
