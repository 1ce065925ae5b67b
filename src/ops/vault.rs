//! The vault as a whole: found, unlocked, and recognised by this machine.

use std::time::Duration;

use super::documents::{self, Loaded};
use super::{Context, Error, Notice};
use crate::domain::{DocumentId, KeyId, KeySlot, VaultId};
use crate::seal::{Document, Format, KeyRing, Manifest, Rotation, VaultKey, Verified};
use crate::store::{self, Access, Held, Lock, Name, Patience, Pin, Revision};
use crate::unlock::{self, Ways};

/// Most key slots. They are tried before the manifest can be verified, and a forged one could hold
/// thousands, each of which takes seconds.
const MAX_SLOTS: usize = 32;

/// Refuses more key slots than anybody needs.
pub(super) fn check_slots(manifest: &Manifest) -> Result<(), crate::seal::Error> {
    let coming = manifest.rotation.as_ref().map_or(0, |rotation| rotation.slots.len());
    if manifest.slots.len().max(coming) > MAX_SLOTS {
        return Err(crate::seal::Error::Facts(format!("it has more than {MAX_SLOTS} key slots")));
    }
    Ok(())
}

/// The vault before it is unlocked. Nothing in its manifest has been verified.
pub struct Vault {
    document: Document,
    revision: Revision,
    manifest: Manifest,
}

impl Vault {
    /// The vault that is there, if there is one.
    ///
    /// # Errors
    ///
    /// If the manifest cannot be read, or is missing while documents are there.
    pub fn find(ctx: Context<'_>) -> Result<Option<Self>, Error> {
        let Some(stored) = ctx.store.read(&Name::Manifest)? else {
            let is_empty = ctx.store.profiles()?.is_empty() && ctx.store.clients()?.is_empty();
            return if is_empty { Ok(None) } else { Err(Error::ManifestMissing) };
        };
        let document = documents::parse(&Name::Manifest, &stored.bytes)?;
        documents::check_format(&Name::Manifest, &document, Format::Manifest)?;
        let manifest: Manifest = documents::facts(&Name::Manifest, &document)?;
        check_slots(&manifest).map_err(documents::refused(&Name::Manifest))?;
        Ok(Some(Self { document, revision: stored.revision(), manifest }))
    }

    /// The vault that must be there.
    ///
    /// # Errors
    ///
    /// [`Error::NoVault`] if it is not.
    pub fn open(ctx: Context<'_>) -> Result<Self, Error> {
        Self::find(ctx)?.ok_or_else(|| Error::NoVault { location: ctx.store.location() })
    }

    /// Its identifier.
    pub fn id(&self) -> &VaultId {
        self.document.vault()
    }

    /// The key that it says to be sealed to.
    pub fn kid(&self) -> &KeyId {
        self.document.kid()
    }

    /// The keys that it says its documents to be sealed to, oldest first: two while they are rotated.
    pub(super) fn kids(&self) -> impl Iterator<Item = &KeyId> {
        std::iter::once(self.kid()).chain(self.manifest.rotation.as_ref().map(|rotation| &rotation.kid))
    }

    /// What its manifest says; for showing only.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The same, to be opened by one of its slots and no other.
    pub(super) fn by_slot_alone(mut self, slot: &DocumentId) -> Self {
        self.manifest.slots.retain(|known| known.id == *slot);
        self
    }

    /// Gets the vault key, checks that it is the one this machine knows, and verifies the
    /// manifest with it.
    ///
    /// # Errors
    ///
    /// If no slot gives the key, the key is not the pinned one, or the manifest was changed.
    pub fn unlock(self, ctx: Context<'_>) -> Result<Unlocked, Error> {
        self.unlock_with(ctx, |ctx, vault, keys, read| {
            documents::dated(ctx, vault, keys, &Name::Manifest, Format::Manifest, read)
        })
    }

    /// The same for a vault that was restored: its manifest may be older than the last one seen.
    ///
    /// # Errors
    ///
    /// As [`Self::unlock`], except for the age of the manifest.
    pub fn unlock_restored(self, ctx: Context<'_>) -> Result<Unlocked, Error> {
        self.unlock_with(ctx, |_, _, _, read| documents::loaded(&Name::Manifest, read).map(Some))
    }

    fn unlock_with(self, ctx: Context<'_>, date: Date) -> Result<Unlocked, Error> {
        let kids: Vec<KeyId> = self.kids().cloned().collect();
        let refused = match self.unlock_once(ctx, date) {
            Err(error) if !matches!(error, Error::Unlock(unlock::Error::Cancelled)) => error,
            done => return done,
        };
        // The vault key may have been rotated since the manifest was read.
        match Self::find(ctx) {
            Ok(Some(now)) if !now.kids().eq(&kids) => now.unlock_once(ctx, date),
            _ => Err(refused),
        }
    }

    fn unlock_once(self, ctx: Context<'_>, date: Date) -> Result<Unlocked, Error> {
        let id = self.id().clone();
        ctx.audit.concerns(&id);
        let place = accepted(ctx, &self)?;
        let keys = self.keys(ctx)?;
        let refused = documents::refused(&Name::Manifest);
        let document = verified(self.document, &id, &keys).map_err(refused)?;
        let manifest = date(ctx, &id, &keys, (document, self.revision))?
            .ok_or_else(|| Error::NoVault { location: ctx.store.location() })?;
        if manifest.facts.rotation.is_some() {
            ctx.notices.notice(&Notice::RotationUnfinished);
        }
        match place {
            Place::Known => {}
            Place::New => warn_unless_saved(ctx, ctx.memory.set_known_vault(&id)),
            Place::Rotated => warn_unless_saved(ctx, tighten(ctx, &id, manifest.document.kid())),
            Place::NewKey => warn_unless_saved(ctx, remember(ctx, &id, kids_of(&manifest))),
            Place::FirstUse => {
                ctx.notices.notice(&Notice::FirstUse { kid: manifest.document.kid().clone() });
                warn_unless_saved(ctx, remember(ctx, &id, kids_of(&manifest)));
            }
        }
        Ok(Unlocked { id, keys, manifest })
    }

    /// The keys that its documents are sealed to. Nothing may be sealed to the target of a rotation
    /// before the manifest is verified under both.
    fn keys(&self, ctx: Context<'_>) -> Result<KeyRing, Error> {
        let Some(rotation) = &self.manifest.rotation else {
            return Ok(KeyRing::of(self.key(ctx, self.kid(), &self.manifest.slots)?));
        };
        let target = self.key(ctx, &rotation.kid, &rotation.slots)?;
        let ring = KeyRing::of(old_key(&target, self.id(), self.kid(), rotation)?);
        ring.add(target);
        Ok(ring)
    }

    fn key(&self, ctx: Context<'_>, kid: &KeyId, slots: &[KeySlot]) -> Result<VaultKey, Error> {
        let opened = unlock::open(self.id(), kid, slots, &with_remembered(ctx, self.id()))?;
        for warning in &opened.warnings {
            ctx.notices.notice(&Notice::WeakUnlock { what: warning.to_string() });
        }
        Ok(opened.key)
    }
}

/// The key that a rotation comes from, which is sealed to its target.
fn old_key(target: &VaultKey, vault: &VaultId, kid: &KeyId, rotation: &Rotation) -> Result<VaultKey, Error> {
    let opened = target.open_key(&rotation.old_key).ok().filter(|old| old.id(vault) == *kid);
    opened
        .ok_or_else(|| documents::refused(&Name::Manifest)(crate::seal::Error::Envelope("rotation.old_key")))
}

/// The manifest, if each key that it names has made it. The old one endorses the target so: else a forged
/// manifest could have all secrets sealed to a stranger's key.
fn verified(document: Document, vault: &VaultId, keys: &KeyRing) -> Result<Verified, crate::seal::Error> {
    let document = document.verify(vault, keys)?;
    if document.facts::<Manifest>()?.rotation.is_some() {
        document.check_target(keys.current())?;
    }
    Ok(document)
}

/// How the age of a verified manifest is judged.
type Date =
    fn(Context<'_>, &VaultId, &KeyRing, (Verified, Revision)) -> Result<Option<Loaded<Manifest>>, Error>;

/// The ways, and the identity files that this machine remembers. One that was named comes first.
pub(super) fn with_remembered<'a>(ctx: Context<'a>, vault: &VaultId) -> Ways<'a> {
    let mut ways = ctx.ways.clone();
    let remembered = ctx.memory.identities(vault).unwrap_or_else(|error| {
        log::warn!("the remembered identity files are not known: {error}");
        Vec::new()
    });
    ways.identities.extend(remembered.into_iter().filter(|path| !ctx.ways.identities.contains(path)));
    ways
}

/// What this machine knows of the vault in its place.
pub(super) enum Place {
    /// All of it, or nothing is to be remembered because the user has pinned the key.
    Known,
    /// The vault is known, and stands in a new place.
    New,
    /// A rotation is over, and the key that it came from is still accepted.
    Rotated,
    /// The key is known, and is being rotated on another machine to one that is not.
    NewKey,
    /// Nothing.
    FirstUse,
}

/// Refuses a vault none of whose keys is the one that this machine, or the user, has pinned. Whether the
/// pinned key has endorsed the other one is seen when the manifest is verified.
pub(super) fn accepted(ctx: Context<'_>, vault: &Vault) -> Result<Place, Error> {
    let not_accepted = |by_environment| {
        let kid = vault.kids().last().unwrap_or(vault.kid()).clone();
        Err(Error::KeyNotAccepted { kid, by_environment })
    };
    if let Some(pinned) = ctx.pinned {
        return if vault.kids().any(|kid| kid == pinned) { Ok(Place::Known) } else { not_accepted(true) };
    }
    let known = ctx.memory.known_vault()?;
    if known.as_ref().is_some_and(|known| known != vault.id()) {
        return Err(Error::OtherVault { location: ctx.store.location(), kid: vault.kid().clone() });
    }
    let Some(pin) = ctx.memory.pin(vault.id())? else { return Ok(Place::FirstUse) };
    let kids: Vec<&KeyId> = vault.kids().collect();
    let is_pinned = |kid: &KeyId| pin.kids.contains(kid);
    match (&kids[..], &pin.kids[..]) {
        ([kid], [.., _, newest]) if *kid == newest => Ok(Place::Rotated),
        (kids, _) if kids.iter().all(|kid| is_pinned(kid)) => {
            Ok(if known.is_none() { Place::New } else { Place::Known })
        }
        // Whoever knows of a rotation knows its target, and takes no other: the old key may be stolen.
        ([old, _], [pinned]) if *old == pinned => Ok(Place::NewKey),
        // Read just before the rotation was finished; or put back, which its age shows.
        ([_, target], [pinned]) if *target == pinned => Ok(Place::Known),
        _ => not_accepted(false),
    }
}

/// Accepts `kid` alone: who has stolen a key before its rotation can do nothing with it any more.
///
/// The run that rotates does so itself, once it has deleted the old key.
fn tighten(ctx: Context<'_>, vault: &VaultId, kid: &KeyId) -> Result<(), store::Error> {
    let at_once = Patience { limit: Duration::ZERO, on_wait: &|| {}, is_over: &|| false };
    let turn = ctx.store.lock(&Lock::Rotation, Access::Exclusive, &at_once);
    let pin = ctx.memory.pin(vault)?.filter(|pin| pin.kids.len() > 1 && pin.kids.last() == Some(kid));
    // A vault that may only be read has no lock, and nobody who rotates its key.
    let (Some(pin), false) = (pin, matches!(turn, Err(store::Error::Busy { .. }))) else { return Ok(()) };
    let (kids, old) = pin.kids.into_iter().partition(|pinned| pinned == kid);
    let dropped = pin.dropped.into_iter().chain::<Vec<KeyId>>(old).collect();
    ctx.memory.set_pin(vault, &Pin { kids, dropped, since: ctx.clock.now() })?;
    ctx.memory.set_known_vault(vault)
}

fn kids_of(manifest: &Loaded<Manifest>) -> Vec<KeyId> {
    let target = manifest.facts.rotation.as_ref().map(|rotation| rotation.kid.clone());
    std::iter::once(manifest.document.kid().clone()).chain(target).collect()
}

/// Pins `kids`, oldest first, as the keys of the vault in this place. One that was dropped may have come back
/// with a backup, and is not to be deleted from the keychain any more.
pub(super) fn remember(ctx: Context<'_>, vault: &VaultId, kids: Vec<KeyId>) -> Result<(), store::Error> {
    let mut dropped = ctx.memory.pin(vault)?.map(|pin| pin.dropped).unwrap_or_default();
    dropped.retain(|kid| !kids.contains(kid));
    ctx.memory.set_pin(vault, &Pin { kids, dropped, since: ctx.clock.now() })?;
    ctx.memory.set_known_vault(vault)
}

/// A machine that cannot remember says so at each first use again.
pub(super) fn warn_unless_saved(ctx: Context<'_>, saved: Result<(), store::Error>) {
    if let Err(error) = saved {
        ctx.notices.notice(&Notice::NotMarked { why: error.to_string() });
    }
}

/// The vault with its keys at hand.
pub struct Unlocked {
    /// Its identifier.
    pub id: VaultId,
    /// Its key; while it is rotated, both.
    pub keys: KeyRing,
    /// Its manifest, verified; as it was when the vault was opened.
    pub manifest: Loaded<Manifest>,
}

impl Unlocked {
    /// Whoever keeps the keys at hand for longer says so at each use of them.
    pub fn is_used_by(&self, ctx: Context<'_>) {
        ctx.audit.concerns(&self.id);
    }

    /// Waits for the lock of the vault. While it is held, the key that new documents are made with stays
    /// the same.
    pub(super) fn lock(&self, ctx: Context<'_>, access: Access) -> Result<Box<dyn Held>, Error> {
        let held = ctx.lock(&Lock::Vault, access)?;
        self.renew(ctx)?;
        Ok(held)
    }

    /// Gets the keys that the vault has come to since it was opened.
    pub(super) fn renew(&self, ctx: Context<'_>) -> Result<(), Error> {
        let vault = Vault::open(ctx)?;
        if vault.kids().all(|kid| self.keys.find(&self.id, kid).is_some()) {
            return Ok(());
        }
        let renewed = vault.unlock(ctx)?;
        if renewed.id != self.id {
            let kid = renewed.keys.current().id(&renewed.id);
            return Err(Error::OtherVault { location: ctx.store.location(), kid });
        }
        for key in renewed.keys.into_keys() {
            if self.keys.find(&self.id, &key.id(&renewed.id)).is_none() {
                self.keys.add(key);
            }
        }
        Ok(())
    }
}
