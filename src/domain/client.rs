//! An OAuth client: how we present ourselves to a provider.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ClientName, RedirectUri};

/// How the client proves itself at the token endpoint (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// The secret in an `Authorization: Basic` header.
    Basic,
    /// The secret in the request body.
    Post,
    /// No secret: a public client.
    None,
    /// An assertion that it signs with its private key and that is the grant at once: a service account
    /// (RFC 7523, 2.1).
    Assertion,
}

impl ClientAuth {
    /// The name as it is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Post => "post",
            Self::None => "none",
            Self::Assertion => "assertion",
        }
    }
}

impl FromStr for ClientAuth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "basic" => Ok(Self::Basic),
            "post" => Ok(Self::Post),
            "none" => Ok(Self::None),
            _ => Err("use basic, post or none".to_owned()),
        }
    }
}

impl fmt::Display for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the provider is spoken to, pinned when the client is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Where the user consents (RFC 6749, 3.1).
    pub authorization: Url,
    /// Where tokens are issued (RFC 6749, 3.2).
    pub token: Url,
    /// Where tokens are revoked (RFC 7009), if the provider offers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Url>,
    /// Where the account is asked for (OpenID Connect Core, 5.3), if the provider offers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo: Option<Url>,
    /// Where a device asks for a code that a person types elsewhere (RFC 8628, 3.1), if the provider offers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_authorization: Option<Url>,
    /// Where the keys are that ID tokens are signed with (OpenID Connect Discovery, 3), if the provider has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Url>,
}

impl Endpoints {
    /// The two that every server has, and none of the others.
    pub fn of(authorization: Url, token: Url) -> Self {
        Self {
            authorization,
            token,
            revocation: None,
            userinfo: None,
            device_authorization: None,
            jwks: None,
        }
    }
}

/// An OAuth client as it stands in its document; its secret is sealed beside it.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// What the user calls it.
    pub name: ClientName,
    /// The name of its provider: `google`, or the host of its issuer.
    pub provider: String,
    /// Who issues the tokens: an issuer URL, or the token endpoint where there is no discovery.
    pub issuer: String,
    /// Where the provider is spoken to.
    pub endpoints: Endpoints,
    /// The public identifier (RFC 6749, 2.2).
    pub client_id: String,
    /// How it proves itself.
    pub client_auth: ClientAuth,
    /// Whether `client_auth` was chosen or proven, and is not tried otherwise.
    pub client_auth_pinned: bool,
    /// The exact redirect URI that is registered, for clients of type *web*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<RedirectUri>,
    /// Whether `http:` endpoints on loopback hosts are accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_loopback: bool,
    /// Whether the provider announces `iss` in every authorization response (RFC 9207, 3).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub issuer_in_response: bool,
    /// Whether the provider gives a refresh token for the scope `offline_access` (OpenID Connect
    /// Core, 11).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offline_scope: bool,
    /// What was taken over from its provider when it was made, and does not follow a changed provider.
    #[serde(default, skip_serializing_if = "Pinned::is_empty")]
    pub pinned: Pinned,
    /// Which of its keys it signs with, for a service account: the `kid` of its assertions (RFC 7515, 4.1.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The same of a new key that has not been proven yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id_next: Option<String>,
    /// The same of the key before, until it is deleted at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id_previous: Option<String>,
    /// When its present secret came into the vault, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_set_at: Option<Timestamp>,
}

impl Client {
    /// Whether the provider was known or discovered; without discovery, the token endpoint stands in the
    /// issuer's place.
    pub fn is_discovered(&self) -> bool {
        self.issuer != self.endpoints.token.as_str()
    }

    /// What every secret of this client and its grants is sealed for.
    pub fn binding(&self) -> Binding {
        Binding {
            issuer: self.issuer.clone(),
            token_endpoint: Some(self.endpoints.token.clone()),
            revocation_endpoint: self.endpoints.revocation.clone(),
            client_id: Some(self.client_id.clone()),
            client_auth: Some(self.client_auth),
        }
    }
}

/// What a client keeps of its provider beside the endpoints.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Hosts to which its tokens go without being told; `None` where those of a built-in provider count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_hosts: Option<Vec<String>>,
    /// What was filled into the provider's endpoints.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Whether the user has agreed to log in without PKCE (RFC 7636).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_pkce: bool,
}

impl Pinned {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a secret may go. It is inside the seal, so that editing a document cannot redirect it.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Who issued it, or accepts it.
    pub issuer: String,
    /// The only place that it is sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<Url>,
    /// The only place where it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<Url>,
    /// The client that it was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How that client proves itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
}

impl Binding {
    /// The binding of a secret that we never send: an API key, a cached access token.
    pub fn issuer_only(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            token_endpoint: None,
            revocation_endpoint: None,
            client_id: None,
            client_auth: None,
        }
    }
}
