//! The keychains of macOS and Windows, through the keyring project's stores.
//!
//! This adapter is tested against the keyring project's own store in memory; the stores of the two
//! systems have never been run with it.

use std::sync::Arc;

use keyring_core::{CredentialStore, Entry};
use secrecy::{ExposeSecret, SecretString};

use super::{Error, Keychain, LIMIT, SERVICE, within};

/// Makes the platform's store.
type Maker = fn() -> keyring_core::Result<Arc<CredentialStore>>;

/// A keychain behind a store of the keyring project.
pub(super) struct Native {
    name: &'static str,
    store: Maker,
}

impl Native {
    pub(super) fn new(name: &'static str, store: Maker) -> Self {
        Self { name, store }
    }

    fn run<T: Send + 'static>(
        &self,
        entry: &str,
        work: impl FnOnce(Entry) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (store, entry) = (self.store, entry.to_owned());
        within(LIMIT, move || {
            store().and_then(|store| store.build(SERVICE, &entry, None)).and_then(work).map_err(failed)
        })
    }
}

impl Keychain for Native {
    fn read(&self, entry: &str) -> Result<Option<SecretString>, Error> {
        self.run(entry, |entry| match entry.get_password() {
            Ok(text) => Ok(Some(SecretString::from(text))),
            Err(keyring_core::Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn write(&self, entry: &str, secret: &SecretString) -> Result<(), Error> {
        let secret = secret.clone();
        self.run(entry, move |entry| entry.set_password(secret.expose_secret()))
    }

    fn delete(&self, entry: &str) -> Result<bool, Error> {
        self.run(entry, |entry| match entry.delete_credential() {
            Ok(()) => Ok(true),
            Err(keyring_core::Error::NoEntry) => Ok(false),
            Err(error) => Err(error),
        })
    }

    fn name(&self) -> &str {
        self.name
    }
}

/// Our own words: some of the store's errors carry the secret.
fn failed(error: keyring_core::Error) -> Error {
    use keyring_core::Error as E;

    match error {
        E::NoStorageAccess(_) => Error::Locked,
        E::Ambiguous(_) => Error::Ambiguous,
        E::BadEncoding(_) | E::BadDataFormat(..) => Error::NotText,
        E::PlatformFailure(source) => Error::Failed(source.to_string()),
        E::TooLong(name, limit) => Error::Failed(format!("its limit for the {name} is {limit}")),
        _ => Error::Failed("it cannot be used".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;

    /// One store for the process, as a platform has one.
    fn store() -> keyring_core::Result<Arc<CredentialStore>> {
        static STORE: OnceLock<Arc<CredentialStore>> = OnceLock::new();
        Ok(STORE.get_or_init(|| keyring_core::mock::Store::new().expect("memory")).clone())
    }

    #[test]
    fn an_entry_is_written_read_replaced_and_deleted() {
        let keychain = Native::new("memory", store);
        let read = || keychain.read("a/b").unwrap().map(|text| text.expose_secret().to_owned());

        assert_eq!(read(), None);
        keychain.write("a/b", &SecretString::from("one")).unwrap();
        keychain.write("a/b", &SecretString::from("two")).unwrap();
        assert_eq!(read().as_deref(), Some("two"));
        assert!(keychain.delete("a/b").unwrap());
        assert!(!keychain.delete("a/b").unwrap());
        assert_eq!(read(), None);
    }
}
