//! `vault helper git`: a credential helper of git.

use std::io;

use super::{not_read, say};
use crate::cli::desk::SessionDesk;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::domain::ProfileName;
use crate::serve::git;

/// Answer git
#[derive(Debug, clap::Args)]
#[command(after_help = "\
git calls this when a server wants to know who you are. It is answered for the
hosts that a profile is bound to, exactly, and for no other. Nobody is asked for
anything, nothing is stored, and nothing in the current directory matters.

Set it up:
  vault setup git work --host git.example.com --write

What that does:
  vault edit work --bind git=git.example.com
  git config --global credential.https://git.example.com.helper \\
    'vault --profile work'

Operations:
  get         a token in place of a password, or in a Bearer header for a server
              that takes nothing else and a git that can send one
  erase       forget the cached token, if it is the one that git says is refused
  store       nothing
  capability  what is spoken here

Examples:
  printf 'protocol=https\\nhost=git.example.com\\n\\n' | vault helper git get")]
pub(super) struct Args {
    /// The profile whose token is given, if it is bound to the host [default: the one that is bound]
    #[arg(short, long, value_name = "NAME", add = crate::cli::complete::profiles())]
    profile: Option<ProfileName>,
    /// What git wants: get, erase, store, capability
    #[arg(value_name = "OPERATION")]
    operation: String,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let desk = SessionDesk::brief(session, "helper git");
    let reply = git::answer(&desk, args.profile.as_ref(), &args.operation, io::stdin().lock());
    say(session, &reply.map_err(|error| not_read(&error))?)
}
