//! gcloud under `vault exec` and `vault serve`, where it is installed.

use std::process::Command;

use crate::home::Home;
use crate::provider::{Config, Provider};
use crate::search::Search;
use crate::serving::Serving;

/// What gcloud asks for by itself.
const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";

/// gcloud is in no package registry: a strict run may lack it.
pub fn is_here() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_here = std::env::split_paths(&path).any(|folder| folder.join("gcloud").is_file());
    if !is_here {
        eprintln!("skipped: gcloud is not installed");
    }
    is_here
}

/// A user who was granted what gcloud asks for.
fn granted() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let mut home = Home::new();
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser", "--scope", "openid", "--scope", CLOUD];
    arguments.extend(options.iter().map(String::as_str));
    home.consent(&arguments).expect_code(0);
    home.set("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true");
    home.run(&["edit", "work", "--project", "my-project"]).expect_code(0);
    (provider, home)
}

fn gcloud(home: &Home, arguments: &[&str]) -> String {
    let exec = ["exec", "work", "--adc", "broker", "--", "gcloud"];
    home.run(&[&exec[..], arguments].concat()).answer()
}

/// Asserts that none of the tokens is in a file of this home.
fn assert_nothing_written(provider: &Provider, home: &Home) {
    let issued = provider.issued().into_iter().enumerate();
    let secrets: Vec<_> =
        issued.map(|(number, token)| (format!("number {number} that was issued"), token)).collect();
    let search = Search::new(&secrets);
    for file in home.files("") {
        let found = search.found(std::fs::read(&file).unwrap());
        assert!(found.is_empty(), "{}: {found:?}", file.display());
    }
}

#[test]
fn gcloud_has_the_token_of_the_profile_and_writes_it_nowhere() {
    if !is_here() {
        return;
    }
    let (provider, home) = granted();
    let token = home.run(&["token", "work"]).answer();

    assert_eq!(gcloud(&home, &["auth", "print-access-token"]), token);
    assert_nothing_written(&provider, &home);
}

#[test]
fn gcloud_has_the_application_default_token_of_the_profile_and_writes_it_nowhere() {
    if !is_here() {
        return;
    }
    let (provider, home) = granted();
    let token = home.run(&["token", "work"]).answer();

    assert_eq!(gcloud(&home, &["auth", "application-default", "print-access-token"]), token);
    assert_nothing_written(&provider, &home);
}

#[test]
fn gcloud_on_the_metadata_server_has_the_token_and_leaves_nothing_behind() {
    if !is_here() {
        return;
    }
    let (provider, home) = granted();
    let token = home.run(&["token", "work"]).answer();
    let serving = Serving::start(&home, &["work", "--adc", "metadata"]);

    let mut command = Command::new("gcloud");
    home.prepare(&mut command);
    command.args(["auth", "print-access-token"]).envs(serving.variables(0));
    let printed = command.output().unwrap();
    serving.end().expect_code(0);

    assert_eq!(String::from_utf8_lossy(&printed.stdout).trim(), token, "{printed:?}");
    assert_nothing_written(&provider, &home);
}
