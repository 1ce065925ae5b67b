//! What an interrupted writer has left: completed, remembered, or kept for a person to look at.

use super::documents;
use super::{Context, Error, Notice, Unlocked};
use crate::domain::{Profile, ProfileName};
use crate::seal::{Document, Format};
use crate::store::{Leftover, Name, Place, Target};

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// An earlier request may have been acted upon by the provider, and its answer is lost.
    pub(super) uncertain: bool,
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
        match judge(ctx, vault, name, &leftover)? {
            Verdict::Successor(document) => {
                ctx.store.promote(target, &leftover)?;
                documents::mark(ctx, &document);
                ctx.notices.notice(&Notice::Recovered { profile: name.clone() });
            }
            Verdict::Intent => recovered.uncertain = true,
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

enum Verdict {
    /// A complete document that comes after the current one.
    Successor(Document),
    /// A request was about to be made after the current one.
    Intent,
    /// It comes before the current one, or before what was removed: its writer had finished.
    Stale,
    /// Torn by a crash, or not of this profile.
    Unreadable,
}

/// A leftover is held to all that a document is held to: otherwise an older copy, or one of another
/// profile, could come in by this door.
fn judge(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    leftover: &Leftover,
) -> Result<Verdict, Error> {
    let verified = Document::parse(&leftover.bytes).and_then(|found| found.verify(&vault.id, &vault.key));
    let Ok(document) = verified else { return Ok(Verdict::Unreadable) };
    let current = vault.find_profile(ctx, name)?;
    if current.as_ref().is_some_and(|profile| profile.document.id() != document.id()) {
        return Ok(Verdict::Unreadable);
    }
    if current.is_some_and(|profile| profile.document.generation() >= document.generation())
        || !documents::is_current(&document, ctx.memory.mark(&vault.id, document.id())?.as_ref())
    {
        return Ok(Verdict::Stale);
    }
    Ok(match document.format() {
        Format::Intent => Verdict::Intent,
        Format::Profile if is_named(&document, name) => Verdict::Successor((*document).clone()),
        _ => Verdict::Unreadable,
    })
}

fn is_named(document: &Document, name: &ProfileName) -> bool {
    document.facts::<Profile>().is_ok_and(|profile| profile.name == *name)
}
