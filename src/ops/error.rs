//! Why an operation did not do what was asked. What to do about it is said at the terminal.

use jiff::SignedDuration;

use crate::domain::{Account, ClientName, DocumentId, Field, Host, KeyId, ProfileName, Scopes, Use};
use crate::oauth::ServerError;
use crate::oauth::diagnosis::Cause;
use crate::{oauth, seal, store, unlock};

/// Why an operation did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Storage failed or was refused.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault key could not be had.
    #[error(transparent)]
    Unlock(#[from] unlock::Error),
    /// The grant is not good for what the token is asked for.
    #[error("the login of profile `{profile}` does not cover the scope{} {missing}", if missing.iter().count() == 1 { "" } else { "s" })]
    ScopesNotGranted {
        /// The profile.
        profile: ProfileName,
        /// What only a new consent can give.
        missing: Scopes,
    },
    /// Several profiles are bound to one host, and nothing says which is meant.
    #[error("several profiles are bound to {host} for {need}: {}", known.join(", "))]
    WhichProfile {
        /// What for.
        need: Use,
        /// The host.
        host: Host,
        /// Their names.
        known: Vec<String>,
    },
    /// A passphrase is not good enough for a key slot.
    #[error(transparent)]
    Passphrase(#[from] unlock::passphrase::Error),
    /// A key slot could not be sealed to its recipient.
    #[error(transparent)]
    Recipient(#[from] unlock::recipient::Error),
    /// The keychain did not take or give back an entry.
    #[error(transparent)]
    Keychain(#[from] unlock::keychain::Error),
    /// The agent could not be asked.
    #[error(transparent)]
    Agent(#[from] unlock::agent::Error),
    /// The conversation with the provider failed.
    #[error(transparent)]
    OAuth(#[from] oauth::Error),
    /// A login by a device code was not begun, or did not end well.
    #[error(transparent)]
    Device(#[from] super::device::Error),
    /// A request to an API did not do what was asked.
    #[error(transparent)]
    Api(#[from] super::api::Error),
    /// A profile that needs no person gets no token, or was not made.
    #[error(transparent)]
    Mint(#[from] super::mint::Error),
    /// There is no ID token.
    #[error(transparent)]
    IdToken(#[from] super::id_token::Error),
    /// A copy to leave with is not made.
    #[error(transparent)]
    Export(#[from] super::export::Error),
    /// A provider cannot be had, added or removed.
    #[error(transparent)]
    Provider(#[from] super::providers::Error),
    /// A document is refused.
    #[error("{document} cannot be trusted")]
    Document {
        /// Which one.
        document: String,
        /// Why.
        #[source]
        source: seal::Error,
    },
    /// What another tool has left was not taken in.
    #[error(transparent)]
    Import(#[from] super::import::Error),
    /// A file could not be made in the place that was named.
    #[error(transparent)]
    NewFile(#[from] crate::system::NewFileError),
    /// Another program is not told to take its tokens from here.
    #[error(transparent)]
    Setup(#[from] super::setup::Error),
    /// A backup was not opened.
    #[error("the backup {file} cannot be opened")]
    BackupNotOpened {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: unlock::backup::Error,
    },
    /// What is in a backup is refused.
    #[error("the backup {file} cannot be trusted")]
    Backup {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: seal::BackupError,
    },
    /// The disk gave back something else than it was given.
    #[error("the backup {file} does not hold what was just written to it, and was removed")]
    BackupNotProven {
        /// The file.
        file: String,
    },
    /// The vault that is to be restored stands on this machine.
    #[error("this vault stands on this machine, in {place}")]
    LivesElsewhere {
        /// Where.
        place: String,
    },
    /// There is no vault.
    #[error("there is no vault in {location}")]
    NoVault {
        /// Where it was looked for.
        location: String,
    },
    /// There is one already.
    #[error("there is a vault in {location} already")]
    VaultExists {
        /// Where.
        location: String,
    },
    /// There are documents, and no manifest that says what unlocks them.
    #[error("the manifest of the vault, vault.json, is missing, and its documents are there")]
    ManifestMissing,
    /// The vault is sealed to a key that this machine has not accepted.
    #[error("the vault is sealed to the key {kid}, which {}", if *by_environment { "is not the one that was named" } else { "this machine has not accepted" })]
    KeyNotAccepted {
        /// The key.
        kid: KeyId,
        /// Whether the person named another one, instead of this machine remembering it.
        by_environment: bool,
    },
    /// An older copy of a document has come back.
    #[error(
        "{document} is older than the one that was last written here: generation {found}, not {known} or later"
    )]
    RolledBack {
        /// Which one.
        document: String,
        /// Its generation.
        found: u64,
        /// The last one that was seen.
        known: u64,
    },
    /// A document that was removed has come back.
    #[error("{document} was removed here, and a copy of it has come back")]
    Removed {
        /// Which one.
        document: String,
    },
    /// A document stands under another name than its own.
    #[error("{document} says that its name is `{name}`")]
    Misplaced {
        /// The name in the store.
        document: String,
        /// The name inside.
        name: String,
    },
    /// There is no such profile.
    #[error("no profile named `{name}`")]
    NoProfile {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Two names would be meant where no name was given.
    #[error("no profile was named, and there is no default")]
    NoDefault {
        /// The names that there are.
        known: Vec<String>,
    },
    /// There is no such client.
    #[error("no client named `{name}`")]
    NoClient {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A profile names a client document that is not there.
    #[error("the client of this profile (document {id}) is missing")]
    ClientMissing {
        /// Its document.
        id: DocumentId,
    },
    /// The profile has no such field.
    #[error("profile `{profile}` has no {field}")]
    NoField {
        /// The profile.
        profile: ProfileName,
        /// The field.
        field: Field,
    },
    /// The name is taken.
    #[error("there is a profile named `{name}` already")]
    ProfileExists {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error("there is a client named `{name}` already")]
    ClientExists {
        /// The name.
        name: String,
    },
    /// The client id is stored with another secret.
    #[error("this client id is stored as `{client}` with another secret")]
    OtherSecret {
        /// The client that has it.
        client: String,
    },
    /// The client cannot be removed.
    #[error("client `{client}` is used by {}", profiles.join(", "))]
    ClientInUse {
        /// The client.
        client: String,
        /// By whom.
        profiles: Vec<String>,
    },
    /// Not enough was said to do it.
    #[error("{0}")]
    Usage(String),
    /// The profile has no grant that could be used.
    #[error("profile `{profile}` needs a login: {why}")]
    LoginNeeded {
        /// The profile.
        profile: ProfileName,
        /// Why.
        why: &'static str,
    },
    /// The provider does not accept the grant any more.
    #[error("the provider no longer accepts the grant of profile `{profile}`")]
    GrantRefused {
        /// The profile.
        profile: ProfileName,
        /// Its provider.
        provider: String,
        /// How old the login is.
        age: SignedDuration,
        /// What is likely, most likely first.
        causes: Vec<Cause>,
        /// What the provider said, if it was asked now.
        #[source]
        server: Option<ServerError>,
    },
    /// The provider refuses the client, or the request; the grant is as it was.
    #[error("the provider refused to refresh the grant of profile `{profile}`; the grant is kept")]
    RefreshRefused {
        /// The profile.
        profile: ProfileName,
        /// Its client.
        client: ClientName,
        /// Its provider.
        provider: String,
        /// What is likely.
        causes: Vec<Cause>,
        /// What the provider said.
        #[source]
        server: ServerError,
    },
    /// A client that proves itself by no secret has none to replace.
    #[error("client `{client}` is a public one and has no secret")]
    PublicClient {
        /// The client.
        client: ClientName,
    },
    /// A client file is of another client than the one that was named.
    #[error("this client file is not of client `{client}`: its client id is {found}")]
    OtherClientFile {
        /// The client that was named.
        client: ClientName,
        /// The client id in the file.
        found: String,
    },
    /// The provider does not accept a new client secret; everything is as it was.
    #[error("the provider does not accept the new secret of client `{client}`; nothing was changed")]
    SecretRefused {
        /// The client.
        client: ClientName,
        /// Its provider.
        provider: String,
        /// What is likely.
        causes: Vec<Cause>,
        /// What the provider said.
        #[source]
        server: ServerError,
    },
    /// No profile has a login by which a new client secret could be proven; everything is as it was.
    #[error(
        "no profile of client `{client}` has a login that could prove its new secret; nothing was changed"
    )]
    SecretUnproven {
        /// The client.
        client: ClientName,
        /// The profiles that use it.
        profiles: Vec<String>,
        /// Why the last one that was tried could not.
        #[source]
        source: Option<Box<Self>>,
    },
    /// A new client secret is proven, and waits beside the old one: it could not be put in its place.
    #[error(
        "the new secret of client `{client}` is proven, and could not be put in the place of the old one"
    )]
    SecretWaits {
        /// The client.
        client: ClientName,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// The provider was asked to end a grant and has not; it is kept as it is.
    #[error("the login of profile `{profile}` could not be revoked; it is kept")]
    NotRevoked {
        /// The profile.
        profile: ProfileName,
        /// What the provider, or the way to it, said.
        #[source]
        source: oauth::Error,
    },
    /// Revoking one grant would end others of the same user and client.
    #[error(
        "to revoke the login of profile `{profile}` also ends {}, of the same user and client",
        listed(siblings)
    )]
    EndsSiblings {
        /// The profile.
        profile: ProfileName,
        /// The profiles that would lose their login too.
        siblings: Vec<ProfileName>,
    },
    /// The provider has taken one token back and ended two grants.
    #[error("with its previous login, the provider has also ended the new one of profile `{profile}`")]
    EndedTogether {
        /// The profile.
        profile: ProfileName,
        /// What the provider said to the new one.
        #[source]
        source: Box<Self>,
    },
    /// What cannot be taken back is done, and the rest is not.
    #[error("{what}")]
    Unfinished {
        /// What is done, and what is not.
        what: String,
        /// What would finish it.
        next: String,
        /// Why it is not.
        #[source]
        source: Box<Self>,
    },
    /// Some of several things are done.
    #[error("{done} of {total} {what}")]
    PartlyDone {
        /// How many.
        done: usize,
        /// Of how many.
        total: usize,
        /// What they are, and what has been done with them.
        what: &'static str,
        /// Which were not done, and why.
        failed: Vec<(String, Box<Self>)>,
    },
    /// Another account consented than the one that was asked for or linked.
    #[error("the provider says that this is {}, not {}", named(found), named(expected))]
    OtherAccount {
        /// The linked one.
        expected: Account,
        /// The one that consented.
        found: Account,
    },
    /// The code of the browser is not accepted.
    #[error("the provider did not accept the code of this login")]
    CodeRefused(#[source] ServerError),
    /// There is not enough memory to be sure that an answer can be saved.
    #[error("there is too little memory to ask the provider and save the answer")]
    OutOfMemory,
    /// The login is saved, and cannot be refreshed: how its client proves itself was found out and could
    /// not be written.
    #[error(
        "the login of profile `{profile}` cannot be renewed: how its client proves itself could not be saved"
    )]
    ProofNotSaved {
        /// The profile.
        profile: ProfileName,
        /// Why the client could not be saved.
        #[source]
        source: Box<Self>,
    },
    /// New tokens could be saved nowhere; this is the only copy.
    #[error("the new tokens of profile `{profile}` could not be saved")]
    Rescue {
        /// The profile.
        profile: ProfileName,
        /// The whole successor document, sealed as it is.
        block: String,
        /// Why it could not be saved.
        #[source]
        source: store::Error,
    },
    /// A newer refresh token was printed as a rescue block and has not been taken in.
    #[error(
        "the newest tokens of profile `{profile}` were printed as a rescue block, which has not been taken in"
    )]
    RescueOutstanding {
        /// The profile.
        profile: ProfileName,
    },
    /// An edit would cost the login.
    #[error("this change forgets the login or the API key of profile `{profile}`")]
    WouldForgetLogin {
        /// The profile.
        profile: ProfileName,
    },
    /// The provider does not say whose account consented.
    #[error(
        "the provider does not say whose account this is, so that it cannot be told to be {}",
        named(expected)
    )]
    AccountUnknown {
        /// The linked one.
        expected: Account,
    },
    /// Another vault stands where this machine knows one.
    #[error("another vault than the one that this machine knows stands in {location}; its key is {kid}")]
    OtherVault {
        /// Where.
        location: String,
        /// The key of the vault that is there now.
        kid: KeyId,
    },
    /// The rescue block is of no use.
    #[error("this rescue block {0}")]
    BadRescue(&'static str),
    /// The last way to the vault key would be gone.
    #[error("this is the last key slot; without it the vault could never be opened again")]
    LastSlot,
    /// The key slot that was named, or every one, is of another kind.
    #[error("{}", no_passphrase(slot.as_ref()))]
    NoPassphrase {
        /// The one that was named.
        slot: Option<DocumentId>,
    },
    /// It was not said which key slot is meant.
    #[error("the vault has {} passphrase slots", slots.len())]
    WhichSlot {
        /// Which there are.
        slots: Vec<DocumentId>,
    },
    /// A key slot that was just made does not open.
    #[error("the new key slot does not open; nothing was changed")]
    SlotNotProven(#[source] unlock::MessageError),
    /// There is no such key slot.
    #[error("no key slot `{id}`")]
    NoSlot {
        /// What was asked for.
        id: String,
    },
    /// Key slots that the new vault key would not have.
    #[error("the new vault key cannot be put into {}", if slots.len() == 1 { "one key slot" } else { "some key slots" })]
    SlotsNotCarried {
        /// Which, and why.
        slots: Vec<unlock::Attempt>,
    },
    /// Rescue blocks that could not be taken in any more.
    #[error("the newest tokens of {} were only printed, and a new vault key could not open them", profiles.join(", "))]
    RescuesOutstanding {
        /// The profiles.
        profiles: Vec<String>,
    },
    /// Files that may hold secrets, and that nobody can read.
    #[error("what could not be read was set aside, and a new vault key could not open it: {}", files.join(", "))]
    KeptAside {
        /// Which.
        files: Vec<String>,
    },
    /// The vault is sealed to two keys.
    #[error("the vault key is being rotated, and that is not finished")]
    RotationUnfinished,
    /// The vault is sealed to two keys, because a run was stopped.
    #[error("the vault key is rotated part-way: {done} of {total} documents are sealed to the new one")]
    KeyPartlyRotated {
        /// How many are done.
        done: usize,
        /// Of how many.
        total: usize,
        /// Why it stopped; nothing if the person wanted it.
        #[source]
        source: Option<Box<Self>>,
    },
    /// Documents or items did not pass the check of the whole vault.
    #[error("{} of {total} documents cannot be trusted", failed.len())]
    NotAllVerified {
        /// Which, and why.
        failed: Vec<(String, Box<Self>)>,
        /// How many there are.
        total: usize,
        /// What did pass.
        passed: super::verify::Summary,
    },
}

fn listed(profiles: &[ProfileName]) -> String {
    let names: Vec<String> = profiles.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn no_passphrase(slot: Option<&DocumentId>) -> String {
    match slot {
        Some(slot) => format!("the key slot {slot} has no passphrase"),
        None => "the vault has no passphrase slot".to_owned(),
    }
}

fn named(account: &Account) -> &str {
    account.label().unwrap_or("an unknown account")
}
