//! `vault helper cargo`: the real cargo at a registry that wants a token for everything.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::expiry::{expired_at, state_dir};
use crate::home::{Home, Run, VAULT};
use crate::provider::{Config, Provider, Request, Response, Site};

#[test]
fn cargo_publishes_and_fetches_with_the_token_of_the_profile_that_is_bound_to_the_registry() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let registry = Registry::of(provider);
    registry.is_known_to(&home, &[VAULT, "--profile", "work"]);
    registry.is_bound(&home);

    let _ = cargo(&home, "leaf", &["publish", "--registry", "corp", "--no-verify"]).expect_code(0);
    let _ = cargo(&home, "tree", &["fetch"]).expect_code(0);

    let token = home.run(&["token", "work"]).answer();
    assert_eq!(registry.authorizations("PUT", "/api/v1/crates/new"), [format!("Bearer {token}")]);
    assert_eq!(registry.authorizations("GET", "/dl/leaf/1.0.0"), [format!("Bearer {token}")]);
}

#[test]
fn each_token_for_cargo_is_written_down_and_nothing_else() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let _ = home.run(&["edit", "work", "--bind", "cargo=crates.example"]).expect_code(0);
    let before = audit_log(&home).len();

    for index in ["https://crates.example/", "https://other.example/"] {
        let question =
            json!({"v": 1, "registry": {"index-url": index}, "kind": "get", "operation": "read", "args": []});
        let run = home.run_with_input(&["helper", "cargo", "--cargo-plugin"], &format!("{question}\n"));
        let _ = run.expect_unsaid("warning").answer();
    }

    let log = audit_log(&home);
    assert_eq!(log.len(), before + 1);
    let line: Value = serde_json::from_str(&log[before]).unwrap();
    let said = ["what", "profile", "token", "result"].map(|field| line[field].as_str().unwrap());
    assert_eq!(said, ["helper cargo", "work", "cached", "ok"]);
}

fn audit_log(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(state_dir(home).join("audit.jsonl")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn cargo_finds_the_provider_under_its_own_name_and_gets_a_renewed_token_after_the_end_of_the_first() {
    let (provider, home) = expired_at(Config { expires_in: 30, ..Config::default() });
    let registry = Registry::of(provider);
    let link = home.path("cargo-credential-vault");
    symlink(VAULT, &link).unwrap();
    registry.is_known_to(&home, &[link.to_str().unwrap()]);
    registry.is_bound(&home);

    for _ in 0..2 {
        let _ = cargo(&home, "leaf", &["owner", "--list", "--registry", "corp"]).expect_code(0);
    }

    let tokens = registry.authorizations("GET", "/api/v1/crates/leaf/owners");
    assert_eq!(tokens.len(), 2, "a token that has ended is not used for the second run: {tokens:?}");
}

#[test]
fn cargo_shows_why_there_is_no_token() {
    let (provider, home) = expired_at(Config::default());
    provider.revoke_user_grant("desktop", "me@example.com");
    let registry = Registry::of(provider);
    registry.is_known_to(&home, &[VAULT, "--profile", "work"]);

    let unbound = cargo(&home, "tree", &["fetch"]).expect_code(101);
    let bind = format!("run `vault edit work --bind cargo={}`", registry.site.authority());
    let _ = unbound.expect_said("profile `work` is not bound to this registry").expect_said(&bind);
    registry.is_bound(&home);
    let dead = cargo(&home, "tree", &["fetch"]).expect_code(101);
    let _ = dead.expect_said("the provider no longer accepts the grant").expect_said("vault login work");
    let login = cargo(&home, "tree", &["logout", "--registry", "corp"]).expect_code(101);
    let _ = login.expect_said("requested operation not supported");

    assert_eq!(registry.authorizations("GET", "/"), [] as [&str; 0]);
}

#[test]
fn a_registry_of_somebody_else_is_left_to_the_other_providers_and_not_even_unlocked_for() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let (theirs, ours) = (Registry::of_anybody_with("Bearer theirs"), Registry::of(provider));
    theirs.is_known_to(&home, &[]);
    ours.is_bound(&home);
    // The last one is asked first.
    let config = format!("[registry]\nglobal-credential-providers = [\"cargo:token\", \"{VAULT}\"]\n");
    append(&home, &config);
    home.write(".cargo/credentials.toml", "[registries.corp]\ntoken = \"Bearer theirs\"\n");
    let before = audit_log(&home);

    let _ = cargo(&home, "leaf", &["owner", "--list", "--registry", "corp"]).expect_code(0);

    assert_eq!(theirs.authorizations("GET", "/api"), ["Bearer theirs"]);
    assert_eq!(audit_log(&home), before, "nothing was unlocked");
}

#[test]
fn where_there_is_no_vault_the_other_providers_are_asked_unless_a_profile_is_named() {
    let home = Home::new();
    let answer = |args: &[&str]| {
        let registry = json!({"index-url": "sparse+https://crates.example.com/"});
        let question = json!({"v": 1, "kind": "get", "registry": registry, "args": args});
        let run = home.run_with_input(&["helper", "cargo", "--cargo-plugin"], &format!("{question}\n"));
        run.expect_code(0).stdout.lines().nth(1).unwrap().to_owned()
    };

    assert_eq!(answer(&[]), "{\"Err\":{\"kind\":\"url-not-supported\"}}");
    assert!(answer(&["--profile", "work"]).contains("there is no vault in"));
}

/// A registry that answers nobody without a token.
struct Registry {
    site: Site,
    requests: Arc<Mutex<Vec<Request>>>,
}

type Files = Mutex<BTreeMap<String, Vec<u8>>>;

impl Registry {
    /// Whose users have tokens of `provider`.
    fn of(provider: Provider) -> Self {
        Self::asking(move |value| {
            value.strip_prefix("Bearer ").is_some_and(|token| provider.is_live_access_token(token))
        })
    }

    fn of_anybody_with(token: &'static str) -> Self {
        Self::asking(move |value| value == token)
    }

    fn asking(is_allowed: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let files = Files::default();
        let (site, requests) = Site::http(None, move |request| {
            if request.header("authorization").is_some_and(&is_allowed) {
                answer(&files, request)
            } else {
                Response::text(401, "").with("WWW-Authenticate", "Cargo login_url=\"https://evil.example\"")
            }
        });
        Self { site, requests }
    }

    /// Writes the configuration in which `provider` gives the token for this registry, which is called `corp`,
    /// and two crates: `leaf`, and `tree` that needs it.
    fn is_known_to(&self, home: &Home, provider: &[&str]) {
        let index = format!("sparse+http://{}/index/", self.site.authority());
        for folder in [".cargo", "leaf/src", "tree/src"] {
            std::fs::create_dir_all(home.path(folder)).unwrap();
        }
        append(home, &format!("[registries.corp]\nindex = \"{index}\"\n"));
        if !provider.is_empty() {
            append(home, &format!("credential-provider = {}\n", json!(provider)));
        }
        for (name, dependencies) in
            [("leaf", ""), ("tree", "[dependencies]\nleaf = { version = \"1\", registry = \"corp\" }\n")]
        {
            let package = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n");
            home.write(&format!("{name}/Cargo.toml"), format!("{package}{dependencies}"));
            home.write(&format!("{name}/src/lib.rs"), "");
        }
    }

    fn is_bound(&self, home: &Home) {
        let binding = format!("cargo={}", self.site.authority());
        let _ = home.run(&["edit", "work", "--bind", &binding]).expect_code(0);
    }

    /// The header `Authorization` of requests whose path begins like this, each value once, in their order.
    fn authorizations(&self, method: &str, path: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let meant = requests.iter().filter(|it| it.method == method && it.path.starts_with(path));
        let mut values: Vec<_> =
            meant.filter_map(|request| request.header("authorization")).map(str::to_owned).collect();
        values.dedup();
        values
    }
}

fn append(home: &Home, text: &str) {
    let path = home.path(".cargo/config.toml");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(path, before + text).unwrap();
}

/// The cargo that builds these tests, in a folder of this home, with nothing of its user's configuration.
fn cargo(home: &Home, folder: &str, arguments: &[&str]) -> Run {
    let cargo = Path::new(env!("CARGO"));
    let mut command = Command::new(cargo);
    home.prepare(&mut command);
    command.env("RUSTC", cargo.with_file_name("rustc")).current_dir(home.path(folder)).args(arguments);
    Run::of(arguments, command.output().unwrap())
}

/// What cargo's manual describes under "Running a Registry".
fn answer(files: &Files, request: &Request) -> Response {
    let mut files = files.lock().unwrap();
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/index/config.json") => {
            let here = format!("http://{}", request.header("host").unwrap());
            Response::json(200, &json!({"dl": format!("{here}/dl"), "api": here, "auth-required": true}))
        }
        ("GET", path) if path.ends_with("/owners") => {
            Response::json(200, &json!({"users": [{"id": 1, "login": "me", "name": null}]}))
        }
        ("PUT", "/api/v1/crates/new") => {
            let (facts, package) = published(&request.body);
            let (name, version) = (facts["name"].as_str().unwrap(), facts["vers"].as_str().unwrap());
            let line = json!({
                "name": name, "vers": version, "deps": [], "features": {}, "yanked": false,
                "cksum": hex::encode(Sha256::digest(package)),
            });
            files.insert(format!("/index/le/af/{name}"), line.to_string().into_bytes());
            files.insert(format!("/dl/{name}/{version}/download"), package.to_vec());
            Response::json(
                200,
                &json!({"warnings": {"invalid_categories": [], "invalid_badges": [], "other": []}}),
            )
        }
        (_, path) => match files.get(path) {
            Some(bytes) => Response::new(200, "application/octet-stream", bytes.clone()),
            None => Response::text(404, ""),
        },
    }
}

/// The two parts of what is uploaded, each behind its length in 32 bits: facts as JSON, and the package.
fn published(body: &[u8]) -> (Value, &[u8]) {
    let split = |bytes: &'_ [u8]| u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    let length = split(body);
    let facts = serde_json::from_slice(&body[4..4 + length]).unwrap();
    let rest = &body[4 + length..];
    (facts, &rest[4..4 + split(rest)])
}
