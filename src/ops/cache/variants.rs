//! All cached tokens of one profile: the plain one, and those for other purposes, of which there are only so many.

use std::cmp::Reverse;

use jiff::Timestamp;
use secrecy::SecretString;

use super::{TokenFacts, verified};
use crate::domain::{Binding, DocumentId, Profile, SealedField, TokenId};
use crate::ops::{Context, Error, Loaded, Unlocked, client_secret};
use crate::seal::Document;
use crate::store::{self, Name};

/// Most tokens of one profile that are kept beside its plain one: more than anybody has purposes for, and few
/// enough to look through.
const MOST: usize = 64;

/// The names of all cached tokens of the profile document `id`, the plain one first.
pub(in crate::ops) fn names(
    ctx: Context<'_>,
    vault: &Unlocked,
    id: &DocumentId,
) -> Result<Vec<Name>, store::Error> {
    let tokens = ctx.store.tokens(&vault.id)?.into_iter().filter(|token| token.profile == *id);
    Ok(tokens.map(|token| Name::Token(vault.id.clone(), token)).collect())
}

/// Forgets every cached token of `profile`.
pub(in crate::ops) fn forget(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
) -> Result<(), Error> {
    remove_all(ctx, names(ctx, vault, profile.document.id())?)
}

/// Forgets the plain token of `profile`, and what came with it.
pub(in crate::ops) fn forget_plain(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
) -> Result<(), Error> {
    let plain = TokenId::plain(profile.document.id());
    Ok(ctx.store.remove(&Name::Token(vault.id.clone(), plain))?)
}

/// Forgets every cached token of `profile` but its plain one.
pub(in crate::ops) fn forget_variants(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
) -> Result<(), Error> {
    remove_all(ctx, variants(ctx, vault, profile)?)
}

fn variants(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
) -> Result<Vec<Name>, store::Error> {
    let is_variant = |name: &Name| matches!(name, Name::Token(_, token) if token.purpose.is_some());
    Ok(names(ctx, vault, profile.document.id())?.into_iter().filter(is_variant).collect())
}

fn remove_all(ctx: Context<'_>, names: Vec<Name>) -> Result<(), Error> {
    names.iter().try_for_each(|name| Ok(ctx.store.remove(name)?))
}

/// Forgets the cached tokens of `profile` that are `value`, whatever they are for.
pub(in crate::ops) fn forget_value(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    value: &SecretString,
) -> Result<(), Error> {
    let is_meant =
        |name: &Name| opened(ctx, vault, name).is_some_and(|token| client_secret::is_same(&token, value));
    remove_all(ctx, names(ctx, vault, profile.document.id())?.into_iter().filter(is_meant).collect())
}

/// The token of this name, if it can be opened.
fn opened(ctx: Context<'_>, vault: &Unlocked, name: &Name) -> Option<SecretString> {
    let stored = ctx.store.read(name).ok()??;
    let document = verified(&vault.id, &vault.keys, &stored.bytes).ok()?;
    let binding = Binding::issuer_only(&document.facts::<TokenFacts>().ok()?.issuer);
    let held =
        [SealedField::AccessToken, SealedField::IdToken].into_iter().find(|field| document.holds(*field));
    Some(document.open(&vault.keys, held?, &binding).ok()?.0)
}

/// Makes room for a token of the name `new`: those that have ended go, and the oldest of too many. What cannot be
/// read is older than all. A failure costs nothing but room.
pub(super) fn make_room(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>, new: &Name) {
    let pruned = variants(ctx, vault, profile).and_then(|names| {
        let others = names.into_iter().filter(|name| name != new).collect();
        superfluous(ctx, others).iter().try_for_each(|name| ctx.store.remove(name))
    });
    if let Err(error) = pruned {
        log::debug!("cached tokens that have ended stay: {error}");
    }
}

fn superfluous(ctx: Context<'_>, names: Vec<Name>) -> Vec<Name> {
    let now = ctx.clock.now();
    let age = |name: &Name| {
        let facts: Option<TokenFacts> =
            ctx.store.read(name).ok().flatten().and_then(|it| Document::parse(&it.bytes).ok()?.facts().ok());
        facts.filter(|facts| !is_over(facts, now)).map(|facts| facts.obtained_at)
    };
    // Without a time: not worth keeping.
    let mut dated: Vec<(Option<Timestamp>, Name)> =
        names.into_iter().map(|name| (age(&name), name)).collect();
    dated.sort_by_key(|(obtained_at, _)| Reverse(*obtained_at));
    let is_superfluous = |at: usize, obtained_at: Option<Timestamp>| obtained_at.is_none() || at + 1 >= MOST;
    let dated = dated.into_iter().enumerate();
    dated.filter(|(at, (time, _))| is_superfluous(*at, *time)).map(|(_, (_, name))| name).collect()
}

/// One of unknown life is never answered from the cache.
fn is_over(facts: &TokenFacts, now: Timestamp) -> bool {
    facts.expires_at.is_none_or(|end| end <= now)
}
