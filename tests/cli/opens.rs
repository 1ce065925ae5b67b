//! Which sealed items each command opens: only those that it needs.
//!
//! Every opening is logged at `-vvv`, by the one function that opens items.

use serde_json::Value;

use crate::home::Home;
use crate::provider::{Config, Endpoint, Provider};
use crate::scene::{Scene, read};

/// What a command opened, as `field of document`, in order.
#[track_caller]
fn opened(home: &Home, arguments: &[&str]) -> Vec<String> {
    let run = home.run(&[&["-vvv"], arguments].concat());
    assert_eq!(run.code, 0, "{arguments:?}: {}", run.stderr);
    let mut items: Vec<String> = run
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("trace: seal::document: opening "))
        .map(str::to_owned)
        .collect();
    items.sort();
    items
}

fn item(field: &str, document: &Value) -> String {
    format!("{field} of {}", document["id"].as_str().unwrap())
}

#[test]
fn what_lists_and_shows_opens_nothing() {
    let scene = Scene::new();
    for command in LOOKING {
        assert_eq!(opened(&scene.home, command), [""; 0], "{command:?}");
    }
    scene.home.run(&["-vvv", "unlocked"]).expect_code(4).expect_unsaid("opening");
}

/// The second proof of the same: who has no key can open nothing.
#[test]
fn what_lists_and_shows_needs_no_key() {
    let mut scene = Scene::new();
    let with_key: Vec<String> = LOOKING.iter().map(|command| scene.home.run(command).answer()).collect();
    std::fs::remove_file(scene.home.path("identity.txt")).unwrap();
    scene.home.unset("VAULT_IDENTITY_FILE");

    for (command, answer) in LOOKING.iter().zip(with_key) {
        let without = scene.home.run(command).expect_unsaid("warning").answer();
        // What is said in words grows older from second to second.
        let is_timeless = command.contains(&"--json");
        assert!(
            !without.is_empty() && (!is_timeless || without == answer),
            "{command:?}\n{without}\n{answer}"
        );
    }
    scene.home.run(&["token", "work"]).expect_code(4);
    scene.home.run(&["use", "work"]).expect_code(4);
}

/// Commands that need no key.
const LOOKING: [&[&str]; 13] = [
    &["list"],
    &["list", "--json"],
    &["show", "work"],
    &["show", "work", "--json"],
    &["status"],
    &["status", "work"],
    &["status", "--json"],
    &["client", "list"],
    &["client", "list", "--json"],
    &["client", "show", "127.0.0.1"],
    &["key", "list"],
    &["rotate", "list"],
    &["rotate", "list", "--json"],
];

#[test]
fn a_cached_token_opens_one_item() {
    let scene = Scene::new();
    let work = read(&scene.home.profile("work"));

    for command in [
        &["token", "work"][..],
        &["token", "work", "--json"],
        &["token", "work", "--format", "header"],
        &["token", "work", "--min-ttl", "10m"],
        &["reveal", "work", "access_token"],
        &["reveal", "work", "expires_at"],
        &["env", "work"],
        &["exec", "work", "--", "true"],
    ] {
        assert_eq!(opened(&scene.home, command), [item("access_token", &work)], "{command:?}");
    }
}

#[test]
fn a_request_to_an_api_opens_the_token_and_for_a_host_that_may_not_have_it_nothing() {
    let scene = Scene::new();
    let work = read(&scene.home.profile("work"));
    let api = scene.provider.url("/api/x");

    assert_eq!(opened(&scene.home, &["api", "work", &api]), [item("access_token", &work)]);
    for refused in [&["https://api.example.com/x"][..], &["--api-key", &api]] {
        let run = scene.home.run(&[&["-vvv", "api", "work"], refused].concat());
        let _ = run.expect_code(7).expect_unsaid("opening");
    }
}

#[test]
fn a_refresh_opens_the_two_secrets_of_its_profile() {
    let scene = Scene::new();
    let (work, client) = (read(&scene.home.profile("work")), read(&scene.client()));
    let mut expected = [item("client_secret", &client), item("refresh_token", &work)];
    expected.sort();

    assert_eq!(opened(&scene.home, &["token", "work", "--refresh"]), expected);
    for file in scene.home.files("cache") {
        std::fs::remove_file(file).unwrap();
    }
    assert_eq!(opened(&scene.home, &["token", "work"]), expected);
}

#[test]
fn a_logout_opens_the_two_secrets_of_its_profile() {
    let scene = Scene::new();
    let (work, client) = (read(&scene.home.profile("work")), read(&scene.client()));
    let mut expected = [item("client_secret", &client), item("refresh_token", &work)];
    expected.sort();

    assert_eq!(opened(&scene.home, &["logout", "work"]), expected);
    assert_eq!(opened(&scene.home, &["logout", "work"]), [""; 0]);
    assert_eq!(opened(&scene.home, &["logout", "other", "--local-only"]), [""; 0]);
}

#[test]
fn retiring_a_refresh_token_opens_that_one_and_not_the_present_one() {
    let scene = Scene::new();
    scene.provider.script(Endpoint::Revoke, vec![crate::provider::Fault::unavailable(1)]);
    scene.home.consent(&["rotate", "grant", "work", "--no-browser"]).expect_code(13);
    let (work, client) = (read(&scene.home.profile("work")), read(&scene.client()));

    let opened = opened(&scene.home, &["rotate", "grant", "work"]);

    let proof = [item("client_secret", &client), item("refresh_token", &work)];
    let mut expected = [&proof[..], &[proof[0].clone(), item("refresh_token_previous", &work)]].concat();
    expected.sort();
    assert_eq!(opened, expected, "to revoke the one, and to prove the other");
}

#[test]
fn a_refresh_of_a_public_client_opens_one_secret() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    home.consent(&[
        "add-profile",
        "work",
        "--no-browser",
        "--issuer",
        &provider.issuer(),
        "--insecure-loopback",
        "--client-id",
        "public",
        "--client-auth",
        "none",
    ])
    .expect_code(0);

    let work = read(&home.profile("work"));
    assert_eq!(opened(&home, &["token", "work", "--refresh"]), [item("refresh_token", &work)]);
}

#[test]
fn a_variable_is_opened_if_it_is_set() {
    let scene = Scene::new();
    let (work, client) = (read(&scene.home.profile("work")), read(&scene.client()));
    let token = item("access_token", &work);

    let with = |field: &str| opened(&scene.home, &["env", "work", "--set", &format!("X={field}")]);

    for field in ["client_id", "account"] {
        assert_eq!(with(field), std::slice::from_ref(&token));
    }
    assert_eq!(with("api_key"), [token.clone(), item("api_key", &work)]);
    assert_eq!(with("refresh_token"), [token.clone(), item("refresh_token", &work)]);
    assert_eq!(with("client_secret"), [token, item("client_secret", &client)]);
}

#[test]
fn reveal_opens_what_it_shows() {
    let scene = Scene::new();
    let (work, client) = (read(&scene.home.profile("work")), read(&scene.client()));
    let reveal = |field: &str| opened(&scene.home, &["reveal", "work", field]);

    assert_eq!(reveal("api_key"), [item("api_key", &work)]);
    assert_eq!(reveal("refresh_token"), [item("refresh_token", &work)]);
    assert_eq!(reveal("client_secret"), [item("client_secret", &client)]);
    assert_eq!(reveal("client_id"), [""; 0]);
    assert_eq!(reveal("account"), [""; 0]);
}

#[test]
fn what_changes_no_secret_opens_none() {
    let scene = Scene::new();
    let name = scene.client().file_stem().unwrap().to_str().unwrap().to_owned();
    for command in [
        &["use", "work"][..],
        &["edit", "work", "--set", "X=api_key"],
        &["edit", "work", "--unset", "X"],
        &["rename", "work", "new"],
        &["client", "rename", &name, "desk"],
        &["key", "add", "--recipient", "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"],
        &["remove", "new", "--yes"],
    ] {
        assert_eq!(opened(&scene.home, command), [""; 0], "{command:?}");
    }
}

#[test]
fn a_rotation_opens_what_it_replaces_and_what_its_proof_needs() {
    let scene = Scene::new();
    scene.provider.configure(|config| config.clients[0].secrets.push("GOCSPX-new".to_owned()));
    scene.home.write("new.secret", "GOCSPX-new");
    let client = scene.client().file_stem().unwrap().to_str().unwrap().to_owned();
    let (other, document) = (read(&scene.home.profile("other")), read(&scene.client()));

    let rotate = ["rotate", "client-secret", &client, "--client-secret-file", "new.secret"];
    let mut opened_by_rotation = opened(&scene.home, &rotate);
    opened_by_rotation.dedup();

    let fields = ["client_secret", "client_secret_next"].map(|field| item(field, &document));
    let mut expected = [&fields[..], &[item("refresh_token", &other)]].concat();
    expected.sort();
    assert_eq!(opened_by_rotation, expected);
    let rotate = ["rotate", "api-key", "work", "--api-key-file", "new.secret"];
    assert_eq!(opened(&scene.home, &rotate), [item("api_key", &read(&scene.home.profile("work")))]);
}

#[test]
fn verify_opens_everything_and_sends_nothing() {
    let scene = Scene::new();
    let (work, other) = (read(&scene.home.profile("work")), read(&scene.home.profile("other")));
    let asked = scene.provider.requests().len();
    let mut expected = [
        item("client_secret", &read(&scene.client())),
        item("refresh_token", &work),
        item("api_key", &work),
        item("refresh_token", &other),
    ];
    expected.sort();

    assert_eq!(opened(&scene.home, &["verify"]), expected);
    assert_eq!(scene.provider.requests().len(), asked);
    assert!(scene.provider.count(Endpoint::Token) > 0);
}

/// Before any age message is opened: an attacker who can write files would else choose what we decrypt.
#[test]
fn a_mac_that_does_not_fit_is_noticed_before_anything_is_opened() {
    let scene = Scene::new();
    let manifest = scene.home.vault_dir().join("vault.json");
    for path in [scene.home.profile("work"), scene.client(), manifest] {
        let good = std::fs::read(&path).unwrap();
        crate::scene::edit(&path, |document| document["a_later_field"] = 1.into());

        for command in [&["token", "work", "--refresh"][..], &["reveal", "work", "refresh_token"]] {
            let run = scene.home.run(&[&["-vvv"], command].concat()).expect_code(6);
            run.expect_said("MAC does not match").expect_unsaid("opening");
        }
        std::fs::write(&path, good).unwrap();
    }
    assert!(!opened(&scene.home, &["reveal", "work", "refresh_token"]).is_empty());
}
