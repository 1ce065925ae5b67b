//! What kind of document a secret stands in, by its content more than by its place.

use super::facts::Facts;
use super::judge::{is_database, is_pickle};
use super::places::Usual;

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Application default credentials of a person: JSON of `"type": "authorized_user"`.
    AuthorizedUser,
    /// The key file of a service account.
    ServiceAccountKey,
    /// The file of an OAuth client, as a console gives it out: `installed` or `web`.
    ClientFile,
    /// What google-auth writes: `token`, `refresh_token`, `client_id`, `client_secret`.
    GoogleAuth,
    /// The answer of a token endpoint.
    TokenAnswer,
    /// What oauth2client wrote.
    Oauth2client,
    /// Python's pickle of credentials.
    Pickle,
    /// gcloud's database, or another one of SQLite.
    Database,
    /// docker-credential-gcr's.
    DockerCredentialGcr,
    /// oauth2l's cache.
    Oauth2l,
    /// clasp's.
    Clasp,
    /// rclone's configuration.
    Rclone,
    /// firebase-tools'.
    Firebase,
    /// An ini file of gsutil.
    Boto,
    /// Lines of `NAME=value`.
    Environment,
    /// Cookies of git for googlesource.com.
    Gitcookies,
    /// Another document of JSON.
    Json,
    /// A text of any kind.
    Text,
}

impl Format {
    /// One word, which stays the same.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizedUser => "authorized_user",
            Self::ServiceAccountKey => "service_account",
            Self::ClientFile => "client_file",
            Self::GoogleAuth => "google_auth",
            Self::TokenAnswer => "token_answer",
            Self::Oauth2client => "oauth2client",
            Self::Pickle => "pickle",
            Self::Database => "sqlite",
            Self::DockerCredentialGcr => "docker_credential_gcr",
            Self::Oauth2l => "oauth2l",
            Self::Clasp => "clasp",
            Self::Rclone => "rclone",
            Self::Firebase => "firebase",
            Self::Boto => "boto",
            Self::Environment => "environment",
            Self::Gitcookies => "gitcookies",
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

/// The format of a file with a secret in it.
pub(super) fn format(place: Option<&Usual>, facts: &Facts, is_json: bool, bytes: &[u8]) -> Format {
    if is_json {
        return of_json(place, facts);
    }
    if is_database(bytes) {
        return Format::Database;
    }
    if is_pickle(bytes) {
        return Format::Pickle;
    }
    match place.map(|place| (place.tool, place.path)) {
        Some(("rclone", _)) => Format::Rclone,
        Some((_, path)) if path.ends_with(".boto") => Format::Boto,
        Some((_, path)) if path.contains(".env") => Format::Environment,
        Some((_, ".gitcookies")) => Format::Gitcookies,
        _ => Format::Text,
    }
}

fn of_json(place: Option<&Usual>, facts: &Facts) -> Format {
    let has = |name| facts.has(name);
    match () {
        () if place.is_some_and(|place| place.tool == "oauth2l") => Format::Oauth2l,
        () if has("gcrCreds") => Format::DockerCredentialGcr,
        () if facts.says("service_account") && has("private_key") => Format::ServiceAccountKey,
        () if facts.says("oauth2client.client") => Format::Oauth2client,
        () if has("oauth2ClientSettings") || place.is_some_and(|place| place.tool == "clasp") => {
            Format::Clasp
        }
        () if has("tokens") && (has("activeAccounts") || has("user")) => Format::Firebase,
        () if facts.says("authorized_user") && has("refresh_token") => Format::AuthorizedUser,
        () if has("client_secret") && (has("installed") || has("web")) => Format::ClientFile,
        () if has("refresh_token") && has("token") && has("token_uri") => Format::GoogleAuth,
        () if has("refresh_token") && has("access_token") => Format::TokenAnswer,
        () => Format::Json,
    }
}
