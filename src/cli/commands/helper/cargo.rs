//! `vault helper cargo`: the credential provider of cargo.

use std::io;

use crate::cli::desk::SessionDesk;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::serve;

/// Answer cargo when it reads from a registry or publishes there
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A token goes to a registry only if a profile is bound to its host; others are
left to cargo's other providers. cargo says all that it wants on standard input.

Set it up, for a registry that ~/.cargo/config.toml knows:
  vault setup cargo work --registry corp --write

What that does, there:
  [registries.corp]
  index = \"sparse+https://crates.example.com/index/\"
  credential-provider = [\"vault\", \"--profile\", \"work\"]

and so that the profile's token may be sent there:
  vault edit work --bind cargo=crates.example.com")]
pub(super) struct Args {
    /// What cargo calls every provider with
    #[arg(long)]
    cargo_plugin: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, _: Args) -> Result<(), Failure> {
    let desk = SessionDesk::brief(session, "helper cargo");
    serve::cargo::serve(&desk, &mut io::stdin().lock(), &mut io::stdout().lock())
        .map_err(|error| Failure::new(Code::Storage, format!("cannot talk with cargo: {error}")))
}
