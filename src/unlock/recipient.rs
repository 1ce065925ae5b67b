//! Recipient slots: the vault key sealed to an age recipient outside the vault.

use std::borrow::Borrow;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use age::x25519;
use zeroize::Zeroizing;

use super::identity::{self, Content, Identity, IdentityFile};
use super::message::Bounds;
use super::{MessageError, Prompt, message, plugin};
use crate::domain::SlotKind;
use crate::seal::VaultKey;

/// Why a text is not a recipient. The text is not repeated: people paste the wrong half.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invalid {
    /// It is the secret half.
    #[error("this is an identity, the secret half; a recipient begins with `age1`")]
    IsIdentity,
    /// It looks like a recipient but has a mistake in it.
    #[error("the age recipient has a typing error in it")]
    Typo,
    /// It is an SSH key, and this program was built without them.
    #[error("SSH keys need a build with the feature `ssh`")]
    SshNotBuilt,
    /// It is an SSH key of a kind that age cannot use.
    #[error("age cannot use this SSH key; it takes ssh-ed25519, and ssh-rsa from 2048 bits on")]
    SshKind,
    /// It is nothing that age knows.
    #[error("this is not an age recipient; one begins with `age1`")]
    Unknown,
}

/// Why the vault key could not be sealed to a recipient.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipient is none.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The identity file cannot be used.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The person does not want to give the passphrase of the identity file.
    #[error(transparent)]
    Prompt(#[from] super::PromptError),
    /// A plugin is missing, failed, or took too long.
    #[error("{0}")]
    Plugin(String),
    /// What was sealed does not open again with the identity file: it names another recipient.
    #[error("what is sealed to the recipient in the identity file does not open with its identity")]
    NotOurs(#[source] MessageError),
}

/// Who a slot is sealed to.
#[derive(Clone)]
pub struct Recipient {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Native(x25519::Recipient),
    Tag(age::tag::Recipient),
    TagPq(Box<age::tagpq::Recipient>),
    Plugin(age::plugin::Recipient),
    #[cfg(feature = "ssh")]
    Ssh(age::ssh::Recipient),
}

impl FromStr for Recipient {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let kind =
            if let Some(rest) = text.strip_prefix("age1") { age_kind(text, rest)? } else { other(text)? };
        Ok(Self { text: text.to_owned(), kind })
    }
}

fn age_kind(text: &str, rest: &str) -> Result<Kind, Invalid> {
    if text.contains(|c: char| c.is_uppercase()) {
        // Bech32 allows all upper case; what age writes is lower case.
        return Err(Invalid::Typo);
    }
    let typo = |_| Invalid::Typo;
    // `1` ends the readable part of Bech32 and is none of its digits (BIP 173): another one means
    // that a plugin or a kind stands in between.
    match rest.rsplit_once('1').map(|(kind, _)| kind) {
        None => text.parse().map(Kind::Native).map_err(typo),
        Some("tag") => text.parse().map(Kind::Tag).map_err(typo),
        Some("tagpq") => text.parse().map(|key| Kind::TagPq(Box::new(key))).map_err(typo),
        Some(_) => text.parse().map(Kind::Plugin).map_err(typo),
    }
}

fn other(text: &str) -> Result<Kind, Invalid> {
    let upper = text.to_uppercase();
    if upper.starts_with("AGE-SECRET-KEY-")
        || upper.starts_with("AGE-PLUGIN-")
        || upper.contains("PRIVATE KEY")
    {
        return Err(Invalid::IsIdentity);
    }
    if text.starts_with("ssh-") {
        return ssh(text);
    }
    Err(Invalid::Unknown)
}

#[cfg(not(feature = "ssh"))]
fn ssh(_: &str) -> Result<Kind, Invalid> {
    Err(Invalid::SshNotBuilt)
}

#[cfg(feature = "ssh")]
fn ssh(text: &str) -> Result<Kind, Invalid> {
    use age::ssh::ParseRecipientKeyError as E;

    text.parse().map(Kind::Ssh).map_err(|error| match error {
        E::Invalid(_) => Invalid::Typo,
        _ => Invalid::SshKind,
    })
}

/// Makes the slot of a recipient. A plugin may ask `person`; with none it goes unanswered.
///
/// # Errors
///
/// If a plugin is missing, fails, or takes longer than 30 seconds.
pub fn seal(key: &VaultKey, recipient: &Recipient, person: Option<&dyn Prompt>) -> Result<SlotKind, Error> {
    let in_memory = "sealing to a key in memory does not fail";
    let sealed = match &recipient.kind {
        Kind::Native(key_of) => message::seal(key, key_of).expect(in_memory),
        Kind::Tag(key_of) => message::seal(key, key_of).expect(in_memory),
        Kind::TagPq(key_of) => message::seal(key, &**key_of).expect(in_memory),
        #[cfg(feature = "ssh")]
        Kind::Ssh(key_of) => message::seal(key, key_of).map_err(refused)?,
        Kind::Plugin(key_of) => {
            seal_by_plugin(key, key_of.plugin(), vec![key_of.clone()], vec![], person, plugin::LIMIT)?
        }
    };
    Ok(SlotKind::Recipient { recipient: recipient.text.clone(), sealed })
}

/// Makes the slot that the first identity of the file at `path` opens, and proves that it does.
///
/// A plugin's identity whose recipient stands in no comment is sealed to by its plugin; the slot
/// then names `age-plugin-…` as its recipient.
///
/// # Errors
///
/// If the file cannot be used, or a plugin fails.
pub fn seal_to_file(key: &VaultKey, path: &Path, person: Option<&dyn Prompt>) -> Result<SlotKind, Error> {
    let identity = first_identity(path, person)?;
    let slot = seal_to_identity(key, &identity, person)?;
    if let SlotKind::Recipient { sealed, .. } = &slot {
        open(&identity, sealed, person).map_err(Error::NotOurs)?;
    }
    Ok(slot)
}

fn first_identity(path: &Path, person: Option<&dyn Prompt>) -> Result<Identity, Error> {
    let found = match IdentityFile::read(path)?.content {
        Content::Open(found) => found,
        Content::Sealed(bytes) => {
            let person = person.ok_or_else(|| identity::Error::Sealed(path.to_owned()))?;
            let passphrase = person.passphrase(&question(path))?;
            identity::unseal(path, &bytes, &passphrase)?
        }
    };
    Ok(found.into_iter().next().expect("an identity file without identities is refused"))
}

/// The question for the passphrase of an identity file.
pub(super) fn question(path: &Path) -> String {
    format!("Passphrase of the identity file {}", path.display())
}

fn seal_to_identity(
    key: &VaultKey,
    identity: &Identity,
    person: Option<&dyn Prompt>,
) -> Result<SlotKind, Error> {
    match identity {
        Identity::Native(identity) => seal(key, &identity.to_public().to_string().parse()?, person),
        Identity::Plugin { recipient: Some(text), .. } => seal(key, &text.parse()?, person),
        Identity::Plugin { identity, recipient: None } => {
            let name = identity.plugin();
            let sealed = seal_by_plugin(key, name, vec![], vec![identity.clone()], person, plugin::LIMIT)?;
            Ok(SlotKind::Recipient { recipient: format!("age-plugin-{name}"), sealed })
        }
        #[cfg(feature = "ssh")]
        Identity::Ssh(identity) => {
            let recipient = age::ssh::Recipient::try_from(identity.clone()).map_err(|_| Invalid::SshKind)?;
            seal(key, &recipient.to_string().parse()?, person)
        }
    }
}

/// Begins an age message to all of `recipients`. A plugin may ask `person`; with none it goes unanswered.
pub(super) fn encryptor(
    recipients: &[Recipient],
    person: Option<&dyn Prompt>,
) -> Result<age::Encryptor, Error> {
    let Some(name) = recipients.iter().find_map(Recipient::plugin) else {
        let no_plugin = |recipient: &Recipient| recipient.kind.without_plugin();
        return encrypt_to(recipients.iter().filter_map(no_plugin).collect()).map_err(refused);
    };
    let (name, recipients) = (name.to_owned(), recipients.to_vec());
    let begun = plugin::within(plugin::LIMIT, person, move |relay| {
        let each = recipients.iter().map(|recipient| recipient.kind.for_age(&relay));
        encrypt_to(each.collect::<Result<_, _>>()?)
    });
    begun.ok_or_else(|| Error::Plugin(plugin::slow(&name, plugin::LIMIT)))?.map_err(refused)
}

fn encrypt_to(recipients: Vec<Box<dyn age::Recipient>>) -> Result<age::Encryptor, age::EncryptError> {
    age::Encryptor::with_recipients(recipients.iter().map(|recipient| &**recipient))
}

impl Recipient {
    /// The name of the plugin that seals to it, if one does.
    fn plugin(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plugin(plugin) => Some(plugin.plugin()),
            _ => None,
        }
    }
}

impl Kind {
    fn without_plugin(&self) -> Option<Box<dyn age::Recipient>> {
        Some(match self {
            Self::Native(key) => Box::new(key.clone()),
            Self::Tag(key) => Box::new(key.clone()),
            Self::TagPq(key) => key.clone(),
            #[cfg(feature = "ssh")]
            Self::Ssh(key) => Box::new(key.clone()),
            Self::Plugin(_) => return None,
        })
    }

    fn for_age(&self, relay: &plugin::Relay) -> Result<Box<dyn age::Recipient>, age::EncryptError> {
        let Self::Plugin(key) = self else {
            return Ok(self.without_plugin().expect("this one needs no plugin"));
        };
        let one = std::slice::from_ref(key);
        age::plugin::RecipientPluginV1::new(key.plugin(), one, &[], relay.clone())
            .map(|plugin| Box::new(plugin) as Box<dyn age::Recipient>)
            .map_err(age::EncryptError::PluginResolve)
    }
}

fn seal_by_plugin(
    key: &VaultKey,
    name: &str,
    recipients: Vec<age::plugin::Recipient>,
    identities: Vec<age::plugin::Identity>,
    person: Option<&dyn Prompt>,
    limit: Duration,
) -> Result<String, Error> {
    let (plugin_name, copy) = (name.to_owned(), key.copy());
    let sealed = plugin::within(limit, person, move |relay| {
        let recipient = age::plugin::RecipientPluginV1::new(&plugin_name, &recipients, &identities, relay)
            .map_err(age::EncryptError::PluginResolve)?;
        message::seal(&copy, &recipient)
    });
    sealed.ok_or_else(|| Error::Plugin(plugin::slow(name, limit)))?.map_err(refused)
}

fn refused(error: age::EncryptError) -> Error {
    Error::Plugin(match error {
        age::EncryptError::Plugin(errors) => plugin::words(&errors),
        age::EncryptError::PluginResolve(error) => plugin::missing(&error),
        age::EncryptError::Io(error) => plugin::broken(&error),
        age::EncryptError::IncompatibleRecipients { .. } => {
            "these recipients cannot stand together: all of them must be post-quantum, or none".into()
        }
        _ => "the recipient cannot be sealed to".into(),
    })
}

/// Opens the sealed part of a slot with one identity, which may have to ask.
pub(super) fn open(
    identity: &Identity,
    sealed: &str,
    person: Option<&dyn Prompt>,
) -> Result<VaultKey, MessageError> {
    open_with(identity, person, sealed, |identity, sealed| message::open(sealed, std::iter::once(identity)))
}

/// Opens any message with one identity, which may have to ask: a backup.
pub(super) fn open_bytes(
    identity: &Identity,
    sealed: &[u8],
    person: Option<&dyn Prompt>,
    bounds: Bounds,
) -> Result<Zeroizing<Vec<u8>>, MessageError> {
    open_with(identity, person, sealed, move |identity, sealed| {
        message::open_bytes(sealed, std::iter::once(identity), bounds)
    })
}

/// Hands `identity` to `open`. One that may have to ask gets a copy of the message, for a thread of its own.
fn open_with<M, T>(
    identity: &Identity,
    person: Option<&dyn Prompt>,
    sealed: &M,
    open: impl Fn(&dyn age::Identity, &M) -> Result<T, MessageError> + Send + 'static,
) -> Result<T, MessageError>
where
    M: ToOwned + ?Sized,
    M::Owned: Send + 'static,
    T: Send + 'static,
{
    match identity {
        Identity::Native(identity) => open(identity, sealed),
        Identity::Plugin { identity, .. } => {
            let (name, one, sealed) = (identity.plugin().to_owned(), identity.clone(), sealed.to_owned());
            let opened = plugin::within(plugin::LIMIT, person, move |relay| {
                let plugin =
                    age::plugin::IdentityPluginV1::new(one.plugin(), std::slice::from_ref(&one), relay)
                        .map_err(|error| MessageError::Plugin(plugin::missing(&error)))?;
                open(&plugin, sealed.borrow())
            });
            opened.unwrap_or_else(|| Err(MessageError::Plugin(plugin::slow(&name, plugin::LIMIT))))
        }
        #[cfg(feature = "ssh")]
        Identity::Ssh(identity) => {
            let (identity, sealed) = (identity.clone(), sealed.to_owned());
            let opened = plugin::within(plugin::LIMIT, person, move |relay| {
                open(&identity.with_callbacks(relay), sealed.borrow())
            });
            opened.unwrap_or(Err(MessageError::OtherIdentity))
        }
    }
}

/// Whether the plugin of `identity` may know what to do with a slot of this recipient.
pub(super) fn is_for(identity: &age::plugin::Identity, recipient: &str) -> bool {
    let name = identity.plugin();
    if recipient == format!("age-plugin-{name}") {
        return true;
    }
    match recipient.parse::<Recipient>().map(|recipient| recipient.kind) {
        Ok(Kind::Plugin(plugin)) => plugin.plugin() == name,
        // Tagged recipients are those of hardware keys, whichever plugin serves them.
        Ok(Kind::Tag(_) | Kind::TagPq(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn invalid(text: &str) -> Invalid {
        text.parse::<Recipient>().err().unwrap()
    }

    #[test]
    fn a_native_recipient_makes_a_slot_that_its_identity_opens() {
        let (key, own) = (VaultKey::generate(), x25519::Identity::generate());
        let recipient = own.to_public().to_string().parse().unwrap();

        let slot = seal(&key, &recipient, None).unwrap();

        let SlotKind::Recipient { recipient, sealed } = slot else { panic!("another kind") };
        assert_eq!(recipient, own.to_public().to_string());
        let opened = open(&Identity::Native(own), &sealed, None).unwrap();
        assert_eq!(opened.to_identity_file().expose_secret(), key.to_identity_file().expose_secret());
        let other = Identity::Native(x25519::Identity::generate());
        assert_eq!(open(&other, &sealed, None).unwrap_err(), MessageError::OtherIdentity);
    }

    #[test]
    fn a_mistake_in_a_recipient_is_seen() {
        let own = x25519::Identity::generate();
        let good = own.to_public().to_string();
        let last = if good.ends_with('q') { "p" } else { "q" };
        let typo = format!("{}{last}", &good[..good.len() - 1]);

        assert_eq!(invalid(&typo), Invalid::Typo);
        assert_eq!(invalid(&good.to_uppercase()), Invalid::Unknown);
        assert_eq!(invalid(&format!("{}{}", &good[..20], good[20..].to_uppercase())), Invalid::Typo);
        assert_eq!(invalid(&good[..30]), Invalid::Typo);
        assert_eq!(invalid("age1"), Invalid::Typo);
        assert_eq!(invalid("me@example.org"), Invalid::Unknown);
        assert_eq!(invalid(own.to_string().expose_secret()), Invalid::IsIdentity);
    }

    #[test]
    fn a_missing_plugin_is_named() {
        let recipient = "age1nosuchplugin1qqqsyqcyq5rqwzqf3jt5gc".parse::<Recipient>();
        let identity = age::plugin::Identity::default_for_plugin("nosuchplugin").unwrap();

        if let Ok(recipient) = recipient {
            let error = seal(&VaultKey::generate(), &recipient, None).unwrap_err();
            assert!(error.to_string().contains("`age-plugin-nosuchplugin`"), "{error}");
        }
        let error = open(&Identity::Plugin { identity, recipient: None }, "", None).unwrap_err();
        assert!(error.to_string().contains("`age-plugin-nosuchplugin` is not installed"), "{error}");
    }

    #[test]
    fn the_file_of_an_identity_makes_the_slot_that_it_opens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        let own = x25519::Identity::generate();
        std::fs::write(&path, own.to_string().expose_secret()).unwrap();

        let slot = seal_to_file(&VaultKey::generate(), &path, None).unwrap();

        assert!(
            matches!(slot, SlotKind::Recipient { recipient, .. } if recipient == own.to_public().to_string())
        );
    }
}
