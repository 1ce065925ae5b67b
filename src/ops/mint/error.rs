//! Why a profile that needs no person gets no token, or was not made.

use crate::domain::{ClientName, GrantType, ProfileName};
use crate::oauth::ServerError;
use crate::oauth::diagnosis::Cause;

/// Why a profile that needs no person gets no token, or was not made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The token endpoint refuses.
    #[error("the provider gives profile `{profile}` no token")]
    Refused {
        /// The profile.
        profile: ProfileName,
        /// Its client.
        client: ClientName,
        /// Its provider.
        provider: String,
        /// How it asked.
        grant_type: Box<GrantType>,
        /// What is likely, most likely first.
        causes: Vec<Cause>,
        /// What the provider said.
        #[source]
        server: Box<ServerError>,
    },
    /// A service account is not to be acted as.
    #[error("profile `{profile}` gets no token of the service account {service_account}")]
    NotAllowed {
        /// The profile that was asked for.
        profile: ProfileName,
        /// The service account.
        service_account: String,
        /// The one that was asked first: the first of the delegates, where there are any.
        asked: String,
        /// The profile whose token asked.
        asker: ProfileName,
        /// Who that is in the words of a policy.
        member: Option<String>,
        /// Why not.
        reason: Reason,
        /// What the provider said.
        #[source]
        server: Box<ServerError>,
    },
    /// The profile whose token asks is gone.
    #[error("the profile whose token asks for those of `{profile}` is not there any more")]
    NoSource {
        /// The profile that was asked for.
        profile: ProfileName,
    },
    /// The profile whose token is to ask gets its own by impersonation.
    #[error("profile `{source_profile}` acts as a service account itself, and cannot be the one that asks")]
    SourceIsImpersonation {
        /// That profile.
        source_profile: ProfileName,
    },
    /// The token that is to ask is not good for that.
    #[error(
        "the tokens of profile `{source_profile}` may not ask for those of a service account: they lack the scope {scope}"
    )]
    SourceScopes {
        /// The profile.
        source_profile: ProfileName,
        /// What it lacks.
        scope: &'static str,
        /// Whether a login gets it.
        needs_person: bool,
    },
    /// Others ask with its tokens.
    #[error("the tokens of {} are asked for with those of profile `{profile}`", named(users))]
    SourceInUse {
        /// The profile.
        profile: ProfileName,
        /// Whose tokens are.
        users: Vec<ProfileName>,
    },
    /// There is nobody to consent.
    #[error("profile `{profile}` needs no login: {}", how(grant_type))]
    NoPerson {
        /// The profile.
        profile: ProfileName,
        /// Its client.
        client: Option<ClientName>,
        /// How its tokens come about.
        grant_type: Box<GrantType>,
    },
    /// Client credentials stand for a program, not for an account.
    #[error("profile `{profile}` gets its tokens by client credentials, for which there are no ID tokens")]
    NoIdToken {
        /// The profile.
        profile: ProfileName,
    },
    /// The client is of a kind that this profile cannot use.
    #[error("client `{client}` {why}")]
    WrongClient {
        /// The client.
        client: ClientName,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What makes the profile what it is does not change.
    #[error("{what} of profile `{profile}` cannot be changed")]
    Fixed {
        /// The profile.
        profile: ProfileName,
        /// What.
        what: &'static str,
    },
    /// A key file names another token endpoint than its provider has.
    #[error(
        "the key file says that its tokens are issued by {found}, and those of {provider} are issued by {known}"
    )]
    OtherEndpoint {
        /// Where the file leads.
        found: String,
        /// The provider.
        provider: String,
        /// Where its tokens are issued.
        known: String,
    },
}

/// Why a service account is not to be acted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Who asks has not the right to, or there is no such account: the provider does not tell which.
    NoPermission,
    /// The API is switched off in the project of the client.
    ServiceDisabled,
    /// There is no such service account.
    NoAccount,
    /// A longer life than the organisation allows.
    Lifetime,
    /// The provider knows no such scope, or did not understand something else.
    Invalid,
    /// The token that asked is not accepted.
    TokenRefused,
    /// Something else.
    Other,
}

impl Reason {
    /// What the words of the API mean.
    /// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
    pub(super) fn of(server: &ServerError) -> Self {
        let words = server.description.as_deref().unwrap_or_default().to_lowercase();
        match server.status {
            401 => Self::TokenRefused,
            403 if words.contains("has not been used") || words.contains("is disabled") => {
                Self::ServiceDisabled
            }
            403 => Self::NoPermission,
            404 => Self::NoAccount,
            400 if words.contains("lifetime") => Self::Lifetime,
            400 => Self::Invalid,
            _ => Self::Other,
        }
    }
}

/// How the tokens of a profile come about, as a part of a sentence.
fn how(grant_type: &GrantType) -> String {
    match grant_type {
        GrantType::AuthorizationCode => "a person consents".to_owned(),
        GrantType::ClientCredentials => "its client asks in its own right".to_owned(),
        GrantType::JwtBearer { .. } => "the key of a service account signs for its tokens".to_owned(),
        GrantType::Impersonation { service_account, .. } => {
            format!("another profile asks for the tokens of {service_account}")
        }
    }
}

fn named(users: &[ProfileName]) -> String {
    users.iter().map(|user| format!("`{user}`")).collect::<Vec<_>>().join(", ")
}
