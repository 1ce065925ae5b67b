//! Between a server and the desk: many ask, one goes, and what was answered holds for a moment.
//!
//! A program may ask a thousand times in a second. Each question to the desk unlocks the vault and leaves a line
//! in the audit log, so one is asked for all who wait, and its answer is given to whoever comes within the next
//! seconds: few enough that `vault lock` and `vault logout` hold soon here too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::{Ask, Desk, Refusal, RefusalKind};
use crate::domain::{AccessToken, IdToken, Profile, ProfileName, Scopes};
use crate::system::Clock;

/// How long an answer is given again.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(10);

/// How long a refusal is given again: long enough that a provider which is down is not stormed, short enough
/// that whoever has just unlocked the vault does not wonder.
const REFUSED: SignedDuration = SignedDuration::from_secs(2);

/// How long a token must still work. Google's libraries ask again when less than 225 seconds (Python, Go) or
/// 300 seconds (Node, gcloud) are left, and would do so at each of their requests.
const MIN_TTL: SignedDuration = SignedDuration::from_mins(6);

/// Tokens of a whole life below this are handed out for half of it: to renew them earlier would be to renew
/// them always.
const SHORT_LIFE: SignedDuration = SignedDuration::from_mins(7);

/// How many different questions are remembered.
const QUESTIONS: usize = 16;

/// Asks the desk on behalf of all who ask a server. One for one profile.
pub(super) struct Teller<'a> {
    desk: &'a dyn Desk,
    clock: &'a dyn Clock,
    profile: ProfileName,
    /// Whether nobody is to be asked any more.
    is_stopped: &'a AtomicBool,
    tokens: Counter<Option<Scopes>, AccessToken>,
    /// The whole life of the last token, where it is known.
    life: Mutex<Option<SignedDuration>>,
    identities: Counter<String, IdToken>,
    facts: Counter<(), Profile>,
    /// The last facts that were told: public, so that they are told again while the vault is locked.
    known: Mutex<Option<Profile>>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(
        desk: &'a dyn Desk,
        clock: &'a dyn Clock,
        profile: ProfileName,
        known: Option<Profile>,
        is_stopped: &'a AtomicBool,
    ) -> Self {
        let (tokens, identities, facts) = (Counter::default(), Counter::default(), Counter::default());
        let (life, known) = (Mutex::default(), Mutex::new(known));
        Self { desk, clock, profile, is_stopped, tokens, life, identities, facts, known }
    }

    /// A token that is good for `scopes`.
    pub(super) fn token(&self, scopes: Option<Scopes>) -> Result<AccessToken, Refusal> {
        let works = |token: &AccessToken| {
            token.time_left(self.clock.now()).is_none_or(|left| left > SignedDuration::ZERO)
        };
        let ask = Ask { scopes: scopes.clone(), min_ttl: self.min_ttl() };
        let token = self.tokens.ask(scopes, self.clock, works, || self.desk()?.token(&self.profile, &ask))?;
        *locked(&self.life) = token.time_left(token.obtained_at);
        Ok(token)
    }

    /// An ID token for `audience`.
    pub(super) fn identity(&self, audience: &str) -> Result<IdToken, Refusal> {
        let counts = |token: &IdToken| token.time_left(self.clock.now()) > SignedDuration::ZERO;
        self.identities.ask(audience.to_owned(), self.clock, counts, || {
            self.desk()?.identity(&self.profile, audience, MIN_TTL)
        })
    }

    /// How long `token` still works, in whole seconds; `None` if nobody knows.
    pub(super) fn seconds_left(&self, token: &AccessToken) -> Option<i64> {
        token.time_left(self.clock.now()).map(|left| left.as_secs())
    }

    /// What is known of the profile.
    pub(super) fn facts(&self) -> Result<Profile, Refusal> {
        let result = self.facts.ask((), self.clock, |_| true, || self.desk()?.profile(&self.profile));
        let mut known = locked(&self.known);
        match result {
            Ok(facts) => {
                *known = Some(facts.clone());
                Ok(facts)
            }
            Err(refusal) if matches!(refusal.kind, RefusalKind::Locked | RefusalKind::Offline) => {
                known.clone().ok_or(refusal)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The desk, until the server is told to stop: each further question could take as long as a refresh.
    fn desk(&self) -> Result<&dyn Desk, Refusal> {
        if self.is_stopped.load(Ordering::SeqCst) {
            let message = "the server ends; start the program again".to_owned();
            return Err(Refusal { kind: RefusalKind::Offline, message });
        }
        Ok(self.desk)
    }

    fn min_ttl(&self) -> SignedDuration {
        match *locked(&self.life) {
            Some(life) if life < SHORT_LIFE => life / 2,
            _ => MIN_TTL,
        }
    }
}

/// Where one asks at a time, and the others wait for the answer.
struct Counter<K, V> {
    state: Mutex<State<K, V>>,
    answered: Condvar,
}

struct State<K, V> {
    is_asking: bool,
    answers: Vec<Answer<K, V>>,
}

struct Answer<K, V> {
    question: K,
    result: Result<V, Refusal>,
    at: Timestamp,
}

impl<K, V> Default for Counter<K, V> {
    fn default() -> Self {
        Self { state: Mutex::new(State { is_asking: false, answers: Vec::new() }), answered: Condvar::new() }
    }
}

impl<K: Clone + PartialEq, V: Clone> Counter<K, V> {
    /// The answer to `question`: a remembered one that still `holds`, or what `ask` brings.
    fn ask(
        &self,
        question: K,
        clock: &dyn Clock,
        holds: impl Fn(&V) -> bool,
        ask: impl FnOnce() -> Result<V, Refusal>,
    ) -> Result<V, Refusal> {
        let mut state = locked(&self.state);
        loop {
            state.forget_old(clock.now(), &holds);
            if let Some(answer) = state.answers.iter().find(|answer| answer.question == question) {
                return answer.result.clone();
            }
            if !state.is_asking {
                break;
            }
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_asking = true;
        drop(state);

        let turn = Turn(self);
        let result = ask();
        locked(&self.state).answers.push(Answer { question, result: result.clone(), at: clock.now() });
        drop(turn);
        result
    }
}

impl<K, V> State<K, V> {
    /// What has come from the future was noted by a clock that has been put right since.
    fn forget_old(&mut self, now: Timestamp, holds: impl Fn(&V) -> bool) {
        self.answers.retain(|answer| {
            let age = now.duration_since(answer.at);
            let is_good = answer.result.as_ref().is_ok_and(&holds);
            let limit = if answer.result.is_err() { REFUSED } else { REMEMBERED };
            !age.is_negative() && age < limit && (is_good || answer.result.is_err())
        });
        if self.answers.len() > QUESTIONS {
            self.answers.remove(0);
        }
    }
}

/// Lets the next one ask, whatever became of this question.
struct Turn<'a, K, V>(&'a Counter<K, V>);

impl<K, V> Drop for Turn<'_, K, V> {
    fn drop(&mut self) {
        locked(&self.0.state).is_asking = false;
        self.0.answered.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
