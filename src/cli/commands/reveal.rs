//! `vault reveal`: prints one secret or field of a profile.

use std::io::{self, IsTerminal};

use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::{Field, ProfileName};
use crate::ops;

/// Print one secret or field of a profile
///
/// For the rare program that needs a long-lived secret itself. On a terminal, where it would stay in
/// the scrollback, it is printed only with `--show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Fields: access_token, api_key, client_id, client_secret, refresh_token, account,
expires_at")]
pub(super) struct Args {
    /// The profile
    #[arg(add = crate::cli::complete::profiles())]
    name: ProfileName,
    /// The field
    field: Field,
    /// Print it even on a terminal
    #[arg(long)]
    show: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if io::stdout().is_terminal() && !args.show {
        return Err(Failure::new(
            Code::Refused,
            format!("the {} would be shown on this terminal", args.field),
        )
        .hint("add `--show` if nobody is looking, or send it through a pipe"));
    }
    let secret =
        session.unlocked(|ctx, vault| Ok(ops::reveal::reveal(ctx, vault, &args.name, args.field)?))?;
    session.output.secret_line(&secret)
}
