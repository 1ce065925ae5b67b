//! The machine below us: its clock, its processes, its random numbers.

mod clock;
mod process;
mod random;
#[cfg(unix)]
mod signals;

pub use clock::{Clock, SystemClock};
pub use process::{Error as ProcessError, harden, replace_process};
pub use random::{random_bytes, random_id};
#[cfg(unix)]
pub use signals::Deferral;
