//! Why nothing, or not everything, was taken in.

use std::path::PathBuf;

use super::item::Odd;
use crate::domain::{ClientName, ProfileName};
use crate::system::NamedFileError;

/// Why nothing, or not everything, was taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] NamedFileError),
    /// There is nothing in a file that could be used.
    #[error("nothing can be taken in from {file}")]
    Odd {
        /// The file, or what stands for it.
        file: String,
        /// Why.
        #[source]
        source: Odd,
    },
    /// A file does not say which client its refresh token belongs to.
    #[error("{file} does not say which client its refresh token{} was issued to", of_label(label.as_deref()))]
    NoClient {
        /// The file.
        file: String,
        /// What the file calls the login.
        label: Option<String>,
    },
    /// It is not known who issues the tokens of a client.
    #[error("{file} does not say whose client {client_id} is")]
    NoProvider {
        /// The file.
        file: String,
        /// The client id.
        client_id: String,
        /// The provider that it seems to be, and that is not known.
        seems: Option<&'static str>,
    },
    /// The secret of a client is not in the file.
    #[error("{file} does not hold the secret of the client {client_id}")]
    NoSecret {
        /// The file.
        file: String,
        /// The client id.
        client_id: String,
        /// The program whose client it is, if it is a known one.
        tool: Option<&'static str>,
    },
    /// A file would send secrets to somebody else.
    #[error("{file} says that its tokens come from {host}, which is not {provider}")]
    OtherEndpoint {
        /// The file.
        file: String,
        /// The host that it names.
        host: String,
        /// Who would be asked.
        provider: String,
    },
    /// The client that was named is another one than that of the file.
    #[error(
        "the refresh token in {file} was issued to the client {client_id}, which is not client `{client}`"
    )]
    OtherClient {
        /// The file.
        file: String,
        /// The client id in the file.
        client_id: String,
        /// The client that was named.
        client: ClientName,
    },
    /// One client id has two secrets.
    #[error("the client {client_id} has another secret in {file} than before")]
    TwoSecrets {
        /// The file.
        file: String,
        /// The client id.
        client_id: String,
    },
    /// One name is for several logins.
    #[error("there are {count} logins, and one name for them")]
    OneName {
        /// How many.
        count: usize,
    },
    /// All of it is in the vault.
    #[error("{}", already(known))]
    Already {
        /// Each login or client, and what has it.
        known: Vec<Already>,
    },
    /// No copy of such a file is kept.
    #[error("there is no copy of {} in the vault", path.display())]
    NoCopy {
        /// The file.
        path: PathBuf,
        /// Files of which there are copies.
        known: Vec<String>,
    },
    /// The provider does not accept what a file holds.
    #[error("the login of {file} does not work, and was not stored")]
    Dead {
        /// The file.
        file: String,
        /// What the provider said.
        #[source]
        source: Box<crate::ops::Error>,
    },
}

/// Something that is in the vault already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Already {
    /// The file.
    pub file: String,
    /// What has it.
    pub known: Known,
}

/// What is in the vault already, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The login, in a profile.
    Login(ProfileName),
    /// Another login of the same account, in a profile.
    OtherLogin(ProfileName),
    /// The client.
    Client(ClientName),
}

impl Known {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Login(name) | Self::OtherLogin(name) => name.as_str(),
            Self::Client(name) => name.as_str(),
        }
    }
}

fn of_label(label: Option<&str>) -> String {
    label.map_or_else(String::new, |label| format!(" for `{}`", crate::oauth::printable(label, 60)))
}

fn already(known: &[Already]) -> String {
    let [Already { file, known }] = known else {
        let names: Vec<String> = known.iter().map(|one| format!("`{}`", one.known.name())).collect();
        return format!("all of it is in the vault already: {}", names.join(", "));
    };
    match known {
        Known::OtherLogin(name) => format!("the account of {file} has another login in profile `{name}`"),
        Known::Login(name) => format!("the login of {file} is in profile `{name}` already"),
        Known::Client(name) => format!("the client of {file} is in the vault already, as `{name}`"),
    }
}
