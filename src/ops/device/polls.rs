//! When to ask whether the person has consented, and when to give up.

use std::time::Duration;

use super::Error;
use crate::oauth;
use crate::oauth::device::{DeviceAuthorization, Pace};
use crate::ops::{Error as OpsError, Notice, Notices};
use crate::system::Clock;

/// Why a poll brought nothing.
pub(super) struct Failed {
    pub(super) error: OpsError,
    /// Whether there is nothing more to ask for.
    pub(super) is_final: bool,
}

/// Calls `poll` as often as RFC 8628, 3.5 allows, until it has an answer or time is over: that of the codes, or
/// `patience` if it is shorter.
///
/// # Errors
///
/// [`Error::Expired`] when the life of the codes is over; whatever `poll` says, unless it only means to ask again.
pub(super) fn until_answered<T>(
    clock: &dyn Clock,
    notices: &dyn Notices,
    begun: &DeviceAuthorization,
    patience: Option<Duration>,
    mut poll: impl FnMut() -> Result<T, Failed>,
) -> Result<T, OpsError> {
    let start = clock.instant();
    let limit = patience.map_or(begun.expires_in, |patience| patience.min(begun.expires_in));
    let mut pace = Pace::new(begun.interval);
    loop {
        let left = limit.saturating_sub(clock.instant().duration_since(start));
        let pause = pace.pause();
        if pause > left {
            clock.sleep(left);
            return Err(if limit < begun.expires_in {
                oauth::Error::TimedOut.into()
            } else {
                Error::Expired.into()
            });
        }
        clock.sleep(pause);
        match poll() {
            Err(Failed { error: OpsError::OAuth(error), is_final: false }) => {
                go_on(&mut pace, notices, error)?;
            }
            Err(failed) => return Err(failed.error),
            Ok(answer) => return Ok(answer),
        }
    }
}

/// Whether an error only means to ask again, and when.
fn go_on(pace: &mut Pace, notices: &dyn Notices, error: oauth::Error) -> Result<(), OpsError> {
    let retry_after = match error {
        oauth::Error::NotYet(not_yet) => {
            pace.answered(not_yet);
            return Ok(());
        }
        oauth::Error::Unavailable { retry_after, .. } => retry_after,
        oauth::Error::Unreachable { .. } | oauth::Error::Lost { .. } => None,
        error => return Err(error.into()),
    };
    if !pace.is_failing() {
        notices.notice(&Notice::PollFailed { why: error.to_string() });
    }
    pace.failed(retry_after);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Mutex;
    use std::time::Instant;

    use jiff::Timestamp;
    use secrecy::SecretString;

    use super::*;
    use crate::oauth::device::NotYet;

    /// A clock that goes on only when somebody sleeps, and knows how long each did.
    struct Sleeper {
        start: Instant,
        slept: Mutex<Vec<Duration>>,
    }

    impl Sleeper {
        fn new() -> Self {
            Self { start: Instant::now(), slept: Mutex::default() }
        }

        fn seconds(&self) -> Vec<u64> {
            self.slept.lock().unwrap().iter().map(Duration::as_secs).collect()
        }
    }

    impl Clock for Sleeper {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn instant(&self) -> Instant {
            self.start + self.slept.lock().unwrap().iter().sum::<Duration>()
        }

        fn sleep(&self, time: Duration) {
            self.slept.lock().unwrap().push(time);
        }
    }

    /// Counts what it is told.
    #[derive(Default)]
    struct Told(Mutex<usize>);

    impl Notices for Told {
        fn notice(&self, notice: &Notice) {
            assert!(matches!(notice, Notice::PollFailed { .. }), "{notice:?}");
            *self.0.lock().unwrap() += 1;
        }
    }

    fn begun(expires_in: u64, interval: u64) -> DeviceAuthorization {
        DeviceAuthorization {
            device_code: SecretString::from("CANARY-DC"),
            user_code: "WDJB-MJHT".to_owned(),
            verification_uri: "https://example.com/device".parse().unwrap(),
            verification_uri_complete: None,
            expires_in: Duration::from_secs(expires_in),
            interval: Duration::from_secs(interval),
        }
    }

    fn pending() -> oauth::Error {
        oauth::Error::NotYet(NotYet::Pending)
    }

    fn slow_down() -> oauth::Error {
        oauth::Error::NotYet(NotYet::SlowDown)
    }

    fn away(retry_after: Option<u64>) -> oauth::Error {
        oauth::Error::Unavailable { status: 503, retry_after: retry_after.map(Duration::from_secs) }
    }

    fn lost() -> oauth::Error {
        oauth::Error::Lost { host: "as.example".to_owned(), cause: "timed out".into() }
    }

    /// Polls a provider that answers like this, and then gives the tokens.
    fn run(
        clock: &Sleeper,
        told: &Told,
        begun: &DeviceAuthorization,
        patience: Option<Duration>,
        answers: Vec<oauth::Error>,
    ) -> Result<(), OpsError> {
        let mut answers = answers.into_iter();
        until_answered(clock, told, begun, patience, || match answers.next() {
            Some(error) => Err(Failed { error: error.into(), is_final: false }),
            None => Ok(()),
        })
    }

    #[test]
    fn polls_keep_the_interval_and_slow_down_holds_for_all_that_follow() {
        let (clock, told) = (Sleeper::new(), Told::default());
        let answers = vec![pending(), slow_down(), pending(), slow_down(), pending()];

        run(&clock, &told, &begun(1800, 5), None, answers).unwrap();

        assert_eq!(clock.seconds(), [5, 5, 10, 10, 15, 15]);
        assert_eq!(*told.0.lock().unwrap(), 0);
    }

    #[test]
    fn the_first_poll_waits_too() {
        let clock = Sleeper::new();

        run(&clock, &Told::default(), &begun(1800, 7), None, Vec::new()).unwrap();

        assert_eq!(clock.seconds(), [7]);
    }

    #[test]
    fn a_provider_that_cannot_be_asked_is_asked_ever_later_and_told_of_once() {
        let (clock, told) = (Sleeper::new(), Told::default());
        let answers = vec![lost(), away(None), lost(), pending(), away(Some(90)), pending()];

        run(&clock, &told, &begun(1800, 5), None, answers).unwrap();

        assert_eq!(clock.seconds(), [5, 10, 20, 40, 5, 90, 5]);
        assert_eq!(*told.0.lock().unwrap(), 2, "once for each time that it was away");
    }

    #[test]
    fn the_life_of_the_code_ends_the_polls() {
        let clock = Sleeper::new();
        let polls = Cell::new(0);

        let ended = until_answered(&clock, &Told::default(), &begun(12, 5), None, || {
            polls.set(polls.get() + 1);
            Err::<(), _>(Failed { error: pending().into(), is_final: false })
        });

        assert!(matches!(ended, Err(OpsError::Device(Error::Expired))), "{ended:?}");
        assert_eq!((polls.get(), clock.seconds()), (2, vec![5, 5, 2]));
    }

    #[test]
    fn a_code_without_a_life_is_not_polled_for() {
        let clock = Sleeper::new();

        let ended = run(&clock, &Told::default(), &begun(0, 5), None, Vec::new());

        assert!(matches!(ended, Err(OpsError::Device(Error::Expired))), "{ended:?}");
    }

    #[test]
    fn a_patience_that_is_shorter_than_the_life_of_the_code_ends_the_polls_first() {
        let clock = Sleeper::new();
        let answers = (0..100).map(|_| pending()).collect();

        let ended = run(&clock, &Told::default(), &begun(1800, 5), Some(Duration::from_secs(11)), answers);

        assert!(matches!(ended, Err(OpsError::OAuth(oauth::Error::TimedOut))), "{ended:?}");
        assert_eq!(clock.seconds(), [5, 5, 1]);
    }

    #[test]
    fn any_other_error_stops_the_polls_and_so_does_any_error_after_the_tokens_have_come() {
        let refused = || oauth::Error::Refused(oauth::ServerError::new("invalid_grant", 400));
        let clock = Sleeper::new();
        let ended = run(&clock, &Told::default(), &begun(1800, 5), None, vec![pending(), refused()]);
        assert!(matches!(ended, Err(OpsError::OAuth(oauth::Error::Refused(_)))), "{ended:?}");
        assert_eq!(clock.seconds(), [5, 5]);

        let clock = Sleeper::new();
        let ended = until_answered(&clock, &Told::default(), &begun(1800, 5), None, || {
            Err::<(), _>(Failed { error: lost().into(), is_final: true })
        });
        assert!(matches!(ended, Err(OpsError::OAuth(oauth::Error::Lost { .. }))), "{ended:?}");
        assert_eq!(clock.seconds(), [5]);
    }
}
