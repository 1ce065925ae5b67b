//! The vault as a whole: found, unlocked, and recognised by this machine.

use super::documents::{self, Loaded};
use super::{Context, Error, Notice};
use crate::domain::{KeyId, VaultId};
use crate::seal::{Document, Format, Manifest, VaultKey, Verified};
use crate::store::{self, Name, Pin, Revision};
use crate::unlock::{self, Ways};

/// Most key slots. They are tried before the manifest can be verified, and a forged one could hold
/// thousands, each of which takes seconds.
const MAX_SLOTS: usize = 32;

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
        if manifest.slots.len() > MAX_SLOTS {
            let odd = crate::seal::Error::Facts(format!("it has more than {MAX_SLOTS} key slots"));
            return Err(documents::refused(&Name::Manifest)(odd));
        }
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

    /// What its manifest says; for showing only.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Gets the vault key, checks that it is the one this machine knows, and verifies the
    /// manifest with it.
    ///
    /// # Errors
    ///
    /// If no slot gives the key, the key is not the pinned one, or the manifest was changed.
    pub fn unlock(self, ctx: Context<'_>) -> Result<Unlocked, Error> {
        self.unlock_with(ctx, |ctx, vault, key, read| {
            documents::dated(ctx, vault, key, &Name::Manifest, Format::Manifest, read)
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
        let id = self.id().clone();
        let kid = self.kid().clone();
        let place = accepted(ctx, &id, &kid)?;
        let opened = unlock::open(&id, &kid, &self.manifest.slots, &with_remembered(ctx, &id))?;
        for warning in &opened.warnings {
            ctx.notices.notice(&Notice::WeakUnlock { what: warning.to_string() });
        }
        let key = opened.key;
        let document = self.document.verify(&id, &key).map_err(documents::refused(&Name::Manifest))?;
        let manifest = date(ctx, &id, &key, (document, self.revision))?
            .ok_or_else(|| Error::NoVault { location: ctx.store.location() })?;
        match place {
            Place::Known => {}
            Place::New => warn_unless_saved(ctx, ctx.memory.set_known_vault(&id)),
            Place::FirstUse => {
                ctx.notices.notice(&Notice::FirstUse { kid: kid.clone() });
                remember(ctx, &id, kid);
            }
        }
        Ok(Unlocked { id, key, manifest })
    }
}

/// How the age of a verified manifest is judged.
type Date =
    fn(Context<'_>, &VaultId, &VaultKey, (Verified, Revision)) -> Result<Option<Loaded<Manifest>>, Error>;

/// The ways, and the identity files that this machine remembers. One that was named comes first.
fn with_remembered<'a>(ctx: Context<'a>, vault: &VaultId) -> Ways<'a> {
    let mut ways = ctx.ways.clone();
    let remembered = ctx.memory.identities(vault).unwrap_or_else(|error| {
        log::warn!("the remembered identity files are not known: {error}");
        Vec::new()
    });
    ways.identities.extend(remembered.into_iter().filter(|path| !ctx.ways.identities.contains(path)));
    ways
}

/// What this machine knows of the vault in its place.
enum Place {
    /// All of it, or nothing is to be remembered because the user has pinned the key.
    Known,
    /// The vault is known, and stands in a new place.
    New,
    /// Nothing.
    FirstUse,
}

/// Refuses a vault whose key is not the one that this machine, or the user, has pinned.
fn accepted(ctx: Context<'_>, vault: &VaultId, kid: &KeyId) -> Result<Place, Error> {
    let not_accepted = |by_environment| Err(Error::KeyNotAccepted { kid: kid.clone(), by_environment });
    if let Some(pinned) = ctx.pinned {
        return if pinned == kid { Ok(Place::Known) } else { not_accepted(true) };
    }
    let known = ctx.memory.known_vault()?;
    if known.as_ref().is_some_and(|known| known != vault) {
        return Err(Error::OtherVault { location: ctx.store.location(), kid: kid.clone() });
    }
    match ctx.memory.pin(vault)? {
        None => Ok(Place::FirstUse),
        Some(pin) if !pin.kids.contains(kid) => not_accepted(false),
        Some(_) if known.is_none() => Ok(Place::New),
        Some(_) => Ok(Place::Known),
    }
}

/// Pins `kid`. A machine that cannot remember says so at each first use again.
pub(super) fn remember(ctx: Context<'_>, vault: &VaultId, kid: KeyId) {
    warn_unless_saved(ctx, try_remember(ctx, vault, kid));
}

/// Pins `kid` as the key of the vault in this place.
pub(super) fn try_remember(ctx: Context<'_>, vault: &VaultId, kid: KeyId) -> Result<(), store::Error> {
    let pin = Pin { kids: vec![kid], since: ctx.clock.now() };
    ctx.memory.set_pin(vault, &pin)?;
    ctx.memory.set_known_vault(vault)
}

fn warn_unless_saved(ctx: Context<'_>, saved: Result<(), store::Error>) {
    if let Err(error) = saved {
        ctx.notices.notice(&Notice::NotMarked { why: error.to_string() });
    }
}

/// The vault with its key at hand.
pub struct Unlocked {
    /// Its identifier.
    pub id: VaultId,
    /// Its key.
    pub key: VaultKey,
    /// Its manifest, verified.
    pub manifest: Loaded<Manifest>,
}
