//! The journal: `audit.jsonl` in the state directory, and the one before it.
//!
//! A line is one `write` to a file that was opened with `O_APPEND`: the system finds the end and writes there
//! under its own lock, so that lines never mix. Whoever writes holds the file's lock together with the other
//! writers; whoever moves a full file away holds it alone, and so nobody writes into a file that has been
//! moved.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Directory;
use super::file::{Files, failed};
use crate::domain::VaultId;
use crate::store::{Error, Journal, Reading};
use crate::system::OpenFile;

/// From this length on, in bytes, a new file is begun. There are two, so this is the least that is kept.
const FULL: u64 = 1 << 20;

/// Longest piece that is read at once, in bytes.
const PIECE: u64 = 1 << 20;

/// Longest wait for another process that moves a full file away, which takes microseconds.
const LOCK_LIMIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(1);

/// Longest wait for the other writers of a full file. None of them writes a second line to it.
const TURN_LIMIT: Duration = Duration::from_millis(50);

/// Windows lets nobody write to a file that is locked together with others.
const WRITES_ALONE: bool = cfg!(not(unix));

impl Directory {
    fn journal_path(&self, vault: &VaultId) -> PathBuf {
        self.fact_path(vault, "audit.jsonl")
    }

    fn older_journal_path(&self, vault: &VaultId) -> PathBuf {
        self.fact_path(vault, "audit.1.jsonl")
    }

    /// The file that has the name, locked, and its length.
    fn current(&self, path: &Path) -> Result<(Box<dyn OpenFile>, u64), Error> {
        let begun = self.clock.instant();
        loop {
            let (mut file, found) = self.files.open_to_append(path)?;
            // It may have been moved away between our opening and locking it.
            if file.try_lock(WRITES_ALONE).map_err(failed("lock", path))? && self.files.is_named(path, &found)
            {
                return Ok((file, found.length));
            }
            let waited = self.clock.instant().duration_since(begun);
            if waited >= LOCK_LIMIT {
                return Err(Error::Busy { what: "the audit log", waited: LOCK_LIMIT });
            }
            self.clock.sleep(PAUSE);
        }
    }

    /// Moves a full file away, if nobody else does before. Where one who writes to it has fallen asleep,
    /// whoever comes next tries again.
    fn begin_anew(&self, vault: &VaultId) -> Result<(), Error> {
        let path = self.journal_path(vault);
        let (mut file, found) = self.files.open_to_append(&path)?;
        let begun = self.clock.instant();
        while found.length >= FULL && self.files.is_named(&path, &found) {
            if file.try_lock(true).map_err(failed("lock", &path))? {
                // It may have been moved away before it was ours.
                return match self.files.is_named(&path, &found) {
                    true => self.files.move_away(&path, &self.older_journal_path(vault)),
                    false => Ok(()),
                };
            }
            if self.clock.instant().duration_since(begun) >= TURN_LIMIT {
                return Err(Error::Busy { what: "the audit log", waited: TURN_LIMIT });
            }
            self.clock.sleep(PAUSE);
        }
        Ok(())
    }
}

impl Journal for Directory {
    fn append(&self, vault: &VaultId, line: &str) -> Result<(), Error> {
        let path = self.journal_path(vault);
        let (mut file, length) = self.current(&path)?;
        file.append(format!("{line}\n").as_bytes()).map_err(failed("write", &path))?;
        drop(file);
        if length + line.len() as u64 >= FULL
            && let Err(error) = self.begin_anew(vault)
        {
            // The line is written; the file grows until somebody succeeds.
            log::debug!("a new audit log cannot be begun: {error}");
        }
        Ok(())
    }

    fn read(&self, vault: &VaultId) -> Result<Box<dyn Reading + '_>, Error> {
        let (path, older) = (self.journal_path(vault), self.older_journal_path(vault));
        let mut pages = Pages { files: &self.files, path, older, now: None, last: None };
        pages.turn()?;
        Ok(Box::new(pages))
    }
}

/// The two files, read as one that goes on growing.
struct Pages<'a> {
    files: &'a Files,
    path: PathBuf,
    older: PathBuf,
    /// What is being read.
    now: Option<Page>,
    /// What was read to its end. It is kept open, so that no other file can be taken for it.
    last: Option<Page>,
}

struct Page {
    file: Box<dyn OpenFile>,
    was_moved: bool,
}

impl Pages<'_> {
    /// Goes on to the file after the last one, if it is there.
    fn turn(&mut self) -> Result<(), Error> {
        // The newer one first: if it is moved away now, it is found under the older name.
        let newer = self.files.open_to_read(&self.path)?;
        let older = self.files.open_to_read(&self.older)?;
        let older =
            older.filter(|file| !self.last.as_ref().is_some_and(|last| is_same(&*last.file, &**file)));
        let older = older.map(|file| Page { file, was_moved: true });
        self.now = older.or(newer.map(|file| Page { file, was_moved: false }));
        Ok(())
    }

    /// Whether nobody adds to the file any more.
    fn is_complete(&self, page: &Page) -> bool {
        page.was_moved || !self.files.is_still_there(&self.path, &*page.file)
    }
}

impl Reading for Pages<'_> {
    fn more(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            let Some(mut page) = self.now.take() else {
                self.turn()?;
                if self.now.is_none() {
                    return Ok(Vec::new());
                }
                continue;
            };
            // Asked before it is read: what is added later is read later.
            let is_complete = self.is_complete(&page);
            let bytes = page.file.read(0, PIECE).map_err(failed("read", &self.path))?;
            if bytes.is_empty() && is_complete {
                self.last = Some(page);
                continue;
            }
            self.now = Some(page);
            return Ok(bytes);
        }
    }
}

fn is_same(a: &dyn OpenFile, b: &dyn OpenFile) -> bool {
    matches!((a.facts(), b.facts()), (Ok(a), Ok(b)) if a.identity == b.identity)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::store::Places;
    use crate::system::{Disk, Facts, Opening, SystemClock, SystemDisk};

    const VAULT: &str = "00000000000000000000000000000001";

    fn journal(home: &Path) -> Directory {
        Directory::new(places(home))
    }

    fn places(home: &Path) -> Places {
        Places { vault: home.join("vault"), cache: home.join("cache"), state: home.join("state") }
    }

    fn all(reading: &mut dyn Reading) -> String {
        let mut bytes = Vec::new();
        loop {
            match reading.more().unwrap() {
                more if more.is_empty() => return String::from_utf8(bytes).unwrap(),
                more => bytes.extend(more),
            }
        }
    }

    /// The numbers of each writer, in their order in the journal.
    fn numbers(text: &str) -> BTreeMap<usize, Vec<usize>> {
        let mut numbers = BTreeMap::<usize, Vec<usize>>::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!((words.len(), words[2].len()), (3, 500), "a whole line: {line}");
            numbers.entry(words[0].parse().unwrap()).or_default().push(words[1].parse().unwrap());
        }
        numbers
    }

    #[test]
    fn many_writers_fill_many_files_and_nothing_is_lost_but_the_oldest() {
        const WRITERS: usize = 8;
        const LINES: usize = 1500;
        let home = tempfile::tempdir().unwrap();
        let vault: VaultId = VAULT.parse().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (journal, vault) = (journal(home.path()), &vault);
                scope.spawn(move || {
                    for number in 0..LINES {
                        let line = format!("{writer} {number} {}", "x".repeat(500));
                        journal.append(vault, &line).unwrap();
                    }
                });
            }
        });

        let text = all(&mut *journal(home.path()).read(&vault).unwrap());

        assert!((FULL as usize..(2 * FULL + 100_000) as usize).contains(&text.len()), "{}", text.len());
        for (writer, kept) in numbers(&text) {
            let first = kept[0];
            assert_eq!(kept, (first..LINES).collect::<Vec<_>>(), "the last ones of writer {writer}");
        }
    }

    #[test]
    fn who_reads_while_two_files_are_filled_misses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let vault: VaultId = VAULT.parse().unwrap();
        let journal = journal(home.path());
        let line = |number: usize| format!("0 {number} {}", "x".repeat(500));
        journal.append(&vault, &line(0)).unwrap();
        let mut reading = journal.read(&vault).unwrap();
        let mut text = all(&mut *reading);

        // A file holds 2080 of them: two are filled before the reader looks again.
        (1..5000).for_each(|number| journal.append(&vault, &line(number)).unwrap());
        text.push_str(&all(&mut *reading));

        assert_eq!(numbers(&text)[&0], (0..5000).collect::<Vec<_>>());
    }

    #[test]
    fn who_opens_the_file_and_falls_asleep_does_not_write_into_one_that_was_moved_away() {
        let home = tempfile::tempdir().unwrap();
        let vault: VaultId = VAULT.parse().unwrap();
        let disk = Arc::new(Sleeper { home: home.path().to_owned(), has_slept: AtomicBool::new(false) });
        let sleeper = Directory::on(disk, Arc::new(SystemClock), places(home.path()));

        sleeper.append(&vault, &format!("1 0 {}", "x".repeat(500))).unwrap();

        let text = all(&mut *sleeper.read(&vault).unwrap());
        assert_eq!(numbers(&text).get(&1), Some(&vec![0]));
        assert!(text.lines().last().unwrap().starts_with("1 0 "), "it is the newest");
    }

    /// The disk of a process that sleeps after it has first opened the journal, while others fill two files.
    struct Sleeper {
        home: PathBuf,
        has_slept: AtomicBool,
    }

    impl Disk for Sleeper {
        fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn OpenFile>> {
            let opened = SystemDisk.open(path, how)?;
            if how == Opening::Append && !self.has_slept.swap(true, Ordering::Relaxed) {
                let others = journal(&self.home);
                let line = |number| format!("0 {number} {}", "x".repeat(500));
                (0..5000).for_each(|it| others.append(&VAULT.parse().unwrap(), &line(it)).unwrap());
            }
            Ok(opened)
        }

        fn user(&self) -> u32 {
            SystemDisk.user()
        }

        fn look_at(&self, path: &Path) -> io::Result<Facts> {
            SystemDisk.look_at(path)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            SystemDisk.rename(from, to)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            SystemDisk.remove(path)
        }

        fn remove_directory(&self, path: &Path) -> io::Result<()> {
            SystemDisk.remove_directory(path)
        }

        fn make_directories(&self, path: &Path) -> io::Result<()> {
            SystemDisk.make_directories(path)
        }

        fn sync_directory(&self, path: &Path) -> io::Result<()> {
            SystemDisk.sync_directory(path)
        }

        fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
            SystemDisk.list(path)
        }

        fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
            SystemDisk.canonical(path)
        }
    }
}
