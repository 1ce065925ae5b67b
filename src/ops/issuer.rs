//! Who issues the tokens of a client: known by name, discovered, or described by hand.

use std::borrow::Cow;
use std::time::Duration;

use url::Url;

use super::clients::NewClient;
use super::{Context, Error, Unlocked, providers};
use crate::domain::provider::{Filled, Unfilled};
use crate::domain::{Client, ClientAuth, ClientName, Endpoints, Pinned};
use crate::oauth::discovery;
use crate::oauth::provider::{GENERIC, OFFLINE, Provider};

/// How long discovery may take.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(15);

/// Who issues the tokens of a new client.
#[derive(Clone, Debug)]
pub enum Issuer {
    /// A provider that is known by name, the user's own or built in, with what the user fills into its endpoints.
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
    pub(super) pinned: Pinned,
    pub(super) may_be_public: bool,
    pub(super) title: String,
}

/// What is known beforehand, or says the issuer itself.
pub(super) fn facts(ctx: Context<'_>, vault: Option<&Unlocked>, new: &NewClient) -> Result<Facts, Error> {
    Ok(match &new.issuer {
        Issuer::Known { id, given } => known_facts(vault, id, given)?,
        Issuer::Discovered(issuer) => {
            let found = discovery::discover(ctx.http, issuer, new.insecure_loopback, DISCOVERY_LIMIT)?;
            if found.without_pkce && !new.allow_no_pkce {
                return Err(providers::Error::NoPkce { issuer: found.issuer }.into());
            }
            let host = server_name(vault, &found.endpoints.token);
            Facts {
                name: name_for(&host),
                may_be_public: true,
                title: host.clone(),
                provider: host,
                auth: found.client_auth(new.secret.is_some()),
                issuer: found.issuer,
                endpoints: found.endpoints,
                auth_is_certain: false,
                issuer_in_response: found.issuer_in_response,
                pinned: Pinned { without_pkce: found.without_pkce, ..Pinned::default() },
                offline_scope: found.scopes_supported.iter().any(|scope| scope == OFFLINE),
            }
        }
        Issuer::Endpoints(endpoints) => {
            let host = server_name(vault, &endpoints.token);
            Facts {
                name: name_for(&host),
                may_be_public: true,
                title: host.clone(),
                provider: host,
                issuer: endpoints.token.to_string(),
                endpoints: (**endpoints).clone(),
                // RFC 6749, 2.3.1: every server must support it.
                auth: ClientAuth::Basic,
                auth_is_certain: false,
                issuer_in_response: false,
                offline_scope: false,
                pinned: Pinned::default(),
            }
        }
    })
}

/// What is known of the provider `id` without asking it.
fn known_facts(vault: Option<&Unlocked>, id: &str, given: &[(String, String)]) -> Result<Facts, Error> {
    let provider = known_provider(vault, id)?;
    let unfilled = |error: Unfilled| Error::Usage(error.to_string());
    let values = provider.values(given).map_err(unfilled)?;
    let filled = provider.filled(values).map_err(unfilled)?;
    let Filled { issuer, endpoints, api_hosts, values } =
        filled.expect("a provider that is known by name has endpoints");
    // Those of a file that the user may replace, or that depend on what was filled in.
    let pins_hosts =
        !provider.variables.is_empty() || !crate::oauth::provider::ids().any(|known| known == id);
    Ok(Facts {
        may_be_public: provider.client.public,
        title: provider.title.clone(),
        provider: provider.id.clone(),
        name: name_for(&provider.id),
        issuer,
        endpoints,
        auth: provider.client.auth.unwrap_or(ClientAuth::Basic),
        auth_is_certain: provider.client.auth.is_some(),
        issuer_in_response: false,
        offline_scope: false,
        pinned: Pinned { api_hosts: pins_hosts.then_some(api_hosts), values, without_pkce: false },
    })
}

/// The endpoints that a client from before a question does not have stored, if its issuer is a built-in provider.
/// The user's own are not asked: a file that is replaced moves nothing, and says not whose keys are believed.
pub(super) fn preset(client: &Client) -> Option<Endpoints> {
    crate::oauth::provider::of_issuer(&client.issuer)?.endpoints()
}

/// What a server without a name is called: its host, unless a provider is called so, whose habits are others.
fn server_name(vault: Option<&Unlocked>, token_endpoint: &Url) -> String {
    let host = token_endpoint.host_str().unwrap_or("provider").to_ascii_lowercase();
    if known_provider(vault, &host).is_ok() { GENERIC.id.clone() } else { host }
}

/// A client name made of a host or provider name.
pub(super) fn name_for(host: &str) -> ClientName {
    let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let text: String = host.chars().filter(|c| usable(*c)).take(50).collect();
    text.parse().unwrap_or_else(|_| "client".parse().expect("`client` is a name"))
}

/// Before there is a vault, those that are built in.
fn known_provider(vault: Option<&Unlocked>, id: &str) -> Result<Cow<'static, Provider>, Error> {
    match vault {
        Some(vault) => vault.known_provider(id),
        None => providers::built_in(id).map(Cow::Borrowed),
    }
}
