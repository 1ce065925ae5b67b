//! The secrets that providers have given out, by their age. Opens nothing.

use std::fmt;

use jiff::Timestamp;

use super::{Context, Error, Vault, clients, registry};
use crate::domain::{ClientAuth, ClientName, ProfileName, SealedField};

/// A secret that its provider can renew.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderSecret {
    /// The secret of a client.
    ClientSecret(ClientName),
    /// The secret that a client had before, which may still work at the provider.
    OldClientSecret(ClientName),
    /// A secret that waits beside that of a client, until a refresh has proven it.
    NewClientSecret(ClientName),
    /// The refresh token of a profile.
    Grant(ProfileName),
    /// The refresh token that a profile had before, which may still work at the provider.
    OldGrant(ProfileName),
    /// The API key of a profile.
    ApiKey(ProfileName),
}

impl ProviderSecret {
    /// What it is, in a word that JSON and tables share.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClientSecret(_) => "client_secret",
            Self::OldClientSecret(_) => "client_secret_previous",
            Self::NewClientSecret(_) => "client_secret_next",
            Self::Grant(_) => "grant",
            Self::OldGrant(_) => "refresh_token_previous",
            Self::ApiKey(_) => "api_key",
        }
    }

    /// The name of the client or profile that has it.
    pub fn owner(&self) -> &dyn fmt::Display {
        match self {
            Self::ClientSecret(client) | Self::OldClientSecret(client) | Self::NewClientSecret(client) => {
                client
            }
            Self::Grant(profile) | Self::OldGrant(profile) | Self::ApiKey(profile) => profile,
        }
    }

    /// What is left to do with it, if it stands beside the one in use because a rotation is not finished.
    pub fn unfinished(&self) -> Option<&'static str> {
        match self {
            Self::OldClientSecret(_) => Some("the old client secret is kept until it is disabled"),
            Self::NewClientSecret(_) => Some("a new client secret waits for its proof"),
            Self::OldGrant(_) => Some("the old refresh token waits to be retired"),
            Self::ClientSecret(_) | Self::Grant(_) | Self::ApiKey(_) => None,
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
    /// Whether it is the private key of a service account, which comes in a file.
    pub is_key: bool,
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
    /// Until when others may have had the vault key, if that was ever said.
    pub compromised_at: Option<Timestamp>,
}

impl Secrets {
    /// Whether somebody else may have it, who had the vault key.
    pub fn is_compromised(&self, secret: &Dated) -> bool {
        self.compromised_at.is_some_and(|moment| secret.may_be_from_before(moment))
    }

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
    let compromised_at = Vault::open(ctx)?.manifest().compromised_at;
    Ok(Secrets { compromised_at, ..of(&clients::list(ctx)?, &registry::list(ctx)?) })
}

/// What rotations have left beside the secrets in use.
pub(super) fn unfinished(clients: &[clients::Listed], profiles: &[registry::Listed]) -> Vec<ProviderSecret> {
    let found = of(clients, profiles).found.into_iter().map(|dated| dated.secret);
    found.filter(|secret| secret.unfinished().is_some()).collect()
}

fn of(clients: &[clients::Listed], profiles: &[registry::Listed]) -> Secrets {
    let mut secrets = Secrets::default();
    for listed in clients {
        match &listed.client {
            Ok(facts) => secrets.found.extend(of_client(&listed.name, facts)),
            Err(_) => secrets.unreadable.push(format!("client `{}`", listed.name)),
        }
    }
    for listed in profiles {
        match &listed.profile {
            Ok(facts) => secrets.found.extend(of_profile(&listed.name, facts)),
            Err(_) => secrets.unreadable.push(format!("profile `{}`", listed.name)),
        }
    }
    // An unknown age sorts before every known one.
    secrets.found.sort_by_key(|secret| secret.since);
    secrets
}

fn of_client(name: &ClientName, facts: &clients::Facts) -> Vec<Dated> {
    let is_key = facts.client.client_auth == ClientAuth::Assertion;
    let dated = |secret, since| Dated { secret, provider: facts.client.provider.clone(), since, is_key };
    let holds = |field| facts.secrets.contains(&field);
    let current = holds(SealedField::ClientSecret)
        .then(|| dated(ProviderSecret::ClientSecret(name.clone()), facts.client.secret_set_at));
    let beside = |field, secret: fn(ClientName) -> ProviderSecret| {
        holds(field).then(|| dated(secret(name.clone()), None))
    };
    let old = beside(SealedField::ClientSecretPrevious, ProviderSecret::OldClientSecret);
    let new = beside(SealedField::ClientSecretNext, ProviderSecret::NewClientSecret);
    [old, new, current].into_iter().flatten().collect()
}

fn of_profile(name: &ProfileName, facts: &registry::Facts) -> Vec<Dated> {
    let profile = &facts.profile;
    let dated = |secret, since| Dated { secret, provider: profile.provider.clone(), since, is_key: false };
    // The age of the consent, not of the refresh token: who had an earlier token of it may have used that for
    // one of his own.
    let grant = profile.grant.as_ref().filter(|grant| grant.refreshable && profile.grant_type.needs_person());
    let grant = grant.map(|grant| dated(ProviderSecret::Grant(name.clone()), Some(grant.obtained_at)));
    let old = facts
        .holds(SealedField::RefreshTokenPrevious)
        .then(|| dated(ProviderSecret::OldGrant(name.clone()), None));
    let api_key = facts
        .holds(SealedField::ApiKey)
        .then(|| dated(ProviderSecret::ApiKey(name.clone()), profile.api_key_set_at));
    [old, grant, api_key].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Account, Client, DocumentId, Endpoints, Grant, GrantState, Profile, ScopeRecord};

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 0).unwrap()
    }

    fn id() -> DocumentId {
        "0123456789abcdef0123456789abcdef".parse().unwrap()
    }

    fn client(name: &str, since: Option<Timestamp>, secrets: &[SealedField]) -> clients::Listed {
        let url = || "https://a.example/".parse().unwrap();
        let client = Client {
            name: name.parse().unwrap(),
            provider: "a.example".into(),
            issuer: "https://a.example".into(),
            endpoints: Endpoints::of(url(), url()),
            client_id: "id".into(),
            client_auth: ClientAuth::Post,
            client_auth_pinned: true,
            redirect_uri: None,
            insecure_loopback: false,
            issuer_in_response: false,
            pinned: Default::default(),
            offline_scope: false,
            key_id: None,
            key_id_next: None,
            key_id_previous: None,
            secret_set_at: since,
        };
        let facts = clients::Facts { id: id(), client, secrets: secrets.to_vec() };
        clients::Listed { name: name.parse().unwrap(), client: Ok(facts), profiles: Vec::new() }
    }

    fn profile(
        name: &str,
        login: Option<(Timestamp, bool)>,
        key: Option<Option<Timestamp>>,
    ) -> registry::Listed {
        let grant = login.map(|(obtained_at, refreshable)| Grant {
            id: id(),
            obtained_at,
            // A token that was replaced does not make the consent any younger.
            refreshed_at: Some(at(1_000_000)),
            expires_at: None,
            state: GrantState::Live,
            refreshable,
        });
        let profile = Profile {
            name: name.parse().unwrap(),
            provider: "a.example".into(),
            account: Account::default(),
            client: id(),
            scopes: ScopeRecord::default(),
            grant,
            exports: Default::default(),
            hosts: Default::default(),
            grant_type: Default::default(),
            browser: None,
            project: None,
            api_key_set_at: key.flatten(),
        };
        let secrets = key.map(|_| SealedField::ApiKey).into_iter().collect();
        let facts =
            registry::Facts { id: id(), profile, client: None, source: None, secrets, is_default: false };
        registry::Listed { name: name.parse().unwrap(), profile: Ok(facts) }
    }

    /// Kind, owner and second of each.
    fn lines(secrets: &Secrets) -> Vec<String> {
        let second =
            |it: &Dated| it.since.map_or_else(|| "?".to_owned(), |since| since.as_second().to_string());
        let line = |it: &Dated| format!("{} {} {}", it.secret.kind(), it.secret.owner(), second(it));
        secrets.found.iter().map(line).collect()
    }

    fn some() -> Secrets {
        const CURRENT: SealedField = SealedField::ClientSecret;
        of(
            &[
                client("web", Some(at(40)), &SealedField::OF_CLIENT),
                client("old", None, &[CURRENT]),
                client("public", None, &[]),
            ],
            &[
                profile("work", Some((at(30), true)), Some(Some(at(20)))),
                profile("fresh", Some((at(50), true)), Some(None)),
                profile("short", Some((at(10), false)), None),
                profile("never", None, None),
            ],
        )
    }

    #[test]
    fn every_secret_is_listed_the_unknown_first_and_then_the_oldest() {
        assert_eq!(
            lines(&some()),
            [
                "client_secret_previous web ?",
                "client_secret_next web ?",
                "client_secret old ?",
                "api_key fresh ?",
                "api_key work 20",
                "grant work 30",
                "client_secret web 40",
                "grant fresh 50",
            ]
        );
    }

    #[test]
    fn what_was_set_since_is_not_to_be_renewed_and_the_unknown_is() {
        let left = lines(&some().from_before(at(30)));

        assert_eq!(
            left,
            [
                "client_secret_previous web ?",
                "client_secret_next web ?",
                "client_secret old ?",
                "api_key fresh ?",
                "api_key work 20"
            ]
        );
        assert_eq!(some().from_before(at(31)).found.len(), 6);
        assert_eq!(some().from_before(at(0)).found.len(), 4);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let name = "broken".parse().unwrap();
        let clients =
            vec![clients::Listed { name, client: Err(Error::ManifestMissing), profiles: Vec::new() }];
        let profiles =
            vec![registry::Listed { name: "torn".parse().unwrap(), profile: Err(Error::ManifestMissing) }];

        assert_eq!(of(&clients, &profiles).unreadable, ["client `broken`", "profile `torn`"]);
    }
}
