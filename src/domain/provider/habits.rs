//! What is asked of a provider besides tokens, and what it answers.

use serde::{Deserialize, Serialize};

use super::Field;

/// Whether a device without a browser can log in (RFC 8628).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceHabits {
    /// Whether it can.
    pub support: bool,
    /// The only scopes that are allowed then; empty means all.
    pub scopes: Vec<String>,
    /// What else there is to know.
    pub note: Option<String>,
}

/// How a provider is asked whose account it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// Where; pinned in the client as its userinfo endpoint.
    pub url: String,
    /// How.
    #[serde(default)]
    pub method: QuestionMethod,
    /// The JSON that is sent along.
    #[serde(default)]
    pub body: Option<String>,
    /// Where in the answer the stable identifier is (RFC 6901).
    pub subject: String,
    /// Where the e-mail address is (RFC 6901).
    #[serde(default)]
    pub email: Option<String>,
    /// Header fields that have to go along.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The header field for the client id, where one has to go along.
    #[serde(default)]
    pub client_id_header: Option<String>,
}

/// How a question is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum QuestionMethod {
    #[default]
    Get,
    Post,
}

/// How tokens are given back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RevocationHabits {
    /// How the request is made.
    pub style: RevocationStyle,
    /// Whether revoking one token ends every grant of the same user to the same client.
    pub ends_siblings: bool,
    /// What else there is to know.
    pub note: Option<String>,
}

/// How a request to revoke is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationStyle {
    /// A form (RFC 7009).
    #[default]
    Rfc7009,
    /// `DELETE` with the client's id and secret, and the token in a JSON body.
    Github,
    /// `POST` with the token itself as the bearer.
    Bearer,
    /// The form's token as JSON.
    Json,
    /// Not at all.
    None,
}

/// How answers differ from RFC 6749.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerHabits {
    /// The HTTP status of its errors, where that is not 400.
    pub error_status: Option<u16>,
    /// Where in the answer the tokens are (RFC 6901), if not at its root.
    pub token_at: Option<String>,
    /// What it calls a bearer token.
    pub token_types: Vec<String>,
}

/// The variables that a profile sets without being told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exports {
    /// What is set to what.
    pub default: Vec<(String, Field)>,
}

impl Default for Exports {
    fn default() -> Self {
        Self { default: vec![("OAUTH_ACCESS_TOKEN".to_owned(), Field::AccessToken)] }
    }
}

/// Where the APIs of a provider are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Hosts to which a token goes without being told: `.example.com` stands for all below it.
    pub hosts: Vec<String>,
    /// The header field in which its APIs take an API key.
    pub api_key_header: Option<String>,
    /// The header field in which its APIs take the project that a request is counted for.
    pub project_header: Option<String>,
}

/// Pages for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pages {
    /// Where a developer sees to clients and their secrets.
    pub client: Option<String>,
    /// Where a user sees what has access to the account.
    pub grants: Option<String>,
    /// Where a developer sees to API keys.
    pub api_keys: Option<String>,
    /// Where a developer publishes the app.
    pub audience: Option<String>,
}

/// What an error of a provider means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownError {
    /// Its code; `*` is any, where the description alone tells.
    pub error: String,
    /// A part of its description, where that tells cases apart.
    #[serde(default)]
    pub description: Option<String>,
    /// Which error of RFC 6749, 5.2 it is by another name.
    #[serde(default)]
    pub same_as: Option<SameAs>,
    /// What it means, in one sentence.
    pub means: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}

/// The errors of RFC 6749 that have other names with some providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of RFC 6749, 4.1.2.1 and 5.2")]
pub enum SameAs {
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    TemporarilyUnavailable,
    UnauthorizedClient,
}

impl SameAs {
    /// The code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnauthorizedClient => "unauthorized_client",
        }
    }
}

impl KnownError {
    /// Whether it is this one.
    pub fn is(&self, error: &str, description: Option<&str>) -> bool {
        let is_described = |part: &str| description.is_some_and(|text| text.contains(part));
        (self.error == error || self.error == "*") && self.description.as_deref().is_none_or(is_described)
    }
}
