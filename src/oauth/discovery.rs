//! Where a provider is spoken to, as it says itself (OpenID Connect Discovery; RFC 8414).

use std::time::Duration;

use url::Url;

use super::json::{self, Members, Value};
use super::{Error, Http, Method, Request, Response, check_url, printable};
use crate::domain::{ClientAuth, Endpoints};

/// How many redirects within the issuer's own origin are followed.
const MAX_REDIRECTS: usize = 3;

/// What a provider says of itself. Everything in it is checked; it is pinned when a client is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The issuer, byte for byte as it was asked for.
    pub issuer: String,
    /// Where it is spoken to.
    pub endpoints: Endpoints,
    /// How clients can prove themselves, by the names of RFC 8414, 2; `None` if it does not say.
    pub auth_methods: Option<Vec<String>>,
    /// Whether every authorization response names the issuer (RFC 9207, 3).
    pub issuer_in_response: bool,
    /// Whether it rules out PKCE with S256.
    pub without_pkce: bool,
    /// What can be asked for, as far as it says.
    pub scopes_supported: Vec<String>,
}

impl Metadata {
    /// How a new client proves itself: in the header if that is offered, or if nothing is said
    /// (RFC 8414, 2), else in the body.
    pub fn client_auth(&self, has_secret: bool) -> ClientAuth {
        let offers = |method: &str| self.auth_methods.iter().flatten().any(|offered| offered == method);
        match &self.auth_methods {
            _ if !has_secret => ClientAuth::None,
            Some(_) if !offers("client_secret_basic") && offers("client_secret_post") => ClientAuth::Post,
            _ => ClientAuth::Basic,
        }
    }

    /// The hosts that secrets or the user are sent to and that are not the issuer's own.
    pub fn foreign_hosts(&self) -> Vec<String> {
        let own = Url::parse(&self.issuer).ok();
        let own = own.as_ref().and_then(Url::host_str);
        let Endpoints { authorization, token, revocation, userinfo, device_authorization, jwks: _ } =
            &self.endpoints;
        let all = [
            Some(authorization),
            Some(token),
            revocation.as_ref(),
            userinfo.as_ref(),
            device_authorization.as_ref(),
        ];
        let mut hosts: Vec<String> =
            all.into_iter().flatten().filter(|url| url.host_str() != own).filter_map(host_of).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }
}

fn host_of(url: &Url) -> Option<String> {
    url.host_str().map(str::to_owned)
}

/// Asks `issuer` where it is spoken to: first as OpenID Connect has it, then as RFC 8414 has it.
///
/// `issuer` is text, not a URL, because the provider must repeat it byte for byte, and a URL would
/// have gained a slash.
///
/// # Errors
///
/// [`Error::Policy`] if the answer is another issuer's, if an endpoint is not one that secrets may be
/// sent to. [`Error::Nonsense`] if it is no such document. Else the
/// errors of the network.
pub fn discover(
    http: &dyn Http,
    issuer: &str,
    insecure_loopback: bool,
    timeout: Duration,
) -> Result<Metadata, Error> {
    let base = Url::parse(issuer).map_err(|_| Error::policy("the issuer is not a URL"))?;
    check_url(&base, insecure_loopback)?;
    if base.query().is_some() {
        // RFC 8414, 2: an issuer has neither query nor fragment.
        return Err(Error::policy("the issuer has a query"));
    }
    let mut response = get(http, openid_url(&base), insecure_loopback, timeout)?;
    if matches!(response.status, 400..=499) && !response.is_unavailable() {
        response = get(http, oauth_url(&base), insecure_loopback, timeout)?;
    }
    read(&document(&response, &base)?, issuer, insecure_loopback)
}

/// OpenID Connect Discovery, 4: below the issuer's path.
fn openid_url(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
    url
}

/// RFC 8414, 3.1: between the issuer's host and its path.
fn oauth_url(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    url.set_path(&format!("/.well-known/oauth-authorization-server{}", issuer.path().trim_end_matches('/')));
    url
}

/// Follows redirects by hand, because a foreign origin must not speak for the issuer.
fn get(http: &dyn Http, url: Url, insecure_loopback: bool, timeout: Duration) -> Result<Response, Error> {
    let origin = url.origin();
    let mut url = url;
    for _ in 0..=MAX_REDIRECTS {
        let request = Request { method: Method::Get, url, authorization: None, timeout };
        let response = http.send(&request)?;
        if !response.is_redirect() {
            return Ok(response);
        }
        let next = response.location.as_deref().and_then(|to| request.url.join(to).ok());
        url = next.ok_or_else(|| Error::nonsense("the discovery document redirects to nowhere"))?;
        check_url(&url, insecure_loopback)?;
        if url.origin() != origin {
            return Err(Error::policy("the discovery document redirects to another host"));
        }
    }
    Err(Error::nonsense("the discovery document redirects too often"))
}

fn document(response: &Response, issuer: &Url) -> Result<Members, Error> {
    let status = response.status;
    if response.is_unavailable() {
        return Err(Error::Unavailable { status, retry_after: response.retry_after });
    }
    let host = issuer.host_str().unwrap_or_default();
    if !response.is_success() {
        return Err(Error::nonsense(format!("{host} has no discovery document (HTTP status {status})")));
    }
    json::strict(&response.body)
        .map_err(|e| Error::nonsense(format!("the discovery document of {host} is odd: {e}")))
}

fn read(members: &Members, issuer: &str, insecure_loopback: bool) -> Result<Metadata, Error> {
    check_issuer(members, issuer)?;
    let endpoint = |key: &str| endpoint(members, key, insecure_loopback);
    let required = |key: &str| {
        endpoint(key)?.ok_or_else(|| Error::policy(format!("the discovery document names no {key}")))
    };
    Ok(Metadata {
        issuer: issuer.to_owned(),
        endpoints: Endpoints {
            authorization: required("authorization_endpoint")?,
            token: required("token_endpoint")?,
            revocation: endpoint("revocation_endpoint")?,
            userinfo: endpoint("userinfo_endpoint")?,
            device_authorization: endpoint("device_authorization_endpoint")?,
            jwks: endpoint("jwks_uri")?,
        },
        without_pkce: rules_out_pkce(members),
        auth_methods: texts(members, "token_endpoint_auth_methods_supported"),
        issuer_in_response: matches!(
            members.get("authorization_response_iss_parameter_supported"),
            Some(Value::Bool(true))
        ),
        scopes_supported: texts(members, "scopes_supported").unwrap_or_default(),
    })
}

/// RFC 8414, 3.3: identical, so that one issuer cannot speak for another.
fn check_issuer(members: &Members, issuer: &str) -> Result<(), Error> {
    match members.text("issuer") {
        Some(named) if named == issuer => Ok(()),
        Some(named) => Err(Error::policy(format!(
            "the discovery document of {issuer} is for the issuer {}",
            printable(named, 200)
        ))),
        None => Err(Error::policy("the discovery document names no issuer")),
    }
}

/// Who says nothing gets S256 all the same (RFC 9700, 2.1.1); who rules it out gets no login, unless the user agrees.
fn rules_out_pkce(members: &Members) -> bool {
    let methods = texts(members, "code_challenge_methods_supported");
    methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256"))
}

fn endpoint(members: &Members, key: &str, insecure_loopback: bool) -> Result<Option<Url>, Error> {
    let Some(value) = members.get(key) else { return Ok(None) };
    let text = value.text().filter(|text| text.bytes().all(|b| b.is_ascii_graphic()));
    let url = text.and_then(|text| Url::parse(text).ok());
    let url =
        url.ok_or_else(|| Error::policy(format!("the {key} in the discovery document is not a URL")))?;
    check_url(&url, insecure_loopback)?;
    Ok(Some(url))
}

/// The list called `key`; what in it is no text is left out.
fn texts(members: &Members, key: &str) -> Option<Vec<String>> {
    match members.get(key)? {
        Value::List(list) => Some(list.iter().filter_map(Value::text).map(str::to_owned).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
