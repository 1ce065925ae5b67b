//! Which door opens, and what the others say.

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
