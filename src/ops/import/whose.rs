//! Whose a client is: what its id, its token endpoint or the form of its file says of the provider.

use url::Url;

use super::item::Item;
use crate::domain::Client;
use crate::oauth::provider::{self, Provider};
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
pub(super) fn issuer(item: &Item, client_id: &str) -> Option<Issuer> {
    let by_id = client_id.ends_with(".apps.googleusercontent.com").then_some("google");
    let by_tool = (tool(client_id) == Some("gh")).then_some("github");
    let known = match by_id.or(by_tool).or(item.provider) {
        Some(id) => provider::find(id),
        None => item.token_endpoint.as_ref().and_then(of_endpoint),
    }?;
    Some(Issuer::Known { id: known.id.clone(), given: Vec::new() })
}

/// The provider that has its token endpoint there.
fn of_endpoint(url: &Url) -> Option<&'static Provider> {
    provider::all().find(|provider| is_endpoint_of(provider, url))
}

/// Whether tokens of `provider` come from `url`. Old names of its hosts count: what is asked is the present one.
fn is_endpoint_of(provider: &Provider, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_old_name = || provider.client.file_hosts.iter().any(|known| known == host);
    let is_plain = url.scheme() == "https" && url.port().is_none() && url.username().is_empty();
    provider.endpoints().is_some_and(|known| known.token == *url) || (is_plain && is_old_name())
}

/// Whether the tokens of `client` may come from `url`.
pub(super) fn is_endpoint(client: &Client, url: &Url) -> bool {
    client.endpoints.token == *url
        || provider::find(&client.provider).is_some_and(|provider| is_endpoint_of(provider, url))
}

/// What the provider is called.
pub(super) fn title(client: &Client) -> String {
    provider::find(&client.provider).map_or_else(|| client.provider.clone(), |known| known.title.clone())
}

/// Whether the provider is not known to have clients without a secret.
pub(super) fn needs_secret(client: &Client) -> bool {
    provider::find(&client.provider).is_none_or(|known| !known.client.public)
}
