//! What a person is told while an operation goes on.

use super::age_words;
use super::hints::grants_page;
use super::hints::some;
use super::output::Output;
use crate::ops::{Notice, Notices};

/// Tells notices on standard error.
#[derive(Clone, Copy, Debug)]
pub(super) struct StderrNotices {
    output: Output,
}

impl StderrNotices {
    /// Notices that go where `output` says.
    pub(super) fn new(output: Output) -> Self {
        Self { output }
    }
}

impl Notices for StderrNotices {
    fn notice(&self, notice: &Notice) {
        match words(notice) {
            Words::Talk(text) => self.output.say(&text),
            Words::Warning(text) => self.output.warn(&text),
        }
    }
}

enum Words {
    Talk(String),
    Warning(String),
}

fn words(notice: &Notice) -> Words {
    use Words::{Talk, Warning};
    match notice {
        Notice::VaultMade { location, unlocked_by } => {
            Talk(format!("Made a vault in {location}, unlocked by {}", with_article(unlocked_by)))
        }
        Notice::FirstUse { kid } => Warning(format!("first use of this vault on this machine: its key {kid} is accepted from now on")),
        Notice::RotationUnfinished => Talk(
            "The vault key is being rotated; if that was interrupted, `vault rotate` finishes it".to_owned(),
        ),
        Notice::Waiting => Talk("Waiting for another vault process…".to_owned()),
        Notice::AskingAgain => Talk("The answer of the provider was lost; asking once more…".to_owned()),
        Notice::PollFailed { why } => Warning(format!("it could not be asked whether you have consented: {why}; it goes on")),
        Notice::DeviceNote { provider, note } => Talk(format!("The device flow at {provider}: {note}")),
        Notice::OtherEndpoints { issuer, client, known, found } => Warning(format!(
            "{issuer} issues tokens at {found} for this client, and at {known} for `{client}`: unless you know why, one of \
             them is not who it says it is"
        )),
        Notice::CacheIgnored { profile } => {
            Warning(format!("the cached token of `{profile}` was changed outside vault; it is ignored and replaced"))
        }
        Notice::NotCached { why } => Warning(format!("the token could not be cached: {why}")),
        Notice::NotMarked { why } => {
            Warning(format!("the state directory could not be written, so that older copies are not recognised: {why}"))
        }
        Notice::Recovered { profile } => Talk(format!("Completed an interrupted refresh of `{profile}`")),
        Notice::SetAside { profile } => Warning(format!(
            "an interrupted write of `{profile}` could not be read; it is kept in its place with `.unread` in its name"
        )),
        Notice::SuccessorWaits { profile } => Talk(format!(
            "an interrupted refresh of `{profile}` is completed by the next `vault token {profile}`"
        )),
        Notice::SuccessorUnreadable { profile } => Warning(format!(
            "an interrupted write of `{profile}` cannot be read; the next `vault token {profile}` keeps it aside"
        )),
        Notice::OlderHalf { document } => Talk(format!(
            "{document} is what an interrupted rename has left; the next change of the vault removes it"
        )),
        Notice::Strangers { files } => {
            Warning(format!("these are no documents of the vault and are ignored: {}", some(files)))
        }
        Notice::UnknownFields { document, fields } => Warning(format!(
            "{document} has fields that this version does not know, and keeps: {}",
            some(fields)
        )),
        Notice::ShortLived { left: Some(left) } => {
            Warning(format!("the provider's token works for only {}", age_words::duration(*left)))
        }
        Notice::ShortLived { left: None } => {
            Warning("the provider does not say how long this token works, so that the next call asks again".to_owned())
        }
        Notice::SavedInSecondPlace => Warning(
            "the new token was saved in the state directory, because the vault directory failed; the next call \
             puts it in its place"
                .to_owned(),
        ),
        Notice::ScopesMissing { missing } => Warning(format!("the grant does not have these scopes: {missing}")),
        Notice::ScopesBeyond { beyond } => {
            Warning(format!("the grant has scopes that were not asked for: {beyond}"))
        }
        Notice::TokenBeyond { beyond } => {
            Warning(format!("the provider's token has more scopes than were asked for: {beyond}"))
        }
        Notice::TokenLacks { missing } => {
            Warning(format!("the provider's token does not have these scopes: {missing}"))
        }
        Notice::EmptyRefreshToken => {
            Warning("the provider sent an empty refresh token; the one before is kept".to_owned())
        }
        Notice::NotRefreshable => {
            Warning("the provider gave no refresh token: this login ends with its access token".to_owned())
        }
        Notice::MayHaveNewer { profile, provider } => Warning(format!(
            "the answer to an earlier refresh of `{profile}` was lost, and with it perhaps a newer token, which may live on; \
             see {}",
            grants_page(provider)
        )),
        Notice::NotProven { profile, why } => Warning(format!(
            "that the new login of `{profile}` has outlived the old one is not proven: {why}"
        )),
        Notice::RescueNotInBackup { profile } => Warning(format!(
            "the newest tokens of `{profile}` are in a rescue block that was not taken in, and so not in the backup"
        )),
        Notice::KeyOfAnotherTime { accepted } => Warning(format!(
            "the backup is under another vault key than {accepted}, which this machine accepted last: it is older than \
             a change of the key, or was made by somebody else"
        )),
        Notice::WeakUnlock { what } => Warning(what.clone()),
    }
}

/// `the keychain`, `a passphrase`.
pub(super) fn with_article(kind: &str) -> String {
    match kind {
        "keychain" => "the keychain".to_owned(),
        "recipient" => "your age identity".to_owned(),
        kind => format!("a {kind}"),
    }
}
