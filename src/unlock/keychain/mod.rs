//! The operating system's keychain: one entry for each vault key.
//!
//! There is no stand-in for it. Where the platform has none, or it does not answer, that is an error.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", windows, test))]
mod native;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::Why;
use crate::domain::{KeyId, SlotKind, VaultId};
use crate::seal::VaultKey;
use crate::system::random_bytes;

/// The name under which all our entries stand, as the keyring project's stores know it.
pub const SERVICE: &str = "vault";

/// How long the keychain may take for one call in which nobody is asked.
const LIMIT: Duration = Duration::from_secs(5);

/// Why the keychain did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is none here: no session bus, or nothing on it that keeps secrets.
    #[error("there is no keychain here: {0}")]
    Absent(String),
    /// It is locked, and nobody may be asked to unlock it.
    #[error("the keychain is locked")]
    Locked,
    /// The person closed the dialog that unlocks it, or let it time out.
    #[error("the keychain was not unlocked")]
    Refused,
    /// It has no collection in which new entries are kept.
    #[error("the keychain has no default collection")]
    NoCollection,
    /// It did not answer.
    #[error("the keychain did not answer within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    /// Two entries have this name.
    #[error("the keychain has more than one entry with this name")]
    Ambiguous,
    /// The entry is no text.
    #[error("the entry in the keychain is not text")]
    NotText,
    /// What was written reads back as something else, or not at all.
    #[error("the keychain does not give back what was stored")]
    NotKept,
    /// Anything else that it says.
    #[error("the keychain failed: {0}")]
    Failed(String),
}

/// The operating system's keychain. Each call is bounded in time.
pub trait Keychain: Send + Sync {
    /// The secret of an entry, if there is one.
    ///
    /// # Errors
    ///
    /// If the keychain cannot be asked.
    fn read(&self, entry: &str) -> Result<Option<SecretString>, Error>;

    /// Stores a secret, in place of an older one.
    ///
    /// # Errors
    ///
    /// If the keychain does not take it.
    fn write(&self, entry: &str, secret: &SecretString) -> Result<(), Error>;

    /// Removes an entry; whether there was one.
    ///
    /// # Errors
    ///
    /// If the keychain cannot be asked.
    fn delete(&self, entry: &str) -> Result<bool, Error>;

    /// What people call it.
    fn name(&self) -> &str;
}

/// The keychain of this platform. With `may_ask`, the platform's own dialog may appear.
#[cfg(target_os = "linux")]
pub fn system(may_ask: bool) -> Box<dyn Keychain> {
    Box::new(linux::SecretService::new(may_ask))
}

/// The keychain of this platform. The platform decides whether a dialog appears.
///
/// Written against the documentation of its store, and never run on this platform.
#[cfg(target_os = "macos")]
pub fn system(_may_ask: bool) -> Box<dyn Keychain> {
    Box::new(native::Native::new("the macOS keychain", || {
        let store: std::sync::Arc<keyring_core::CredentialStore> =
            apple_native_keyring_store::keychain::Store::new()?;
        Ok(store)
    }))
}

/// The keychain of this platform, which never asks.
///
/// Written against the documentation of its store, and never run on this platform.
#[cfg(windows)]
pub fn system(_may_ask: bool) -> Box<dyn Keychain> {
    Box::new(native::Native::new("the Windows Credential Manager", || {
        let store: std::sync::Arc<keyring_core::CredentialStore> =
            windows_native_keyring_store::Store::new()?;
        Ok(store)
    }))
}

/// The keychain of this platform: there is none that we know.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
pub fn system(_may_ask: bool) -> Box<dyn Keychain> {
    Box::new(NoKeychain)
}

/// A platform without a keychain.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
struct NoKeychain;

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
impl Keychain for NoKeychain {
    fn read(&self, _: &str) -> Result<Option<SecretString>, Error> {
        Err(Error::Absent("this platform has none".into()))
    }

    fn write(&self, _: &str, _: &SecretString) -> Result<(), Error> {
        Err(Error::Absent("this platform has none".into()))
    }

    fn delete(&self, _: &str) -> Result<bool, Error> {
        Err(Error::Absent("this platform has none".into()))
    }

    fn name(&self) -> &str {
        "no keychain"
    }
}

/// The name of the entry for a vault key.
pub fn entry(vault: &VaultId, kid: &KeyId) -> String {
    format!("{vault}/{kid}")
}

/// Makes a keychain slot: stores the vault key, and reads it back.
///
/// # Errors
///
/// If the keychain does not take it or does not give it back.
pub fn seal(key: &VaultKey, vault: &VaultId, keychain: &dyn Keychain) -> Result<SlotKind, Error> {
    let entry = entry(vault, &key.id(vault));
    let file = key.to_identity_file();
    // Without its line end: some keychains drop it, and all are read by people.
    let text = SecretString::from(file.expose_secret().trim_end());
    write_and_compare(keychain, &entry, &text)?;
    Ok(SlotKind::Keychain { entry })
}

/// Opens a keychain slot.
pub(super) fn open(entry: &str, keychain: &dyn Keychain) -> Result<VaultKey, Why> {
    let text = keychain.read(entry).map_err(|error| Why::Keychain(error.into()))?.ok_or(Why::NoEntry)?;
    VaultKey::from_identity_file(&text).map_err(|_| Why::Message(super::MessageError::NotAKey))
}

/// Whether the keychain keeps what it is given: writes, reads and deletes a random entry.
///
/// # Errors
///
/// Why it cannot be relied on.
pub fn probe(keychain: &dyn Keychain) -> Result<(), Error> {
    let entry = format!("probe/{}", hex::encode(random_bytes::<16>()));
    let secret = SecretString::from(hex::encode(random_bytes::<16>()));
    let kept = write_and_compare(keychain, &entry, &secret);
    // Also after a failure: what was written must not stay.
    let deleted = keychain.delete(&entry);
    kept?;
    if deleted? && keychain.read(&entry)?.is_none() { Ok(()) } else { Err(Error::NotKept) }
}

fn write_and_compare(keychain: &dyn Keychain, entry: &str, secret: &SecretString) -> Result<(), Error> {
    keychain.write(entry, secret)?;
    let back = keychain.read(entry)?.ok_or(Error::NotKept)?;
    let same = back.expose_secret().as_bytes().ct_eq(secret.expose_secret().as_bytes());
    if bool::from(same) { Ok(()) } else { Err(Error::NotKept) }
}

/// Runs a call that may hang on a thread of its own, which is left behind when the time is over.
fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        let _ = done.send(call());
    });
    match result.recv_timeout(limit) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::TooSlow(limit)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Error::Failed("the call was broken off".into())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use super::*;

    /// A keychain in memory, for the tests of what uses one.
    #[derive(Default)]
    pub(crate) struct Drawer {
        entries: Mutex<HashMap<String, String>>,
        /// Says yes and keeps nothing.
        pub(crate) forgets: bool,
        /// Keeps something else.
        pub(crate) garbles: bool,
        /// Answers as a locked one does.
        pub(crate) locked: bool,
    }

    impl Drawer {
        fn entries(&self) -> Result<std::sync::MutexGuard<'_, HashMap<String, String>>, Error> {
            if self.locked { Err(Error::Locked) } else { Ok(self.entries.lock().unwrap()) }
        }
    }

    impl Keychain for Drawer {
        fn read(&self, entry: &str) -> Result<Option<SecretString>, Error> {
            Ok(self.entries()?.get(entry).map(|text| SecretString::from(text.as_str())))
        }

        fn write(&self, entry: &str, secret: &SecretString) -> Result<(), Error> {
            let kept = if self.garbles { "garbled" } else { secret.expose_secret() };
            if !self.forgets {
                self.entries()?.insert(entry.into(), kept.into());
            }
            Ok(())
        }

        fn delete(&self, entry: &str) -> Result<bool, Error> {
            Ok(self.entries()?.remove(entry).is_some())
        }

        fn name(&self) -> &str {
            "a drawer"
        }
    }

    #[test]
    fn a_slot_gives_back_the_key_that_was_stored() {
        let (vault, key, drawer) = (VaultId::from_bytes([1; 16]), VaultKey::generate(), Drawer::default());

        let SlotKind::Keychain { entry } = seal(&key, &vault, &drawer).unwrap() else { panic!() };

        assert_eq!(entry, format!("{vault}/{}", key.id(&vault)));
        assert_eq!(open(&entry, &drawer).unwrap().id(&vault), key.id(&vault));
        assert!(!drawer.read(&entry).unwrap().unwrap().expose_secret().contains('\n'));
    }

    #[test]
    fn a_keychain_that_forgets_or_garbles_is_noticed() {
        let forgetful = Drawer { forgets: true, ..Drawer::default() };
        let garbling = Drawer { garbles: true, ..Drawer::default() };

        for drawer in [forgetful, garbling] {
            let slot = seal(&VaultKey::generate(), &VaultId::from_bytes([1; 16]), &drawer);

            assert!(matches!(slot, Err(Error::NotKept)));
            assert!(matches!(probe(&drawer), Err(Error::NotKept)));
        }
    }

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let drawer = Drawer::default();

        probe(&drawer).unwrap();

        assert!(drawer.entries().unwrap().is_empty());
    }

    #[test]
    fn an_entry_that_is_missing_or_no_key_opens_nothing() {
        let drawer = Drawer::default();
        drawer.write("a", &SecretString::from("AGE-SECRET-KEY-1")).unwrap();

        assert!(matches!(open("a", &drawer), Err(Why::Message(super::super::MessageError::NotAKey))));
        assert!(matches!(open("b", &drawer), Err(Why::NoEntry)));
    }

    #[test]
    fn a_call_that_hangs_is_left_behind() {
        let limit = Duration::from_millis(20);

        let result = within(limit, || {
            thread::sleep(Duration::from_secs(60));
            Ok(())
        });

        assert!(matches!(result, Err(Error::TooSlow(_))));
    }
}
