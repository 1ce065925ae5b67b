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

/// Most keys of one vault: it has two while its key is rotated.
const MOST: usize = 2;

/// The keys of each vault, those that were held first in front.
#[derive(Default)]
pub(super) struct Keys {
    held: HashMap<VaultId, Vec<Entry>>,
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
            Request::Get { vault, kid } => {
                let mut held = self.held.get(&vault).into_iter().flatten();
                let entry = held.find(|entry| entry.kid == kid);
                entry.map_or(Response::Nothing, |entry| Response::Key(entry.key.copy()))
            }
            Request::Hold { seconds, .. } if !(1..=MAX_SECONDS).contains(&seconds) => {
                Response::Failure { reason: Failure::Time }
            }
            Request::Hold { vault, kid, key, seconds } => {
                let Some(key) = Locked::new(&key) else {
                    return Response::Failure { reason: Failure::Key };
                };
                let entry = Entry { kid, key, end: now.uptime + Duration::from_secs(seconds) };
                let until = entry.until(now);
                self.hold(vault, entry);
                Response::Held { until }
            }
            Request::Drop { vault, kid } => {
                let is_meant = |other: &VaultId| vault.as_ref().is_none_or(|vault| vault == other);
                let is_kept = |entry: &Entry| kid.as_ref().is_some_and(|kid| *kid != entry.kid);
                self.keep(|vault, entry| !is_meant(vault) || is_kept(entry));
                Response::Nothing
            }
            Request::Status => Response::Status { vaults: self.status(now) },
        }
    }

    /// Forgets the keys whose time is over.
    pub(super) fn expire(&mut self, now: Now) {
        self.keep(|_, entry| now.uptime < entry.end);
    }

    fn hold(&mut self, vault: VaultId, entry: Entry) {
        let held = self.held.entry(vault).or_default();
        held.retain(|other| other.kid != entry.kid);
        held.push(entry);
        let surplus = held.len().saturating_sub(MOST);
        held.drain(..surplus);
    }

    fn keep(&mut self, is_kept: impl Fn(&VaultId, &Entry) -> bool) {
        self.held.retain(|vault, entries| {
            entries.retain(|entry| is_kept(vault, entry));
            !entries.is_empty()
        });
    }

    fn entries(&self) -> impl Iterator<Item = (&VaultId, &Entry)> {
        self.held.iter().flat_map(|(vault, entries)| entries.iter().map(move |entry| (vault, entry)))
    }

    /// How long until the next key is to be forgotten; none if there is none.
    pub(super) fn next_end(&self, now: Now) -> Option<Duration> {
        self.entries().map(|(_, entry)| entry.end.saturating_sub(now.uptime)).min()
    }

    fn status(&self, now: Now) -> Vec<Held> {
        let held = |(vault, entry): (&VaultId, &Entry)| Held {
            vault: vault.clone(),
            kid: entry.kid.clone(),
            until: entry.until(now),
        };
        let mut vaults: Vec<Held> = self.entries().map(held).collect();
        vaults.sort_by(|a, b| (&a.vault, &a.kid).cmp(&(&b.vault, &b.kid)));
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

        keys.answer(Request::Drop { vault: Some(vault(1)), kid: None }, at(1));
        let Response::Status { vaults } = keys.answer(Request::Status, at(1)) else { panic!() };
        keys.answer(Request::Drop { vault: None, kid: None }, at(1));

        assert_eq!(vaults.iter().map(|held| held.vault.clone()).collect::<Vec<_>>(), [vault(2), vault(3)]);
        assert_eq!(keys.next_end(at(1)), None);
    }

    #[test]
    fn the_two_last_keys_of_a_vault_are_held_and_one_alone_can_be_forgotten() {
        let mut keys = Keys::default();
        for n in 1..=3 {
            let text = SecretString::from("canary");
            keys.answer(Request::Hold { vault: vault(1), kid: kid(n), key: text, seconds: 60 }, at(0));
        }

        let held = |keys: &mut Keys| [1, 2, 3].map(|n| get(keys, 1, n, at(1)).is_some());
        assert_eq!(held(&mut keys), [false, true, true]);
        keys.answer(Request::Drop { vault: Some(vault(1)), kid: Some(kid(2)) }, at(1));
        assert_eq!(held(&mut keys), [false, false, true]);
    }
}
