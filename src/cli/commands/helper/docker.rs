//! `vault helper docker`: a credential helper of docker, and of all who speak its protocol.

use std::collections::BTreeSet;
use std::io;

use super::{not_read, say};
use crate::cli::desk::SessionDesk;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::domain::{Host, ProfileName, Use};
use crate::ops::{self, Context, hosts};
use crate::serve::docker;

/// Answer docker, podman and others that ask a docker credential helper
#[derive(Debug, clap::Args)]
#[command(after_help = "\
They call this before they speak to a registry. It is answered for the
registries that a profile is bound to, exactly, and for no other. Nobody is
asked for anything, and nothing is stored.

Set it up:
  vault setup docker work --host europe-docker.pkg.dev --write

What that does:
  vault edit work --bind docker=europe-docker.pkg.dev
and in ~/.docker/config.json, with `docker-credential-vault` in the PATH:
  {\"credHelpers\": {\"europe-docker.pkg.dev\": \"vault\"}}

Actions:
  get           user name and token for the registry on standard input
  list          the registries that profiles are bound to
  store, erase  nothing
  version       who answers

An error is on standard output, as docker reads it, and its exit status is 1.

Examples:
  printf europe-docker.pkg.dev | vault helper docker get")]
pub(super) struct Args {
    /// The profile whose token is given, if it is bound to the host [default: the one that is bound]
    #[arg(short, long, value_name = "NAME", add = crate::cli::complete::profiles())]
    profile: Option<ProfileName>,
    /// What docker wants: get, list, store, erase, version
    #[arg(value_name = "ACTION")]
    action: String,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if args.action == "list" {
        return say(session, &docker::list(&session.with(bound)?));
    }
    let desk = SessionDesk::brief(session, "helper docker");
    let reply = docker::answer(&desk, args.profile.as_ref(), &args.action, io::stdin().lock());
    say(session, &reply.map_err(|error| not_read(&error))?)
}

/// The registries that profiles say they are bound to: for a list, nothing needs to be opened.
fn bound(ctx: Context<'_>) -> Result<BTreeSet<Host>, Failure> {
    match hosts::bound(ctx, Use::Docker) {
        Err(ops::Error::NoVault { .. }) => Ok(BTreeSet::new()),
        bound => Ok(bound?),
    }
}
