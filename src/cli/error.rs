//! How an error reads, and which exit code it gives.
//!
//! A message is one lower-case sentence without a final full stop. What the user can do about it is a
//! hint, on its own line. No other file decides either.

use std::error::Error as StdError;
use std::fmt;

use super::age_words;
use super::exit::Code;
use super::format;
use super::hints;
use super::table::printable;
use crate::domain::agent_protocol;
use crate::ops::audit::Outcome;
use crate::ops::providers;
use crate::serve::kubectl;
use crate::system::{NamedFileError, NewFileError, RunDirError, UserFileError};
use crate::{oauth, ops, seal, store, unlock};

/// Why a command failed, as it is told.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit status: one of ours, or that of a shell that cannot run a program.
    pub status: u8,
    /// What happened, and its causes.
    pub messages: Vec<String>,
    /// What the user can do, one line each.
    pub hints: Vec<String>,
    /// Text that must reach the user whole: a rescue block.
    pub block: Option<String>,
}

impl Failure {
    /// A failure with one message.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { status: code as u8, messages: vec![message.into()], hints: Vec::new(), block: None }
    }

    /// A failure with one message and the exit code of another failure.
    pub(super) fn with_status(status: u8, message: impl Into<String>) -> Self {
        Self { status, ..Self::new(Code::Bug, message) }
    }

    /// A failure of which everything has been said.
    pub(super) fn silent(status: u8) -> Self {
        Self { status, messages: Vec::new(), hints: Vec::new(), block: None }
    }

    /// The command line makes no sense.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Adds what the user can do.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A program could not be run; `status` is what a shell would answer.
    pub(super) fn of_program(status: u8, error: &dyn StdError) -> Self {
        Self { status, ..Self::of(Code::Storage, error) }
    }

    /// A program has run, and its exit status is to be ours. There is nothing to say.
    pub(super) fn of_status(status: u8) -> Self {
        Self { status, messages: Vec::new(), hints: Vec::new(), block: None }
    }

    /// The files of a run cannot be had.
    pub(super) fn of_run_dir(error: &RunDirError) -> Self {
        Self::of(Code::Storage, error)
    }

    /// What `error` says, and its causes.
    pub(super) fn causes_of(error: &ops::Error) -> Vec<String> {
        Self::of(Code::Bug, error).messages
    }

    /// The whole of it in one line, for a program that shows it to its user.
    pub(super) fn in_one_line(&self) -> String {
        let text = self.messages.join(": ");
        let text = self.hints.iter().fold(text, |text, hint| format!("{text}; {hint}"));
        printable(&text).into_owned()
    }

    /// How this is written down.
    pub(super) fn outcome(&self) -> Outcome {
        outcome(self.status)
    }

    fn of(code: Code, error: &dyn StdError) -> Self {
        let mut messages = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // A transparent error repeats its source.
            if messages.last() != Some(&text) {
                messages.push(text);
            }
            source = cause.source();
        }
        Self { status: code as u8, messages, hints: Vec::new(), block: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut messages = self.messages.iter();
        if let Some(message) = messages.next() {
            writeln!(f, "error: {}", printable(message))?;
        }
        for cause in messages {
            writeln!(f, "  caused by: {}", printable(cause))?;
        }
        for hint in &self.hints {
            writeln!(f, "hint: {}", printable(hint))?;
        }
        Ok(())
    }
}

/// How one of several things that a command does is written down, if it fails.
pub(super) fn outcome_of(error: &ops::Error) -> Outcome {
    outcome(code(error) as u8)
}

fn outcome(exit: u8) -> Outcome {
    Outcome::Failed { exit, why: Code::in_words(exit) }
}

impl From<ops::Error> for Failure {
    fn from(error: ops::Error) -> Self {
        let mut failure = Self::of(code(&error), &error);
        failure.hints = hints::of(&error);
        failure.messages.extend(details(&error));
        if let ops::Error::Rescue { block, .. } = error {
            failure.block = Some(block);
        }
        failure
    }
}

impl From<kubectl::Error> for Failure {
    fn from(error: kubectl::Error) -> Self {
        match error {
            kubectl::Error::OtherVersion(_) => Self::of(Code::Refused, &error)
                .hint("write `apiVersion: client.authentication.k8s.io/v1` under `exec` in the kubeconfig"),
            _ => Self::of(Code::Usage, &error)
                .hint("kubectl sets this variable; to see what it is answered, unset it"),
        }
    }
}

/// What an error knows beside its causes.
fn details(error: &ops::Error) -> Vec<String> {
    match error {
        ops::Error::Unlock(unlock::Error::NoWay { attempts }) => attempts.iter().map(attempt).collect(),
        ops::Error::GrantRefused { causes, .. }
        | ops::Error::RefreshRefused { causes, .. }
        | ops::Error::SecretRefused { causes, .. }
        | ops::Error::Mint(ops::mint::Error::Refused { causes, .. }) => {
            causes.iter().map(|cause| format!("likely: {cause}")).collect()
        }
        ops::Error::CodeRefused(server) => {
            server.known.iter().map(|known| format!("likely: {}", known.means)).collect()
        }
        ops::Error::SlotsNotCarried { slots } => slots.iter().map(attempt).collect(),
        ops::Error::NotAllVerified { failed, .. } => failed.iter().map(not_verified).collect(),
        ops::Error::PartlyDone { failed, .. } => failed.iter().map(not_done).collect(),
        _ => Vec::new(),
    }
}

/// The name once: an error about a document begins with it.
fn not_verified((document, error): &(String, Box<ops::Error>)) -> String {
    let reason = Failure::of(Code::Integrity, error).messages.join(": ");
    if reason.starts_with(document) { reason } else { format!("{document}: {reason}") }
}

fn not_done((what, error): &(String, Box<ops::Error>)) -> String {
    format!("{what}: {}", Failure::of(Code::Partial, error).messages.join(": "))
}

fn attempt(attempt: &unlock::Attempt) -> String {
    let mut text = format!("{}: {}", attempt.slot, attempt.why);
    let mut source = attempt.why.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn provider_code(error: &providers::Error) -> Code {
    use providers::Error as E;
    match error {
        E::Unknown { .. } => Code::NotFound,
        E::Flawed { id: Some(_), .. } => Code::Newer,
        E::Flawed { id: None, .. } => Code::Usage,
        _ => Code::Refused,
    }
}

fn code(error: &ops::Error) -> Code {
    use ops::Error as E;
    match error {
        E::Store(error) => store_code(error),
        E::Provider(error) => provider_code(error),
        E::Unlock(unlock::Error::Cancelled) => Code::Cancelled,
        E::Unlock(_) => Code::Locked,
        E::Passphrase(_) | E::Recipient(unlock::recipient::Error::Invalid(_)) => Code::Usage,
        E::Recipient(_) | E::Keychain(_) | E::SlotsNotCarried { .. } => Code::Locked,
        E::KeyPartlyRotated { .. } => Code::Partial,
        E::Agent(unlock::agent::Error::Protocol(agent_protocol::Error::Version { .. })) => Code::Newer,
        E::Agent(_) => Code::Refused,
        E::OAuth(error) | E::NotRevoked { source: error, .. } => oauth_code(error),
        E::Api(error) => api_code(error),
        E::Mint(error) => mint_code(error),
        E::Device(ops::device::Error::Expired) => Code::Cancelled,
        E::Device(_) => Code::Refused,
        E::IdToken(ops::id_token::Error::NoAudience { .. }) => Code::Usage,
        E::IdToken(_) => Code::Refused,
        E::Export(_) => Code::Refused,
        E::Document { source: seal::Error::Newer { .. }, .. } => Code::Newer,
        E::NewFile(error) => new_file_code(error),
        E::Setup(error) => setup_code(error),
        E::Import(error) => import_code(error),
        E::BackupNotOpened { source, .. } => backup_code(source),
        E::Backup { source, .. } if is_newer(source) => Code::Newer,
        E::Backup { .. } => Code::Integrity,
        E::BackupNotProven { .. } => Code::Storage,
        E::Document { .. }
        | E::ManifestMissing
        | E::KeyNotAccepted { .. }
        | E::RolledBack { .. }
        | E::Removed { .. }
        | E::Misplaced { .. }
        | E::OtherVault { .. }
        | E::ClientMissing { .. }
        | E::NotAllVerified { .. } => Code::Integrity,
        E::NoVault { .. }
        | E::NoProfile { .. }
        | E::NoClient { .. }
        | E::NoField { .. }
        | E::NoSlot { .. }
        | E::NoPassphrase { .. } => Code::NotFound,
        E::NoDefault { .. }
        | E::WhichSlot { .. }
        | E::WhichProfile { .. }
        | E::Usage(_)
        | E::VaultExists { .. }
        | E::ProfileExists { .. }
        | E::ClientExists { .. } => Code::Usage,
        E::OtherSecret { .. }
        | E::ClientInUse { .. }
        | E::OtherAccount { .. }
        | E::LastSlot
        | E::ScopesNotGranted { .. }
        | E::LivesElsewhere { .. }
        | E::WouldForgetLogin { .. }
        | E::AccountUnknown { .. }
        | E::EndsSiblings { .. }
        | E::RefreshRefused { .. }
        | E::PublicClient { .. }
        | E::OtherClientFile { .. }
        | E::SecretRefused { .. }
        | E::SecretUnproven { .. }
        | E::RescueOutstanding { .. }
        | E::RescuesOutstanding { .. }
        | E::KeptAside { .. }
        | E::RotationUnfinished
        | E::BadRescue(_) => Code::Refused,
        // RFC 6749, 5.2: the code or the user's consent is at fault, not the client.
        E::CodeRefused(server) if server.error != "invalid_grant" => Code::Refused,
        E::LoginNeeded { .. } | E::GrantRefused { .. } | E::EndedTogether { .. } | E::CodeRefused(_) => {
            Code::LoginNeeded
        }
        E::OutOfMemory | E::SlotNotProven(_) | E::ProofNotSaved { .. } => Code::Storage,
        E::Rescue { .. } => Code::Rescue,
        E::SecretWaits { .. } => Code::Partial,
        E::Unfinished { .. } | E::PartlyDone { .. } => Code::Partial,
    }
}

fn store_code(error: &store::Error) -> Code {
    match error {
        store::Error::Unsafe { .. } | store::Error::NotADocument { .. } => Code::Integrity,
        store::Error::Occupied { .. } => Code::Usage,
        store::Error::Busy { .. } | store::Error::InUse { .. } | store::Error::Conflict { .. } => Code::Later,
        _ => Code::Storage,
    }
}

fn new_file_code(error: &NewFileError) -> Code {
    match error {
        NewFileError::Exists(_) => Code::Usage,
        NewFileError::Busy(_) => Code::Later,
        _ => Code::Storage,
    }
}

fn import_code(error: &ops::import::Error) -> Code {
    use ops::import::{Error as E, Odd};
    match error {
        E::File(NamedFileError::Changed(_)) => Code::Later,
        E::NoCopy { .. } => Code::NotFound,
        E::Dead { source, .. } => code(source),
        E::OtherEndpoint { .. }
        | E::OtherClient { .. }
        | E::TwoSecrets { .. }
        | E::Already { .. }
        | E::Odd { source: Odd::Useless { .. }, .. } => Code::Refused,
        _ => Code::Usage,
    }
}

fn setup_code(error: &ops::setup::Error) -> Code {
    use ops::setup::Error as E;
    match error {
        E::File(UserFileError::NewFile(error)) | E::NewFile(error) => new_file_code(error),
        E::File(UserFileError::Changed(_)) => Code::Later,
        E::NotOnPath { .. } | E::OddPlace(_) => Code::Usage,
        _ => Code::Refused,
    }
}

fn backup_code(error: &unlock::backup::Error) -> Code {
    use unlock::backup::Error as E;
    match error {
        E::File(_) => Code::Usage,
        E::NotAge | E::Damaged => Code::Integrity,
        E::Prompt(unlock::PromptError::Cancelled) => Code::Cancelled,
        _ => Code::Locked,
    }
}

fn is_newer(error: &seal::BackupError) -> bool {
    use seal::BackupError as E;
    matches!(error, E::Newer { .. } | E::Document { source: seal::Error::Newer { .. }, .. })
}

fn oauth_code(error: &oauth::Error) -> Code {
    match error {
        oauth::Error::Unreachable { .. } | oauth::Error::Lost { .. } | oauth::Error::Unavailable { .. } => {
            Code::Later
        }
        oauth::Error::Nonsense { .. } => Code::Nonsense,
        oauth::Error::Denied(_)
        | oauth::Error::Expired(_)
        | oauth::Error::TimedOut
        | oauth::Error::Cancelled => Code::Cancelled,
        _ => Code::Refused,
    }
}

fn api_code(error: &ops::api::Error) -> Code {
    use ops::api::Error as E;
    match error {
        E::Exchange(error) => oauth_code(error),
        E::Unavailable { .. } | E::BrokenOff { .. } => Code::Later,
        _ => Code::Refused,
    }
}

fn mint_code(error: &ops::mint::Error) -> Code {
    match error {
        ops::mint::Error::NoSource { .. } => Code::Integrity,
        _ => Code::Refused,
    }
}

impl From<ops::api::Error> for Failure {
    fn from(error: ops::api::Error) -> Self {
        ops::Error::from(error).into()
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        ops::Error::from(error).into()
    }
}

impl From<oauth::Error> for Failure {
    fn from(error: oauth::Error) -> Self {
        ops::Error::from(error).into()
    }
}

impl From<format::Error> for Failure {
    fn from(error: format::Error) -> Self {
        Self::of(Code::Usage, &error).hint("choose another `--format`")
    }
}

impl From<age_words::InvalidDuration> for Failure {
    fn from(error: age_words::InvalidDuration) -> Self {
        Self::of(Code::Usage, &error)
    }
}

impl From<unlock::PromptError> for Failure {
    fn from(error: unlock::PromptError) -> Self {
        match error {
            unlock::PromptError::Cancelled => Self::new(Code::Cancelled, "cancelled"),
            error => Self::of(Code::Usage, &error)
                .hint("run this on a terminal, or hand the secret over in a file or on standard input"),
        }
    }
}
