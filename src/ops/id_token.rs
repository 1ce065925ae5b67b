//! `vault token --id-token`: a signed statement of who the account is, checked before it is given out.
//!
//! The keys of the provider are fetched whenever a new ID token is to be checked, which is once in its life, and kept
//! nowhere: so they are never older than what they have signed, a key that was replaced or withdrawn is noticed at
//! once, and no file of public keys, which has no MAC, decides what is believed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use url::Url;

use super::audit::Source;
use super::turn::in_turn;
use super::{Context, Error as OpsError, Loaded, Notice, Unlocked, cache, issuer, mint, refresh};
use crate::domain::{
    Account, Client, Grant, GrantType, IdToken, Profile, ProfileName, Purpose, Scopes, SealedField,
};
use crate::oauth::key_set::{self, KeySet};
use crate::oauth::{self, check_url, discovery, id_token};

/// How long a request for keys may take. A refresh and two of these end before another process gives up its wait
/// for the turn.
const KEYS_LIMIT: Duration = Duration::from_secs(7);

/// The scope without which there are no ID tokens (OpenID Connect Core, 3.1.2.1).
const OPENID: &str = "openid";

/// What ID token is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// How long it must still count, beyond the usual margin.
    pub min_ttl: SignedDuration,
    /// Whether to ask the provider even if a fresh one is cached.
    pub refresh: bool,
    /// For whom it is to be; for our own client if nobody is named.
    pub audience: Option<String>,
}

/// Why there is no ID token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A person's ID tokens are for the client that the person has signed in with.
    #[error(
        "the ID tokens of a person are for the client of the login, and of no use to {audience:?}: that of profile `{profile}` is {ours}"
    )]
    OtherAudience {
        /// The profile.
        profile: ProfileName,
        /// For whom one was asked.
        audience: String,
        /// The client id.
        ours: String,
    },
    /// Nobody is the natural audience of such a token.
    #[error("for whom the ID token of profile `{profile}` is to be was not said")]
    NoAudience {
        /// The profile.
        profile: ProfileName,
    },
    /// Nobody says where the keys are.
    #[error(
        "where the provider has the keys of its ID tokens is not known for profile `{profile}`, so that none can be checked"
    )]
    NoKeys {
        /// The profile.
        profile: ProfileName,
    },
    /// What the provider has issued is not what others may rely on.
    #[error("the ID token of profile `{profile}` does not pass its checks, and is not given out")]
    Unsound {
        /// The profile.
        profile: ProfileName,
        /// What is wrong with it.
        #[source]
        source: oauth::Error,
    },
}

/// Returns an ID token of `profile` that counts for at least `request.min_ttl`.
///
/// Costs no lock and no request while the cached one is fresh. Otherwise it comes with a refresh, like any other.
///
/// # Errors
///
/// [`Error`], [`OpsError::ScopesNotGranted`] if the login is not good for ID tokens, [`OpsError::LoginNeeded`] if only a
/// new one brings one; else as for an access token.
pub fn id_token(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    request: &Request,
) -> Result<IdToken, OpsError> {
    ctx.audit.profile(name);
    ctx.audit.id_token();
    let profile = vault.settled_profile(ctx, name)?;
    let (_, client) = vault.client(ctx, &profile.facts.client)?;
    let wanted = Wanted::of(&profile.facts, &client.facts, request)?;
    if !request.refresh
        && let Some(token) = wanted.cached(ctx, vault, &profile)
    {
        ctx.audit.token(Source::Cached);
        return Ok(token);
    }
    let began = ctx.clock.now();
    let token = in_turn(ctx, vault, name, |profile, uncertain| {
        let turn = Turn { ctx, vault, client: &client.facts, wanted: &wanted };
        match turn.obtained_meanwhile(&profile, began)? {
            Some(token) => {
                ctx.audit.token(Source::Cached);
                Ok(token)
            }
            None => {
                let token = turn.fresh(profile, uncertain)?;
                ctx.audit.token(Source::Refreshed);
                Ok(token)
            }
        }
    })?;
    if !token.is_fresh(ctx.clock.now(), request.min_ttl) {
        ctx.notices.notice(&Notice::ShortLived { left: Some(token.time_left(ctx.clock.now())) });
    }
    Ok(token)
}

/// What is asked for, once it is clear that there can be such a thing.
struct Wanted<'a> {
    request: &'a Request,
    audience: String,
    purpose: Purpose,
}

impl<'a> Wanted<'a> {
    fn of(profile: &Profile, client: &Client, request: &'a Request) -> Result<Self, OpsError> {
        let audience = audience(profile, client, request)?;
        let purpose = Purpose::IdToken { audience: audience.clone() };
        Ok(Self { request, audience, purpose })
    }

    fn cached(&self, ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Option<IdToken> {
        let found = cache::find(ctx, vault, profile, Some(&self.purpose))?;
        let found = found.open_id_token(vault).ok()?;
        Some(found).filter(|token| token.is_fresh(ctx.clock.now(), self.request.min_ttl))
    }
}

/// For whom the ID token is.
fn audience(profile: &Profile, client: &Client, request: &Request) -> Result<String, OpsError> {
    let ours = &client.client_id;
    if !profile.grant_type.needs_person() {
        let named = request.audience.clone();
        return Ok(named.ok_or_else(|| Error::NoAudience { profile: profile.name.clone() })?);
    }
    match &request.audience {
        Some(audience) if audience != ours => Err(Error::OtherAudience {
            profile: profile.name.clone(),
            audience: audience.clone(),
            ours: ours.clone(),
        }
        .into()),
        _ => {
            check_openid(profile)?;
            Ok(ours.clone())
        }
    }
}

/// Some servers grant the scope without naming it again; they show by their answer whether they have.
fn check_openid(profile: &Profile) -> Result<(), OpsError> {
    let scopes = &profile.scopes;
    if profile.grant.is_none() || scopes.granted.contains(OPENID) || scopes.asked.contains(OPENID) {
        return Ok(());
    }
    let mut missing = Scopes::default();
    missing.insert(OPENID).expect("`openid` is a scope");
    Err(OpsError::ScopesNotGranted { profile: profile.name.clone(), missing })
}

/// One who has the turn of a profile, to get an ID token.
struct Turn<'a> {
    ctx: Context<'a>,
    vault: &'a Unlocked,
    client: &'a Client,
    wanted: &'a Wanted<'a>,
}

impl Turn<'_> {
    /// One that another process has obtained while we waited, or a fresh one: also that of the login, which was not
    /// to be given out then.
    fn obtained_meanwhile(
        &self,
        profile: &Loaded<Profile>,
        began: Timestamp,
    ) -> Result<Option<IdToken>, OpsError> {
        let now = self.ctx.clock.now();
        let request = self.wanted.request;
        let found = cache::find_or_warn(self.ctx, self.vault, profile, Some(&self.wanted.purpose));
        let is_good = |found: &cache::Cached| {
            found.was_obtained_since(began, now) || (!request.refresh && found.is_fresh(now, request.min_ttl))
        };
        let found = found.filter(is_good).and_then(|found| found.open_id_token(self.vault).ok());
        if found.is_some() || request.refresh {
            return Ok(found);
        }
        let plain = cache::find_or_warn(self.ctx, self.vault, profile, None);
        let of_login =
            plain.and_then(|found| found.open_that_of_the_login(self.vault, &self.wanted.audience).ok());
        match of_login.filter(|token| token.is_fresh(now, request.min_ttl)) {
            Some(token) => {
                let grant = usable_grant(&profile.facts)?;
                let checked = self.check_and_keep(profile, &grant, token.value);
                if let Err(OpsError::IdToken(_) | OpsError::OtherAccount { .. }) = checked {
                    // It was believed so far, and would be found again.
                    cache::forget_plain(self.ctx, self.vault, profile)?;
                }
                checked.map(Some)
            }
            None => Ok(None),
        }
    }

    /// A new one.
    fn fresh(&self, profile: Loaded<Profile>, uncertain: bool) -> Result<IdToken, OpsError> {
        if !profile.facts.grant_type.needs_person() {
            let grant = refresh::usable_grant(self.ctx, self.vault, &profile.facts)?;
            let value = mint::id_token(self.ctx, self.vault, &profile.facts, &self.wanted.audience)?;
            return self.check_and_keep(&profile, &grant, value);
        }
        let name = profile.facts.name.clone();
        let fresh =
            refresh::once(self.ctx, self.vault, profile, uncertain, (SealedField::ClientSecret, None))?;
        let Some(value) = fresh.id_token else {
            let why = "the provider gives an ID token with a login only, and that one has expired";
            return Err(OpsError::LoginNeeded { profile: name, why });
        };
        // As it is now: the refresh may have written it.
        let profile = self.vault.profile(self.ctx, &name)?;
        self.check_and_keep(&profile, &usable_grant(&profile.facts)?, value)
    }

    fn check_and_keep(
        &self,
        profile: &Loaded<Profile>,
        grant: &Grant,
        value: SecretString,
    ) -> Result<IdToken, OpsError> {
        let checked = self.check(&profile.facts, &value)?;
        let audience = self.wanted.audience.clone();
        let (obtained_at, expires_at) = (self.ctx.clock.now(), checked.expires_at);
        let token = IdToken { value, audience, obtained_at, expires_at };
        cache::keep_id_token(self.ctx, self.vault, profile, (grant, &self.client.issuer), &token);
        Ok(token)
    }

    fn check(&self, profile: &Profile, value: &SecretString) -> Result<id_token::Checked, OpsError> {
        let keys = self.keys(profile)?;
        let issuer = &*self.vault.provider(&self.client.provider).id_token_issuer(self.client);
        let audience = &*self.wanted.audience;
        let now = self.ctx.clock.now();
        let checked = match profile.grant_type.needs_person() {
            true => {
                let expectation =
                    id_token::Expectation { issuer, client_id: audience, nonce: None, now: None };
                id_token::check(value, &keys, &expectation, now)
            }
            false => id_token::check_minted(value, &keys, (issuer, audience), now),
        };
        let checked = checked.map_err(|source| Error::Unsound { profile: profile.name.clone(), source })?;
        let expected = self.account(profile);
        let is_other = match profile.grant_type.needs_person() {
            true => expected.subject.is_some() && !expected.is_same_as(&checked.account),
            false => !expected.may_be(&checked.account),
        };
        match is_other {
            true => Err(OpsError::OtherAccount { expected, found: checked.account }),
            false => Ok(checked),
        }
    }

    /// Whom the ID token is about. That of a service account names itself, whoever it acts on behalf of.
    fn account(&self, profile: &Profile) -> Account {
        let service_account = match &profile.grant_type {
            GrantType::JwtBearer { .. } => &self.client.client_id,
            GrantType::Impersonation { service_account, .. } => service_account,
            GrantType::AuthorizationCode | GrantType::ClientCredentials => return profile.account.clone(),
        };
        Account { email: Some(service_account.clone()), subject: None }
    }

    /// The keys of the provider, as they are now.
    fn keys(&self, profile: &Profile) -> Result<KeySet, OpsError> {
        let url = key_set_url(self.ctx, self.client)?;
        let url = url.ok_or_else(|| Error::NoKeys { profile: profile.name.clone() })?;
        check_url(&url, self.client.insecure_loopback)?;
        Ok(key_set::fetch(self.ctx.http, &url, KEYS_LIMIT)?)
    }
}

/// The grant that an ID token belongs to.
fn usable_grant(profile: &Profile) -> Result<Grant, OpsError> {
    let why = "it is not logged in";
    profile.grant.clone().ok_or_else(|| OpsError::LoginNeeded { profile: profile.name.clone(), why })
}

/// Where the keys of the provider are: as was said when the client was made, as is known of the provider, or, for a
/// client that is older than this question, as the issuer says now.
fn key_set_url(ctx: Context<'_>, client: &Client) -> Result<Option<Url>, oauth::Error> {
    let known = || issuer::preset(client)?.jwks;
    match client.endpoints.jwks.clone().or_else(known) {
        None if client.is_discovered() => {
            let found = discovery::discover(ctx.http, &client.issuer, client.insecure_loopback, KEYS_LIMIT)?;
            Ok(found.endpoints.jwks)
        }
        known => Ok(known),
    }
}
