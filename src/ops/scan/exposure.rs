//! Who can get at a file: other users of the machine, whoever has the repository, other machines.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::git_index;
use crate::system::{ForeignFile, Kind, ReadBuffer, look, synced_by};

/// How exposed a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Its permission bits. Windows has none.
    pub mode: Option<u32>,
    /// Who may read it, as far as modes say.
    pub readable_by: Readers,
    /// Whether git tracks it; `None` if that could not be found out.
    pub is_tracked: Option<bool>,
    /// The program that copies it to other machines.
    pub synced_by: Option<&'static str>,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone, or it is not known.
    #[default]
    Owner,
    /// Its group too.
    Group,
    /// Everyone on this machine.
    Everyone,
}

impl Readers {
    /// One word, which stays the same.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Group => "group",
            Self::Everyone => "everyone",
        }
    }
}

/// How exposed each of these files is, in their order.
pub(super) fn of_all(paths: &[&Path]) -> Vec<Exposure> {
    let tracked = tracked(paths);
    let of = |(path, is_tracked): (&&Path, Option<bool>)| {
        let mode = look(path).ok().and_then(|found| found.mode).map(|mode| mode & 0o777);
        let readable_by = mode.map_or(Readers::Owner, |mode| readers(path, mode));
        Exposure { mode, readable_by, is_tracked, synced_by: synced_by(path) }
    };
    paths.iter().zip(tracked).map(of).collect()
}

/// A file is read by whoever may read it and go through every folder above it.
fn readers(path: &Path, mode: u32) -> Readers {
    let may = |bits: u32| {
        let above = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        let mut modes = above.map(mode_of);
        modes.all(|mode| mode.is_none_or(|mode| mode & bits != 0))
    };
    match mode {
        mode if mode & 0o004 != 0 && may(0o001) => Readers::Everyone,
        // Whether the groups are the same one is not looked at.
        mode if mode & 0o044 != 0 && may(0o011) => Readers::Group,
        _ => Readers::Owner,
    }
}

fn mode_of(folder: &Path) -> Option<u32> {
    look(folder).ok().and_then(|found| found.mode)
}

/// Most folders above a file that are asked for a repository.
const HIGHEST: usize = 64;

/// The index of a repository of a million files has a hundred MiB.
const LONGEST_INDEX: usize = 128 << 20;

/// `gitdir: PATH` of a worktree or submodule.
const LONGEST_POINTER: usize = 4096 + 16;

/// A repository, and the files of it that are asked about, by their place in the list.
struct Asked {
    top: PathBuf,
    files: Vec<(usize, Vec<u8>)>,
}

/// Whether git tracks each of these files.
fn tracked(paths: &[&Path]) -> Vec<Option<bool>> {
    let mut answers = vec![Some(false); paths.len()];
    let mut asked: HashMap<PathBuf, Asked> = HashMap::new();
    for (at, path) in paths.iter().enumerate() {
        let Some((top, git_dir)) = repository(path) else { continue };
        match git_dir.zip(name_in(&top, path)) {
            None => answers[at] = None,
            // Git tracks nothing of its own.
            Some((_, name)) if name.starts_with(b".git/") => {}
            Some((git_dir, name)) => {
                let asked =
                    asked.entry(git_dir).or_insert_with(|| Asked { top: top.clone(), files: Vec::new() });
                if asked.top == top { asked.files.push((at, name)) } else { answers[at] = None }
            }
        }
    }
    for (git_dir, Asked { files, .. }) in asked {
        let known = of_repository(&git_dir, files.iter().map(|(_, name)| name.clone()).collect());
        for (at, name) in files {
            answers[at] = known.as_ref().map(|known| known.contains(&name));
        }
    }
    answers
}

/// The next folder above `path` with a `.git` in it, and where that leads; `None` there if it cannot be followed.
fn repository(path: &Path) -> Option<(PathBuf, Option<PathBuf>)> {
    let above = path.ancestors().skip(1).take(HIGHEST);
    above.into_iter().find_map(|folder| {
        let git = folder.join(".git");
        match look(&git).ok()?.kind {
            Kind::Directory => Some((folder.to_owned(), Some(git))),
            Kind::File => Some((folder.to_owned(), pointed_to(folder, &git))),
            Kind::Other => Some((folder.to_owned(), None)),
        }
    })
}

/// Where a file `.git` leads.
fn pointed_to(folder: &Path, git: &Path) -> Option<PathBuf> {
    let mut buffer = ReadBuffer::default();
    let mut file = ForeignFile::open(git).ok()??;
    buffer.fill(&mut file, LONGEST_POINTER).ok()?;
    let text = std::str::from_utf8(buffer.bytes()).ok()?;
    let path = text.strip_prefix("gitdir:")?.trim();
    (!path.is_empty() && !path.contains('\0')).then(|| folder.join(path))
}

fn of_repository(git_dir: &Path, wanted: HashSet<Vec<u8>>) -> Option<HashSet<Vec<u8>>> {
    let mut buffer = ReadBuffer::default();
    let index = git_dir.join("index");
    let Some(mut file) = ForeignFile::open(&index).ok()? else {
        // A repository in which nothing was ever added has none.
        let is_new = look(&index).is_err() && look(&git_dir.join("HEAD")).is_ok();
        return is_new.then(HashSet::new);
    };
    if file.length() > LONGEST_INDEX as u64 {
        return None;
    }
    buffer.fill(&mut file, LONGEST_INDEX).ok()?;
    git_index::tracked(buffer.bytes(), &wanted).ok()
}

/// `path` as git writes it below `top`.
fn name_in(top: &Path, path: &Path) -> Option<Vec<u8>> {
    let below = path.strip_prefix(top).ok()?;
    let parts: Vec<&[u8]> = below.iter().map(|part| part.as_encoded_bytes()).collect();
    Some(parts.join(&b'/'))
}
