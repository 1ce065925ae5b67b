//! A short-lived access token, and when it is fresh.

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::Scopes;

/// The least time that a token must have left to be handed out: clocks differ and programs take
/// their time. It is the only margin.
pub const FRESHNESS_MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// A clock that has gone back by more than this says nothing about a token's life.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

/// An access token as the provider issued it. `Debug` does not show its value.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The bearer token itself.
    pub value: SecretString,
    /// When we received it.
    pub obtained_at: Timestamp,
    /// When it stops working; `None` where the provider does not say.
    pub expires_at: Option<Timestamp>,
    /// What it allows.
    pub scopes: Scopes,
}

impl AccessToken {
    /// Whether it has more than `min_ttl`, and more than [`FRESHNESS_MARGIN`], left at `now`.
    ///
    /// A token of unknown life is never fresh, nor is one from the future.
    pub fn is_fresh(&self, now: Timestamp, min_ttl: SignedDuration) -> bool {
        self.expires_at.is_some_and(|end| is_fresh(self.obtained_at, end, now, min_ttl))
    }

    /// How long it still works at `now`; negative once it has expired, `None` if unknown.
    pub fn time_left(&self, now: Timestamp) -> Option<SignedDuration> {
        self.expires_at.map(|end| end.duration_since(now))
    }
}

/// An ID token: a signed statement of who has signed in, for one audience (OpenID Connect Core, 2). `Debug` does
/// not show its value.
#[derive(Clone, Debug)]
pub struct IdToken {
    /// The token itself.
    pub value: SecretString,
    /// For whom it is: whoever else is shown it must refuse it.
    pub audience: String,
    /// When we received it.
    pub obtained_at: Timestamp,
    /// When it stops counting.
    pub expires_at: Timestamp,
}

impl IdToken {
    /// Whether it has more than `min_ttl`, and more than [`FRESHNESS_MARGIN`], left at `now`.
    pub fn is_fresh(&self, now: Timestamp, min_ttl: SignedDuration) -> bool {
        is_fresh(self.obtained_at, self.expires_at, now, min_ttl)
    }

    /// How long it still counts at `now`; negative once it has expired.
    pub fn time_left(&self, now: Timestamp) -> SignedDuration {
        self.expires_at.duration_since(now)
    }
}

/// What came from the future is not fresh: the clock has been set back since.
fn is_fresh(obtained_at: Timestamp, end: Timestamp, now: Timestamp, min_ttl: SignedDuration) -> bool {
    let is_from_the_future = obtained_at.duration_since(now) > CLOCK_TOLERANCE;
    !is_from_the_future && end.duration_since(now) > min_ttl.max(FRESHNESS_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn token(obtained: i64, expires: Option<i64>) -> AccessToken {
        AccessToken {
            value: "ya29.canary".into(),
            obtained_at: at(obtained),
            expires_at: expires.map(at),
            scopes: Scopes::default(),
        }
    }

    #[test]
    fn a_token_is_fresh_while_more_than_the_margin_is_left() {
        let token = token(0, Some(1000));

        assert!(token.is_fresh(at(939), SignedDuration::ZERO));
        assert!(!token.is_fresh(at(940), SignedDuration::ZERO));
    }

    #[test]
    fn the_longer_of_margin_and_min_ttl_counts() {
        let token = token(0, Some(1000));

        assert!(token.is_fresh(at(399), SignedDuration::from_secs(600)));
        assert!(!token.is_fresh(at(400), SignedDuration::from_secs(600)));
    }

    #[test]
    fn a_token_of_unknown_life_or_from_the_future_is_not_fresh() {
        assert!(!token(0, None).is_fresh(at(0), SignedDuration::ZERO));
        assert!(!token(10_000, Some(20_000)).is_fresh(at(0), SignedDuration::ZERO));
    }

    #[test]
    fn debug_does_not_show_the_token() {
        assert!(!format!("{:?}", token(0, None)).contains("canary"));
    }
}
