//! `vault token`: an access token that works now.

use jiff::SignedDuration;

use super::audit::Source;
use super::{Context, Error, Loaded, Unlocked, cache, refresh};
use crate::domain::{AccessToken, Profile, ProfileName};

/// What kind of token is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// How long it must still work, beyond the usual margin.
    pub min_ttl: SignedDuration,
    /// Whether to ask the provider even if a fresh one is cached.
    pub refresh: bool,
}

/// Returns an access token of `profile` that stays valid for at least `request.min_ttl`.
///
/// Costs no lock and no request while the cached token is fresh. Otherwise the grant is refreshed,
/// by one process however many ask.
///
/// # Errors
///
/// [`Error::LoginNeeded`] or [`Error::GrantRefused`] if only the user can help, else as the
/// provider, the storage or the checks say.
pub fn token(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &ProfileName,
    request: Request,
) -> Result<AccessToken, Error> {
    ctx.audit.profile(profile);
    let found = vault.settled_profile(ctx, profile)?;
    if !request.refresh
        && let Some(token) = cached(ctx, vault, &found, request.min_ttl)
    {
        ctx.audit.token(Source::Cached);
        return Ok(token);
    }
    refresh::refresh(ctx, vault, profile, request)
}

fn cached(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    min_ttl: SignedDuration,
) -> Option<AccessToken> {
    let fresh = cache::find(ctx, vault, profile).filter(|found| found.is_fresh(ctx.clock.now(), min_ttl));
    // One that cannot be opened although its MAC fits is replaced like any other.
    fresh.and_then(|found| found.open(vault).ok())
}
