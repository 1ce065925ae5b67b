//! What a user can do with the vault: one file for each.
//!
//! Nothing here prints, prompts or reads the environment. What is needed from outside stands in the
//! [`Context`]; what a person should know meanwhile is a [`Notice`].

pub mod add_profile;
pub mod add_program;
pub mod api;
mod asking;
pub mod audit;
pub mod backup;
mod cache;
mod client_secret;
pub mod clients;
pub mod consent;
pub mod device;
pub mod doctor;
mod documents;
pub mod edit;
mod error;
pub mod export;
pub mod hold;
pub mod hosts;
pub mod id_token;
pub mod import;
pub mod init;
mod issuer;
pub mod key_slots;
mod lasting;
pub mod log;
pub mod login;
pub mod logout;
pub mod mint;
mod new_consent;
pub mod passwd;
pub mod providers;
mod recover;
mod refresh;
pub mod registry;
pub mod rename;
pub mod rescue;
pub mod restore;
pub mod reveal;
mod revocation;
pub mod rotate_client_secret;
pub mod rotate_grant;
pub mod rotate_key;
pub mod scan;
pub mod secrets;
pub mod setup;
mod siblings;
pub mod status;
mod successor;
pub mod token;
mod turn;
pub mod variables;
mod vault;
pub mod verify;

use std::time::Duration;

use jiff::SignedDuration;
use url::Url;

pub use documents::Loaded;
pub use error::Error;
pub use vault::{Unlocked, Vault};

use crate::domain::{ClientName, KeyId, ProfileName, Scopes};
use crate::oauth::Http;
use crate::store::{Journal, Memory, Patience, Store};
use crate::system::Clock;
use crate::unlock::Ways;

/// How long another process may hold a lock before we give up: longer than one whole refresh.
const LOCK_LIMIT: Duration = Duration::from_secs(45);

/// Everything that an operation needs from outside.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Where documents are.
    pub store: &'a dyn Store,
    /// What this machine remembers.
    pub memory: &'a dyn Memory,
    /// What was done on this machine.
    pub journal: &'a dyn Journal,
    /// What is being done, for the journal.
    pub audit: &'a audit::Entry,
    /// The way to providers.
    pub http: &'a dyn Http,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// The ways to the vault key.
    pub ways: &'a Ways<'a>,
    /// The vault key that must be the right one, where no state directory lasts.
    pub pinned: Option<&'a KeyId>,
    /// Whom to tell what happens meanwhile.
    pub notices: &'a dyn Notices,
}

impl Context<'_> {
    /// Waits for `lock`, and says so when it takes long.
    fn lock(
        &self,
        lock: &crate::store::Lock,
        access: crate::store::Access,
    ) -> Result<Box<dyn crate::store::Held>, Error> {
        let on_wait = || self.notices.notice(&Notice::Waiting);
        let patience =
            Patience { limit: LOCK_LIMIT, on_wait: &on_wait, is_over: &crate::system::is_asked_to_end };
        Ok(self.store.lock(lock, access, &patience)?)
    }
}

/// Is told what a person should know while an operation goes on.
pub trait Notices: Send + Sync {
    /// One thing to know; the operation does not wait for an answer.
    fn notice(&self, notice: &Notice);
}

/// What a person should know while an operation goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A vault was made, because there was none.
    VaultMade {
        /// Where.
        location: String,
        /// What unlocks it: `keychain`, `passphrase` or `recipient`.
        unlocked_by: &'static str,
    },
    /// This machine sees the vault for the first time and accepts its key.
    FirstUse {
        /// The key that is accepted from now on.
        kid: KeyId,
    },
    /// The vault key is being rotated, or that was interrupted.
    RotationUnfinished,
    /// Another process holds a lock that we need.
    Waiting,
    /// The provider is asked again, because the first answer was lost.
    AskingAgain,
    /// A provider allows the device flow to certain clients only, and whether this is one is not known.
    DeviceNote {
        /// The provider.
        provider: String,
        /// What it allows.
        note: String,
    },
    /// The issuer of a new client is that of a stored one, and is spoken to elsewhere.
    OtherEndpoints {
        /// The issuer.
        issuer: String,
        /// The stored client.
        client: ClientName,
        /// Its token endpoint.
        known: Url,
        /// That of the new one.
        found: Url,
    },
    /// Whether the person has consented could not be asked; it will be asked again.
    PollFailed {
        /// Why.
        why: String,
    },
    /// A cached token was not acceptable and is replaced.
    CacheIgnored {
        /// Of which profile.
        profile: ProfileName,
    },
    /// A new token could not be cached; the next call asks the provider again.
    NotCached {
        /// What the storage said.
        why: String,
    },
    /// The mark against older documents could not be written.
    NotMarked {
        /// What the storage said.
        why: String,
    },
    /// An interrupted refresh was completed from what it had left.
    Recovered {
        /// Of which profile.
        profile: ProfileName,
    },
    /// A rename was interrupted before the old document was removed; the next change does it.
    OlderHalf {
        /// The old document.
        document: String,
    },
    /// Files among the documents that are none, and are ignored.
    Strangers {
        /// Which.
        files: Vec<String>,
    },
    /// A document has fields that this version does not know; they are kept.
    UnknownFields {
        /// Which document.
        document: String,
        /// Which fields.
        fields: Vec<String>,
    },
    /// A leftover could not be read and was kept under another name.
    SetAside {
        /// Of which profile.
        profile: ProfileName,
    },
    /// An interrupted refresh has left what the next call completes.
    SuccessorWaits {
        /// Of which profile.
        profile: ProfileName,
    },
    /// An interrupted refresh has left what cannot be read, and what the next call keeps aside.
    SuccessorUnreadable {
        /// Of which profile.
        profile: ProfileName,
    },
    /// The token's whole life is shorter than what was asked for.
    ShortLived {
        /// How long it works, if that is known.
        left: Option<SignedDuration>,
    },
    /// The new token was saved in the second place, because the first failed.
    SavedInSecondPlace,
    /// The user granted less than was asked for.
    ScopesMissing {
        /// What is missing.
        missing: Scopes,
    },
    /// The user granted more than was asked for.
    ScopesBeyond {
        /// What was not asked for.
        beyond: Scopes,
    },
    /// The token of this use has scopes that were not asked for.
    TokenBeyond {
        /// Which.
        beyond: Scopes,
    },
    /// The token of this use lacks scopes that were asked for.
    TokenLacks {
        /// Which.
        missing: Scopes,
    },
    /// The provider announced a new refresh token that is empty; the one before is kept.
    EmptyRefreshToken,
    /// The provider gave no refresh token: the grant ends with its access token.
    NotRefreshable,
    /// The answer of an earlier refresh was lost: the provider may have given out a newer token then,
    /// which the revocation of the stored one may not reach.
    MayHaveNewer {
        /// Of which profile.
        profile: ProfileName,
        /// Its provider.
        provider: String,
    },
    /// Whether a new grant still works after the old one was revoked could not be seen.
    NotProven {
        /// Of which profile.
        profile: ProfileName,
        /// Why.
        why: String,
    },
    /// A backup is under a key that this machine does not accept for its vault any more, or never did.
    KeyOfAnotherTime {
        /// The key that was accepted here last.
        accepted: KeyId,
    },
    /// The newest tokens of a profile were printed as a rescue block and are not in the vault, and so not
    /// in its backup.
    RescueNotInBackup {
        /// Of which profile.
        profile: String,
    },
    /// A key slot works, and should be made stronger or safer.
    WeakUnlock {
        /// What is weak about it.
        what: String,
    },
}
