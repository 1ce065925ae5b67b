//! What can be wrong about a provider of the user's own.

use crate::domain::ClientName;
use crate::oauth::provider::Flaw;

/// Why a provider cannot be had, added or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is none of that name.
    #[error("no provider named `{id}`")]
    Unknown {
        /// What was asked for.
        id: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Its file is not sound.
    #[error("{} is not the file of a provider", file(id.as_deref()))]
    Flawed {
        /// The stored one, or none for one that is to be added.
        id: Option<String>,
        /// What is wrong with it.
        #[source]
        flaw: Flaw,
    },
    /// Those that are built in stay as they are.
    #[error("the provider `{id}` is built in, and is neither replaced nor removed")]
    BuiltIn {
        /// Its name.
        id: String,
    },
    /// There is one of that name.
    #[error("there is a provider named `{id}` already")]
    Exists {
        /// Its name.
        id: String,
    },
    /// Clients of a server that was discovered, or described by hand, have that name for it.
    #[error("{} of a server that is called `{id}` already", plural(clients))]
    Taken {
        /// The name.
        id: String,
        /// The clients.
        clients: Vec<ClientName>,
    },
    /// Clients were made of it.
    #[error("the provider `{id}` is in use: {} of it", plural(clients))]
    InUse {
        /// Its name.
        id: String,
        /// The clients.
        clients: Vec<ClientName>,
    },
    /// It sends the browser back to no address of this machine, and the client has registered no other.
    #[error("{provider} accepts only redirect URIs with https:, and this client has none")]
    NeedsHttps {
        /// The provider's title.
        provider: String,
    },
    /// It says that it has no PKCE (RFC 7636), without which a code that is caught can be used by others.
    #[error("{issuer} does not offer PKCE with S256")]
    NoPkce {
        /// The issuer.
        issuer: String,
    },
    /// A client without a secret is none for it.
    #[error("{provider} has no clients without a secret")]
    NeedsSecret {
        /// The provider's title.
        provider: String,
    },
    /// There is no room for more.
    #[error("a vault keeps at most {count} providers of your own, with {size} KiB together")]
    TooMany {
        /// How many.
        count: usize,
        /// How much, in KiB.
        size: usize,
    },
}

fn file(id: Option<&str>) -> String {
    id.map_or_else(|| "this".to_owned(), |id| format!("what is stored as `{id}`"))
}

fn plural(clients: &[ClientName]) -> String {
    let names: Vec<&str> = clients.iter().map(ClientName::as_str).collect();
    match &names[..] {
        [name] => format!("the client `{name}` is"),
        names => format!("the clients {} are", names.join(", ")),
    }
}
