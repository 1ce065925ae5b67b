//! `vault rotate api-key`, and the dates by which secrets are listed.

use serde_json::Value;

use crate::expiry::API_KEY;
use crate::home::Home;
use crate::provider::{Config, Provider};
use crate::stage::{CLIENT_SECRET, Stage};
use crate::tree::json;

const NEW_KEY: &str = "AIza-canary-new-key";

fn date(home: &Home, name: &str) -> Value {
    json(home.profile(name))["api_key_set_at"].clone()
}

#[test]
fn an_api_key_takes_the_place_of_the_old_one_and_of_none() {
    let stage = Stage::without_grace();
    let home = &stage.home;
    home.write("new.key", NEW_KEY);
    let old = date(home, "work");
    assert!(old.is_string(), "an edit dates it");

    let rotate = ["rotate", "api-key", "work", "--api-key-file", "new.key"];
    let run = home
        .run(&rotate)
        .expect_code(0)
        .expect_said("Delete the old one at the provider's page for API keys");
    assert!(run.stdout.is_empty() && !run.stderr.contains(NEW_KEY), "{run:?}");
    let given = home.run_with_input(&["rotate", "api-key", "other", "--api-key-file", "-"], NEW_KEY);
    let _ = given.expect_code(0).expect_said("has an API key now").expect_unsaid("Delete");

    for name in ["work", "other"] {
        assert_eq!(home.run(&["reveal", name, "api_key"]).answer(), NEW_KEY);
    }
    assert!(date(home, "work").as_str() > old.as_str());
    assert!(home.run(&["show", "other"]).answer().contains("sealed, set"));
    let _ = home.run(&["rotate", "api-key", "work"]).expect_code(2).expect_said("the new API key is missing");
    let _ = home.run(&["rotate", "api-key", "nobody", "--api-key-file", "new.key"]).expect_code(3);
}

#[test]
fn the_same_api_key_again_is_no_younger_for_it() {
    let stage = Stage::without_grace();
    let old = date(&stage.home, "work");

    for command in [["rotate", "api-key", "work"], ["edit", "work", "--no-input"]] {
        let key = ["--api-key-file", "api.key"];
        let _ = stage.home.run(&[&command[..], &key].concat()).expect_code(0).expect_unsaid("Delete");
    }

    assert_eq!(stage.home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
    assert_eq!(date(&stage.home, "work"), old);
}

#[test]
fn secrets_are_listed_the_unknown_and_the_oldest_first_with_the_command_for_each() {
    let stage = Stage::without_grace();
    let home = &stage.home;
    home.write("new.key", NEW_KEY);
    let _ = home.run(&["rotate", "api-key", "work", "--api-key-file", "new.key"]).expect_code(0);
    home.write("same.secret", CLIENT_SECRET);

    let listed = home.run(&["rotate", "list", "--json"]).answer();

    let listed: Value = serde_json::from_str(&listed).unwrap();
    let commands: Vec<&str> =
        listed["secrets"].as_array().unwrap().iter().map(|it| it["renewed_by"].as_str().unwrap()).collect();
    let expected = [
        "vault rotate client-secret 127.0.0.1",
        "vault rotate grant work",
        "vault rotate grant other",
        "vault rotate api-key work",
    ];
    assert_eq!(commands, expected);
    assert!(listed["secrets"].as_array().unwrap().iter().all(|it| it["set_at"].is_string()), "{listed}");
}

#[test]
fn a_secret_of_unknown_age_and_a_document_that_cannot_be_read_are_named() {
    let stage = Stage::without_grace();
    let home = &stage.home;
    // As a version of the program left it that knew no dates; listing verifies nothing.
    let client = home.client("127.0.0.1");
    let mut document = json(&client);
    let _ = document.as_object_mut().unwrap().remove("secret_set_at");
    std::fs::write(&client, document.to_string()).unwrap();
    std::fs::write(home.profile("other"), "{").unwrap();

    let run = home.run(&["rotate", "list"]).expect_code(0).expect_said("profile `other`");

    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[1].contains("client secret") && lines[1].contains("unknown"), "{run:?}");
    assert!(lines[2].contains("login") && lines[3].contains("API key"), "{run:?}");
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_vault_without_secrets_lists_none() {
    let home = Home::new();
    let _ = home.run(&["rotate", "list"]).expect_code(3);
    let _ = home.run(&["init"]).expect_code(0);
    let run =
        home.run(&["rotate", "list"]).expect_code(0).expect_said("No provider has given out a secret yet");
    assert_eq!(run.stdout, "");
    let provider = Provider::start(Config::default());
    let _ = home.add_profile(&provider, "work").expect_code(0);
    assert_eq!(home.run(&["rotate", "list"]).answer().lines().count(), 3);
}

#[test]
fn after_a_compromise_every_older_secret_is_listed_until_it_is_renewed() {
    let stage = Stage::without_grace();
    let home = &stage.home;
    let hygiene = home.run(&["rotate", "key"]).expect_code(0).expect_said("renews nothing at the providers");
    assert_eq!(hygiene.stdout.lines().count(), 5, "{hygiene:?}");
    assert!(!hygiene.stdout.contains("may be known to others"));

    let rotated = home.run(&["rotate", "key", "--reason", "compromise"]).expect_code(0);
    let rotated = rotated.expect_said("Others may have had the old key, and with it these secrets");
    let rotated = rotated.expect_said("Backups and other copies of the vault from before");
    assert_eq!(rotated.stdout.matches("may be known to others").count(), 4, "{rotated:?}");
    home.write("new.key", NEW_KEY);
    let _ = home.run(&["rotate", "api-key", "work", "--api-key-file", "new.key"]).expect_code(0);
    let _ = home.consent(&["login", "other", "--no-browser"]).expect_code(0);

    let listed = home.run(&["rotate", "list", "--json"]).answer();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let left = listed["secrets"].as_array().unwrap().iter().filter(|it| it["compromised"] == true);
    let left: Vec<&str> = left.map(|it| it["renewed_by"].as_str().unwrap()).collect();
    assert_eq!(left, ["vault rotate client-secret 127.0.0.1", "vault rotate grant work --compromised"]);
    let again = home.run(&["rotate", "key"]).expect_code(0);
    assert_eq!(again.stdout.lines().count(), 3, "{again:?}");
}
