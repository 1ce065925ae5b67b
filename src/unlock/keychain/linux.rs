//! The Secret Service of the desktop: GNOME Keyring, KWallet, KeePassXC.
//!
//! Entries are those of the keyring project's stores (attributes `service` and `username`), so
//! that either reads the other's. Why its store is not used: `docs/decisions/0001`.

use std::collections::HashMap;
use std::time::Duration;

use dbus_secret_service::{Collection, EncryptionType, Error as BusError, Item, SecretService as Bus};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Error, Keychain, LIMIT, SERVICE, within};

/// How long a person may take to unlock the keychain in its dialog.
const DIALOG: Duration = Duration::from_secs(60);

/// How long the crate waits for one reply on the bus.
const REPLY: Duration = Duration::from_secs(2);

/// The Secret Service on the session bus.
pub(super) struct SecretService {
    may_ask: bool,
}

impl SecretService {
    /// With `may_ask`, a locked keychain shows its dialog; without, it is an error at once.
    pub(super) fn new(may_ask: bool) -> Self {
        Self { may_ask }
    }

    /// Does `work`, and once more after unlocking what stood in its way.
    fn run<T: Send + 'static>(
        &self,
        entry: &str,
        work: impl Fn(&Bus, &str) -> Result<T, Error> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        let (name, again) = (entry.to_owned(), work.clone());
        match within(LIMIT, move || work(&connect(Duration::ZERO)?, &name)) {
            Err(Error::Locked) if self.may_ask => {}
            done => return done,
        }
        let name = entry.to_owned();
        within(DIALOG + LIMIT, move || unlock(&connect(DIALOG)?, &name))?;
        let name = entry.to_owned();
        within(LIMIT, move || again(&connect(Duration::ZERO)?, &name))
    }
}

impl Keychain for SecretService {
    fn read(&self, entry: &str) -> Result<Option<SecretString>, Error> {
        self.run(entry, |bus, entry| find(bus, entry)?.map(|item| secret_of(&item)).transpose())
    }

    fn write(&self, entry: &str, secret: &SecretString) -> Result<(), Error> {
        let secret = secret.clone();
        self.run(entry, move |bus, entry| match find(bus, entry)? {
            Some(item) => item.set_secret(secret.expose_secret().as_bytes(), TEXT).map_err(failed),
            None => create(bus, entry, &secret),
        })
    }

    fn delete(&self, entry: &str) -> Result<bool, Error> {
        self.run(entry, |bus, entry| match find(bus, entry)? {
            Some(item) => item.delete().map(|()| true).map_err(failed),
            None => Ok(false),
        })
    }

    fn name(&self) -> &str {
        "the Secret Service"
    }
}

/// What is kept is text, and said to be.
const TEXT: &str = "text/plain";

/// The secret travels unencrypted on the bus: who can listen there can also ask for it. With no
/// time for a dialog, none appears.
fn connect(dialog: Duration) -> Result<Bus, Error> {
    Bus::connect_with_max_prompt_timeout(EncryptionType::Plain, dialog.as_secs()).map_err(failed)
}

fn attributes(entry: &str) -> HashMap<&str, &str> {
    HashMap::from([("service", SERVICE), ("username", entry)])
}

fn find<'a>(bus: &'a Bus, entry: &str) -> Result<Option<Item<'a>>, Error> {
    let mut found = bus.search_items(attributes(entry)).map_err(failed)?;
    match (found.unlocked.pop(), found.unlocked.is_empty(), found.locked.is_empty()) {
        (Some(item), true, true) => Ok(Some(item)),
        (Some(_), ..) => Err(Error::Ambiguous),
        (None, _, false) => Err(Error::Locked),
        (None, _, true) => Ok(None),
    }
}

fn secret_of(item: &Item<'_>) -> Result<SecretString, Error> {
    let bytes = Zeroizing::new(item.get_secret().map_err(failed)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::NotText)?;
    Ok(SecretString::from(text))
}

fn create(bus: &Bus, entry: &str, secret: &SecretString) -> Result<(), Error> {
    let collection = default_collection(bus)?;
    if collection.is_locked().map_err(failed)? {
        return Err(Error::Locked);
    }
    let label = format!("vault key {entry}");
    let secret = secret.expose_secret().as_bytes();
    collection.create_item(&label, attributes(entry), secret, true, TEXT).map_err(failed)?;
    Ok(())
}

/// Where new entries go. It is not made here: that needs a dialog, and the crate prints on stdout
/// when it does not understand how that ended.
fn default_collection(bus: &Bus) -> Result<Collection<'_>, Error> {
    bus.get_default_collection().map_err(|error| match error {
        BusError::NoResult => Error::NoCollection,
        other => failed(other),
    })
}

/// Unlocks the entry, or where it would go, with the desktop's own dialog.
fn unlock(bus: &Bus, entry: &str) -> Result<(), Error> {
    let found = bus.search_items(attributes(entry)).map_err(failed)?;
    let done = if found.locked.is_empty() {
        default_collection(bus)?.ensure_unlocked()
    } else {
        bus.unlock_all(&found.locked.iter().collect::<Vec<_>>())
    };
    done.map_err(|error| match error {
        BusError::Prompt => Error::Refused,
        other => failed(other),
    })
}

fn failed(error: BusError) -> Error {
    match error {
        BusError::Locked | BusError::Prompt => Error::Locked,
        BusError::Unavailable => Error::Absent("nothing on the session bus keeps secrets".into()),
        BusError::Dbus(error) => on_bus(error.name().unwrap_or_default(), error.message()),
        // Their text could hold what was read.
        BusError::Crypto(_) | BusError::Parse => Error::Failed("its answer makes no sense".into()),
        BusError::NoResult => Error::Failed("it has no such object".into()),
        _ => Error::Failed("it cannot be used".into()),
    }
}

/// The errors of D-Bus and of the Secret Service API, by their names.
fn on_bus(name: &str, message: Option<&str>) -> Error {
    let short = name.rsplit('.').next().unwrap_or(name);
    match short {
        "IsLocked" => Error::Locked,
        "ServiceUnknown" | "NameHasNoOwner" => {
            Error::Absent("nothing on the session bus keeps secrets".into())
        }
        "NotSupported" | "NoServer" | "FileNotFound" | "Disconnected" | "BadAddress" => {
            Error::Absent("there is no session bus".into())
        }
        "NoReply" | "Timeout" | "TimedOut" => Error::TooSlow(REPLY),
        _ => Error::Failed(message.map_or_else(|| name.to_owned(), |text| format!("{short}: {text}"))),
    }
}
