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
        Ok(self.try_identities(&found, |identity, _| is_ready(identity)))
    }

    /// The identities that other programs hold, or that need a passphrase for themselves.
    fn plugins(&mut self) -> Result<Found, Error> {
        let found = self.identities.clone();
        Ok(self
            .try_identities(&found, |identity, recipient| !is_ready(identity) && is_for(identity, recipient)))
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

/// Whether the identity opens a slot without another program and without a person.
fn is_ready(identity: &Identity) -> bool {
    match identity {
        Identity::Native(_) => true,
        Identity::Plugin { .. } => false,
        #[cfg(feature = "ssh")]
        Identity::Ssh(key) => matches!(key, age::ssh::Identity::Unencrypted(_)),
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
mod tests {
    use std::sync::Mutex;

    use age::x25519;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::domain::DocumentId;
    use crate::unlock::keychain::tests::Drawer;
    use crate::unlock::passphrase::WorkFactor;
    use crate::unlock::{Keychain, PassphraseSource, open};

    /// Somebody who types one line after the other, and then walks away.
    struct Typist(Mutex<Vec<&'static str>>);

    impl Typist {
        fn of(mut lines: Vec<&'static str>) -> Self {
            lines.reverse();
            Self(Mutex::new(lines))
        }
    }

    impl Prompt for Typist {
        fn passphrase(&self, _question: &str) -> Result<SecretString, PromptError> {
            self.0.lock().unwrap().pop().map(SecretString::from).ok_or(PromptError::Cancelled)
        }
    }

    /// A vault with its key, and the things that may open it.
    struct Scene {
        vault: VaultId,
        key: VaultKey,
        slots: Vec<KeySlot>,
        drawer: Drawer,
        typist: Typist,
        dir: tempfile::TempDir,
        identities: Vec<PathBuf>,
        passphrase: Option<PassphraseSource>,
        may_ask: bool,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                vault: VaultId::from_bytes([7; 16]),
                key: VaultKey::generate(),
                slots: Vec::new(),
                drawer: Drawer::default(),
                typist: Typist::of(vec![]),
                dir: tempfile::tempdir().unwrap(),
                identities: Vec::new(),
                passphrase: None,
                may_ask: true,
            }
        }

        fn slot(mut self, kind: SlotKind) -> Self {
            let id = DocumentId::from_bytes([self.slots.len() as u8; 16]);
            self.slots.push(KeySlot { id, created_at: jiff::Timestamp::UNIX_EPOCH, kind });
            self
        }

        fn passphrase_slot(self, text: &str) -> Self {
            let slot = passphrase::seal(&self.key, &SecretString::from(text), WorkFactor::FOR_TESTS).unwrap();
            self.slot(slot)
        }

        fn keychain_slot(self) -> Self {
            let slot = keychain::seal(&self.key, &self.vault, &self.drawer).unwrap();
            self.slot(slot)
        }

        fn recipient_slot(self, identity: &x25519::Identity) -> Self {
            let recipient = identity.to_public().to_string().parse().unwrap();
            let slot = recipient::seal(&self.key, &recipient, None).unwrap();
            self.slot(slot)
        }

        fn identity_file(mut self, text: &str) -> Self {
            let path = self.dir.path().join(format!("identity{}", self.identities.len()));
            std::fs::write(&path, text).unwrap();
            self.identities.push(path);
            self
        }

        fn types(mut self, lines: Vec<&'static str>) -> Self {
            self.typist = Typist::of(lines);
            self
        }

        fn open(&self) -> Result<Opened, Error> {
            let ways = Ways {
                prompt: &self.typist,
                keychain: &self.drawer,
                agent: None,
                identities: self.identities.clone(),
                passphrase: self.passphrase.clone(),
                may_ask: self.may_ask,
            };
            open(&self.vault, &self.key.id(&self.vault), &self.slots, &ways)
        }

        /// The kind of slot that opened it.
        fn opened_by(&self) -> &'static str {
            match self.open().unwrap().by {
                Door::Slot { kind, .. } => kind,
                Door::Agent => "agent",
            }
        }

        fn reasons(&self) -> Vec<String> {
            match self.open().unwrap_err() {
                Error::NoWay { attempts } => attempts.iter().map(|attempt| attempt.why.to_string()).collect(),
                error => panic!("{error}"),
            }
        }
    }

    fn text(identity: &x25519::Identity) -> String {
        identity.to_string().expose_secret().to_owned()
    }

    #[test]
    fn an_identity_is_used_before_the_keychain_and_that_before_a_person_is_asked() {
        let own = x25519::Identity::generate();
        let scene = Scene::new().passphrase_slot("correct horse").keychain_slot().recipient_slot(&own);

        assert_eq!(scene.opened_by(), "keychain");
        assert_eq!(scene.identity_file(&text(&own)).opened_by(), "recipient");
    }

    #[test]
    fn a_wrong_passphrase_may_be_typed_again_twice() {
        let scene = Scene::new().passphrase_slot("correct horse");

        let third = scene.types(vec!["wrong", "", "correct horse"]);
        assert_eq!(third.opened_by(), "passphrase");
        let fourth = third.types(vec!["wrong", "wrong", "wrong", "correct horse"]);
        assert_eq!(fourth.reasons(), ["the passphrase is wrong"]);
    }

    #[test]
    fn a_person_who_cancels_ends_the_search() {
        let scene = Scene::new().passphrase_slot("correct horse");

        assert!(matches!(scene.open(), Err(Error::Cancelled)));
    }

    #[test]
    fn nobody_is_asked_who_may_not_be() {
        let mut scene = Scene::new().passphrase_slot("correct horse").types(vec!["correct horse"]);
        scene.may_ask = false;

        assert_eq!(scene.reasons(), ["no passphrase was given and nobody can be asked"]);
        assert_eq!(scene.typist.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_passphrase_from_a_command_needs_nobody() {
        let mut scene = Scene::new().passphrase_slot("correct horse");
        scene.may_ask = false;
        scene.passphrase = Some(PassphraseSource::Command("echo correct horse".into()));

        let opened = scene.open().unwrap();

        assert!(matches!(opened.warnings[..], [Warning::WeakSlot { log_n: 10, .. }]));
        scene.passphrase = Some(PassphraseSource::File("/nonexistent".into()));
        assert_eq!(scene.reasons(), ["the passphrase file cannot be used"]);
    }

    #[test]
    fn every_slot_says_why_it_did_not_open() {
        let own = x25519::Identity::generate();
        let mut scene = Scene::new().keychain_slot().passphrase_slot("correct horse").recipient_slot(&own);
        scene.drawer.delete(&keychain::entry(&scene.vault, &scene.key.id(&scene.vault))).unwrap();
        scene.may_ask = false;

        assert_eq!(
            scene.reasons(),
            [
                "the keychain has no entry for this vault",
                "no passphrase was given and nobody can be asked",
                "no identity file was given"
            ]
        );
    }

    #[test]
    fn an_identity_file_that_does_not_fit_or_cannot_be_used_is_the_reason() {
        let own = x25519::Identity::generate();
        let scene = Scene::new().recipient_slot(&own).identity_file("nothing");

        assert!(scene.reasons()[0].starts_with("line 1 of "));
        let scene = scene.identity_file(&text(&x25519::Identity::generate()));
        assert_eq!(scene.reasons()[1], "none of the identity files opens it");
        assert_eq!(scene.identity_file(&text(&own)).opened_by(), "recipient");
    }

    #[test]
    fn a_slot_that_gives_another_key_counts_as_shut() {
        let own = x25519::Identity::generate();
        let stranger = Scene::new().keychain_slot().recipient_slot(&own).passphrase_slot("correct horse");
        let mut scene = Scene::new().identity_file(&text(&own)).types(vec!["correct horse"; 3]);
        scene.slots = stranger.slots;
        scene.drawer = stranger.drawer;

        assert_eq!(scene.reasons(), ["it gives another key"; 3]);
    }

    #[test]
    fn a_locked_keychain_is_the_reason() {
        let mut scene = Scene::new().keychain_slot();
        scene.drawer.locked = true;

        assert_eq!(scene.reasons(), ["the keychain is locked"]);
    }

    #[test]
    fn an_identity_file_with_a_passphrase_is_asked_for_after_everything_silent() {
        let own = x25519::Identity::generate();
        let mut recipient = age::scrypt::Recipient::new(SecretString::from("open sesame"));
        recipient.set_work_factor(10);
        let sealed = age::encrypt_and_armor(&recipient, text(&own).as_bytes()).unwrap();
        let scene = Scene::new().recipient_slot(&own).identity_file(&sealed);

        let mut scene = scene.types(vec!["wrong", "open sesame"]);
        assert_eq!(scene.opened_by(), "recipient");
        scene.may_ask = false;
        assert!(scene.reasons()[0].ends_with("is sealed with a passphrase, and nobody can be asked"));
        assert_eq!(scene.keychain_slot().opened_by(), "keychain");
    }
}
