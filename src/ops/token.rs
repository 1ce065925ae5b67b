//! `vault token`: an access token that works now.

use jiff::SignedDuration;
use secrecy::SecretString;

use super::audit::Source;
use super::turn::in_turn;
use super::{Context, Error, Loaded, Unlocked, cache, client_secret, refresh};
use crate::domain::{AccessToken, Profile, ProfileName, Scopes};
use crate::oauth::provider;

/// What kind of token is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// How long it must still work, beyond the usual margin.
    pub min_ttl: SignedDuration,
    /// Whether to ask the provider even if a fresh one is cached.
    pub refresh: bool,
    /// What it must be good for; nothing in particular if there is none.
    pub scopes: Option<Scopes>,
}

/// Returns an access token of `profile` that stays valid for at least `request.min_ttl`.
///
/// Costs no lock and no request while the cached token is fresh. Otherwise the grant is refreshed,
/// by one process however many ask.
///
/// # Errors
///
/// [`Error::LoginNeeded`] or [`Error::GrantRefused`] if only the user can help,
/// [`Error::ScopesNotGranted`] if the grant does not cover what is asked for, else as the provider, the
/// storage or the checks say.
pub fn token(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &ProfileName,
    request: Request,
) -> Result<AccessToken, Error> {
    ctx.audit.profile(profile);
    let found = vault.settled_profile(ctx, profile)?;
    check_scopes(&found.facts, request.scopes.as_ref())?;
    if !request.refresh
        && let Some(token) = cached(ctx, vault, &found, request.min_ttl)
    {
        ctx.audit.token(Source::Cached);
        return Ok(token);
    }
    refresh::refresh(ctx, vault, profile, &request)
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

/// Nothing is asked of the provider for scopes that only a new consent can give.
fn check_scopes(profile: &Profile, asked: Option<&Scopes>) -> Result<(), Error> {
    let (Some(asked), Some(_)) = (asked, &profile.grant) else { return Ok(()) };
    let missing = provider::get(&profile.provider).uncovered_scopes(asked, &profile.scopes.granted);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::ScopesNotGranted { profile: profile.name.clone(), missing })
}

/// Forgets the cached token of `profile` if it is `value`: whoever was given it says that it does not work. The
/// next call asks the provider.
///
/// # Errors
///
/// As the storage says.
pub fn forget(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &ProfileName,
    value: &SecretString,
) -> Result<(), Error> {
    ctx.audit.profile(profile);
    in_turn(ctx, vault, profile, |profile, _| {
        let cached = cache::find(ctx, vault, &profile).and_then(|found| found.open(vault).ok());
        if cached.is_some_and(|token| client_secret::is_same(&token.value, value)) {
            cache::forget(ctx, vault, &profile)?;
        }
        Ok(())
    })
}
