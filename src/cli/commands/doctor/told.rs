//! A check in the words in which it is told.

use super::remedy;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::table::printable;
use crate::ops::doctor::{Check, Outcome, Subject, Trouble};
use crate::store::Role;

/// A check as it is told.
pub(super) struct Told {
    /// What was checked.
    pub(super) check: &'static str,
    /// On what, in words.
    pub(super) subject: Option<String>,
    /// On what, as it was found.
    pub(super) about: Subject,
    /// How it went.
    pub(super) outcome: Outcome,
    /// What was found, for the user.
    pub(super) found: String,
    /// What was found, for everybody.
    pub(super) public: String,
    /// What would mend it.
    pub(super) fix: Option<String>,
    /// The exit code that it gives, if it is bad.
    pub(super) status: u8,
}

impl Told {
    pub(super) fn of(check: Check) -> Self {
        let cause = check.cause.map(Failure::from);
        let said = cause.iter().flat_map(|cause| &cause.messages);
        let more: Vec<String> =
            check.detail.iter().chain(said).map(|text| printable(text).into_owned()).collect();
        let status = match (&cause, check.outcome) {
            (Some(cause), _) => cause.status,
            (None, Outcome::Bad(trouble)) => code(trouble) as u8,
            _ => Code::Done as u8,
        };
        let hint = cause.as_ref().and_then(|cause| cause.hints.first());
        let fix = check.remedy.as_ref().map(remedy::words).or_else(|| hint.cloned());
        Self {
            check: check.check,
            subject: subject(&check.subject).map(|text| printable(&text).into_owned()),
            found: match more.is_empty() {
                true => check.found.clone(),
                false => format!("{}: {}", check.found, more.join("; ")),
            },
            public: match &cause {
                Some(cause) => format!("{} (exit code {})", check.found, cause.status),
                None => check.found,
            },
            fix: fix.map(|text| printable(&text).into_owned()),
            about: check.subject,
            outcome: check.outcome,
            status,
        }
    }

    /// How it went, in one word.
    pub(super) fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Bad(_) => "bad",
            Outcome::Skipped => "skipped",
        }
    }
}

fn code(trouble: Trouble) -> Code {
    match trouble {
        Trouble::Locked => Code::Locked,
        Trouble::Login => Code::LoginNeeded,
        Trouble::Integrity => Code::Integrity,
        Trouble::Later => Code::Later,
        Trouble::Storage => Code::Storage,
    }
}

fn subject(subject: &Subject) -> Option<String> {
    Some(match subject {
        Subject::Profile(name) => format!("profile `{name}`"),
        Subject::Client(name) => format!("client `{name}`"),
        Subject::Host(host) => host.clone(),
        Subject::Slot { kind, id } => format!("{kind} slot {id}"),
        Subject::Place(role) => place(*role).to_owned(),
        Subject::Path { path, .. } => path.display().to_string(),
        Subject::Variable(name) => (*name).to_owned(),
        _ => return None,
    })
}

/// What a place is called.
pub(super) fn place(role: Role) -> &'static str {
    match role {
        Role::Vault => "the vault directory",
        Role::Cache => "the cache directory",
        Role::State => "the state directory",
    }
}
