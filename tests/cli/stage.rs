//! A user, a bystander and a provider, set back to one moment as often as a test needs it.

use std::path::PathBuf;

use serde_json::Value;

use crate::expiry::{API_KEY, Snapshot};
use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Memory, Provider, Rotation};
use crate::tree::json;

/// The client's secret, as the provider knows it.
pub const CLIENT_SECRET: &str = "GOCSPX-desktop-secret";

/// The moment, and everything that is in it.
pub struct Stage {
    /// The provider of both profiles.
    pub provider: Provider,
    /// The user, with the profiles `work` and `other` of one client.
    pub home: Home,
    /// The refresh token of `work` at the moment.
    pub refresh_token: String,
    files: Snapshot,
    memory: Memory,
}

impl Stage {
    /// Profiles at a provider that replaces refresh tokens, and answers a spent one for a while.
    pub fn with_grace() -> Self {
        Self::at(3600)
    }

    /// Profiles at a provider that replaces refresh tokens, and takes none a second time.
    pub fn without_grace() -> Self {
        Self::at(0)
    }

    fn at(grace_secs: u64) -> Self {
        let provider =
            Provider::start(Config { rotation: Rotation::Rotate { grace_secs }, ..Config::default() });
        let home = Home::in_memory();
        home.add_profile(&provider, "work").expect_code(0);
        provider.next_user("other@example.com");
        home.add_profile(&provider, "other").expect_code(0);
        let key = home.write("api.key", API_KEY);
        let _ = home.run(&["edit", "work", "--api-key-file", key.to_str().unwrap()]).expect_code(0);
        Self::of(provider, home)
    }

    /// The moment is now.
    pub fn of(provider: Provider, home: Home) -> Self {
        let refresh_token = crate::expiry::refresh_token(&home);
        Self { refresh_token, ..Self::empty(provider, home) }
    }

    /// A user who has no vault yet.
    pub fn empty(provider: Provider, home: Home) -> Self {
        provider.settle();
        provider.forget_requests();
        let (files, memory) = (Snapshot::of(&home), provider.memory());
        Self { provider, home, refresh_token: String::new(), files, memory }
    }

    /// The same stage, whose moment is now.
    pub fn now(self) -> Self {
        Self::of(self.provider, self.home)
    }

    /// Goes back to the moment.
    pub fn reset(&self) {
        self.provider.settle();
        self.provider.recall(&self.memory);
        self.files.restore(&self.home);
    }

    /// The files that were changed, made or removed since.
    pub fn changed(&self) -> Vec<PathBuf> {
        self.files.changed(&self.home).into_iter().collect()
    }

    /// Whether the provider was asked for a token since.
    pub fn was_asked(&self) -> bool {
        self.provider.settle();
        self.provider.count(Endpoint::Token) > 0
    }

    /// A file as it was.
    pub fn before(&self, path: &std::path::Path) -> Option<&[u8]> {
        self.files.get(path)
    }

    /// Asserts that what a run has said holds no secret.
    #[track_caller]
    pub fn assert_discreet(&self, run: &Run) {
        let mut secrets = self.provider.issued();
        secrets.extend([CLIENT_SECRET.to_owned(), API_KEY.to_owned()]);
        let found = secrets.iter().find(|secret| run.stderr.contains(*secret));
        assert_eq!(found, None, "vault {} says a secret:\n{}", run.arguments, run.stderr);
    }

    /// Asserts that every secret of the profile `work` opens to what it was, but for its refresh
    /// token, which must be `refresh_token`; and that every document verifies.
    #[track_caller]
    pub fn assert_whole(&self, name: &str, refresh_token: &str, why: &str) {
        let verified = self.home.run(&["verify"]);
        assert_eq!(verified.code, 0, "{why}: {}", verified.stderr);
        assert_eq!(self.refresh_token_of(name, why), refresh_token, "{why}");
    }

    /// The refresh token of the profile that was `work`. Its other secrets must open to what they were.
    #[track_caller]
    pub fn refresh_token_of(&self, name: &str, why: &str) -> String {
        let set = ["--set", "R=refresh_token", "--set", "A=api_key", "--set", "C=client_secret"];
        let run = self.home.run(&[&["env", name, "--format", "json"], &set[..]].concat());
        let secrets: Value = serde_json::from_str(&run.answer()).unwrap();
        let secret = |field: &str| secrets[field].as_str().unwrap().to_owned();
        assert_eq!(secret("A"), API_KEY, "{why}");
        assert_eq!(secret("C"), CLIENT_SECRET, "{why}");
        secret("R")
    }

    /// The generation of a document that is there.
    #[track_caller]
    pub fn generation(&self, name: &str) -> u64 {
        json(self.home.profile(name))["generation"].as_u64().unwrap()
    }
}
