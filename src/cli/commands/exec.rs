//! `vault exec`: runs a program with the variables of a profile, in our place.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::Command;

use secrecy::ExposeSecret;

use crate::cli::args::{ProfileArg, SetArgs};
use crate::cli::environment::UNLOCKING;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::ops::{self, variables};
use crate::system::{ProcessError, replace_process};

/// Run a program with the variables of a profile
///
/// The program takes our place: same process id, same terminal, same signals, and its exit status is
/// ours. It does not get the variables that unlock the vault.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault exec work -- ./sync.py
  vault exec work --set TOKEN=access_token -- ./deploy.sh --fast

Exit status: the program's; 127 if it is not found, 126 if it cannot be run.")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    #[command(flatten)]
    set: SetArgs,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs it. Returns only if the program could not be started.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let (program, arguments) = args.command.split_first().expect("the parser requires a program");
    let mut command = Command::new(program);
    command.args(arguments);
    for name in UNLOCKING {
        command.env_remove(name);
    }
    session.with(|ctx| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve(session, ctx, &vault)?;
        for variable in variables::variables(ctx, &vault, &name, &args.set.assignments())? {
            command.env(variable.name.as_str(), variable.value.expose_secret());
        }
        Ok(())
    })?;
    Err(not_run(&replace_process(command)))
}

/// The exit status of a shell that cannot run a program (POSIX, XCU 2.8.2).
fn not_run(error: &ProcessError) -> Failure {
    let status = if error.source.kind() == ErrorKind::NotFound { 127 } else { 126 };
    Failure::of_program(status, error)
}
