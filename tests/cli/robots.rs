//! Profiles that need no person, in the homes of the tests about them.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Provider, ServiceAccount};

/// The key file of the provider's `robot`, as its console would have written it.
pub fn key_file(provider: &Provider) -> Value {
    json!({
        "type": "service_account",
        "project_id": "the-project",
        "private_key_id": ServiceAccount::KEY_ID,
        "private_key": ServiceAccount::KEY,
        "client_email": ServiceAccount::ROBOT,
        "client_id": "100000000000000000001",
        "auth_uri": provider.url("/authorize"),
        "token_uri": provider.url("/token"),
        "universe_domain": "googleapis.com",
    })
}

/// A key file of [`ServiceAccount::ROBOT`] in `home`.
pub fn write_key(home: &Home, file: &Value) -> PathBuf {
    home.write("key.json", file.to_string())
}

/// `vault add-profile robot --service-account-key …` with more options.
#[must_use = "say what is expected of it"]
pub fn add_robot(home: &Home, provider: &Provider, file: &Value, more: &[&str]) -> Run {
    let path = write_key(home, file);
    let issuer = provider.issuer();
    let mut arguments = vec!["add-profile", "robot", "--issuer", &issuer, "--insecure-loopback"];
    arguments.extend(["--service-account-key", path.to_str().unwrap()]);
    arguments.extend(more);
    home.run(&arguments)
}

/// A home with the profile `robot`, whose key is in the vault and nowhere else.
pub fn with_robot(provider: &Provider) -> Home {
    let home = Home::new();
    add_robot(&home, provider, &key_file(provider), &["--scope", SCOPE]).expect_code(0);
    std::fs::remove_file(home.path("key.json")).unwrap();
    home
}

/// A home with the profile `ci`, which has a client that asks in its own right.
pub fn with_ci(provider: &Provider) -> Home {
    let home = Home::new();
    add_ci(&home, provider, &["--scope", "jobs"]).expect_code(0);
    home
}

/// `vault add-profile ci --client-credentials …` with more options.
#[must_use = "say what is expected of it"]
pub fn add_ci(home: &Home, provider: &Provider, more: &[&str]) -> Run {
    let options = home.desktop(provider);
    let mut arguments = vec!["add-profile", "ci", "--client-credentials"];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend(more);
    home.run(&arguments)
}

/// A home with the profile `deploy`, by the right of `work`, whose user may act as it.
pub fn with_deploy(provider: &Provider) -> Home {
    let home = Home::new();
    let options = home.desktop(provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser", "--scope", SCOPE];
    arguments.extend(options.iter().map(String::as_str));
    let _ = home.consent(&arguments).expect_code(0);
    impersonate(&home, provider, &[]).expect_code(0);
    home
}

/// `vault add-profile deploy --impersonate … --via work` with more options.
#[must_use = "say what is expected of it"]
pub fn impersonate(home: &Home, provider: &Provider, more: &[&str]) -> Run {
    let iam = provider.url("/v1");
    let mut arguments = vec![
        "add-profile",
        "deploy",
        "--impersonate",
        ServiceAccount::DEPLOY,
        "--via",
        "work",
        "--iam-url",
        &iam,
    ];
    arguments.extend(more);
    home.run(&arguments)
}

/// A scope that lets a token ask for others.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A provider whose tokens are too short to be answered again.
pub fn short_lived() -> Config {
    Config { expires_in: 30, ..Config::default() }
}

/// Lets tokens last an hour from now on, and counts requests anew.
pub fn last_an_hour(provider: &Provider) {
    provider.configure(|config| config.expires_in = 3599);
    provider.forget_requests();
}

/// The claims of the assertion in the last token request.
pub fn claims(provider: &Provider) -> Value {
    part(provider, 1)
}

/// The header of the assertion in the last token request.
pub fn header(provider: &Provider) -> Value {
    part(provider, 0)
}

fn part(provider: &Provider, which: usize) -> Value {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let requests = provider.requests_to(Endpoint::Token);
    let assertion = requests.last().unwrap().field("assertion").unwrap();
    let part = assertion.split('.').nth(which).unwrap().trim_end_matches('=');
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The lines of the private key that are in no other key.
pub fn canaries(pem: &str) -> Vec<String> {
    let lines: Vec<&str> = pem.lines().filter(|line| !line.starts_with('-')).collect();
    // As it stands, as JSON escapes it, and as one text.
    lines.iter().skip(1).map(|line| (*line).to_owned()).collect()
}
