//! The desk of this run: answers servers and helpers out of the vault, without asking anybody.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::error::Failure;
use super::exit::Code;
use super::session::Session;
use crate::domain::{AccessToken, Host, IdToken, Profile, ProfileName, Scopes, Use};
use crate::ops::token::{self, Request};
use crate::ops::{self, Context, Unlocked, hosts, id_token};
use crate::serve::{Ask, Desk, Refusal, RefusalKind};

/// Answers out of the vault of a session.
pub(super) struct SessionDesk<'a> {
    session: &'a Session,
    /// For the audit log: the command, as it is typed.
    what: String,
    /// The vault, where it stays unlocked between two questions.
    held: OnceLock<Unlocked>,
    /// Whether it is unlocked once for all questions.
    is_brief: bool,
    /// What its tokens are good for, if not for all of a login.
    only: Option<Scopes>,
    /// When the last token that was given out was issued, for each profile.
    given: Mutex<BTreeMap<ProfileName, Timestamp>>,
}

impl<'a> SessionDesk<'a> {
    /// The desk of something that lasts: it unlocks the vault anew for each question, so that what locks it
    /// holds here too; unless it is `held`, because a person has typed what unlocks it and would have to type
    /// it again.
    pub(super) fn lasting(session: &'a Session, what: impl Into<String>, held: Option<Unlocked>) -> Self {
        let held = held.map_or_else(OnceLock::new, OnceLock::from);
        Self { held, is_brief: false, ..Self::brief(session, what) }
    }

    /// The desk of a helper that ends with its answer: a key that has to be touched is touched once.
    pub(super) fn brief(session: &'a Session, what: impl Into<String>) -> Self {
        let (held, given) = (OnceLock::new(), Mutex::default());
        Self { session, what: what.into(), held, is_brief: true, only: None, given }
    }

    /// The same desk, which gives out tokens with exactly these scopes.
    pub(super) fn narrowed(self, only: Option<Scopes>) -> Self {
        Self { only, ..self }
    }

    fn with<T>(
        &self,
        work: impl FnOnce(Context<'_>, &Unlocked) -> Result<T, ops::Error>,
    ) -> Result<T, Refusal> {
        self.aside(|ctx| {
            if let Some(held) = self.held.get() {
                held.is_used_by(ctx);
                return work(ctx, held);
            }
            let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
            if self.is_brief { work(ctx, self.held.get_or_init(|| vault)) } else { work(ctx, &vault) }
        })
    }

    /// For questions about what no secret is: only a failure is written down.
    fn with_nothing_opened<T>(
        &self,
        work: impl FnOnce(Context<'_>, &Unlocked) -> Result<T, ops::Error>,
    ) -> Result<T, Refusal> {
        self.with(|ctx, vault| work(ctx, vault).inspect(|_| ctx.audit.forgo()))
    }

    /// Whether this desk has not given out `token` before. A server asks every few seconds, all day: a line for
    /// each time would drive everything else out of the audit log.
    fn is_news(&self, profile: &ProfileName, token: &AccessToken) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(profile.clone(), token.obtained_at) != Some(token.obtained_at)
    }

    fn aside<T>(&self, work: impl FnOnce(Context<'_>) -> Result<T, ops::Error>) -> Result<T, Refusal> {
        let mut is_scope = false;
        let done = self.session.aside(&self.what, |ctx| {
            work(ctx).map_err(|error| {
                is_scope = matches!(error, ops::Error::ScopesNotGranted { .. });
                error.into()
            })
        });
        done.map_err(|failure| match is_scope {
            true => Refusal { kind: RefusalKind::ScopesNotGranted, message: failure.in_one_line() },
            false => failure.into(),
        })
    }
}

impl Desk for SessionDesk<'_> {
    fn token(&self, profile: &ProfileName, ask: &Ask) -> Result<AccessToken, Refusal> {
        let request = Request {
            min_ttl: ask.min_ttl,
            scopes: ask.scopes.clone(),
            only: self.only.clone(),
            ..Default::default()
        };
        self.with(|ctx, vault| {
            let token = token::token(ctx, vault, profile, request)?;
            if !self.is_news(profile, &token) {
                ctx.audit.forgo();
            }
            Ok(token)
        })
    }

    fn identity(
        &self,
        profile: &ProfileName,
        audience: &str,
        min_ttl: SignedDuration,
    ) -> Result<IdToken, Refusal> {
        let request = id_token::Request { min_ttl, refresh: false, audience: Some(audience.to_owned()) };
        self.with(|ctx, vault| id_token::id_token(ctx, vault, profile, &request))
    }

    fn profile(&self, profile: &ProfileName) -> Result<Profile, Refusal> {
        let mut facts = self.with_nothing_opened(|ctx, vault| Ok(vault.profile(ctx, profile)?.facts))?;
        if let Some(only) = &self.only {
            facts.scopes.granted = only.clone();
        }
        Ok(facts)
    }

    fn profile_for(
        &self,
        need: Use,
        host: &Host,
        named: Option<&ProfileName>,
    ) -> Result<Option<ProfileName>, Refusal> {
        if !self.aside(|ctx| hosts::is_any_bound(ctx, need, host))? {
            return Ok(None);
        }
        let preferred = match named {
            Some(_) => None,
            None => self.session.profile_from_environment()?,
        };
        self.with_nothing_opened(|ctx, vault| {
            // One that is bound elsewhere, or not there, is not meant for this host.
            let is_bound = |name: &ProfileName| {
                matches!(hosts::profile_for(ctx, vault, need, host, Some(name)), Ok(Some(_)))
            };
            let named = named.or(preferred.as_ref().filter(|name| is_bound(name)));
            hosts::profile_for(ctx, vault, need, host, named)
        })
    }

    fn forget(&self, profile: &ProfileName, value: &SecretString) -> Result<(), Refusal> {
        self.with(|ctx, vault| token::forget(ctx, vault, profile, value))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { kind: kind(failure.status), message: failure.in_one_line() }
    }
}

fn kind(status: u8) -> RefusalKind {
    match status {
        code if code == Code::LoginNeeded as u8 => RefusalKind::LoginNeeded,
        code if code == Code::Locked as u8 => RefusalKind::Locked,
        code if code == Code::Later as u8 => RefusalKind::Offline,
        code if code == Code::NotFound as u8 => RefusalKind::NotFound,
        _ => RefusalKind::Other,
    }
}
