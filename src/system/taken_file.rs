//! A file of the user's that is to go, because what it holds is elsewhere now.

#[cfg(unix)]
use std::fs::File;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::named_file::read_named_file;
use super::new_file::{NewFile, Overwrite};

/// A plain file of the user's, as it was when it was looked at.
#[derive(Debug)]
pub struct TakenFile<'a> {
    path: PathBuf,
    bytes: &'a [u8],
    is_open_to_others: bool,
}

impl<'a> TakenFile<'a> {
    /// The file at `path`, which must hold `bytes` still.
    ///
    /// # Errors
    ///
    /// In words, why it is not to be touched.
    pub fn look(path: &Path, bytes: &'a [u8]) -> Result<Self, &'static str> {
        let found = fs::symlink_metadata(path).map_err(|_| "it is not there any more")?;
        check(&found)?;
        let is_open_to_others = is_open_to_others(&found);
        let file = Self { path: path.to_owned(), bytes, is_open_to_others };
        file.check_unchanged()?;
        // In a thread of its own: how many calls that takes depends on what else runs, and a test stops this one at
        // each of its calls.
        match std::thread::spawn(move || is_open_elsewhere(&found)).join() {
            Ok(false) => Ok(file),
            _ => Err("another program has it open"),
        }
    }

    /// Whether others than its owner could read it.
    pub fn is_open_to_others(&self) -> bool {
        self.is_open_to_others
    }

    /// Removes it, durably. Between the last look and that lies a moment in which a change would be lost: nobody locks
    /// such files.
    ///
    /// # Errors
    ///
    /// In words, why it is still there.
    pub fn remove(&self) -> Result<(), String> {
        self.check_unchanged()?;
        fs::remove_file(&self.path).map_err(said("removed"))?;
        sync_folder(&self.path).map_err(said("removed for good"))
    }

    /// Puts a file with `text` in its place, for this user alone. No copy of the old one is left beside it.
    ///
    /// # Errors
    ///
    /// In words, why it is as it was.
    pub fn replace(&self, text: &str) -> Result<(), String> {
        let mut next = NewFile::begin(&self.path, Overwrite::Allowed).map_err(|error| error.to_string())?;
        next.write(text.as_bytes()).map_err(|error| error.to_string())?;
        self.check_unchanged()?;
        next.finish().map_err(|error| error.to_string())
    }

    fn check_unchanged(&self) -> Result<(), &'static str> {
        // As long as it was, or one byte longer.
        match read_named_file(&self.path, self.bytes.len()) {
            Ok(now) if now.as_slice() == self.bytes => Ok(()),
            _ => Err("it has just been changed by another program"),
        }
    }
}

fn said(what: &'static str) -> impl FnOnce(io::Error) -> String {
    move |error| format!("it could not be {what}: {error}")
}

fn check(found: &Metadata) -> Result<(), &'static str> {
    if found.is_symlink() {
        return Err("it is a link, and what it leads to may have other names");
    }
    if !found.is_file() {
        return Err("it is no plain file");
    }
    check_owner(found)
}

#[cfg(unix)]
fn check_owner(found: &Metadata) -> Result<(), &'static str> {
    use std::os::unix::fs::MetadataExt;

    use super::{Disk, SystemDisk};

    if found.uid() != SystemDisk.user() {
        return Err("it belongs to another user");
    }
    if found.nlink() > 1 {
        return Err("it has several names (hard links), and would stay under the others");
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Metadata) -> Result<(), &'static str> {
    Ok(())
}

#[cfg(unix)]
fn is_open_to_others(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    found.mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Metadata) -> bool {
    false
}

/// Whether another process has it open, as far as this user may see that.
#[cfg(target_os = "linux")]
fn is_open_elsewhere(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    let own = std::process::id().to_string();
    let is_it = |entry: fs::DirEntry| {
        fs::metadata(entry.path()).is_ok_and(|open| (open.dev(), open.ino()) == (found.dev(), found.ino()))
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let others = processes.filter(|process| {
        let name = process.file_name();
        let name = name.to_string_lossy();
        name != own && name.bytes().all(|byte| byte.is_ascii_digit())
    });
    others
        .flat_map(|process| fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten())
        .any(is_it)
}

#[cfg(not(target_os = "linux"))]
fn is_open_elsewhere(_: &Metadata) -> bool {
    false
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Windows writes directory entries through by itself.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
