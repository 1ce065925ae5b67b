//! What this machine remembers, as small files in the state directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Directory;
use super::file::Durability;
use crate::domain::{DocumentId, VaultId};
use crate::seal::Document;
use crate::store::{Access, Error, Mark, Memory, OutstandingRescue, Patience, Pin};

/// Longest wait for another process that writes to the state directory; each write takes less
/// than a millisecond.
const LOCK_LIMIT: Duration = Duration::from_secs(10);

impl Directory {
    pub(super) fn fact_path(&self, vault: &VaultId, fact: &str) -> PathBuf {
        self.places.state.join(vault.to_string()).join(fact)
    }

    /// Where it is remembered which vault stands in our place. Two names of one place are one.
    fn place_path(&self) -> PathBuf {
        let vault = &self.places.vault;
        let place = self.files.canonical(vault);
        let digest = Sha256::digest(place.as_os_str().as_encoded_bytes());
        self.places.state.join("places").join(format!("{}.json", hex::encode(&digest[..16])))
    }

    /// Where the vault was ever seen on this machine.
    fn known_places(&self, vault: &VaultId) -> Result<Vec<PathBuf>, Error> {
        Ok(self.fact(vault, "places.json")?.unwrap_or_default())
    }

    fn has_manifest_of(&self, vault: &VaultId, place: &Path) -> bool {
        let bytes = self.files.read(&place.join("vault.json")).ok().flatten();
        bytes.and_then(|bytes| Document::parse(&bytes).ok()).is_some_and(|document| document.vault() == vault)
    }

    fn fact<T: DeserializeOwned>(&self, vault: &VaultId, fact: &str) -> Result<Option<T>, Error> {
        self.read_fact(self.fact_path(vault, fact))
    }

    fn set_fact<T: Serialize>(
        &self,
        vault: &VaultId,
        fact: &str,
        value: &T,
        durability: Durability,
    ) -> Result<(), Error> {
        self.write_fact(vault, &self.fact_path(vault, fact), value, durability)
    }

    fn lock_state(&self, vault: &VaultId) -> Result<Box<dyn crate::store::Held>, Error> {
        let patience = Patience { limit: LOCK_LIMIT, on_wait: &|| {}, is_over: &|| false };
        self.wait(&self.fact_path(vault, "state.lock"), "the state directory", Access::Exclusive, &patience)
    }

    fn read_fact<T: DeserializeOwned>(&self, path: PathBuf) -> Result<Option<T>, Error> {
        let Some(bytes) = self.files.read(&path)? else { return Ok(None) };
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Error::NotADocument { path, why: "cannot be understood" }),
        }
    }

    /// One writer at a time, so that the temporary file has one name for all facts, and one that a
    /// killed writer left is taken over by the next write of any fact.
    fn write_fact<T: Serialize>(
        &self,
        vault: &VaultId,
        path: &Path,
        value: &T,
        durability: Durability,
    ) -> Result<(), Error> {
        let _lock = self.lock_state(vault)?;
        let mut bytes = serde_json::to_vec(value).expect("a fact can be written to memory");
        bytes.push(b'\n');
        self.files.replace_by(&self.fact_path(vault, "fact.tmp"), path, &bytes, durability)
    }
}

impl Memory for Directory {
    fn mark(&self, vault: &VaultId, id: &DocumentId) -> Result<Option<Mark>, Error> {
        self.fact(vault, &format!("marks/{id}.json"))
    }

    fn set_mark(&self, vault: &VaultId, id: &DocumentId, mark: &Mark) -> Result<(), Error> {
        self.set_fact(vault, &format!("marks/{id}.json"), mark, Durability::Durable)
    }

    fn pin(&self, vault: &VaultId) -> Result<Option<Pin>, Error> {
        self.fact(vault, "pin.json")
    }

    fn set_pin(&self, vault: &VaultId, pin: &Pin) -> Result<(), Error> {
        self.set_fact(vault, "pin.json", pin, Durability::Durable)
    }

    fn known_vault(&self) -> Result<Option<VaultId>, Error> {
        self.read_fact(self.place_path())
    }

    fn set_known_vault(&self, vault: &VaultId) -> Result<(), Error> {
        let here = self.files.canonical(&self.places.vault);
        let mut places = self.known_places(vault)?;
        if !places.contains(&here) {
            places.push(here);
            self.set_fact(vault, "places.json", &places, Durability::Durable)?;
        }
        // Last, so that the next command does both again if this one is killed in between.
        self.write_fact(vault, &self.place_path(), vault, Durability::Durable)
    }

    fn other_place(&self, vault: &VaultId) -> Result<Option<PathBuf>, Error> {
        let here = self.files.canonical(&self.places.vault);
        let mut others = self.known_places(vault)?.into_iter().filter(|place| *place != here);
        Ok(others.find(|place| self.has_manifest_of(vault, place)))
    }

    fn identities(&self, vault: &VaultId) -> Result<Vec<PathBuf>, Error> {
        Ok(self.fact(vault, "identities.json")?.unwrap_or_default())
    }

    fn set_identities(&self, vault: &VaultId, identities: &[PathBuf]) -> Result<(), Error> {
        self.set_fact(vault, "identities.json", &identities, Durability::Durable)
    }

    fn rescue(&self, vault: &VaultId, id: &DocumentId) -> Result<Option<OutstandingRescue>, Error> {
        self.fact(vault, &format!("rescues/{id}.json"))
    }

    fn rescues(&self, vault: &VaultId) -> Result<Vec<DocumentId>, Error> {
        let files = self.files.list(&self.fact_path(vault, "rescues"))?;
        Ok(super::sorted(files.iter().filter_map(|file| super::document_name(file))))
    }

    fn set_rescue(
        &self,
        vault: &VaultId,
        id: &DocumentId,
        rescue: Option<&OutstandingRescue>,
    ) -> Result<(), Error> {
        let fact = format!("rescues/{id}.json");
        match rescue {
            Some(rescue) => self.set_fact(vault, &fact, rescue, Durability::Durable),
            None => self.files.remove(&self.fact_path(vault, &fact)),
        }
    }
}
