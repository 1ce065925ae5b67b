//! Where documents are kept: opaque bytes under names, with locks and durable replacement.
//!
//! Nothing above this room knows that documents are files; the local [`Directory`] is the first
//! store. [`Memory`] is what this machine alone remembers, and is never synced; [`Journal`] what was done
//! on it.

mod directory;
mod error;
mod examination;
mod journal;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use directory::{Directory, Places};
pub use error::Error;
pub use examination::{Examination, Loose, Place as ExaminedPlace, Remains, Role};
pub use journal::{Journal, Reading};

use crate::domain::{ClientName, DocumentId, KeyId, ProfileName, TokenId, VaultId};

/// The name of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The one manifest.
    Manifest,
    /// A client.
    Client(ClientName),
    /// A profile.
    Profile(ProfileName),
    /// A cached token of a profile document.
    Token(VaultId, TokenId),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("the manifest"),
            Self::Client(name) => write!(f, "client `{name}`"),
            Self::Profile(name) => write!(f, "profile `{name}`"),
            Self::Token(_, id) => write!(f, "the cached token of {id}"),
        }
    }
}

/// A document as it was read.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The document.
    pub bytes: Vec<u8>,
}

impl Stored {
    /// Which state of the document it is, to be named when it is replaced.
    pub fn revision(&self) -> Revision {
        Revision::of(&self.bytes)
    }
}

/// One state of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision([u8; 32]);

impl Revision {
    /// The revision of a document with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

/// What a writer believes to stand in the store.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// Nothing of that name.
    Absent,
    /// This state.
    Revision(&'a Revision),
    /// Whatever there is: for tokens, which can always be had again.
    Anything,
}

/// What a lock protects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// The set of documents, and the vault key.
    Vault,
    /// The grant of one profile document, or the rotation of the secret of one client document.
    Grant(DocumentId),
    /// The rotation of the vault key: one process at a time carries it on.
    Rotation,
}

/// Whether others may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Others may share it.
    Shared,
    /// Nobody else.
    Exclusive,
}

/// How long a lock is waited for, and what is said meanwhile.
pub struct Patience<'a> {
    /// The longest wait.
    pub limit: Duration,
    /// Called once when the wait has lasted a second.
    pub on_wait: &'a dyn Fn(),
    /// Whether to give up before the limit, as if it had come.
    pub is_over: &'a dyn Fn() -> bool,
}

/// A lock that is held until it is dropped, or its process ends.
pub trait Held: fmt::Debug {}

/// A document whose successor is being prepared.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its name.
    pub name: &'a Name,
    /// Its vault.
    pub vault: &'a VaultId,
}

/// Where a successor was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Beside the document.
    Beside,
    /// On this machine only, because the place beside the document failed.
    Second,
}

/// What an interrupted writer left behind.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// Where it is.
    pub place: Place,
    /// An intent, a successor, or half of one.
    pub bytes: Vec<u8>,
    /// Whether its writer lives and is at work. Who has asked for the lock before will not meet one,
    /// unless somebody has deleted the lock file.
    pub is_claimed: bool,
}

/// Room for a successor, allocated and durable before anything irreversible is asked of a server.
pub trait Reservation {
    /// Writes the successor into its room, makes it durable, has the bytes that were read back
    /// checked by `verify`, and puts it in the place of the document.
    ///
    /// # Errors
    ///
    /// If both places failed; then the caller holds the only copy.
    fn save(self: Box<Self>, successor: &[u8], verify: &dyn Fn(&[u8]) -> bool) -> Result<Place, Error>;

    /// Gives the room back: there is no successor.
    fn discard(self: Box<Self>);

    /// Leaves the intent where it is, for whoever comes next.
    fn keep(self: Box<Self>);
}

/// A vault in the making, which nobody sees before it is whole. Dropped, it is gone.
pub trait Nursery {
    /// Adds a document.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn put(&mut self, name: &Name, bytes: &[u8]) -> Result<(), Error>;

    /// Puts the whole vault in its place: after a crash there is all of it, or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] if something stands there by now; else if storage fails.
    fn publish(self: Box<Self>) -> Result<(), Error>;
}

/// Keeps documents.
pub trait Store: Send + Sync {
    /// The bytes of a document, if there is one.
    ///
    /// # Errors
    ///
    /// If the place is unsafe, it is no plain document, or it cannot be read.
    fn read(&self, name: &Name) -> Result<Option<Stored>, Error>;

    /// Puts a document in its place: after a crash there is the old one or the new one.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if something else than `expected` stands there; else if storage fails.
    fn write(&self, name: &Name, bytes: &[u8], expected: Expected<'_>) -> Result<(), Error>;

    /// Removes a document; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn remove(&self, name: &Name) -> Result<(), Error>;

    /// The names of all clients, in order. Whatever else lies there is left out.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    fn clients(&self) -> Result<Vec<ClientName>, Error>;

    /// The names of all profiles, in order. Whatever else lies there is left out.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    fn profiles(&self) -> Result<Vec<ProfileName>, Error>;

    /// What lies among clients and profiles and was not written by this program, in order.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    fn strangers(&self) -> Result<Vec<String>, Error>;

    /// The tokens that are cached, for whatever purpose, in order.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    fn tokens(&self, vault: &VaultId) -> Result<Vec<TokenId>, Error>;

    /// The documents that an interrupted writer has left something for, in order.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    fn unfinished(&self, vault: &VaultId) -> Result<Vec<Name>, Error>;

    /// What was moved out of the way by [`Store::set_aside`] and still lies there, in order.
    ///
    /// # Errors
    ///
    /// If it cannot be listed.
    fn kept_aside(&self, vault: &VaultId) -> Result<Vec<String>, Error>;

    /// Makes durable what others have put in its place.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn sync(&self, vault: &VaultId) -> Result<(), Error>;

    /// The same, cached tokens too, and removes what killed writers have left half-written. The caller holds the vault lock alone.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn settle(&self, vault: &VaultId) -> Result<(), Error>;

    /// Waits for a lock.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] when patience ends.
    fn lock(&self, lock: &Lock, access: Access, patience: &Patience<'_>) -> Result<Box<dyn Held>, Error>;

    /// Allocates room for the successor of `target` in both places and writes `intent` there.
    ///
    /// # Errors
    ///
    /// If there is no room, or it cannot be made durable. Nothing is left behind then.
    fn reserve(&self, target: Target<'_>, intent: &[u8]) -> Result<Box<dyn Reservation>, Error>;

    /// What an interrupted writer left for `target`; beside the document first.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be read.
    fn leftovers(&self, target: Target<'_>) -> Result<Vec<Leftover>, Error>;

    /// Puts a complete successor in the place of its document.
    ///
    /// # Errors
    ///
    /// If storage fails; the successor is still there then.
    fn promote(&self, target: Target<'_>, leftover: &Leftover) -> Result<(), Error>;

    /// Removes a leftover that is known to be of no use.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] if its writer lives, else if storage fails.
    fn discard(&self, target: Target<'_>, place: Place) -> Result<(), Error>;

    /// Moves a leftover that could not be read out of the way, and keeps it.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn set_aside(&self, target: Target<'_>, place: Place) -> Result<(), Error>;

    /// Begins a whole vault in a place where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Occupied`] if anything stands there; else if storage fails.
    fn begin(&self) -> Result<Box<dyn Nursery>, Error>;

    /// What to call the place in a message.
    fn location(&self) -> String;

    /// What a person should know of the places where documents are kept on this machine. Nothing is made
    /// where there is no vault, and nothing is changed but a lock file.
    fn examine(&self) -> Examination;

    /// Proves that documents can be written: makes the place if there is none, writes and removes
    /// a probe.
    ///
    /// # Errors
    ///
    /// If that fails.
    fn prove_writable(&self) -> Result<(), Error>;
}

/// How far a document has come, so that an older one is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The highest generation that was written here.
    pub generation: u64,
    /// Whether it was removed, so that a copy that comes back is not accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// The vault keys that this machine accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Oldest first: one, or two while the key is rotated.
    pub kids: Vec<KeyId>,
    /// When the first of them was accepted.
    pub since: Timestamp,
    /// Keys that are not accepted any more, and may still lie in the keychain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<KeyId>,
}

/// A successor that was printed because it could not be saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutstandingRescue {
    /// The profile that it belongs to.
    pub profile: ProfileName,
    /// When the refresh token in it was issued: one that is stored and as new makes it needless.
    pub renewed_at: Timestamp,
}

/// What this machine remembers about a vault.
pub trait Memory: Send + Sync {
    /// How far the document has come.
    ///
    /// # Errors
    ///
    /// If the mark is there and cannot be read.
    fn mark(&self, vault: &VaultId, id: &DocumentId) -> Result<Option<Mark>, Error>;

    /// Remembers how far the document has come.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn set_mark(&self, vault: &VaultId, id: &DocumentId, mark: &Mark) -> Result<(), Error>;

    /// The vault keys that this machine accepts.
    ///
    /// # Errors
    ///
    /// If the pin is there and cannot be read.
    fn pin(&self, vault: &VaultId) -> Result<Option<Pin>, Error>;

    /// Accepts these vault keys from now on.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn set_pin(&self, vault: &VaultId, pin: &Pin) -> Result<(), Error>;

    /// The vault that this machine has last seen in this place.
    ///
    /// # Errors
    ///
    /// If the record is there and cannot be read.
    fn known_vault(&self) -> Result<Option<VaultId>, Error>;

    /// Remembers which vault stands in this place, and that it does.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn set_known_vault(&self, vault: &VaultId) -> Result<(), Error>;

    /// Another place on this machine in which the vault stands.
    ///
    /// # Errors
    ///
    /// If the record of its places is there and cannot be read.
    fn other_place(&self, vault: &VaultId) -> Result<Option<PathBuf>, Error>;

    /// The identity files that open the vault on this machine.
    ///
    /// # Errors
    ///
    /// If the list is there and cannot be read.
    fn identities(&self, vault: &VaultId) -> Result<Vec<PathBuf>, Error>;

    /// Remembers the identity files.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn set_identities(&self, vault: &VaultId, identities: &[PathBuf]) -> Result<(), Error>;

    /// The rescue of a document that has not been taken in again.
    ///
    /// # Errors
    ///
    /// If the record is there and cannot be read.
    fn rescue(&self, vault: &VaultId, id: &DocumentId) -> Result<Option<OutstandingRescue>, Error>;

    /// The documents whose rescues have not been taken in again, in order.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    fn rescues(&self, vault: &VaultId) -> Result<Vec<DocumentId>, Error>;

    /// Remembers a rescue, or forgets it.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn set_rescue(
        &self,
        vault: &VaultId,
        id: &DocumentId,
        rescue: Option<&OutstandingRescue>,
    ) -> Result<(), Error>;
}
