//! Trying the doors to the vault key, one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::identity::{self, Content, Identity, IdentityFile};
use super::{
    Attempt, Door, Error, MessageError, Opened, Prompt, PromptError, Warning, Ways, Why, agent, keychain,
    passphrase, recipient, source,
};
use crate::domain::{KeyId, KeySlot, SlotKind, VaultId};
use crate::seal::VaultKey;

/// How often a passphrase may be typed.
const TRIES: usize = 3;

/// The key and the door that gave it; none if the door did not open and its reason is noted.
type Found = Option<(VaultKey, Door)>;

/// Trying one kind of door; an error ends the search.
type Step<'a> = fn(&mut Search<'a>) -> Result<Found, Error>;

/// The search for one vault key.
pub(super) struct Search<'a> {
    vault: &'a VaultId,
    kid: &'a KeyId,
    slots: &'a [KeySlot],
    ways: &'a Ways<'a>,
    /// What stands in the identity files.
    identities: Vec<Identity>,
    /// Identity files that need a passphrase of their own.
    sealed: Vec<(PathBuf, Zeroizing<Vec<u8>>)>,
    /// What was wrong with other identity files.
    faults: Vec<Arc<identity::Error>>,
    attempts: Vec<Attempt>,
    warnings: Vec<Warning>,
}

impl<'a> Search<'a> {
    pub(super) fn new(vault: &'a VaultId, kid: &'a KeyId, slots: &'a [KeySlot], ways: &'a Ways<'a>) -> Self {
        Self {
            vault,
            kid,
            slots,
            ways,
            identities: Vec::new(),
            sealed: Vec::new(),
            faults: Vec::new(),
            attempts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Tries the doors, those first that cost least and ask nobody.
    pub(super) fn run(mut self) -> Result<Opened, Error> {
        let steps: [Step<'a>; 7] = [
            Self::agent,
            Self::identities,
            Self::keychain,
            Self::given_passphrase,
            Self::plugins,
            Self::sealed_identities,
            Self::typed_passphrase,
        ];
        for step in steps {
            if let Some((key, by)) = step(&mut self)? {
                return Ok(Opened { key, by, warnings: self.warnings, failed: self.attempts });
            }
        }
        self.name_the_rest();
        Err(Error::NoWay { attempts: self.attempts })
    }

    fn agent(&mut self) -> Result<Found, Error> {
        let Some(agent) = self.ways.agent else { return Ok(None) };
        let key = match agent.get(self.vault, self.kid) {
            Ok(None) | Err(agent::Error::Gone) => return Ok(None),
            Ok(Some(text)) => VaultKey::from_identity_file(&text).map_err(|_| Why::OtherKey),
            Err(error) => Err(Why::Agent(error.into())),
        };
        Ok(self.judge(Door::Agent, key))
    }

    /// The identities that need nobody.
    fn identities(&mut self) -> Result<Found, Error> {
        if !self.slots.iter().any(|slot| matches!(slot.kind, SlotKind::Recipient { .. })) {
            return Ok(None);
        }
        self.read_identity_files();
        let found = self.identities.clone();
        Ok(self.try_identities(&found, |identity, _| identity.is_ready()))
    }

    /// The identities that other programs hold, or that need a passphrase for themselves.
    fn plugins(&mut self) -> Result<Found, Error> {
        let found = self.identities.clone();
        Ok(self.try_identities(&found, |identity, recipient| {
            !identity.is_ready() && is_for(identity, recipient)
        }))
    }

    fn keychain(&mut self) -> Result<Found, Error> {
        for slot in self.slots {
            let SlotKind::Keychain { entry } = &slot.kind else { continue };
            let key = keychain::open(entry, self.ways.keychain);
            if let Some(opened) = self.judge(Door::of(slot), key) {
                return Ok(Some(opened));
            }
        }
        Ok(None)
    }

    fn given_passphrase(&mut self) -> Result<Found, Error> {
        let slots = self.passphrase_slots();
        let (Some(from), false) = (&self.ways.passphrase, slots.is_empty()) else { return Ok(None) };
        match source::read(from) {
            Ok(passphrase) => Ok(self.try_passphrase(&slots, &passphrase)),
            Err(error) => {
                let why = Why::Source(error.into());
                slots.iter().for_each(|(slot, _)| self.note(Door::of(slot), why.clone()));
                Ok(None)
            }
        }
    }

    /// Identity files that are sealed with a passphrase of their own.
    fn sealed_identities(&mut self) -> Result<Found, Error> {
        for (path, bytes) in std::mem::take(&mut self.sealed) {
            match self.unseal(&path, &bytes)? {
                Ok(found) => {
                    if let Some(opened) = self.try_identities(&found, is_for) {
                        return Ok(Some(opened));
                    }
                    self.identities.extend(found);
                }
                Err(error) => self.faults.push(error.into()),
            }
        }
        Ok(None)
    }

    fn unseal(&self, path: &Path, sealed: &[u8]) -> Result<Result<Vec<Identity>, identity::Error>, Error> {
        let mut result = Err(identity::Error::Sealed(path.to_owned()));
        let Some(person) = self.person() else { return Ok(result) };
        for _ in 0..TRIES {
            match person.passphrase(&recipient::question(path)) {
                Ok(passphrase) => result = identity::unseal(path, sealed, &passphrase),
                Err(PromptError::Cancelled) => return Err(Error::Cancelled),
                Err(_) => break,
            }
            if !matches!(
                &result,
                Err(identity::Error::NotOpened { source: MessageError::WrongPassphrase, .. })
            ) {
                break;
            }
        }
        Ok(result)
    }

    fn typed_passphrase(&mut self) -> Result<Found, Error> {
        let slots = self.passphrase_slots();
        let (Some(person), false) = (self.person(), slots.is_empty()) else { return Ok(None) };
        let mut question = "Passphrase of the vault";
        for _ in 0..TRIES {
            let passphrase = match person.passphrase(question) {
                Ok(passphrase) => passphrase,
                Err(PromptError::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    let why = Why::Prompt(error.into());
                    slots.iter().for_each(|(slot, _)| self.note(Door::of(slot), why.clone()));
                    return Ok(None);
                }
            };
            if let Some(opened) = self.try_passphrase(&slots, &passphrase) {
                return Ok(Some(opened));
            }
            question = "That is not the passphrase of the vault. Once more";
        }
        Ok(None)
    }

    fn person(&self) -> Option<&'a dyn Prompt> {
        self.ways.may_ask.then_some(self.ways.prompt)
    }

    fn passphrase_slots(&self) -> Vec<(&'a KeySlot, &'a str)> {
        let sealed = |slot: &'a KeySlot| match &slot.kind {
            SlotKind::Passphrase { sealed } => Some((slot, sealed.as_str())),
            _ => None,
        };
        self.slots.iter().filter_map(sealed).collect()
    }

    fn try_passphrase(&mut self, slots: &[(&KeySlot, &str)], passphrase: &SecretString) -> Found {
        for (slot, sealed) in slots {
            let key = passphrase::open(sealed, passphrase).map_err(Why::Message);
            if let Some(opened) = self.judge(Door::of(slot), key) {
                let weak = passphrase::weakness(sealed);
                self.warnings.extend(weak.map(|log_n| Warning::WeakSlot { slot: slot.id.clone(), log_n }));
                return Some(opened);
            }
        }
        None
    }

    fn read_identity_files(&mut self) {
        for path in &self.ways.identities {
            match IdentityFile::read(path) {
                Ok(file) => {
                    self.warnings.extend(file.warning());
                    match file.content {
                        Content::Open(found) => self.identities.extend(found),
                        Content::Sealed(bytes) => self.sealed.push((path.clone(), bytes)),
                    }
                }
                Err(error) => self.faults.push(error.into()),
            }
        }
    }

    /// Tries on each recipient slot the identities that are meant for its recipient.
    fn try_identities(&mut self, found: &[Identity], is_meant: fn(&Identity, &str) -> bool) -> Found {
        let person = self.person();
        for slot in self.slots {
            let SlotKind::Recipient { recipient, sealed } = &slot.kind else { continue };
            for identity in found.iter().filter(|identity| is_meant(identity, recipient)) {
                let key = match recipient::open(identity, sealed, person) {
                    // That one of several identities is for something else is no news.
                    Err(MessageError::OtherIdentity) => continue,
                    key => key.map_err(Why::Message),
                };
                if let Some(opened) = self.judge(Door::of(slot), key) {
                    return Some(opened);
                }
            }
        }
        None
    }

    /// A key counts only if it is the one that was asked for.
    fn judge(&mut self, door: Door, key: Result<VaultKey, Why>) -> Found {
        let why = match key {
            Ok(key) if key.id(self.vault) == *self.kid => return Some((key, door)),
            Ok(_) => Why::OtherKey,
            Err(why) => why,
        };
        self.note(door, why);
        None
    }

    /// Notes a failure once, however often the same thing was tried.
    fn note(&mut self, slot: Door, why: Why) {
        let said = |attempt: &Attempt| attempt.slot == slot && attempt.why.to_string() == why.to_string();
        if !self.attempts.iter().any(said) {
            self.attempts.push(Attempt { slot, why });
        }
    }

    /// Says of every slot that was not tried why it could not be.
    fn name_the_rest(&mut self) {
        for slot in self.slots {
            if self.attempts.iter().any(|attempt| attempt.slot == Door::of(slot)) {
                continue;
            }
            match slot.kind {
                SlotKind::Recipient { .. } => self.name_recipient(slot),
                _ => self.note(Door::of(slot), Why::NobodyToAsk),
            }
        }
    }

    fn name_recipient(&mut self, slot: &KeySlot) {
        if self.ways.identities.is_empty() {
            return self.note(Door::of(slot), Why::NoIdentity);
        }
        for fault in self.faults.clone() {
            self.note(Door::of(slot), Why::Identity(fault));
        }
        if !self.identities.is_empty() {
            self.note(Door::of(slot), Why::OtherIdentity);
        }
    }
}

/// Whether it is worth trying, where trying may disturb a person.
fn is_for(identity: &Identity, recipient: &str) -> bool {
    match identity {
        Identity::Native(_) => true,
        Identity::Plugin { identity, .. } => recipient::is_for(identity, recipient),
        #[cfg(feature = "ssh")]
        Identity::Ssh(_) => recipient.starts_with("ssh-"),
    }
}

#[cfg(test)]
mod tests;
