//! What a user can do where a profile that needs no person gets no token.

use super::{clients_page, typed};
use crate::domain::GrantType;
use crate::oauth::diagnosis::Cause;
use crate::ops::mint::{Error, Reason};

/// Where Google's service accounts and their keys are seen to.
pub(in crate::cli) const SERVICE_ACCOUNTS_PAGE: &str =
    "https://console.cloud.google.com/iam-admin/serviceaccounts";

/// Where the administrator of a domain allows a service account to act on behalf of its users.
/// <https://developers.google.com/identity/protocols/oauth2/service-account#delegatingauthority>
const DELEGATION_PAGE: &str = "https://admin.google.com/ac/owl/domainwidedelegation";

/// What can be done about `error`, one line each.
pub(super) fn of(error: &Error) -> Vec<String> {
    let hint = match error {
        Error::Refused { client, provider, grant_type, causes, .. } => {
            return causes.iter().filter_map(|cause| of_cause(cause, client.as_str(), provider, grant_type)).collect();
        }
        Error::NotAllowed { asked, asker, member, reason, profile, .. } => {
            return of_reason(*reason, asked, asker.as_str(), member.as_deref(), profile.as_str());
        }
        Error::NoSource { profile } => {
            format!("restore it from a backup, or run `vault remove {profile}` and make it anew with `--via`")
        }
        Error::SourceIsImpersonation { .. } => {
            "name the profile that asks for its tokens with `--via`, and the service account in between with `--delegate`"
                .into()
        }
        Error::SourceScopes { source_profile, scope, needs_person: true } => {
            format!("run `vault login {source_profile} --scope {}`", typed(scope))
        }
        Error::SourceScopes { .. } => {
            "make another profile with the same client and `--scope cloud-platform`, and name that one".into()
        }
        Error::SourceInUse { users, .. } => {
            let commands: Vec<String> = users.iter().map(|user| format!("`vault remove {user}`")).collect();
            format!("run {} first", commands.join(", "))
        }
        Error::NoPerson { profile, client, grant_type } => {
            return instead(profile.as_str(), client.as_ref().map(|client| client.as_str()), grant_type);
        }
        Error::NoIdToken { .. } => "use a service account key, or impersonate a service account".into(),
        Error::WrongClient { .. } => "run `vault client list` to see what there is".into(),
        Error::Fixed { .. } => "make another profile with `vault add-profile`, and remove this one".into(),
        Error::OtherEndpoint { .. } => {
            "if that is right, name the server yourself: `--issuer URL`, or `--auth-url` and `--token-url`".into()
        }
    };
    vec![hint]
}

fn of_cause(cause: &Cause, client: &str, provider: &str, grant_type: &GrantType) -> Option<String> {
    let is_key = matches!(grant_type, GrantType::JwtBearer { .. });
    Some(match cause {
        Cause::ClockWrong { .. } => {
            "set the clock, or let the system set it by the network, then try again".into()
        }
        Cause::KeyRejected => format!(
            "see which keys there are at {SERVICE_ACCOUNTS_PAGE}; a new one replaces it with \
             `vault rotate client-secret {client} --client-file FILE`"
        ),
        Cause::ServiceAccountUnknown => format!("look for it at {SERVICE_ACCOUNTS_PAGE}"),
        Cause::NotDelegated => {
            format!("the administrator of the domain allows it, with these very scopes, at {DELEGATION_PAGE}")
        }
        Cause::InvalidScope => {
            "check the scopes; another profile with other ones can use the same client".into()
        }
        Cause::WrongClientKind if !is_key => {
            format!("allow the client the grant of type client_credentials at {}", clients_page(provider))
        }
        Cause::SecretRejected | Cause::ClientUnknown => format!(
            "compare it with the one at {}; a new secret replaces it with `vault rotate client-secret {client}`",
            clients_page(provider)
        ),
        Cause::ClientDeleted | Cause::ClientDisabled => {
            format!("look at the client at {}", clients_page(provider))
        }
        _ => return None,
    })
}

fn of_reason(reason: Reason, account: &str, asker: &str, member: Option<&str>, profile: &str) -> Vec<String> {
    match reason {
        Reason::NoPermission => {
            let member = member.unwrap_or("user:EMAIL");
            vec![
                format!(
                    "`{asker}` needs the role Service Account Token Creator on it: `gcloud iam service-accounts \
                     add-iam-policy-binding {account} --member={member} --role=roles/iam.serviceAccountTokenCreator`"
                ),
                "a new role takes a few minutes until it works; also check that the address is right".into(),
            ]
        }
        Reason::ServiceDisabled => {
            vec!["switch it on in the project of the client: `gcloud services enable iamcredentials.googleapis.com`".into()]
        }
        Reason::NoAccount => vec![format!("check the address; the accounts are at {SERVICE_ACCOUNTS_PAGE}")],
        Reason::Lifetime => vec![
            "more than an hour needs the constraint iam.allowServiceAccountCredentialLifetimeExtension of the \
             organisation; else make the profile with `--lifetime 1h`"
                .into(),
        ],
        Reason::Invalid => vec![format!("run `vault show {profile}`, and check scopes, delegates and lifetime")],
        Reason::TokenRefused => vec![format!("run `vault token {asker} --refresh` to see whether that works by itself")],
        Reason::Other => Vec::new(),
    }
}

/// What is right where a login is not.
pub(in crate::cli) fn instead(profile: &str, client: Option<&str>, grant_type: &GrantType) -> Vec<String> {
    let client = client.unwrap_or("CLIENT");
    match grant_type {
        GrantType::AuthorizationCode => vec![format!("run `vault login {profile}`")],
        GrantType::ClientCredentials => vec![
            format!(
                "`vault token {profile}` gets a token; for another secret run `vault rotate client-secret {client}`"
            ),
            "other scopes need another profile, made with `vault add-profile NAME --client-credentials`"
                .into(),
        ],
        GrantType::JwtBearer { .. } => vec![
            format!(
                "`vault token {profile}` gets a token; for another key run `vault rotate client-secret {client} \
                 --client-file FILE`"
            ),
            "other scopes need another profile of the same client, made with `vault add-profile`".into(),
        ],
        GrantType::Impersonation { .. } => vec![
            format!(
                "`vault token {profile}` gets a token; what may be revoked is the login of the profile that asks for it"
            ),
            "other scopes need another profile, made with `vault add-profile NAME --impersonate`".into(),
        ],
    }
}
