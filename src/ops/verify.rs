//! `vault verify`: every document and every sealed item opened and checked; nothing is changed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::recover::{self, Verdict};
use super::{
    Context, Error, Loaded, Notice, Unlocked, cache, client_secret, documents, mint, rename, reveal,
};
use crate::domain::{Client, ClientAuth, Field, GrantType, Profile, ProfileName, SealedField};
use crate::seal::{Document, Format, Verified};
use crate::store::{self, Access, Held, Mark, Name, Target};

/// What was checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// How many documents.
    pub documents: usize,
    /// How many sealed items in them.
    pub items: usize,
    /// How many cached tokens of this machine can be trusted and opened too.
    pub tokens: usize,
    /// How many successors wait to be put in their places.
    pub successors: usize,
}

/// Checks the whole vault. `on_step` is told how many documents are done, and how many there are.
///
/// # Errors
///
/// [`Error::NotAllVerified`] names each document that failed.
pub fn verify(ctx: Context<'_>, vault: &Unlocked, on_step: &dyn Fn(usize, usize)) -> Result<Summary, Error> {
    let _lock = lock_if_writable(ctx, vault, Access::Shared)?;
    verify_locked(ctx, vault, on_step)
}

/// The same for a caller who holds the vault lock.
pub(super) fn verify_locked(
    ctx: Context<'_>,
    vault: &Unlocked,
    on_step: &dyn Fn(usize, usize),
) -> Result<Summary, Error> {
    let older = rename::older_halves(ctx, vault)?;
    tell_what_is_odd(ctx, &older)?;
    let names: Vec<Name> = names(ctx)?.into_iter().filter(|name| !older.contains(name)).collect();
    let total = names.len();
    let mut summary = Summary { documents: total, ..Summary::default() };
    let mut failed = Vec::new();
    for (done, name) in names.into_iter().enumerate() {
        on_step(done, total);
        match check(ctx, vault, &name) {
            Ok(found) => summary.add(found),
            Err(error) => failed.push((name.to_string(), Box::new(error))),
        }
    }
    if failed.is_empty() {
        Ok(summary)
    } else {
        Err(Error::NotAllVerified { failed, total, passed: summary })
    }
}

/// Keeps a rename from happening meanwhile. A vault that cannot be written to has nobody to wait for.
pub(super) fn lock_if_writable(
    ctx: Context<'_>,
    vault: &Unlocked,
    access: Access,
) -> Result<Option<Box<dyn Held>>, Error> {
    match vault.lock(ctx, access) {
        Ok(held) => Ok(Some(held)),
        Err(Error::Store(store::Error::Io { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Neither half a rename nor a foreign file is damage.
fn tell_what_is_odd(ctx: Context<'_>, older: &[Name]) -> Result<(), Error> {
    for name in older {
        ctx.notices.notice(&Notice::OlderHalf { document: name.to_string() });
    }
    let strangers = ctx.store.strangers()?;
    if !strangers.is_empty() {
        ctx.notices.notice(&Notice::Strangers { files: strangers });
    }
    Ok(())
}

/// Accepts the present generation of every document that verifies, after a backup was restored.
/// Returns how many were older than the last ones seen.
///
/// # Errors
///
/// If a document does not verify, or the state directory cannot be written.
pub fn accept_rollback(ctx: Context<'_>, vault: &Unlocked) -> Result<usize, Error> {
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    // The older half of an interrupted rename is no backup.
    rename::finish(ctx, vault)?;
    let mut accepted = 0;
    for name in names(ctx)? {
        let Some(stored) = ctx.store.read(&name)? else { continue };
        let document = documents::parse(&name, &stored.bytes)?;
        let document = document.verify(&vault.id, &vault.keys).map_err(documents::refused(&name))?;
        accepted += usize::from(lower_mark(ctx, vault, &document)?);
    }
    Ok(accepted)
}

fn lower_mark(ctx: Context<'_>, vault: &Unlocked, document: &Document) -> Result<bool, Error> {
    let mark = ctx.memory.mark(&vault.id, document.id())?;
    if documents::is_current(document, mark.as_ref()) {
        return Ok(false);
    }
    let mark = Mark { generation: document.generation(), removed: false };
    ctx.memory.set_mark(&vault.id, document.id(), &mark)?;
    Ok(true)
}

/// All documents of the vault, the manifest first.
pub(super) fn names(ctx: Context<'_>) -> Result<Vec<Name>, Error> {
    Ok(std::iter::once(Name::Manifest).chain(documents::names(ctx)?).collect())
}

impl Summary {
    fn add(&mut self, other: Self) {
        self.items += other.items;
        self.tokens += other.tokens;
        self.successors += other.successors;
    }
}

/// What of the document was opened, and of what belongs to it.
fn check(ctx: Context<'_>, vault: &Unlocked, name: &Name) -> Result<Summary, Error> {
    match name {
        Name::Manifest => {
            let found = documents::load::<crate::seal::Manifest>(ctx, vault, name, Format::Manifest)?;
            let manifest = found.ok_or(Error::ManifestMissing)?;
            tell_what_is_unknown(ctx, name, &manifest);
            opened(vault, name, &manifest.document)
        }
        Name::Client(client) => {
            let client = vault.client_named(ctx, client)?;
            tell_what_is_unknown(ctx, name, &client);
            check_client(vault, &client, name)?;
            opened(vault, name, &client.document)
        }
        Name::Profile(profile) => {
            let profile = vault.profile(ctx, profile)?;
            tell_what_is_unknown(ctx, name, &profile);
            check_profile(ctx, vault, &profile)
        }
        Name::Token(..) => Ok(Summary::default()),
    }
}

fn tell_what_is_unknown<T: Serialize + DeserializeOwned>(ctx: Context<'_>, name: &Name, loaded: &Loaded<T>) {
    let fields = loaded.document.unknown_fields::<T>();
    if !fields.is_empty() {
        ctx.notices.notice(&Notice::UnknownFields { document: name.to_string(), fields });
    }
}

/// Opens every item, also those that this version does not know.
fn opened(vault: &Unlocked, name: &Name, document: &Verified) -> Result<Summary, Error> {
    let items = document.open_all(&vault.keys).map_err(documents::refused(name))?;
    Ok(Summary { items, ..Summary::default() })
}

/// The secrets of a client with their destination, which is not compared where all items are opened.
fn check_client(vault: &Unlocked, client: &Loaded<Client>, name: &Name) -> Result<(), Error> {
    let needed = SealedField::ClientSecret;
    let is_there = |field: &SealedField| {
        client.document.holds(*field) || (*field == needed && client.facts.client_auth != ClientAuth::None)
    };
    SealedField::OF_CLIENT
        .into_iter()
        .filter(is_there)
        .try_for_each(|field| client_secret::open(vault, client, name, field).map(|_| ()))
}

fn check_profile(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Result<Summary, Error> {
    let name = Name::Profile(profile.facts.name.clone());
    let sealed = [(SealedField::RefreshToken, Field::RefreshToken), (SealedField::ApiKey, Field::ApiKey)];
    for (_, field) in sealed.into_iter().filter(|(sealed, _)| profile.document.holds(*sealed)) {
        // With its destination, which is not compared below.
        reveal::of_profile(ctx, vault, profile, field)?;
    }
    // A profile whose client is gone is of no use, even if it holds nothing.
    let (_, client) = vault.client(ctx, &profile.facts.client)?;
    if let GrantType::Impersonation { source, .. } = &profile.facts.grant_type
        && mint::by_id(ctx, vault, source)?.is_none()
    {
        return Err(mint::Error::NoSource { profile: profile.facts.name.clone() }.into());
    }
    let more = [SealedField::RefreshTokenPrevious, SealedField::AccessToken];
    for field in more.into_iter().filter(|field| profile.document.holds(*field)) {
        let opened = profile.document.open(&vault.keys, field, &client.facts.binding());
        opened.map_err(documents::refused(&name))?;
    }
    let found = opened(vault, &name, &profile.document)?;
    let successors = waiting(ctx, vault, &profile.facts.name)?;
    Ok(Summary { tokens: cached(ctx, vault, profile), successors, ..found })
}

/// How many cached tokens can be trusted. One that does not verify is no damage: the next call replaces it.
fn cached(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> usize {
    let names = cache::names(ctx, vault, profile.document.id()).unwrap_or_default();
    let good = names.iter().filter_map(|name| is_good(ctx, vault, profile, name));
    let (good, bad): (Vec<bool>, Vec<bool>) = good.partition(|is_good| *is_good);
    if !bad.is_empty() {
        ctx.notices.notice(&Notice::CacheIgnored { profile: profile.facts.name.clone() });
    }
    good.len()
}

/// Whether the cached token of this name can be trusted; nothing if it has gone.
fn is_good(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>, name: &Name) -> Option<bool> {
    let stored = match ctx.store.read(name) {
        Ok(None) => return None,
        Ok(Some(stored)) => Some(stored),
        Err(_) => None,
    };
    let document = stored.and_then(|stored| Document::parse(&stored.bytes).ok());
    let verified = document.and_then(|document| document.verify(&vault.id, &vault.keys).ok());
    let is_whole = |token: &Verified| {
        token.id() == profile.document.id()
            && token.format() == Format::Token
            && cache::is_in_place(token, name)
            && token.open_all(&vault.keys).is_ok()
    };
    Some(verified.as_ref().is_some_and(is_whole))
}

/// How many successors of the profile wait to be put in its place. One that cannot be read is kept aside
/// by whoever comes next, and is no damage to the profile.
fn waiting(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<usize, Error> {
    let stored_as = Name::Profile(name.clone());
    let mut waiting = 0;
    for leftover in ctx.store.leftovers(Target { name: &stored_as, vault: &vault.id })? {
        if leftover.is_claimed {
            continue;
        }
        match recover::judge(ctx, vault, name, &leftover)? {
            Verdict::Successor(document) => {
                let verified = document.verify(&vault.id, &vault.keys);
                let opened = verified.and_then(|successor| successor.open_all(&vault.keys));
                waiting += opened.map(|_| 1).map_err(documents::refused(&stored_as))?;
                ctx.notices.notice(&Notice::SuccessorWaits { profile: name.clone() });
            }
            Verdict::Unreadable => {
                ctx.notices.notice(&Notice::SuccessorUnreadable { profile: name.clone() });
            }
            Verdict::Intent(_) | Verdict::Stale => {}
        }
    }
    Ok(waiting)
}
