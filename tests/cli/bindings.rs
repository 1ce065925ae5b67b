//! The hosts that a profile is bound to, and the project that it is counted for.

use serde_json::{Value, json};

use crate::home::Home;
use crate::provider::{Config, Provider};

fn profile(home: &Home) -> Value {
    let shown = home.run(&["show", "work", "--json"]).expect_code(0).answer();
    serde_json::from_str::<Value>(&shown).unwrap()["profiles"][0].clone()
}

#[test]
fn a_profile_is_bound_to_hosts_one_by_one_and_says_so() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    let bind = ["edit", "work", "--bind", "git=Git.Example.com:443", "--bind", "docker=[::1]:5000"];
    home.run(&bind).expect_code(0);
    home.run(&["edit", "work", "--bind", "git=git.example.com", "--project", "my-project"]).expect_code(0);

    assert_eq!(profile(&home)["hosts"], json!({"git": ["git.example.com"], "docker": ["[::1]:5000"]}));
    assert_eq!(profile(&home)["project"], json!("my-project"));
    let shown = home.run(&["show", "work"]).answer();
    assert!(shown.contains("git.example.com (git)") && shown.contains("my-project"), "{shown}");

    home.run(&["edit", "work", "--unbind", "git=git.example.com", "--no-project"]).expect_code(0);

    assert_eq!(profile(&home)["hosts"], json!({"docker": ["[::1]:5000"]}));
    assert_eq!(profile(&home)["project"], Value::Null);
    home.run(&["verify"]).expect_code(0);
}

#[test]
fn a_host_that_is_unbound_by_a_wrong_name_is_not_passed_over_in_silence() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["edit", "work", "--bind", "git=git.example.com"]).expect_code(0);

    for odd in ["git=gti.example.com", "git=git.example.com:8443", "api=git.example.com"] {
        let _ = home.run(&["edit", "work", "--unbind", odd]).expect_code(0).expect_said("was not bound to");
    }

    assert_eq!(profile(&home)["hosts"], json!({"git": ["git.example.com"]}));
    let run = home.run(&["edit", "work", "--unbind", "git=git.example.com"]).expect_code(0);
    assert!(!run.stderr.contains("was not bound"), "{}", run.stderr);
}

#[test]
fn what_is_no_host_or_no_project_is_refused() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    for odd in ["git=*.example.com", "git=https://a.example", "git=a.example.", "svn=a.example", "a.example"]
    {
        home.run(&["edit", "work", "--bind", odd]).expect_code(2);
    }
    home.run(&["edit", "work", "--project", "my project\r\nX: y"]).expect_code(2);

    assert_eq!(profile(&home)["hosts"], Value::Null);
}

#[test]
fn a_host_that_is_slipped_into_the_file_is_not_trusted() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    crate::scene::edit(&home.profile("work"), |document| {
        document["hosts"] = json!({"git": ["evil.example"]});
    });

    home.run(&["token", "work"]).expect_code(6);
}

#[test]
fn the_hosts_of_one_provider_do_not_follow_to_another() {
    let (provider, other) = (Provider::start(Config::default()), Provider::start(Config::default()));
    let home = Home::logged_in(&provider);
    let client: Vec<String> = home.desktop(&other);
    let mut add = vec!["client", "add", "--name", "elsewhere"];
    add.extend(client.iter().map(String::as_str));
    home.run(&add).expect_code(0);
    home.run(&["edit", "work", "--bind", "git=git.example.com"]).expect_code(0);

    home.run(&["edit", "work", "--client", "elsewhere", "--forget-login"]).expect_code(0);

    assert_eq!(profile(&home)["hosts"], Value::Null);
}
