//! Endpoints with something to fill in: a tenant, a host.

use std::borrow::Cow;
use std::collections::BTreeMap;

use url::Url;

use super::{Allow, Provider, Variable};
use crate::domain::{Client, Endpoints, Host};

/// Longest word that is filled in, in bytes.
const MAX_WORD: usize = 100;

/// What is filled in for each variable of a provider.
pub type Values = BTreeMap<String, String>;

/// A provider's endpoints with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The issuer.
    pub issuer: String,
    /// Where it is spoken to.
    pub endpoints: Endpoints,
    /// Where its APIs are.
    pub api_hosts: Vec<String>,
    /// What was filled in.
    pub values: Values,
}

/// Why something cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfilled {
    /// Nothing to fill in is called so.
    #[error("{provider} has nothing called `{name}` to set")]
    Unknown {
        /// The provider's title.
        provider: String,
        /// What was given.
        name: String,
    },
    /// The user must say what it is.
    #[error("{provider} needs to be told its {name}: {help}")]
    Missing {
        /// The provider's title.
        provider: String,
        /// What is missing.
        name: String,
        /// What it is for.
        help: String,
    },
    /// It is not what may be filled in.
    #[error("the {name} {value:?} is not {allowed}")]
    Invalid {
        /// What was given.
        name: String,
        /// To what.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// An endpoint does not come out as a URL.
    #[error("the {endpoint} endpoint of {provider} is not a URL")]
    NoUrl {
        /// The provider's title.
        provider: String,
        /// Which.
        endpoint: &'static str,
    },
}

impl Provider {
    /// What is filled in where the user gives `given`, and else the defaults.
    ///
    /// # Errors
    ///
    /// [`Unfilled`] if something is missing, unknown or of the wrong form.
    pub fn values(&self, given: &[(String, String)]) -> Result<Values, Unfilled> {
        let provider = || self.title.clone();
        for (name, _) in given {
            if !self.variables.iter().any(|variable| variable.name == *name) {
                return Err(Unfilled::Unknown { provider: provider(), name: name.clone() });
            }
        }
        let value = |variable: &Variable| {
            let given = given.iter().rev().find(|(name, _)| *name == variable.name);
            let value = given.map(|(_, value)| value.clone()).or_else(|| variable.default.clone());
            let missing = || Unfilled::Missing {
                provider: provider(),
                name: variable.name.clone(),
                help: variable.help.clone(),
            };
            Ok((variable.name.clone(), variable.read(&value.ok_or_else(missing)?)?))
        };
        self.variables.iter().map(value).collect()
    }

    /// Where it is spoken to once `values` are filled in; `None` if that has to be discovered.
    ///
    /// # Errors
    ///
    /// [`Unfilled::NoUrl`] if an endpoint does not come out as one.
    pub fn filled(&self, values: Values) -> Result<Option<Filled>, Unfilled> {
        let Some(known) = &self.endpoints else { return Ok(None) };
        let url = |endpoint: &'static str, template: &str| {
            let no_url = |_| Unfilled::NoUrl { provider: self.title.clone(), endpoint };
            Url::parse(&fill(template, &values)).map_err(no_url)
        };
        let optional = |endpoint, template: Option<&String>| {
            template.map(|template| url(endpoint, template)).transpose()
        };
        // Where the account is asked for in a way of its own, that is pinned in the same place.
        let who = self.who.as_ref().map(|who| &who.url);
        let endpoints = Endpoints {
            authorization: url("authorization", &known.authorization)?,
            token: url("token", &known.token)?,
            revocation: optional("revocation", known.revocation.as_ref())?,
            userinfo: optional("userinfo", known.userinfo.as_ref().or(who))?,
            device_authorization: optional("device_authorization", known.device_authorization.as_ref())?,
            jwks: optional("jwks", known.jwks.as_ref())?,
        };
        let api_hosts = self.api.hosts.iter().map(|host| fill(host, &values)).collect();
        Ok(Some(Filled { issuer: fill(&known.issuer, &values), endpoints, api_hosts, values }))
    }

    /// Where it is spoken to with the defaults filled in, if everything has one.
    pub fn filled_by_default(&self) -> Option<Filled> {
        self.filled(self.values(&[]).ok()?).ok()?
    }

    /// Who the ID tokens for `client` say has issued them: its issuer, or another name of the same server. A file
    /// that was replaced since names nobody else.
    pub fn id_token_issuer<'a>(&self, client: &'a Client) -> Cow<'a, str> {
        let template = self.endpoints.as_ref().and_then(|known| known.id_token_issuer.as_ref());
        let named = template.map(|template| fill(template, &client.pinned.values));
        match named.filter(|named| server(named) == server(&client.issuer)) {
            Some(named) => named.into(),
            None => client.issuer.as_str().into(),
        }
    }

    /// Google's IAM API, for a client with these `values`.
    pub fn iam(&self, values: &Values) -> Option<Url> {
        Url::parse(&fill(self.endpoints.as_ref()?.iam.as_ref()?, values)).ok()
    }

    /// The endpoints of [`Self::filled_by_default`].
    pub fn endpoints(&self) -> Option<Endpoints> {
        self.filled_by_default().map(|filled| filled.endpoints)
    }
}

/// What stands before the path of an address.
fn server(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |colon| colon + 3);
    url[after_scheme..].find('/').map_or(url, |slash| &url[..after_scheme + slash])
}

impl Variable {
    /// What `text` fills in.
    ///
    /// # Errors
    ///
    /// [`Unfilled::Invalid`] if it may not be filled in.
    pub fn read(&self, text: &str) -> Result<String, Unfilled> {
        let (value, allowed) = match self.allow {
            Allow::Word => {
                (is_word(text).then(|| text.to_owned()), "a word of letters, digits, `.`, `_` and `-`")
            }
            Allow::Host => (host(text), "a host, as in `git.example.org`"),
        };
        value.ok_or_else(|| Unfilled::Invalid {
            name: self.name.clone(),
            value: text.chars().take(MAX_WORD).collect(),
            allowed,
        })
    }
}

/// One segment of a path that stays one: no slash, no escape, and not `.` or `..`.
fn is_word(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty()
        && text.len() <= MAX_WORD
        && text.bytes().all(is_inner)
        && !text.bytes().all(|b| b == b'.')
}

fn host(text: &str) -> Option<String> {
    let host: Host = text.parse().ok()?;
    Some(host.to_string())
}

/// `template` with each `{name}` replaced. What is filled in is not looked at again.
pub(crate) fn fill(template: &str, values: &Values) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.split_once('}').and_then(|(name, after)| Some((values.get(name)?, after))) {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(allow: Allow) -> Variable {
        Variable { name: "x".to_owned(), allow, default: None, help: "h".to_owned() }
    }

    #[test]
    fn only_a_word_or_a_host_is_filled_in() {
        for text in ["common", "contoso.onmicrosoft.com", "9b1c-4", "a_b"] {
            assert!(variable(Allow::Word).read(text).is_ok(), "{text}");
        }
        for text in ["", ".", "..", "a/b", "a?b", "a#b", "a%2e", "a b", "a@b", "{x}", "é", "a\\b"] {
            assert!(variable(Allow::Word).read(text).is_err(), "{text}");
        }
        for text in ["git.example.org", "git.example.org:3000", "127.0.0.1:8080"] {
            assert_eq!(variable(Allow::Host).read(text).unwrap(), text);
        }
        for text in ["", "a/b", "user@host", "host#x", "host?x", "ho st", "https://host"] {
            assert!(variable(Allow::Host).read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        let values = Values::from([("a".to_owned(), "{b}".to_owned()), ("b".to_owned(), "no".to_owned())]);

        assert_eq!(fill("x/{a}/{c}/{", &values), "x/{b}/{c}/{");
    }
}
