//! A provider: who issues tokens, and what is special about it. One of them is one TOML file, whose keys these
//! field names are.

mod habits;
mod scopes;
mod template;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

pub use habits::{
    AnswerHabits, Api, DeviceHabits, Exports, KnownError, Pages, QuestionMethod, RevocationHabits,
    RevocationStyle, SameAs, Who,
};
pub use scopes::OFFLINE;
pub(crate) use template::fill;
pub use template::{Filled, Unfilled, Values};

use super::{ClientAuth, Field};

/// A provider as its file describes it. What is left out is not known, or as the RFCs have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What it is called in documents and on the command line.
    pub id: String,
    /// What it is called on a screen.
    pub title: String,
    /// The month in which the facts were read, as `2026-11`.
    #[serde(default)]
    pub checked: Option<String>,
    /// The pages that say so.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What no page says.
    #[serde(default)]
    pub unchecked: Vec<String>,
    /// Where it is spoken to; `None` where only discovery can say.
    #[serde(default)]
    pub endpoints: Option<EndpointTemplates>,
    /// What the user fills into the endpoints.
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// How its clients are.
    #[serde(default)]
    pub client: ClientHabits,
    /// Where it lets the browser come back to.
    #[serde(default)]
    pub redirect: RedirectRules,
    /// What it makes of PKCE.
    #[serde(default)]
    pub pkce: Pkce,
    /// How it speaks of scopes.
    #[serde(default)]
    pub scopes: ScopeHabits,
    /// What it wants in an authorization request.
    #[serde(default)]
    pub authorization_request: AuthorizationHabits,
    /// What it wants in a token request.
    #[serde(default)]
    pub token_request: TokenRequestHabits,
    /// How long what it issues lasts.
    #[serde(default)]
    pub refresh: RefreshHabits,
    /// Whether a device without a browser can log in (RFC 8628).
    #[serde(default)]
    pub device: DeviceHabits,
    /// How it is asked whose account it is, if not at an OpenID Connect userinfo endpoint.
    #[serde(default)]
    pub who: Option<Who>,
    /// How tokens are given back.
    #[serde(default)]
    pub revoke: RevocationHabits,
    /// How its answers differ from RFC 6749.
    #[serde(default)]
    pub answer: AnswerHabits,
    /// The variables that a profile sets without being told.
    #[serde(default)]
    pub exports: Exports,
    /// Where its APIs are.
    #[serde(default)]
    pub api: Api,
    /// Pages for people.
    #[serde(default)]
    pub pages: Pages,
    /// What its errors mean.
    #[serde(default)]
    pub errors: Vec<KnownError>,
}

impl Provider {
    /// Whether it is known by name, and not only by what discovery says.
    pub fn is_known(&self) -> bool {
        self.endpoints.is_some()
    }
}

/// What discovery would say, known beforehand; with `{variable}` where the user fills something in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointTemplates {
    /// The issuer (RFC 8414, 2), or a URL in its place.
    pub issuer: String,
    /// Where the user consents.
    pub authorization: String,
    /// Where tokens are issued.
    pub token: String,
    /// Where tokens are revoked.
    pub revocation: Option<String>,
    /// Where the account is asked for (OpenID Connect Core, 5.3).
    pub userinfo: Option<String>,
    /// Where a device asks for a code (RFC 8628, 3.1).
    pub device_authorization: Option<String>,
    /// Where its keys are (OpenID Connect Discovery, 3).
    pub jwks: Option<String>,
    /// Who ID tokens say has issued them, if not the issuer; `*` stands for one segment of a path.
    pub id_token_issuer: Option<String>,
    /// Google's IAM Service Account Credentials API, which issues tokens of service accounts.
    pub iam: Option<String>,
}

/// What the user fills into an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What stands in the braces.
    pub name: String,
    /// What may be filled in.
    pub allow: Allow,
    /// What it is where the user says nothing; without it the user must.
    #[serde(default)]
    pub default: Option<String>,
    /// What it is for.
    pub help: String,
}

/// What may be filled in for a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// Up to 100 letters, digits, `.`, `_` and `-`, in a path.
    Word,
    /// A host, with its port unless that is 443.
    Host,
}

/// How the clients of a provider are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientHabits {
    /// How they prove themselves, where that is known.
    pub auth: Option<ClientAuth>,
    /// Whether there are clients without a secret.
    pub public: bool,
    /// Hosts that may stand in a downloaded client file, for the user's part and for ours.
    pub file_hosts: Vec<String>,
}

impl Default for ClientHabits {
    fn default() -> Self {
        Self { auth: None, public: true, file_hosts: Vec::new() }
    }
}

/// Where a provider lets the browser come back to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedirectRules {
    /// Which ports of this machine it accepts.
    pub loopback: Loopback,
    /// What this machine has to be called.
    pub host: LoopbackHost,
    /// The port that is to be registered where any other is refused.
    pub port: Option<u16>,
    /// What else there is to know.
    pub note: Option<String>,
}

impl RedirectRules {
    /// The redirect URI that a client of such a provider registers, where that has to be one and may be on this
    /// machine.
    pub fn registered(&self) -> Option<String> {
        /// Beside the number of the RFC that is about this, and free in IANA's list.
        const PORT: u16 = 8252;
        let port = self.port.unwrap_or(PORT);
        (self.loopback == Loopback::FixedPort).then(|| format!("http://{}:{port}/", self.host.as_str()))
    }
}

/// Which ports of this machine a provider accepts in a redirect URI (RFC 8252, 7.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loopback {
    /// Any, as it should.
    #[default]
    AnyPort,
    /// The registered one.
    FixedPort,
    /// None: it wants https.
    HttpsOnly,
}

/// What this machine is called in a redirect URI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoopbackHost {
    /// By its number (RFC 8252, 8.3).
    #[default]
    #[serde(rename = "127.0.0.1")]
    Number,
    /// By its name, where the provider takes no number.
    #[serde(rename = "localhost")]
    Name,
}

impl LoopbackHost {
    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "127.0.0.1",
            Self::Name => "localhost",
        }
    }
}

/// What a provider makes of PKCE (RFC 7636).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pkce {
    /// What it makes of it.
    pub support: PkceSupport,
}

/// What a provider makes of PKCE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PkceSupport {
    /// It wants it.
    Required,
    /// It checks it where it gets it.
    #[default]
    Supported,
    /// It takes no notice.
    Ignored,
    /// It refuses a request that has it: nothing is sent.
    Refused,
}

/// How a provider speaks of scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScopeHabits {
    /// What stands between them in a request.
    pub separator: Separator,
    /// The parameter that asks for them.
    pub parameter: String,
    /// What is asked for besides the scopes that the user names: enough to know whose account it is.
    pub default: Vec<String>,
    /// The scope that makes the grant last.
    pub offline: Option<String>,
    /// Short names of scopes, and what they stand for.
    pub names: Vec<(String, String)>,
    /// Scopes that the provider grants under another name than they are asked under.
    pub aliases: Vec<(String, String)>,
    /// Scopes that include others: what is allowed with each of the others is allowed with the one.
    pub includes: Vec<(String, Vec<String>)>,
}

impl Default for ScopeHabits {
    fn default() -> Self {
        Self {
            separator: Separator::Space,
            parameter: "scope".to_owned(),
            default: Vec::new(),
            offline: None,
            names: Vec::new(),
            aliases: Vec::new(),
            includes: Vec::new(),
        }
    }
}

/// What stands between two scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Separator {
    /// As RFC 6749, 3.3 has it.
    #[default]
    Space,
    /// Against it.
    Comma,
}

/// What a provider wants in an authorization request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthorizationHabits {
    /// Parameters of its own.
    pub parameters: Vec<(String, String)>,
    /// `prompt` (OpenID Connect Core, 3.1.2.1) where it is clear which account is meant.
    pub prompt_known: Option<String>,
    /// `prompt` where the user has yet to choose.
    pub prompt_any: Option<String>,
    /// Whether it is told which account is meant.
    pub login_hint: bool,
}

impl Default for AuthorizationHabits {
    fn default() -> Self {
        Self { parameters: Vec::new(), prompt_known: None, prompt_any: None, login_hint: true }
    }
}

/// What a provider wants in a token request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenRequestHabits {
    /// How the request is written.
    pub body: Body,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// As RFC 6749, 4.1.3 has it.
    #[default]
    Form,
    /// As an object of the same names.
    Json,
}

/// How long what a provider issues lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RefreshHabits {
    /// Whether a refresh brings a new refresh token.
    pub rotates: Option<Rotates>,
    /// How long a refresh token lasts, whatever happens.
    pub lifetime: Option<Life>,
    /// How long it lasts without being used.
    pub idle: Option<Life>,
    /// How long an access token lasts where its answer does not say.
    pub access_lifetime: Option<Life>,
    /// What else there is to know.
    pub note: Option<String>,
}

/// Whether a refresh brings a new refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Rotates {
    Always,
    Never,
    Sometimes,
}

/// How long something lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Life {
    /// So long.
    Limited(SignedDuration),
    /// Until it is revoked.
    Unlimited,
}

impl Life {
    /// So long, if there is an end.
    pub fn span(self) -> Option<SignedDuration> {
        match self {
            Self::Limited(span) => Some(span),
            Self::Unlimited => None,
        }
    }
}

impl TryFrom<String> for Life {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        /// Whoever means longer means that there is no end.
        const MAX_SECONDS: i64 = 10 * 366 * 24 * 60 * 60;
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        let wrong = || format!("{text:?} is no span of time: write it as 90d, 8h, 30m, 3600s or none");
        let unit = text.chars().last().and_then(|unit| match unit {
            'd' => Some(24 * 60 * 60),
            'h' => Some(60 * 60),
            'm' => Some(60),
            's' => Some(1),
            _ => None,
        });
        let unit = unit.ok_or_else(wrong)?;
        let digits = &text[..text.len() - 1];
        let is_number = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let count: i64 = digits.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
        let seconds = Some(count * unit).filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
        seconds.map(|seconds| Self::Limited(SignedDuration::from_secs(seconds))).ok_or_else(wrong)
    }
}

impl From<Life> for String {
    fn from(life: Life) -> Self {
        let Life::Limited(span) = life else { return "none".to_owned() };
        let seconds = span.as_secs();
        let units = [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm'), (1, 's')];
        let (size, unit) = units.into_iter().find(|(size, _)| seconds % size == 0).expect("one divides all");
        format!("{}{unit}", seconds / size)
    }
}
