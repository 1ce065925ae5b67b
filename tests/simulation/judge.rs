//! Whether a command may end as it does.

use vault::ops::Error;
use vault::{seal, store};

use crate::commands::Command;
use crate::world::State;

/// Whether the program would say that its files cannot be trusted (exit code 6).
pub(crate) fn is_distrust(error: &Error) -> bool {
    match error {
        Error::Document { source, .. } => !matches!(source, seal::Error::Newer { .. }),
        Error::ManifestMissing
        | Error::KeyNotAccepted { .. }
        | Error::RolledBack { .. }
        | Error::Removed { .. }
        | Error::Misplaced { .. }
        | Error::OtherVault { .. }
        | Error::ClientMissing { .. } => true,
        // A disk that cannot be read says nothing of what is on it.
        Error::NotAllVerified { failed, .. } => failed.iter().any(|(_, error)| is_distrust(error)),
        Error::KeyPartlyRotated { source: Some(source), .. } => is_distrust(source),
        Error::Store(error) => {
            matches!(error, store::Error::Unsafe { .. } | store::Error::NotADocument { .. })
        }
        _ => false,
    }
}

/// Whether a command ends for another reason than it may: nobody is ever locked out, and a rotation that
/// meets nothing gets through.
pub(crate) fn is_odd(command: &Command, error: &Error, state: &State, process: usize) -> bool {
    let may_fail = state.ledger.has_met_failure(process);
    let may_wait = state.ledger.is_another_struck(process) || state.trouble > 0.0;
    match (command, error) {
        (_, Error::Unlock(_)) => true,
        (Command::Rotate, error) if is_for_a_person(error) => false,
        (Command::Rotate, Error::KeyPartlyRotated { .. }) => !may_fail && !may_wait,
        (Command::Rotate, Error::Store(store::Error::Busy { .. } | store::Error::InUse { .. })) => !may_wait,
        (Command::Rotate, _) => !may_fail,
        _ => false,
    }
}

/// Whether a printed block is of a key that is gone: then a place that had failed has taken it all the same.
pub(crate) fn is_overtaken(command: &Command, error: &Error) -> bool {
    matches!(command, Command::ImportRescue(_))
        && matches!(error, Error::Document { source: seal::Error::OtherKey, .. })
}

/// Whether only a person can say what becomes of what is sealed to the old key.
fn is_for_a_person(error: &Error) -> bool {
    match error {
        Error::KeyPartlyRotated { source: Some(source), .. } => is_for_a_person(source),
        error => matches!(error, Error::RescuesOutstanding { .. } | Error::KeptAside { .. }),
    }
}

/// What was set aside and keeps a rotation from its end.
pub(crate) fn kept_aside(error: &Error) -> Option<&[String]> {
    match error {
        Error::KeptAside { files } => Some(files),
        Error::KeyPartlyRotated { source: Some(source), .. } => kept_aside(source),
        _ => None,
    }
}
