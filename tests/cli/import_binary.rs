//! `vault import` of what tools leave in binary forms, made by the tools themselves.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::import::{SECRET, Scene};
use crate::outside::{installed, program};

impl Scene {
    fn run(&self, program: &Path, words: &[&str]) {
        let mut command = Command::new(program);
        self.home.prepare(&mut command);
        let output = command.args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// What [`PICKLE`] writes.
const PICKLED: [&str; 7] = [
    ".gcs_tokens",
    "token.0.pickle",
    "token.1.pickle",
    "token.2.pickle",
    "token.3.pickle",
    "token.4.pickle",
    "token.5.pickle",
];

/// A `token.pickle` of each protocol, and a dictionary of two logins, as gcsfs keeps them.
const PICKLE: &str = "
import datetime, pickle, sys
from google.oauth2.credentials import Credentials
token, endpoint, secret, second = sys.argv[1:]
def login(token, account):
    it = Credentials('ya29.old', refresh_token=token, token_uri=endpoint, client_id='desktop',
                     client_secret=secret, scopes=['openid', 'email'], account=account)
    it.expiry = datetime.datetime(2026, 1, 1)
    return it
for protocol in range(6):
    with open(f'token.{protocol}.pickle', 'wb') as file:
        pickle.dump(login(token, 'me@example.com'), file, protocol=protocol)
tokens = {('first', 'read_only'): login(token, ''), ('second', 'full_control'): login(second, '')}
with open('.gcs_tokens', 'wb') as file:
    pickle.dump(tokens, file, protocol=2)
";

#[test]
fn pickles_of_google_auth_in_every_protocol_are_read_without_being_loaded() {
    let Some(python) = installed("python/bin/python") else { return };
    let scene = Scene::without_rotation();
    let second = scene.provider.grant("desktop", "other@example.com", &["openid"]);
    let endpoint = scene.provider.url("/token");
    scene.run(&python, &["-c", PICKLE, &scene.token, &endpoint, SECRET, &second]);

    for protocol in 0..6 {
        let (file, name) = (format!("token.{protocol}.pickle"), format!("p{protocol}"));
        let run = scene.import(&[&file, "--profile", &name]).expect_code(0);
        scene.assert_discreet(&run, &PICKLED);
        let shown: Value =
            serde_json::from_str(&scene.home.run(&["show", &name, "--json"]).answer()).unwrap();
        assert_eq!(shown["profiles"][0]["account"]["email"], "me@example.com", "{shown}");
        if protocol % 3 == 0 {
            scene.assert_works(&name);
        }
        scene.home.run(&["remove", &name, "--yes"]).expect_code(0);
    }
    scene.import(&[".gcs_tokens", "--yes"]).expect_code(0);
    for name in ["first", "second"] {
        scene.assert_works(name);
    }
}

/// What a pickle would do that is loaded.
const EVIL: &str = "
import os, pickle
class Evil:
    def __reduce__(self):
        return os.system, ('touch pwned',)
with open('evil.pickle', 'wb') as file:
    pickle.dump({'_refresh_token': Evil(), 'again': Evil()}, file)
";

#[test]
fn a_pickle_with_code_in_it_is_refused_and_nothing_runs() {
    let Some(python) = installed("python/bin/python") else { return };
    let scene = Scene::without_rotation();
    scene.run(&python, &["-c", EVIL]);

    scene.import(&["evil.pickle"]).expect_code(7).expect_said("it was not loaded");

    assert!(!scene.home.path("pwned").exists());
    scene.run(&python, &["-c", "import pickle; pickle.load(open('evil.pickle', 'rb'))"]);
    assert!(scene.home.path("pwned").exists(), "it is one that runs");
}

#[test]
fn the_database_of_gcloud_is_read_and_left_as_it_is() {
    let Some(sqlite) = program("sqlite3") else { return };
    let scene = Scene::without_rotation();
    let login = json!({
        "client_id": "desktop", "client_secret": SECRET, "refresh_token": scene.token, "revoke_uri": "https://x.example/",
        "scopes": ["openid", "email"], "token_uri": scene.provider.url("/token"), "type": "authorized_user",
    });
    // As googlecloudsdk.core.credentials.store makes it.
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS \"credentials\" (account_id TEXT PRIMARY KEY, value BLOB);
         REPLACE INTO \"credentials\" (account_id, value) VALUES ('me@example.com', '{login}');"
    );
    scene.run(&sqlite, &["credentials.db", &sql]);
    let before = std::fs::read(scene.home.path("credentials.db")).unwrap();

    let run = scene.import(&["credentials.db", "--profile", "work", "--replace"]).expect_code(7);

    run.expect_said("does not end its login at the provider");
    scene.assert_works("work");
    assert_eq!(std::fs::read(scene.home.path("credentials.db")).unwrap(), before);
    assert!(!scene.home.path("credentials.db-journal").exists());
}

#[test]
fn a_login_that_gcloud_itself_has_stored_is_taken_in() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(gcloud) = std::env::split_paths(&path).map(|it| it.join("gcloud")).find(|it| it.is_file())
    else {
        // It is in no package registry: a strict run may lack it.
        eprintln!("skipped: gcloud is not installed");
        return;
    };
    let scene = Scene::without_rotation();
    let login = json!({
        "client_id": "desktop", "client_secret": SECRET, "refresh_token": scene.token, "type": "authorized_user",
        "token_uri": scene.provider.url("/token"),
    });
    scene.home.write("login.json", login.to_string());
    // gcloud keeps what another program logs in with beside its own, in its own database.
    let store = "import sys; sys.path.insert(0, sys.argv[1])
from googlecloudsdk.core.credentials import creds
import json
login = json.load(open('login.json'))
from google.oauth2.credentials import Credentials
it = Credentials(None, refresh_token=login['refresh_token'], client_id='desktop', client_secret=login['client_secret'],
                 token_uri=login['token_uri'], scopes=['openid'])
creds.GetCredentialStore('credentials.db', 'access_tokens.db').Store('me@example.com', it)
";
    let Some(python) = installed("python/bin/python") else { return };
    let real = std::fs::canonicalize(&gcloud).unwrap();
    let sdk = real.parent().and_then(Path::parent).unwrap().join("lib");
    let third_party = sdk.join("third_party");
    let lib = sdk.to_str().unwrap();
    let words = [
        "-c",
        &store.replace("sys.argv[1])", "sys.argv[2]); sys.path.insert(0, sys.argv[1])"),
        lib,
        third_party.to_str().unwrap(),
    ];
    scene.run(&python, &words);

    scene.import(&["credentials.db", "--profile", "work"]).expect_code(0);

    scene.assert_works("work");
}
