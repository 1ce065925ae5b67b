//! Signals that must wait until a new token is safe, or are meant for a program that we have started.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGXFSZ};

/// What a terminal or a person sends. SIGTSTP too: the time of a request goes on while its process is
/// stopped by Ctrl-Z, and an answer that came meanwhile would be dropped.
const SIGNALS: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGTSTP];

/// While it lives, the signals that end or stop a process wait; when the last one is dropped, one that came
/// takes effect.
///
/// The wait is bounded: what happens meanwhile has its own deadline.
#[must_use = "signals wait only while it lives"]
pub struct Deferral {
    switches: &'static [Switch],
}

/// While it lives, those signals have no effect of their own: whoever has it passes them on.
#[must_use = "signals are kept only while it lives"]
pub(super) struct Custody {
    switches: &'static [Switch],
}

/// Who keeps the signals from taking effect. Threads of a server do so each for itself.
struct Keepers {
    now: Mutex<Now>,
    /// Told when the last deferral has ended.
    has_ended: Condvar,
}

#[derive(Default)]
struct Now {
    deferrals: usize,
    in_custody: bool,
}

static KEEPERS: Keepers =
    Keepers { now: Mutex::new(Now { deferrals: 0, in_custody: false }), has_ended: Condvar::new() };

/// Whether a long work that is done in steps goes on, which can end between any two of them.
static IN_STEPS: AtomicBool = AtomicBool::new(false);

static SWITCHES: OnceLock<Vec<Switch>> = OnceLock::new();

struct Switch {
    signal: i32,
    came: Arc<AtomicBool>,
    /// Whether the signal takes effect at once.
    is_armed: Arc<AtomicBool>,
}

/// Lets a write beyond the limit on file sizes fail like one to a full disk. By default the signal
/// would end the process without a word (POSIX, `write`).
pub fn survive_size_limit() {
    // A handler and not "ignore": the programs that we start get back what is usual.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, Arc::default()) {
        log::debug!("SIGXFSZ could not be caught: {error}");
    }
}

impl Deferral {
    /// Makes the signals wait from now on.
    pub fn begin() -> Self {
        Self { switches: KEEPERS.change(|now| now.deferrals += 1) }
    }

    /// The same for a long work that is done in steps: what it waits for within one need not be waited
    /// for any more once a signal has come, see [`is_asked_to_end`].
    pub fn between_steps() -> Self {
        let deferral = Self::begin();
        IN_STEPS.store(true, Ordering::SeqCst);
        deferral
    }

    /// Whether a signal that ends the process has come; it counts as obeyed then. A wish to stop for a
    /// while is granted here.
    pub fn is_interrupted(&self) -> bool {
        let mut is_interrupted = false;
        for switch in self.switches.iter().filter(|switch| switch.came.swap(false, Ordering::SeqCst)) {
            if switch.signal == SIGTSTP {
                let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
            } else {
                is_interrupted = true;
            }
        }
        is_interrupted
    }
}

/// Whether a work that is done in steps goes on, and a signal that ends the process waits for it.
pub fn is_asked_to_end() -> bool {
    let has_come = |switch: &Switch| switch.signal != SIGTSTP && switch.came.load(Ordering::SeqCst);
    IN_STEPS.load(Ordering::SeqCst) && SWITCHES.get().is_some_and(|switches| switches.iter().any(has_come))
}

impl Drop for Deferral {
    fn drop(&mut self) {
        IN_STEPS.store(false, Ordering::SeqCst);
        KEEPERS.change(|now| now.deferrals -= 1);
        KEEPERS.has_ended.notify_all();
        // Where others wait too, or the signals are for somebody else, these are not ours to obey.
        for switch in self.switches.iter().filter(|switch| switch.is_armed.load(Ordering::SeqCst)) {
            if switch.came.swap(false, Ordering::SeqCst) {
                let _ = signal_hook::low_level::emulate_default_handler(switch.signal);
            }
        }
    }
}

impl Custody {
    /// Takes the signals from now on.
    pub(super) fn begin() -> Self {
        Self { switches: KEEPERS.change(|now| now.in_custody = true) }
    }

    /// Waits until nothing defers signals, for `limit` at most, and then does `work` before anything does so
    /// again.
    pub(super) fn when_none_is_deferred<T>(&self, limit: Duration, work: impl FnOnce() -> T) -> T {
        let now = KEEPERS.now();
        let waited = KEEPERS.has_ended.wait_timeout_while(now, limit, |now| now.deferrals > 0);
        let _still = waited.unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

impl Drop for Custody {
    fn drop(&mut self) {
        // Those that came were passed on.
        self.switches.iter().for_each(|switch| switch.came.store(false, Ordering::SeqCst));
        KEEPERS.change(|now| now.in_custody = false);
    }
}

impl Keepers {
    /// Changes who keeps the signals: they take effect again if it is nobody any more.
    fn change(&self, change: impl FnOnce(&mut Now)) -> &'static [Switch] {
        let switches = SWITCHES.get_or_init(|| SIGNALS.into_iter().filter_map(Switch::install).collect());
        let mut now = self.now();
        change(&mut now);
        let is_armed = now.deferrals == 0 && !now.in_custody;
        switches.iter().for_each(|switch| switch.is_armed.store(is_armed, Ordering::SeqCst));
        switches
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switch {
    /// Registers the handlers once and for all: a handler that is taken away again would leave the
    /// signal ignored.
    fn install(signal: i32) -> Option<Self> {
        if is_ignored(signal) {
            // Whoever has ignored it, as `nohup` does, means that for the programs after us too.
            return None;
        }
        let came = Arc::new(AtomicBool::new(false));
        let is_armed = Arc::new(AtomicBool::new(true));
        let on_default = signal_hook::flag::register_conditional_default(signal, Arc::clone(&is_armed));
        let on_wait = signal_hook::flag::register(signal, Arc::clone(&came));
        match (on_default, on_wait) {
            (Ok(_), Ok(_)) => Some(Self { signal, came, is_armed }),
            _ => None,
        }
    }
}

/// Whether the signal was ignored when we were started.
#[cfg(target_os = "linux")]
pub(super) fn is_ignored(signal: i32) -> bool {
    // proc(5): `SigIgn` is a mask in hexadecimal, bit 0 for signal 1.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// There is no way to ask without `unsafe`; the signal is taken for one that was not ignored.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_ignored(_: i32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_armed() -> bool {
        KEEPERS.change(|_| {}).iter().all(|switch| switch.is_armed.load(Ordering::SeqCst))
    }

    #[test]
    fn signals_take_effect_again_only_when_the_last_of_several_threads_lets_them() {
        let first = Deferral::begin();
        let second = std::thread::spawn(Deferral::begin).join().unwrap();
        drop(first);
        assert!(!is_armed(), "another thread still waits for its answer");

        let custody = Custody::begin();
        drop(second);
        assert!(!is_armed(), "they are for the program that was started");
        drop(custody);
        assert!(is_armed());
    }
}
