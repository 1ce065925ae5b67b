//! A desk of whose refusals the person hears too, whatever the program makes of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use secrecy::SecretString;

use crate::domain::{AccessToken, Host, IdToken, Profile, ProfileName, Use};
use crate::serve::{Ask, Desk, Refusal};

/// A program may ask again at once and for hours; the same is told once in this time.
const AGAIN: Duration = Duration::from_secs(600);

/// The desk behind it, and what was told when.
pub(in crate::cli::commands) struct Told<'a> {
    desk: &'a dyn Desk,
    tell: &'a (dyn Fn(&str) + Sync),
    told: Mutex<BTreeMap<String, Instant>>,
}

impl<'a> Told<'a> {
    /// The same desk; `tell` is called with each refusal.
    pub(in crate::cli::commands) fn new(desk: &'a dyn Desk, tell: &'a (dyn Fn(&str) + Sync)) -> Self {
        Self { desk, tell, told: Mutex::default() }
    }

    fn tell<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        result.inspect_err(|refusal| {
            if self.is_news(&refusal.message, Instant::now()) {
                (self.tell)(&refusal.message);
            }
        })
    }

    fn is_news(&self, message: &str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.duration_since(*at) < AGAIN);
        let is_news = !told.contains_key(message);
        if is_news {
            told.insert(message.to_owned(), now);
        }
        is_news
    }
}

impl Desk for Told<'_> {
    fn token(&self, profile: &ProfileName, ask: &Ask) -> Result<AccessToken, Refusal> {
        self.tell(self.desk.token(profile, ask))
    }

    fn identity(
        &self,
        profile: &ProfileName,
        audience: &str,
        min_ttl: SignedDuration,
    ) -> Result<IdToken, Refusal> {
        self.tell(self.desk.identity(profile, audience, min_ttl))
    }

    fn profile(&self, profile: &ProfileName) -> Result<Profile, Refusal> {
        self.tell(self.desk.profile(profile))
    }

    fn profile_for(
        &self,
        need: Use,
        host: &Host,
        named: Option<&ProfileName>,
    ) -> Result<Option<ProfileName>, Refusal> {
        self.tell(self.desk.profile_for(need, host, named))
    }

    fn forget(&self, profile: &ProfileName, value: &SecretString) -> Result<(), Refusal> {
        self.tell(self.desk.forget(profile, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::RefusalKind;

    /// A desk that has closed, each time for the same reason.
    struct ClosedDesk;

    impl Desk for ClosedDesk {
        fn token(&self, profile: &ProfileName, _: &Ask) -> Result<AccessToken, Refusal> {
            Err(Refusal { kind: RefusalKind::Locked, message: format!("{profile}: the vault is locked") })
        }

        fn profile(&self, _: &ProfileName) -> Result<Profile, Refusal> {
            unreachable!()
        }

        fn profile_for(
            &self,
            _: Use,
            _: &Host,
            _: Option<&ProfileName>,
        ) -> Result<Option<ProfileName>, Refusal> {
            unreachable!()
        }

        fn forget(&self, _: &ProfileName, _: &SecretString) -> Result<(), Refusal> {
            unreachable!()
        }
    }

    #[test]
    fn each_reason_is_told_once_and_again_only_after_a_while() {
        let said = Mutex::new(Vec::new());
        let tell = |text: &str| said.lock().unwrap().push(text.to_owned());
        let told = Told::new(&ClosedDesk, &tell);
        let [work, home] = ["work", "home"].map(|name| name.parse::<ProfileName>().unwrap());

        for name in [&work, &work, &home, &work, &home] {
            assert!(told.token(name, &Ask::default()).is_err());
        }

        assert_eq!(*said.lock().unwrap(), ["work: the vault is locked", "home: the vault is locked"]);
        assert!(told.is_news("work: the vault is locked", Instant::now() + AGAIN));
    }
}
