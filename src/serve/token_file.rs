//! A private file that holds a token which works, as long as we run: for programs that can read nothing else.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Ask, Desk};
use crate::domain::{AccessToken, ProfileName};
use crate::system::{Clock, RunDir, RunDirError};

/// What it is called.
const NAME: &str = "access-token";

/// How long before its end a token is replaced; gcloud takes one for dead when less than 300 seconds are left.
/// Half of its life, where that is shorter.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// How long after a failure the next try follows; each later one after twice as long.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(30);

/// Longest time between two tries.
const LAST_RETRY: SignedDuration = SignedDuration::from_mins(5);

/// Longest sleep in one piece: the time in which the machine sleeps is not counted, and a token ages all the same.
const NAP: Duration = Duration::from_secs(60);

/// The file, and who renews it.
pub struct TokenFile<'a> {
    dir: &'a RunDir,
    path: PathBuf,
    profile: ProfileName,
    first: AccessToken,
    is_stopped: Mutex<bool>,
    stopped: Condvar,
}

impl<'a> TokenFile<'a> {
    /// Writes the file, with the token that is there already.
    ///
    /// # Errors
    ///
    /// As the file system says.
    pub fn write(dir: &'a RunDir, profile: ProfileName, first: AccessToken) -> Result<Self, RunDirError> {
        let path = dir.write(NAME, &first.value)?;
        Ok(Self { dir, path, profile, first, is_stopped: Mutex::default(), stopped: Condvar::new() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a new token in its place whenever the old one nears its end, until [`Self::stop`].
    pub fn keep(&self, desk: &dyn Desk, clock: &dyn Clock) {
        let mut plan = Plan::after(&self.first);
        let mut retry = FIRST_RETRY;
        while self.sleep_until(plan.at, clock) {
            let ask = Ask { scopes: None, min_ttl: plan.ahead };
            let renewed = desk.token(&self.profile, &ask).ok().filter(|token| self.replace(token));
            (plan, retry) = match renewed {
                Some(token) => (Plan::after(&token).not_before(clock.now()), FIRST_RETRY),
                None => (plan.again(clock.now(), retry), LAST_RETRY.min(retry * 2)),
            };
        }
    }

    /// Ends [`Self::keep`], also one that begins later.
    pub fn stop(&self) {
        *self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stopped.notify_all();
    }

    fn replace(&self, token: &AccessToken) -> bool {
        let written = self.dir.write(NAME, &token.value);
        if let Err(error) = &written {
            log::warn!("the file with the token could not be renewed: {error}");
        }
        written.is_ok()
    }

    /// Whether it is time, and not the end. Nothing is due where nobody knows how long the token works.
    fn sleep_until(&self, due: Option<Timestamp>, clock: &dyn Clock) -> bool {
        let mut is_stopped = self.is_stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = clock.now();
        while !*is_stopped {
            let Some(nap) = nap(due, begun, clock.now()) else { break };
            let woken = self.stopped.wait_timeout(is_stopped, nap);
            is_stopped = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        !*is_stopped
    }
}

/// How long is slept next, of a sleep that has begun a while ago; none if something is due. A clock that was put
/// back says nothing of a token's age: then it is the desk that knows.
fn nap(due: Option<Timestamp>, begun: Timestamp, now: Timestamp) -> Option<Duration> {
    let Some(due) = due else { return Some(NAP) };
    let left = Duration::try_from(due.duration_since(now)).ok();
    left.filter(|left| !left.is_zero() && now >= begun).map(|left| left.min(NAP))
}

/// When a token is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    /// The moment; never, if nobody knows how long the token works.
    at: Option<Timestamp>,
    /// How long the token still works by then.
    ahead: SignedDuration,
}

impl Plan {
    fn after(token: &AccessToken) -> Self {
        let life = token.time_left(token.obtained_at).unwrap_or_default();
        let ahead = AHEAD.min(life / 2);
        Self { at: token.expires_at.and_then(|end| end.checked_sub(ahead).ok()), ahead }
    }

    /// The same, but not at once: a new token that is due already would be asked for without end.
    fn not_before(self, now: Timestamp) -> Self {
        Self { at: self.at.map(|at| at.max(now + SignedDuration::from_secs(1))), ..self }
    }

    fn again(self, now: Timestamp, after: SignedDuration) -> Self {
        Self { at: Some(now + after), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(obtained: i64, life: Option<i64>) -> AccessToken {
        let at = |second| Timestamp::from_second(second).unwrap();
        AccessToken {
            value: "ya29.canary".into(),
            obtained_at: at(obtained),
            expires_at: life.map(|life| at(obtained + life)),
            scopes: crate::domain::Scopes::default(),
        }
    }

    #[test]
    fn a_token_is_renewed_well_before_its_end_and_one_that_has_none_never() {
        for (life, due) in
            [(Some(3600), Some(3000)), (Some(600), Some(300)), (Some(2), Some(1)), (None, None)]
        {
            let plan = Plan::after(&token(1_000_000, life));
            assert_eq!(plan.at.map(|at| at.as_second() - 1_000_000), due, "{life:?}");
        }
    }

    #[test]
    fn a_sleep_ends_when_it_is_time_or_the_clock_was_put_back() {
        let at = |second| Timestamp::from_second(1_000_000 + second).unwrap();
        let nap = |due: Option<i64>, now| nap(due.map(at), at(0), at(now)).map(|nap| nap.as_secs());

        assert_eq!(
            [0, 50, 99, 100, 200].map(|now| nap(Some(100), now)),
            [Some(60), Some(50), Some(1), None, None]
        );
        assert_eq!([nap(Some(100), -1), nap(None, -1), nap(None, 200)], [None, Some(60), Some(60)]);
    }

    #[test]
    fn a_new_token_that_is_due_already_is_not_asked_for_without_end() {
        let now = Timestamp::from_second(1_003_599).unwrap();

        let plan = Plan::after(&token(1_000_000, Some(3600))).not_before(now);

        assert!(plan.at.unwrap() > now);
    }
}
