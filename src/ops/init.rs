//! `vault init`: a new vault with its first key slot.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{Context, Error, Loaded, Notice, Unlocked, Vault, documents, vault};
use crate::domain::{DocumentId, KeySlot, SlotKind, VaultId};
use crate::seal::{Draft, Format, KeyRing, Manifest, VaultKey};
use crate::store::{Access, Expected, Lock, Name, Revision};
use crate::system::{random_bytes, random_id};
use crate::unlock::passphrase::{self, WorkFactor};
use crate::unlock::{keychain, recipient};

/// What will unlock the new vault.
pub enum FirstSlot {
    /// An entry of the operating system's keychain.
    Keychain,
    /// A passphrase.
    Passphrase(SecretString),
    /// An age identity file; its path is remembered on this machine.
    Identity(PathBuf),
}

/// Makes a vault whose key is had by `slot`, proven by getting it back before anything is written.
///
/// # Errors
///
/// [`Error::VaultExists`] if there is one, or as the slot and the storage say.
pub fn init(ctx: Context<'_>, slot: &FirstSlot) -> Result<Unlocked, Error> {
    ctx.store.prove_writable()?;
    let _lock = ctx.lock(&Lock::Vault, Access::Exclusive)?;
    if Vault::find(ctx)?.is_some() {
        return Err(Error::VaultExists { location: ctx.store.location() });
    }
    let id = VaultId::from_bytes(random_bytes());
    ctx.audit.concerns(&id);
    let key = VaultKey::generate();
    let slot =
        KeySlot { id: random_id(), created_at: ctx.clock.now(), kind: make_slot(ctx, &id, &key, slot)? };
    write(ctx, id, key, slot)
}

/// Makes the slot that `slot` describes.
pub(super) fn make_slot(
    ctx: Context<'_>,
    vault: &VaultId,
    key: &VaultKey,
    slot: &FirstSlot,
) -> Result<SlotKind, Error> {
    Ok(match slot {
        FirstSlot::Keychain => keychain::seal(key, vault, ctx.ways.keychain)?,
        FirstSlot::Passphrase(passphrase) => passphrase::seal(key, passphrase, WorkFactor::DEFAULT)?,
        FirstSlot::Identity(path) => {
            let kind = recipient::seal_to_file(key, path, ctx.ways.person())?;
            remember_identity(ctx, vault, path)?;
            kind
        }
    })
}

/// Adds `path` to the identity files that are tried on this machine.
fn remember_identity(ctx: Context<'_>, vault: &VaultId, path: &Path) -> Result<(), Error> {
    let mut known = ctx.memory.identities(vault)?;
    if !known.iter().any(|known| known == path) {
        known.push(path.to_owned());
    }
    Ok(ctx.memory.set_identities(vault, &known)?)
}

fn write(ctx: Context<'_>, id: VaultId, key: VaultKey, slot: KeySlot) -> Result<Unlocked, Error> {
    let unlocked_by = slot.kind.as_str();
    let facts = Manifest {
        created_at: ctx.clock.now(),
        slots: vec![slot],
        default_profile: None,
        default_profile_name: None,
        rotation: None,
        compromised_at: None,
        providers: Vec::new(),
    };
    let keys = KeyRing::of(key);
    let document = Draft::new(Format::Manifest, id.clone(), DocumentId::from_bytes(random_bytes()))
        .facts(&facts)
        .sign(&keys);
    let kid = document.kid().clone();
    documents::save(ctx, &Name::Manifest, &document, Expected::Absent)?;
    vault::warn_unless_saved(ctx, vault::remember(ctx, &id, vec![kid]));
    ctx.notices.notice(&Notice::VaultMade { location: ctx.store.location(), unlocked_by });
    let revision = Revision::of(&document.to_bytes());
    Ok(Unlocked { id, keys, manifest: Loaded { document, facts, revision } })
}
