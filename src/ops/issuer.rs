//! Who issues the tokens of a client: known by name, discovered, or described by hand.

use std::time::Duration;

use url::Url;

use super::clients::NewClient;
use super::providers::built_in;
use super::{Context, Error, Unlocked};
use crate::domain::provider::{Filled, Unfilled};
use crate::domain::{ClientAuth, ClientName, Endpoints};
use crate::oauth::discovery;
use crate::oauth::provider::OFFLINE;

/// How long discovery may take.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(15);

/// Who issues the tokens of a new client.
#[derive(Clone, Debug)]
pub enum Issuer {
    /// A provider that is known by name, with what the user fills into its endpoints.
    Known {
        /// Its id.
        id: String,
        /// Names and values.
        given: Vec<(String, String)>,
    },
    /// Any OpenID Connect or OAuth issuer that can be discovered.
    ///
    /// Text, because the provider must repeat it byte for byte.
    Discovered(String),
    /// A server without discovery.
    Endpoints(Box<Endpoints>),
}

/// What is known of who issues the tokens of a new client.
pub(super) struct Facts {
    pub(super) provider: String,
    pub(super) name: ClientName,
    pub(super) issuer: String,
    pub(super) endpoints: Endpoints,
    pub(super) auth: ClientAuth,
    pub(super) auth_is_certain: bool,
    pub(super) issuer_in_response: bool,
    pub(super) offline_scope: bool,
}

/// What is known beforehand, or says the issuer itself.
pub(super) fn facts(ctx: Context<'_>, vault: Option<&Unlocked>, new: &NewClient) -> Result<Facts, Error> {
    Ok(match &new.issuer {
        Issuer::Known { id, given } => known_facts(vault, id, given)?,
        Issuer::Discovered(issuer) => {
            let found = discovery::discover(ctx.http, issuer, new.insecure_loopback, DISCOVERY_LIMIT)?;
            let host = host_of(&found.endpoints.token);
            Facts {
                name: name_for(&host),
                provider: host,
                auth: found.client_auth(new.secret.is_some()),
                issuer: found.issuer,
                endpoints: found.endpoints,
                auth_is_certain: false,
                issuer_in_response: found.issuer_in_response,
                offline_scope: found.scopes_supported.iter().any(|scope| scope == OFFLINE),
            }
        }
        Issuer::Endpoints(endpoints) => {
            let host = host_of(&endpoints.token);
            Facts {
                name: name_for(&host),
                provider: host,
                issuer: endpoints.token.to_string(),
                endpoints: (**endpoints).clone(),
                // RFC 6749, 2.3.1: every server must support it.
                auth: ClientAuth::Basic,
                auth_is_certain: false,
                issuer_in_response: false,
                offline_scope: false,
            }
        }
    })
}

/// What is known of the provider `id` without asking it.
fn known_facts(vault: Option<&Unlocked>, id: &str, given: &[(String, String)]) -> Result<Facts, Error> {
    let provider = match vault {
        Some(vault) => vault.known_provider(id)?,
        None => built_in(id)?,
    };
    let unfilled = |error: Unfilled| Error::Usage(error.to_string());
    let values = provider.values(given).map_err(unfilled)?;
    let filled = provider.filled(values).map_err(unfilled)?;
    let Filled { issuer, endpoints, .. } = filled.expect("a provider that is known by name has endpoints");
    Ok(Facts {
        provider: provider.id.clone(),
        name: name_for(&provider.id),
        issuer,
        endpoints,
        auth: provider.client.auth.unwrap_or(ClientAuth::Basic),
        auth_is_certain: provider.client.auth.is_some(),
        issuer_in_response: false,
        offline_scope: false,
    })
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or("provider").to_ascii_lowercase()
}

/// A client name made of a host or provider name.
pub(super) fn name_for(host: &str) -> ClientName {
    let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let text: String = host.chars().filter(|c| usable(*c)).take(50).collect();
    text.parse().unwrap_or_else(|_| "client".parse().expect("`client` is a name"))
}
