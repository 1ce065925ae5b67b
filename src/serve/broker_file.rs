//! The file that has Google's libraries ask us for tokens: Application Default Credentials of the type
//! `external_account`, <https://google.aip.dev/auth/4117>.
//!
//! What it says is no secret: the libraries bring the content of another file as their proof.

use std::path::Path;

use serde_json::{Value, json};

use crate::domain::ProfileName;

/// Where the token exchange is (RFC 8693), below the address of the server.
const EXCHANGE: &str = "/v1/token";

/// The content of the file: tokens of `profile` are had at `port`, for what stands in the file `secret`.
pub fn broker_file(profile: &ProfileName, port: u16, secret: &Path, project: Option<&str>) -> String {
    let mut file = json!({
        "type": "external_account",
        // Without a number of a project in it: for one, the libraries would ask the resource manager.
        "audience": format!("vault:{profile}"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("http://127.0.0.1:{port}{EXCHANGE}"),
        "universe_domain": "googleapis.com",
        "credential_source": {"file": secret, "format": {"type": "text"}},
    });
    if let Some(project) = project {
        file["quota_project_id"] = Value::from(project);
    }
    format!("{file:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_to_ask_and_what_to_bring_and_holds_no_secret() {
        let profile = "work".parse().unwrap();

        let file = broker_file(&profile, 4711, Path::new("/run/vault/run-1/session"), Some("my-project"));

        let file: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(file["token_url"], "http://127.0.0.1:4711/v1/token");
        assert_eq!(file["credential_source"]["file"], "/run/vault/run-1/session");
        assert_eq!(file["quota_project_id"], "my-project");
        let file = broker_file(&profile, 4711, Path::new("session"), None);
        assert!(!file.contains("quota_project_id"), "{file}");
    }
}
