//! The key of a service account as a client: stored once, used by as many profiles as it has scopes and subjects.

use url::Url;

use super::super::clients::{Issuer, NewClient};
use super::super::issuer::name_for;
use super::Error;
use crate::domain::{ClientAuth, ClientName};
use crate::oauth::printable;
use crate::oauth::service_account::{self, KeyFile};

/// What the key file of a service account says beside the key.
#[derive(Clone, Debug)]
pub struct KeyFacts {
    /// Which of its keys it is.
    pub id: String,
    /// Where the file says that tokens are issued.
    pub token_uri: Url,
    /// The Google Cloud project that it belongs to.
    pub project: Option<String>,
}

impl KeyFacts {
    /// A file that leads elsewhere than to the provider is not believed: an assertion is good where it says.
    pub(in crate::ops) fn check(&self, known: &Url, provider: &str) -> Result<(), Error> {
        if service_account::is_issued_at(&self.token_uri, known) {
            return Ok(());
        }
        Err(Error::OtherEndpoint {
            found: printable(self.token_uri.as_str(), 100),
            provider: provider.to_owned(),
            known: known.to_string(),
        })
    }
}

impl NewClient {
    /// The service account that a key file is of.
    pub fn from_key(file: KeyFile, issuer: Issuer, name: Option<ClientName>) -> Self {
        let own_name = file.client_email.split('@').next().map(name_for);
        let key = KeyFacts { id: file.private_key_id, token_uri: file.token_uri, project: file.project_id };
        Self {
            name: name.or(own_name),
            issuer,
            client_id: file.client_email,
            secret: Some(file.private_key),
            auth: Some(ClientAuth::Assertion),
            redirect_uri: None,
            insecure_loopback: false,
            allow_no_pkce: false,
            key: Some(key),
            kind: None,
        }
    }
}
