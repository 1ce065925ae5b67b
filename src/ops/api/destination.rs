//! Where a token may go: what the provider serves itself, where the account is asked for, and what the user has
//! bound the profile to.

use url::{Origin, Url};

use super::Error;
use crate::domain::{Client, Host, Profile, Use};
use crate::oauth::provider;
use crate::oauth::{self, check_url};

/// Refuses what could never have a token, whoever allows it: plain HTTP, except to this machine by a client
/// that was made for that; user information, and fragments.
pub(super) fn check_form(url: &Url, client: &Client) -> Result<(), Error> {
    check_url(url, client.insecure_loopback).map_err(|error: oauth::Error| Error::Url(error.to_string()))?;
    host(url).map(|_| ())
}

/// The host of `url`, if it is one to which a profile can be bound: a trailing dot and its like are not.
pub(super) fn host(url: &Url) -> Result<Host, Error> {
    let shown = || url.host_str().unwrap_or("nowhere").to_owned();
    Host::of_url(url).ok_or_else(|| Error::Url(format!("the URL names a host that is none: {}", shown())))
}

/// Whether the token of `profile`, whose client is `client`, may go to `url`.
pub(super) fn is_allowed(url: &Url, profile: &Profile, client: &Client) -> bool {
    let is_bound = Host::of_url(url).is_some_and(|host| profile.is_bound_to(Use::Api, &host));
    is_bound || is_preset(url, client) || is_userinfo(url, client)
}

/// Whether it is an API of the provider's own. For a provider that the user has described, the hosts are those that
/// the client was made with, not those that its file names today.
pub(in crate::ops) fn is_preset(url: &Url, client: &Client) -> bool {
    let is_secure = url.scheme() == "https" || client.insecure_loopback;
    let known = client.pinned.api_hosts.as_ref();
    let known = known.unwrap_or_else(|| &provider::get(&client.provider).api.hosts);
    is_secure && Host::of_url(url).is_some_and(|host| provider::is_api_host(known, &host))
}

/// Whether it is where the provider is asked for the account, with the token, at every login.
fn is_userinfo(url: &Url, client: &Client) -> bool {
    let userinfo = client.endpoints.userinfo.as_ref();
    userinfo.is_some_and(|userinfo| is_same_origin(userinfo, url))
}

/// Whether both have the same scheme, host and port (RFC 6454, 5).
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    matches!((one.origin(), other.origin()), (a @ Origin::Tuple(..), b) if a == b)
}
