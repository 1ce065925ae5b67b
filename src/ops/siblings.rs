//! Profiles that may lose their login when that of another one is revoked: some providers end every grant
//! of the same user to the same client.

use std::collections::BTreeMap;

use super::{Context, Error, Loaded, Unlocked, cache, recover, refresh};
use crate::domain::{DocumentId, GrantState, Profile, ProfileName};
use crate::store::{Access, Held, Lock};

/// The turns of a profile and of all others that use its client.
pub(super) struct Circle {
    others: Vec<ProfileName>,
    _turns: Vec<Box<dyn Held>>,
}

impl Circle {
    /// Waits for the turn of `profile` alone.
    pub(super) fn of_one(ctx: Context<'_>, profile: &Loaded<Profile>) -> Result<Self, Error> {
        let turn = ctx.lock(&Lock::Grant(profile.document.id().clone()), Access::Exclusive)?;
        Ok(Self { others: Vec::new(), _turns: vec![turn] })
    }

    /// Waits for the turns of `profile` and of every other profile of its client. The caller holds the
    /// vault's lock.
    pub(super) fn of_client(
        ctx: Context<'_>,
        vault: &Unlocked,
        profile: &Loaded<Profile>,
    ) -> Result<Self, Error> {
        let others = same_client(ctx, vault, profile)?;
        // In the order of their ids, whoever asks: two of these never wait for one another.
        let mut ids: Vec<&DocumentId> = others.keys().chain([profile.document.id()]).collect();
        ids.sort_unstable();
        let turn = |id: &DocumentId| ctx.lock(&Lock::Grant(id.clone()), Access::Exclusive);
        let turns = ids.into_iter().map(turn).collect::<Result<_, _>>()?;
        Ok(Self { others: others.into_values().collect(), _turns: turns })
    }

    /// The profiles with a live grant that may be of the same account as `profile`, in order.
    pub(super) fn siblings(
        &self,
        ctx: Context<'_>,
        vault: &Unlocked,
        profile: &Profile,
    ) -> Result<Vec<Loaded<Profile>>, Error> {
        let mut siblings = Vec::new();
        for name in &self.others {
            recover::recover(ctx, vault, name)?;
            siblings.extend(vault.find_profile(ctx, name)?.filter(|other| is_sibling(profile, &other.facts)));
        }
        siblings.sort_by(|one, two| one.facts.name.cmp(&two.facts.name));
        Ok(siblings)
    }
}

fn same_client(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
) -> Result<BTreeMap<DocumentId, ProfileName>, Error> {
    let mut found: BTreeMap<DocumentId, (u64, ProfileName)> = BTreeMap::new();
    for name in ctx.store.profiles()? {
        match vault.find_profile(ctx, &name) {
            Ok(Some(other)) if other.facts.client == profile.facts.client => {
                // An interrupted rename leaves two of them; the newer one counts.
                let newest = found.entry(other.document.id().clone()).or_insert_with(|| (0, name.clone()));
                *newest = newest.clone().max((other.document.generation(), name));
            }
            Ok(_) => {}
            // Damage elsewhere must not keep anybody from logging out.
            Err(error) => log::warn!("whether `{name}` loses its login too is not known: {error}"),
        }
    }
    found.remove(profile.document.id());
    Ok(found.into_iter().map(|(id, (_, name))| (id, name)).collect())
}

fn is_sibling(profile: &Profile, other: &Profile) -> bool {
    let is_live = other.grant.as_ref().is_some_and(|grant| grant.state == GrantState::Live);
    is_live
        && other.grant_type.needs_person()
        && other.client == profile.client
        && other.account.may_be(&profile.account)
}

/// Lets the next use of `sibling` show whether its grant is alive: a cached token may have ended with it.
pub(super) fn put_in_doubt(
    ctx: Context<'_>,
    vault: &Unlocked,
    sibling: &Loaded<Profile>,
) -> Result<(), Error> {
    cache::forget(ctx, vault, sibling)
}

/// Notes that the provider has ended the grant of `sibling`, whose bytes are kept.
pub(super) fn note_ended(ctx: Context<'_>, vault: &Unlocked, sibling: &Loaded<Profile>) -> Result<(), Error> {
    cache::forget(ctx, vault, sibling)?;
    refresh::mark_dead(ctx, vault, sibling)
}
