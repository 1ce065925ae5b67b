//! What the file of a user's own provider says is known wherever that of a built-in one is; and what it says later
//! neither moves a secret nor changes whose word is believed.

use serde_json::{Value, json};

use crate::home::Home;
use crate::provider::{Config, Endpoint, Provider, ServiceAccount};
use crate::providers::{add, arguments, file, home_with, log_in, secret};
use crate::robots::SCOPE;

/// The file of a provider with more `endpoints`, and `more` below them.
fn with_endpoints(at: &Provider, endpoints: &[(&str, &str)], more: &str) -> String {
    let lines: String = endpoints.iter().map(|(name, url)| format!("{name} = \"{url}\"\n")).collect();
    file(at, more).replacen("\n[client]", &format!("{lines}\n[client]"), 1)
}

const OPENID: &str = "[scopes]\ndefault = [\"openid\", \"email\"]\n";

#[test]
fn its_short_names_of_scopes_are_those_of_narrower_tokens_too() {
    let provider = Provider::start(Config::default());
    let names = "[scopes]\nnames = [[\"cal\", \"forge.calendar\"], [\"mail\", \"forge.mail\"]]\n";
    let home = home_with(&file(&provider, names));
    log_in(&home, &["--scope", "cal", "--scope", "mail"]).expect_code(0);

    let json = home.run(&["token", "work", "--scope", "cal", "--format", "json"]).answer();

    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["scopes"], json!(["forge.calendar"]));
    home.run(&["env", "work", "--scope", "cal"]).expect_code(0).expect_unsaid("warning");
    home.run(&["token", "work", "--scope", "other"]).expect_code(7);
}

#[test]
fn what_it_says_of_devices_is_minded() {
    let provider = Provider::start(Config::default());
    let endpoint = [("device_authorization", provider.url("/device_authorization"))];
    let endpoint: Vec<(&str, &str)> = endpoint.iter().map(|(name, url)| (*name, url.as_str())).collect();
    let device = "[device]\nsupport = true\nscopes = [\"read\"]\nnote = \"the forge allows little\"\n";
    let home = home_with(&with_endpoints(&provider, &endpoint, device));
    let secret = secret(&home);

    let wide = arguments(secret.to_str().unwrap(), &["--flow", "device", "--scope", "write"]);
    home.run(&wide).expect_code(7).expect_said("write").expect_said("Forge");
    assert_eq!(provider.requests().len(), 0);

    add(&home, &with_endpoints(&provider, &endpoint, ""), &["--replace"])
        .expect_code(2)
        .expect_said("[device]");
    add(&home, &file(&provider, "[device]\nnote = \"not at the forge\"\n"), &["--replace"]).expect_code(0);
    let none = arguments(secret.to_str().unwrap(), &["--flow", "device"]);
    home.run(&none).expect_code(7).expect_said("not at the forge");
    assert_eq!(provider.requests().len(), 0);
}

#[test]
fn a_file_that_is_replaced_adds_no_endpoint_to_a_client_that_is_there() {
    let (provider, evil) = (Provider::start(Config::default()), Provider::start(Config::default()));
    let home = home_with(&file(&provider, OPENID));
    log_in(&home, &[]).expect_code(0);

    let urls = ["/device_authorization", "/jwks", "/v1", "/*"].map(|path| evil.url(path));
    let names = ["device_authorization", "jwks", "iam", "id_token_issuer"];
    let endpoints: Vec<_> = names.into_iter().zip(urls.iter().map(String::as_str)).collect();
    let more = format!("[device]\nsupport = true\n\n{OPENID}");
    add(&home, &with_endpoints(&evil, &endpoints, &more), &["--replace"]).expect_code(0);

    home.run(&["login", "work", "--flow", "device"]).expect_code(7);
    // Whose keys are believed says the issuer that the client was made with.
    let _ = home.run(&["token", "work", "--id-token"]).answer();
    home.run(&["add-profile", "deploy", "--impersonate", ServiceAccount::DEPLOY, "--via", "work"])
        .expect_code(7);
    assert_eq!(evil.requests().len(), 0, "nothing went to the hosts of the new file");
}

#[test]
fn a_second_server_under_the_name_of_an_issuer_is_warned_of() {
    let (provider, evil) = (Provider::start(Config::default()), Provider::start(Config::default()));
    let home = home_with(&file(&provider, ""));
    log_in(&home, &[]).expect_code(0);
    let add_client = |id| {
        home.run(&[
            "client",
            "add",
            "--provider",
            "forge",
            "--client-id",
            id,
            "--client-auth",
            "none",
            "--insecure-loopback",
        ])
    };
    let moved = file(&evil, "")
        .replace(&format!("issuer = \"{}\"", evil.issuer()), &format!("issuer = \"{}\"", provider.issuer()));

    add_client("second").expect_code(0).expect_unsaid("warning");
    add(&home, &moved, &["--replace"]).expect_code(0);

    add_client("third").expect_code(0).expect_said("warning").expect_said(&evil.url("/token"));
}

#[test]
fn tokens_of_service_accounts_are_asked_for_where_it_says() {
    let (provider, evil) = (Provider::start(Config::default()), Provider::start(Config::default()));
    let home = home_with(&with_endpoints(&provider, &[("iam", &provider.url("/v1"))], OPENID));
    log_in(&home, &["--scope", SCOPE]).expect_code(0);
    let impersonate =
        |name| home.run(&["add-profile", name, "--impersonate", ServiceAccount::DEPLOY, "--via", "work"]);

    impersonate("deploy").expect_code(0);
    assert_eq!(provider.count(Endpoint::Iam), 1);

    // Another address counts only where the client's tokens go already.
    add(&home, &with_endpoints(&evil, &[("iam", &evil.url("/v1"))], OPENID), &["--replace"]).expect_code(0);
    impersonate("other").expect_code(2).expect_said("--iam-url");
    assert_eq!(evil.requests().len(), 0);
}

#[test]
fn id_tokens_may_name_a_part_of_the_issuers_server_and_nobody_else() {
    let provider = Provider::start(Config::default());
    let pattern = |url: &str| with_endpoints(&provider, &[("id_token_issuer", url)], OPENID);
    let home = home_with(&pattern(&provider.url("/*/v2.0")));
    let named = |issuer: &str| {
        let claims = json!({ "iss": issuer });
        provider.configure(|config| config.id_token_claims = claims);
    };
    named(&provider.url("/tenant-1/v2.0"));
    log_in(&home, &[]).expect_code(0);
    let _ = home.run(&["token", "work", "--id-token"]).answer();

    for issuer in [
        "https://elsewhere.example/tenant-1/v2.0",
        &provider.url("/a/b/v2.0"),
        &provider.url("//v2.0"),
        &provider.url("/tenant-1/v2.0/"),
        &provider.url("/tenant-1/v1.0"),
        &provider.url("@elsewhere.example/v2.0"),
    ] {
        named(issuer);
        let run = home.run(&["token", "work", "--id-token", "--refresh"]).expect_code(7);
        assert_eq!(run.stdout, "", "{issuer}");
    }
    for flawed in [
        "https://*/v2.0".to_owned(),
        "https://elsewhere.example/*/v2.0".to_owned(),
        provider.url("/*/*"),
        provider.url("/a*/v2.0"),
    ] {
        add(&home, &pattern(&flawed), &["--replace"]).expect_code(2).expect_said("id_token_issuer");
    }
}

#[test]
fn a_file_that_is_taken_in_is_known_to_be_of_it_by_its_token_endpoint() {
    let provider = Provider::start(Config::default());
    let home: Home = home_with(&file(&provider, ""));
    let token = provider.grant("desktop", "me@example.com", &["read"]);
    let text = json!({
        "refresh_token": token, "token_uri": provider.url("/token"), "client_id": "desktop",
        "client_secret": "GOCSPX-desktop-secret", "scopes": ["read"], "token": "old",
    });
    let path = home.write("token.json", text.to_string());

    home.run(&["import", path.to_str().unwrap(), "--profile", "work", "--insecure-loopback"]).expect_code(0);

    assert_eq!(crate::tree::json(home.client("forge"))["provider"], "forge");
    assert!(provider.is_live_access_token(&home.run(&["token", "work"]).answer()));
}
