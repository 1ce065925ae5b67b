//! `vault token`: an access token that works now.

use jiff::SignedDuration;
use secrecy::SecretString;

use super::audit::Source;
use super::turn::in_turn;
use super::{Context, Error, Loaded, Notice, Unlocked, cache, refresh};
use crate::domain::{AccessToken, Profile, ProfileName, Provider, Purpose, Scopes};

/// What kind of token is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// How long it must still work, beyond the usual margin.
    pub min_ttl: SignedDuration,
    /// Whether to ask the provider even if a fresh one is cached.
    pub refresh: bool,
    /// What it must be good for; nothing in particular if there is none.
    pub scopes: Option<Scopes>,
    /// What it is to be good for, and nothing else: a part of the grant. Short names are fine.
    pub only: Option<Scopes>,
}

impl Request {
    /// Under which purpose its token is cached.
    pub(super) fn purpose(&self) -> Option<Purpose> {
        self.only.as_ref().map(cache::purpose_of)
    }
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
    let request = checked(vault, &found.facts, request)?;
    if !request.refresh
        && let Some(token) = cached(ctx, vault, &found, &request)
    {
        ctx.audit.token(Source::Cached);
        warn_if_other(ctx, vault, &found.facts, &request, &token);
        return Ok(token);
    }
    let token = refresh::refresh(ctx, vault, profile, &request)?;
    warn_if_other(ctx, vault, &found.facts, &request, &token);
    Ok(token)
}

fn cached(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    request: &Request,
) -> Option<AccessToken> {
    let found = cache::find(ctx, vault, profile, request.purpose().as_ref());
    let fresh = found.filter(|found| found.is_fresh(ctx.clock.now(), request.min_ttl));
    // One that cannot be opened although its MAC fits is replaced like any other.
    fresh.and_then(|found| found.open(vault).ok())
}

/// The request, if the grant covers it: nothing is asked of the provider for what only a new consent can give.
///
/// Where nothing in particular is asked for, the provider's file is not read: that is the way of nearly every call.
fn checked(vault: &Unlocked, profile: &Profile, request: Request) -> Result<Request, Error> {
    if profile.grant.is_none() || (request.only.is_none() && request.scopes.is_none()) {
        return Ok(request);
    }
    let provider = vault.provider(&profile.provider);
    let only = request.only.map(|only| narrowed(&provider, profile, &only)).transpose()?;
    if let Some(asked) = &request.scopes {
        let covering = only.as_ref().unwrap_or(&profile.scopes.granted);
        let missing = provider.uncovered_scopes(asked, covering);
        covers(profile, missing)?;
    }
    Ok(Request { only, ..request })
}

/// The scopes that `only` stands for, as they were granted. A scope that is merely included in a granted one was
/// not granted itself, and is not asked for (RFC 6749, 6).
///
/// # Errors
///
/// [`Error::ScopesNotGranted`] names those that were not.
pub fn narrowed(provider: &Provider, profile: &Profile, only: &Scopes) -> Result<Scopes, Error> {
    let full: Vec<String> = only.iter().map(|scope| provider.expand_scope(scope)).collect();
    let asked = Scopes::try_from(full).map_err(|error| Error::Usage(error.to_string()))?;
    // Where no person has granted anything, what may be asked for is up to the server.
    if !profile.grant_type.needs_person() {
        return Ok(asked);
    }
    let granted = &profile.scopes.granted;
    covers(profile, provider.missing_scopes(&asked, granted))?;
    let is_asked = |scope: &str| {
        asked.iter().any(|asked| provider.canonical_scope(asked) == provider.canonical_scope(scope))
    };
    let named: Vec<String> = granted.iter().filter(|scope| is_asked(scope)).map(str::to_owned).collect();
    Ok(named.try_into().expect("scopes of a set are scopes"))
}

fn covers(profile: &Profile, missing: Scopes) -> Result<(), Error> {
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Error::ScopesNotGranted { profile: profile.name.clone(), missing }),
    }
}

/// A provider may answer with more or less than was asked for; whoever relies on the one or the other must know.
fn warn_if_other(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Profile,
    request: &Request,
    token: &AccessToken,
) {
    let Some(only) = &request.only else { return };
    let provider = vault.provider(&profile.provider);
    let beyond = provider.missing_scopes(&token.scopes, only);
    if !beyond.is_empty() {
        ctx.notices.notice(&Notice::TokenBeyond { beyond });
    }
    let missing = provider.missing_scopes(only, &token.scopes);
    if !missing.is_empty() {
        ctx.notices.notice(&Notice::TokenLacks { missing });
    }
}

/// Forgets the cached tokens of `profile` that are `value`: whoever was given it says that it does not work. The
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
    in_turn(ctx, vault, profile, |profile, _| cache::forget_value(ctx, vault, &profile, value))
}
