//! `vault completions`: the completion script of a shell.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap_complete::env::Shells;

use crate::cli::error::Failure;
use crate::cli::session::Session;

/// Print the completion script of a shell
///
/// It completes commands, options and the names of profiles and clients.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bash        echo 'source <(vault completions bash)' >> ~/.bashrc
  zsh         echo 'source <(vault completions zsh)' >> ~/.zshrc
  fish        vault completions fish > ~/.config/fish/completions/vault.fish
  elvish      echo 'eval (vault completions elvish | slurp)' >> ~/.config/elvish/rc.elv
  powershell  vault completions powershell >> $PROFILE")]
pub(super) struct Args {
    /// The shell
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).expect("the parser takes only shells that there are");
    let mut script = Vec::new();
    let name = called_as();
    shell
        .write_registration("VAULT_COMPLETE", &name, &name, &name, &mut script)
        .map_err(|error| Failure::usage(error.to_string()))?;
    session.output.answer(&String::from_utf8_lossy(&script))
}

/// The name that we are called by: another program of the name `vault` may be installed beside us.
fn called_as() -> String {
    let name = std::env::args_os().next().map(PathBuf::from);
    let stem = name.as_deref().and_then(Path::file_stem).and_then(OsStr::to_str);
    let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    stem.filter(is_plain).unwrap_or("vault").to_owned()
}
