//! A desk for tests: one profile `work` of `me@work.example`, bound to some hosts.

use std::sync::Mutex;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{Ask, Desk, Refusal, RefusalKind};
use crate::domain::{AccessToken, Account, Host, Profile, ProfileName, ScopeRecord, Scopes, Use};

/// When its token ends.
pub(super) const END: i64 = 1_800_000_000;

pub(super) struct Clerk {
    need: Use,
    bound: Vec<Host>,
    token: String,
    end: Option<i64>,
    refuses: Option<RefusalKind>,
    forgotten: Mutex<Vec<String>>,
    questions: Mutex<usize>,
}

impl Clerk {
    pub(super) fn bound_to(need: Use, hosts: &[&str]) -> Self {
        Self {
            need,
            bound: hosts.iter().map(|host| host.parse().unwrap()).collect(),
            token: "token-canary".to_owned(),
            end: Some(END),
            refuses: None,
            forgotten: Mutex::default(),
            questions: Mutex::default(),
        }
    }

    pub(super) fn with_token(self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self }
    }

    /// Nobody knows how long its token works.
    pub(super) fn with_endless_token(self) -> Self {
        Self { end: None, ..self }
    }

    /// Whatever is asked about a profile is refused.
    pub(super) fn refusing(self, kind: RefusalKind) -> Self {
        Self { refuses: Some(kind), ..self }
    }

    pub(super) fn forgotten(&self) -> Vec<String> {
        self.forgotten.lock().unwrap().clone()
    }

    /// How often it was asked about a profile.
    pub(super) fn questions(&self) -> usize {
        *self.questions.lock().unwrap()
    }

    fn about_a_profile(&self) -> Result<(), Refusal> {
        *self.questions.lock().unwrap() += 1;
        self.refuses
            .map_or(Ok(()), |kind| Err(Refusal { kind, message: "no; run `vault login work`".to_owned() }))
    }
}

impl Desk for Clerk {
    fn token(&self, _: &ProfileName, _: &Ask) -> Result<AccessToken, Refusal> {
        self.about_a_profile()?;
        let at = |second| Timestamp::from_second(second).unwrap();
        Ok(AccessToken {
            value: self.token.as_str().into(),
            obtained_at: at(END - 3600),
            expires_at: self.end.map(at),
            scopes: Scopes::default(),
        })
    }

    fn profile(&self, name: &ProfileName) -> Result<Profile, Refusal> {
        self.about_a_profile()?;
        Ok(Profile {
            name: name.clone(),
            provider: "oidc".to_owned(),
            account: Account { email: Some("me@work.example".to_owned()), subject: Some("1089".to_owned()) },
            client: "0".repeat(32).parse().unwrap(),
            scopes: ScopeRecord::default(),
            grant: None,
            exports: Default::default(),
            api_key_set_at: None,
            hosts: Default::default(),
            grant_type: Default::default(),
            browser: None,
            project: None,
        })
    }

    fn profile_for(
        &self,
        need: Use,
        host: &Host,
        named: Option<&ProfileName>,
    ) -> Result<Option<ProfileName>, Refusal> {
        let is_bound = need == self.need && self.bound.contains(host);
        let is_work = named.is_none_or(|name| name.as_str() == "work");
        Ok((is_bound && is_work).then(|| "work".parse().unwrap()))
    }

    fn forget(&self, _: &ProfileName, value: &SecretString) -> Result<(), Refusal> {
        self.about_a_profile()?;
        self.forgotten.lock().unwrap().push(value.expose_secret().to_owned());
        Ok(())
    }
}
