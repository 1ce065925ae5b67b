//! What a user can do about an error: the next command to type.

mod api;
mod device;
mod export;
mod id_token;
mod import;
mod mint;
mod providers;
mod refused;
mod setup;
mod typed;

use crate::domain::Field;
use crate::oauth::{self, Obstacle};
use crate::system::NewFileError;
use crate::{ops, store, unlock};
pub(super) use mint::SERVICE_ACCOUNTS_PAGE;
pub(super) use refused::{clients_page, grants_page};
use refused::{grant_hints, refused_hints, unproven_hints};
pub(super) use typed::typed;

/// What can be done about `error`, one line each.
pub(super) fn of(error: &ops::Error) -> Vec<String> {
    let (profile, client) = names(error);
    // What the file of a provider says to do leaves room for the names.
    let named = |hint: String| hint.replace("{profile}", profile).replace("{client}", client);
    plain(error).into_iter().map(named).collect()
}

/// The profile and the client that an error is about, or the words that stand for them.
fn names(error: &ops::Error) -> (&str, &str) {
    use ops::Error as E;
    match error {
        E::RefreshRefused { profile, client, .. } => (profile.as_str(), client.as_str()),
        E::GrantRefused { profile, .. } | E::NotRevoked { profile, .. } => (profile.as_str(), "CLIENT"),
        E::SecretRefused { client, .. } => ("NAME", client.as_str()),
        _ => ("NAME", "CLIENT"),
    }
}

fn plain(error: &ops::Error) -> Vec<String> {
    use ops::Error as E;
    let hint = match error {
        E::Store(error) => return store_hints(error),
        E::Unlock(error) => return unlock_hints(error),
        E::OAuth(error) => return oauth_hints(error),
        E::Api(error) => return api::of(error),
        E::Mint(error) => return mint::of(error),
        E::Device(error) => return device::of(error),
        E::IdToken(error) => return id_token::of(error),
        E::Export(error) => return export::of(error),
        E::Provider(error) => return providers::of(error),
        E::GrantRefused { profile, provider, causes, .. } => {
            return grant_hints(profile.as_str(), provider, causes);
        }
        E::RefreshRefused { client, provider, causes, .. } => {
            return refused_hints(client.as_str(), provider, causes);
        }
        E::SecretRefused { client, provider, .. } => {
            return vec![
                format!(
                    "compare it with the one at {}; some providers take minutes until a new one works",
                    clients_page(provider)
                ),
                format!("then run `vault rotate client-secret {client}` again"),
            ];
        }
        E::SecretUnproven { client, profiles, .. } => return unproven_hints(client.as_str(), profiles),
        E::SecretWaits { client, .. } => {
            format!("make room, then run `vault rotate client-secret {client}` again; it needs no secret this time")
        }
        E::PublicClient { client } => {
            format!("run `vault client show {client}` to see how it proves itself; there is nothing to rotate")
        }
        E::OtherClientFile { .. } => {
            "name the client that the file is of (`vault client list`), or store it with `vault client add`".into()
        }
        E::Document { source: crate::seal::Error::Newer { .. }, .. } => {
            "install the newer version of vault".into()
        }
        E::Document { .. } => {
            "put back a copy of the file that vault itself wrote; nothing was changed".into()
        }
        E::NewFile(error) => new_file_hint(error).into(),
        E::Setup(error) => return setup::of(error),
        E::Import(error) => return import::of(error),
        E::BackupNotOpened { source, .. } => return backup_hint(source),
        E::Backup { source: crate::seal::BackupError::Newer { .. }, .. } => {
            "install the newer version of vault".into()
        }
        E::Backup { .. } => "use another backup; nothing was restored from this one".into(),
        E::LivesElsewhere { .. } => {
            "two of them would end each other's logins; restore without `--same-id`, or move that one away".into()
        }
        E::BackupNotProven { .. } => "check the disk, or choose another one".into(),
        E::NoVault { .. } => {
            "run `vault init`, or `vault add-profile NAME`, which makes a vault by itself".into()
        }
        E::VaultExists { .. } => "run `vault status` to see it, or choose another with `--vault-dir`".into(),
        E::ManifestMissing => {
            "put vault.json back from a backup; the documents cannot be opened without it".into()
        }
        E::KeyNotAccepted { by_environment: true, .. } => {
            "VAULT_KEY_ID names another key; correct it if the vault is the right one, else somebody has changed your \
             files"
                .into()
        }
        E::KeyNotAccepted { kid, .. } => format!(
            "if the key was changed on another machine that you trust, run `vault key accept {kid}`; if not, \
             somebody has changed your files"
        ),
        E::Removed { .. } => {
            "remove it again, or run `vault verify --accept-rollback` if you have restored it on purpose"
                .into()
        }
        E::RolledBack { .. } => {
            "if you have restored a backup on purpose, run `vault verify --accept-rollback`".into()
        }
        E::Misplaced { name, .. } => {
            format!("the file was copied or renamed by hand; move it back to `{name}.json`")
        }
        E::ClientMissing { .. } => {
            "restore the file of the client, or link another with `vault edit NAME --client CLIENT --forget-login`".into()
        }
        E::NotAllVerified { .. } => "put back copies of these files that vault itself wrote".into(),
        E::NoProfile { known, .. } | E::NoDefault { known } if known.is_empty() => {
            "run `vault add-profile NAME` to make one".into()
        }
        E::NoProfile { name, known } => return did_you_mean(name, known, "profile"),
        E::NoDefault { known } => format!(
            "say which with `--profile NAME` (there are {}), or choose a default with `vault use NAME`",
            some(known)
        ),
        E::NoClient { known, .. } if known.is_empty() => "run `vault client add --help` to make one".into(),
        E::NoClient { name, known } => return did_you_mean(name, known, "client"),
        E::NoField { profile, field: Field::ApiKey } => {
            format!("add one with `vault edit {profile} --api-key-file FILE`")
        }
        E::NoField { profile, .. } => format!("run `vault show {profile}` to see what it has"),
        E::NoPassphrase { .. } => {
            "run `vault key list` to see the slots, or add one with `vault key add --passphrase`".into()
        }
        E::WhichSlot { slots } => {
            let slots: Vec<String> = slots.iter().map(ToString::to_string).collect();
            format!("say which: {}", some(&slots))
        }
        E::SlotNotProven(_) => "try again; if it stays, report a bug".into(),
        E::NoSlot { .. } => "run `vault key list` to see the slots".into(),
        E::ProfileExists { name } => {
            format!("change it with `vault edit {name}`, log it in again with `vault login {name}`")
        }
        E::ClientExists { .. } => {
            "choose another `--name`, or link the existing one with `--client NAME`".into()
        }
        E::OtherSecret { client } => {
            format!("if the secret is a new one, run `vault rotate client-secret {client}` first; its profiles follow")
        }
        E::ClientInUse { .. } => "remove these profiles, or link them to another client, first".into(),
        E::ScopesNotGranted { profile, missing } => {
            let scopes: String = missing.iter().map(|scope| format!(" --scope {}", typed(scope))).collect();
            format!("run `vault login {profile}{scopes}`")
        }
        E::WhichProfile { .. } => "name one with `--profile`".into(),
        E::LoginNeeded { profile, .. } => format!("run `vault login {profile}`"),
        E::NotRevoked { profile, source } => return not_revoked_hints(profile.as_str(), source),
        E::EndsSiblings { .. } => {
            "add `--yes` if they may end too; each of them then needs a login of its own".into()
        }
        E::EndedTogether { profile, .. } => {
            return vec![
                format!("run `vault login {profile}`"),
                format!("next time `vault rotate grant {profile} --compromised` revokes the old one first"),
            ];
        }
        E::Unfinished { next, source, .. } => return [of(source), vec![next.clone()]].concat(),
        E::PartlyDone { .. } => "mend what is said above, then run the same command again".into(),
        E::OtherAccount { .. } => {
            "choose the right account in the browser; `vault login NAME --replace-account` links the other one"
                .into()
        }
        E::CodeRefused(server) if server.known.as_ref().is_some_and(|known| known.hint.is_some()) => {
            server.known.as_ref().and_then(|known| known.hint.clone()).unwrap_or_default()
        }
        E::CodeRefused(_) => "check the client id and secret, then log in again".into(),
        E::OutOfMemory => "nothing was sent; raise the limit (`ulimit -v`), then try again".into(),
        E::ProofNotSaved { profile, .. } => {
            format!("free some space or mend the permissions, then run `vault login {profile}`")
        }
        E::Rescue { .. } => {
            "make room, then pass the block below to `vault import-rescue`; keep it until that is done".into()
        }
        E::RescueOutstanding { profile } => {
            format!(
                "pass the block to `vault import-rescue`; if it is lost, run `vault login {profile}` or \
                 `vault logout {profile} --local-only`"
            )
        }
        E::WouldForgetLogin { .. } => {
            "add `--forget-login` if that is meant, and log in again afterwards".into()
        }
        E::AccountUnknown { .. } => {
            "ask for the scopes `openid` and `email`; `vault login NAME --replace-account` takes it unseen".into()
        }
        E::OtherVault { kid, .. } => format!(
            "if you have put another vault there yourself, run `vault key accept {kid}`; if not, somebody has \
             changed your files"
        ),
        E::SlotsNotCarried { slots } => return slots_hints(slots),
        E::RescuesOutstanding { .. } => {
            "pass the blocks to `vault import-rescue`, or give them up with `vault rotate key --forget-rescue`".into()
        }
        E::KeptAside { .. } => "move these files away if you do not need them, then try again".into(),
        E::RotationUnfinished => "run `vault rotate` to finish it, then try again".into(),
        E::KeyPartlyRotated { source, .. } => {
            let mut hints = source.as_deref().map(of).unwrap_or_default();
            hints.push("nothing is lost; run `vault rotate` again to finish".into());
            return hints;
        }
        E::BadRescue(_) => "pass the whole block, from `{` to `}`, that vault has printed".into(),
        E::LastSlot => "add another one with `vault key add` first".into(),
        E::Passphrase(_) => "a few unrelated words are easy to remember and hard to guess".into(),
        E::Recipient(_) => "a recipient is printed by `age-keygen` beside its identity".into(),
        E::Keychain(_) => {
            "unlock the keychain of your desktop session, or choose another way in with `--passphrase`".into()
        }
        E::Agent(_) => "run `vault lock`, or end the other process that uses this socket".into(),
        E::Usage(_) => return usage_hints(error),
    };
    vec![hint]
}

/// Either the slot is opened, or it is left behind.
fn slots_hints(slots: &[unlock::Attempt]) -> Vec<String> {
    let mut hints: Vec<String> = slots.iter().filter_map(|attempt| unlock_hint(&attempt.why)).collect();
    hints.dedup();
    let ids = slots.iter().filter_map(|attempt| match &attempt.slot {
        unlock::Door::Slot { id, .. } => Some(format!("--drop-slot {id}")),
        unlock::Door::Agent => None,
    });
    let dropped: Vec<String> = ids.collect();
    hints.push(format!("nothing was changed; to go on without: `vault rotate key {}`", dropped.join(" ")));
    hints
}

fn new_file_hint(error: &NewFileError) -> &'static str {
    match error {
        NewFileError::Exists(_) => "choose another name; nothing is ever overwritten",
        NewFileError::Busy(_) => "see what the other process is doing, then try again",
        _ => "free some space or mend the permissions, then try again",
    }
}

fn backup_hint(error: &unlock::backup::Error) -> Vec<String> {
    use unlock::backup::Error as E;
    let hint = match error {
        E::File(_) | E::NotAge => "name the file that `vault backup` has written",
        E::Damaged => "use another copy of it",
        E::NobodyToAsk => "without a terminal, set VAULT_PASSPHRASE_FILE or VAULT_PASSPHRASE_COMMAND",
        E::NotOpened(unlock::MessageError::WrongPassphrase) => "check the passphrase and try again",
        E::NoIdentity | E::NotOpened(_) => {
            "name the identity file of one of its recipients with `--open-with FILE`"
        }
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}

fn usage_hints(error: &ops::Error) -> Vec<String> {
    match error {
        ops::Error::Usage(text) if text.contains("OAuth client") => vec![
            "download the client's JSON file from your provider's console and add `--client-file FILE`"
                .into(),
            "or give `--client-id ID`; vault then asks for the secret".into(),
        ],
        ops::Error::Usage(text) if text.contains("more than one client") => {
            vec!["say which with `--client NAME`".into()]
        }
        _ => Vec::new(),
    }
}

fn did_you_mean(name: &str, listed: &[String], what: &str) -> Vec<String> {
    // The older half of a rename is listed, and is not there for whoever asks for it.
    let known: Vec<String> = listed.iter().filter(|listed| *listed != name).cloned().collect();
    let contains = |known: &String| known.contains(name) || name.contains(known.as_str());
    let distance = |known: &&String| strsim::damerau_levenshtein(known, name);
    let nearest = known.iter().min_by_key(distance).filter(|known| distance(known) <= MOST_TYPOS);
    let close = nearest.or_else(|| known.iter().find(|known| contains(known)));
    match close {
        Some(close) => vec![format!("did you mean `{close}`? The {what}s are: {}", some(&known))],
        None => vec![format!("the {what}s are: {}", some(&known))],
    }
}

/// Two letters turned around, one left out and another one wrong: what fingers do.
const MOST_TYPOS: usize = 2;

/// The first few of many names.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text = format!("{text} and {} more", names.len() - SHOWN);
    }
    text
}

fn store_hints(error: &store::Error) -> Vec<String> {
    let hint = match error {
        store::Error::Unsafe { path, why } if why.contains("written") => {
            format!(
                "run `chmod go-w {}`, after checking that nobody has changed anything in it",
                path.display()
            )
        }
        store::Error::Unsafe { .. } => "run vault as the user that owns the vault, without sudo".into(),
        store::Error::NotADocument { .. } => "move it away and put the real file back".into(),
        store::Error::Occupied { .. } => {
            "choose a new directory with `--vault-dir`; nothing is ever overwritten".into()
        }
        store::Error::Busy { .. } | store::Error::InUse { .. } => {
            "see what the other process is waiting for, then try again".into()
        }
        store::Error::Conflict { .. } => "try again".into(),
        store::Error::Io { source, .. } if source.kind() == std::io::ErrorKind::ResourceBusy => {
            "a disk may be mounted there; name a directory in it".into()
        }
        _ => "nothing was sent; free some space or mend the permissions, then try again".into(),
    };
    vec![hint]
}

fn unlock_hints(error: &unlock::Error) -> Vec<String> {
    let unlock::Error::NoWay { attempts } = error else { return Vec::new() };
    let mut hints: Vec<String> = attempts.iter().filter_map(|attempt| unlock_hint(&attempt.why)).collect();
    hints.dedup();
    hints
}

fn unlock_hint(why: &unlock::Why) -> Option<String> {
    use unlock::Why;
    Some(match why {
        Why::NobodyToAsk => {
            "without a terminal, set VAULT_PASSPHRASE_FILE or VAULT_PASSPHRASE_COMMAND, or run `vault unlock` first"
                .into()
        }
        Why::NoIdentity | Why::OtherIdentity | Why::Identity(_) => "set VAULT_IDENTITY_FILE to the identity file that opens it".into(),
        Why::Keychain(_) => {
            "unlock the keychain of your desktop session, or add another way in with `vault key add --passphrase`"
                .into()
        }
        Why::NoEntry => "log in to the desktop session that made the vault, or use another key slot".into(),
        Why::Message(_) => "check the passphrase and try again".into(),
        _ => return None,
    })
}

fn oauth_hints(error: &oauth::Error) -> Vec<String> {
    let hint = match error {
        oauth::Error::Unreachable { cause, .. } => return vec![obstacle_hint(cause).to_owned()],
        oauth::Error::Lost { .. } => "try again; vault knows that the first request may have been acted upon",
        oauth::Error::Unavailable { retry_after: Some(wait), .. } => {
            return vec![format!("try again in {} seconds", wait.as_secs())];
        }
        oauth::Error::Unavailable { .. } => "try again in a minute",
        oauth::Error::Nonsense { .. } => {
            "see whether a proxy or the login page of a network answers in the provider's place, then try again"
        }
        oauth::Error::Policy { what } if what.contains("plain HTTP") => {
            "add `--insecure-loopback` if the server on this machine is one that you trust"
        }
        oauth::Error::Policy { what }
            if what.contains("is not an https:") || what.contains("is not a URL") =>
        {
            "write the whole address, beginning with https://"
        }
        oauth::Error::Expired(_) => "run the command again for a new code",
        oauth::Error::TimedOut => "run the command again; `--timeout` gives more time",
        oauth::Error::Denied(_) => "run the command again when you want to allow it",
        oauth::Error::Listen { .. } => {
            "end the program that uses this port, or register another redirect URI"
        }
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}

fn not_revoked_hints(profile: &str, error: &oauth::Error) -> Vec<String> {
    let mut hints = oauth_hints(error);
    hints.push(format!(
        "or forget it on this machine only, where it lives on at the provider: `vault logout {profile} --local-only`"
    ));
    hints
}

fn obstacle_hint(obstacle: &Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Expired { .. } | Obstacle::NotYetValid { .. } => {
            "check the clock of this machine; if it is right, only the provider can mend this"
        }
        Obstacle::OtherHost { .. } => {
            "see whether a proxy or the login page of a network answers in the provider's place, then try again"
        }
        Obstacle::UnknownSigner => {
            "if a proxy of your company signs what you visit, name the file of its authority in SSL_CERT_FILE; \
             if not, somebody may stand in between"
        }
        Obstacle::NoAuthorities => {
            "install them (on Debian the package ca-certificates), or name a file of them in SSL_CERT_FILE"
        }
        Obstacle::ClientCertificate => "ask the provider for a client that proves itself by a secret",
        _ => "check the network and the proxy variables, then try again",
    }
}
