//! Age identity files: what opens a recipient slot.
//!
//! A file may hold several identities, comments and CRLF line ends; its keys may be in lower case.
//! It may be sealed with a passphrase itself. Whatever else is in it makes the whole file refused,
//! by line number and never by content.

use std::path::{Path, PathBuf};

use age::x25519;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{FileError, MessageError, Warning, file, passphrase};

/// Most bytes of identities in a file that is sealed with a passphrase.
const MAX_PLAINTEXT: u64 = 64 * 1024;

/// Why an identity file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It could not be read.
    #[error("the identity file cannot be used")]
    File(#[source] FileError),
    /// There is nothing in it but comments.
    #[error("the identity file {} has no identity in it", .0.display())]
    Empty(PathBuf),
    /// A line is no identity.
    #[error("line {line} of {} is not an age identity", path.display())]
    NotAnIdentity {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A line is the public half.
    #[error("line {line} of {} is a recipient, the public half; the identity begins with `AGE-SECRET-KEY-1`", path.display())]
    IsRecipient {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// It is an SSH key, and this program was built without them.
    #[error("{} is an SSH key; this program was built without the feature `ssh`", .0.display())]
    SshNotBuilt(PathBuf),
    /// It is an SSH key of a kind that age cannot use.
    #[error("{} is an SSH key that age cannot use", .0.display())]
    SshKind(PathBuf),
    /// It is not text.
    #[error("{} is not an identity file", .0.display())]
    NotText(PathBuf),
    /// It is sealed with a passphrase, and that could not be asked for.
    #[error("the identity file {} is sealed with a passphrase, and nobody can be asked", .0.display())]
    Sealed(PathBuf),
    /// It is sealed, and did not open.
    #[error("the identity file {} cannot be opened", path.display())]
    NotOpened {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: MessageError,
    },
}

/// An identity file as it was read.
pub(super) struct IdentityFile {
    pub(super) path: PathBuf,
    pub(super) content: Content,
    open_mode: Option<u32>,
}

/// What is in an identity file.
pub(super) enum Content {
    /// Identities, ready for use.
    Open(Vec<Identity>),
    /// An age message that a passphrase opens.
    Sealed(Zeroizing<Vec<u8>>),
}

/// One identity.
#[derive(Clone)]
pub(super) enum Identity {
    Native(x25519::Identity),
    /// The recipient is the one that a comment above names, if there is one. It proves nothing.
    Plugin {
        identity: age::plugin::Identity,
        recipient: Option<String>,
    },
    #[cfg(feature = "ssh")]
    Ssh(age::ssh::Identity),
}

impl Identity {
    /// Whether it opens a message without another program and without a person.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Native(_) => true,
            Self::Plugin { .. } => false,
            #[cfg(feature = "ssh")]
            Self::Ssh(key) => matches!(key, age::ssh::Identity::Unencrypted(_)),
        }
    }
}

impl IdentityFile {
    /// Reads the file at `path`, without asking anybody.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let file::Content { bytes, open_mode } = file::read(path).map_err(Error::File)?;
        let content = if is_age_message(&bytes) {
            Content::Sealed(bytes)
        } else {
            let text = std::str::from_utf8(&bytes).map_err(|_| Error::NotText(path.to_owned()))?;
            Content::Open(identities(path, text)?)
        };
        Ok(Self { path: path.to_owned(), content, open_mode })
    }

    /// What should be told about a file that can be used all the same.
    pub(super) fn warning(&self) -> Option<Warning> {
        match self.content {
            // The passphrase protects it.
            Content::Sealed(_) => None,
            Content::Open(_) => {
                self.open_mode.map(|mode| Warning::OpenFile { path: self.path.clone(), mode })
            }
        }
    }
}

/// Opens a sealed identity file.
pub(super) fn unseal(path: &Path, sealed: &[u8], passphrase: &SecretString) -> Result<Vec<Identity>, Error> {
    let text = passphrase::open_text(sealed, passphrase, MAX_PLAINTEXT)
        .map_err(|source| Error::NotOpened { path: path.to_owned(), source })?;
    identities(path, text.expose_secret())
}

/// Whether the bytes begin as an age message does, armored or not.
pub(super) fn is_age_message(bytes: &[u8]) -> bool {
    // The armor and the binary form: C2SP age, "ASCII armor" and "Header".
    let bytes = bytes.trim_ascii_start();
    bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") || bytes.starts_with(b"age-encryption.org/")
}

fn identities(path: &Path, text: &str) -> Result<Vec<Identity>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with("-----BEGIN ") {
        return ssh(path, text);
    }
    let mut found = Vec::new();
    let mut recipient = None;
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.starts_with('#') {
            recipient = recipient_in(text).or(recipient);
        } else if !text.is_empty() {
            found.push(identity(path, line, text, recipient.take())?);
        }
    }
    if found.is_empty() { Err(Error::Empty(path.to_owned())) } else { Ok(found) }
}

fn identity(path: &Path, line: usize, text: &str, recipient: Option<String>) -> Result<Identity, Error> {
    if let Ok(identity) = text.parse() {
        return Ok(Identity::Native(identity));
    }
    if let Ok(identity) = text.parse() {
        return Ok(Identity::Plugin { identity, recipient });
    }
    let path = path.to_owned();
    if text.starts_with("age1") || text.starts_with("ssh-") {
        return Err(Error::IsRecipient { path, line });
    }
    Err(Error::NotAnIdentity { path, line })
}

/// The recipient in a comment, as plugins write it: `#    Recipient: age1yubikey1…`.
fn recipient_in(comment: &str) -> Option<String> {
    let (_, recipient) = comment.rsplit_once(": ")?;
    recipient.starts_with("age1").then(|| recipient.to_owned())
}

#[cfg(not(feature = "ssh"))]
fn ssh(path: &Path, text: &str) -> Result<Vec<Identity>, Error> {
    if text.contains("PRIVATE KEY-----") {
        return Err(Error::SshNotBuilt(path.to_owned()));
    }
    Err(Error::NotAnIdentity { path: path.to_owned(), line: 1 })
}

#[cfg(feature = "ssh")]
fn ssh(path: &Path, text: &str) -> Result<Vec<Identity>, Error> {
    // The parser of the age crate knows no other line ends.
    let text = Zeroizing::new(text.replace("\r\n", "\n"));
    match age::ssh::Identity::from_buffer(text.as_bytes(), Some(path.display().to_string())) {
        Ok(age::ssh::Identity::Unsupported(_)) => Err(Error::SshKind(path.to_owned())),
        Ok(identity) => Ok(vec![Identity::Ssh(identity)]),
        Err(_) => Err(Error::NotAnIdentity { path: path.to_owned(), line: 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<IdentityFile, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        std::fs::write(&path, text).unwrap();
        IdentityFile::read(&path)
    }

    fn count(text: &str) -> usize {
        match read(text.as_bytes()).map(|file| file.content) {
            Ok(Content::Open(found)) => found.len(),
            Ok(Content::Sealed(_)) => panic!("sealed"),
            Err(error) => panic!("{error}"),
        }
    }

    fn secret() -> String {
        x25519::Identity::generate().to_string().expose_secret().to_owned()
    }

    #[test]
    fn comments_crlf_blanks_a_byte_order_mark_and_several_identities_are_fine() {
        let (a, b) = (secret(), secret());

        assert_eq!(count(&a), 1);
        assert_eq!(count(&format!("\u{feff}# created: 2026-01-01\r\n\r\n  {a}\r\n# two\n{b} \n")), 2);
        assert_eq!(count(&a.to_lowercase()), 1);
    }

    #[test]
    fn a_line_that_is_no_identity_is_named_by_its_number_and_never_shown() {
        let good = secret();
        let cut = &good[..good.len() - 1];
        let mixed = format!("{}{}", &good[..40], good[40..].to_lowercase());

        for bad in [format!("{good}canary"), cut.into(), mixed, "canary".into()] {
            let error = read(format!("# one\n{good}\n{bad}\n").as_bytes()).err().unwrap();

            assert!(matches!(error, Error::NotAnIdentity { line: 3, .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn the_public_half_is_recognised() {
        let public = x25519::Identity::generate().to_public().to_string();

        assert!(matches!(read(public.as_bytes()), Err(Error::IsRecipient { line: 1, .. })));
    }

    #[test]
    fn a_file_without_identities_and_one_that_is_not_text_are_refused() {
        assert!(matches!(read(b"# only a comment\n"), Err(Error::Empty(_))));
        assert!(matches!(read(b""), Err(Error::Empty(_))));
        assert!(matches!(read(b"\xff\xfe\x00"), Err(Error::NotText(_))));
        assert!(matches!(IdentityFile::read(Path::new("/nonexistent")), Err(Error::File(_))));
    }

    #[test]
    fn a_file_sealed_with_a_passphrase_opens_with_it_alone() {
        let mut recipient = age::scrypt::Recipient::new(SecretString::from("open sesame"));
        recipient.set_work_factor(10);
        let sealed = age::encrypt_and_armor(&recipient, secret().as_bytes()).unwrap();

        let Content::Sealed(bytes) = read(sealed.as_bytes()).unwrap().content else { panic!("open") };
        let path = Path::new("identity");
        let right = unseal(path, &bytes, &SecretString::from("open sesame"));
        let wrong = unseal(path, &bytes, &SecretString::from("open barley"));

        assert_eq!(right.ok().unwrap().len(), 1);
        assert!(matches!(
            wrong.err().unwrap(),
            Error::NotOpened { source: MessageError::WrongPassphrase, .. }
        ));
    }

    #[test]
    fn a_file_sealed_to_a_key_is_refused() {
        let key = x25519::Identity::generate();
        let sealed = age::encrypt_and_armor(&key.to_public(), secret().as_bytes()).unwrap();

        let opened = unseal(Path::new("identity"), sealed.as_bytes(), &SecretString::from("any"));

        assert!(matches!(opened, Err(Error::NotOpened { source: MessageError::Damaged, .. })));
    }

    #[test]
    fn a_plugin_identity_takes_the_recipient_from_the_comment_above() {
        let identity = age::plugin::Identity::default_for_plugin("test").unwrap();
        let text = format!("#       Serial: 1, Slot: 1\n#    Recipient: age1test1abc\n{identity}\n");

        let Content::Open(found) = read(text.as_bytes()).unwrap().content else { panic!("sealed") };

        assert!(
            matches!(&found[..], [Identity::Plugin { recipient: Some(text), .. }] if text == "age1test1abc")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_a_warning() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        std::fs::write(&path, secret()).unwrap();
        for (mode, warns) in [(0o600, false), (0o400, false), (0o644, true), (0o640, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();

            assert_eq!(IdentityFile::read(&path).unwrap().warning().is_some(), warns, "{mode:o}");
        }
    }

    #[cfg(not(feature = "ssh"))]
    #[test]
    fn an_ssh_key_names_the_feature_it_needs() {
        let text = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";

        assert!(matches!(read(text), Err(Error::SshNotBuilt(_))));
    }
}
