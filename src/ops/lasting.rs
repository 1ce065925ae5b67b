//! Access tokens without an end, which some providers give in place of a refresh token.

use super::token::Request;
use super::{Context, Error, Loaded, Unlocked, cache, documents};
use crate::domain::{AccessToken, GrantState, Profile, SealedField};
use crate::oauth::token_endpoint;
use crate::store::Name;

/// A token without an end, which is the grant itself: nothing can be asked for in its place. The cache, which may
/// be deleted at any time, holds it again then.
pub(super) fn token(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    request: &Request,
) -> Result<Option<AccessToken>, Error> {
    let grant = profile.facts.grant.as_ref().filter(|grant| grant.state == GrantState::Live);
    let is_enough = !request.refresh && request.only.is_none();
    let Some(grant) = grant.filter(|_| is_enough && profile.document.holds(SealedField::AccessToken)) else {
        return Ok(None);
    };
    let (_, client) = vault.client(ctx, &profile.facts.client)?;
    let opened = profile.document.open(&vault.keys, SealedField::AccessToken, &client.facts.binding());
    let (value, _) = opened.map_err(documents::refused(&Name::Profile(profile.facts.name.clone())))?;
    let token = AccessToken {
        value,
        obtained_at: grant.obtained_at,
        expires_at: grant.obtained_at.checked_add(token_endpoint::ENDLESS).ok(),
        scopes: profile.facts.scopes.granted.clone(),
    };
    cache::keep(ctx, vault, profile, (grant, &client.facts.issuer), None, &token);
    Ok(Some(token))
}
