//! For what stays up until it is told to end: the signals that end a program are heard, and obeyed in order.

use std::io;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::signals::{Custody, is_ignored};

/// How long a refresh that is under way is waited for before we stop for a while. Longer than any request takes,
/// its retry included.
const LAST_REFRESH: Duration = Duration::from_secs(45);

/// While it lives, the signals that end a program do not end us: whoever waits for them is told. When it is
/// dropped they have their usual effect again, so that a second one ends what takes too long.
pub struct Ending {
    signals: Signals,
    custody: Custody,
}

impl Ending {
    /// Takes the signals from now on.
    ///
    /// # Errors
    ///
    /// If the system does not let us have them.
    pub fn begin() -> io::Result<Self> {
        // Whoever has one ignored, as `nohup` does, means that.
        let wanted = [SIGINT, SIGTERM, SIGHUP, SIGTSTP].into_iter().filter(|signal| !is_ignored(*signal));
        Ok(Self { signals: Signals::new(wanted)?, custody: Custody::begin() })
    }

    /// Waits until we are to end. A wish to stop for a while is granted, as soon as no refresh is under way.
    pub fn wait(&mut self) {
        for signal in self.signals.forever() {
            if signal != SIGTSTP {
                return;
            }
            self.custody.when_none_is_deferred(LAST_REFRESH, || {
                let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
            });
        }
    }
}
