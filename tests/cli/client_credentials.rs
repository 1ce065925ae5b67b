//! Clients that ask in their own right (RFC 6749, 4.4).

use crate::home::Home;
use crate::provider::{Config, Endpoint, Fault, Provider};
use crate::robots::{add_ci, last_an_hour, short_lived, with_ci};

#[test]
fn a_client_gets_tokens_in_its_own_right() {
    let provider = Provider::start(Config::default());
    let home = with_ci(&provider);

    let token = home.run(&["token", "ci"]).answer();

    assert!(provider.is_live_access_token(&token));
    let requests = provider.requests_to(Endpoint::Token);
    // The server offers Basic, and the client is registered for the other way: tried once, and pinned.
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].field("grant_type"), Some("client_credentials"));
    assert_eq!(requests[1].field("scope"), Some("jobs"), "nothing is asked for that only a person has");
    let client = home.run(&["client", "list", "--json"]).answer();
    assert!(
        client.contains(r#""client_auth_pinned": true"#) || client.contains(r#""client_auth_pinned":true"#)
    );
    assert!(home.run(&["show", "ci"]).answer().contains("client credentials"));
}

#[test]
fn many_processes_at_one_expiry_make_one_request() {
    let provider = Provider::start(short_lived());
    let home = with_ci(&provider);
    last_an_hour(&provider);

    let children: Vec<_> = (0..50).map(|_| crate::expiry::start(&home, &["token", "ci"])).collect();
    let tokens: std::collections::BTreeSet<String> =
        children.into_iter().map(|child| crate::expiry::finish(child, &["token"]).answer()).collect();

    assert_eq!((tokens.len(), provider.count(Endpoint::Token)), (1, 1));
}

#[test]
fn nothing_is_stored_of_a_client_that_gets_no_token() {
    let provider = Provider::start(Config { scopes: Some(vec!["jobs".into()]), ..Config::default() });
    let home = Home::new();
    let _ = add_ci(&home, &provider, &["--scope", "nonsense"]).expect_code(7).expect_said("invalid_scope");
    provider.configure(|config| config.client_credentials = false);
    let refused = add_ci(&home, &provider, &["--scope", "jobs"]).expect_code(7);
    let _ = refused.expect_said("may not do this").expect_said("client_credentials");
    provider.configure(|config| config.clients[0].secrets = vec!["another".into()]);
    let _ = add_ci(&home, &provider, &[]).expect_code(7).expect_said("secret is not");
    provider.script(Endpoint::Token, vec![Fault::CommitThenStatus(503)]);
    let _ = add_ci(&home, &provider, &[]).expect_code(8);
    assert!(home.files("data/vault/profiles").is_empty() && home.files("data/vault/clients").is_empty());

    // Without a proof it is stored all the same, and no request is made.
    provider.forget_requests();
    let _ = add_ci(&home, &provider, &["--no-check"]).expect_code(0);
    assert_eq!(provider.count(Endpoint::Token), 0);
    let _ = home.run(&["token", "ci"]).expect_code(7).expect_said("vault rotate client-secret");
}

#[test]
fn what_cannot_be_meant_together_is_refused() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    for more in [
        &["--subject", "me@example.com"][..],
        &["--service-account-key", "key.json"],
        &["--impersonate", "a@b.example", "--via", "work"],
        &["--impersonate", "a@b.example"],
        &["--via", "work"],
        &["--lifetime", "1h"],
        &["--delegate", "a@b.example"],
        &["--flow", "browser"],
        &["--no-browser"],
    ] {
        let _ = add_ci(&home, &provider, more).expect_code(2);
    }
    for arguments in [
        &["add-profile", "x", "--impersonate", "nobody", "--via", "work"][..],
        &["add-profile", "x", "--impersonate", "a@b.example"],
        &["add-profile", "x", "--impersonate", "a@b.example", "--via", "w", "--lifetime", "13h"],
        &["add-profile", "x", "--impersonate", "a@b.example", "--via", "w", "--client", "c"],
        &["add-profile", "x", "--client", "c", "--subject", "me@example.com"],
    ] {
        let _ = home.run(arguments).expect_code(2);
    }
    assert_eq!(provider.requests().len(), 0);
    // A public client has nothing to ask with.
    let issuer = provider.issuer();
    let public = ["add-profile", "ci", "--client-credentials", "--issuer", &issuer, "--insecure-loopback"];
    let public = [&public[..], &["--client-id", "public", "--client-auth", "none"]].concat();
    let _ = home.run(&public).expect_code(7).expect_said("public one");
}

#[test]
fn a_new_secret_is_proven_by_a_token() {
    let provider = Provider::start(Config::default());
    let home = with_ci(&provider);
    let secret = home.write("new.secret", "GOCSPX-new-secret");
    let client = home.files("data/vault/clients")[0].file_stem().unwrap().to_str().unwrap().to_owned();
    let rotate = ["rotate", "client-secret", &client, "--client-secret-file", secret.to_str().unwrap()];

    let _ = home.run(&rotate).expect_code(7).expect_said("nothing was changed");
    provider.configure(|config| config.clients[0].secrets.push("GOCSPX-new-secret".into()));
    let _ = home.run(&rotate).expect_code(0).expect_said("proven by");
    provider.configure(|config| config.clients[0].secrets = vec!["GOCSPX-new-secret".into()]);
    let _ = home.run(&["token", "ci", "--refresh"]).answer();
}

#[test]
fn it_is_neither_logged_in_nor_out_and_nothing_warns_of_its_age() {
    let provider = Provider::start(Config::default());
    let home = with_ci(&provider);

    let _ = home.run(&["login", "ci"]).expect_code(7).expect_said("needs no login");
    let _ = home.run(&["logout", "--all"]).expect_code(0);
    let status = home.run(&["status"]).answer();
    assert!(!status.contains("vault login"), "{status}");
    let doctor = home.run(&["doctor", "--offline"]);
    assert!(doctor.stdout.contains("needs none"), "{}", doctor.stdout);
    assert!(!home.run(&["rotate", "list"]).answer().contains("rotate grant"));
    provider.forget_requests();
    let _ = home.run(&["token", "ci"]).answer();
    assert_eq!(provider.count(Endpoint::Token), 1, "logout has forgotten what was cached");
}
