//! The terminal: the only room that prints, prompts, reads the environment or picks an exit code.

mod age_words;
mod args;
mod browser;
mod commands;
mod complete;
mod courier;
mod desk;
mod environment;
mod error;
pub mod exit;
pub mod format;
mod harmless;
mod hints;
mod json;
mod log;
mod notices;
mod output;
mod own_name;
mod progress;
mod provider_secrets;
mod qr;
mod screen;
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
    crate::system::survive_size_limit();
    log::hide_panics();
    guarded(run)
}

/// Whatever panics, a script is told that it was a bug.
fn guarded(work: fn() -> ExitCode) -> ExitCode {
    std::panic::catch_unwind(work).unwrap_or(Code::Bug.into())
}

fn run() -> ExitCode {
    let environment = environment::Environment::read();
    if complete::answer() {
        return Code::Done.into();
    }
    // Taking the parser down takes longer than the end of the process, which is near.
    let parser = Box::leak(Box::new(args::command()));
    let matches = match parser.try_get_matches_from_mut(own_name::command_line(std::env::args_os())) {
        Ok(matches) => matches,
        Err(refused) => return args::explain(&refused),
    };
    match commands::run(environment, &matches) {
        Ok(()) => Code::Done.into(),
        Err(failure) => output::fail(&failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug_and_everything_else_is_itself() {
        assert_eq!(guarded(|| panic!("a bug, for the test")), Code::Bug.into());
        assert_eq!(guarded(|| Code::Locked.into()), Code::Locked.into());
    }
}
