//! `vault export`: what comes out, where it may go, and what is said of it.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::audit;
use crate::expiry::refresh_token;
use crate::home::{Home, Run};
use crate::provider::{Config, Provider, Rotation};
use crate::scene::Scene;
use crate::slots::{expect_end, on_terminal};
use crate::stage::CLIENT_SECRET;

const ADC: [&str; 5] = ["export", "work", "--plaintext", "--format", "adc"];

fn export(home: &Home, format: &str) -> Run {
    home.run(&["export", "work", "--plaintext", "--format", format])
}

fn parsed(home: &Home, format: &str) -> Value {
    serde_json::from_str(&export(home, format).answer()).unwrap()
}

#[test]
fn without_its_ugly_name_nothing_is_opened_and_it_is_said_what_it_means() {
    let Scene { home, .. } = Scene::new();
    let before = audit::lines(&home).len();

    for words in [&["export", "work"][..], &["export", "work", "--format", "adc", "--output", "adc.json"]] {
        home.run(words)
            .expect_code(2)
            .expect_said("long-lived secrets in plain text")
            .expect_said("vault backup")
            .expect_said("--plaintext");
    }
    home.run(&["export", "work", "--plaintext"]).expect_code(2).expect_said("adc, oauthlib, rclone");

    assert!(!home.path("adc.json").exists());
    assert_eq!(audit::lines(&home).len(), before);
}

#[test]
fn each_format_holds_what_its_readers_look_for_and_no_secret_more() {
    let Scene { home, provider, .. } = Scene::new();
    let token = refresh_token(&home);
    home.run(&["edit", "work", "--project", "my-project"]).expect_code(0);

    let adc = parsed(&home, "adc");
    let expected = json!({
        "type": "authorized_user", "client_id": "desktop", "client_secret": CLIENT_SECRET,
        "refresh_token": token, "account": "me@example.com", "universe_domain": "googleapis.com",
        "quota_project_id": "my-project",
    });
    assert_eq!(adc, expected);
    let oauthlib = parsed(&home, "oauthlib");
    assert_eq!(oauthlib["token_uri"], provider.url("/token"));
    assert_eq!((&oauthlib["refresh_token"], &oauthlib["token"]), (&json!(token), &Value::Null));
    assert!(oauthlib["scopes"].as_array().unwrap().contains(&json!("openid")));
    assert_eq!(parsed(&home, "clasp")["tokens"]["default"]["refresh_token"], token);
    let env = export(&home, "env").answer();
    let expected = format!("CLIENT_ID='desktop'\nCLIENT_SECRET='{CLIENT_SECRET}'\nREFRESH_TOKEN='{token}'");
    assert_eq!(env.trim_end(), expected);
    let client = export(&home, "client").answer();
    assert!(client.contains(CLIENT_SECRET) && !client.contains(&token), "{client}");
    let client: Value = serde_json::from_str(&client).unwrap();
    assert_eq!(client["installed"]["token_uri"], provider.url("/token"));
    let all = parsed(&home, "json");
    let secrets =
        json!({"client_secret": CLIENT_SECRET, "refresh_token": token, "api_key": "api-key-of-work"});
    assert_eq!((&all["secrets"], &all["version"]), (&secrets, &json!(1)));
    assert_eq!((&all["profile"]["name"], &all["client"]["client_id"]), (&json!("work"), &json!("desktop")));
    export(&home, "service-account")
        .expect_code(7)
        .expect_said("no service account")
        .expect_said("adc, oauthlib, rclone, clasp, env, client, json");
}

#[test]
fn the_audit_log_says_what_was_taken_out_and_nothing_is_said_aloud() {
    let Scene { home, .. } = Scene::new();
    let token = refresh_token(&home);

    let run = home.run(&[&ADC[..], &["--output", "adc.json"]].concat()).expect_code(0);

    let said = [&*run.stderr, &*run.stdout].concat();
    assert!(!said.contains(&token) && !said.contains(CLIENT_SECRET), "{said}");
    run.expect_said("in plain text").expect_said("vault rotate grant work --compromised");
    let line = audit::lines(&home).pop().unwrap();
    assert_eq!(
        (&line["what"], &line["profile"], &line["fields"]),
        (&json!("export"), &json!("work"), &json!(["client_secret", "refresh_token"]))
    );
    let told = home.run(&["export", "work", "--plaintext", "--format", "env", "-o", "e", "--json"]).answer();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["export"]["format"], "env");
    assert_eq!(told["export"]["fields"], json!(["client_secret", "refresh_token"]));
}

#[test]
fn the_file_is_private_and_takes_the_place_of_nothing_unless_that_is_wanted() {
    let Scene { home, .. } = Scene::new();
    let to = |file: &str, force: &[&str]| home.run(&[&ADC[..], &["--output", file], force].concat());

    to("adc.json", &[]).expect_code(0);
    assert_eq!(fs::metadata(home.path("adc.json")).unwrap().mode() & 0o777, 0o600);
    fs::write(home.path("mine"), "mine").unwrap();
    fs::set_permissions(home.path("mine"), fs::Permissions::from_mode(0o644)).unwrap();
    symlink("mine", home.path("link")).unwrap();
    symlink("nowhere", home.path("dangling")).unwrap();
    fs::create_dir(home.path("folder")).unwrap();
    for taken in ["adc.json", "mine", "link", "dangling", "folder"] {
        to(taken, &[]).expect_code(2).expect_said("exists already");
    }
    for (odd, why) in [("link", "a link"), ("dangling", "a link"), ("folder", "no plain file")] {
        to(odd, &["--force"]).expect_code(7).expect_said(why);
    }
    assert_eq!(fs::read(home.path("mine")).unwrap(), b"mine");

    to("mine", &["--force"]).expect_code(0);
    let mine = home.path("mine");
    assert!(fs::read_to_string(&mine).unwrap().contains("authorized_user"));
    assert_eq!(fs::metadata(&mine).unwrap().mode() & 0o777, 0o600);
    assert!(!home.path("nowhere").exists());
}

#[test]
fn a_terminal_and_a_file_that_others_may_read_get_nothing() {
    let Scene { home, .. } = Scene::new();
    let token = refresh_token(&home);

    let said = expect_end(on_terminal(&home, &ADC), 7);
    assert!(!said.contains(&token) && said.contains("--show"), "{said}");
    let shown = expect_end(on_terminal(&home, &[&ADC[..], &["--show"]].concat()), 0);
    assert!(shown.contains(&token), "{shown}");

    for (mode, code) in [(0o644, 7), (0o640, 7), (0o600, 0)] {
        let file = home.path("out.json");
        let out = File::create(&file).unwrap();
        out.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        let status = home.command(&ADC).stdout(out).status().unwrap();
        assert_eq!(status.code(), Some(code), "{mode:o}");
        assert_eq!(fs::read_to_string(&file).unwrap().contains(&token), code == 0, "{mode:o}");
    }
}

#[test]
fn a_copy_of_a_token_that_is_replaced_with_use_is_warned_of_once_that_was_seen() {
    let provider =
        Provider::start(Config { rotation: Rotation::Rotate { grace_secs: 0 }, ..Config::default() });
    let home = Home::logged_in(&provider);
    export(&home, "env").expect_code(0).expect_unsaid("replaces the refresh token");
    home.run(&["token", "work", "--refresh"]).expect_code(0);

    export(&home, "env")
        .expect_code(0)
        .expect_said("replaces the refresh token")
        .expect_said("vault logout work --local-only");
    export(&home, "client").expect_code(0).expect_unsaid("replaces the refresh token");
}

#[test]
fn a_login_of_another_provider_is_not_written_for_those_who_ask_only_google() {
    let Scene { home, .. } = Scene::new();
    // Such a client is no test set-up any more, and its server is not Google's.
    crate::scene::edit(&home.files("data/vault/clients")[0], |client| {
        client.as_object_mut().unwrap().remove("insecure_loopback");
    });
    crate::forge::sign(&home, &home.files("data/vault/clients")[0]);

    for format in ["adc", "oauthlib", "clasp"] {
        export(&home, format).expect_code(7).expect_said("send what is in it to Google").expect_said("json");
    }
    for format in ["env", "client", "json"] {
        export(&home, format).expect_code(0);
    }
}
