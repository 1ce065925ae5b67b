//! What people should know about a grant before it ends.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{
    END_NOTICE, Facts, IDLE_NOTICE, TESTING_LIFE, days, idle_time, may_be_testing, span, token_since,
};
use crate::domain::CLOCK_TOLERANCE;

/// What may soon end a grant that still works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The provider has said when it ends, and that is soon, or over.
    EndsSoon {
        /// When.
        expires_at: Timestamp,
        /// How long that is from now; negative once it is over.
        left: SignedDuration,
    },
    /// It ends then *if* the Google app is in Testing; nobody has said whether it is.
    EndsIfTesting {
        /// When.
        ends_at: Timestamp,
    },
    /// Nobody has used it for months.
    Resting {
        /// When it ends if that goes on.
        ends_at: Timestamp,
        /// For how long nobody has.
        idle: SignedDuration,
    },
    /// By this machine's clock it was made or used in the future, so that the clock is not to be trusted.
    FromTheFuture {
        /// When that was.
        at: Timestamp,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndsSoon { expires_at, left } if left.is_negative() || left.is_zero() => {
                write!(f, "the consent was limited in time and ended at {expires_at:.0}")
            }
            Self::EndsSoon { expires_at, left } => {
                write!(f, "the consent is limited in time and ends in {}, at {expires_at:.0}", span(*left))
            }
            Self::EndsIfTesting { ends_at } => {
                write!(f, "if the Google app is in Testing, the login ends at {ends_at:.0}")
            }
            Self::Resting { idle, ends_at } => {
                write!(f, "the login was not used for {}; without use it ends at {ends_at:.0}", days(*idle))
            }
            Self::FromTheFuture { at } => {
                write!(
                    f,
                    "last used at {at:.0}, which is in the future by the clock of this machine; is it right?"
                )
            }
        }
    }
}

/// What people should know about a grant before it ends.
pub fn warnings(facts: &Facts<'_>) -> Vec<Warning> {
    // By a clock that is wrong, all other times would be, too.
    if let Some(warning) = from_the_future(facts) {
        return vec![warning];
    }
    [ends_soon(facts), ends_if_testing(facts), resting(facts)].into_iter().flatten().collect()
}

fn from_the_future(facts: &Facts<'_>) -> Option<Warning> {
    let at = facts.obtained_at.max(facts.last_used)?;
    (at.duration_since(facts.now) > CLOCK_TOLERANCE).then_some(Warning::FromTheFuture { at })
}

fn ends_soon(facts: &Facts<'_>) -> Option<Warning> {
    let by_habit = || token_since(facts)?.checked_add(facts.limits.life?).ok();
    let expires_at = facts.expires_at.or_else(by_habit)?;
    let left = expires_at.duration_since(facts.now);
    (left <= END_NOTICE).then_some(Warning::EndsSoon { expires_at, left })
}

fn ends_if_testing(facts: &Facts<'_>) -> Option<Warning> {
    let ends_at = facts.obtained_at?.checked_add(TESTING_LIFE).ok()?;
    let is_young = facts.now <= ends_at;
    (is_young && facts.expires_at.is_none() && may_be_testing(facts))
        .then_some(Warning::EndsIfTesting { ends_at })
}

fn resting(facts: &Facts<'_>) -> Option<Warning> {
    let (idle, limit) = (idle_time(facts)?, facts.limits.idle?);
    let ends_at = facts.now.checked_add(limit - idle).ok()?;
    // Of a short limit, one sixth: a login that is used each day is not to be warned about.
    let notice = IDLE_NOTICE.min(limit / 6);
    (idle >= limit - notice).then_some(Warning::Resting { ends_at, idle })
}
