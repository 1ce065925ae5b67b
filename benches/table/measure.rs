//! Starting programs, and how long they take.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// What a contestant does once; returns how long it took.
pub type Act<'a> = Box<dyn FnMut() -> Result<Duration, String> + 'a>;

/// One row of a table: what is done, and how.
pub struct Contestant<'a> {
    /// How it is called in the table.
    pub name: String,
    act: Act<'a>,
}

impl<'a> Contestant<'a> {
    /// Whatever `act` does.
    pub fn new(name: impl Into<String>, act: impl FnMut() -> Result<Duration, String> + 'a) -> Self {
        Self { name: name.into(), act: Box::new(act) }
    }

    /// A program, from before it is started until it has been waited for. Its output goes nowhere.
    pub fn program(name: impl Into<String>, command: impl Fn() -> Command + 'a) -> Self {
        Self::new(name, move || {
            let mut command = command();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let begun = Instant::now();
            let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
            let took = begun.elapsed();
            if status.success() { Ok(took) } else { Err(format!("{command:?}: {status}")) }
        })
    }
}

/// How long one contestant took in each round, in the order of the rounds.
pub struct Times {
    /// How it is called in the table.
    pub name: String,
    /// One for each round.
    pub rounds: Vec<Duration>,
    /// The time of processors that its programs have used, in the order of the rounds: what the rest of
    /// the machine does hardly shows in it.
    processor: Vec<Duration>,
}

impl Times {
    /// The middle one.
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// So many of a hundred were not slower.
    pub fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.rounds, percent)
    }

    /// The middle one of the processor times.
    pub fn processor(&self) -> Duration {
        percentile(&self.processor, 50)
    }

    /// Two that are done one after the other, round by round.
    pub fn then(&self, other: &Self) -> Self {
        let both =
            |one: &[Duration], two: &[Duration]| one.iter().zip(two).map(|(one, two)| *one + *two).collect();
        Self {
            name: format!("{} + {}", self.name, other.name),
            rounds: both(&self.rounds, &other.rounds),
            processor: both(&self.processor, &other.processor),
        }
    }
}

/// The one of these times than which so many of a hundred are not longer.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100]
}

/// The processor time of all programs that have been waited for.
fn processor_time() -> Result<Duration, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| error.to_string())?;
    let times = [usage.user_time(), usage.system_time()];
    Ok(times.iter().map(|time| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)).sum())
}

/// Lets the contestants take turns, A B C A B C, so that whatever else the machine does hits all alike.
/// The first round only warms the caches.
pub fn take_turns(rounds: usize, contestants: Vec<Contestant<'_>>) -> Result<Vec<Times>, String> {
    let (mut acts, mut times) = (Vec::new(), Vec::new());
    for Contestant { name, act } in contestants {
        acts.push(act);
        times.push(Times { name, rounds: Vec::new(), processor: Vec::new() });
    }
    for round in 0..=rounds {
        for (act, times) in acts.iter_mut().zip(&mut times) {
            let before = processor_time()?;
            let took = act()?;
            if round > 0 {
                times.rounds.push(took);
                times.processor.push(processor_time()?.saturating_sub(before));
            }
        }
    }
    Ok(times)
}
