//! Logins at `oidc-provider`, a certified OpenID server that others wrote.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;

use crate::device::DeviceLogin;
use crate::home::{Home, Run};
use crate::outside;
use crate::tree;

#[test]
fn every_way_to_prove_a_client_logs_in_and_is_pinned() {
    let Some(server) = Server::start("{}") else { return };
    let odd = "a client secret: with + and % & = signs";

    // This server takes a secret either way, whatever a client is registered with.
    for (client, secret, said, auth) in [
        ("public", None, &[][..], "none"),
        ("basic", Some("basic-secret"), &[], "basic"),
        ("post", Some("post-secret"), &["--client-auth", "post"], "post"),
        ("odd:client", Some(odd), &[], "basic"),
    ] {
        let home = Home::new();
        server.add_profile(&home, client, secret, said).expect_code(0);

        let stored = tree::json(home.client("127.0.0.1"));
        assert_eq!(stored["client_auth"], auth, "{client}");
        assert_eq!(stored["client_auth_pinned"], true, "{client}");
        home.run(&["token", "work"]).expect_code(0);
        home.run(&["token", "work", "--refresh"]).expect_code(0);
    }
}

#[test]
fn the_account_is_named_by_the_id_token_or_by_userinfo() {
    for (settings, userinfo) in [(r#"{"emailInIdToken": true}"#, 0), (r#"{"emailInIdToken": false}"#, 1)] {
        let Some(server) = Server::start(settings) else { return };
        let home = Home::new();

        server.basic(&home, &[]).expect_code(0).expect_said("alice@example.test");

        let account = &tree::json(home.profile("work"))["account"];
        assert_eq!(account["email"], "alice@example.test");
        assert!(account["subject"].as_str().unwrap().starts_with("sub-"), "{account}");
        assert_eq!(server.requests("/me"), userinfo);
    }
}

#[test]
fn a_generic_login_asks_for_a_grant_that_lasts() {
    let Some(server) = Server::start("{}") else { return };
    let home = Home::new();

    server.basic(&home, &[]).expect_code(0).expect_unsaid("no refresh token").expect_unsaid("scopes");

    let profile = tree::json(home.profile("work"));
    assert!(profile["scopes"]["asked"].to_string().contains("offline_access"), "{profile}");
    assert!(profile["secrets"]["refresh_token"].is_string());
}

#[test]
fn fifty_processes_share_one_refresh_and_trip_no_reuse_detection() {
    let Some(server) = Server::start(r#"{"accessTokenTtl": 50}"#) else { return };
    let home = Home::new();
    server.basic(&home, &[]).expect_code(0);
    let before = server.requests("/token");

    // A token of fifty seconds is never fresh: all fifty want a new one.
    let children: Vec<_> = (0..50)
        .map(|_| {
            let mut command = home.command(&["token", "work"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    assert!(server.requests("/token") > before);
    home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_replaced_refresh_token_is_the_next_one() {
    let Some(server) = Server::start("{}") else { return };
    let home = Home::new();
    server.basic(&home, &[]).expect_code(0);

    let mut tokens: Vec<String> =
        (0..3).map(|_| home.run(&["token", "work", "--refresh"]).answer()).collect();

    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
}

#[test]
fn id_tokens_of_a_server_that_others_wrote_pass_their_checks_at_the_login_and_after_it() {
    let Some(server) = Server::start("{}") else { return };
    let home = Home::new();
    server.basic(&home, &[]).expect_code(0);

    let first = home.run(&["token", "work", "--id-token"]).expect_unsaid("warning").answer();
    assert_eq!((server.requests("/token"), server.requests("/jwks")), (1, 1));
    let second = home.run(&["token", "work", "--id-token", "--refresh"]).expect_unsaid("warning").answer();

    assert_eq!((server.requests("/token"), server.requests("/jwks")), (2, 2));
    // Within one second, it signs the same twice.
    assert_eq!(first.split('.').next(), second.split('.').next());
    assert_eq!(home.run(&["token", "work", "--id-token"]).answer(), second);
}

#[test]
fn a_server_that_others_wrote_gives_less_than_the_whole_grant_and_the_rest_stays() {
    let Some(server) = Server::start("{}") else { return };
    let home = Home::new();
    server.basic(&home, &[]).expect_code(0);
    let plain = home.run(&["token", "work"]).answer();

    let run = home.run(&["token", "work", "--scope", "email", "--json"]).expect_unsaid("warning");

    let narrow: Value = serde_json::from_str(&run.answer()).unwrap();
    assert_eq!(narrow["scopes"], serde_json::json!(["email"]));
    assert_eq!(home.run(&["token", "work"]).answer(), plain);
    let whole = home.run(&["token", "work", "--refresh", "--json"]).expect_unsaid("warning").answer();
    assert!(whole.contains("openid") && !whole.contains(&plain), "{whole}");
}

#[test]
fn another_account_and_a_no_store_nothing() {
    let Some(server) = Server::start("{}") else { return };
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    let before = tree::stored(&home);

    server.basic(&home, &["--account", "denied@example.test"]).expect_code(12);
    assert_eq!(tree::stored(&home), before);

    server.basic(&home, &["--account", "bob@example.test"]).expect_code(0);
    assert_eq!(tree::json(home.profile("work"))["account"]["email"], "bob@example.test");
}

#[test]
fn a_scope_that_was_unticked_is_told() {
    let Some(server) = Server::start(r#"{"rejectedScopes": ["profile"]}"#) else { return };
    let home = Home::new();

    server.basic(&home, &["--scope", "profile"]).expect_code(0).expect_said("profile");

    let scopes = &tree::json(home.profile("work"))["scopes"];
    assert!(!scopes["granted"].to_string().contains("\"profile\""), "{scopes}");
}

#[test]
fn a_grant_that_was_revoked_elsewhere_wants_a_new_login() {
    let Some(server) = Server::start("{}") else { return };
    let Some(curl) = outside::program("curl") else { return };
    let home = Home::new();
    server.basic(&home, &[]).expect_code(0);
    let token = home.run(&["reveal", "work", "refresh_token"]).answer();

    let revoked = Command::new(curl)
        .args(["-sf", "-u", "basic:basic-secret", "-d"])
        .arg(format!("token={token}"))
        .arg(format!("{}/token/revocation", server.issuer))
        .status()
        .unwrap();
    assert!(revoked.success());

    home.run(&["token", "work", "--refresh"]).expect_code(5).expect_said("vault login work");
    server.consent(&home, &["login", "work", "--no-browser"]).expect_code(0);
    home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_logout_ends_the_grant_at_a_server_that_others_wrote_however_the_client_proves_itself() {
    let Some(server) = Server::start("{}") else { return };
    let Some(curl) = outside::program("curl") else { return };
    for (client, secret, said) in [
        ("public", None, &[][..]),
        ("basic", Some("basic-secret"), &[]),
        ("post", Some("post-secret"), &["--client-auth", "post"]),
    ] {
        let home = Home::new();
        server.add_profile(&home, client, secret, said).expect_code(0);
        let token = home.run(&["reveal", "work", "refresh_token"]).answer();
        let before = server.requests("/token/revocation");

        home.run(&["logout", "work"]).expect_code(0).expect_said("its grant is revoked");

        assert_eq!(server.requests("/token/revocation"), before + 1);
        home.run(&["token", "work"]).expect_code(5);
        let proof = secret.map_or(format!("client_id={client}"), |secret| {
            format!("client_id={client}&client_secret={secret}")
        });
        let answer = Command::new(&curl)
            .args(["-s", "-d", &format!("grant_type=refresh_token&refresh_token={token}&{proof}")])
            .arg(format!("{}/token", server.issuer))
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&answer.stdout).contains("invalid_grant"), "{client}: {answer:?}");
        server.consent(&home, &["login", "work", "--no-browser"]).expect_code(0);
        home.run(&["token", "work", "--refresh"]).expect_code(0);
    }
}

#[test]
fn a_rotated_grant_outlives_the_old_one_at_a_server_that_others_wrote() {
    let Some(server) = Server::start("{}") else { return };
    let home = Home::new();
    server.basic(&home, &[]).expect_code(0);
    let old = home.run(&["reveal", "work", "refresh_token"]).answer();
    let refreshed = server.requests("/token");

    let run = server.consent(&home, &["rotate", "grant", "work", "--no-browser"]).expect_code(0);

    run.expect_said("the refresh token before is revoked").expect_unsaid("warning");
    assert_eq!(server.requests("/token/revocation"), 1);
    assert_eq!(server.requests("/token"), refreshed + 2, "the code, and the proof");
    assert_ne!(home.run(&["reveal", "work", "refresh_token"]).answer(), old);
    home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_code_is_typed_on_the_own_pages_of_a_server_that_others_wrote() {
    let Some(server) = Server::start("{}") else { return };
    for (client, secret) in [("public", None), ("basic", Some("basic-secret")), ("post", Some("post-secret"))]
    {
        let home = Home::new();
        let file = home.write("client.secret", secret.unwrap_or_default());
        let mut arguments = vec!["add-profile", "work", "--flow", "device", "--insecure-loopback"];
        arguments.extend(["--issuer", &server.issuer, "--client-id", client]);
        match secret {
            Some(_) => arguments.extend(["--client-secret-file", file.to_str().unwrap()]),
            None => arguments.extend(["--client-auth", "none"]),
        }

        let login = DeviceLogin::start(&home, &arguments);
        let (address, code) = login.invitation.clone().expect("it shows what to type");
        let person = Command::new(&server.node)
            .arg(server.folder.path().join("device.mjs"))
            .args([&address, &code])
            .output()
            .unwrap();
        assert!(person.status.success(), "{}", String::from_utf8_lossy(&person.stderr));
        login.finish().expect_code(0).expect_said("alice@example.test");

        home.run(&["token", "work"]).expect_code(0);
        home.run(&["token", "work", "--refresh"]).expect_code(0);
    }
}

/// The server, as long as this lives.
struct Server {
    issuer: String,
    node: std::path::PathBuf,
    folder: tempfile::TempDir,
    process: Child,
    stdin: Option<ChildStdin>,
}

impl Server {
    /// None where it is not installed.
    fn start(settings: &str) -> Option<Self> {
        let modules = outside::installed("oidc-provider/node_modules/oidc-provider")?;
        let node = outside::newest_node()?;
        // Node finds its modules above the script.
        let folder = tempfile::tempdir_in(modules.ancestors().nth(2).unwrap()).unwrap();
        for script in ["server.mjs", "browser.mjs", "device.mjs"] {
            copy(script, folder.path());
        }
        let mut process = Command::new(&node)
            .arg(folder.path().join("server.mjs"))
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let issuer = said["issuer"].as_str().unwrap().to_owned();
        Some(Self { issuer, node, folder, stdin: process.stdin.take(), process })
    }

    /// `vault add-profile work` with the client `basic`.
    fn basic(&self, home: &Home, options: &[&str]) -> Run {
        self.add_profile(home, "basic", Some("basic-secret"), options)
    }

    fn add_profile(&self, home: &Home, client: &str, secret: Option<&str>, options: &[&str]) -> Run {
        let file = home.write("client.secret", secret.unwrap_or_default());
        let proof = match secret {
            Some(_) => ["--client-secret-file", file.to_str().unwrap()],
            None => ["--client-auth", "none"],
        };
        let mut arguments = vec!["add-profile", "work", "--no-browser", "--insecure-loopback"];
        arguments.extend(["--issuer", &self.issuer, "--client-id", client]);
        arguments.extend(proof);
        arguments.extend(options);
        self.consent(home, &arguments)
    }

    /// Runs a command that logs in, with a browser that keeps cookies.
    fn consent(&self, home: &Home, arguments: &[&str]) -> Run {
        let mut login = home.start_login(arguments);
        if let Some(url) = login.url.clone() {
            let browser = Command::new(&self.node)
                .arg(self.folder.path().join("browser.mjs"))
                .arg(url)
                .output()
                .unwrap();
            // The page of a login that refuses the answer has status 400.
            let said = String::from_utf8_lossy(&browser.stderr);
            if !browser.status.success() && !said.contains("answered 400") {
                eprintln!("{said}");
                let _ = login.child.kill();
            }
        }
        login.finish(arguments)
    }

    /// How often a path was asked for.
    fn requests(&self, path: &str) -> u64 {
        let page = crate::provider::browser::get(&format!("{}/requests", self.issuer), &[]).unwrap();
        page.json()[path].as_u64().unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

fn copy(script: &str, folder: &Path) {
    let from = outside::ours("tests/oidc-provider").join(script);
    std::fs::copy(from, folder.join(script)).unwrap();
}
