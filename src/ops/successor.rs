//! The successor of a profile: room for it before anything irreversible, and safety afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Context, Error, Notice, Unlocked, documents, recover};
use crate::domain::{DocumentId, Profile, ProfileName};
use crate::seal::{Document, Draft, Format, Verified};
use crate::store::{OutstandingRescue, Place, Reservation, Target};
use crate::system::has_memory;

/// What a request and the saving of its answer may take, in bytes: the stacks of the threads that
/// ask, the certificates, an answer of 1 MiB, and a dozen copies of it while it is parsed and sealed.
const WORKING_MEMORY: usize = 24 * 1024 * 1024;

/// What was about to be asked when the room was made. The field names are part of the vault format.
#[derive(Serialize, Deserialize)]
struct Intent {
    /// The consent whose refresh token is sent, or that is being made.
    grant_id: DocumentId,
    /// When.
    at: Timestamp,
}

/// What the successor will be.
#[derive(Clone, Copy)]
pub(super) struct Next<'a> {
    /// The generation that it follows; 0 for a new document.
    pub(super) generation: u64,
    /// The consent.
    pub(super) grant_id: &'a DocumentId,
}

/// Makes room for the successor of a profile, with the intent in it: on the disk and in memory.
pub(super) fn reserve(
    ctx: Context<'_>,
    vault: &Unlocked,
    target: Target<'_>,
    document: &DocumentId,
    next: Next<'_>,
) -> Result<Box<dyn Reservation>, Error> {
    if !has_memory(WORKING_MEMORY) {
        return Err(Error::OutOfMemory);
    }
    recover::clear(ctx, target)?;
    let facts = Intent { grant_id: next.grant_id.clone(), at: ctx.clock.now() };
    let intent = Draft::new(Format::Intent, vault.id.clone(), document.clone())
        .after(next.generation)
        .facts(&facts)
        .sign(&vault.keys);
    Ok(ctx.store.reserve(target, &intent.to_bytes())?)
}

/// Saves a successor with a new refresh token in it. If no place takes it, the caller gets it as a
/// rescue block.
pub(super) fn save(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &ProfileName,
    reservation: Box<dyn Reservation>,
    successor: &Verified,
) -> Result<(), Error> {
    let bytes = successor.to_bytes();
    let verify = |read: &[u8]| read == bytes && is_readable(vault, read);
    match reservation.save(&bytes, &verify) {
        Ok(Place::Beside) => documents::mark(ctx, successor),
        Ok(Place::Second) => ctx.notices.notice(&Notice::SavedInSecondPlace),
        Err(source) => return Err(hand_over(ctx, vault, profile, successor, source)),
    }
    Ok(())
}

/// Whether the bytes that came back from the disk are a document of this vault.
fn is_readable(vault: &Unlocked, bytes: &[u8]) -> bool {
    Document::parse(bytes).and_then(|document| document.verify(&vault.id, &vault.keys)).is_ok()
}

/// The caller gets the only copy, and this machine remembers that there is one.
fn hand_over(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &ProfileName,
    successor: &Verified,
    source: crate::store::Error,
) -> Error {
    let renewed_at = successor.facts::<Profile>().ok().and_then(|facts| Some(facts.grant?.renewed_at()));
    let record = OutstandingRescue {
        profile: profile.clone(),
        renewed_at: renewed_at.unwrap_or_else(|| ctx.clock.now()),
    };
    if let Err(error) = ctx.memory.set_rescue(&vault.id, successor.id(), Some(&record)) {
        log::warn!("the rescue could not be recorded: {error}");
    }
    let block = String::from_utf8_lossy(&successor.to_bytes()).into_owned();
    Error::Rescue { profile: profile.clone(), block, source }
}
