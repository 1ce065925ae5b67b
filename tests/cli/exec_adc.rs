//! `vault exec` for Google's libraries and gcloud: what the program finds, and what it is answered.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::audit;
use crate::exec_stage::{Program, Reply, Running, exchange, run_dirs};
use crate::expiry::{assert_nothing_lost, expired, refreshes};
use crate::holder::wait_until;
use crate::home::{Home, VAULT};
use crate::logout::at_google;
use crate::provider::{Config, Provider};
use crate::slots::{PASSPHRASE, expect_end, on_terminal, passphrase_home};

const BROKER: [&str; 3] = ["work", "--adc", "broker"];
const METADATA: [&str; 3] = ["work", "--adc", "metadata"];

fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.forget_requests();
    (provider, home)
}

/// Tokens that the provider issues from now on live for a second or two.
fn shorten_tokens(provider: &Provider) {
    provider.configure(|config| config.expires_in = 2);
}

#[test]
fn a_program_that_runs_past_the_expiry_of_its_token_gets_another_one() {
    let (provider, home) = expired();
    shorten_tokens(&provider);
    let running = Running::start(&home, &BROKER);
    let (first, file) = (running.exchange("openid").token(), running.file("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"));

    wait_until("the first token to be replaced", || running.exchange("openid").token() != first);
    wait_until("the file to be renewed", || running.file("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE") != file);

    provider.configure(|config| config.expires_in = 3600);
    wait_until("a token that lasts", || {
        let token = running.file("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE");
        provider.is_live_access_token(&token) && running.exchange("openid").token() == token
    });
    running.finish().expect_code(0);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn the_cached_token_serves_every_request_that_it_covers() {
    let (provider, home) = logged_in();
    let cached = home.run(&["token", "work"]).answer();
    let running = Running::start(&home, &BROKER);

    let replies = [running.exchange("openid"), running.exchange("email openid"), running.exchange("openid")];

    assert_eq!(replies.map(|reply| reply.token()), [&*cached; 3]);
    assert_eq!(running.file("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"), cached);
    assert_eq!(refreshes(&provider), 0);
}

#[test]
fn the_program_finds_what_google_reads_and_keeps_the_rest() {
    let (_provider, mut home) = logged_in();
    home.run(&["edit", "work", "--project", "my-project"]).expect_code(0);
    home.set("KEPT", "as it was");
    home.set("no_proxy", "intranet.example");
    home.set("CLOUDSDK_AUTH_ACCESS_TOKEN", "of another time");
    home.set("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/key.json");

    let running = Running::start(&home, &BROKER);

    for (name, value) in [
        ("KEPT", "as it was"),
        ("VAULT_PROFILE", "work"),
        ("NO_PROXY", "intranet.example,127.0.0.1"),
        ("no_proxy", "intranet.example,127.0.0.1"),
        ("GOOGLE_CLOUD_PROJECT", "my-project"),
        ("GOOGLE_CLOUD_QUOTA_PROJECT", "my-project"),
        ("CLOUDSDK_CORE_DISABLE_FILE_LOGGING", "true"),
    ] {
        assert_eq!(running.find(name), Some(value), "{name}");
    }
    for name in ["CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_CONFIG", "GCE_METADATA_HOST", "VAULT_IDENTITY_FILE"]
    {
        assert_eq!(running.find(name), None, "{name}");
    }
    let adc = running.adc();
    assert_eq!(adc["quota_project_id"], "my-project");
    assert_eq!(adc["audience"], "vault:work");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let file = Path::new(running.get("GOOGLE_APPLICATION_CREDENTIALS"));
    assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
    running.finish().expect_code(0);
}

#[test]
fn nothing_is_left_when_the_program_has_ended() {
    let (_provider, home) = logged_in();
    let running = Running::start(&home, &BROKER);
    let (adc, address) = (running.adc(), address(&running));
    assert_eq!(run_dirs(&home).len(), 1);

    running.finish().expect_code(0);

    assert!(run_dirs(&home).is_empty());
    assert!(std::net::TcpStream::connect(&address).is_err(), "{adc} is answered still");
}

fn address(running: &Running) -> String {
    let adc = running.adc();
    let url = url::Url::parse(adc["token_url"].as_str().unwrap()).unwrap();
    format!("127.0.0.1:{}", url.port().unwrap())
}

#[test]
fn no_token_is_given_for_another_secret_or_beyond_the_grant() {
    let (provider, home) = logged_in();
    let running = Running::start(&home, &BROKER);
    let other = Running::start(&home, &BROKER);
    let secret_of = |running: &Running| {
        std::fs::read_to_string(running.adc()["credential_source"]["file"].as_str().unwrap()).unwrap()
    };

    for secret in ["", "0", &secret_of(&other), &secret_of(&running).to_uppercase()] {
        let refused = exchange(&running.adc(), secret, "openid");
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.json()["access_token"].is_null(), "{refused:?}");
    }

    let refused = running.exchange("openid https://example.com/auth/calendar");
    assert_eq!(refused.status, 400, "{refused:?}");
    let why = refused.json()["error_description"].as_str().unwrap().to_owned();
    assert!(why.contains("https://example.com/auth/calendar") && why.contains("vault login work"), "{why}");
    let run = running.finish().expect_code(0).expect_said("https://example.com/auth/calendar");
    assert_eq!(
        run.stderr.matches("calendar").count(),
        refused.body.matches("calendar").count(),
        "{}",
        run.stderr
    );
    assert_eq!(refreshes(&provider), 0);
}

#[test]
fn runs_beside_one_another_do_not_disturb_each_other() {
    let (provider, home) = logged_in();
    let [first, second] = [&BROKER[..], &["work", "--adc", "metadata"]].map(|how| Running::start(&home, how));
    assert_eq!(run_dirs(&home).len(), 2);

    second.finish().expect_code(0);

    assert!(provider.is_live_access_token(&first.exchange("openid").token()));
    assert_eq!(run_dirs(&home).len(), 1);
    first.finish().expect_code(0);
}

#[test]
fn a_run_within_another_is_for_its_own_profile() {
    let (provider, home) = logged_in();
    provider.next_user("other@example.com");
    home.add_profile(&provider, "other").expect_code(0);
    let token = |name: &str| home.run(&["token", name]).answer();
    let (work, other) = (token("work"), token("other"));
    assert_ne!(work, other);
    // No program inherits what unlocks.
    let unlocks = format!("VAULT_IDENTITY_FILE={}", home.path("identity.txt").display());

    for outer in [BROKER, METADATA] {
        let command = home.command(&[&["exec"], &outer[..], &["--", "env", &unlocks, VAULT]].concat());
        let inner = Running::start_by(command, &home, &["other", "--adc", "broker"]);
        assert_eq!(inner.exchange("openid").token(), other, "{outer:?}");
        assert_eq!(inner.file("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"), other);
        for name in ["GCE_METADATA_HOST", "CLOUDSDK_CONFIG"] {
            assert_eq!(inner.find(name), None, "{outer:?}: {name}");
        }
        inner.finish().expect_code(0);
    }
}

#[test]
fn a_profile_at_google_gets_a_broker_and_its_java_programs_a_metadata_server() {
    let (_provider, home) = at_google(&["work"]);
    let java = home.path("bin/java");
    std::fs::create_dir(home.path("bin")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", &java).unwrap();

    let python = home.run(&["exec", "work", "--", "env"]).answer();
    let java = home.run(&["-v", "exec", "work", "--", java.to_str().unwrap()]);
    let none = home.run(&["exec", "work", "--adc", "none", "--", "env"]).answer();
    let set = ["--set", "CLOUDSDK_AUTH_ACCESS_TOKEN=access_token"];
    let own = home.run(&[&["exec", "work"], &set[..], &["--", "env"]].concat()).answer();

    assert!(has(&python, "GOOGLE_APPLICATION_CREDENTIALS=") && has(&python, "GOOGLE_OAUTH_ACCESS_TOKEN="));
    assert!(has(&python, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE=") && !has(&python, "CLOUDSDK_AUTH_ACCESS_TOKEN="));
    let java = java.expect_said("metadata").answer();
    assert!(has(&java, "GCE_METADATA_HOST=") && !has(&java, "GOOGLE_APPLICATION_CREDENTIALS="));
    assert!(has(&none, "CLOUDSDK_AUTH_ACCESS_TOKEN=") && !has(&none, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="));
    assert!(
        has(&own, "CLOUDSDK_AUTH_ACCESS_TOKEN=") && !has(&own, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="),
        "{own}"
    );
}

fn has(environment: &str, beginning: &str) -> bool {
    environment.lines().any(|line| line.starts_with(beginning))
}

#[test]
fn a_metadata_server_is_found_by_all_three_names_and_nothing_stands_before_it() {
    let (_provider, mut home) = logged_in();
    home.set("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/key.json");
    home.set("NO_GCE_CHECK", "true");
    let token = home.run(&["token", "work"]).answer();
    std::fs::create_dir_all(home.path(".config/gcloud")).unwrap();
    home.write(".config/gcloud/application_default_credentials.json", "{}");

    let running = Running::start(&home, &METADATA);

    let base = running.get("GCE_METADATA_HOST");
    assert_eq!(running.get("GCE_METADATA_ROOT"), base);
    let (address, secret) = base.split_once('/').unwrap();
    assert_eq!(running.get("GCE_METADATA_IP"), address);
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let request = format!(
        "GET /{secret}/computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n\
         Host: {address}\r\nMetadata-Flavor: Google\r\n\r\n"
    );
    assert_eq!(Reply::to(port, &request).token(), token);
    let config = Path::new(running.get("CLOUDSDK_CONFIG"));
    assert_eq!(std::fs::read_dir(config).unwrap().count(), 0);
    assert_eq!(config.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["GOOGLE_APPLICATION_CREDENTIALS", "NO_GCE_CHECK"] {
        assert_eq!(running.find(name), None, "{name}");
    }
    running.finish().expect_code(0).expect_said("application_default_credentials.json");
    assert!(run_dirs(&home).is_empty());
}

#[test]
fn whatever_is_wrong_is_said_before_the_program_starts() {
    let (provider, home) = expired();
    let exec = ["exec", "work", "--adc", "broker", "--", "touch", "started"];
    home.run(&["exec", "nobody", "--adc", "broker", "--", "touch", "started"]).expect_code(3);
    std::fs::rename(home.path("identity.txt"), home.path("hidden")).unwrap();
    home.run(&exec).expect_code(4);
    std::fs::rename(home.path("hidden"), home.path("identity.txt")).unwrap();
    provider.revoke_user_grant("desktop", "me@example.com");
    home.run(&exec).expect_code(5).expect_said("vault login work");

    assert!(!home.path("started").exists());
    assert!(run_dirs(&home).is_empty());
}

#[test]
fn what_goes_wrong_later_is_answered_to_the_program_and_told_once_to_the_person() {
    let (provider, home) = expired();
    shorten_tokens(&provider);
    let running = Running::start(&home, &BROKER);
    std::fs::rename(home.path("identity.txt"), home.path("hidden")).unwrap();

    wait_until("the token to expire", || running.exchange("openid").status != 200);
    let refused = running.exchange("openid");

    let why = refused.json()["error_description"].as_str().unwrap().to_owned();
    let why = why.strip_prefix("vault: ").unwrap();
    let run = running.finish().expect_code(0).expect_said(why);
    assert_eq!(run.stderr.matches(why).count(), 1, "{}", run.stderr);
}

#[test]
fn the_start_and_each_later_token_leave_a_line_in_the_audit_log() {
    let (provider, home) = expired();
    shorten_tokens(&provider);
    let before = audit::lines(&home).len();

    let running = Running::start(
        &home,
        &["work", "--adc", "broker", "--set", "CLOUDSDK_AUTH_ACCESS_TOKEN=access_token"],
    );
    let started = audit::lines(&home)[before..].to_vec();
    let first = running.exchange("openid").token();
    wait_until("another token", || running.exchange("openid").token() != first);
    running.finish().expect_code(0);

    assert_eq!(started.len(), 1);
    assert_eq!((&started[0]["what"], &started[0]["token"]), (&json!("exec"), &json!("refreshed")));
    let later = audit::lines(&home)[before + 1..].to_vec();
    assert!(later.len() >= 2, "{later:?}");
    for line in later {
        assert_eq!(
            (&line["what"], &line["profile"], &line["result"]),
            (&json!("exec"), &json!("work"), &json!("ok"))
        );
    }
}

#[test]
fn a_key_that_was_typed_is_held_until_the_program_ends_and_no_longer() {
    let provider = Provider::start(Config::default());
    let mut home = passphrase_home();
    home.add_profile(&provider, "work").expect_code(0);
    home.unset("VAULT_PASSPHRASE_FILE");
    let place = home.path("program");
    let call = Program::call(&BROKER, &place);
    let call: Vec<&str> = call.iter().map(String::as_str).collect();
    let mut terminal = on_terminal(&home, &call);
    terminal.exp_string("Passphrase").unwrap();
    terminal.send_line(PASSPHRASE).unwrap();
    let program = Program::at(&place);
    provider.forget_requests();

    // Nobody is asked again, although this one has to be renewed.
    home.files("cache").iter().for_each(|file| std::fs::remove_file(file).unwrap());
    let token = program.exchange("openid").token();

    assert!(provider.is_live_access_token(&token));
    assert_eq!(refreshes(&provider), 1);
    terminal.send_control('d').unwrap();
    let _ = expect_end(terminal, 0);
    home.run(&["token", "work", "--no-input"]).expect_code(4);
}
