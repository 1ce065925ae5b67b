//! Whose a client is: what its id, its token endpoint or the form of its file says of the provider.

use std::borrow::Cow;

use url::Url;

use super::item::Item;
use crate::domain::{Client, ClientAuth};
use crate::oauth::provider::{self, Provider};
use crate::ops::Unlocked;
use crate::ops::clients::Issuer;

/// Clients that programs bring with them, and that every user of such a program shares.
const TOOLS: &[(&str, &str)] = &[
    ("764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com", "gcloud"),
    ("32555940559.apps.googleusercontent.com", "gcloud"),
    ("909320924072.apps.googleusercontent.com", "gsutil"),
    ("202264815644.apps.googleusercontent.com", "rclone"),
    ("1072944905499-vm2v2i5dvn0a0d2o4ca36i1vge8cvbn0.apps.googleusercontent.com", "clasp"),
    ("563584335869-fgrhgmd47bqnekij5i8b5pr03ho849e6.apps.googleusercontent.com", "firebase-tools"),
    ("681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com", "gemini-cli"),
    ("517222506229-vsmmajv00ul0bs7p89v5m89qs8eb9359.apps.googleusercontent.com", "earthengine"),
    ("99426463878-o7n0bshgue20tdpm25q4at0vs2mr4utq.apps.googleusercontent.com", "docker-credential-gcr"),
    ("446450136466-mj75ourhccki9fffaq8bc1e50di315po.apps.googleusercontent.com", "luci-auth"),
    ("262006177488-3425ks60hkk80fssi9vpohv88g6q1iqd.apps.googleusercontent.com", "pydata-google-auth"),
    ("178c6fc778ccc68e1d6a", "gh"),
];

/// The program whose client this is, if every user of it has the same.
pub(super) fn tool(client_id: &str) -> Option<&'static str> {
    TOOLS.iter().find(|(id, _)| *id == client_id).map(|(_, tool)| *tool)
}

/// The provider that issues the tokens of an item, if it is one that is known by name.
pub(super) fn issuer(vault: Option<&Unlocked>, item: &Item, client_id: &str) -> Option<Issuer> {
    let by_id = client_id.ends_with(".apps.googleusercontent.com").then_some("google");
    let by_tool = (tool(client_id) == Some("gh")).then_some("github");
    let by_name = by_id.or(by_tool).or(item.provider);
    let id = match by_name {
        Some(id) => provider::find(id)?.id.clone(),
        None => of_endpoint(vault, item.token_endpoint.as_ref()?)?,
    };
    Some(Issuer::Known { id, given: Vec::new() })
}

/// The name of the provider that has its token endpoint there: one of the user's own, or a built-in one.
fn of_endpoint(vault: Option<&Unlocked>, url: &Url) -> Option<String> {
    let own = vault.into_iter().flat_map(Unlocked::own_providers).map(Cow::Owned);
    own.chain(provider::all().map(Cow::Borrowed))
        .find(|provider: &Cow<'_, Provider>| is_endpoint_of(provider, url))
        .map(|provider| provider.id.clone())
}

/// What is known of the provider of `client`.
pub(super) fn provider(vault: Option<&Unlocked>, client: &Client) -> Cow<'static, Provider> {
    match vault {
        Some(vault) => vault.provider(&client.provider),
        None => Cow::Borrowed(provider::get(&client.provider)),
    }
}

/// Whether tokens of `provider` come from `url`. Old names of its hosts count: what is asked is the present one.
fn is_endpoint_of(provider: &Provider, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_old_name = || provider.client.file_hosts.iter().any(|known| known == host);
    let is_plain = url.scheme() == "https" && url.port().is_none() && url.username().is_empty();
    provider.endpoints().is_some_and(|known| known.token == *url) || (is_plain && is_old_name())
}

/// Whether the tokens of `client` may come from `url`.
pub(super) fn is_endpoint(provider: &Provider, client: &Client, url: &Url) -> bool {
    client.endpoints.token == *url || is_endpoint_of(provider, url)
}

/// What the provider is called.
pub(super) fn title(provider: &Provider, client: &Client) -> String {
    if provider.is_known() { provider.title.clone() } else { client.provider.clone() }
}

/// Whether a client without a secret was most likely taken from a file that does not hold it. Where there are both
/// kinds, as with Google, the user says that it is a public one.
pub(super) fn needs_secret(provider: &Provider) -> bool {
    provider.client.auth != Some(ClientAuth::None)
}
