//! The terminal: the only room that prints, prompts, reads the environment or picks an exit code.

mod age_words;
mod args;
mod commands;
mod complete;
mod courier;
mod environment;
mod error;
pub mod exit;
pub mod format;
mod hints;
mod json;
mod log;
mod notices;
mod output;
mod progress;
mod secret_input;
mod session;
mod table;
mod terminal;

use std::process::ExitCode;

use error::Failure;
use exit::Code;

pub use args::command;

/// The program: reads the command line, does what it says, and returns how that ended.
pub fn main() -> ExitCode {
    crate::system::harden();
    log::hide_panics();
    let environment = environment::Environment::read();
    if complete::answer() {
        return Code::Done.into();
    }
    std::panic::catch_unwind(|| run(environment)).unwrap_or(Code::Bug.into())
}

fn run(environment: environment::Environment) -> ExitCode {
    let matches = match args::command().try_get_matches() {
        Ok(matches) => matches,
        Err(refused) => return args::explain(&refused),
    };
    match commands::run(environment, &matches) {
        Ok(()) => Code::Done.into(),
        Err(failure) => output::fail(&failure),
    }
}
