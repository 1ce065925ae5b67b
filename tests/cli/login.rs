//! `vault add-profile` and `vault login`: who consents to what, and what is stored of it.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::home::Home;
use crate::provider::{Config, Consent, Endpoint, Fault, Iss, Provider, User, browser};
use crate::tree;

#[test]
fn a_new_profile_is_logged_in_and_linked_to_the_account_that_consented() {
    let provider = Provider::start(Config::default());
    let home = Home::new();

    home.add_profile(&provider, "work").expect_code(0).expect_said("logged in as me@example.com");

    let shown = home.run(&["show", "work", "--json"]).answer();
    assert!(shown.contains("\"subject\": \"1001\""), "{shown}");
}

#[test]
fn what_the_client_can_is_tried_once_and_then_known() {
    let provider = Provider::start(Config::default());
    let home = Home::new();

    // `desktop` must post its secret; the metadata offers Basic as well.
    home.add_profile(&provider, "work").expect_code(0);
    assert_eq!(provider.count(Endpoint::Token), 2);
    assert_eq!(tree::json(home.client("127.0.0.1"))["client_auth"], "post");

    home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    assert_eq!(provider.count(Endpoint::Token), 3);
}

#[test]
fn a_client_whose_authentication_was_said_tries_no_other() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let before = tree::stored(&home);

    add(&home, &provider, "work", &["--client-auth", "basic"]).expect_code(7).expect_said("invalid_client");

    assert_eq!(provider.count(Endpoint::Token), 1);
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn another_account_than_the_one_that_was_named_is_refused_and_nothing_is_stored() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let before = tree::stored(&home);
    provider.next_user("other@example.com");

    add(&home, &provider, "work", &["--account", "me@example.com"])
        .expect_code(7)
        .expect_said("other@example.com")
        .expect_said("--replace-account");

    assert_eq!(tree::stored(&home), before);
    let asked = &provider.requests_to(Endpoint::Authorize)[0];
    assert_eq!(asked.param("login_hint"), Some("me@example.com"));
}

#[test]
fn a_login_keeps_its_account_unless_another_one_may_take_its_place() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let before = std::fs::read(home.profile("work")).unwrap();

    provider.next_user("other@example.com");
    home.consent(&["login", "work", "--no-browser"]).expect_code(7);
    assert_eq!(std::fs::read(home.profile("work")).unwrap(), before);
    home.run(&["token", "work"]).expect_code(0);

    provider.next_user("other@example.com");
    home.consent(&["login", "work", "--no-browser", "--replace-account"]).expect_code(0);
    assert_eq!(tree::json(home.profile("work"))["account"]["subject"], "1002");
    let token = home.run(&["token", "work"]).answer();
    assert!(provider.is_live_access_token(&token));
}

#[test]
fn one_client_id_is_stored_once_and_another_secret_is_refused() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    add(&home, &provider, "private", &[]).expect_code(0);
    assert_eq!(home.files("data/vault/clients").len(), 1);

    let before = tree::stored(&home);
    let logins = provider.count(Endpoint::Authorize);
    home.write("desktop.secret", "another-secret-canary\n");
    let secret = home.path("desktop.secret");
    let mut options = home.desktop(&provider);
    // `desktop` has written the right secret again.
    std::fs::write(secret, "another-secret-canary\n").unwrap();
    options.insert(0, "third".to_owned());
    options.insert(0, "add-profile".to_owned());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    home.run(&options)
        .expect_code(7)
        .expect_said("vault rotate client-secret 127.0.0.1")
        .expect_unsaid("another-secret-canary");
    assert_eq!(provider.count(Endpoint::Authorize), logins, "the user was asked for nothing");
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn a_stored_client_serves_more_profiles_by_name_or_as_the_only_one() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.next_user("other@example.com");

    home.consent(&["add-profile", "private", "--client", "127.0.0.1", "--no-browser"]).expect_code(0);
    home.consent(&["add-profile", "third", "--no-browser"]).expect_code(0);

    assert_eq!(tree::json(home.profile("private"))["account"]["email"], "other@example.com");
    assert_eq!(home.files("data/vault/clients").len(), 1);
}

#[test]
fn a_profile_that_exists_is_refused_before_anybody_is_asked() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.forget_requests();

    add(&home, &provider, "work", &[])
        .expect_code(2)
        .expect_said("vault edit work")
        .expect_said("vault login work");

    assert!(provider.requests().is_empty());
}

#[test]
fn a_profile_can_be_made_now_and_logged_in_later() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());

    add(&home, &provider, "work", &["--flow", "none"]).expect_code(0).expect_said("vault login work");
    home.run(&["token", "work"]).expect_code(5).expect_said("vault login work");
    home.consent(&["login", "work", "--no-browser"]).expect_code(0);

    home.run(&["token", "work"]).expect_code(0);
}

#[test]
fn without_input_nobody_can_consent() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.forget_requests();

    home.run(&["login", "work", "--no-input"]).expect_code(5);
    add(&home, &provider, "other", &["--no-input"]).expect_code(5);

    assert!(provider.requests().is_empty());
}

#[test]
fn who_says_no_or_says_nothing_has_cancelled() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let before = tree::stored(&home);

    provider.next_consent(Consent::denied());
    add(&home, &provider, "work", &[]).expect_code(12);
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser", "--timeout", "1s"];
    arguments.extend(options.iter().map(String::as_str));
    home.run(&arguments).expect_code(12).expect_said("--timeout");

    assert_eq!(tree::stored(&home), before);
    assert_eq!(provider.count(Endpoint::Token), 0);
}

#[test]
fn an_error_of_the_provider_is_told_and_nothing_is_stored() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let before = tree::stored(&home);

    for (error, code) in [("invalid_scope", 7), ("server_error", 8), ("temporarily_unavailable", 8)] {
        provider.next_consent(Consent::failing(error));
        add(&home, &provider, "work", &[]).expect_code(code);
    }
    provider.script(Endpoint::Token, vec![Fault::html(200)]);
    add(&home, &provider, "work", &[]).expect_code(9);
    provider.script(Endpoint::Token, vec![Fault::error(400, "invalid_grant", "code was spent")]);
    add(&home, &provider, "work", &[]).expect_code(5).expect_said("invalid_grant");

    assert_eq!(tree::stored(&home), before);
}

#[test]
fn an_answer_of_another_issuer_is_refused() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let before = tree::stored(&home);
    let wrong = || Consent::default().with_iss(Iss::Other("https://attacker.example".into()));

    provider.next_consent(wrong());
    add(&home, &provider, "work", &[]).expect_code(7).expect_said("attacker.example");
    provider.next_consent(Consent::default().with_iss(Iss::Missing));
    add(&home, &provider, "work", &[]).expect_code(7).expect_said("does not name its issuer");
    provider.configure(|config| config.send_iss = false);
    provider.next_consent(wrong());
    add(&home, &provider, "work", &[]).expect_code(7).expect_said("attacker.example");

    assert_eq!(provider.count(Endpoint::Token), 0, "a code of somebody else was spent");
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn a_discovery_document_of_another_issuer_is_refused() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let before = tree::stored(&home);
    let secret = home.write("secret", "GOCSPX-desktop-secret");

    let issuer = format!("{}/", provider.issuer());
    home.run(&[
        "add-profile",
        "work",
        "--issuer",
        &issuer,
        "--insecure-loopback",
        "--client-id",
        "desktop",
        "--client-secret-file",
        secret.to_str().unwrap(),
    ])
    .expect_code(7);

    assert_eq!(tree::stored(&home), before);
}

#[test]
fn plain_http_is_refused_unless_it_is_said_to_be_fine() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let options: Vec<String> =
        home.desktop(&provider).into_iter().filter(|it| it != "--insecure-loopback").collect();
    let mut arguments = vec!["add-profile", "work"];
    arguments.extend(options.iter().map(String::as_str));

    home.run(&arguments).expect_code(7);

    assert!(provider.requests().is_empty());
}

#[test]
fn a_grant_that_ends_with_its_access_token_is_stored_with_a_warning() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    provider.amend(Endpoint::Token, json!({"refresh_token": null}));

    add(&home, &provider, "work", &[]).expect_code(0).expect_said("no refresh token");

    home.run(&["token", "work"]).expect_code(0);
    home.run(&["token", "work", "--refresh"]).expect_code(5).expect_said("vault login work");
}

#[test]
fn a_scope_that_the_user_unticked_is_told_and_the_rest_is_stored() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    provider.next_consent(Consent::granting(&["openid", "email"]));

    add(&home, &provider, "work", &["--scope", "files.read"]).expect_code(0).expect_said("files.read");

    let scopes = tree::json(home.profile("work"))["scopes"].clone();
    assert!(scopes["asked"].to_string().contains("files.read"), "{scopes}");
    assert!(!scopes["granted"].to_string().contains("files.read"), "{scopes}");
}

#[test]
fn a_login_asks_for_what_was_granted_before_and_for_more() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    add(&home, &provider, "work", &["--scope", "files.read"]).expect_code(0);

    home.consent(&["login", "work", "--no-browser", "--scope", "mail.read"]).expect_code(0);

    let requests = provider.requests_to(Endpoint::Authorize);
    assert_eq!(requests.last().unwrap().param("scope"), Some("email files.read mail.read openid"));
    assert_eq!(requests.last().unwrap().param("login_hint"), Some("me@example.com"));
}

#[test]
fn a_store_that_cannot_be_written_is_known_before_the_browser_is() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let (before, logins) = (tree::stored(&home), provider.count(Endpoint::Authorize));

    // Also root cannot write past this limit.
    let mut limited = Command::new("sh");
    home.prepare(&mut limited);
    limited.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh", crate::home::VAULT]);
    let run = limited.args(["login", "work", "--no-browser", "--timeout", "10s"]).output().unwrap();

    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(10), "{said}");
    assert!(!said.contains("Open this address"), "{said}");
    assert_eq!(provider.count(Endpoint::Authorize), logins);
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn a_login_that_is_killed_leaves_nothing() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let before = tree::stored(&home);
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser"];
    arguments.extend(options.iter().map(String::as_str));

    let mut login = home.start_login(&arguments);
    login.child.kill().unwrap();
    login.child.wait().unwrap();

    assert_eq!(tree::stored(&home), before);
    assert!(browser::consent(&login.url.unwrap()).is_err(), "the port is still open");
}

#[test]
fn a_login_that_is_killed_while_it_spends_the_code_can_be_done_again() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    provider.script(Endpoint::Token, vec![Fault::Pass, Fault::CommitThenHold]);
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser"];
    arguments.extend(options.iter().map(String::as_str));
    let mut login = home.start_login(&arguments);
    let url = login.url.clone().unwrap();
    let person = std::thread::spawn(move || browser::consent(&url));
    assert!(provider.wait_until_holding(1, Duration::from_secs(20)));

    login.child.kill().unwrap();
    login.child.wait().unwrap();
    provider.release();
    let _ = person.join().unwrap();
    assert!(!home.profile("work").exists());

    add(&home, &provider, "work", &[]).expect_code(0);
    assert_eq!(home.files("data/vault/clients").len(), 1);
    let token = home.run(&["token", "work"]).answer();
    assert!(provider.is_live_access_token(&token));
}

#[test]
fn two_logins_at_once_get_each_their_own_answer() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let options = home.desktop(&provider);
    let arguments = |name| {
        let mut arguments = vec!["add-profile", name, "--no-browser"];
        arguments.extend(options.iter().map(String::as_str));
        arguments
    };
    let (one, two) = (arguments("one"), arguments("two"));
    let (first, second) = (home.start_login(&one), home.start_login(&two));
    let answer_of = |url: &Option<String>| browser::authorize(url.as_ref().unwrap()).unwrap();
    let (to_first, to_second) = (answer_of(&first.url), answer_of(&second.url));

    let query = to_second.split_once('?').unwrap().1;
    let crossed = format!("{}?{query}", to_first.split_once('?').unwrap().0);
    assert_eq!(browser::get(&crossed, &[]).unwrap().status, 400);
    assert_eq!(browser::get(&to_second, &[]).unwrap().status, 200);
    assert_eq!(browser::get(&to_first, &[]).unwrap().status, 200);

    first.finish(&one).expect_code(0);
    second.finish(&two).expect_code(0);
    assert_eq!(home.files("data/vault/clients").len(), 1);
}

#[test]
fn of_two_logins_for_one_name_the_second_spends_no_code() {
    let (provider, home) = (Provider::start(Config::default()), with_vault());
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser"];
    arguments.extend(options.iter().map(String::as_str));
    let (first, second) = (home.start_login(&arguments), home.start_login(&arguments));

    browser::consent(first.url.as_ref().unwrap()).unwrap();
    first.finish(&arguments).expect_code(0);
    let stored = tree::stored(&home);
    let spent = provider.count(Endpoint::Token);
    let page = browser::consent(second.url.as_ref().unwrap()).unwrap();

    assert_eq!(page.status, 400);
    second.finish(&arguments).expect_code(2);
    assert_eq!(provider.count(Endpoint::Token), spent);
    assert_eq!(tree::stored(&home), stored);
}

#[test]
fn what_the_provider_calls_an_account_is_text_on_the_page_and_on_the_terminal() {
    let name = "<script>alert(1)</script>@example.com";
    let provider = Provider::start(Config { users: vec![User::new("1001", name)], ..Config::default() });
    let home = with_vault();
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser"];
    arguments.extend(options.iter().map(String::as_str));
    let login = home.start_login(&arguments);

    let page = browser::consent(login.url.as_ref().unwrap()).unwrap();

    assert_eq!(page.status, 200);
    assert!(page.body.contains("&lt;script&gt;") && !page.body.contains("<script"), "{}", page.body);
    login.finish(&arguments).expect_code(0);
    assert!(home.run(&["list"]).answer().contains(name));
}

#[test]
fn the_clients_that_google_lets_one_download_are_read() {
    let home = with_vault();
    let file = |kind: &str, uris: &str| {
        let text = format!(
            r#"{{"{kind}":{{"client_id":"{kind}.apps.googleusercontent.com","project_id":"p",
                "auth_uri":"https://accounts.google.com/o/oauth2/auth",
                "token_uri":"https://oauth2.googleapis.com/token",
                "client_secret":"GOCSPX-canary-{kind}","redirect_uris":[{uris}]}}}}"#
        );
        home.write(&format!("{kind}.json"), text)
    };
    let add = |name: &str, file: &std::path::Path| {
        home.run(&["add-profile", name, "--flow", "none", "--client-file", file.to_str().unwrap()])
    };

    add("one", &file("installed", r#""http://localhost""#)).expect_code(0);
    let remote = file("web", r#""https://app.example/back""#);
    add("two", &remote).expect_code(2).expect_said("--redirect-uri");
    add("two", &file("web", r#""https://app.example/back","http://localhost:8085""#)).expect_code(0);

    let client = |id: &str| {
        let listed = home.run(&["client", "list", "--json"]).answer();
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let clients = listed["clients"].as_array().unwrap().clone();
        clients.into_iter().find(|it| it["client_id"].as_str().unwrap().starts_with(id)).unwrap()
    };
    assert_eq!(client("installed")["provider"], "google");
    assert_eq!(client("web")["redirect_uri"], "http://localhost:8085");
    for (file, content) in tree::stored(&home) {
        assert!(!String::from_utf8_lossy(&content).contains("canary"), "{}", file.display());
    }
}

/// A home with a vault and nothing in it.
fn with_vault() -> Home {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    home
}

/// `vault add-profile NAME` with the client `desktop`, these options, and a user who consents.
fn add(home: &Home, provider: &Provider, name: &str, options: &[&str]) -> crate::home::Run {
    let client = home.desktop(provider);
    let mut arguments = vec!["add-profile", name, "--no-browser"];
    arguments.extend(client.iter().map(String::as_str));
    arguments.extend(options);
    home.consent(&arguments)
}
