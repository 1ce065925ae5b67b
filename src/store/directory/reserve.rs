//! Room for a successor, made before the server is asked.
//!
//! A reserved file begins as the intent, followed by spaces up to its final size; saving writes
//! the successor over it. Spaces after a JSON object mean nothing, so at every moment the file is a
//! whole document, an intent, or (torn by a power loss) neither: no length needs to be stored.

use std::path::{Path, PathBuf};

use super::file::{Files, failed, with_suffix};
use crate::store::{Error, Place, Reservation};
use crate::system::OpenFile;

/// Room for what a successor may be longer than its document: two tokens of 64 KiB would be
/// refused, so one sealed refresh token of 64 KiB with its JSON escapes, padding and armor.
const MARGIN: usize = 192 * 1024;

struct Reserved {
    files: Files,
    document: PathBuf,
    beside: Option<Room>,
    second: Option<Room>,
}

type Room = (PathBuf, Box<dyn OpenFile>);

/// Reserves both places for a document that may be replaced. Nothing is left behind on failure.
pub(super) fn reserve(
    files: &Files,
    document: PathBuf,
    beside: PathBuf,
    second: PathBuf,
    intent: &[u8],
) -> Result<Box<dyn Reservation>, Error> {
    let size = files.changeable_length(&document)? + MARGIN;
    let first = make_room(files, &beside, intent, size)?;
    match make_room(files, &second, intent, size) {
        Ok(file) => Ok(Box::new(Reserved {
            files: files.clone(),
            document,
            beside: Some((beside, first)),
            second: Some((second, file)),
        })),
        Err(error) => {
            let _ = files.remove(&beside);
            Err(error)
        }
    }
}

fn make_room(files: &Files, path: &Path, intent: &[u8], size: usize) -> Result<Box<dyn OpenFile>, Error> {
    files.make_parent(path)?;
    let mut file = files.create(path)?;
    // A second line behind the lock of the grant, whose file somebody may delete while it is held.
    let made = files
        .claim(path, &mut *file)
        .and_then(|()| fill(&mut *file, path, intent, size))
        .and_then(|()| files.sync_directory(path));
    // What is in use is another's.
    if made.as_ref().is_err_and(|error| !matches!(error, Error::InUse { .. })) {
        let _ = files.remove(path);
    }
    made.map(|()| file)
}

fn fill(file: &mut dyn OpenFile, path: &Path, intent: &[u8], size: usize) -> Result<(), Error> {
    let mut content = vec![b' '; size.max(intent.len())];
    content[..intent.len()].copy_from_slice(intent);
    file.write(&content).map_err(failed("reserve", path))?;
    file.sync().map_err(failed("sync", path))
}

/// Writes the successor over the intent, durably, without needing a new block.
fn write_into(
    files: &Files,
    (path, file): &mut Room,
    successor: &[u8],
    verify: &dyn Fn(&[u8]) -> bool,
) -> Result<(), Error> {
    file.rewind().map_err(failed("write", path))?;
    file.write(successor).map_err(failed("write", path))?;
    file.set_length(successor.len() as u64).map_err(failed("write", path))?;
    file.sync().map_err(failed("sync", path))?;
    let read_back = files.read(path)?.unwrap_or_default();
    if verify(&read_back) { Ok(()) } else { Err(Error::NotWritten { path: path.clone() }) }
}

impl Reserved {
    fn save_beside(&mut self, successor: &[u8], verify: &dyn Fn(&[u8]) -> bool) -> Result<(), Error> {
        // Open, and so claimed, until it has its name.
        let mut room = self.beside.take().expect("a reservation is saved once");
        write_into(&self.files, &mut room, successor, verify)?;
        self.files.rename(&room.0, &self.document)
    }

    fn save_second(&mut self, successor: &[u8], verify: &dyn Fn(&[u8]) -> bool) -> Result<(), Error> {
        let mut room = self.second.take().expect("a reservation is saved once");
        write_into(&self.files, &mut room, successor, verify)
    }
}

impl Reservation for Reserved {
    fn save(mut self: Box<Self>, successor: &[u8], verify: &dyn Fn(&[u8]) -> bool) -> Result<Place, Error> {
        match self.save_beside(successor, verify) {
            Ok(()) => {
                if let Some((path, _)) = self.second.take() {
                    // A leftover intent is recognised as older than the document.
                    let _ = self.files.remove(&path);
                }
                Ok(Place::Beside)
            }
            Err(error) => {
                log::warn!("the place beside the document failed: {error}");
                self.save_second(successor, verify)?;
                // What could not be synced must not be taken for the successor later.
                let _ = self.files.remove(&with_suffix(&self.document, ".next"));
                Ok(Place::Second)
            }
        }
    }

    fn discard(mut self: Box<Self>) {
        for (path, _) in [self.beside.take(), self.second.take()].into_iter().flatten() {
            let _ = self.files.remove(&path);
        }
    }

    fn keep(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::directory::file::Durability;
    use crate::system::SystemDisk;

    fn files() -> Files {
        Files::new(Arc::new(SystemDisk))
    }

    struct Fixture {
        _home: tempfile::TempDir,
        document: PathBuf,
        beside: PathBuf,
        second: PathBuf,
    }

    fn fixture() -> Fixture {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let (document, beside, second) = (path("work.json"), path("work.json.next"), path("state/id.json"));
        files().replace(&document, b"{\"old\":1}", Durability::Durable).unwrap();
        Fixture { document, beside, second, _home: home }
    }

    impl Fixture {
        fn reserve(&self) -> Result<Box<dyn Reservation>, Error> {
            reserve(
                &files(),
                self.document.clone(),
                self.beside.clone(),
                self.second.clone(),
                b"{\"intent\":1}",
            )
        }
    }

    #[test]
    fn a_saved_successor_takes_the_place_of_the_document_and_nothing_else_is_left() {
        let at = fixture();

        let place = at.reserve().unwrap().save(b"{\"new\":1}", &|bytes| bytes == b"{\"new\":1}").unwrap();

        assert_eq!(place, Place::Beside);
        assert_eq!(std::fs::read(&at.document).unwrap(), b"{\"new\":1}");
        assert!(!at.beside.exists() && !at.second.exists());
    }

    #[test]
    fn the_room_is_there_before_anything_is_saved() {
        let at = fixture();

        at.reserve().unwrap().keep();

        assert!(std::fs::metadata(&at.beside).unwrap().len() as usize > MARGIN);
        assert!(std::fs::read(&at.second).unwrap().starts_with(b"{\"intent\":1} "));
        assert_eq!(std::fs::read(&at.document).unwrap(), b"{\"old\":1}");
    }

    #[test]
    fn a_write_that_does_not_read_back_goes_to_the_second_place() {
        let at = fixture();
        let reads = std::cell::Cell::new(0);
        let second_time = |_: &[u8]| reads.replace(reads.get() + 1) == 1;

        let place = at.reserve().unwrap().save(b"{\"new\":1}", &second_time).unwrap();

        assert_eq!(place, Place::Second);
        assert_eq!(std::fs::read(&at.second).unwrap(), b"{\"new\":1}");
        assert_eq!(std::fs::read(&at.document).unwrap(), b"{\"old\":1}");
    }

    #[test]
    fn a_reservation_that_fails_halfway_leaves_nothing() {
        let at = fixture();
        std::fs::create_dir_all(at.second.parent().unwrap()).unwrap();
        std::fs::write(&at.second, b"in the way").unwrap();

        assert!(at.reserve().is_err());
        assert!(!at.beside.exists());
    }
}
