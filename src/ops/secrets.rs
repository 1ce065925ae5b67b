//! The secrets that providers have given out, by their age. Opens nothing.

use std::fmt;

use jiff::Timestamp;

use super::{Context, Error, clients, registry};
use crate::domain::{ClientName, ProfileName, SealedField};

/// A secret that its provider can renew.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderSecret {
    /// The secret of a client.
    ClientSecret(ClientName),
    /// The secret that a client had before, which may still work at the provider.
    OldClientSecret(ClientName),
    /// The refresh token of a profile.
    Grant(ProfileName),
    /// The API key of a profile.
    ApiKey(ProfileName),
}

impl ProviderSecret {
    /// What it is, in a word that JSON and tables share.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClientSecret(_) => "client_secret",
            Self::OldClientSecret(_) => "client_secret_previous",
            Self::Grant(_) => "grant",
            Self::ApiKey(_) => "api_key",
        }
    }

    /// The name of the client or profile that has it.
    pub fn owner(&self) -> &dyn fmt::Display {
        match self {
            Self::ClientSecret(client) | Self::OldClientSecret(client) => client,
            Self::Grant(profile) | Self::ApiKey(profile) => profile,
        }
    }
}

/// A secret, and since when it is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The secret.
    pub secret: ProviderSecret,
    /// Its provider.
    pub provider: String,
    /// When it came from the provider, where that is known.
    pub since: Option<Timestamp>,
}

impl Dated {
    /// Whether it may be older than `moment`, so that whoever had the vault before that may have it.
    pub fn may_be_from_before(&self, moment: Timestamp) -> bool {
        self.since.is_none_or(|since| since < moment)
    }
}

/// Every secret of a provider that the vault holds.
#[derive(Debug, Default)]
pub struct Secrets {
    /// The secrets: of unknown age first, then the oldest first.
    pub found: Vec<Dated>,
    /// Clients and profiles that cannot be read, so that it is not known what they hold.
    pub unreadable: Vec<String>,
}

impl Secrets {
    /// What has to be renewed if somebody could read the vault until `moment`.
    #[must_use]
    pub fn from_before(self, moment: Timestamp) -> Self {
        let found = self.found.into_iter().filter(|secret| secret.may_be_from_before(moment)).collect();
        Self { found, ..self }
    }
}

/// All secrets of providers, read from documents that have not been verified.
///
/// # Errors
///
/// If there is no vault, or it cannot be listed.
pub fn list(ctx: Context<'_>) -> Result<Secrets, Error> {
    let mut secrets = Secrets::default();
    for listed in clients::list(ctx)? {
        match listed.client {
            Ok(facts) => secrets.found.extend(of_client(&listed.name, &facts)),
            Err(_) => secrets.unreadable.push(format!("client `{}`", listed.name)),
        }
    }
    for listed in registry::list(ctx)? {
        match listed.profile {
            Ok(facts) => secrets.found.extend(of_profile(&listed.name, &facts)),
            Err(_) => secrets.unreadable.push(format!("profile `{}`", listed.name)),
        }
    }
    // An unknown age sorts before every known one.
    secrets.found.sort_by_key(|secret| secret.since);
    Ok(secrets)
}

fn of_client(name: &ClientName, facts: &clients::Facts) -> Vec<Dated> {
    let dated = |secret, since| Dated { secret, provider: facts.client.provider.clone(), since };
    let holds = |field| facts.secrets.contains(&field);
    let current = holds(SealedField::ClientSecret)
        .then(|| dated(ProviderSecret::ClientSecret(name.clone()), facts.client.secret_set_at));
    let old = holds(SealedField::ClientSecretPrevious)
        .then(|| dated(ProviderSecret::OldClientSecret(name.clone()), None));
    old.into_iter().chain(current).collect()
}

fn of_profile(name: &ProfileName, facts: &registry::Facts) -> Vec<Dated> {
    let profile = &facts.profile;
    let dated = |secret, since| Dated { secret, provider: profile.provider.clone(), since };
    // The age of the consent, not of the refresh token: who had an earlier token of it may have used that for
    // one of his own.
    let grant = profile.grant.as_ref().filter(|grant| grant.refreshable);
    let grant = grant.map(|grant| dated(ProviderSecret::Grant(name.clone()), Some(grant.obtained_at)));
    let api_key =
        facts.has_api_key.then(|| dated(ProviderSecret::ApiKey(name.clone()), profile.api_key_set_at));
    grant.into_iter().chain(api_key).collect()
}
