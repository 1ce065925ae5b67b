//! What writers have left: nothing half-written, and nothing that a power loss could take back.

use std::path::{Path, PathBuf};

use super::file::TEMPORARY;
use super::{CLIENTS, Directory, PROFILES};
use crate::domain::VaultId;
use crate::store::{Error, Name, Store};

impl Directory {
    /// See [`Store::settle`].
    pub(super) fn settle_all(&self, vault: &VaultId) -> Result<(), Error> {
        // Documents are synced before they get their names. Tokens are not, being easily replaced.
        for id in self.tokens(vault)? {
            self.files.sync(&self.path(&Name::Token(vault.clone(), id)))?;
        }
        self.written_folders(vault).iter().try_for_each(|folder| self.remove_half_written(folder))?;
        self.sync_folders(vault)
    }

    /// Makes the names of all documents durable. Their content was before they got them.
    pub(super) fn sync_folders(&self, vault: &VaultId) -> Result<(), Error> {
        let mut folders = self.written_folders(vault).into_iter();
        folders.try_for_each(|folder| self.files.sync_directory_if_there(&folder.join("any")))
    }

    /// The folders in which documents, successors or tokens are written.
    fn written_folders(&self, vault: &VaultId) -> [PathBuf; 5] {
        let place = &self.places.vault;
        let cache = self.places.cache.join(vault.to_string());
        [place.clone(), place.join(CLIENTS), place.join(PROFILES), cache, self.second_places(vault)]
    }

    fn remove_half_written(&self, folder: &Path) -> Result<(), Error> {
        let files = self.files.list(folder)?;
        for file in files.iter().filter(|file| file.to_string_lossy().ends_with(TEMPORARY)) {
            self.files.remove(&folder.join(file))?;
        }
        Ok(())
    }
}
