//! What is stored, seen as bytes and as JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::home::Home;

/// Every document of the vault and every cached token, to compare before and after.
pub fn stored(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = home.files("data").into_iter().chain(home.files("cache"));
    let documents = files.filter(|file| !file.components().any(|part| part.as_os_str() == "locks"));
    documents.map(|file| (file.clone(), std::fs::read(&file).unwrap())).collect()
}

/// A file as JSON.
pub fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
