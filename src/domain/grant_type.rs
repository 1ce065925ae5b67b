//! How the access tokens of a profile come about.

use serde::{Deserialize, Serialize};
use url::Url;

use super::DocumentId;

/// What stands behind the tokens of a profile (RFC 6749, 1.3): a person's consent, or something that needs no
/// person.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum GrantType {
    /// A person's consent, given in a browser or by a device code, and the refresh token that came of it.
    #[default]
    AuthorizationCode,
    /// The client's own right (RFC 6749, 4.4).
    ClientCredentials,
    /// An assertion that the client signs: a service account key (RFC 7523, 2.1).
    JwtBearer {
        /// The user on whose behalf the service account acts, where a whole domain has allowed that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
    },
    /// Another profile's right to act as a service account.
    Impersonation {
        /// The address of that service account.
        service_account: String,
        /// The document of the profile whose token asks.
        source: DocumentId,
        /// The API that issues the tokens, without the method: the only place that the source's token is sent to.
        endpoint: Url,
        /// The service accounts between the two, each allowed to act as the next.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        delegates: Vec<String>,
        /// How long its tokens are to live, in seconds.
        lifetime_s: u64,
    },
}

impl GrantType {
    /// Whether it began with a person's consent, which alone can be revoked or given again.
    pub fn needs_person(&self) -> bool {
        *self == Self::AuthorizationCode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_a_document() {
        let kinds = [
            GrantType::AuthorizationCode,
            GrantType::ClientCredentials,
            GrantType::JwtBearer { subject: Some("me@work.example".to_owned()) },
            GrantType::Impersonation {
                service_account: "deploy@project.iam.gserviceaccount.com".to_owned(),
                source: "0123456789abcdef0123456789abcdef".parse().unwrap(),
                endpoint: "https://iam.example/v1/".parse().unwrap(),
                delegates: vec![],
                lifetime_s: 3600,
            },
        ];
        for kind in kinds {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<GrantType>(&text).unwrap(), kind, "{text}");
        }
    }
}
