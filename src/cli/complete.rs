//! Completions: of commands and options from the parser, of profile names from the vault.

use std::ffi::OsStr;

use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::args::Globals;
use super::environment::Environment;
use super::session::Session;
use crate::ops::{providers, registry};

/// Answers a shell that asks for completions, and says whether one did.
pub(super) fn answer() -> bool {
    CompleteEnv::with_factory(super::args::command)
        .var("VAULT_COMPLETE")
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref())
        .unwrap_or(true)
}

/// Completes names of profiles. Needs no key.
pub(super) fn profiles() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |session| {
            session.with(|ctx| Ok(registry::names(ctx)?.iter().map(ToString::to_string).collect()))
        })
    })
}

/// Completes names of clients. Needs no key.
pub(super) fn clients() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |session| {
            session.with(|ctx| {
                Ok(ctx
                    .store
                    .clients()
                    .map_err(super::Failure::from)?
                    .iter()
                    .map(ToString::to_string)
                    .collect())
            })
        })
    })
}

/// Completes names of providers. Needs no key.
pub(super) fn providers() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, |session| session.with(|ctx| Ok(providers::names(ctx)?)))
    })
}

type Names = Result<Vec<String>, super::Failure>;

/// The names that begin with what was typed. A vault that cannot be read has none.
fn candidates(typed: &OsStr, names: impl FnOnce(&Session) -> Names) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let session = Session::new(
        "complete".to_owned(),
        Globals { no_input: true, quiet: true, ..Globals::default() },
        Environment::read(),
    );
    let names = session.and_then(|session| names(&session)).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(&*typed)).map(CompletionCandidate::new).collect()
}
