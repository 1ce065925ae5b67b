//! The credential helper of docker: real clients of registries, which ask it, and registries that are not meant.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::expiry::Snapshot;
use crate::home::{Home, Run, VAULT};
use crate::loopback::{Answer, Loopback, Request};
use crate::outside;
use crate::provider::{Authority, Config, Endpoint, HOST, Provider};

/// The name by which docker finds us, where its configuration says `vault`.
const NAME: &str = "docker-credential-vault";

/// What the registry asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Challenge {
    /// The token itself, as a password.
    Basic,
    /// A token of its own, to be had for ours.
    Token,
}

/// The user of a registry on https, who may run its clients.
struct Stage {
    provider: Arc<Provider>,
    home: Home,
    registry: Loopback,
    authority: Authority,
}

impl Stage {
    /// `work` is bound to the registry, and docker asks us about it.
    fn new(challenge: Challenge) -> Self {
        let stage = Self::unbound(Config::default(), challenge);
        let registry = stage.name();
        stage.home.run(&["edit", "work", "--bind", &format!("docker={registry}")]).expect_code(0);
        stage.configure(&json!({"credHelpers": {registry: "vault"}}));
        stage
    }

    fn unbound(config: Config, challenge: Challenge) -> Self {
        let authority = Authority::new();
        let provider = Arc::new(Provider::start(config));
        let mut home = Home::logged_in(&provider);
        let trusted = home.write("authority.pem", authority.pem());
        home.set("SSL_CERT_FILE", trusted.to_str().unwrap());
        fs::create_dir(home.path("bin")).unwrap();
        symlink(VAULT, home.path("bin").join(NAME)).unwrap();
        let registry = registry(&authority, &provider, challenge);
        Self { provider, home, registry, authority }
    }

    fn name(&self) -> String {
        name_of(&self.registry)
    }

    fn configure(&self, config: &Value) {
        fs::create_dir_all(self.home.path(".docker")).unwrap();
        self.home.write(".docker/config.json", config.to_string());
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new(outside::program(program).unwrap());
        self.home.prepare(&mut command);
        let helpers = format!("{}:{}", self.home.path("bin").display(), std::env::var("PATH").unwrap());
        let output = command.env("PATH", helpers).args(arguments).output().unwrap();
        Run::of(&[&[program], arguments].concat(), output)
    }

    /// Reads the manifest of an image with each client that is here and needs no daemon.
    fn inspect(&self, registry: &str) -> Vec<Run> {
        let image = format!("{registry}/team/image:latest");
        let url = format!("docker://{image}");
        let clients =
            [("docker", &["manifest", "inspect", &image][..]), ("skopeo", &["inspect", "--raw", &url])];
        let installed = clients.into_iter().filter(|(program, _)| outside::have(&[program]));
        installed.map(|(program, arguments)| self.run(program, arguments)).collect()
    }
}

fn name_of(registry: &Loopback) -> String {
    format!("{HOST}:{}", registry.port())
}

/// A registry (OCI distribution specification) with one image, for whoever has a token that `provider` takes now.
fn registry(authority: &Authority, provider: &Arc<Provider>, challenge: Challenge) -> Loopback {
    let provider = provider.clone();
    Loopback::start_https(&authority.certify(HOST), move |port| {
        let asked = match challenge {
            Challenge::Basic => "Basic realm=\"registry\"".to_owned(),
            Challenge::Token => format!("Bearer realm=\"https://{HOST}:{port}/token\",service=\"registry\""),
        };
        move |request: &Request| {
            let has_password = password(request).is_some_and(|it| provider.is_live_access_token(&it));
            let has_token = request.header("authorization") == Some("Bearer token-of-the-registry");
            match (request.path(), challenge) {
                ("/token", _) if has_password => Answer::new(200, r#"{"token":"token-of-the-registry"}"#),
                (path, Challenge::Basic) if has_password => image(path),
                (path, Challenge::Token) if has_token => image(path),
                _ => Answer::new(401, "{}").with("WWW-Authenticate", &asked),
            }
        }
    })
}

/// The parts of an image of nothing.
fn image(path: &str) -> Answer {
    const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = config.to_string();
    if path.contains("/blobs/") {
        return Answer::new(200, config);
    }
    if !path.contains("/manifests/") {
        return Answer::new(200, "{}");
    }
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&config)));
    let config = json!({"mediaType": CONFIG, "size": config.len(), "digest": digest});
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []});
    Answer::new(200, manifest.to_string()).with("Content-Type", MANIFEST)
}

/// The password of a request, if its user is the one that goes with a token.
fn password(request: &Request) -> Option<String> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let plain = String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap();
    plain.strip_prefix("oauth2:").map(str::to_owned)
}

#[test]
fn clients_of_registries_read_an_image_with_the_token_of_the_bound_profile() {
    for challenge in [Challenge::Basic, Challenge::Token] {
        let stage = Stage::new(challenge);
        stage.provider.forget_requests();

        for run in stage.inspect(&stage.name()) {
            let answer = run.answer();
            assert!(answer.contains("manifest.v2+json"), "{challenge:?}: {answer}");
        }

        let token = stage.home.run(&["token", "work"]).answer();
        let passwords: Vec<String> = stage.registry.requests().iter().filter_map(password).collect();
        assert!(passwords.iter().all(|it| *it == token), "{challenge:?}: {passwords:?}");
        assert_eq!(stage.provider.count(Endpoint::Token), 0, "the cached token serves all");
    }
}

#[test]
fn a_registry_that_no_profile_is_bound_to_is_given_nothing() {
    let stage = Stage::new(Challenge::Basic);
    let evil = registry(&stage.authority, &stage.provider, Challenge::Basic);
    // The user lets us answer for every registry.
    let helpers = json!({stage.name(): "vault", name_of(&evil): "vault"});
    stage.configure(&json!({"credsStore": "vault", "credHelpers": helpers}));

    for run in stage.inspect(&name_of(&evil)) {
        assert_ne!(run.code, 0, "{}", run.arguments);
        let _ = run.expect_unsaid("vault: ");
    }
    // Some clients try an empty name and an empty password.
    let sent: Vec<String> = evil.authorizations().into_iter().filter(|it| it != "Basic Og==").collect();
    assert_eq!(sent, [] as [&str; 0]);
    assert!(evil.requests().len() > 1);
    // The control: what is bound is given under the same configuration.
    for run in stage.inspect(&stage.name()) {
        run.expect_code(0);
    }
}

#[test]
fn why_there_is_no_token_reaches_the_person_who_runs_docker() {
    let stage = Stage::unbound(Config { expires_in: 30, ..Config::default() }, Challenge::Basic);
    let registry = stage.name();
    stage.home.run(&["edit", "work", "--bind", &format!("docker={registry}")]).expect_code(0);
    stage.configure(&json!({"credHelpers": {&registry: "vault"}}));
    stage.provider.revoke_user_grant("desktop", "me@example.com");

    for run in stage.inspect(&registry) {
        assert_ne!(run.code, 0);
        let _ = run.expect_said("vault: ").expect_said("vault login work");
    }
    assert!(stage.registry.requests().iter().filter_map(password).next().is_none());
}

#[test]
fn logging_out_of_a_registry_changes_nothing_in_the_vault() {
    if !outside::have(&["docker"]) {
        return;
    }
    let stage = Stage::new(Challenge::Basic);
    let before = Snapshot::of(&stage.home);

    stage.run("docker", &["logout", &stage.name()]).expect_code(0);

    let changed: Vec<PathBuf> = before.changed(&stage.home).into_iter().collect();
    let in_vault = |path: &&PathBuf| !path.starts_with(stage.home.path(".docker"));
    assert_eq!(changed.iter().find(in_vault), None);
    for run in stage.inspect(&stage.name()) {
        run.expect_code(0);
    }
}

/// A profile that is bound to two registries, and no registry.
fn bound() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["edit", "work", "--bind", "docker=gcr.io", "--bind", "docker=127.0.0.1:5000"]).expect_code(0);
    (provider, home)
}

fn ask(home: &Home, action: &str, input: &str) -> Run {
    home.run_with_input(&["helper", "docker", action], input)
}

#[test]
fn answers_and_errors_are_those_that_clients_know_by_heart() {
    let (_provider, home) = bound();
    let token = home.run(&["token", "work"]).answer();

    let answer = json!({"ServerURL": "https://gcr.io", "Username": "oauth2accesstoken", "Secret": token});
    assert_eq!(serde_json::from_str::<Value>(&ask(&home, "get", "https://gcr.io").answer()).unwrap(), answer);
    for (action, input, said) in [
        ("get", "evil.gcr.io", "credentials not found in native keychain\n"),
        ("get", "http://gcr.io", "credentials not found in native keychain\n"),
        ("get", "", "no credentials server URL\n"),
        ("erase", "\n", "no credentials server URL\n"),
        ("frobnicate", "gcr.io", "Unknown credential action `frobnicate`\n"),
    ] {
        let run = ask(&home, action, input);
        assert_eq!((run.code, &*run.stdout, &*run.stderr), (1, said, ""), "{action} {input:?}");
    }
    let stored = ask(&home, "store", r#"{"ServerURL":"gcr.io","Username":"a","Secret":"b"}"#).expect_code(0);
    assert_eq!(stored.stdout, "");
    assert!(ask(&home, "version", "").answer().starts_with("docker-credential-vault (vault) "));
}

#[test]
fn the_list_and_registries_that_are_not_bound_cost_no_key() {
    let (_provider, mut home) = bound();
    home.unset("VAULT_IDENTITY_FILE");
    fs::rename(home.path("identity.txt"), home.path("elsewhere.txt")).unwrap();

    let list = ask(&home, "list", "").answer();
    assert_eq!(list, r#"{"127.0.0.1:5000":"oauth2","gcr.io":"oauth2accesstoken"}"#);
    let unknown = ask(&home, "get", "eu.gcr.io");
    assert_eq!((unknown.code, &*unknown.stderr), (1, ""));
    // The control: for a bound one the key is missed.
    let bound = ask(&home, "get", "gcr.io").expect_said("VAULT_IDENTITY_FILE");
    assert_eq!(bound.code, 1);
    assert!(bound.stdout.contains("VAULT_IDENTITY_FILE"), "{}", bound.stdout);
    // Where there is no vault, docker goes on without.
    assert_eq!(ask(&Home::bare(), "list", "").answer(), "{}");
    let none = ask(&Home::bare(), "get", "gcr.io").expect_said("no vault");
    assert_eq!((none.code, &*none.stdout), (1, "credentials not found in native keychain\n"));
}
