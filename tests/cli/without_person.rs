//! Profiles that need no person, where others are: at the doors, on machines whose clock is wrong, and when they
//! are killed in the making.

use std::process::Command;

use crate::home::{Home, Run, VAULT};
use crate::kills::{Subject, alone};
use crate::libraries::{Door, Library};
use crate::outside::{have, installed, leave_out};
use crate::provider::{Config, Endpoint, Provider, ServiceAccount};
use crate::robots::{
    SCOPE, add_robot, canaries, claims, header, key_file, short_lived, with_ci, with_deploy, with_robot,
    write_key,
};
use crate::serving::Serving;

#[test]
fn a_library_of_google_gets_the_tokens_of_a_service_account_at_every_door() {
    let Some(python) = Library::python() else { return leave_out("google-auth for Python") };
    let provider = Provider::start(Config::default());
    for (home, profile) in [(with_robot(&provider), "robot"), (with_deploy(&provider), "deploy")] {
        for door in [Door::Broker, Door::Metadata] {
            let token = python.run_by_exec(&home, profile, door, &[SCOPE]).token();

            assert!(provider.is_live_access_token(&token), "{profile} at {door:?}");
        }
    }
}

#[test]
fn the_metadata_server_says_that_a_service_account_is_one() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);
    let serving = Serving::start(&home, &["robot", "--adc", "metadata"]);

    let told = |key: &str| serving.metadata(key).body;

    assert_eq!(told("instance/service-accounts/default/email"), ServiceAccount::ROBOT);
    assert_eq!(told("project/project-id"), "the-project");
    let token = crate::serving::token(&serving.metadata("instance/service-accounts/default/token"));
    assert!(provider.is_live_access_token(&token));
    let home = with_ci(&provider);
    let serving = Serving::start(&home, &["ci", "--adc", "broker"]);
    assert!(provider.is_live_access_token(&crate::serving::token(&serving.exchange("jobs"))));
}

/// google-auth's own service account credentials, with the file, and the token that they bring.
const SIGN: &str = "\
import sys
from google.auth.transport.requests import Request
from google.oauth2 import service_account
made = service_account.Credentials.from_service_account_file(sys.argv[1], scopes=[sys.argv[2]], subject=sys.argv[3])
made.refresh(Request())
print(made.token)
";

#[test]
fn what_google_auth_signs_with_the_same_file_says_what_we_sign() {
    let Some(python) = installed("python/bin/python") else { return leave_out("google-auth for Python") };
    let provider = Provider::start(Config::default());
    let home = Home::new();
    let path = write_key(&home, &key_file(&provider));
    let subject = "me@example.com";
    let mut command = Command::new(python);
    home.prepare(&mut command);
    let theirs = command.args(["-c", SIGN, path.to_str().unwrap(), SCOPE, subject]).output().unwrap();
    let theirs = Run::of(&["google-auth"], theirs);
    if theirs.stderr.contains("No module named 'requests'") {
        return leave_out("requests for Python");
    }
    assert!(provider.is_live_access_token(&theirs.answer()));
    let (mut their_claims, their_header) = (claims(&provider), header(&provider));

    let _ = add_robot(&home, &provider, &key_file(&provider), &["--scope", SCOPE, "--subject", subject])
        .expect_code(0);

    let mut ours = claims(&provider);
    for name in ["iat", "exp"] {
        let second = |claims: &serde_json::Value| claims[name].as_u64().unwrap();
        assert!(second(&ours).abs_diff(second(&their_claims)) < 60);
    }
    // Theirs is always for Google's own endpoint, wherever it is sent.
    for claims in [&mut ours, &mut their_claims] {
        for name in ["iat", "exp", "aud"] {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    assert_eq!(ours, their_claims);
    assert_eq!(header(&provider), their_header);
}

#[test]
fn a_clock_that_is_wrong_is_named_with_how_wrong_it_is() {
    if !have(&["faketime"]) {
        return;
    }
    let provider = Provider::start(Config { tells_time: true, ..short_lived() });
    let home = with_robot(&provider);
    for (moment, words) in
        [("-2h", "2 hours behind the provider's"), ("+3d", "3 days ahead of the provider's")]
    {
        let mut command = Command::new("faketime");
        home.prepare(&mut command);
        command.args(["--exclude-monotonic", "-f", moment, VAULT, "token", "robot", "--refresh"]);
        let refused = Run::of(&["token", "robot"], command.output().unwrap()).expect_code(7);

        let _ = refused.expect_said("reasonable timeframe").expect_said(words).expect_said("set the clock");
    }
    let _ = home.run(&["token", "robot", "--refresh"]).answer();
}

#[test]
fn a_key_whose_profile_was_killed_in_the_making_is_in_no_file_and_made_by_the_next_run() {
    let provider = Provider::start(Config::default());
    let home = Home::in_memory();
    let _ = home
        .run(&["init", "--unlock", "identity", "--identity", home.path("identity.txt").to_str().unwrap()])
        .expect_code(0);
    let path = write_key(&home, &key_file(&provider));
    let issuer = provider.issuer();
    let arguments = ["add-profile", "robot", "--issuer", &issuer, "--insecure-loopback", "--scope", SCOPE];
    let arguments = [&arguments[..], &["--service-account-key", path.to_str().unwrap()]].concat();
    let empty = crate::expiry::Snapshot::of(&home);
    let canaries = canaries(ServiceAccount::KEY);
    let subject =
        Subject { home: &home, arguments: &arguments, prepare: &|| empty.restore(&home), run: alone };

    let tally = subject.kill_at_changes(|step| {
        for folder in ["data", "state", "cache", "run"] {
            for file in home.files(folder) {
                let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
                assert!(!canaries.iter().any(|canary| text.contains(canary)), "{step:?}: {file:?}");
            }
        }
        let was_made = home.profile("robot").exists();
        let again = home.run(&arguments);
        assert_eq!(again.code, if was_made { 2 } else { 0 }, "{step:?}: {again:?}");
        let _ = home.run(&["token", "robot"]).expect_code(0);
        assert_eq!(
            home.files("data/vault/clients").iter().filter(|it| it.ends_with("robot.json")).count(),
            1
        );
        let _ = home.run(&["verify"]).expect_code(0);
    });

    assert!(tally.is_none_or(|tally| tally.killed >= 10), "too few to be true");
    assert!(provider.count(Endpoint::Token) > 0);
}
