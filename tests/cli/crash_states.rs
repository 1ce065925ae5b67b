//! A model of what a file system may have kept of a program's writes when the power fails.
//!
//! It is as unkind as POSIX allows. Data that was not synced is there, is there by half, is zeros, or is not
//! there, each write on its own, and a file may be cut before it is written. An entry in a directory that
//! was not synced since is as it was or as it will be, each on its own, also where the file itself was
//! synced. A rename happens as a whole or not at all.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::expiry::{Snapshot, is_log};

/// A file, whatever it is called.
type Inode = usize;

/// What a program has done, in its order.
#[derive(Clone, Debug)]
pub enum Act {
    MakeFolder(PathBuf),
    Link(PathBuf, Inode),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    Write(Inode, usize, Vec<u8>),
    Cut(Inode, usize),
    SyncFile(Inode),
    SyncFolder(PathBuf),
    /// A reserved file is about to be filled: from here on the provider may have answered.
    Fill,
}

/// The acts of one run of a program, on what was there before.
pub struct Disk {
    before: Snapshot,
    pub acts: Vec<Act>,
    inodes: BTreeMap<PathBuf, Inode>,
}

impl Disk {
    /// Reads what strace has written of the main thread, with `-y -xx` and whole strings.
    pub fn of(before: Snapshot, log: &str) -> Self {
        let inodes: BTreeMap<_, _> = before.files.keys().cloned().zip(0..).collect();
        let mut reader = Reader { names: inodes.clone(), count: inodes.len(), ..Reader::default() };
        log.lines().for_each(|line| reader.read(line));
        Self { before, acts: reader.acts, inodes }
    }

    /// Everything that may be found if the power fails after so many acts, each once.
    pub fn found_after(&self, count: usize, seen: &mut HashSet<u64>) -> Vec<Snapshot> {
        let (locks, other): (Vec<usize>, Vec<usize>) =
            (0..count).filter(|&at| self.is_open(at, count)).partition(|&at| self.makes_a_lock(at));
        let open: Vec<Vec<usize>> = Some(locks)
            .filter(|it| !it.is_empty())
            .into_iter()
            .chain(other.into_iter().map(|at| vec![at]))
            .collect();
        assert!(open.len() <= 12, "too many entries are never synced: {open:?}");
        let mut contents = HashMap::new();
        let mut all = Vec::new();
        for choice in 0..1_u32 << open.len() {
            let is_lost = |at: usize| {
                open.iter().position(|it| it.contains(&at)).is_some_and(|bit| choice >> bit & 1 == 1)
            };
            let (entries, folders) = self.entries(count, is_lost);
            all.extend(self.fill(&entries, &folders, count, &mut contents, seen));
        }
        all
    }

    /// Lock files are empty, and their entries never synced: either all of them are there or none.
    fn makes_a_lock(&self, at: usize) -> bool {
        matches!(&self.acts[at], Act::Link(path, _) if path.extension().is_some_and(|it| it == "lock"))
    }

    /// The files after a good end, with everything written.
    pub fn at_the_end(&self) -> BTreeMap<PathBuf, Rc<Vec<u8>>> {
        let (entries, _) = self.entries(self.acts.len(), |_| false);
        let whole = |inode| Rc::new(self.replay(inode));
        entries.into_iter().map(|(path, inode)| (path, whole(inode))).collect()
    }

    fn replay(&self, inode: Inode) -> Vec<u8> {
        self.acts.iter().fold(self.content_before(inode), |old, act| match act {
            Act::Write(it, offset, bytes) if *it == inode => written(&old, *offset, bytes),
            Act::Cut(it, length) if *it == inode => old[..old.len().min(*length)].to_vec(),
            _ => old,
        })
    }

    fn content_before(&self, inode: Inode) -> Vec<u8> {
        let before = self.inodes.iter().find(|(_, it)| **it == inode);
        before.map_or_else(Vec::new, |(path, _)| self.before.files[path].to_vec())
    }

    /// Whether this act changes an entry of a folder that was not synced since.
    fn is_open(&self, at: usize, count: usize) -> bool {
        let (Act::MakeFolder(path) | Act::Link(path, _) | Act::Rename(_, path) | Act::Unlink(path)) =
            &self.acts[at]
        else {
            return false;
        };
        let folder = path.parent().unwrap();
        !self.acts[at..count].iter().any(|act| matches!(act, Act::SyncFolder(synced) if synced == folder))
    }

    fn entries(
        &self,
        count: usize,
        is_lost: impl Fn(usize) -> bool,
    ) -> (BTreeMap<PathBuf, Inode>, BTreeSet<PathBuf>) {
        let (mut entries, mut folders) = (self.inodes.clone(), self.before.folders.clone());
        // A rename takes the file along, whether or not its old name has reached the disk.
        let mut names = self.inodes.clone();
        for (at, act) in self.acts[..count].iter().enumerate() {
            let is_kept = !is_lost(at);
            match act {
                Act::MakeFolder(path) if is_kept => {
                    folders.insert(path.clone());
                }
                Act::Link(path, inode) => {
                    names.insert(path.clone(), *inode);
                    if is_kept {
                        entries.insert(path.clone(), *inode);
                    }
                }
                Act::Rename(from, to) => {
                    let inode = names.remove(from).unwrap();
                    names.insert(to.clone(), inode);
                    if is_kept {
                        entries.remove(from);
                        entries.insert(to.clone(), inode);
                    }
                }
                Act::Unlink(path) => {
                    names.remove(path);
                    if is_kept {
                        entries.remove(path);
                    }
                }
                _ => {}
            }
        }
        // What lies in a folder that is not there cannot be found.
        let is_there = |path: &Path| {
            path.ancestors().skip(1).take_while(|it| self.is_made(it)).all(|it| folders.contains(it))
        };
        entries.retain(|path, _| is_there(path));
        let folders = folders.iter().filter(|path| is_there(path)).cloned().collect();
        (entries, folders)
    }

    fn is_made(&self, folder: &Path) -> bool {
        self.acts.iter().any(|act| matches!(act, Act::MakeFolder(path) if path == folder))
    }

    /// Every choice of contents for these entries.
    fn fill(
        &self,
        entries: &BTreeMap<PathBuf, Inode>,
        folders: &BTreeSet<PathBuf>,
        count: usize,
        contents: &mut HashMap<Inode, Vec<Rc<Vec<u8>>>>,
        seen: &mut HashSet<u64>,
    ) -> Vec<Snapshot> {
        let mut all = vec![Snapshot { files: BTreeMap::new(), folders: folders.clone() }];
        for (path, inode) in entries {
            let choices = contents.entry(*inode).or_insert_with(|| self.contents(*inode, count));
            let with = |found: Snapshot, bytes: &Rc<Vec<u8>>| {
                let mut found = found;
                found.files.insert(path.clone(), Rc::clone(bytes));
                found
            };
            all = all
                .into_iter()
                .flat_map(|found| choices.iter().map(move |it| with(found.clone(), it)))
                .collect();
        }
        all.retain(|found| seen.insert(digest(found)));
        all
    }

    /// What the file may hold.
    fn contents(&self, inode: Inode, count: usize) -> Vec<Rc<Vec<u8>>> {
        let acts = &self.acts[..count];
        let synced =
            acts.iter().rposition(|act| matches!(act, Act::SyncFile(it) if *it == inode)).unwrap_or(0);
        let mut all = vec![self.content_before(inode)];
        for (at, act) in acts.iter().enumerate() {
            match act {
                Act::Write(it, offset, bytes) if *it == inode => {
                    let whole = |old: &Vec<u8>| written(old, *offset, bytes);
                    if at < synced {
                        all = all.iter().map(whole).collect();
                        continue;
                    }
                    let half = |old: &Vec<u8>| written(old, *offset, &bytes[..bytes.len() / 2]);
                    let zeros = |old: &Vec<u8>| written(old, *offset, &vec![0; bytes.len()]);
                    all =
                        all.iter().flat_map(|old| [old.clone(), whole(old), half(old), zeros(old)]).collect();
                }
                Act::Cut(it, length) if *it == inode => {
                    let cut = |old: &Vec<u8>| old[..old.len().min(*length)].to_vec();
                    let kept = if at < synced { Vec::new() } else { all.clone() };
                    all = all.iter().map(cut).chain(kept).collect();
                }
                _ => {}
            }
        }
        let different: BTreeSet<Vec<u8>> = all.into_iter().collect();
        different.into_iter().map(Rc::new).collect()
    }
}

fn written(old: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    new.resize(new.len().max(offset + bytes.len()), 0);
    new[offset..offset + bytes.len()].copy_from_slice(bytes);
    new
}

fn digest(found: &Snapshot) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&found.files, &found.folders).hash(&mut hasher);
    hasher.finish()
}

/// Reads a log of strace.
#[derive(Default)]
struct Reader {
    acts: Vec<Act>,
    /// The names at this moment.
    names: BTreeMap<PathBuf, Inode>,
    /// Descriptors: which file, and where in it.
    open: HashMap<u32, (Inode, usize)>,
    count: usize,
}

impl Reader {
    fn read(&mut self, line: &str) {
        let Some((name, rest)) = line.split_once('(') else { return };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { return };
        let Ok(result) = result.split(['<', ' ']).next().unwrap_or_default().parse::<u64>() else { return };
        let texts: Vec<Vec<u8>> = arguments.split('"').skip(1).step_by(2).map(unescape).collect();
        let path = |at: usize| PathBuf::from(String::from_utf8(texts[at].clone()).unwrap());
        // What strace says a descriptor stands for; the same number may be a socket now.
        let is_file = arguments.split(['<', '>']).nth(1).is_some_and(|it| unescape(it).starts_with(b"/"));
        let digits = arguments.split('<').next().filter(|_| is_file);
        let descriptor = || digits.and_then(|digits| digits.parse::<u32>().ok());
        let number =
            |at: usize| arguments.split(", ").nth(at).and_then(|it| it.trim_end_matches(')').parse().ok());
        match name {
            "openat" | "open" => self.opened(path(0), arguments.contains("O_CREAT"), result as u32),
            "mkdir" => self.acts.push(Act::MakeFolder(path(0))),
            "rename" => {
                if let Some(inode) = self.names.remove(&path(0)) {
                    self.names.insert(path(1), inode);
                    self.acts.push(Act::Rename(path(0), path(1)));
                }
            }
            "unlink" if self.names.remove(&path(0)).is_some() => self.acts.push(Act::Unlink(path(0))),
            "write" => {
                let Some((inode, at)) = descriptor().and_then(|it| self.open.get_mut(&it)) else { return };
                self.acts.push(Act::Write(*inode, *at, texts[0][..result as usize].to_vec()));
                *at += result as usize;
            }
            "lseek" => {
                let Some((_, at)) = descriptor().and_then(|it| self.open.get_mut(&it)) else { return };
                *at = result as usize;
                self.acts.push(Act::Fill);
            }
            "ftruncate" => {
                let Some((inode, _)) = descriptor().and_then(|it| self.open.get(&it)) else { return };
                self.acts.push(Act::Cut(*inode, number(1).unwrap()));
            }
            "fsync" | "fdatasync" => self.synced(arguments, descriptor()),
            _ => {}
        }
    }

    fn opened(&mut self, path: PathBuf, may_create: bool, descriptor: u32) {
        self.open.remove(&descriptor);
        if is_log(&path) {
            return;
        }
        if let Some(inode) = self.names.get(&path) {
            self.open.insert(descriptor, (*inode, 0));
        } else if may_create {
            let inode = self.count;
            self.count += 1;
            self.names.insert(path.clone(), inode);
            self.open.insert(descriptor, (inode, 0));
            self.acts.push(Act::Link(path, inode));
        }
    }

    /// A descriptor that stands for no file that we know stands for a folder.
    fn synced(&mut self, arguments: &str, descriptor: Option<u32>) {
        match descriptor.and_then(|it| self.open.get(&it)) {
            Some((inode, _)) => self.acts.push(Act::SyncFile(*inode)),
            None => {
                let path = arguments.split(['<', '>']).nth(1).unwrap();
                let path = String::from_utf8(unescape(path)).unwrap();
                self.acts.push(Act::SyncFolder(path.into()));
            }
        }
    }
}

/// `\x2f` is a slash; what is not escaped stands for itself.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if rest.len() >= 4 && rest.starts_with(b"\\x") {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&rest[2..4]).unwrap(), 16).unwrap());
            rest = &rest[4..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}
