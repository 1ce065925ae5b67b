//! The way through the browser: what we ask for, and which answer we believe.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{Error, ServerError, printable};
use crate::domain::{Client, Provider, RedirectUri, Scopes};
use crate::system::random_bytes;

/// Longest authorization code in bytes. RFC 6749, 4.1.2 leaves the length open; the longest in use
/// have some 2 KiB.
const MAX_CODE: usize = 4096;

/// Longest text that can be pasted, in bytes.
const MAX_PASTED: usize = 16 * 1024;

/// What the user is asked to consent to.
#[derive(Clone, Debug, Default)]
pub struct Consent<'a> {
    /// What is asked for. With `openid` among it, a nonce is sent.
    pub scopes: Scopes,
    /// Which account, as an e-mail address or a subject (OpenID Connect Core, 3.1.2.1).
    pub login_hint: Option<String>,
    /// The provider's own parameters. None of them can replace one of ours.
    pub extra: Vec<(String, String)>,
    /// How it is written down.
    pub wording: Wording<'a>,
}

/// How a provider wants a consent to be asked for, where that is not as in RFC 6749.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wording<'a> {
    /// Its habits; `None` is as in the RFC.
    pub provider: Option<&'a Provider>,
    /// Whether no PKCE (RFC 7636) is sent.
    pub without_pkce: bool,
}

impl Wording<'_> {
    /// The parameter that asks for `scopes`, with its value.
    fn scope(&self, scopes: &Scopes) -> (&str, String) {
        match self.provider {
            Some(provider) => (&provider.scopes.parameter, provider.scopes_text(scopes)),
            None => ("scope", scopes.to_string()),
        }
    }
}

/// One login through the browser, from the URL to the code. Its secrets are used once.
pub struct Flow {
    url: Url,
    redirect_uri: RedirectUri,
    state: SecretString,
    verifier: Option<SecretString>,
    nonce: Option<String>,
    issuer: Issuer,
}

/// What is known of the `iss` parameter (RFC 9207).
enum Issuer {
    /// There was no discovery, so that there is nothing to compare with.
    Unknown,
    /// It must be this one, if it is there.
    Known(String),
    /// It must be there and be this one.
    Announced(String),
}

/// What came back through the browser.
#[derive(Debug)]
pub enum Answer {
    /// Not the answer to this flow, for this reason. It has no effect: the wait goes on.
    NotOurs(&'static str),
    /// The answer: an authorization code, or why there is none. The flow has ended.
    Ours(Result<SecretString, Error>),
}

impl Flow {
    /// Draws fresh secrets and makes the URL. Listen on `redirect_uri` before you call this.
    pub fn begin(client: &Client, consent: &Consent<'_>, redirect_uri: RedirectUri) -> Self {
        let verifier = (!consent.wording.without_pkce).then(random_text);
        let state = random_text();
        let nonce = consent.scopes.contains("openid").then(|| random_text().to_string());
        let parameters = [
            // RFC 9700, 2.1.2: nothing but a code comes through the browser.
            ("response_type", "code".to_owned()),
            ("client_id", client.client_id.clone()),
            ("redirect_uri", redirect_uri.text().to_owned()),
            consent.wording.scope(&consent.scopes),
            ("state", state.to_string()),
        ];
        let optional = [
            ("code_challenge", verifier.as_deref().map(|verifier| challenge(verifier))),
            ("code_challenge_method", verifier.as_ref().map(|_| "S256".to_owned())),
            ("nonce", nonce.clone()),
            ("login_hint", consent.login_hint.clone()),
        ]
        .into_iter();
        let ours: Vec<_> = parameters
            .into_iter()
            .chain(optional.filter_map(|(name, value)| Some((name, value?))))
            .filter(|(_, value)| !value.is_empty())
            .collect();

        Self {
            url: with_parameters(&client.endpoints.authorization, &ours, &consent.extra),
            redirect_uri,
            state: state.as_str().into(),
            verifier: verifier.map(|verifier| verifier.as_str().into()),
            nonce,
            issuer: Issuer::of(client),
        }
    }

    /// Where the user consents. It holds the state, so that it is for the user alone.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where the browser comes back to. The same text is sent with the code.
    pub fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// What proves that the code is exchanged by whoever began the flow (RFC 7636, 4.1).
    ///
    /// `None` with a provider that refuses to hear of it, or by the user's leave.
    pub fn verifier(&self) -> Option<&SecretString> {
        self.verifier.as_ref()
    }

    /// What the ID token must repeat, where `openid` was asked for.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// Judges the query of a redirect, without its `?`: first whether it answers this flow, then
    /// whether it comes from the right provider, and only then what it says.
    pub fn accept(&self, query: &str) -> Answer {
        let parameters = Parameters::of(query);
        match parameters.one("state") {
            Ok(Some(state)) if self.is_our_state(&state) => {}
            Ok(Some(_)) => return Answer::NotOurs("the state is not the one of this login"),
            Ok(None) => return Answer::NotOurs("there is no state"),
            Err(Doubled) => return Answer::NotOurs("there is more than one state"),
        }
        if let Err(error) = self.check_issuer(&parameters) {
            return Answer::Ours(Err(error));
        }
        outcome(&parameters)
    }

    /// Judges what a user has pasted: the whole address that the browser came back to.
    ///
    /// A code alone is refused, because nothing shows that it belongs to this login.
    pub fn accept_pasted(&self, text: &str) -> Answer {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_PASTED {
            return Answer::NotOurs("that is not an address");
        }
        let address = text.split('#').next().unwrap_or_default();
        match address.split_once('?') {
            Some((_, query)) => self.accept(query),
            None if address.contains("state=") => self.accept(address),
            None => Answer::NotOurs(
                "that is a part of the address only: paste all of it, as it stands in the address bar",
            ),
        }
    }

    fn is_our_state(&self, state: &str) -> bool {
        state.as_bytes().ct_eq(self.state.expose_secret().as_bytes()).into()
    }

    /// RFC 9207, 2.4: compared as text. Only an answer with the right state gets here, so that
    /// nobody else can end the flow.
    fn check_issuer(&self, parameters: &Parameters) -> Result<(), Error> {
        let named = parameters.one("iss").map_err(|Doubled| Error::policy("the answer names two issuers"))?;
        match (&self.issuer, named) {
            (Issuer::Unknown, _) | (Issuer::Known(_), None) => Ok(()),
            (Issuer::Known(ours) | Issuer::Announced(ours), Some(theirs)) if *ours == *theirs => Ok(()),
            (Issuer::Known(ours) | Issuer::Announced(ours), Some(theirs)) => Err(Error::policy(format!(
                "the answer comes from the issuer {}, not from {ours}",
                printable(&theirs, 100)
            ))),
            (Issuer::Announced(ours), None) => {
                Err(Error::policy(format!("the answer does not name its issuer, which {ours} always does")))
            }
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("redirect_uri", &self.redirect_uri.text()).finish_non_exhaustive()
    }
}

impl Issuer {
    fn of(client: &Client) -> Self {
        let issuer = client.issuer.clone();
        if client.issuer_in_response {
            return Self::Announced(issuer);
        }
        if client.is_discovered() { Self::Known(issuer) } else { Self::Unknown }
    }
}

/// What an answer of the right state and issuer says.
fn outcome(parameters: &Parameters) -> Answer {
    let twice =
        |what: &str| Answer::Ours(Err(Error::nonsense(format!("the answer has more than one {what}"))));
    let (code, error) = match (parameters.one("code"), parameters.one("error")) {
        (Err(Doubled), _) => return twice("code"),
        (_, Err(Doubled)) => return twice("error"),
        (Ok(code), Ok(error)) => (code, error),
    };
    match (code, error) {
        (None, None) => Answer::NotOurs("there is neither a code nor an error"),
        (Some(_), Some(_)) => Answer::Ours(Err(Error::nonsense("the answer has both a code and an error"))),
        (None, Some(error)) => Answer::Ours(Err(refusal(&error, parameters))),
        (Some(code), None) => Answer::Ours(check_code(&code)),
    }
}

/// RFC 6749, 4.1.2.1.
fn refusal(error: &str, parameters: &Parameters) -> Error {
    let text = |name| parameters.one(name).ok().flatten();
    let told = ServerError::new(error, 0)
        .with_description(text("error_description").as_deref().map(String::as_str))
        .with_subtype(text("error_subtype").as_deref().map(String::as_str))
        .with_uri(text("error_uri").as_deref().map(String::as_str));
    match error {
        "access_denied" => Error::Denied(told),
        "temporarily_unavailable" | "server_error" => Error::Unavailable { status: 503, retry_after: None },
        _ => Error::Refused(told),
    }
}

/// RFC 6749, appendix A.11: visible characters and spaces.
fn check_code(code: &str) -> Result<SecretString, Error> {
    let is_code =
        !code.is_empty() && code.len() <= MAX_CODE && code.bytes().all(|b| matches!(b, 0x20..=0x7e));
    if is_code { Ok(code.into()) } else { Err(Error::nonsense("the code in the answer is not a code")) }
}

/// A parameter that stands in an answer more than once, against RFC 6749, 3.1.
struct Doubled;

/// The parameters of an answer, decoded once, and wiped after use.
struct Parameters(Vec<(String, Zeroizing<String>)>);

impl Parameters {
    fn of(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect())
    }

    fn one(&self, name: &str) -> Result<Option<Zeroizing<String>>, Doubled> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (first, None) => Ok(first.map(|(_, value)| value.clone())),
            _ => Err(Doubled),
        }
    }
}

/// 256 random bits as text: RFC 7636, 7.1 wants as many for the verifier.
fn random_text() -> Zeroizing<String> {
    let bytes = Zeroizing::new(random_bytes::<32>());
    Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// RFC 7636, 4.2.
fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The endpoint's own query stays (RFC 6749, 3.1), except for what we say ourselves.
fn with_parameters(endpoint: &Url, ours: &[(&str, String)], extra: &[(String, String)]) -> Url {
    let is_ours = |name: &str| ours.iter().any(|(ours, _)| *ours == name);
    let kept: Vec<_> = endpoint.query_pairs().into_owned().filter(|(name, _)| !is_ours(name)).collect();
    let mut url = endpoint.clone();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .extend_pairs(ours)
        .extend_pairs(extra.iter().filter(|(name, _)| !is_ours(name)));
    url
}

#[cfg(test)]
mod tests;
