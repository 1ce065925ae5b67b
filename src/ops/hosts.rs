//! The hosts that a profile is bound to: whose token goes where.

use std::collections::BTreeSet;

use super::edit::{Changes, edit};
use super::{Context, Error, Unlocked, registry};
use crate::domain::{Host, Profile, ProfileName, Use};

/// Binds `profile` to `hosts`: its token may be sent there.
///
/// # Errors
///
/// [`Error::NoProfile`], or as the storage says.
pub fn bind(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &ProfileName,
    hosts: Vec<(Use, Host)>,
) -> Result<Profile, Error> {
    edit(ctx, vault, profile, Changes { bind: hosts, ..Changes::default() })
}

/// Takes that back.
///
/// # Errors
///
/// [`Error::NoProfile`], or as the storage says.
pub fn unbind(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &ProfileName,
    hosts: Vec<(Use, Host)>,
) -> Result<Profile, Error> {
    edit(ctx, vault, profile, Changes { unbind: hosts, ..Changes::default() })
}

/// Whether some profile seems to be bound to exactly this host. Opens nothing and verifies nothing: it spares
/// the unlocking for hosts that are none of our business.
///
/// # Errors
///
/// If the vault cannot be listed.
pub fn is_any_bound(ctx: Context<'_>, need: Use, host: &Host) -> Result<bool, Error> {
    Ok(!candidates(ctx, need, host)?.is_empty())
}

/// The profile whose token goes to `host`: the named one, if it is bound to exactly this host, else the only
/// one that is; of several, the default profile.
///
/// # Errors
///
/// [`Error::WhichProfile`] if several are bound and nothing says which is meant.
pub fn profile_for(
    ctx: Context<'_>,
    vault: &Unlocked,
    need: Use,
    host: &Host,
    named: Option<&ProfileName>,
) -> Result<Option<ProfileName>, Error> {
    let candidates = match named {
        Some(name) => vec![name.clone()],
        None => candidates(ctx, need, host)?,
    };
    let mut bound = Vec::new();
    for name in candidates {
        // Only what is verified decides where a token goes.
        if vault.settled_profile(ctx, &name)?.facts.is_bound_to(need, host) {
            bound.push(name);
        }
    }
    match &bound[..] {
        [] => Ok(None),
        [name] => Ok(Some(name.clone())),
        _ => {
            let default = registry::default_profile(ctx, &vault.manifest.facts).ok();
            let meant = default.filter(|name| bound.contains(name));
            let known = bound.iter().map(ToString::to_string).collect();
            meant.map(Some).ok_or_else(|| Error::WhichProfile { need, host: host.clone(), known })
        }
    }
}

/// The hosts that profiles seem to be bound to. Opens nothing and verifies nothing: it is for lists.
///
/// # Errors
///
/// If the vault cannot be listed.
pub fn bound(ctx: Context<'_>, need: Use) -> Result<BTreeSet<Host>, Error> {
    let facts = registry::list(ctx)?.into_iter().filter_map(|it| it.profile.ok());
    Ok(facts.flat_map(|it| it.profile.hosts.get(&need).cloned().unwrap_or_default()).collect())
}

/// The profiles that say so, as they are listed.
fn candidates(ctx: Context<'_>, need: Use, host: &Host) -> Result<Vec<ProfileName>, Error> {
    let listed = registry::list(ctx)?.into_iter();
    let bound = listed.filter(|it| it.profile.as_ref().is_ok_and(|it| it.profile.is_bound_to(need, host)));
    Ok(bound.map(|it| it.name).collect())
}
