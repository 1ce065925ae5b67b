//! One check: what was looked at, how it is, and what would mend it.

use std::path::PathBuf;

use crate::domain::{ClientName, DocumentId, ProfileName};
use crate::ops::Error;
use crate::ops::secrets::ProviderSecret;
use crate::store::Role;

/// How one thing is.
#[derive(Debug)]
pub struct Check {
    /// What was checked: one word, which stays the same.
    pub check: &'static str,
    /// On what.
    pub subject: Subject,
    /// How it went.
    pub outcome: Outcome,
    /// What was found, without any name, path or address: it may stand in a bug report.
    pub found: String,
    /// More of it, for the user alone.
    pub detail: Option<String>,
    /// What would mend it.
    pub remedy: Option<Remedy>,
    /// The error that was met.
    pub cause: Option<Error>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, and should be looked at.
    Warning,
    /// It does not work.
    Bad(Trouble),
    /// It was not looked at.
    Skipped,
}

/// What does not work, as far as scripts care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The vault key cannot be had.
    Locked,
    /// Only a login helps.
    Login,
    /// Something cannot be trusted.
    Integrity,
    /// A provider cannot be reached, or disagrees about the time.
    Later,
    /// Storage or its locks fail.
    Storage,
}

/// What a check is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// What the check says already.
    None,
    /// A profile.
    Profile(ProfileName),
    /// A client.
    Client(ClientName),
    /// A provider, by host and port.
    Host(String),
    /// A key slot.
    Slot {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        id: DocumentId,
    },
    /// One of the vault's places.
    Place(Role),
    /// A file or a directory.
    Path {
        /// Where it is.
        path: PathBuf,
        /// What it is, without a name in it.
        what: &'static str,
    },
    /// A variable of the environment.
    Variable(&'static str),
}

/// What would mend it. The words for it are chosen where the user reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Make a vault.
    MakeVault,
    /// Take others' rights away.
    CloseToOthers(PathBuf),
    /// Let the user own it.
    TakeOwnership(PathBuf),
    /// Let its owner run vault; or, if it ought to be the user's, let the user own it.
    RunAsOwner(PathBuf),
    /// Keep it on another file system.
    MoveVault,
    /// Make room, or allow writing.
    MakeRoom(PathBuf),
    /// Unlock the keychain of the session, or use another way.
    UnlockKeychain,
    /// Add another way to the key.
    AddSlot,
    /// Replace a slot that does not open, or opens too easily.
    ReplaceSlot(DocumentId),
    /// Unlock without being asked.
    UnlockFirst,
    /// Accept the key by using the vault.
    FirstUse,
    /// Finish changing the vault key.
    FinishRotation,
    /// See what is damaged.
    Verify,
    /// Log in.
    Login(ProfileName),
    /// Finish the rotation that has left this secret.
    FinishSecret(ProviderSecret),
    /// Complete what was interrupted.
    Complete(ProfileName),
    /// Complete whatever was interrupted elsewhere.
    CompleteAny,
    /// Look at a file, and remove it.
    LookAt(PathBuf),
    /// Pass the rescue block.
    ImportRescue,
    /// Set the clock.
    SetClock,
    /// Try again when the provider answers.
    TryLater,
    /// Take the variable away.
    Unset(&'static str),
    /// Take the secret out of the file.
    TakeIn(PathBuf),
    /// Call ours by its path, or install it under another name.
    CallByPath(PathBuf),
}

impl Check {
    /// It is as it should be.
    pub(super) fn ok(check: &'static str, subject: Subject, found: impl Into<String>) -> Self {
        Self::new(check, subject, Outcome::Ok, found)
    }

    /// It should be looked at.
    pub(super) fn warning(check: &'static str, subject: Subject, found: impl Into<String>) -> Self {
        Self::new(check, subject, Outcome::Warning, found)
    }

    /// It does not work.
    pub(super) fn bad(
        check: &'static str,
        subject: Subject,
        trouble: Trouble,
        found: impl Into<String>,
    ) -> Self {
        Self::new(check, subject, Outcome::Bad(trouble), found)
    }

    /// It was not looked at, because of `why`.
    pub(super) fn skipped(check: &'static str, subject: Subject, why: impl Into<String>) -> Self {
        Self::new(check, subject, Outcome::Skipped, why)
    }

    fn new(check: &'static str, subject: Subject, outcome: Outcome, found: impl Into<String>) -> Self {
        Self { check, subject, outcome, found: found.into(), detail: None, remedy: None, cause: None }
    }

    /// Adds what only the user may read.
    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Adds what would mend it.
    pub(super) fn remedy(self, remedy: Remedy) -> Self {
        Self { remedy: Some(remedy), ..self }
    }

    /// Adds the error that was met. Its own hints come before the remedy.
    pub(super) fn because(self, error: Error) -> Self {
        Self { cause: Some(error), ..self }
    }
}
