//! Sealed copies of files that were taken in: what stood there, byte for byte, beside the secrets that were in it.
//!
//! All copies of one document are one sealed item, `taken_files`. So they are in every backup, are opened by
//! `vault verify` and sealed anew when the key is rotated, like any other secret; and they go with the login.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::domain::{Binding, SealedField};
use crate::ops::{self, Unlocked, documents};
use crate::seal::{self, Draft, Verified};
use crate::store::Name;

/// Most bytes of all copies in one document: a sealed item has 64 KiB, and Base64 takes a third more.
pub(super) const MAX_BYTES: usize = 44 * 1024;

/// The files whose copies a document keeps.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Copies {
    files: Vec<Kept>,
}

/// The copy of a file.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    path: String,
    at: Timestamp,
    /// In Base64: it may be no text.
    bytes: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl Copies {
    /// Those that `document` keeps.
    pub(super) fn open(vault: &Unlocked, name: &Name, document: &Verified) -> Result<Self, ops::Error> {
        if !document.holds(SealedField::TakenFiles) {
            return Ok(Self::default());
        }
        let refused = documents::refused(name);
        let (text, _) = document.open(&vault.keys, SealedField::TakenFiles, &binding()).map_err(refused)?;
        serde_json::from_str(text.expose_secret()).map_err(|_| {
            let source = seal::Error::Facts("its copies of files are malformed".to_owned());
            ops::Error::Document { document: name.to_string(), source }
        })
    }

    /// The copy of the file at `path`, the last of several.
    pub(super) fn find(&self, path: &str) -> Option<&Kept> {
        self.files.iter().rfind(|file| file.path == path)
    }

    /// The paths of all.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.path.as_str())
    }

    /// Adds one, in the place of an older one of the same path; `false` if there is no room.
    pub(super) fn add(&mut self, path: &str, at: Timestamp, bytes: &[u8]) -> bool {
        self.remove(path);
        let known: usize = self.files.iter().map(|file| file.bytes.len() / 4 * 3 + file.path.len()).sum();
        if known + path.len() + bytes.len() > MAX_BYTES {
            return false;
        }
        self.files.push(Kept { path: path.to_owned(), at, bytes: STANDARD.encode(bytes) });
        true
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.files.retain(|file| file.path != path);
    }

    /// `draft` with these copies.
    pub(super) fn seal(&self, vault: &Unlocked, draft: Draft) -> Draft {
        if self.files.is_empty() {
            return draft.without(SealedField::TakenFiles);
        }
        let length: usize = self.files.iter().map(|file| file.bytes.len() + 6 * file.path.len() + 128).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(length + 64));
        serde_json::to_writer(&mut *text, self).expect("copies can be written to memory");
        let text = std::str::from_utf8(&text).expect("JSON is UTF-8");
        draft.seal(&vault.keys, SealedField::TakenFiles, &binding(), &SecretString::from(text))
    }
}

impl Kept {
    /// What stood there.
    pub(super) fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        STANDARD.decode(&self.bytes).ok().map(Zeroizing::new)
    }
}

/// A copy goes to nobody.
fn binding() -> Binding {
    Binding::issuer_only("")
}
