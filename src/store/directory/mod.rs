//! The local directory as a store.
//!
//! `vault.json`, `clients/`, `profiles/` and `locks/` in the vault directory; tokens in the cache
//! directory; what only this machine knows in the state directory.

mod audit;
mod examine;
mod file;
mod lock;
mod memory;
mod nursery;
mod reserve;
mod settle;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Access, Error, Examination, Expected, Held, Leftover, Lock, Name, Nursery, Patience, Place, Reservation,
    Revision, Store, Stored, Target,
};
use crate::domain::{ClientName, ProfileName, TokenId, VaultId};
use crate::system::{Clock, Disk, SystemClock, SystemDisk};
use file::{Durability, Files};

/// The folders of a vault.
const CLIENTS: &str = "clients";
const PROFILES: &str = "profiles";
const LOCKS: &str = "locks";

/// Stands in the names of files that could not be read and were set aside.
const ASIDE: &str = ".unread-";

/// Longest wait for another process that proves the same; it takes less than a millisecond.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// The three directories that belong to one user.
#[derive(Clone, Debug)]
pub struct Places {
    /// The vault itself; may be synced or backed up.
    pub vault: PathBuf,
    /// Sealed access tokens; may be deleted at any time.
    pub cache: PathBuf,
    /// What only this machine knows; not for syncing.
    pub state: PathBuf,
}

/// A vault in local directories.
#[derive(Clone)]
pub struct Directory {
    places: Places,
    files: Files,
    clock: Arc<dyn Clock>,
}

impl Directory {
    /// Where everything is.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The store in these places. Nothing is touched yet.
    pub fn new(places: Places) -> Self {
        Self::on(Arc::new(SystemDisk), Arc::new(SystemClock), places)
    }

    /// The same on this disk. Locks are waited for by this clock.
    pub fn on(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, places: Places) -> Self {
        Self { places, files: Files::new(disk), clock }
    }

    /// Refuses a vault directory that others could change. A missing one is fine.
    fn check(&self) -> Result<(), Error> {
        self.files.check_directory(&self.places.vault)
    }

    /// The same for a folder in it, which has a mode of its own.
    fn check_folder(&self, folder: &str) -> Result<PathBuf, Error> {
        self.check()?;
        let folder = self.places.vault.join(folder);
        self.files.check_directory(&folder)?;
        Ok(folder)
    }

    /// The same for wherever `name` is. Tokens are in the cache, and worth nothing without their MAC.
    fn check_place_of(&self, name: &Name) -> Result<(), Error> {
        match name {
            Name::Client(_) => self.check_folder(CLIENTS).map(drop),
            Name::Profile(_) => self.check_folder(PROFILES).map(drop),
            Name::Manifest | Name::Token(..) => self.check(),
        }
    }

    fn wait(
        &self,
        path: &Path,
        what: &'static str,
        access: Access,
        patience: &Patience<'_>,
    ) -> Result<Box<dyn Held>, Error> {
        lock::wait(&self.files, &*self.clock, path, what, access, patience)
    }

    fn path(&self, name: &Name) -> PathBuf {
        let vault = &self.places.vault;
        match name {
            Name::Manifest => vault.join("vault.json"),
            Name::Client(name) => vault.join(CLIENTS).join(format!("{name}.json")),
            Name::Profile(name) => vault.join(PROFILES).join(format!("{name}.json")),
            Name::Token(vault, id) => self.places.cache.join(vault.to_string()).join(format!("{id}.json")),
        }
    }

    /// `<document>.next`, the successor in the making.
    fn beside(&self, target: Target<'_>) -> PathBuf {
        file::with_suffix(&self.path(target.name), ".next")
    }

    /// The same on this machine only, for when there is no room beside the document.
    fn second(&self, target: Target<'_>) -> PathBuf {
        let file = match target.name {
            Name::Manifest => "vault.json".to_owned(),
            Name::Client(name) => format!("client-{name}.json"),
            Name::Profile(name) => format!("profile-{name}.json"),
            Name::Token(_, id) => format!("token-{id}.json"),
        };
        self.second_places(target.vault).join(file)
    }

    fn second_places(&self, vault: &VaultId) -> PathBuf {
        self.places.state.join(vault.to_string()).join("next")
    }

    fn place(&self, target: Target<'_>, place: Place) -> PathBuf {
        match place {
            Place::Beside => self.beside(target),
            Place::Second => self.second(target),
        }
    }

    fn names<T: FromStr + Ord>(&self, folder: &str) -> Result<Vec<T>, Error> {
        let files = self.listing(folder)?;
        Ok(sorted(files.iter().filter_map(|file| document_name(file))))
    }

    /// What lies in a folder of the vault.
    fn listing(&self, folder: &str) -> Result<Vec<OsString>, Error> {
        self.files.list(&self.check_folder(folder)?)
    }

    fn check_expected(&self, name: &Name, path: &Path, expected: Expected<'_>) -> Result<(), Error> {
        let found = match expected {
            Expected::Anything => return Ok(()),
            _ => self.files.read(path)?,
        };
        let as_expected = match (expected, &found) {
            (Expected::Absent, None) => true,
            (Expected::Revision(revision), Some(bytes)) => Revision::of(bytes) == *revision,
            _ => false,
        };
        if as_expected { Ok(()) } else { Err(Error::Conflict { name: name.to_string() }) }
    }
}

/// The name of the document that a file holds, if it holds one.
fn document_name<T: FromStr>(file: &OsStr) -> Option<T> {
    file.to_str()?.strip_suffix(".json")?.parse().ok()
}

fn sorted<T: Ord>(names: impl Iterator<Item = T>) -> Vec<T> {
    let mut names: Vec<T> = names.collect();
    names.sort();
    names
}

/// What a file, less its `.json`, is called as a document.
type Named = fn(&str) -> Option<Name>;

/// The folders of documents.
fn folders() -> [(&'static str, Named); 2] {
    [
        (CLIENTS, |name| name.parse().ok().map(Name::Client)),
        (PROFILES, |name| name.parse().ok().map(Name::Profile)),
    ]
}

/// The document whose successor a file in the second place is: see [`Directory::second`].
fn second_name(file: &OsStr) -> Option<Name> {
    let file = file.to_str()?.strip_suffix(".json")?;
    match file.split_once('-')? {
        ("client", name) => name.parse().ok().map(Name::Client),
        ("profile", name) => name.parse().ok().map(Name::Profile),
        _ => None,
    }
}

/// Whether a file is a document, or what a writer of one leaves: a successor, a temporary file, or
/// what was set aside.
fn is_ours<T: FromStr>(file: &OsStr) -> bool {
    let Some(file) = file.to_str() else { return false };
    let file = file.split_once(ASIDE).map_or(file, |(file, _)| file);
    let file = file.strip_suffix(".next").or_else(|| file.strip_suffix(file::TEMPORARY)).unwrap_or(file);
    document_name::<T>(OsStr::new(file)).is_some()
}

impl Store for Directory {
    fn read(&self, name: &Name) -> Result<Option<Stored>, Error> {
        self.check_place_of(name)?;
        let bytes = self.files.read(&self.path(name))?;
        Ok(bytes.map(|bytes| Stored { bytes }))
    }

    fn write(&self, name: &Name, bytes: &[u8], expected: Expected<'_>) -> Result<(), Error> {
        self.check_place_of(name)?;
        let path = self.path(name);
        self.check_expected(name, &path, expected)?;
        // A token that is lost is asked for again; a document is not to be lost.
        let durability = match name {
            Name::Token(..) => Durability::Cached,
            _ => Durability::Durable,
        };
        self.files.replace(&path, bytes, durability)
    }

    fn remove(&self, name: &Name) -> Result<(), Error> {
        self.check()?;
        self.files.remove_for_good(&self.path(name))
    }

    fn clients(&self) -> Result<Vec<ClientName>, Error> {
        self.names(CLIENTS)
    }

    fn profiles(&self) -> Result<Vec<ProfileName>, Error> {
        self.names(PROFILES)
    }

    fn strangers(&self) -> Result<Vec<String>, Error> {
        let mut strangers = Vec::new();
        for (folder, is_ours) in
            [(CLIENTS, is_ours::<ClientName> as fn(&OsStr) -> bool), (PROFILES, is_ours::<ProfileName>)]
        {
            let files = self.listing(folder)?;
            let foreign = files.iter().filter(|file| !is_ours(file));
            strangers.extend(foreign.map(|file| format!("{folder}/{}", file.to_string_lossy())));
        }
        strangers.sort();
        Ok(strangers)
    }

    fn tokens(&self, vault: &VaultId) -> Result<Vec<TokenId>, Error> {
        let files = self.files.list(&self.places.cache.join(vault.to_string()))?;
        Ok(sorted(files.iter().filter_map(|file| document_name(file))))
    }

    fn unfinished(&self, vault: &VaultId) -> Result<Vec<Name>, Error> {
        let mut names = Vec::new();
        for (folder, named) in folders() {
            let files = self.listing(folder)?;
            let successors = files.iter().filter_map(|file| file.to_str()?.strip_suffix(".next"));
            names.extend(successors.filter_map(|file| named(file.strip_suffix(".json")?)));
        }
        let files = self.files.list(&self.second_places(vault))?;
        names.extend(files.iter().filter_map(|file| second_name(file)));
        let mut names = sorted(names.into_iter());
        names.dedup();
        Ok(names)
    }

    fn kept_aside(&self, vault: &VaultId) -> Result<Vec<String>, Error> {
        let second = self.second_places(vault);
        let folders = [self.places.vault.join(CLIENTS), self.places.vault.join(PROFILES), second];
        let mut found = Vec::new();
        for folder in folders {
            let files = self.files.list(&folder)?;
            let aside = files.iter().filter(|file| file.to_string_lossy().contains(ASIDE));
            found.extend(aside.map(|file| folder.join(file).display().to_string()));
        }
        Ok(sorted(found.into_iter()))
    }

    fn sync(&self, vault: &VaultId) -> Result<(), Error> {
        self.sync_folders(vault)
    }

    fn settle(&self, vault: &VaultId) -> Result<(), Error> {
        self.settle_all(vault)
    }

    fn lock(&self, lock: &Lock, access: Access, patience: &Patience<'_>) -> Result<Box<dyn Held>, Error> {
        let folder = self.check_folder(LOCKS)?;
        let (file, what) = match lock {
            Lock::Vault => ("vault.lock".to_owned(), "the vault"),
            Lock::Grant(id) => (format!("{id}.lock"), "this grant"),
            Lock::Rotation => ("rotation.lock".to_owned(), "the rotation of the vault key"),
        };
        self.wait(&folder.join(file), what, access, patience)
    }

    fn reserve(&self, target: Target<'_>, intent: &[u8]) -> Result<Box<dyn Reservation>, Error> {
        self.check_place_of(target.name)?;
        let document = self.path(target.name);
        reserve::reserve(&self.files, document, self.beside(target), self.second(target), intent)
    }

    fn leftovers(&self, target: Target<'_>) -> Result<Vec<Leftover>, Error> {
        let mut found = Vec::new();
        for place in [Place::Beside, Place::Second] {
            let path = self.place(target, place);
            if let Some(bytes) = self.files.read(&path)? {
                found.push(Leftover { place, bytes, is_claimed: self.files.is_claimed(&path)? });
            }
        }
        Ok(found)
    }

    fn promote(&self, target: Target<'_>, leftover: &Leftover) -> Result<(), Error> {
        let document = self.path(target.name);
        match leftover.place {
            Place::Beside => {
                let successor = self.beside(target);
                // Its writer may have died after a sync that failed, and then the next one proves
                // nothing: so it is written anew.
                if self.files.replace(&document, &leftover.bytes, Durability::Durable).is_ok() {
                    return self.files.remove(&successor);
                }
                // No room for that: what is there takes no new block.
                self.files.sync(&successor)?;
                self.files.rename(&successor, &document)
            }
            Place::Second => {
                self.files.replace(&document, &leftover.bytes, Durability::Durable)?;
                self.files.remove(&self.second(target))
            }
        }
    }

    fn discard(&self, target: Target<'_>, place: Place) -> Result<(), Error> {
        let path = self.place(target, place);
        if self.files.is_claimed(&path)? {
            return Err(Error::InUse { what: target.name.to_string() });
        }
        self.files.remove(&path)
    }

    fn set_aside(&self, target: Target<'_>, place: Place) -> Result<(), Error> {
        let path = self.place(target, place);
        let aside = file::with_suffix(&path, &format!("{ASIDE}{}", crate::system::random_id()));
        self.files.rename(&path, &aside)
    }

    fn begin(&self) -> Result<Box<dyn Nursery>, Error> {
        self.begin_beside()
    }

    fn location(&self) -> String {
        self.places.vault.display().to_string()
    }

    fn examine(&self) -> Examination {
        self.examined()
    }

    fn prove_writable(&self) -> Result<(), Error> {
        let locks = self.check_folder(LOCKS)?;
        // One process at a time, so that the probe has a fixed name, and one that was left by a killed
        // process is taken over.
        let patience = Patience { limit: PROBE_LIMIT, on_wait: &|| {}, is_over: &|| false };
        let _lock =
            self.wait(&locks.join("probe.lock"), "the vault directory", Access::Exclusive, &patience)?;
        let probe = self.places.vault.join(".probe");
        self.files.replace(&probe, b"vault\n", Durability::Durable)?;
        self.files.remove(&probe)
    }
}
