//! Documents: canonical form, MAC, and age messages with their binding. Pure: no files, no clock.

mod backup;
mod document;
mod draft;
mod format;
mod item;
mod json;
mod key;
mod manifest;
#[cfg(test)]
mod resealing;
mod ring;

pub use backup::{Backup, Error as BackupError, MAX_BACKUP, Part};
pub use document::{Document, Error, Verified};
pub use draft::Draft;
pub use format::Format;
pub use item::Error as ItemError;
pub use json::{Error as JsonError, MAX_SIZE};
pub use key::{Error as KeyError, MAX_HEADER, VaultKey, decryptor};
pub use manifest::{Manifest, OwnProvider, Rotation};
pub use ring::KeyRing;
