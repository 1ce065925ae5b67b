//! A program that we start and wait for, on a platform without signals.

use std::io;
use std::process::Command;

use super::ProcessError;

/// The care for a program that is to be started.
pub struct Child;

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(u8),
}

impl Child {
    /// There is nothing to prepare: what is typed on a console reaches every program on it.
    ///
    /// # Errors
    ///
    /// None.
    pub fn prepare() -> io::Result<Self> {
        Ok(Self)
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn run(&mut self, mut command: Command) -> Result<Ended, ProcessError> {
        match command.status() {
            Ok(status) => {
                Ok(Ended::Exited(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
            }
            Err(source) => Err(ProcessError { program: command.get_program().to_owned(), source }),
        }
    }

    /// No signal was kept.
    pub fn settle(self) {}
}

impl Ended {
    /// The exit status that is to be ours.
    pub fn pass(self) -> u8 {
        let Self::Exited(status) = self;
        status
    }
}
