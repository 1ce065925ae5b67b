//! Documents: canonical form, MAC, and age messages with their binding. Pure: no files, no clock.

mod document;
mod item;
mod json;
mod key;
mod manifest;

pub use document::{Document, Draft, Error, Format, Verified};
pub use item::Error as ItemError;
pub use json::{Error as JsonError, MAX_SIZE};
pub use key::{Error as KeyError, VaultKey, decryptor};
pub use manifest::Manifest;
