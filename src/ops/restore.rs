//! `vault restore FILE`: a vault out of a backup, in an empty place.

use std::path::Path;

use super::backup::BackupFile;
use super::init::{FirstSlot, make_slot};
use super::vault::{check_slots, remember, warn_unless_saved, with_remembered};
use super::{Context, Error, Notice, documents, key_slots};
use crate::domain::{KeyId, KeySlot, VaultId};
use crate::seal::{Backup, BackupError, Draft, KeyRing, Manifest, Part, VaultKey, Verified};
use crate::store::{Mark, Name};
use crate::system::{random_bytes, random_id};
use crate::unlock::{self, Ways, backup};

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The vault.
    pub vault: VaultId,
    /// Its key.
    pub kid: KeyId,
    /// How many clients.
    pub clients: usize,
    /// How many profiles.
    pub profiles: usize,
    /// What unlocks it anew: `keychain`, `passphrase` or `recipient`; none if its own slots do.
    pub unlocked_by: Option<&'static str>,
    /// How many documents are older than the last ones that this machine has seen.
    pub older: usize,
}

/// Refuses a place where a vault stands.
///
/// # Errors
///
/// [`Error::VaultExists`] if one does.
pub fn check_place(ctx: Context<'_>) -> Result<(), Error> {
    match ctx.store.read(&Name::Manifest)? {
        Some(_) => Err(Error::VaultExists { location: ctx.store.location() }),
        None => Ok(()),
    }
}

/// Opens the backup in `file`, and verifies all that is in it.
///
/// # Errors
///
/// If it does not open, or anything in it cannot be trusted.
pub fn open(ctx: Context<'_>, file: &Path) -> Result<Backup, Error> {
    let about = BackupFile::at(file);
    let sealed = backup::read(file).map_err(about.not_opened())?;
    let content = backup::open(&sealed, ctx.ways).map_err(about.not_opened())?;
    let backup = Backup::parse(&content).map_err(about.refused())?;
    check_slots(&backup.manifest())
        .map_err(|source| about.refused()(BackupError::Document { part: Part::Manifest, source }))?;
    warn_of_another_key(ctx, &backup)?;
    Ok(backup)
}

/// An age file does not say who made it: whoever knows a recipient can seal a vault of theirs to it.
fn warn_of_another_key(ctx: Context<'_>, backup: &Backup) -> Result<(), Error> {
    let Some(pin) = ctx.memory.pin(&backup.vault)? else { return Ok(()) };
    if let Some(accepted) = pin.kids.last().filter(|_| !pin.kids.contains(&backup.kid())) {
        ctx.notices.notice(&Notice::KeyOfAnotherTime { accepted: accepted.clone() });
    }
    Ok(())
}

/// Whether a slot of the vault in the backup opens here. The person may be asked for its passphrase.
///
/// # Errors
///
/// If the person does not want to answer.
pub fn opens_here(ctx: Context<'_>, backup: &Backup) -> Result<bool, Error> {
    let ways = Ways { agent: None, ..with_remembered(ctx, &backup.vault) };
    match unlock::open(&backup.vault, &backup.kid(), &backup.manifest().slots, &ways) {
        Ok(_) => Ok(true),
        Err(unlock::Error::NoWay { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes a new vault with a new key, to which everything in the backup is sealed anew.
///
/// # Errors
///
/// If a secret in the backup does not open, the slot cannot be made, or as the storage says.
pub fn as_new(
    ctx: Context<'_>,
    file: &Path,
    backup: &Backup,
    slot: &FirstSlot,
    on_step: &dyn Fn(usize, usize),
) -> Result<Restored, Error> {
    let mut nursery = ctx.store.begin()?;
    let (id, key) = (VaultId::from_bytes(random_bytes()), VaultKey::generate());
    let slot = new_slot(ctx, &id, &key, slot)?;
    let unlocked_by = Some(slot.kind.as_str());
    let keys = KeyRing::of(key);
    let total = backup.documents.len();
    for (done, (part, document)) in backup.documents.iter().enumerate() {
        on_step(done, total);
        let refused =
            |source| BackupFile::at(file).refused()(BackupError::Document { part: part.clone(), source });
        let draft = document.reseal(&backup.keys, &id, keys.current()).map_err(refused)?;
        let draft = match part {
            Part::Manifest => with_slots(draft, backup.manifest(), vec![slot.clone()]),
            _ => draft,
        };
        nursery.put(&name(part), &draft.sign(&keys).to_bytes())?;
    }
    let kid = keys.current().id(&id);
    // Before the vault is there, because another one may be known in its place. No mark is needed: under
    // this key there are no older documents.
    warn_unless_saved(ctx, remember(ctx, &id, vec![kid.clone()]));
    nursery.publish()?;
    ctx.audit.concerns(&id);
    let (clients, profiles) = backup.count();
    Ok(Restored { vault: id, kid, clients, profiles, unlocked_by, older: 0 })
}

/// Puts the vault of the backup back as it was, with one more key slot if `slot` says so.
///
/// # Errors
///
/// [`Error::LivesElsewhere`] if it stands in another place of this machine, [`Error::KeyNotAccepted`] if the user
/// has pinned another key; else as the slot and the storage say.
pub fn as_it_was(
    ctx: Context<'_>,
    backup: &Backup,
    slot: Option<&FirstSlot>,
    on_step: &dyn Fn(usize, usize),
) -> Result<Restored, Error> {
    ctx.audit.concerns(&backup.vault);
    check_same(ctx, backup)?;
    let mut nursery = ctx.store.begin()?;
    let (manifest, unlocked_by) = manifest_with(ctx, backup, slot)?;
    let total = backup.documents.len();
    let mut older = 0;
    for (done, (part, document)) in backup.documents.iter().enumerate() {
        on_step(done, total);
        let document = if *part == Part::Manifest { &manifest } else { document };
        nursery.put(&name(part), &document.to_bytes())?;
        older += usize::from(set_mark(ctx, document)?);
    }
    // Before the vault is there: a machine that has seen a later key would refuse it.
    remember(ctx, &backup.vault, vec![backup.kid()])?;
    nursery.publish()?;
    let (clients, profiles) = backup.count();
    Ok(Restored { vault: backup.vault.clone(), kid: backup.kid(), clients, profiles, unlocked_by, older })
}

/// Refuses what would make two of one vault, or what the user has excluded.
///
/// # Errors
///
/// As [`as_it_was`].
pub fn check_same(ctx: Context<'_>, backup: &Backup) -> Result<(), Error> {
    if ctx.pinned.is_some_and(|pinned| *pinned != backup.kid()) {
        return Err(Error::KeyNotAccepted { kid: backup.kid(), by_environment: true });
    }
    match ctx.memory.other_place(&backup.vault)? {
        Some(place) => Err(Error::LivesElsewhere { place: place.display().to_string() }),
        None => Ok(()),
    }
}

/// The manifest, and what was added to it.
fn manifest_with(
    ctx: Context<'_>,
    backup: &Backup,
    slot: Option<&FirstSlot>,
) -> Result<(Verified, Option<&'static str>), Error> {
    let (_, manifest) = backup.documents.first().ok_or(Error::ManifestMissing)?;
    let Some(slot) = slot else { return Ok((manifest.clone(), None)) };
    let slot = new_slot(ctx, &backup.vault, backup.keys.current(), slot)?;
    let unlocked_by = Some(slot.kind.as_str());
    let mut slots = backup.manifest().slots;
    if slots.iter().any(|known| key_slots::is_same_entry(&known.kind, &slot.kind)) {
        return Ok((manifest.clone(), unlocked_by));
    }
    slots.push(slot);
    let draft = with_slots(manifest.next(), backup.manifest(), slots);
    Ok((draft.sign(&backup.keys), unlocked_by))
}

fn new_slot(ctx: Context<'_>, vault: &VaultId, key: &VaultKey, slot: &FirstSlot) -> Result<KeySlot, Error> {
    Ok(KeySlot { id: random_id(), created_at: ctx.clock.now(), kind: make_slot(ctx, vault, key, slot)? })
}

fn with_slots(draft: Draft, manifest: Manifest, slots: Vec<KeySlot>) -> Draft {
    draft.facts(&Manifest { slots, ..manifest })
}

/// Makes the document the newest that this machine knows, and says whether it is older than that.
fn set_mark(ctx: Context<'_>, document: &Verified) -> Result<bool, Error> {
    let known = ctx.memory.mark(document.vault(), document.id())?;
    let mark = Mark { generation: document.generation(), removed: false };
    if known.as_ref() != Some(&mark) {
        ctx.memory.set_mark(document.vault(), document.id(), &mark)?;
    }
    Ok(!documents::is_current(document, known.as_ref()))
}

fn name(part: &Part) -> Name {
    match part {
        Part::Manifest => Name::Manifest,
        Part::Client(name) => Name::Client(name.clone()),
        Part::Profile(name) => Name::Profile(name.clone()),
    }
}
