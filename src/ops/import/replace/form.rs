//! Whether a file may go because what it holds was taken in, or what would have to stay of it.

use crate::oauth::json::{self, Members, Value};
use crate::ops::setup::secret_free_remote;

/// What becomes of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing else is in it.
    Whole,
    /// Other things stay, and this is the text without what was taken in.
    Without(String),
    /// It stays, and why.
    Mixed(String),
}

/// Members whose texts belong to a login or a client, whatever tool has written them: in lower case, and without
/// anything but letters and digits.
const KNOWN: &[&str] = &[
    "accesstoken",
    "account",
    "apikey",
    "authproviderx509certurl",
    "authuri",
    "authurl",
    "class",
    "clientemail",
    "clientid",
    "clientsecret",
    "credfilepath",
    "email",
    "expiresat",
    "expiresin",
    "expiry",
    "expirydate",
    "grantedscopes",
    "idtoken",
    "idtokenjwt",
    "javascriptorigins",
    "module",
    "projectid",
    "quotaprojectid",
    "rapttoken",
    "redirecturi",
    "redirecturis",
    "refreshtoken",
    "revokeuri",
    "scope",
    "scopes",
    "token",
    "tokenexpiry",
    "tokeninfouri",
    "tokentype",
    "tokenuri",
    "tokenurl",
    "type",
    "universedomain",
    "useragent",
];

/// And those of the key of a service account, where that is what was taken in.
const OF_KEY: &[&str] = &["clientx509certurl", "privatekey", "privatekeyid"];

/// What a JSON file holds beside its logins: a text under a name that is not one of theirs could be a secret too.
pub(super) fn of_json(bytes: &[u8], is_key: bool) -> Form {
    match json::strict(bytes) {
        Ok(members) => match foreign(&members, is_key) {
            None => Form::Whole,
            Some(name) => Form::Mixed(format!(
                "it also holds `{}`, which was not taken in",
                crate::oauth::printable(name, 60)
            )),
        },
        Err(_) => Form::Mixed("it is no single JSON object".to_owned()),
    }
}

/// The first text that is under no known name.
fn foreign(members: &Members, is_key: bool) -> Option<&str> {
    members.iter().find_map(|(name, value)| match value {
        Value::Object(inner) => foreign(inner, is_key),
        Value::List(list) => list.iter().find_map(|value| match value {
            Value::Object(inner) => foreign(inner, is_key),
            Value::Text(_) if !is_known(name, is_key) => Some(name),
            Value::List(_) => Some(name),
            _ => None,
        }),
        Value::Text(text) if !text.is_empty() && !is_known(name, is_key) => Some(name),
        _ => None,
    })
}

fn is_known(name: &str, is_key: bool) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    KNOWN.contains(&plain.as_str()) || (is_key && OF_KEY.contains(&plain.as_str()))
}

/// The lines of a remote that say who it is and where its tokens come from; the rest of it is no secret of its login.
const OF_LOGIN: [&str; 5] = ["client_id", "client_secret", "token", "token_url", "auth_url"];

/// `rclone.conf` with these remotes as `vault setup rclone` makes them, and everything else as it was.
pub(super) fn of_rclone(text: &str, remotes: &[&str]) -> Form {
    let mut next = String::with_capacity(text.len());
    let mut ours = false;
    for line in text.split_inclusive('\n') {
        if let Some(name) = section(line) {
            ours = remotes.contains(&name);
            next.push_str(line);
            if ours {
                if !line.ends_with('\n') {
                    next.push('\n');
                }
                next.push_str(&secret_free_remote());
            }
        } else if !(ours && is_of_login(line)) {
            next.push_str(line);
        }
    }
    Form::Without(next)
}

fn section(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']').map(str::trim)
}

fn is_of_login(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| OF_LOGIN.contains(&name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_only_if_every_text_in_it_belongs_to_the_login() {
        let adc =
            br#"{"type": "authorized_user", "client_id": "i", "clientSecret": "s", "refresh_token": "r",
                       "scopes": ["a", "b"], "n": 7, "x": null, "empty": ""}"#;
        assert_eq!(of_json(adc, false), Form::Whole);
        assert_eq!(of_json(br#"{"tokens": {"default": {"refresh_token": "r"}}}"#, false), Form::Whole);
        for other in [
            &br#"{"refresh_token": "r", "smtp_password": "p"}"#[..],
            br#"{"tokens": {"a": {"refresh_token": "r", "session": "s"}}}"#,
            br#"{"refresh_token": "r", "keys": ["k"]}"#,
            br#"{"refresh_token": "r", "nested": [["k"]]}"#,
            // A key that was taken in is known; one beside a login was not.
            br#"{"refresh_token": "r", "private_key": "k"}"#,
            b"[1]",
        ] {
            assert!(matches!(of_json(other, false), Form::Mixed(_)), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn of_a_remote_only_what_says_whose_it_is_goes_and_others_stay_as_they_are() {
        let text = "# mine\n[one]\ntype = drive\nclient_id = CANARY\ntoken = {\"refresh_token\":\"CANARY\"}\nteam_drive = x\n\
                    \n[two]\ntype = s3\nsecret_access_key = stays\n[three]\ntoken = {\"stays\":1}";

        let Form::Without(next) = of_rclone(text, &["one"]) else { panic!("it is changed") };

        assert!(!next.contains("CANARY"), "{next}");
        assert!(next.starts_with("# mine\n[one]\nclient_id = vault\n"), "{next}");
        assert!(next.contains("type = drive\nteam_drive = x\n\n[two]"), "{next}");
        assert!(next.ends_with("secret_access_key = stays\n[three]\ntoken = {\"stays\":1}"), "{next}");
    }
}
