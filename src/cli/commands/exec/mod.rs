//! `vault exec`: runs a program with the variables of a profile.

mod adc;
mod staying;
pub(super) mod surroundings;
pub(super) mod told;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::Command;

use secrecy::ExposeSecret;

use super::only::OnlyArgs;
use crate::cli::args::{ProfileArg, SetArgs};
use crate::cli::environment::{UNLOCKING, inherited};
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::domain::Variable;
use crate::ops::variables;
use crate::system::{ProcessError, replace_process};
use adc::Adc;
use staying::{How, Staying};

/// Run a program with the variables of a profile
///
/// Programs of Google and gcloud get tokens that are renewed while they run, from a server on this machine that
/// ends with the program; `--adc` chooses its kind. Where nothing has to stay up, the program takes our place:
/// same process id, same terminal, same signals. Its exit status is ours either way. It does not get the variables
/// that unlock the vault.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault exec work -- ./sync.py
  vault exec work -- gcloud storage ls
  vault exec work --adc metadata -- ./gradlew run
  vault exec work --token-file -- ./sync.sh      (reads the file $OAUTH_ACCESS_TOKEN_FILE)
  vault exec work --set TOKEN=access_token -- ./deploy.sh --fast

Exit status: the program's; 127 if it is not found, 126 if it cannot be run.")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    only: OnlyArgs,
    /// How programs that use Google's Application Default Credentials get tokens: from a broker (Python, Node,
    /// Go, Rust), a metadata server (also Java, .NET, Ruby), or not at all [default: broker for a profile at
    /// Google, metadata for its Java, .NET and Ruby programs, else none]
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    adc: Option<Adc>,
    /// Put the access token into a private file that is kept fresh, and none into a variable VAR: VAR_FILE is its
    /// path
    #[arg(long)]
    token_file: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What is to become of the program.
enum Way<'a> {
    /// It takes our place.
    Replace(Vec<Variable>),
    /// We stay up as long as it runs.
    Stay(Box<Staying<'a>>),
}

/// Runs it. Returns only after its end, or if it could not be started.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let way = session.with(|ctx| {
        let (vault, by_hand) = session.unlock_to_go_on(ctx)?;
        let name = args.profile.resolve(session, ctx, &vault)?;
        let plan = variables::plan(ctx, &vault, &name, &args.set.assignments())?;
        let plan = plan.narrowed(&vault, args.only.scopes().as_ref())?;
        let adc = Adc::chosen(args.adc, &plan.profile().provider, &args.command[0]);
        if adc == Adc::None && !args.token_file {
            return Ok(Way::Replace(plan.open(ctx, &vault)?.variables));
        }
        let how = How { adc, is_asked: args.adc.is_some(), token_file: args.token_file };
        let staying = Staying::open(session, ctx, &vault, plan, how)?;
        Ok(Way::Stay(Box::new(staying.holding(by_hand.then_some(vault)))))
    })?;
    let mut command = program(&args.command);
    for name in surroundings::left_by_another_run(&|name| inherited(name), session.runtime_dir()) {
        command.env_remove(name);
    }
    match way {
        Way::Replace(variables) => {
            set(&mut command, &variables);
            Err(not_run(&replace_process(command)))
        }
        Way::Stay(staying) => staying.run(command),
    }
}

fn program(words: &[OsString]) -> Command {
    let (program, arguments) = words.split_first().expect("the parser requires a program");
    let mut command = Command::new(program);
    command.args(arguments);
    for name in UNLOCKING {
        command.env_remove(name);
    }
    command
}

fn set(command: &mut Command, variables: &[Variable]) {
    for variable in variables {
        command.env(variable.name.as_str(), variable.value.expose_secret());
    }
}

/// The exit status of a shell that cannot run a program (POSIX, XCU 2.8.2).
fn not_run(error: &ProcessError) -> Failure {
    let status = if error.source.kind() == ErrorKind::NotFound { 127 } else { 126 };
    Failure::of_program(status, error)
}
