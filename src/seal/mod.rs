//! Documents: canonical form, MAC, and age messages with their binding. Pure: no files, no clock.

mod key;

pub use key::{Error as KeyError, VaultKey};
