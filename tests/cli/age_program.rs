//! Nobody is locked in: the `age` program alone opens everything, with nothing but the identity.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::forge;
use crate::home::Home;
use crate::outside;
use crate::scene::{Scene, read};

#[test]
fn age_opens_every_sealed_item() {
    if !outside::have(&["age"]) {
        return;
    }
    let scene = Scene::new();
    let home = &scene.home;
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    let key = key_by_age(home);

    let mut opened = Vec::new();
    for path in home.files("data/vault").into_iter().chain(home.files("cache")) {
        if path.extension().is_some_and(|extension| extension == "json") {
            opened.extend(open_all(&key, &read(&path)));
        }
    }
    opened.sort();
    // That of the login of `other`, beside its access token.
    let (id_tokens, opened): (Vec<_>, Vec<_>) =
        opened.into_iter().partition(|(field, _)| field == "id_token");
    assert_eq!(id_tokens.len(), 1);
    assert!(scene.provider.issued().contains(&id_tokens[0].1));

    let secret =
        |field: &str, profile: &str| (field.to_owned(), home.run(&["reveal", profile, field]).answer());
    let mut expected = [
        secret("access_token", "other"),
        secret("access_token", "work"),
        secret("api_key", "work"),
        secret("client_secret", "work"),
        secret("refresh_token", "other"),
        secret("refresh_token", "work"),
    ];
    expected.sort();
    assert_eq!(opened, expected);
}

#[test]
fn the_recipient_of_the_vault_key_is_written_nowhere() {
    let scene = Scene::new();
    let home = &scene.home;
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    home.run(&["rename", "work", "renamed"]).expect_code(0);
    let recipient = forge::vault_key(home).to_public().to_string();
    let wanted = recipient.trim_start_matches("age1").as_bytes();

    let files: Vec<_> =
        ["data", "cache", "state", "run"].iter().flat_map(|folder| home.files(folder)).collect();

    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap().to_ascii_lowercase();
        assert!(!bytes.windows(wanted.len()).any(|window| window == wanted), "{}", file.display());
    }
}

#[test]
fn a_secret_sealed_by_age_alone_is_refused() {
    if !outside::have(&["age"]) {
        return;
    }
    let scene = Scene::new();
    let home = &scene.home;
    let recipient = forge::vault_key(home).to_public().to_string();
    let asked = scene.provider.requests().len();
    let sealed = age(&["-a", "-r", &recipient], b"1//the-attackers-own-token");
    crate::scene::edit(&home.profile("work"), |work| {
        work["secrets"]["refresh_token"] = String::from_utf8(sealed).unwrap().into();
    });
    home.run(&["token", "work", "--refresh"]).expect_code(6).expect_said("MAC");

    forge::sign(home, &home.profile("work"));

    home.run(&["token", "work", "--refresh"]).expect_code(6).expect_said("refresh_token is not acceptable");
    assert_eq!(scene.provider.requests().len(), asked);
}

/// The vault key, had by the `age` program through the first slot.
fn key_by_age(home: &Home) -> std::path::PathBuf {
    let manifest = read(&home.vault_dir().join("vault.json"));
    let sealed = manifest["slots"][0]["sealed"].as_str().unwrap();
    let identity = home.path("identity.txt");
    let key = age(&["-d", "-i", identity.to_str().unwrap()], sealed.as_bytes());

    let text = String::from_utf8(key).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(matches!(&lines[..], [line] if line.starts_with("AGE-SECRET-KEY-1")), "one line, one key");
    assert!(text.ends_with('\n'));
    home.write("vault-key.txt", text)
}

/// Field and value of every secret in the document.
fn open_all(key: &Path, document: &Value) -> Vec<(String, String)> {
    let Some(secrets) = document.get("secrets").and_then(Value::as_object) else { return Vec::new() };
    let open = |(field, sealed): (&String, &Value)| {
        let plaintext = age(&["-d", "-i", key.to_str().unwrap()], sealed.as_str().unwrap().as_bytes());
        assert_eq!(plaintext.len() % 512, 0, "{field} is padded");
        let item: Value = serde_json::from_slice(&plaintext).unwrap();
        assert_eq!(
            (&item["vault"], &item["document"], &item["field"]),
            (&document["vault"], &document["id"], &Value::from(field.as_str()))
        );
        (field.clone(), item["value"].as_str().unwrap().to_owned())
    };
    secrets.iter().map(open).collect()
}

/// What the `age` program makes of `input`.
fn age(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut command = Command::new("age");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A few kilobytes at most: they fit into the pipe.
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "age {arguments:?}");
    output.stdout
}
