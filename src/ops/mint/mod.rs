//! Tokens that need no person: asked for in the client's own right, with the key of a service account, or by the
//! right of another profile to act as one.
//!
//! A request replaces nothing at the provider, so that nothing is lost if its answer is: no room is reserved, and
//! nothing but the cache is written.

mod error;
mod key;
mod source;

use std::borrow::Cow;
use std::time::Duration;

use secrecy::SecretString;

use super::{Context, Error as OpsError, Loaded, Notice, Unlocked, cache, documents, refresh};
use crate::domain::{
    AccessToken, Binding, Client, ClientAuth, DocumentId, GrantType, Profile, Provider, Scopes, SealedField,
};
use crate::oauth::assertion::{Purpose, SigningKey, Statement};
use crate::oauth::token_endpoint::{self, Credentials, TokenAnswer};
use crate::oauth::{self, ServerError, diagnosis, impersonation};
use crate::store::Name;

pub use error::{Error, Reason};
pub use key::KeyFacts;
pub(super) use source::{by_id, check as check_source, users as users_of};

/// An ID token of `profile` for `audience`, asked for now. The caller has the profile's turn, and checks it.
///
/// # Errors
///
/// As the provider says: [`Error`]; for impersonation all that may go wrong with the token of the source;
/// [`Error::NoIdToken`] for client credentials, which stand for no account.
pub(super) fn id_token(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Profile,
    audience: &str,
) -> Result<SecretString, OpsError> {
    applicant(ctx, vault, profile, SealedField::ClientSecret)?.id_token(ctx, vault, profile, audience)
}

/// A new token with all that the profile is for, or with the scopes `only`, in the cache. The caller has the
/// profile's turn.
pub(super) fn renew(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    secret: SealedField,
    only: Option<&Scopes>,
) -> Result<AccessToken, OpsError> {
    let facts = &profile.facts;
    let grant = refresh::usable_grant(ctx, vault, facts)?;
    let applicant = applicant(ctx, vault, facts, secret)?;
    let token = applicant.access_token(ctx, vault, facts, only.unwrap_or(&facts.scopes.granted))?;
    let of = (&grant, &*applicant.client.issuer);
    cache::keep(ctx, vault, profile, of, only.map(cache::purpose_of).as_ref(), &token);
    Ok(token)
}

/// The client of `profile`, with the one of its secrets that is to be used; none is opened where another profile
/// does the asking.
fn applicant(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Profile,
    which: SealedField,
) -> Result<Applicant, OpsError> {
    let (name, client) = vault.client(ctx, &profile.client)?;
    if matches!(profile.grant_type, GrantType::Impersonation { .. }) {
        return Ok(Applicant {
            provider: vault.provider(&client.facts.provider),
            binding: client.facts.binding(),
            secret: None,
            key_id: None,
            client: client.facts,
        });
    }
    let opened = client.document.open(&vault.keys, which, &client.facts.binding());
    let (secret, binding) = opened.map_err(documents::refused(&Name::Client(name)))?;
    let key_id = match which {
        SealedField::ClientSecretNext => client.facts.key_id_next.clone(),
        _ => client.facts.key_id.clone(),
    };
    let provider = vault.provider(&client.facts.provider);
    Ok(Applicant { provider, binding, secret: Some(secret), key_id, client: client.facts })
}

/// A client that asks, with all that it needs for that.
pub(super) struct Applicant {
    /// How its provider wants to be asked.
    pub(super) provider: Cow<'static, Provider>,
    /// Where the secret goes, as its seal says.
    pub(super) binding: Binding,
    pub(super) secret: Option<SecretString>,
    pub(super) key_id: Option<String>,
    pub(super) client: Client,
}

impl Applicant {
    /// An access token of `profile` with `scopes`; the provider's own choice if there are none.
    pub(super) fn access_token(
        &self,
        ctx: Context<'_>,
        vault: &Unlocked,
        profile: &Profile,
        scopes: &Scopes,
    ) -> Result<AccessToken, OpsError> {
        match &profile.grant_type {
            GrantType::AuthorizationCode => Err(needs_person(profile)),
            GrantType::ClientCredentials => {
                let answer =
                    self.with_secret(ctx, scopes).map_err(|error| self.judge(ctx, profile, error))?;
                Ok(self.token(ctx, &answer, scopes))
            }
            GrantType::JwtBearer { subject } => {
                let scope = scopes.to_string();
                let answer = self
                    .with_assertion(
                        ctx,
                        subject.as_deref(),
                        Purpose::AccessToken(&scope),
                        |assertion, limit| {
                            token_endpoint::jwt_bearer(ctx.http, &self.credentials(), assertion, limit)
                        },
                    )
                    .map_err(|error| self.judge(ctx, profile, error))?;
                Ok(self.token(ctx, &answer, scopes))
            }
            GrantType::Impersonation { lifetime_s, .. } => {
                let now = ctx.clock.now();
                let issued = self.as_account(ctx, vault, profile, |target, limit| {
                    impersonation::access_token(ctx.http, target, scopes, *lifetime_s, now, limit)
                })?;
                let now = ctx.clock.now();
                Ok(AccessToken {
                    value: issued.access_token,
                    obtained_at: now,
                    expires_at: issued.expires_in.and_then(|life| now.checked_add(life).ok()),
                    scopes: scopes.clone(),
                })
            }
        }
    }

    /// An ID token of `profile` for `audience`.
    fn id_token(
        &self,
        ctx: Context<'_>,
        vault: &Unlocked,
        profile: &Profile,
        audience: &str,
    ) -> Result<SecretString, OpsError> {
        match &profile.grant_type {
            GrantType::AuthorizationCode => Err(needs_person(profile)),
            GrantType::ClientCredentials => Err(Error::NoIdToken { profile: profile.name.clone() }.into()),
            // It is about the service account itself: a user on whose behalf it acts is not named.
            GrantType::JwtBearer { .. } => self
                .with_assertion(ctx, None, Purpose::IdToken(audience), |assertion, limit| {
                    token_endpoint::jwt_bearer_id_token(ctx.http, &self.credentials(), assertion, limit)
                })
                .map_err(|error| self.judge(ctx, profile, error)),
            GrantType::Impersonation { .. } => self.as_account(ctx, vault, profile, |target, limit| {
                impersonation::id_token(ctx.http, target, audience, limit)
            }),
        }
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials { binding: &self.binding, secret: self.secret.as_ref(), provider: &self.provider }
    }

    /// RFC 6749, 4.4.
    fn with_secret(&self, ctx: Context<'_>, scopes: &Scopes) -> Result<TokenAnswer, oauth::Error> {
        let scope = self.provider.scopes_text(scopes);
        let scope = (!scope.is_empty()).then_some(scope.as_str());
        refresh::ask_twice(ctx, |limit| {
            token_endpoint::client_credentials(ctx.http, &self.credentials(), scope, limit)
        })
    }

    /// RFC 7523, 2.1. Each request brings an assertion of its own.
    fn with_assertion<T>(
        &self,
        ctx: Context<'_>,
        subject: Option<&str>,
        purpose: Purpose<'_>,
        send: impl Fn(&SecretString, Duration) -> Result<T, oauth::Error>,
    ) -> Result<T, oauth::Error> {
        let unnamed =
            |what| oauth::Error::Policy { what: format!("the sealed key does not name its {what}") };
        let issuer = self.binding.client_id.as_deref().ok_or_else(|| unnamed("service account"))?;
        let audience = self.binding.token_endpoint.as_ref().ok_or_else(|| unnamed("token endpoint"))?;
        let pem = self.secret.as_ref().filter(|_| self.binding.client_auth == Some(ClientAuth::Assertion));
        let pem =
            pem.ok_or_else(|| oauth::Error::Policy { what: "the client has no key to sign with".into() })?;
        let key = SigningKey::from_pem(pem)
            .map_err(|error| oauth::Error::Policy { what: format!("the stored key cannot sign: {error}") })?;
        let statement = Statement { issuer, audience: audience.as_str(), subject, purpose };
        refresh::ask_twice(ctx, |limit| {
            send(&statement.sign(&key, self.key_id.as_deref(), ctx.clock.now())?, limit)
        })
    }

    /// Asks with the token of the source. One that is refused although it looked good was revoked meanwhile: the
    /// source gets a new one, once.
    fn as_account<T>(
        &self,
        ctx: Context<'_>,
        vault: &Unlocked,
        profile: &Profile,
        send: impl Fn(&impersonation::Target<'_>, Duration) -> Result<T, oauth::Error>,
    ) -> Result<T, OpsError> {
        let GrantType::Impersonation { service_account, source, endpoint, delegates, .. } =
            &profile.grant_type
        else {
            return Err(needs_person(profile));
        };
        let begun = ctx.clock.instant();
        oauth::check_url(endpoint, self.client.insecure_loopback)?;
        let source = source::Source::find(ctx, vault, &profile.name, source)?;
        let ask = |is_fresh| {
            let token = source.token(ctx, vault, is_fresh)?;
            let target = impersonation::Target { account: endpoint, delegates, bearer: &token.value };
            Ok::<_, OpsError>(refresh::ask_twice_since(ctx, begun, |limit| send(&target, limit)))
        };
        let answer = match ask(false)? {
            Err(oauth::Error::Refused(server)) if server.status == 401 => ask(true)?,
            answer => answer,
        };
        answer.map_err(|error| match error {
            oauth::Error::Refused(server) => Error::NotAllowed {
                profile: profile.name.clone(),
                service_account: service_account.clone(),
                asked: delegates.first().unwrap_or(service_account).clone(),
                asker: source.name.clone(),
                member: source.member(),
                reason: Reason::of(&server),
                server: Box::new(server),
            }
            .into(),
            error => error.into(),
        })
    }

    /// The token of an answer. What it is good for, where the provider does not say otherwise, is what was asked.
    fn token(&self, ctx: Context<'_>, answer: &TokenAnswer, asked: &Scopes) -> AccessToken {
        let scopes = answer.scope.clone().unwrap_or_else(|| asked.clone());
        let missing = self.provider.missing_scopes(asked, &scopes);
        if !missing.is_empty() {
            ctx.notices.notice(&Notice::ScopesMissing { missing });
        }
        refresh::access_token(answer, scopes, ctx.clock.now())
    }

    /// What the refusal of a token endpoint means for whoever asked.
    fn judge(&self, ctx: Context<'_>, profile: &Profile, error: oauth::Error) -> OpsError {
        match error {
            oauth::Error::Refused(server) => self.refused(ctx, profile, server).into(),
            // What came with it would be of no use: nothing is ever replaced.
            oauth::Error::Nonsense { what, .. } => oauth::Error::Nonsense { what, rotated: None }.into(),
            error => error.into(),
        }
    }

    fn refused(&self, ctx: Context<'_>, profile: &Profile, server: ServerError) -> Error {
        Error::Refused {
            profile: profile.name.clone(),
            client: self.client.name.clone(),
            provider: self.client.provider.clone(),
            grant_type: Box::new(profile.grant_type.clone()),
            causes: diagnosis::of_program(&server, ctx.clock.now(), &profile.grant_type),
            server: Box::new(server),
        }
    }
}

/// Whether there is a person whose consent can be asked for, or ended.
pub(super) fn check_person(profile: &Profile, client: Option<&Client>) -> Result<(), Error> {
    if profile.grant_type.needs_person() {
        return Ok(());
    }
    Err(Error::NoPerson {
        profile: profile.name.clone(),
        client: client.map(|client| client.name.clone()),
        grant_type: Box::new(profile.grant_type.clone()),
    })
}

/// Whether a client can be the one of a profile of this kind.
pub(super) fn check_client(client: &Client, grant_type: &GrantType) -> Result<(), Error> {
    let why = match (grant_type, client.client_auth) {
        (GrantType::Impersonation { .. }, _) => None,
        (GrantType::JwtBearer { .. }, ClientAuth::Assertion) => None,
        (GrantType::JwtBearer { .. }, _) => Some("is not the key of a service account"),
        (_, ClientAuth::Assertion) => {
            Some("is the key of a service account, which signs for its own tokens only")
        }
        (GrantType::ClientCredentials, ClientAuth::None) => {
            Some("is a public one, and has no secret to ask with in its own right")
        }
        _ => None,
    };
    match why {
        Some(why) => Err(Error::WrongClient { client: client.name.clone(), why }),
        None => Ok(()),
    }
}

fn needs_person(profile: &Profile) -> OpsError {
    OpsError::LoginNeeded { profile: profile.name.clone(), why: "its tokens come from a person's consent" }
}
