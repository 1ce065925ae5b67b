//! A stage for attacks on the files of a vault.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::forge;
use crate::home::Home;
use crate::provider::{Config, Provider};

/// A user with two profiles of one client, and an attacker with a server.
pub struct Scene {
    /// The provider of both.
    pub provider: Provider,
    /// The server of the attacker.
    pub evil: Provider,
    /// The user.
    pub home: Home,
}

impl Scene {
    /// `work` has an API key too.
    pub fn new() -> Self {
        let provider = Provider::start(Config::default());
        let evil = Provider::start(Config::default());
        let home = Home::logged_in(&provider);
        provider.next_user("other@example.com");
        home.add_profile(&provider, "other").expect_code(0);
        let api_key = home.write("api-key", "api-key-of-work\n");
        home.run(&["edit", "work", "--api-key-file", api_key.to_str().unwrap()]).expect_code(0);
        Self { provider, evil, home }
    }

    /// The document of the one client.
    pub fn client(&self) -> PathBuf {
        self.home.files("data/vault/clients").remove(0)
    }

    /// Makes an attack, and holds that whatever would use a secret of `work` refuses, nothing is
    /// sent to anybody, and nothing changes. Then undoes the attack.
    #[track_caller]
    pub fn attack(&self, what: &str, edit: impl FnOnce(&Self)) {
        let vault = documents(&self.home);
        edit(self);
        let attacked = documents(&self.home);
        assert_ne!(vault, attacked, "{what}: an attack changes something");
        let asked = self.provider.requests().len();

        for command in [
            &["token", "work", "--refresh"][..],
            &["reveal", "work", "refresh_token"],
            &["env", "work", "--set", "SECRET=refresh_token"],
            &["exec", "work", "--set", "SECRET=refresh_token", "--", "true"],
            &["logout", "work"],
            &["verify"],
        ] {
            let run = self.home.run(command);
            assert_eq!((run.code, run.stdout.as_str()), (6, ""), "{what}: {command:?}: {}", run.stderr);
        }

        assert!(self.evil.requests().is_empty(), "{what}: the attacker was asked");
        assert_eq!(self.provider.requests().len(), asked, "{what}: the provider was asked");
        assert!(documents(&self.home) == attacked, "{what}: something was written");
        restore(&self.home, &vault);
    }

    /// The same with every value that the attack changes under a MAC that fits: here the seal
    /// alone refuses. No attacker can do that.
    #[track_caller]
    pub fn attack_with_mac(&self, what: &str, path: &Path, change: impl FnOnce(&mut Value)) {
        self.attack(what, |_| {
            edit(path, change);
            forge::sign(&self.home, path);
        });
    }
}

/// Every document in the vault and the cache.
pub fn documents(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = home.files("data/vault").into_iter().chain(home.files("cache"));
    let documents = files.filter(|path| path.extension().is_none_or(|extension| extension != "lock"));
    documents.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Puts the documents back as they were.
pub fn restore(home: &Home, documents: &BTreeMap<PathBuf, Vec<u8>>) {
    for path in home.files("data/vault") {
        if path.extension().is_none_or(|extension| extension != "lock") {
            fs::remove_file(path).unwrap();
        }
    }
    for (path, bytes) in documents {
        fs::write(path, bytes).unwrap();
    }
}

/// A document, unverified.
pub fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Puts a document in its place.
pub fn write(path: &Path, document: &Value) {
    fs::write(path, serde_json::to_vec_pretty(document).unwrap()).unwrap();
}

/// Changes a document as anybody can.
pub fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document = read(path);
    change(&mut document);
    write(path, &document);
}
