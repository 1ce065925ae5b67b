//! What a store tells of the places where it keeps documents on this machine, for a person to judge.

use std::path::PathBuf;

use super::Error;
use crate::domain::ProfileName;
use crate::system::{FileSystem, Look};

/// Everything that was seen.
#[derive(Debug, Default)]
pub struct Examination {
    /// The places.
    pub places: Vec<Place>,
    /// How many files and folders were looked at.
    pub looked_at: usize,
    /// Those of them that other users can see or change.
    pub loose: Vec<Loose>,
    /// What interrupted writers have left.
    pub remains: Vec<Remains>,
    /// Whether a lock keeps others away and is freed by its end; `None` where there is no vault to lock.
    pub lock: Option<Result<bool, Error>>,
}

/// What a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The vault itself.
    Vault,
    /// Cached tokens.
    Cache,
    /// What only this machine knows.
    State,
}

/// One place.
#[derive(Debug)]
pub struct Place {
    /// What it is for.
    pub role: Role,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it has been made.
    pub is_there: bool,
    /// What holds it.
    pub file_system: Option<FileSystem>,
    /// The program that copies it to other machines, as far as the path tells.
    pub synced_by: Option<&'static str>,
}

/// A file or a folder that is not for us alone.
#[derive(Debug)]
pub struct Loose {
    /// Where it is.
    pub path: PathBuf,
    /// How it is.
    pub look: Look,
}

/// What an interrupted writer has left.
#[derive(Debug)]
pub struct Remains {
    /// Where it is.
    pub path: PathBuf,
    /// The profile that it is of, if it is of one.
    pub profile: Option<ProfileName>,
    /// Whether it could not be read and was kept for a person to look at; else the next writer completes it.
    pub is_set_aside: bool,
}
