//! New key slots in place of old ones, when the vault key is rotated.

use std::sync::Mutex;

use secrecy::SecretString;

use super::identity::Content;
use super::passphrase::{self, WorkFactor};
use super::recipient::{self, Recipient};
use super::{MessageError, Prompt, PromptError, Ways, Why, keychain, source};
use crate::domain::{KeySlot, SlotKind, VaultId};
use crate::seal::VaultKey;
use crate::unlock::identity::IdentityFile;

/// How often a passphrase may be typed.
const TRIES: usize = 3;

/// A person who is asked for the same passphrase once only.
///
/// Whoever has just unlocked the vault by typing it need not type it again for its slot.
pub struct Attentive<'a> {
    person: &'a dyn Prompt,
    answers: Mutex<Vec<SecretString>>,
}

impl<'a> Attentive<'a> {
    /// Nothing has been answered yet.
    pub fn new(person: &'a dyn Prompt) -> Self {
        Self { person, answers: Mutex::new(Vec::new()) }
    }

    /// Gives the answers again, the last one first, before the person is asked.
    pub fn repeating(&self) -> Repeating<'_> {
        Repeating { person: self.person, answers: Mutex::new(self.answers()) }
    }

    /// What was answered so far.
    pub fn answers(&self) -> Vec<SecretString> {
        self.answers.lock().map(|answers| answers.clone()).unwrap_or_default()
    }
}

impl Prompt for Attentive<'_> {
    fn passphrase(&self, question: &str) -> Result<SecretString, PromptError> {
        let answer = self.person.passphrase(question)?;
        if let Ok(mut answers) = self.answers.lock() {
            answers.push(answer.clone());
        }
        Ok(answer)
    }

    fn tell(&self, message: &str) {
        self.person.tell(message);
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.person.confirm(question, yes, no)
    }
}

/// A person who has given all these answers before.
pub struct Repeating<'a> {
    person: &'a dyn Prompt,
    answers: Mutex<Vec<SecretString>>,
}

impl Prompt for Repeating<'_> {
    fn passphrase(&self, question: &str) -> Result<SecretString, PromptError> {
        let known = self.answers.lock().ok().and_then(|mut answers| answers.pop());
        known.map_or_else(|| self.person.passphrase(question), Ok)
    }

    fn tell(&self, message: &str) {
        self.person.tell(message);
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.person.confirm(question, yes, no)
    }
}

/// Seals `new` for whoever gets the old key by `slot`. Known passphrases are tried before anybody is
/// asked; the right one is proven on the old slot.
///
/// # Errors
///
/// Why this slot cannot be carried over here. Nothing was stored then.
pub fn rewrap(
    slot: &KeySlot,
    vault: &VaultId,
    new: &VaultKey,
    known: &[SecretString],
    ways: &Ways<'_>,
) -> Result<SlotKind, Why> {
    match &slot.kind {
        SlotKind::Keychain { entry } => {
            // A keychain that has never had the old key is that of another machine.
            keychain::open(entry, ways.keychain)?;
            keychain::seal(new, vault, ways.keychain).map_err(|error| Why::Keychain(error.into()))
        }
        SlotKind::Passphrase { sealed } => {
            let passphrase = proven(sealed, known, ways)?;
            let kind = passphrase::reseal(new, &passphrase, WorkFactor::DEFAULT);
            match &kind {
                SlotKind::Passphrase { sealed } => {
                    opens(new, passphrase::open(sealed, &passphrase)).map(|()| kind)
                }
                _ => Ok(kind),
            }
        }
        SlotKind::Recipient { recipient, .. } => seal_to(recipient, new, ways),
    }
}

fn opens(new: &VaultKey, opened: Result<VaultKey, MessageError>) -> Result<(), Why> {
    let nowhere = VaultId::from_bytes([0; 16]);
    let is_same = opened.map_err(Why::Message)?.id(&nowhere) == new.id(&nowhere);
    if is_same { Ok(()) } else { Err(Why::OtherKey) }
}

/// The passphrase that opens the old slot.
fn proven(sealed: &str, known: &[SecretString], ways: &Ways<'_>) -> Result<SecretString, Why> {
    let fits = |passphrase: &SecretString| passphrase::open(sealed, passphrase);
    if let Some(found) = known.iter().find(|passphrase| fits(passphrase).is_ok()) {
        return Ok(found.clone());
    }
    if let Some(from) = &ways.passphrase {
        let given = source::read(from).map_err(|error| Why::Source(error.into()))?;
        return fits(&given).map(|_| given).map_err(Why::Message);
    }
    let person = ways.person().ok_or(Why::NobodyToAsk)?;
    let mut refused = Why::NobodyToAsk;
    for _ in 0..TRIES {
        let typed = person
            .passphrase("Passphrase of the vault, for its new key")
            .map_err(|error| Why::Prompt(error.into()))?;
        match fits(&typed) {
            Ok(_) => return Ok(typed),
            Err(why) => refused = Why::Message(why),
        }
    }
    Err(refused)
}

/// A recipient that stands in the slot needs nobody; one that only its plugin knows needs the identity
/// file that the slot was made with.
fn seal_to(recipient: &str, new: &VaultKey, ways: &Ways<'_>) -> Result<SlotKind, Why> {
    if let Ok(known) = recipient.parse::<Recipient>() {
        return recipient::seal(new, &known, ways.person()).map_err(unsealed);
    }
    for path in &ways.identities {
        let Ok(IdentityFile { content: Content::Open(_), .. }) = IdentityFile::read(path) else { continue };
        match recipient::seal_to_file(new, path, ways.person()) {
            Ok(kind @ SlotKind::Recipient { .. }) if is_of(&kind, recipient) => return Ok(kind),
            _ => {}
        }
    }
    Err(Why::NoIdentity)
}

fn is_of(kind: &SlotKind, wanted: &str) -> bool {
    matches!(kind, SlotKind::Recipient { recipient, .. } if recipient == wanted)
}

fn unsealed(error: recipient::Error) -> Why {
    Why::Message(MessageError::Plugin(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unlock::keychain::Keychain;
    use crate::unlock::keychain::tests::Drawer;

    /// A person who must not be asked.
    struct Nobody;

    impl Prompt for Nobody {
        fn passphrase(&self, _: &str) -> Result<SecretString, PromptError> {
            Err(PromptError::NoTerminal)
        }
    }

    /// A keychain slot whose keychain becomes another one between two calls.
    fn rewrapped(change: impl FnOnce(&mut Drawer, &str)) -> Result<SlotKind, Why> {
        let (vault, old, new) = (VaultId::from_bytes([1; 16]), VaultKey::generate(), VaultKey::generate());
        let mut drawer = Drawer::default();
        let kind = keychain::seal(&old, &vault, &drawer).unwrap();
        let SlotKind::Keychain { entry } = &kind else { panic!() };
        change(&mut drawer, entry);
        let slot = KeySlot { id: crate::system::random_id(), created_at: jiff::Timestamp::UNIX_EPOCH, kind };
        let ways = Ways {
            prompt: &Nobody,
            keychain: &drawer,
            agent: None,
            identities: Vec::new(),
            passphrase: None,
            may_ask: false,
        };
        rewrap(&slot, &vault, &new, &[], &ways)
    }

    #[test]
    fn a_keychain_that_keeps_the_new_key_gets_an_entry_of_its_own_name() {
        let kind = rewrapped(|_, _| {}).unwrap();

        assert!(matches!(kind, SlotKind::Keychain { .. }));
    }

    #[test]
    fn a_keychain_that_forgets_garbles_or_refuses_the_new_key_carries_no_slot_over() {
        let not_kept = |result| matches!(result, Err(Why::Keychain(error)) if matches!(*error, keychain::Error::NotKept));
        assert!(not_kept(rewrapped(|drawer, _| drawer.forgets = true)));
        assert!(not_kept(rewrapped(|drawer, _| drawer.garbles = true)));
        let locked = rewrapped(|drawer, _| drawer.locked = true);
        assert!(matches!(locked, Err(Why::Keychain(error)) if matches!(*error, keychain::Error::Locked)));
    }

    #[test]
    fn a_keychain_that_never_had_the_old_key_or_has_another_one_is_of_another_machine() {
        let absent = rewrapped(|drawer, entry| drop(drawer.delete(entry)));
        assert!(matches!(absent, Err(Why::NoEntry)));
        let odd = rewrapped(|drawer, entry| drawer.write(entry, &SecretString::from("no key")).unwrap());
        assert!(matches!(odd, Err(Why::Message(MessageError::NotAKey))));
    }
}
