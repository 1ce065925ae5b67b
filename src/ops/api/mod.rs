//! `vault api`: a request with the token of a profile, sent only where that token may go.

mod destination;
mod error;
mod exchange;

use secrecy::SecretString;
use url::Url;

pub(super) use destination::is_preset;
pub use error::{Error, Obstacle};
pub use exchange::{Asked, Exchanged, exchange};

use super::token::{self, token};
use super::{Context, Loaded, Unlocked, hosts, reveal};
use crate::domain::{Client, Field, Host, Profile, ProfileName, Use};
use crate::oauth::provider::Provider;

/// What a request needs of a profile.
#[derive(Debug)]
pub struct Need {
    /// Where it goes.
    pub url: Url,
    /// Whether the token may go to the host of `url` from now on.
    pub allow_host: bool,
    /// Whether the API key goes along.
    pub api_key: bool,
    /// The project that the request is counted for; that of the profile if none is named.
    pub project: Option<String>,
}

/// What goes along with a request to one host, and no other. `Debug` shows no secret.
#[derive(Debug)]
pub struct Pass {
    /// Whose it is.
    pub profile: ProfileName,
    /// The access token; none where the API key is all that the profile has.
    pub token: Option<SecretString>,
    /// Whether the token was not obtained for this request.
    pub is_cached: bool,
    /// The host that may have the token from now on, and could not have it before.
    pub allowed: Option<Host>,
    /// Header fields of the provider's own.
    headers: Vec<(String, SecretString)>,
}

/// What the profile `name` lets go along with a request to `need.url`.
///
/// The token is had last: nothing is opened for a host that may not have it.
///
/// # Errors
///
/// [`Error::HostNotAllowed`], [`Error::Url`] and their like if it may not go there, else as for a token.
pub fn pass(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    need: &Need,
) -> Result<Pass, super::Error> {
    ctx.audit.profile(name);
    let profile = vault.settled_profile(ctx, name)?;
    let (_, client) = vault.client(ctx, &profile.facts.client)?;
    destination::check_form(&need.url, &client.facts)?;
    let provider = vault.provider(&client.facts.provider);
    let headers = headers(ctx, vault, &profile, &client.facts, &provider, need)?;
    let allowed = allow(ctx, vault, &profile.facts, &client.facts, need)?;

    let began = ctx.clock.now();
    // A profile may have an API key alone.
    let token = match profile.facts.grant.is_none() && need.api_key {
        true => None,
        false => Some(token(ctx, vault, name, token::Request::default())?),
    };
    ctx.audit.fields(
        need.api_key.then_some(Field::ApiKey).into_iter().chain(token.as_ref().map(|_| Field::AccessToken)),
    );
    let is_cached = token.as_ref().is_some_and(|it| it.obtained_at < began);
    Ok(Pass { profile: name.clone(), token: token.map(|it| it.value), is_cached, allowed, headers })
}

/// The same with a new token, after a server has refused that of `refused`.
///
/// # Errors
///
/// As [`pass`].
pub fn renewed_pass(
    ctx: Context<'_>,
    vault: &Unlocked,
    refused: &Pass,
    need: &Need,
) -> Result<Pass, super::Error> {
    if let Some(value) = &refused.token {
        token::forget(ctx, vault, &refused.profile, value)?;
    }
    pass(ctx, vault, &refused.profile, need)
}

/// Refuses a host that may not have the token. One that is to have it from now on is written down, and named.
fn allow(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Profile,
    client: &Client,
    need: &Need,
) -> Result<Option<Host>, super::Error> {
    if destination::is_allowed(&need.url, profile, client) {
        return Ok(None);
    }
    let host = destination::host(&need.url)?;
    if !need.allow_host {
        return Err(Error::HostNotAllowed { profile: profile.name.clone(), host }.into());
    }
    hosts::bind(ctx, vault, &profile.name, vec![(Use::Api, host.clone())])?;
    Ok(Some(host))
}

/// Header fields that only the provider's own APIs understand, and that only they get.
fn headers(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    client: &Client,
    provider: &Provider,
    need: &Need,
) -> Result<Vec<(String, SecretString)>, super::Error> {
    let names = provider.api.project_header.as_ref().zip(provider.api.api_key_header.as_ref());
    let names = names.filter(|_| destination::is_preset(&need.url, client));
    let Some((project_header, api_key_header)) = names else {
        let what = match (need.api_key, &need.project) {
            (true, _) => "an API key",
            (false, Some(_)) => "a project",
            (false, None) => return Ok(Vec::new()),
        };
        let host = destination::host(&need.url)?;
        return Err(Error::NotOfProvider { what, host, provider: provider.title.clone() }.into());
    };
    let mut headers = Vec::new();
    if let Some(project) = need.project.as_ref().or(profile.facts.project.as_ref()) {
        headers.push((project_header.clone(), SecretString::from(project.as_str())));
    }
    if need.api_key {
        headers.push((api_key_header.clone(), reveal::of_profile(ctx, vault, profile, Field::ApiKey)?));
    }
    Ok(headers)
}

/// The host that a token would have to be allowed to go to.
///
/// # Errors
///
/// [`Error::Url`] if the URL names none that could be.
pub fn host_of(url: &Url) -> Result<Host, Error> {
    destination::host(url)
}
