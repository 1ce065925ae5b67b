//! Documents as operations see them: read with every check, written with their mark.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Context, Error, Notice, Unlocked, recover};
use crate::domain::{Client, ClientName, DocumentId, Profile, ProfileName, VaultId};
use crate::seal::{self, Document, Draft, Format, KeyRing, Verified};
use crate::store::{Expected, Mark, Name, Revision};

/// A document that has passed every check, with its facts.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The document, from which secrets can be opened.
    pub document: Verified,
    /// Its public facts.
    pub facts: T,
    /// Its state in the store.
    pub revision: Revision,
}

impl<T: Serialize + DeserializeOwned> Loaded<T> {
    /// The start of its next generation.
    pub(super) fn next(&self) -> Draft {
        self.document.next()
    }
}

/// Reads a document without verifying it.
pub(super) fn parse(name: &Name, bytes: &[u8]) -> Result<Document, Error> {
    Document::parse(bytes).map_err(refused(name))
}

/// The facts of a document, which may or may not be verified.
pub(super) fn facts<T: DeserializeOwned>(name: &Name, document: &Document) -> Result<T, Error> {
    document.facts().map_err(refused(name))
}

/// Refuses a document of another kind under this name.
pub(super) fn check_format(name: &Name, document: &Document, format: Format) -> Result<(), Error> {
    if document.format() == format {
        return Ok(());
    }
    Err(refused(name)(seal::Error::Envelope("format")))
}

/// Names the document in an error about it.
pub(super) fn refused(name: &Name) -> impl FnOnce(seal::Error) -> Error {
    let document = name.to_string();
    move |source| Error::Document { document, source }
}

/// Reads, verifies and dates a document.
///
/// A writer replaces the document first and its mark second; so a document that looks too old, or
/// changed under our eyes, is read once more, with the mark before it this time.
pub(super) fn load<T: DeserializeOwned>(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &Name,
    format: Format,
) -> Result<Option<Loaded<T>>, Error> {
    let read = match verified(ctx, &vault.id, &vault.keys, name, format) {
        // The vault key is being rotated, or was, since we have opened the vault.
        Err(Error::Document { source: seal::Error::OtherKey, .. }) => {
            vault.renew(ctx)?;
            verified(ctx, &vault.id, &vault.keys, name, format)?
        }
        read => read?,
    };
    read.map_or(Ok(None), |read| dated(ctx, &vault.id, &vault.keys, name, format, read))
}

/// Dates a document that has just been read and verified.
pub(super) fn dated<T: DeserializeOwned>(
    ctx: Context<'_>,
    vault: &VaultId,
    keys: &KeyRing,
    name: &Name,
    format: Format,
    (document, revision): (Verified, Revision),
) -> Result<Option<Loaded<T>>, Error> {
    let read = current(ctx, vault, name, document, revision, |id| {
        let mark = ctx.memory.mark(vault, id)?;
        Ok((mark, verified(ctx, vault, keys, name, format)?))
    })?;
    read.map(|read| loaded(name, read)).transpose()
}

/// A document with its facts.
pub(super) fn loaded<T: DeserializeOwned>(
    name: &Name,
    (document, revision): (Verified, Revision),
) -> Result<Loaded<T>, Error> {
    let facts = facts(name, &document)?;
    Ok(Loaded { document, facts, revision })
}

type Read = Option<(Verified, Revision)>;

/// The document if it is not older than its mark, else what `again` reads, held to the same.
fn current(
    ctx: Context<'_>,
    vault: &VaultId,
    name: &Name,
    document: Verified,
    revision: Revision,
    again: impl FnOnce(&DocumentId) -> Result<(Option<Mark>, Read), Error>,
) -> Result<Read, Error> {
    if is_current(&document, ctx.memory.mark(vault, document.id())?.as_ref()) {
        return Ok(Some((document, revision)));
    }
    let (mark, read) = again(document.id())?;
    match read {
        Some(_) if mark.as_ref().is_some_and(|mark| mark.removed) => {
            Err(Error::Removed { document: name.to_string() })
        }
        Some((document, _)) if !is_current(&document, mark.as_ref()) => Err(Error::RolledBack {
            document: name.to_string(),
            found: document.generation(),
            known: mark.map_or(0, |mark| mark.generation),
        }),
        read => Ok(read),
    }
}

/// Whether `document` is neither older than its mark nor removed.
pub(super) fn is_current(document: &Document, mark: Option<&Mark>) -> bool {
    mark.is_none_or(|mark| !mark.removed && document.generation() >= mark.generation)
}

fn verified(
    ctx: Context<'_>,
    vault: &VaultId,
    keys: &KeyRing,
    name: &Name,
    format: Format,
) -> Result<Read, Error> {
    let Some(stored) = ctx.store.read(name)? else { return Ok(None) };
    let document = parse(name, &stored.bytes)?;
    check_format(name, &document, format)?;
    let document = document.verify(vault, keys).map_err(refused(name))?;
    Ok(Some((document, stored.revision())))
}

/// Writes a document and its mark.
pub(super) fn save(
    ctx: Context<'_>,
    name: &Name,
    document: &Verified,
    expected: Expected<'_>,
) -> Result<(), Error> {
    ctx.store.write(name, &document.to_bytes(), expected)?;
    mark(ctx, document);
    Ok(())
}

/// Remembers the generation of a document that has just been put in its place.
///
/// A failure only warns: the document itself is safe, and only the protection against its older
/// copies is late by one write.
pub(super) fn mark(ctx: Context<'_>, document: &Document) {
    let mark = Mark { generation: document.generation(), removed: false };
    set_mark(ctx, document, &mark);
}

/// Remembers that a document was removed, so that a copy that comes back is not accepted.
pub(super) fn bury(ctx: Context<'_>, document: &Document) {
    let mark = Mark { generation: document.generation(), removed: true };
    set_mark(ctx, document, &mark);
}

fn set_mark(ctx: Context<'_>, document: &Document, mark: &Mark) {
    // A mark never goes down: only a person may decide to accept an older document.
    let known = ctx.memory.mark(document.vault(), document.id()).ok().flatten();
    if known.is_some_and(|known| known.removed || known.generation > mark.generation) {
        return;
    }
    if let Err(error) = ctx.memory.set_mark(document.vault(), document.id(), mark) {
        ctx.notices.notice(&Notice::NotMarked { why: error.to_string() });
    }
}

impl Unlocked {
    /// The profile `name`, verified.
    ///
    /// # Errors
    ///
    /// [`Error::NoProfile`] if there is none, else as the checks say.
    pub fn profile(&self, ctx: Context<'_>, name: &ProfileName) -> Result<Loaded<Profile>, Error> {
        self.find_profile(ctx, name)?.ok_or_else(|| no_profile(ctx, name))
    }

    /// The profile `name`, verified; one whose making was interrupted may be there in all but its
    /// place, and is put there first. The caller holds no lock.
    pub(super) fn settled_profile(
        &self,
        ctx: Context<'_>,
        name: &ProfileName,
    ) -> Result<Loaded<Profile>, Error> {
        if let Some(profile) = self.find_profile(ctx, name)? {
            return Ok(profile);
        }
        recover::settle(ctx, self, name)?;
        self.profile(ctx, name)
    }

    /// The profile `name`, verified, if there is one.
    pub(super) fn find_profile(
        &self,
        ctx: Context<'_>,
        name: &ProfileName,
    ) -> Result<Option<Loaded<Profile>>, Error> {
        let stored_as = Name::Profile(name.clone());
        let found = load::<Profile>(ctx, self, &stored_as, Format::Profile);
        match self.without_old_half(ctx, &stored_as, found)? {
            Some(profile) if profile.facts.name != *name => Err(Error::Misplaced {
                document: stored_as.to_string(),
                name: profile.facts.name.to_string(),
            }),
            found => Ok(found),
        }
    }

    /// The client with this document id, verified, with its name.
    ///
    /// # Errors
    ///
    /// [`Error::ClientMissing`] if no document has it, else as the checks say.
    pub fn client(&self, ctx: Context<'_>, id: &DocumentId) -> Result<(ClientName, Loaded<Client>), Error> {
        let mut found = None;
        let mut missing = Error::ClientMissing { id: id.clone() };
        for name in ctx.store.clients()? {
            let stored_as = Name::Client(name.clone());
            let Some(stored) = ctx.store.read(&stored_as)? else { continue };
            match Document::parse(&stored.bytes) {
                // An interrupted rename leaves two of them; the newer one counts.
                Ok(document) if document.id() == id => found = found.max(Some((document.generation(), name))),
                // Of a newer format the id is unknown; so that may well be the one.
                Err(error @ seal::Error::Newer { .. }) => missing = refused(&stored_as)(error),
                // Only the one that we look for has to be readable.
                _ => {}
            }
        }
        let (_, name) = found.ok_or(missing)?;
        let client = self.client_named(ctx, &name)?;
        Ok((name, client))
    }

    /// The client `name`, verified.
    ///
    /// # Errors
    ///
    /// [`Error::NoClient`] if there is none, else as the checks say.
    pub fn client_named(&self, ctx: Context<'_>, name: &ClientName) -> Result<Loaded<Client>, Error> {
        self.find_client(ctx, name)?.ok_or_else(|| no_client(ctx, name))
    }

    /// The client `name`, verified, if there is one.
    pub(super) fn find_client(
        &self,
        ctx: Context<'_>,
        name: &ClientName,
    ) -> Result<Option<Loaded<Client>>, Error> {
        let stored_as = Name::Client(name.clone());
        let found = load::<Client>(ctx, self, &stored_as, Format::Client);
        match self.without_old_half(ctx, &stored_as, found)? {
            Some(client) if client.facts.name != *name => {
                Err(Error::Misplaced { document: stored_as.to_string(), name: client.facts.name.to_string() })
            }
            found => Ok(found),
        }
    }
}

impl Unlocked {
    /// What was found under a name that a rename may be giving up just now, or was interrupted in giving
    /// up: the document is old because its newer half has the new name, and counts as gone.
    fn without_old_half<T>(
        &self,
        ctx: Context<'_>,
        name: &Name,
        found: Result<Option<Loaded<T>>, Error>,
    ) -> Result<Option<Loaded<T>>, Error> {
        let Err(Error::RolledBack { .. }) = &found else { return found };
        let Some(stored) = ctx.store.read(name)? else { return Ok(None) };
        let old = parse(name, &stored.bytes)?;
        if self.has_newer_half(ctx, name, &old)? { Ok(None) } else { found }
    }

    /// Whether a newer state of `old`, which stands under `name`, stands under another name: a rename was
    /// interrupted between writing the new document and removing the old one.
    pub(super) fn has_newer_half(
        &self,
        ctx: Context<'_>,
        name: &Name,
        old: &Document,
    ) -> Result<bool, Error> {
        let names: Vec<Name> = match name {
            Name::Client(_) => ctx.store.clients()?.into_iter().map(Name::Client).collect(),
            _ => ctx.store.profiles()?.into_iter().map(Name::Profile).collect(),
        };
        for other in names.iter().filter(|other| *other != name) {
            let Some(stored) = ctx.store.read(other)? else { continue };
            let is_newer = |found: &Document| found.id() == old.id() && found.generation() > old.generation();
            // One that cannot be read is reported by whoever needs it.
            let Ok(found) = Document::parse(&stored.bytes) else { continue };
            if is_newer(&found) && found.verify(&self.id, &self.keys).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The names of all clients and profiles.
pub(super) fn names(ctx: Context<'_>) -> Result<Vec<Name>, Error> {
    let clients = ctx.store.clients()?.into_iter().map(Name::Client);
    let profiles = ctx.store.profiles()?.into_iter().map(Name::Profile);
    Ok(clients.chain(profiles).collect())
}

/// That there is no such profile, with the names that there are.
pub(super) fn no_profile(ctx: Context<'_>, name: &ProfileName) -> Error {
    Error::NoProfile { name: name.to_string(), known: known(ctx.store.profiles()) }
}

/// That there is no such client, with the names that there are.
pub(super) fn no_client(ctx: Context<'_>, name: &ClientName) -> Error {
    Error::NoClient { name: name.to_string(), known: known(ctx.store.clients()) }
}

fn known<T: ToString>(names: Result<Vec<T>, crate::store::Error>) -> Vec<String> {
    names.unwrap_or_default().iter().map(ToString::to_string).collect()
}
