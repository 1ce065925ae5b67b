//! `vault provider`, and the habits of providers that a file describes: they are honoured, and no file moves a
//! token to where it did not go before.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::backup::recipient_of;
use crate::home::{Home, Run};
use crate::provider::{Authority, Config, Endpoint, Fault, HOST, Provider};
use crate::tree;

/// The file of a provider whose server is `at`, with `more` below its endpoints.
pub fn file(at: &Provider, more: &str) -> String {
    let url = |path: &str| at.url(path);
    let more = match more.contains("[who]") {
        true => more.to_owned(),
        false => format!("{more}\n[api]\nhosts = [\"{}\"]\n", at.address()),
    };
    let more = match more.contains("[scopes]") {
        true => more,
        false => format!("{more}\n[scopes]\ndefault = [\"read\"]\n"),
    };
    format!(
        "id = \"forge\"\ntitle = \"Forge\"\n\n[endpoints]\nissuer = \"{}\"\nauthorization = \"{}\"\ntoken = \"{}\"\n\
         revocation = \"{}\"\n{}\n[client]\nauth = \"post\"\n\n{more}",
        at.issuer(),
        url("/authorize"),
        url("/token"),
        url("/revoke"),
        if more.contains("[who]") { String::new() } else { format!("userinfo = \"{}\"\n", url("/userinfo")) },
    )
}

/// A vault that knows the provider of `text`.
pub fn home_with(text: &str) -> Home {
    let home = Home::new();
    add(&home, text, &[]).expect_code(0);
    home
}

pub fn add(home: &Home, text: &str, options: &[&str]) -> Run {
    let path = home.write("forge.toml", text);
    let mut arguments = vec!["provider", "add", path.to_str().unwrap(), "--insecure-loopback"];
    arguments.extend(options);
    home.run(&arguments)
}

pub fn secret(home: &Home) -> PathBuf {
    home.write("desktop.secret", "GOCSPX-desktop-secret\n")
}

pub fn arguments<'a>(secret: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "add-profile",
        "work",
        "--no-browser",
        "--provider",
        "forge",
        "--insecure-loopback",
        "--client-id",
        "desktop",
        "--client-secret-file",
        secret,
    ];
    arguments.extend(more);
    arguments
}

/// Makes the profile `work` of a client of `forge`.
pub fn log_in(home: &Home, more: &[&str]) -> Run {
    let secret = secret(home);
    home.consent(&arguments(secret.to_str().unwrap(), more))
}

fn asked(provider: &Provider, name: &str) -> Option<String> {
    provider.requests_to(Endpoint::Authorize)[0].param(name).map(str::to_owned)
}

#[test]
fn a_provider_of_ones_own_is_added_used_and_removed_when_nothing_uses_it() {
    let provider = Provider::start(Config::default());
    let home = home_with(&file(&provider, ""));

    let shown = home.run(&["provider", "show", "forge"]).answer();
    for words in
        ["Forge", "you", &provider.url("/token"), "vault add-profile NAME --provider forge --client-id ID"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let listed: Value = serde_json::from_str(&home.run(&["provider", "list", "--json"]).answer()).unwrap();
    let own = listed["providers"].as_array().unwrap().iter().find(|it| it["id"] == "forge").unwrap();
    assert_eq!(
        (own["own"].as_bool(), &own["endpoints"]["token"]),
        (Some(true), &json!(provider.url("/token")))
    );

    log_in(&home, &[]).expect_code(0);
    assert!(provider.is_live_access_token(&home.run(&["token", "work"]).answer()));
    home.run(&["api", "-p", "work", &provider.url("/api/x")]).expect_code(0);
    home.run(&["provider", "remove", "forge"]).expect_code(7).expect_said("the client `forge` is of it");

    home.run(&["remove", "work", "--yes"]).expect_code(0);
    home.run(&["client", "remove", "forge"]).expect_code(0);
    home.run(&["provider", "remove", "forge"]).expect_code(0);
    home.run(&["provider", "show", "forge"]).expect_code(3).expect_said("no provider named `forge`");
}

#[test]
fn a_file_that_is_replaced_moves_no_token_of_a_client_that_is_there() {
    let (provider, evil) = (Provider::start(Config::default()), Provider::start(Config::default()));
    let home = home_with(&file(&provider, ""));
    log_in(&home, &[]).expect_code(0);

    add(&home, &file(&evil, ""), &[]).expect_code(7).expect_said("--replace");
    add(&home, &file(&evil, ""), &["--replace"])
        .expect_code(0)
        .expect_said("that they were made with: forge");

    home.run(&["token", "work", "--refresh"]).expect_code(0);
    home.run(&["api", "-p", "work", &provider.url("/api/x")]).expect_code(0);
    home.run(&["api", "-p", "work", &evil.url("/api/x")]).expect_code(7);
    home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    home.run(&["logout", "work"]).expect_code(0);
    assert_eq!(evil.requests().len(), 0, "nothing went to the hosts of the new file");
}

#[test]
fn names_that_belong_to_others_are_refused() {
    let provider = Provider::start(Config::default());
    let home = home_with(&file(&provider, ""));
    let named = |id: &str| file(&provider, "").replace("\"forge\"", &format!("\"{id}\""));

    add(&home, &named("google"), &["--replace"]).expect_code(7).expect_said("built in");
    add(&home, &named("oidc"), &[]).expect_code(7).expect_said("built in");
    home.run(&["provider", "remove", "google"]).expect_code(7).expect_said("built in");
    home.run(&["client", "add", "--provider", "fogre", "--client-id", "x"])
        .expect_code(2)
        .expect_said("did you mean `forge`?");

    // A server that was described by hand is called by its host.
    let local = |path: &str| provider.url(path).replace("127.0.0.1", "localhost");
    let (auth, token) = (local("/authorize"), local("/token"));
    let by_hand = ["client", "add", "--auth-url", &auth, "--token-url", &token, "--insecure-loopback"];
    let client = [&by_hand[..], &["--client-id", "public", "--client-auth", "none"]].concat();
    home.run(&client).expect_code(0);
    add(&home, &named("localhost"), &[]).expect_code(7).expect_said("`localhost` already");
}

#[test]
fn a_file_that_is_not_sound_is_refused_and_says_where() {
    let provider = Provider::start(Config::default());
    let home = Home::new();

    add(&home, &file(&provider, "[pkce]\nsupprt = 1"), &[])
        .expect_code(2)
        .expect_said("unknown field `supprt`");
    let path = home.write("plain.toml", file(&provider, ""));
    home.run(&["provider", "add", path.to_str().unwrap()]).expect_code(2).expect_said("plain HTTP");
    assert!(!home.vault_dir().exists(), "no vault is made for a file that is refused");
}

#[test]
fn ones_own_providers_outlast_a_new_vault_key_and_a_backup() {
    let provider = Provider::start(Config::default());
    let home = home_with(&file(&provider, "[refresh]\nnote = \"as it was given\""));
    let shown = home.run(&["provider", "show", "forge", "--json"]).answer();

    home.run(&["rotate", "key"]).expect_code(0);
    home.run(&["verify"]).expect_code(0);
    assert_eq!(home.run(&["provider", "show", "forge", "--json"]).answer(), shown);

    let recipient = recipient_of(&home.path("identity.txt"));
    home.run(&["backup", "backup.age", "--recipient", &recipient]).expect_code(0);
    std::fs::remove_dir_all(home.vault_dir()).unwrap();
    home.run(&["restore", "backup.age", "--open-with", "identity.txt"]).expect_code(0);
    assert_eq!(home.run(&["provider", "show", "forge", "--json"]).answer(), shown);
}

#[test]
fn a_provider_in_a_manifest_that_somebody_has_changed_is_never_used() {
    let (provider, evil) = (Provider::start(Config::default()), Provider::start(Config::default()));
    let home = home_with(&file(&provider, ""));
    let path = home.vault_dir().join("vault.json");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let (ours, theirs) = (provider.address().port().to_string(), evil.address().port().to_string());
    std::fs::write(&path, manifest.replace(&ours, &theirs)).unwrap();

    log_in(&home, &[]).expect_code(6);

    assert_eq!(evil.requests().len(), 0);
}

#[test]
fn scopes_are_asked_for_and_read_with_the_separator_of_the_provider() {
    let provider = Provider::start(Config::default());
    let home = home_with(&file(&provider, "[scopes]\nseparator = \"comma\"\nparameter = \"scope\""));

    log_in(&home, &["--scope", "read", "--scope", "write"]).expect_code(0);

    assert_eq!(asked(&provider, "scope").unwrap(), "read,write");
    let profile = tree::json(home.profile("work"));
    assert_eq!(profile["scopes"]["granted"], json!(["read", "write"]));
}

#[test]
fn tokens_are_found_where_the_provider_puts_them() {
    let provider = Provider::start(Config::default());
    let home = home_with(&file(&provider, "[answer]\ntoken_at = \"/authed_user\""));
    let nested =
        json!({"access_token": "xoxp-of-the-user", "scope": "a,b", "expires_in": 3000, "token_type": "user"});
    let nested = json!({"authed_user": {"access_token": nested["access_token"], "scope": "a,b", "expires_in": 3000,
        "refresh_token": "xoxe-of-the-user"}});
    provider.amend(Endpoint::Token, nested);
    provider.script(Endpoint::Userinfo, vec![Fault::json(401, &json!({}))]);

    log_in(&home, &["--scope", "a", "--scope", "b"]).expect_code(0);

    assert_eq!(home.run(&["token", "work"]).answer(), "xoxp-of-the-user");
    assert_eq!(home.run(&["reveal", "work", "refresh_token"]).answer(), "xoxe-of-the-user");
}

#[test]
fn an_error_with_status_200_and_another_name_is_the_error_that_it_is() {
    let provider = Provider::start(Config::default());
    let errors = "[[errors]]\nerror = \"bad_refresh_token\"\nsame_as = \"invalid_grant\"\n\
                  means = \"the token was used before\"\nhint = \"look at the page of your apps\"\n";
    let home = home_with(&file(&provider, &format!("[answer]\nerror_status = 200\n\n{errors}")));
    log_in(&home, &[]).expect_code(0);
    provider.script(Endpoint::Token, vec![Fault::error(200, "bad_refresh_token", "The token is wrong.")]);

    home.run(&["token", "work", "--refresh"])
        .expect_code(5)
        .expect_said("bad_refresh_token")
        .expect_said("likely: the token was used before")
        .expect_said("look at the page of your apps");
}

#[test]
fn a_provider_that_refuses_pkce_is_sent_none() {
    let provider = Provider::start(Config { require_pkce: false, ..Config::default() });
    let home = home_with(&file(&provider, "[pkce]\nsupport = \"refused\""));

    log_in(&home, &[]).expect_code(0);

    assert_eq!(asked(&provider, "code_challenge"), None);
    assert_eq!(provider.requests_to(Endpoint::Token)[0].field("code_verifier"), None);
}

#[test]
fn a_login_without_pkce_needs_the_users_leave() {
    let provider = Provider::start(Config { require_pkce: false, ..Config::default() });
    let plain = json!({"code_challenge_methods_supported": ["plain"]});
    provider.amend(Endpoint::OpenidConfiguration, plain.clone());
    provider.amend(Endpoint::OauthMetadata, plain);
    let home = Home::new();
    home.add_profile(&provider, "work").expect_code(7).expect_said("--allow-no-pkce");

    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser", "--allow-no-pkce"];
    arguments.extend(options.iter().map(String::as_str));
    home.consent(&arguments).expect_code(0);

    assert_eq!(tree::json(home.client("127.0.0.1"))["pinned"]["without_pkce"], json!(true));
    assert_eq!(asked(&provider, "code_challenge"), None);
}

#[test]
fn the_account_is_asked_for_in_the_way_of_the_provider() {
    let provider = Provider::start(Config::default());
    let who = format!(
        "[who]\nurl = \"{}\"\nmethod = \"POST\"\nbody = '{{\"query\":\"me\"}}'\nsubject = \"/data/0/id\"\n\
         email = \"/data/0/mail\"\nheaders = [[\"X-Version\", \"2\"]]\nclient_id_header = \"Client-Id\"\n",
        provider.url("/userinfo")
    );
    let home = home_with(&file(&provider, &who));
    let answer = json!({"data": [{"id": 4711, "mail": "me@forge.example"}]});
    provider.script(Endpoint::Userinfo, vec![Fault::json(200, &answer)]);

    log_in(&home, &[]).expect_code(0).expect_said("logged in as me@forge.example");

    let asked = &provider.requests_to(Endpoint::Userinfo)[0];
    assert_eq!((asked.method.as_str(), &asked.body[..]), ("POST", &b"{\"query\":\"me\"}"[..]));
    assert_eq!((asked.header("x-version"), asked.header("client-id")), (Some("2"), Some("desktop")));
    let account = &tree::json(home.profile("work"))["account"];
    assert_eq!(account, &json!({"email": "me@forge.example", "subject": "4711"}));
}

#[test]
fn where_only_https_may_come_back_that_is_said_before_a_browser_opens() {
    let provider = Provider::start(Config::default());
    let home = home_with(&file(&provider, "[redirect]\nloopback = \"https-only\""));

    log_in(&home, &[])
        .expect_code(7)
        .expect_said("only redirect URIs with https:")
        .expect_said("--redirect-uri");

    assert_eq!(provider.requests().len(), 0);
}

#[test]
fn an_address_of_ones_own_is_pasted_where_only_https_may_come_back() {
    let provider = Provider::start(Config::default());
    provider.configure(|config| {
        config.clients[0] = config.clients[0].clone().with_redirects(&["https://me.example/back"]);
    });
    let home = home_with(&file(&provider, "[redirect]\nloopback = \"https-only\""));
    let secret = secret(&home);
    let arguments = arguments(secret.to_str().unwrap(), &["--redirect-uri", "https://me.example/back"]);

    let mut login = home.start_login(&arguments);
    let landed = crate::provider::browser::authorize(login.url.as_ref().unwrap()).unwrap();
    assert!(landed.starts_with("https://me.example/back?"), "{landed}");
    login.paste(&landed);

    let said = "ends at me.example:443, and does not come back";
    login.finish(&arguments).expect_code(0).expect_said(said);
}

#[test]
fn what_belongs_into_an_address_is_filled_in_and_pinned() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let home = Home::trusting(&authority);
    let host = provider.issuer().replace("https://", "");
    let text = file(&provider, "").replace(&provider.url("/"), "https://{host}/");
    let text = text.replace(&provider.issuer(), "https://{host}");
    let text = text.replace(&format!("\"{}\"", provider.address()), "\"{host}\"");
    let variable = "[[variables]]\nname = \"host\"\nallow = \"host\"\nhelp = \"where your forge is\"\n";
    add(&home, &format!("{text}\n{variable}"), &[]).expect_code(0);

    log_in(&home, &[]).expect_code(2).expect_said("needs to be told its host: where your forge is");
    log_in(&home, &["--provider-set", "host=evil.example/x"]).expect_code(2).expect_said("is not a host");
    log_in(&home, &["--provider-set", &format!("host={host}")]).expect_code(0);

    let client = tree::json(home.client("forge"));
    assert_eq!(client["endpoints"]["token"], json!(format!("https://{host}/token")));
    assert_eq!(client["pinned"]["api_hosts"], json!([host]));
    home.run(&["api", "-p", "work", &format!("https://{host}/api/x")]).expect_code(0);
}
