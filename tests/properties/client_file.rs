//! The client file that a developer has downloaded: it leads nowhere but to the provider, and reads
//! the same when it is written again.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;
use vault::oauth::client_file::{ClientFile, Kind, MAX_SIZE, parse};
use vault::oauth::provider::{self, GENERIC, Provider};

/// Hosts of Google that may stand in a client file.
const HOSTS: [&str; 3] = ["accounts.google.com", "oauth2.googleapis.com", "www.googleapis.com"];

/// Holds whatever `file` is; says whether it is a client file of Google.
pub fn holds(file: &[u8]) -> bool {
    let of_any = read(file, &GENERIC);
    let Some(client) = read(file, provider::get("google")) else { return false };
    assert!(of_any.is_some(), "what a known provider takes, an unknown one takes");
    for url in [&client.auth_uri, &client.token_uri] {
        assert!(HOSTS.contains(&url.host_str().unwrap()), "{url}");
        assert_eq!(url.port(), None);
    }
    true
}

fn read(file: &[u8], provider: &Provider) -> Option<ClientFile> {
    match parse(file, provider) {
        Ok(client) => {
            assert!(file.len() <= MAX_SIZE);
            assert_is_a_client(&client);
            assert_says_the_same(&client, file);
            assert_reads_again(&client, provider);
            Some(client)
        }
        Err(error) => {
            crate::clean::assert_error(&error);
            None
        }
    }
}

fn assert_is_a_client(client: &ClientFile) {
    assert!(is_plain(&client.client_id));
    assert!(client.redirect_uris.iter().all(|uri| uri.is_empty() || is_plain(uri)));
    for url in [&client.auth_uri, &client.token_uri] {
        assert_eq!(url.scheme(), "https", "{url}");
        assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    }
    if let Some(project) = &client.project_id {
        assert!(project.chars().count() <= 100 && !project.contains(|c: char| c.is_control()));
    }
    if let Some(secret) = client.client_secret.as_ref().map(ExposeSecret::expose_secret) {
        assert!(is_plain(secret));
        let any: Option<SecretString> = Some("another".into());
        assert_eq!(format!("{:?}", client.client_secret), format!("{any:?}"), "Debug shows the secret");
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 4096 && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Another reader finds the same in it.
fn assert_says_the_same(client: &ClientFile, file: &[u8]) {
    assert!(crate::keys::stand_once(file), "readers differ on which of two counts");
    let file: Map<String, Value> = serde_json::from_slice(file).expect("a client file is JSON");
    let members = &file[kind(client)];
    assert_eq!(members["client_id"], client.client_id.as_str());
    for (name, url) in [("auth_uri", &client.auth_uri), ("token_uri", &client.token_uri)] {
        assert_eq!(Url::parse(members[name].as_str().unwrap()).unwrap(), *url);
    }
    let secret = members.get("client_secret").and_then(Value::as_str).unwrap_or_default();
    assert_eq!(secret, client.client_secret.as_ref().map_or("", |secret| secret.expose_secret()));
}

fn assert_reads_again(client: &ClientFile, provider: &Provider) {
    let file = json!({ kind(client): {
        "client_id": client.client_id,
        "client_secret": client.client_secret.as_ref().map(|secret| secret.expose_secret()),
        "auth_uri": client.auth_uri,
        "token_uri": client.token_uri,
        "redirect_uris": client.redirect_uris,
        "project_id": client.project_id,
    }});
    let again = parse(file.to_string().as_bytes(), provider).expect("what was read can be written and read");
    assert_eq!(
        (
            again.kind,
            &again.client_id,
            &again.auth_uri,
            &again.token_uri,
            &again.redirect_uris,
            &again.project_id
        ),
        (
            client.kind,
            &client.client_id,
            &client.auth_uri,
            &client.token_uri,
            &client.redirect_uris,
            &client.project_id
        )
    );
}

fn kind(client: &ClientFile) -> &'static str {
    match client.kind {
        Kind::Installed => "installed",
        Kind::Web => "web",
    }
}
