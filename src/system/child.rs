//! A program that we start and wait for: to whoever sees it from outside, as if it had taken our place.
//!
//! It is in our process group and on our terminal, so that what the terminal sends reaches it without us. What
//! others send to us alone is passed on; we stop when it stops, and end as it ended.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, waitid};
use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
    SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Origin;
use signal_hook::low_level::{emulate_default_handler, raise};

use super::ProcessError;
use super::process::give_back_core_limit;
use super::signals::{Custody, is_ignored};

/// What is passed on to the program. SIGTTIN and SIGTTOU only so that we stop with it, and not before it.
const PASSED_ON: [i32; 12] = [
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU,
];

/// How long a refresh that is under way is waited for, when the program has ended or stopped. Longer than any
/// request takes, its retry included.
const LAST_REFRESH: Duration = Duration::from_secs(45);

/// The care for a program that is to be started, until all is tidied up after it.
pub struct Child {
    signals: SignalsInfo<WithOrigin>,
    custody: Custody,
}

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(u8),
    /// By this signal.
    Killed(i32),
}

/// The process, until it is taken note of that it has ended: from then on, its number may be another's.
type Living = Mutex<Option<Pid>>;

impl Child {
    /// From now on no signal that is meant for the program ends or stops us. One that comes before the program
    /// has started is passed on to it then.
    ///
    /// # Errors
    ///
    /// If the system does not let us have the signals.
    pub fn prepare() -> io::Result<Self> {
        // Whoever has a signal ignored, as `nohup` does, means that for the program too.
        let wanted = PASSED_ON.into_iter().filter(|signal| !is_ignored(*signal));
        // Were this one ignored, the system would keep nobody's exit status.
        Ok(Self { signals: SignalsInfo::new(wanted.chain([SIGCHLD]))?, custody: Custody::begin() })
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    ///
    /// If the program cannot be started, or not be waited for.
    pub fn run(&mut self, mut command: Command) -> Result<Ended, ProcessError> {
        let program = command.get_program().to_owned();
        let failed = |source| ProcessError { program: program.clone(), source };
        let early: Vec<Origin> = self.signals.pending().collect();
        let pid = start(&mut command).map_err(failed)?;
        for signal in early {
            send(pid, signal.signal);
        }
        let living = Living::new(Some(pid));
        let handle = self.signals.handle();
        let ended = thread::scope(|scope| {
            let (signals, living) = (&mut self.signals, &living);
            scope.spawn(move || signals.forever().for_each(|signal| pass_on(&signal, living)));
            let ended = wait(pid, living, &self.custody);
            handle.close();
            ended
        });
        ended.map_err(failed)
    }

    /// Waits for a refresh that is still under way, and has signals take effect on us again.
    pub fn settle(self) {
        self.custody.when_none_is_deferred(LAST_REFRESH, || ());
    }
}

impl Ended {
    /// Ends us by the same signal, if the program was ended by one; else the exit status that is to be ours.
    /// Everything must be tidied up before.
    pub fn pass(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => {
                let _ = emulate_default_handler(signal);
                // A signal without a name: what a shell would say.
                u8::try_from(128 + signal).unwrap_or(u8::MAX)
            }
        }
    }
}

#[allow(unsafe_code, reason = "only the program, and not we, may leave a core dump")]
fn start(command: &mut Command) -> io::Result<Pid> {
    let give_back = || {
        give_back_core_limit();
        Ok(())
    };
    // SAFETY: between fork and exec, only async-signal-safe calls are allowed: this is one system call on a value
    // that was set long before, without memory or locks.
    unsafe { command.pre_exec(give_back) };
    let child = command.spawn()?;
    Ok(Pid::from_child(&child))
}

/// Waits for the end of the program, and stops whenever it stops.
fn wait(pid: Pid, living: &Living, custody: &Custody) -> io::Result<Ended> {
    // Not reaped yet: as long as it is not, its number is no other's.
    let look = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    loop {
        let status = wait_for(pid, look)?;
        if status.is_some_and(|status| !status.stopped()) {
            break;
        }
        custody.when_none_is_deferred(LAST_REFRESH, || stop_with(pid));
    }
    *living.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let status = wait_for(pid, WaitIdOptions::EXITED)?;
    Ok(status.map_or(Ended::Exited(1), |status| match (status.exit_status(), status.terminating_signal()) {
        (_, Some(signal)) => Ended::Killed(signal),
        // Only the lowest eight bits reach a parent.
        (Some(status), _) => Ended::Exited((status & 0xff) as u8),
        (None, None) => Ended::Exited(1),
    }))
}

fn wait_for(pid: Pid, options: WaitIdOptions) -> io::Result<Option<WaitIdStatus>> {
    loop {
        match waitid(WaitId::Pid(pid), options) {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Stops us with the program, if it is stopped still: a shell sees only us.
fn stop_with(pid: Pid) {
    let stopped = wait_for(pid, WaitIdOptions::STOPPED | WaitIdOptions::NOHANG).ok().flatten();
    let Some(signal) = stopped.and_then(|status| status.stopping_signal()) else { return };
    // A terminal's user has a shell that lets us go on. Who else stops the program alone need not.
    if signal == Signal::STOP.as_raw() && !has_terminal() {
        return;
    }
    // To this thread, so that all have stopped when it returns.
    let _ = raise(Signal::STOP.as_raw());
    send(pid, SIGCONT);
}

fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

fn pass_on(signal: &Origin, living: &Living) {
    // Until the end is noted, the number is the program's, even if it has ended.
    let living = living.lock().unwrap_or_else(PoisonError::into_inner);
    let sender = signal.process.map(|sender| sender.pid);
    if let Some(pid) = *living
        && is_for_it(signal.signal, sender, pid.as_raw_nonzero().get())
    {
        send(pid, signal.signal);
    }
}

/// Whether the program, which is `pid`, has not had the signal already.
fn is_for_it(signal: i32, sender: Option<i32>, pid: i32) -> bool {
    match signal {
        SIGCHLD => false,
        // When a terminal is closed, the leader of the session alone is told.
        SIGHUP => true,
        // A terminal sends to the whole group, and is no process. A program that stops itself and its helpers
        // sends to the group too.
        _ => sender.is_some_and(|sender| sender > 0 && sender != pid),
    }
}

fn send(pid: Pid, signal: i32) {
    let Some(signal) = Signal::from_named_raw(signal) else { return };
    if let Err(error) = kill_process(pid, signal) {
        log::debug!("a signal could not be passed on: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_group_has_had_is_not_passed_on_a_second_time() {
        let (terminal, shell, program) = (None, Some(10), 20);

        for signal in [SIGINT, SIGQUIT, SIGTSTP, SIGTERM, SIGUSR1, SIGCONT] {
            assert!(!is_for_it(signal, terminal, program), "{signal} of a terminal");
            assert!(!is_for_it(signal, Some(0), program), "{signal} of a kernel that calls itself process 0");
            assert!(!is_for_it(signal, Some(program), program), "{signal} of the program to its group");
            assert!(is_for_it(signal, shell, program), "{signal} of another process, perhaps to us alone");
        }
        assert!(is_for_it(SIGHUP, terminal, program), "the terminal is gone, which only we may be told");
        assert!(!is_for_it(SIGCHLD, shell, program));
    }
}
