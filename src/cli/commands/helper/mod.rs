//! `vault helper`: answers other programs in the protocols by which they ask for credentials.

mod cargo;
mod docker;
mod git;
mod kubectl;

use clap::Subcommand;

use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::serve::helper::Reply;

/// Answer another program in its own protocol
///
/// These are called by the tools themselves, also under the names that they look for, such as
/// `git-credential-vault`. `vault setup TOOL` tells a tool to do so.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    protocol: Protocol,
}

#[derive(Debug, Subcommand)]
enum Protocol {
    Cargo(cargo::Args),
    Docker(docker::Args),
    Git(git::Args),
    Kubectl(kubectl::Args),
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    match args.protocol {
        Protocol::Cargo(args) => cargo::run(session, args),
        Protocol::Docker(args) => docker::run(session, args),
        Protocol::Git(args) => git::run(session, args),
        Protocol::Kubectl(args) => kubectl::run(session, args),
    }
}

/// What a tool reads of a helper that has failed: any status but 0.
const FAILED: u8 = 1;

/// Passes on what is said to the program, and to the person.
fn say(session: &Session, reply: &Reply) -> Result<(), Failure> {
    if let Some(word) = &reply.word {
        output::complain(&format!("vault: {word}"));
    }
    session.output.secret(&reply.answer)?;
    if reply.is_error { Err(Failure::silent(FAILED)) } else { Ok(()) }
}

/// Standard input could not be read.
fn not_read(error: &std::io::Error) -> Failure {
    Failure::new(crate::cli::exit::Code::Storage, format!("cannot read what is asked: {error}"))
}
