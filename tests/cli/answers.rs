//! What the reading commands answer, for people and as JSON, held by snapshots.

use serde_json::Value;

use crate::home::Home;
use crate::provider::{Config, Endpoint, Fault, Provider};
use crate::transcript::Transcript;

/// Two profiles of one client, of which one has never logged in and exports more.
fn two_profiles(provider: &Provider) -> Home {
    let home = Home::logged_in(provider);
    let key = home.write("key.txt", "AIza-api-key\n");
    let arguments = ["add-profile", "later", "--flow", "none", "--account", "other@example.com"];
    let more = ["--scope", "calendar.readonly", "--api-key-file", key.to_str().unwrap()];
    home.run(&[&arguments[..], &more[..]].concat()).expect_code(0);
    home.run(&["edit", "later", "--set", "MAPS_KEY=api_key"]).expect_code(0);
    home.run(&["use", "work"]).expect_code(0);
    home
}

const READING: [&[&str]; 10] = [
    &["list"],
    &["show", "work"],
    &["show", "later"],
    &["status"],
    &["status", "work"],
    &["client", "list"],
    &["client", "show", "127.0.0.1"],
    &["key", "list"],
    &["verify"],
    &["rotate", "list"],
];

#[test]
fn tables_and_details_are_as_reviewed() {
    let provider = Provider::start(Config::default());
    let home = two_profiles(&provider);

    let mut transcript = Transcript::default();
    for arguments in READING {
        transcript.run(&home, arguments);
    }
    transcript.compare("tables");
}

#[test]
fn json_is_as_reviewed() {
    let provider = Provider::start(Config::default());
    let home = two_profiles(&provider);

    let mut transcript = Transcript::default();
    for arguments in READING.iter().copied().chain([&["token", "work"][..]]) {
        transcript.run(&home, &[arguments, &["--json"]].concat());
    }
    transcript.compare("json");
}

#[test]
fn every_json_answer_is_one_object_of_version_1() {
    let provider = Provider::start(Config::default());
    let home = two_profiles(&provider);
    let more: [&[&str]; 2] = [&["token", "work"], &["edit", "work", "--set", "A=account"]];

    for arguments in READING.iter().copied().chain(more) {
        let answer = home.run(&[arguments, &["--json"]].concat()).answer();
        let json: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(json["version"], 1, "vault {}", arguments.join(" "));
    }
}

#[test]
fn what_is_not_there_yet_is_said_so() {
    let home = Home::new();

    let mut transcript = Transcript::default();
    let commands: [&[&str]; 10] = [
        &["list"],
        &["list", "--json"],
        &["status"],
        &["init"],
        &["list"],
        &["list", "--json"],
        &["client", "list"],
        &["status"],
        &["verify"],
        &["unlocked"],
    ];
    for arguments in commands {
        transcript.run(&home, arguments);
    }
    transcript.compare("empty");
}

#[test]
fn every_change_is_confirmed_in_a_line() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    home.write("new.secret", "GOCSPX-new-secret");
    home.write("new.key", "AIza-new-key");
    provider.configure(|config| config.clients[0].secrets.push("GOCSPX-new-secret".to_owned()));

    let mut transcript = Transcript::default();
    let commands: [&[&str]; 19] = [
        &["use", "work"],
        &["edit", "work", "--set", "MY_TOKEN=access_token"],
        &["edit", "work", "--unset", "MY_TOKEN"],
        &["rotate", "client-secret", "127.0.0.1", "--client-secret-file", "new.secret"],
        &["client", "show", "127.0.0.1"],
        &["rotate", "client-secret", "127.0.0.1", "--client-secret-file", "new.secret", "--json"],
        &["rotate", "client-secret", "127.0.0.1", "--drop-old"],
        &["rotate", "api-key", "work", "--api-key-file", "new.key"],
        &["rotate", "api-key", "work", "--api-key-file", "new.key"],
        &["rename", "work", "office"],
        &["client", "rename", "127.0.0.1", "company"],
        &["add-profile", "second", "--client", "company", "--flow", "none"],
        &["key", "add", "--recipient", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
        &["logout", "second"],
        &["remove", "second"],
        &["remove", "office"],
        &["client", "remove", "company"],
        &["logout", "--all"],
        &["verify"],
    ];
    for arguments in commands {
        transcript.run(&home, arguments);
    }
    transcript.compare("changes");
}

#[test]
fn quiet_changes_say_nothing() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.script(Endpoint::Token, vec![Fault::CommitThenReset]);

    let commands: [&[&str]; 4] = [
        &["rename", "work", "office", "-q"],
        &["use", "office", "-q"],
        &["verify", "-q"],
        &["remove", "office", "-q"],
    ];
    for arguments in commands {
        let run = home.run(arguments).expect_code(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "vault {}", run.arguments);
    }
}
