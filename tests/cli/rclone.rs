//! rclone with the token URL of `vault serve`.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::google_clients::{SHORT, logged_in_at};
use crate::holder::wait_until;
use crate::home::Home;
use crate::outside::program;
use crate::provider::{Config, Endpoint, Fault, Provider};
use crate::serving::Serving;

/// A token that has long ended, and what rclone brings to get the next one: no secret.
const PLACEHOLDER: &str = r#"{"access_token":"none","token_type":"Bearer","refresh_token":"vault","expiry":"2000-01-01T00:00:00Z"}"#;

/// How often the storage is asked at most.
const MANY: usize = 2000;

/// What the storage answers: one file.
fn listing() -> Fault {
    Fault::json(200, &json!({ "items": [{ "name": "hello.txt", "bucket": "b", "size": "5" }] }))
}

/// A home where rclone knows a remote `work`, whose storage is a path of the provider. It is one of rclone's
/// backends for Google of which the address can be chosen; they share how they get their tokens.
fn with_remote(provider: &Provider, home: &mut Home, serving: &Serving) {
    for (name, value) in [
        ("TYPE", "google cloud storage"),
        ("ENDPOINT", &provider.url("/storage/v1/")),
        ("TOKEN_URL", serving.fact(0, "token_url").as_str().unwrap()),
        ("TOKEN", PLACEHOLDER),
        ("CLIENT_ID", "vault"),
        ("CLIENT_SECRET", "vault"),
    ] {
        home.set(&format!("RCLONE_CONFIG_WORK_{name}"), value);
    }
    // Else it would write each token into its configuration.
    home.set("RCLONE_CONFIG", "/dev/null");
}

/// The token with which the storage was asked last.
fn bearer(provider: &Provider) -> String {
    let requests = provider.requests_to(Endpoint::Elsewhere);
    let last = requests.iter().rfind(|request| request.path.starts_with("/storage")).unwrap();
    last.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

/// rclone, staying up and doing what it is asked to, until it is dropped.
struct Rclone {
    program: PathBuf,
    child: Child,
    url: String,
    /// It would end if nobody listened to what it says.
    _stderr: BufReader<ChildStderr>,
}

impl Rclone {
    fn start(home: &Home) -> Option<Self> {
        let program = program("rclone")?;
        let mut command = Command::new(&program);
        home.prepare(&mut command);
        command.args(["rcd", "--rc-no-auth", "--rc-addr", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut lines = stderr.by_ref().lines().map(Result::unwrap);
        let url = lines.find_map(|line| Some(format!("http://{}", line.split_once("http://")?.1))).unwrap();
        Some(Self { program, child, url, _stderr: stderr })
    }

    /// The names of the files in a folder.
    fn list(&self, remote: &str) -> Vec<String> {
        let mut command = Command::new(&self.program);
        command.args(["rc", "--url", &self.url, "operations/list", &format!("fs={remote}"), "remote="]);
        let listed = command.output().unwrap();
        let files: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let files = files["list"].as_array().unwrap_or_else(|| panic!("{listed:?}"));
        files.iter().map(|file| file["Name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn rclone_goes_on_with_a_renewed_token() {
    let (provider, mut home) = logged_in_at(Config { expires_in: SHORT, ..Config::default() });
    let serving = Serving::start(&home, &["work"]);
    with_remote(&provider, &mut home, &serving);
    let Some(rclone) = Rclone::start(&home) else { return };
    provider.script(Endpoint::Elsewhere, vec![listing(); MANY]);

    assert_eq!(rclone.list("work:b"), ["hello.txt"]);
    let first = bearer(&provider);
    assert!(provider.issued().contains(&first));

    provider.configure(|config| config.expires_in = 3600);
    provider.advance(Duration::from_secs(SHORT));
    wait_until("a token that works", || {
        assert_eq!(rclone.list("work:b"), ["hello.txt"]);
        provider.is_live_access_token(&bearer(&provider))
    });
}
