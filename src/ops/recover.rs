//! What an interrupted writer has left: completed, remembered, or kept for a person to look at.

use super::{Context, Error, Notice, Unlocked, documents, rename};
use crate::domain::{Profile, ProfileName};
use crate::seal::{self, Document, Format};
use crate::store::{self, Access, Leftover, Name, Place, Target};

/// What an intent says of itself, even one that was cut off.
const INTENT: &[u8] = b"vault-intent/";

/// How every sealed item begins. An intent has none.
const SEALED: &[u8] = b"BEGIN AGE ENCRYPTED";

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// An earlier request may have been acted upon by the provider, and its answer is lost.
    pub(super) uncertain: bool,
}

/// Completes what an interrupted writer of `name` has left, if it has left anything. The caller holds
/// no lock.
pub(super) fn settle(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<(), Error> {
    let stored_as = Name::Profile(name.clone());
    if ctx.store.leftovers(Target { name: &stored_as, vault: &vault.id })?.is_empty() {
        return Ok(());
    }
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    recover(ctx, vault, name).map(|_| ())
}

/// Completes whatever interrupted writers have left in the whole vault, renames too. The caller holds the
/// vault lock alone.
pub(super) fn everything(ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
    rename::finish(ctx, vault)?;
    for name in ctx.store.unfinished(&vault.id)? {
        // Only profiles have successors.
        if let Name::Profile(name) = &name {
            recover(ctx, vault, name)?;
        }
    }
    Ok(())
}

/// Completes what an interrupted writer of `name` has left. The caller holds the grant's lock, or
/// the vault's alone.
///
/// A complete successor is put in its place. An intent stays where it is, until [`clear`].
pub(super) fn recover(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<Recovered, Error> {
    let stored_as = Name::Profile(name.clone());
    let target = Target { name: &stored_as, vault: &vault.id };
    let mut recovered = Recovered::default();
    for leftover in ctx.store.leftovers(target)? {
        if leftover.is_claimed {
            return Err(store::Error::InUse { what: stored_as.to_string() }.into());
        }
        match judge(ctx, vault, name, &leftover)? {
            // It may have been a rename: then the grant goes on under the other name, and two documents
            // must not both spend its refresh token.
            Verdict::Intent(current) if vault.has_newer_half(ctx, &stored_as, &current)? => {
                return Err(documents::no_profile(ctx, name));
            }
            Verdict::Successor(document) => {
                ctx.store.promote(target, &leftover)?;
                documents::mark(ctx, &document);
                ctx.notices.notice(&Notice::Recovered { profile: name.clone() });
            }
            Verdict::Intent(_) => recovered.uncertain = true,
            Verdict::Stale => ctx.store.discard(target, leftover.place)?,
            Verdict::Unreadable => {
                ctx.store.set_aside(target, leftover.place)?;
                ctx.notices.notice(&Notice::SetAside { profile: name.clone() });
                recovered.uncertain = true;
            }
        }
    }
    Ok(recovered)
}

/// Removes the intents that [`recover`] has left, so that room can be made anew.
pub(super) fn clear(ctx: Context<'_>, target: Target<'_>) -> Result<(), Error> {
    for place in [Place::Beside, Place::Second] {
        ctx.store.discard(target, place)?;
    }
    Ok(())
}

/// What a leftover is.
pub(super) enum Verdict {
    /// A complete document that comes after the current one.
    Successor(Document),
    /// A request, or a rename, was about to be made after the current one, which this is.
    Intent(Document),
    /// Its writer had finished, or had not begun.
    Stale,
    /// Torn by a crash, or not a successor of this profile.
    Unreadable,
}

/// A leftover is held to all that a document is held to: otherwise an older copy, or one of another
/// profile, could come in by this door.
pub(super) fn judge(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    leftover: &Leftover,
) -> Result<Verdict, Error> {
    let verified = Document::parse(&leftover.bytes).and_then(|found| found.verify(&vault.id, &vault.keys));
    if let Err(error @ seal::Error::Newer { .. }) = verified {
        return Err(documents::refused(&Name::Profile(name.clone()))(error));
    }
    let Ok(document) = verified else {
        return Ok(if is_unused_room(&leftover.bytes) { Verdict::Stale } else { Verdict::Unreadable });
    };
    let current = vault.find_profile(ctx, name)?;
    let current = current.as_ref().map(|profile| &*profile.document);
    Ok(match document.format() {
        Format::Intent => judge_intent(&document, current),
        Format::Profile if is_named(&document, name) => {
            let mark = ctx.memory.mark(&vault.id, document.id())?;
            judge_successor(&document, current, documents::is_current(&document, mark.as_ref()))
        }
        _ => Verdict::Unreadable,
    })
}

/// Room whose maker was interrupted, before anything was sent: nothing, or a part of an intent.
fn is_unused_room(bytes: &[u8]) -> bool {
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    bytes.trim_ascii().is_empty() || (has(INTENT) && !has(SEALED))
}

/// An intent holds no secret, so that one which says nothing about the current document can go.
fn judge_intent(intent: &Document, current: Option<&Document>) -> Verdict {
    let is_next =
        |current: &Document| current.id() == intent.id() && current.generation() < intent.generation();
    match current.filter(|current| is_next(current)) {
        Some(current) => Verdict::Intent(current.clone()),
        None => Verdict::Stale,
    }
}

fn judge_successor(document: &Document, current: Option<&Document>, is_newest: bool) -> Verdict {
    match current {
        Some(current) if current.id() != document.id() => Verdict::Unreadable,
        Some(current) if current.generation() >= document.generation() => Verdict::Stale,
        // Older than what was last written under another name, or removed since.
        _ if !is_newest => Verdict::Unreadable,
        _ => Verdict::Successor(document.clone()),
    }
}

fn is_named(document: &Document, name: &ProfileName) -> bool {
    document.facts::<Profile>().is_ok_and(|profile| profile.name == *name)
}
