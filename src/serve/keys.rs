//! The keys that the agent holds, each until its time is over.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::locked::Locked;
use crate::domain::agent_protocol::{Failure, Held, MAX_SECONDS, Request, Response};
use crate::domain::{KeyId, VaultId};

/// What time it is for the agent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Since the machine was started, its sleep included; never goes back.
    pub(super) uptime: Duration,
    /// By the wall clock; only told, never relied on.
    pub(super) wall: Timestamp,
}

/// One key for each vault.
#[derive(Default)]
pub(super) struct Keys {
    held: HashMap<VaultId, Entry>,
}

struct Entry {
    kid: KeyId,
    key: Locked,
    /// By [`Now::uptime`].
    end: Duration,
}

impl Keys {
    /// Does what is asked.
    pub(super) fn answer(&mut self, request: Request, now: Now) -> Response {
        self.expire(now);
        match request {
            Request::Get { vault, kid } => match self.held.get(&vault) {
                Some(entry) if entry.kid == kid => Response::Key(entry.key.copy()),
                _ => Response::Nothing,
            },
            Request::Hold { seconds, .. } if !(1..=MAX_SECONDS).contains(&seconds) => {
                Response::Failure { reason: Failure::Time }
            }
            Request::Hold { vault, kid, key, seconds } => {
                let Some(key) = Locked::new(&key) else {
                    return Response::Failure { reason: Failure::Key };
                };
                let entry = Entry { kid, key, end: now.uptime + Duration::from_secs(seconds) };
                let until = entry.until(now);
                self.held.insert(vault, entry);
                Response::Held { until }
            }
            Request::Drop { vault: None } => {
                self.held.clear();
                Response::Nothing
            }
            Request::Drop { vault: Some(vault) } => {
                self.held.remove(&vault);
                Response::Nothing
            }
            Request::Status => Response::Status { vaults: self.status(now) },
        }
    }

    /// Forgets the keys whose time is over.
    pub(super) fn expire(&mut self, now: Now) {
        self.held.retain(|_, entry| now.uptime < entry.end);
    }

    /// How long until the next key is to be forgotten; none if there is none.
    pub(super) fn next_end(&self, now: Now) -> Option<Duration> {
        self.held.values().map(|entry| entry.end.saturating_sub(now.uptime)).min()
    }

    fn status(&self, now: Now) -> Vec<Held> {
        let held = |(vault, entry): (&VaultId, &Entry)| Held {
            vault: vault.clone(),
            kid: entry.kid.clone(),
            until: entry.until(now),
        };
        let mut vaults: Vec<Held> = self.held.iter().map(held).collect();
        vaults.sort_by(|a, b| a.vault.cmp(&b.vault));
        vaults
    }
}

impl Entry {
    fn until(&self, now: Now) -> Timestamp {
        let until = now.wall.saturating_add(self.end.saturating_sub(now.uptime)).unwrap_or(Timestamp::MAX);
        // The two clocks are not read at the same instant; what people see should stand still.
        until.round(jiff::Unit::Second).unwrap_or(until)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret, SecretString};

    use super::*;

    fn at(seconds: u64) -> Now {
        Now {
            uptime: Duration::from_secs(1_000 + seconds),
            wall: Timestamp::from_second(1_800_000_000 + seconds as i64).unwrap(),
        }
    }

    fn vault(n: u8) -> VaultId {
        VaultId::from_bytes([n; 16])
    }

    fn kid(n: u8) -> KeyId {
        KeyId::from_bytes([n; 16])
    }

    fn hold(n: u8, seconds: u64) -> Request {
        Request::Hold { vault: vault(n), kid: kid(n), key: SecretString::from("canary"), seconds }
    }

    fn get(keys: &mut Keys, n: u8, k: u8, now: Now) -> Option<String> {
        match keys.answer(Request::Get { vault: vault(n), kid: kid(k) }, now) {
            Response::Key(key) => Some(key.expose_secret().to_owned()),
            Response::Nothing => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_is_given_until_its_time_is_over_and_never_after() {
        let mut keys = Keys::default();

        let Response::Held { until } = keys.answer(hold(1, 60), at(0)) else { panic!("not held") };

        assert_eq!(until, at(60).wall);
        assert_eq!(get(&mut keys, 1, 1, at(59)).as_deref(), Some("canary"));
        assert_eq!(get(&mut keys, 1, 1, at(60)), None);
        assert_eq!(keys.next_end(at(60)), None);
    }

    #[test]
    fn a_wall_clock_that_goes_back_does_not_lengthen_the_time() {
        let mut keys = Keys::default();
        keys.answer(hold(1, 60), at(0));

        let set_back = Now { wall: Timestamp::UNIX_EPOCH, ..at(61) };

        assert_eq!(get(&mut keys, 1, 1, set_back), None);
    }

    #[test]
    fn another_vault_and_another_key_of_this_vault_get_nothing() {
        let mut keys = Keys::default();
        keys.answer(hold(1, 60), at(0));

        assert_eq!(get(&mut keys, 2, 1, at(1)), None);
        assert_eq!(get(&mut keys, 1, 2, at(1)), None);
    }

    #[test]
    fn a_time_of_zero_or_of_more_than_31_days_is_refused() {
        let mut keys = Keys::default();

        for seconds in [0, MAX_SECONDS + 1, u64::MAX] {
            let response = keys.answer(hold(1, seconds), at(0));
            assert!(matches!(response, Response::Failure { reason: Failure::Time }), "{seconds}");
        }

        assert_eq!(keys.next_end(at(0)), None);
    }

    #[test]
    fn one_vault_or_all_can_be_forgotten() {
        let mut keys = Keys::default();
        for n in 1..=3 {
            keys.answer(hold(n, 60), at(0));
        }

        keys.answer(Request::Drop { vault: Some(vault(1)) }, at(1));
        let Response::Status { vaults } = keys.answer(Request::Status, at(1)) else { panic!() };
        keys.answer(Request::Drop { vault: None }, at(1));

        assert_eq!(vaults.iter().map(|held| held.vault.clone()).collect::<Vec<_>>(), [vault(2), vault(3)]);
        assert_eq!(keys.next_end(at(1)), None);
    }
}
