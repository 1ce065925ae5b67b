//! A disk that remembers what was made durable and what was not.
//!
//! Each file has the content that processes see, and the one that a power loss would leave; each
//! change of a name waits until its directory is synced. What was not synced may survive a power loss
//! or not, each page and each name by itself, as POSIX allows.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use vault::system::{Facts, Kind};

/// The unit in which the system remembers what has changed.
const PAGE: usize = 4096;

/// The unit that a disk writes as a whole.
pub(crate) const SECTOR: usize = 512;

/// The number of a file, whatever its name.
pub(crate) type Number = usize;

/// The user who owns everything.
pub(crate) const USER: u32 = 1000;

#[derive(Clone, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    names: BTreeMap<PathBuf, Number>,
    durable_names: BTreeMap<PathBuf, Number>,
    /// Changes of names that no sync has made durable, oldest first.
    pending: Vec<Change>,
}

#[derive(Clone, Default)]
struct File {
    is_directory: bool,
    content: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that a sync would write. After a failed sync there are none, although they are not durable.
    dirty: BTreeSet<usize>,
    lock: Lock,
}

/// Who holds a lock: numbers of opened files.
#[derive(Clone, Default)]
enum Lock {
    #[default]
    Free,
    Shared(BTreeSet<u64>),
    Alone(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Add(PathBuf, Number),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Number),
}

impl Change {
    fn directory(&self) -> &Path {
        // Of a rename between two directories, the new place says whether it has happened.
        let (Self::Add(path, _) | Self::Remove(path) | Self::Rename(_, path, _)) = self;
        path.parent().unwrap()
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, Number>) {
        match self {
            Self::Add(path, number) => drop(names.insert(path, number)),
            Self::Remove(path) => drop(names.remove(&path)),
            Self::Rename(from, to, number) => {
                names.remove(&from);
                names.insert(to, number);
            }
        }
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk {
    /// An empty disk with one durable directory.
    pub(crate) fn with_directory(path: &Path) -> Self {
        let mut disk = Self::default();
        disk.files.push(File { is_directory: true, ..File::default() });
        disk.names.insert(path.to_owned(), 0);
        disk.durable_names = disk.names.clone();
        disk
    }

    fn find(&self, path: &Path) -> io::Result<Number> {
        self.names.get(path).copied().ok_or_else(missing)
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        let parent = self.find(path.parent().unwrap())?;
        if self.files[parent].is_directory { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.pending.push(change);
    }

    pub(crate) fn look_at(&self, path: &Path) -> io::Result<Facts> {
        self.find(path).map(|number| self.facts(number))
    }

    pub(crate) fn facts(&self, number: Number) -> Facts {
        let file = &self.files[number];
        Facts {
            kind: if file.is_directory { Kind::Directory } else { Kind::File },
            length: file.content.len() as u64,
            owner: USER,
            is_writable_by_others: false,
            identity: (1, number as u64),
        }
    }

    pub(crate) fn open(&self, path: &Path) -> io::Result<Number> {
        self.find(path)
    }

    pub(crate) fn create(&mut self, path: &Path) -> io::Result<Number> {
        self.check_parent(path)?;
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.files.push(File::default());
        let number = self.files.len() - 1;
        self.change(Change::Add(path.to_owned(), number));
        Ok(number)
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let number = self.find(from)?;
        self.check_parent(to)?;
        self.change(Change::Rename(from.to_owned(), to.to_owned(), number));
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    /// Somebody deletes every file in a directory, whoever has it open.
    pub(crate) fn remove_all_in(&mut self, directory: &Path) {
        let inside = self.names.iter().filter(|(path, _)| path.parent() == Some(directory));
        // In the order in which they were made: names hold random identifiers.
        let oldest_first: BTreeMap<Number, PathBuf> =
            inside.map(|(path, number)| (*number, path.clone())).collect();
        oldest_first.into_values().for_each(|path| self.change(Change::Remove(path)));
    }

    pub(crate) fn make_directories(&mut self, path: &Path) -> io::Result<()> {
        let parent = path.parent().ok_or_else(missing)?;
        if !self.names.contains_key(parent) {
            self.make_directories(parent)?;
        }
        if !self.names.contains_key(path) {
            self.files.push(File { is_directory: true, ..File::default() });
            self.change(Change::Add(path.to_owned(), self.files.len() - 1));
        }
        Ok(())
    }

    pub(crate) fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        let (synced, pending) =
            std::mem::take(&mut self.pending).into_iter().partition(|change| change.directory() == path);
        self.pending = pending;
        let synced: Vec<Change> = synced;
        synced.into_iter().for_each(|change| change.apply(&mut self.durable_names));
        Ok(())
    }

    pub(crate) fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.find(path)?;
        let inside = self.names.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.map(|name| name.file_name().unwrap().to_owned()).collect())
    }

    pub(crate) fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.find(path).map(|_| path.to_owned())
    }

    pub(crate) fn content(&self, number: Number) -> &[u8] {
        &self.files[number].content
    }

    pub(crate) fn write(&mut self, number: Number, offset: usize, bytes: &[u8]) {
        let file = &mut self.files[number];
        let end = offset + bytes.len();
        let kept = file.content.len().min(offset);
        let rest = file.content.split_off(end.min(file.content.len()));
        file.content.truncate(kept);
        assert_eq!(kept, offset, "nobody writes behind the end");
        file.content.extend_from_slice(bytes);
        file.content.extend_from_slice(&rest);
        file.dirty.extend(offset / PAGE..end.div_ceil(PAGE));
    }

    pub(crate) fn set_length(&mut self, number: Number, length: usize) {
        let file = &mut self.files[number];
        file.content.resize(length, 0);
        file.dirty.insert(length / PAGE);
    }

    pub(crate) fn sync(&mut self, number: Number) {
        let file = &mut self.files[number];
        let mut dirty = std::mem::take(&mut file.dirty);
        if dirty.is_empty() {
            return;
        }
        let pages = file.content.len().div_ceil(PAGE);
        dirty.retain(|page| *page < pages);
        if dirty.len() == pages {
            file.durable.clone_from(&file.content);
            return;
        }
        file.durable.resize(file.content.len(), 0);
        for page in dirty {
            let range = page * PAGE..file.content.len().min((page + 1) * PAGE);
            if !range.is_empty() {
                file.durable[range.clone()].copy_from_slice(&file.content[range]);
            }
        }
    }

    /// The sync that fails once: the pages count as written, and are not.
    pub(crate) fn fail_sync(&mut self, number: Number) {
        self.files[number].dirty.clear();
    }

    pub(crate) fn try_lock(&mut self, number: Number, opened: u64, alone: bool) -> bool {
        let lock = &mut self.files[number].lock;
        match (&mut *lock, alone) {
            (Lock::Free, true) => *lock = Lock::Alone(opened),
            (Lock::Free, false) => *lock = Lock::Shared([opened].into()),
            (Lock::Shared(holders), false) => drop(holders.insert(opened)),
            _ => return false,
        }
        true
    }

    pub(crate) fn unlock(&mut self, number: Number, opened: u64) {
        let lock = &mut self.files[number].lock;
        let is_free = match lock {
            Lock::Free => true,
            Lock::Alone(holder) => *holder == opened,
            Lock::Shared(holders) => {
                holders.remove(&opened);
                holders.is_empty()
            }
        };
        if is_free {
            *lock = Lock::Free;
        }
    }

    /// Every file with a name, as processes see it.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (&Path, &[u8])> + Clone {
        self.named(&self.names, |file| &file.content)
    }

    /// Every file that would be there if nothing but what was synced survived.
    pub(crate) fn durable(&self) -> impl Iterator<Item = (&Path, &[u8])> + Clone {
        self.named(&self.durable_names, |file| &file.durable)
    }

    fn named<'a>(
        &'a self,
        names: &'a BTreeMap<PathBuf, Number>,
        bytes: impl Fn(&'a File) -> &'a [u8] + Clone + 'a,
    ) -> impl Iterator<Item = (&'a Path, &'a [u8])> + Clone {
        let plain = names.iter().filter(|(_, number)| !self.files[**number].is_directory);
        plain.map(move |(path, number)| (path.as_path(), bytes(&self.files[*number])))
    }

    /// Everything is on the disk, as after a long rest.
    pub(crate) fn settle(&mut self) {
        self.files.iter_mut().for_each(|file| {
            file.durable.clone_from(&file.content);
            file.dirty.clear();
        });
        self.durable_names.clone_from(&self.names);
        self.pending.clear();
    }

    /// What is left when the power comes back: all that was synced, and some of the rest.
    ///
    /// Draws in the order in which things were made: names hold random identifiers.
    pub(crate) fn lose_power(&mut self, random: &mut Rng) {
        // Most file systems keep the order of names; POSIX does not ask for it.
        let in_order = random.bool();
        let mut goes_on = true;
        for change in std::mem::take(&mut self.pending) {
            let survives = random.bool();
            goes_on &= survives;
            if if in_order { goes_on } else { survives } {
                change.apply(&mut self.durable_names);
            }
        }
        for file in &mut self.files {
            let draws = Rng::with_seed(random.u64(..));
            file.lose_power(draws);
        }
        self.drop_orphans();
    }

    fn drop_orphans(&mut self) {
        let names = std::mem::take(&mut self.durable_names);
        // Parents come before what is in them.
        for (path, number) in names {
            let parent = path.parent().unwrap();
            if self.durable_names.contains_key(parent) || number == 0 {
                self.durable_names.insert(path, number);
            }
        }
        self.names = self.durable_names.clone();
    }
}

impl File {
    fn lose_power(&mut self, mut random: Rng) {
        self.lock = Lock::Free;
        if self.content != self.durable {
            match random.u8(..4) {
                0 => {}
                1 => self.durable.clone_from(&self.content),
                _ => self.tear(&mut random),
            }
        }
        self.content.clone_from(&self.durable);
        self.dirty.clear();
    }

    /// Some sectors are old and some are new, and the length is one or the other.
    fn tear(&mut self, random: &mut Rng) {
        if random.bool() {
            self.durable.resize(self.content.len(), 0);
        }
        let odds = random.f32();
        for start in (0..self.durable.len().min(self.content.len())).step_by(SECTOR) {
            let range = start..(start + SECTOR).min(self.durable.len()).min(self.content.len());
            if random.f32() < odds {
                self.durable[range.clone()].copy_from_slice(&self.content[range]);
            }
        }
    }
}
