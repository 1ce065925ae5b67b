//! What time it is, as a value that tests can own.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Says what time it is, and lets it pass.
pub trait Clock: Send + Sync {
    /// The present moment by the wall clock, which may go back.
    fn now(&self) -> Timestamp;

    /// The present moment by a clock that never goes back, to measure how long something lasts.
    fn instant(&self) -> Instant;

    /// Waits.
    fn sleep(&self, time: Duration);
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
