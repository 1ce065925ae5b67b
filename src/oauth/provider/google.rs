//! Google, for accounts of people.

use super::{ApiHeaders, Fixed, Prompt, Provider};
use crate::domain::{ClientAuth, Field};

/// Endpoints as in <https://accounts.google.com/.well-known/openid-configuration>.
pub(super) static GOOGLE: Provider = Provider {
    id: "google",
    title: "Google",
    fixed: Some(Fixed {
        issuer: "https://accounts.google.com",
        authorization: "https://accounts.google.com/o/oauth2/v2/auth",
        token: "https://oauth2.googleapis.com/token",
        revocation: "https://oauth2.googleapis.com/revoke",
        userinfo: "https://openidconnect.googleapis.com/v1/userinfo",
        device_authorization: "https://oauth2.googleapis.com/device/code",
        jwks: "https://www.googleapis.com/oauth2/v3/certs",
        client_file_hosts: &["accounts.google.com", "oauth2.googleapis.com", "www.googleapis.com"],
    }),
    client_auth: Some(ClientAuth::Post),
    default_scopes: &["openid", "email"],
    scope_names: SCOPES,
    scope_aliases: &[
        ("https://www.googleapis.com/auth/userinfo.email", "email"),
        ("https://www.googleapis.com/auth/userinfo.profile", "profile"),
    ],
    scope_includes: INCLUDES,
    parameters: &[
        // Without it there is no refresh token.
        ("access_type", "offline"),
        // A profile gets what it asks for, not what other profiles of the same project were granted.
        ("include_granted_scopes", "false"),
        ("enable_granular_consent", "true"),
    ],
    // A second login brings a refresh token only if consent is asked for again.
    prompt: Some(Prompt { known_account: "consent", any_account: "consent select_account" }),
    default_exports: &[
        ("GOOGLE_OAUTH_ACCESS_TOKEN", Field::AccessToken),
        ("CLOUDSDK_AUTH_ACCESS_TOKEN", Field::AccessToken),
        // Where the profile has one.
        ("GOOGLE_API_KEY", Field::ApiKey),
    ],
    clients_page: Some("https://console.cloud.google.com/auth/clients"),
    api_keys_page: Some("https://console.cloud.google.com/apis/credentials"),
    audience_page: Some("https://console.cloud.google.com/auth/audience"),
    grants_page: Some("https://myaccount.google.com/connections"),
    // All of them are Google's own front ends; what users serve themselves is at other names, such as
    // googleusercontent.com and run.app.
    api_hosts: &[".googleapis.com"],
    // <https://cloud.google.com/apis/docs/system-parameters>
    api_headers: Some(ApiHeaders { api_key: "x-goog-api-key", project: "x-goog-user-project" }),
    revokes_siblings: true,
};

/// <https://developers.google.com/identity/protocols/oauth2/scopes>
const SCOPES: &[(&str, &str)] = &[
    ("adwords", "https://www.googleapis.com/auth/adwords"),
    ("analytics", "https://www.googleapis.com/auth/analytics"),
    ("analytics.readonly", "https://www.googleapis.com/auth/analytics.readonly"),
    ("bigquery", "https://www.googleapis.com/auth/bigquery"),
    ("blogger", "https://www.googleapis.com/auth/blogger"),
    ("calendar", "https://www.googleapis.com/auth/calendar"),
    ("calendar.events", "https://www.googleapis.com/auth/calendar.events"),
    ("calendar.readonly", "https://www.googleapis.com/auth/calendar.readonly"),
    ("cloud-platform", "https://www.googleapis.com/auth/cloud-platform"),
    ("cloud-platform.read-only", "https://www.googleapis.com/auth/cloud-platform.read-only"),
    ("contacts", "https://www.googleapis.com/auth/contacts"),
    ("contacts.readonly", "https://www.googleapis.com/auth/contacts.readonly"),
    ("documents", "https://www.googleapis.com/auth/documents"),
    ("documents.readonly", "https://www.googleapis.com/auth/documents.readonly"),
    ("drive", "https://www.googleapis.com/auth/drive"),
    ("drive.appdata", "https://www.googleapis.com/auth/drive.appdata"),
    ("drive.file", "https://www.googleapis.com/auth/drive.file"),
    ("drive.metadata.readonly", "https://www.googleapis.com/auth/drive.metadata.readonly"),
    ("drive.readonly", "https://www.googleapis.com/auth/drive.readonly"),
    ("forms.body", "https://www.googleapis.com/auth/forms.body"),
    ("forms.responses.readonly", "https://www.googleapis.com/auth/forms.responses.readonly"),
    // All of Gmail, also over IMAP and SMTP; it has no other name.
    ("gmail", "https://mail.google.com/"),
    ("gmail.compose", "https://www.googleapis.com/auth/gmail.compose"),
    ("gmail.labels", "https://www.googleapis.com/auth/gmail.labels"),
    ("gmail.metadata", "https://www.googleapis.com/auth/gmail.metadata"),
    ("gmail.modify", "https://www.googleapis.com/auth/gmail.modify"),
    ("gmail.readonly", "https://www.googleapis.com/auth/gmail.readonly"),
    ("gmail.send", "https://www.googleapis.com/auth/gmail.send"),
    ("photoslibrary.appendonly", "https://www.googleapis.com/auth/photoslibrary.appendonly"),
    ("presentations", "https://www.googleapis.com/auth/presentations"),
    ("presentations.readonly", "https://www.googleapis.com/auth/presentations.readonly"),
    ("spreadsheets", "https://www.googleapis.com/auth/spreadsheets"),
    ("spreadsheets.readonly", "https://www.googleapis.com/auth/spreadsheets.readonly"),
    ("tasks", "https://www.googleapis.com/auth/tasks"),
    ("tasks.readonly", "https://www.googleapis.com/auth/tasks.readonly"),
    ("webmasters", "https://www.googleapis.com/auth/webmasters"),
    ("webmasters.readonly", "https://www.googleapis.com/auth/webmasters.readonly"),
    ("youtube", "https://www.googleapis.com/auth/youtube"),
    ("youtube.readonly", "https://www.googleapis.com/auth/youtube.readonly"),
    ("youtube.upload", "https://www.googleapis.com/auth/youtube.upload"),
];

/// A method of an API names the scopes of which one suffices; where the wider one stands everywhere beside the
/// narrower one, it includes it. <https://developers.google.com/identity/protocols/oauth2/scopes>, and for
/// Gmail <https://developers.google.com/gmail/api/auth/scopes>.
const INCLUDES: &[(&str, &[&str])] = &[
    ("https://www.googleapis.com/auth/analytics", &["https://www.googleapis.com/auth/analytics.readonly"]),
    (
        "https://www.googleapis.com/auth/calendar",
        &[
            "https://www.googleapis.com/auth/calendar.events",
            "https://www.googleapis.com/auth/calendar.readonly",
        ],
    ),
    (
        "https://www.googleapis.com/auth/cloud-platform",
        &[
            "https://www.googleapis.com/auth/bigquery",
            "https://www.googleapis.com/auth/cloud-platform.read-only",
            "https://www.googleapis.com/auth/compute",
            "https://www.googleapis.com/auth/compute.readonly",
            "https://www.googleapis.com/auth/datastore",
            "https://www.googleapis.com/auth/devstorage.full_control",
            "https://www.googleapis.com/auth/devstorage.read_only",
            "https://www.googleapis.com/auth/devstorage.read_write",
            "https://www.googleapis.com/auth/logging.read",
            "https://www.googleapis.com/auth/logging.write",
            "https://www.googleapis.com/auth/monitoring",
            "https://www.googleapis.com/auth/monitoring.read",
            "https://www.googleapis.com/auth/monitoring.write",
            "https://www.googleapis.com/auth/pubsub",
        ],
    ),
    ("https://www.googleapis.com/auth/contacts", &["https://www.googleapis.com/auth/contacts.readonly"]),
    ("https://www.googleapis.com/auth/documents", &["https://www.googleapis.com/auth/documents.readonly"]),
    (
        "https://www.googleapis.com/auth/drive",
        &[
            "https://www.googleapis.com/auth/drive.file",
            "https://www.googleapis.com/auth/drive.metadata.readonly",
            "https://www.googleapis.com/auth/drive.readonly",
        ],
    ),
    (
        "https://www.googleapis.com/auth/drive.readonly",
        &["https://www.googleapis.com/auth/drive.metadata.readonly"],
    ),
    (
        "https://mail.google.com/",
        &[
            "https://www.googleapis.com/auth/gmail.compose",
            "https://www.googleapis.com/auth/gmail.labels",
            "https://www.googleapis.com/auth/gmail.metadata",
            "https://www.googleapis.com/auth/gmail.modify",
            "https://www.googleapis.com/auth/gmail.readonly",
            "https://www.googleapis.com/auth/gmail.send",
        ],
    ),
    (
        "https://www.googleapis.com/auth/presentations",
        &["https://www.googleapis.com/auth/presentations.readonly"],
    ),
    (
        "https://www.googleapis.com/auth/spreadsheets",
        &["https://www.googleapis.com/auth/spreadsheets.readonly"],
    ),
    ("https://www.googleapis.com/auth/tasks", &["https://www.googleapis.com/auth/tasks.readonly"]),
    ("https://www.googleapis.com/auth/webmasters", &["https://www.googleapis.com/auth/webmasters.readonly"]),
    (
        "https://www.googleapis.com/auth/youtube",
        &[
            "https://www.googleapis.com/auth/youtube.readonly",
            "https://www.googleapis.com/auth/youtube.upload",
        ],
    ),
];

/// The number of the project that a client id of Google belongs to: `1234-abc.apps.googleusercontent.com`.
pub fn project_number(client_id: &str) -> Option<&str> {
    let (number, rest) = client_id.split_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && rest.ends_with(".apps.googleusercontent.com")).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scopes;

    fn scopes(text: &str) -> Scopes {
        text.parse().unwrap()
    }

    #[test]
    fn short_names_stand_for_whole_scopes() {
        assert_eq!(GOOGLE.expand_scope("drive"), "https://www.googleapis.com/auth/drive");
        assert_eq!(GOOGLE.expand_scope("gmail"), "https://mail.google.com/");
        assert_eq!(GOOGLE.expand_scope("openid"), "openid");
        assert_eq!(GOOGLE.expand_scope("https://x.example/s"), "https://x.example/s");
    }

    #[test]
    fn a_scope_granted_under_its_other_name_is_not_missing() {
        let granted = scopes("openid https://www.googleapis.com/auth/userinfo.email");

        assert_eq!(GOOGLE.missing_scopes(&scopes("openid email profile"), &granted), scopes("profile"));
        assert!(GOOGLE.missing_scopes(&granted, &scopes("email openid")).is_empty());
    }

    #[test]
    fn a_wide_scope_covers_the_narrow_ones_and_never_the_other_way_round() {
        let scope = |name: &str| scopes(&GOOGLE.expand_scope(name));
        let uncovered = |asked: &str, granted: &str| GOOGLE.uncovered_scopes(&scope(asked), &scope(granted));

        assert!(uncovered("drive.readonly", "drive").is_empty());
        assert!(uncovered("gmail.send", "gmail").is_empty());
        assert_eq!(uncovered("drive", "drive.readonly"), scope("drive"));
        assert_eq!(uncovered("drive", "cloud-platform"), scope("drive"));
    }

    #[test]
    fn the_account_chooser_is_shown_unless_the_account_is_known() {
        let prompt = |known| {
            GOOGLE
                .consent_parameters(known, &scopes("openid"))
                .into_iter()
                .find(|(name, _)| *name == "prompt")
        };

        assert_eq!(prompt(true).unwrap().1, "consent");
        assert_eq!(prompt(false).unwrap().1, "consent select_account");
    }

    #[test]
    fn apis_of_google_are_where_google_serves_them_and_nowhere_that_looks_like_it() {
        for host in ["www.googleapis.com", "gmail.googleapis.com", "bucket.storage.googleapis.com"] {
            assert!(GOOGLE.has_api_at(host), "{host}");
        }
        for host in [
            "googleapis.com",
            ".googleapis.com",
            "evilgoogleapis.com",
            "googleapis.com.evil.example",
            "www.googleapis.com.",
            "www.googleapis.com.evil.example",
            "www.googleapis.com:8443",
            "www.googleapis.co",
            "www.google.com",
            "x.googleusercontent.com",
            "xn--ggleapis-c1aa.com",
        ] {
            assert!(!GOOGLE.has_api_at(host), "{host}");
        }
    }

    #[test]
    fn a_lasting_grant_is_asked_for() {
        let parameters = GOOGLE.consent_parameters(true, &scopes("openid"));

        assert!(parameters.contains(&("access_type", "offline".to_owned())));
        assert!(parameters.contains(&("include_granted_scopes", "false".to_owned())));
    }
}
