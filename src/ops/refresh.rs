//! A refresh that loses nothing: room before the request, safety before the answer.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};

pub(super) use super::asking::{ask_twice, ask_twice_since};
use super::audit::Source;
use super::token::Request;
use super::turn::in_turn;
use super::{
    Context, Error, Loaded, Notice, Unlocked, cache, client_secret, documents, lasting, mint, rescue,
    successor,
};
use crate::domain::{
    AccessToken, Binding, Client, ClientAuth, DocumentId, Grant, GrantState, Profile, ProfileName, Scopes,
    SealedField,
};
use crate::oauth::diagnosis::{self, Cause, Facts, Limits};
use crate::oauth::token_endpoint::{self, Credentials, TokenAnswer};
use crate::oauth::{self, ServerError, id_token};
use crate::store::{Expected, Name, Reservation, Target};
use crate::system::Deferral;

/// Asks the provider for a new access token, unless another process has just done so.
pub(super) fn refresh(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    request: &Request,
) -> Result<AccessToken, Error> {
    let began = ctx.clock.now();
    in_turn(ctx, vault, name, |profile, uncertain| {
        if let Some(token) = obtained_meanwhile(ctx, vault, &profile, began, request) {
            ctx.audit.token(Source::Cached);
            return Ok(token);
        }
        if let Some(token) = lasting::token(ctx, vault, &profile, request)? {
            ctx.audit.token(Source::Cached);
            return Ok(token);
        }
        let token =
            once(ctx, vault, profile, uncertain, (SealedField::ClientSecret, request.only.as_ref()))?.token;
        ctx.audit.token(Source::Refreshed);
        warn_if_short(ctx, &token, request.min_ttl);
        Ok(token)
    })
}

/// A new token in the way of the profile: with its refresh token, or without a person. It has exactly the scopes
/// `only`, if they are named. The caller has the turn.
pub(super) fn once(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: Loaded<Profile>,
    uncertain: bool,
    (secret, only): (SealedField, Option<&Scopes>),
) -> Result<Fresh, Error> {
    if !profile.facts.grant_type.needs_person() {
        let token = mint::renew(ctx, vault, &profile, secret, only)?;
        return Ok(Fresh { token, id_token: None });
    }
    let turn = Turn::prepare(ctx, vault, profile, uncertain, secret)?;
    Turn { only, ..turn }.take()
}

/// What a refresh has brought. It is saved.
pub(super) struct Fresh {
    pub(super) token: AccessToken,
    /// As it came: only its claims have been looked at, and not its time.
    pub(super) id_token: Option<SecretString>,
}

/// Proves a secret of `client` by a refresh of the grant of `name`, which is one like any other: nothing of
/// it is lost, and its token is cached.
pub(super) fn prove(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    client: &DocumentId,
    secret: SealedField,
) -> Result<(), Error> {
    in_turn(ctx, vault, name, |profile, uncertain| {
        if profile.facts.client != *client {
            let why = "it links another client now";
            return Err(Error::LoginNeeded { profile: name.clone(), why });
        }
        once(ctx, vault, profile, uncertain, (secret, None)).map(|_| ())
    })
}

/// A token that another process has obtained while we waited, or a fresh one.
fn obtained_meanwhile(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    began: Timestamp,
    request: &Request,
) -> Option<AccessToken> {
    let now = ctx.clock.now();
    let found = cache::find_or_warn(ctx, vault, profile, request.purpose().as_ref())?;
    let is_good =
        found.was_obtained_since(began, now) || (!request.refresh && found.is_fresh(now, request.min_ttl));
    if is_good { found.open(vault).ok() } else { None }
}

fn warn_if_short(ctx: Context<'_>, token: &AccessToken, min_ttl: SignedDuration) {
    let now = ctx.clock.now();
    if !token.is_fresh(now, min_ttl) {
        ctx.notices.notice(&Notice::ShortLived { left: token.time_left(now) });
    }
}

/// One refresh of one grant, with everything at hand that it needs.
struct Turn<'a> {
    ctx: Context<'a>,
    vault: &'a Unlocked,
    profile: Loaded<Profile>,
    client: Loaded<Client>,
    grant: Grant,
    binding: Binding,
    refresh_token: SecretString,
    client_secret: Option<SecretString>,
    /// Which secret of the client that is.
    which: SealedField,
    /// Whether an earlier request may have been acted upon, and its answer was lost.
    uncertain: bool,
    /// The scopes that are asked for; those of the grant if they are not named.
    only: Option<&'a Scopes>,
}

impl<'a> Turn<'a> {
    /// Opens the two secrets of this profile that a refresh needs, and no other. `which` is the secret of the
    /// client: the one in use, or one that is to be proven.
    fn prepare(
        ctx: Context<'a>,
        vault: &'a Unlocked,
        profile: Loaded<Profile>,
        uncertain: bool,
        which: SealedField,
    ) -> Result<Self, Error> {
        rescue::check_none_outstanding(ctx, vault, &profile)?;
        let grant = usable_grant(ctx, vault, &profile.facts)?;
        let (client_name, client) = vault.client(ctx, &profile.facts.client)?;
        let expected = client.facts.binding();
        let (refresh_token, binding) = profile
            .document
            .open(&vault.keys, SealedField::RefreshToken, &expected)
            .map_err(documents::refused(&Name::Profile(profile.facts.name.clone())))?;
        let client_secret = match client.facts.client_auth {
            ClientAuth::None => None,
            _ => Some(client_secret::open(vault, &client, &Name::Client(client_name), which)?),
        };
        Ok(Self {
            ctx,
            vault,
            profile,
            client,
            grant,
            binding,
            refresh_token,
            client_secret,
            which,
            uncertain,
            only: None,
        })
    }

    fn name(&self) -> &ProfileName {
        &self.profile.facts.name
    }

    /// Makes room, asks, saves, and only then answers.
    fn take(mut self) -> Result<Fresh, Error> {
        let stored_as = Name::Profile(self.name().clone());
        let target = Target { name: &stored_as, vault: &self.vault.id };
        let reservation = successor::reserve(
            self.ctx,
            self.vault,
            target,
            self.profile.document.id(),
            successor::Next { generation: self.profile.document.generation(), grant_id: &self.grant.id },
        )?;
        // From here to the rename, a Ctrl-C waits: the provider may have replaced the token.
        let _deferral = Deferral::begin();
        match self.ask() {
            Ok(answer) => self.accept(reservation, answer),
            Err(error) => self.fail(reservation, error),
        }
    }

    fn ask(&mut self) -> Result<TokenAnswer, oauth::Error> {
        let provider = &self.vault.provider(&self.client.facts.provider);
        let credentials =
            Credentials { binding: &self.binding, secret: self.client_secret.as_ref(), provider };
        let requests = Cell::new(0);
        let answer = ask_twice(self.ctx, |timeout| {
            requests.set(requests.get() + 1);
            token_endpoint::refresh(self.ctx.http, &credentials, &self.refresh_token, self.only, timeout)
        });
        self.uncertain |= requests.get() > 1;
        answer
    }

    fn accept(self, reservation: Box<dyn Reservation>, answer: TokenAnswer) -> Result<Fresh, Error> {
        let identity = self.check_identity(&answer);
        if matches!(identity, Err(Error::OtherAccount { .. })) {
            // Somebody else's refresh token must not take the place of ours.
            reservation.keep();
        } else {
            // Whatever else is wrong with the answer: the old token may be spent.
            self.keep_rotated(reservation, &answer)?;
        }
        identity?;
        let token = self.token(&answer, self.ctx.clock.now());
        let of = (&self.grant, &*self.client.facts.issuer);
        let purpose = self.only.map(cache::purpose_of);
        cache::keep(self.ctx, self.vault, &self.profile, of, purpose.as_ref(), &token);
        Ok(Fresh { token, id_token: answer.id_token })
    }

    fn keep_rotated(&self, reservation: Box<dyn Reservation>, answer: &TokenAnswer) -> Result<(), Error> {
        if answer.has_empty_refresh_token {
            self.ctx.notices.notice(&Notice::EmptyRefreshToken);
        }
        match rotated(answer, &self.refresh_token) {
            Some(new) => self.save(reservation, new, answer.refresh_token_expires_in, self.ctx.clock.now()),
            None => {
                reservation.discard();
                Ok(())
            }
        }
    }

    /// An ID token that comes with a refresh must be of the same account (OpenID Connect Core, 12.2).
    fn check_identity(&self, answer: &TokenAnswer) -> Result<(), Error> {
        let Some(id_token) = &answer.id_token else { return Ok(()) };
        let provider = self.vault.provider(&self.client.facts.provider);
        let expectation = id_token::Expectation {
            issuer: &provider.id_token_issuer(&self.client.facts),
            client_id: &self.client.facts.client_id,
            nonce: None,
            // A wrong clock must not cost a refresh; the token says nothing that its time could spoil.
            now: None,
        };
        let found = id_token::claims(id_token, &expectation)?;
        if self.profile.facts.account.subject.is_some() && !self.profile.facts.account.is_same_as(&found) {
            return Err(Error::OtherAccount { expected: self.profile.facts.account.clone(), found });
        }
        Ok(())
    }

    fn token(&self, answer: &TokenAnswer, now: Timestamp) -> AccessToken {
        let asked = self.only.unwrap_or(&self.profile.facts.scopes.granted);
        let scopes = answer.scope.clone().unwrap_or_else(|| asked.clone());
        let missing = asked.missing_from(&scopes);
        // What a token is less good for than was asked is told at each use of it.
        if !missing.is_empty() && self.only.is_none() {
            self.ctx.notices.notice(&Notice::ScopesMissing { missing });
        }
        access_token(answer, scopes, now)
    }

    fn save(
        &self,
        reservation: Box<dyn Reservation>,
        new: &SecretString,
        life: Option<SignedDuration>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut facts = self.profile.facts.clone();
        let end = life.and_then(|life| now.checked_add(life).ok());
        facts.grant = Some(Grant {
            refreshed_at: Some(self.grant.next_renewal(now)),
            expires_at: end.or(self.grant.expires_at),
            ..self.grant.clone()
        });
        let successor = self
            .profile
            .next()
            .facts(&facts)
            .seal(&self.vault.keys, SealedField::RefreshToken, &self.binding, new)
            .sign(&self.vault.keys);
        successor::save(self.ctx, self.vault, self.name(), reservation, &successor)
    }

    fn fail(self, reservation: Box<dyn Reservation>, error: oauth::Error) -> Result<Fresh, Error> {
        match error {
            oauth::Error::Refused(server) => {
                self.give_back(reservation, server.error == "invalid_grant");
                self.refused(server)
            }
            // A token that came in an odd answer may be the only one that still works.
            oauth::Error::Nonsense { rotated: Some(new), what } => {
                let now = self.ctx.clock.now();
                self.save(reservation, &new, None, now)?;
                Err(oauth::Error::Nonsense { what, rotated: None }.into())
            }
            oauth::Error::Unreachable { .. } | oauth::Error::Policy { .. } => {
                self.give_back(reservation, false);
                Err(error.into())
            }
            // The provider may have replaced the token without our learning the new one.
            _ => {
                reservation.keep();
                Err(error.into())
            }
        }
    }

    /// A request that was not acted upon leaves no intent, unless one before it may have been.
    fn give_back(&self, reservation: Box<dyn Reservation>, is_settled: bool) {
        if self.uncertain && !is_settled { reservation.keep() } else { reservation.discard() }
    }

    fn refused(self, server: ServerError) -> Result<Fresh, Error> {
        let mut causes = diagnosis::diagnose(&server, &self.facts());
        if self.uncertain {
            causes.insert(0, Cause::AnswerLost);
        }
        if server.error != "invalid_grant" {
            return Err(Error::RefreshRefused {
                profile: self.name().clone(),
                client: self.client.facts.name.clone(),
                provider: self.profile.facts.provider.clone(),
                causes,
                server,
            });
        }
        if let Some(newer) = self.changed_meanwhile()? {
            return newer.take();
        }
        // What the user has to know is that the grant is refused, whether or not that can be noted. With a secret
        // that nobody has proven yet, the grant need not be at fault.
        if self.which == SealedField::ClientSecret
            && let Err(error) = mark_dead(self.ctx, self.vault, &self.profile)
        {
            log::warn!("the grant could not be marked as refused: {error}");
        }
        Err(Error::GrantRefused {
            profile: self.name().clone(),
            provider: self.profile.facts.provider.clone(),
            age: self.ctx.clock.now().duration_since(self.grant.obtained_at),
            causes,
            server: Some(server),
        })
    }

    /// The next try, if the document has changed although we hold its lock: in a synced directory,
    /// another machine may have refreshed before us. Each try needs a newer document, so they end.
    fn changed_meanwhile(&self) -> Result<Option<Self>, Error> {
        let current = self.vault.profile(self.ctx, self.name())?;
        if current.document.generation() <= self.profile.document.generation() {
            return Ok(None);
        }
        let next = Self::prepare(self.ctx, self.vault, current, self.uncertain, self.which)?;
        Ok(Some(Self { only: self.only, ..next }))
    }

    fn facts(&self) -> Facts<'_> {
        let last_used = cache::find(self.ctx, self.vault, &self.profile, None);
        let last_used = last_used.map(|found| found.obtained_at());
        let limits = limits(self.vault, &self.profile.facts);
        diagnosis_facts(self.ctx, limits, &self.profile.facts, &self.grant, last_used)
    }
}

/// The bytes of the grant are kept: the provider may be wrong, or change its mind.
pub(super) fn mark_dead(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Result<(), Error> {
    let mut facts = profile.facts.clone();
    if let Some(grant) = &mut facts.grant {
        grant.state = GrantState::Dead;
    }
    let document = profile.next().facts(&facts).sign(&vault.keys);
    let stored_as = Name::Profile(profile.facts.name.clone());
    documents::save(ctx, &stored_as, &document, Expected::Revision(&profile.revision))
}

/// The facts that help to guess why a grant was refused.
pub(super) fn diagnosis_facts<'a>(
    ctx: Context<'_>,
    limits: Limits,
    profile: &'a Profile,
    grant: &'a Grant,
    last_used: Option<Timestamp>,
) -> Facts<'a> {
    Facts {
        provider: &profile.provider,
        limits,
        obtained_at: Some(grant.obtained_at),
        last_used: last_used.max(grant.refreshed_at),
        rotated_at: grant.refreshed_at,
        expires_at: grant.expires_at,
        granted: &profile.scopes.granted,
        now: ctx.clock.now(),
    }
}

fn limits(vault: &Unlocked, profile: &Profile) -> Limits {
    Limits::of(&vault.provider(&profile.provider))
}

/// The grant of the profile, if it can be refreshed.
pub(super) fn usable_grant(ctx: Context<'_>, vault: &Unlocked, profile: &Profile) -> Result<Grant, Error> {
    let needed = |why| Error::LoginNeeded { profile: profile.name.clone(), why };
    let grant = profile.grant.as_ref().ok_or_else(|| needed("it is not logged in"))?;
    if grant.state == GrantState::Dead {
        return Err(Error::GrantRefused {
            profile: profile.name.clone(),
            provider: profile.provider.clone(),
            age: ctx.clock.now().duration_since(grant.obtained_at),
            causes: diagnosis::diagnose(
                &ServerError::new("invalid_grant", 400),
                &diagnosis_facts(ctx, limits(vault, profile), profile, grant, None),
            ),
            server: None,
        });
    }
    if !grant.refreshable {
        return Err(needed("the provider gave no refresh token, and the access token has expired"));
    }
    Ok(grant.clone())
}

/// The refresh token of the answer, if it is another one.
fn rotated<'a>(answer: &'a TokenAnswer, old: &SecretString) -> Option<&'a SecretString> {
    answer.refresh_token.as_ref().filter(|new| is_other(new, old))
}

/// Whether two tokens are not the same one.
pub(super) fn is_other(new: &SecretString, old: &SecretString) -> bool {
    new.expose_secret() != old.expose_secret()
}

/// The access token of an answer that came at `now`.
pub(super) fn access_token(answer: &TokenAnswer, scopes: Scopes, now: Timestamp) -> AccessToken {
    AccessToken {
        value: answer.access_token.clone(),
        obtained_at: now,
        expires_at: answer.expires_in.and_then(|life| now.checked_add(life).ok()),
        scopes,
    }
}
