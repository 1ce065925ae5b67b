//! `vault import` of the keys of service accounts: clients, and profiles where it is said what for.

use serde_json::Value;

use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Provider, ServiceAccount};
use crate::robots::{SCOPE, canaries, key_file};

struct Scene {
    provider: Provider,
    home: Home,
}

impl Scene {
    /// With the key of the robot in a file.
    fn new() -> Self {
        let provider = Provider::start(Config::default());
        let home = Home::in_memory();
        home.write("key.json", key_file(&provider).to_string());
        Self { provider, home }
    }

    fn import(&self, arguments: &[&str]) -> Run {
        let issuer = self.provider.issuer();
        let import = ["import", "--issuer", &issuer, "--insecure-loopback"];
        let run = self.home.run(&[&import[..], arguments].concat());
        for canary in canaries(ServiceAccount::KEY) {
            assert!(!run.stdout.contains(&canary) && !run.stderr.contains(&canary), "{canary}");
        }
        run
    }

    #[track_caller]
    fn assert_works(&self, profile: &str) {
        let token = self.home.run(&["token", profile]).answer();
        assert!(self.provider.is_live_access_token(token.trim()), "{token}");
    }
}

#[test]
fn a_key_becomes_a_client_and_the_command_that_is_said_makes_a_profile_of_it() {
    let scene = Scene::new();

    let made = scene.import(&["key.json", "--replace"]).expect_code(0);

    assert_eq!(scene.provider.count(Endpoint::Token), 0);
    assert!(!scene.home.path("key.json").exists(), "{made:?}");
    let _ = made.expect_said("vault add-profile NAME --client robot --scope cloud-platform");
    scene.home.run(&["add-profile", "deploy", "--client", "robot", "--scope", SCOPE]).expect_code(0);
    scene.assert_works("deploy");
    scene.home.run(&["import", "--undo", "key.json"]).expect_code(0);
    let back: Value = serde_json::from_slice(&std::fs::read(scene.home.path("key.json")).unwrap()).unwrap();
    assert_eq!(back, key_file(&scene.provider));
    scene.import(&["key.json"]).expect_code(7).expect_said("in the vault already, as `robot`");
    // A run that was killed may have left the file: the same command takes it away.
    scene.import(&["key.json", "--replace"]).expect_code(0);
    assert!(!scene.home.path("key.json").exists());
}

#[test]
fn with_scopes_a_key_becomes_a_profile_that_works_and_one_that_is_refused_is_not_stored() {
    let scene = Scene::new();

    scene.import(&["key.json", "--scope", SCOPE, "--check"]).expect_code(0).expect_said("accepts");

    assert_eq!(scene.provider.count(Endpoint::Token), 1);
    scene.assert_works("robot");
    let shown = scene.home.run(&["show", "robot"]).answer();
    assert!(shown.contains(ServiceAccount::ROBOT) && shown.contains("service account key"), "{shown}");

    let other = Scene::new();
    other.provider.configure(|config| config.service_accounts.clear());
    other.import(&["key.json", "--scope", SCOPE, "--check"]).expect_code(7).expect_said("was not stored");
    for folder in ["profiles", "clients"] {
        assert_eq!(other.home.files(other.home.vault_dir().join(folder)).len(), 0, "{folder}");
    }
}

#[test]
fn a_key_that_leads_elsewhere_or_is_another_one_of_the_same_account_is_refused() {
    let scene = Scene::new();
    let mut file = key_file(&scene.provider);
    file["token_uri"] = "https://oauth2.googleapis.com.evil.example/token".into();
    scene.home.write("evil.json", file.to_string());
    scene.import(&["evil.json"]).expect_code(7);
    assert!(!scene.home.vault_dir().exists());

    scene.import(&["key.json"]).expect_code(0);
    let mut file = key_file(&scene.provider);
    file["private_key"] = ServiceAccount::OTHER_KEY.into();
    scene.home.write("other.json", file.to_string());
    let run = scene.import(&["other.json", "--replace"]);
    assert_ne!(run.code, 0, "{run:?}");
    assert!(scene.home.path("other.json").exists());
    assert_eq!(scene.provider.count(Endpoint::Token), 0);
}

#[test]
fn what_a_scan_finds_has_keys_among_it() {
    let scene = Scene::new();

    scene.import(&["--from-scan", "key.json", "--yes", "--scope", SCOPE]).expect_code(0);

    scene.assert_works("robot");
}
