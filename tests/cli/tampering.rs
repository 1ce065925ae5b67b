//! What an attacker can do who writes to the files of a vault and has no key: break it, and no more.
//!
//! The attacks are made on a vault that works, with a second server that must never be asked for
//! anything; after each of them the files are put back.

use std::fs;

use serde_json::json;

use crate::forge;
use crate::provider::Endpoint;
use crate::scene::{Scene, documents, edit, read, write};

#[test]
fn the_nine_edits_lead_nowhere() {
    let scene = Scene::new();
    let (work, other) = (scene.home.profile("work"), scene.home.profile("other"));
    let old = read(&work);
    scene.home.run(&["token", "work", "--refresh"]).expect_code(0);
    let evil = scene.evil.url("/token");

    scene.attack("1, another token endpoint", |scene| {
        edit(&scene.client(), |client| client["endpoints"]["token"] = json!(evil));
    });
    scene.attack("2, a sealed text of another profile", |_| {
        edit(&work, |work| {
            work["secrets"]["refresh_token"] = read(&other)["secrets"]["refresh_token"].clone()
        });
    });
    scene.attack("3, a sealed text of another field", |_| {
        edit(&work, |work| work["secrets"]["refresh_token"] = work["secrets"]["api_key"].clone());
    });
    scene.attack("3, a sealed text of the client", |scene| {
        let client = read(&scene.client());
        edit(&work, |work| work["secrets"]["refresh_token"] = client["secrets"]["client_secret"].clone());
    });
    scene.attack("4, the attacker's own token", |scene| {
        edit(&work, |work| {
            let bind = forge::binding(&read(&scene.client()));
            work["secrets"]["refresh_token"] =
                forge::item(&scene.home, work, "refresh_token", &bind, "1//the-attackers").into();
        });
    });
    scene.attack("5, another variable", |_| {
        edit(&work, |work| work["exports"] = json!({ "LD_PRELOAD": "refresh_token" }));
    });
    scene.attack("5, another harmless variable", |_| {
        edit(&work, |work| work["exports"] = json!({ "GREETING": "refresh_token" }));
    });
    scene.attack("6, no MAC", |_| {
        edit(&work, |work| drop(work.as_object_mut().unwrap().remove("mac")));
    });
    scene.attack("7, an older refresh token", |_| {
        edit(&work, |work| work["secrets"]["refresh_token"] = old["secrets"]["refresh_token"].clone());
    });
    scene.attack("8, an older document", |_| write(&work, &old));
    // The ninth, a MAC key of the attacker's own, has no target: there is none in the files.
}

#[test]
fn secrets_that_change_places_are_refused() {
    let scene = Scene::new();
    let (work, other) = (scene.home.profile("work"), scene.home.profile("other"));

    scene.attack("whole files change places", |_| {
        let (a, b) = (fs::read(&work).unwrap(), fs::read(&other).unwrap());
        fs::write(&work, b).unwrap();
        fs::write(&other, a).unwrap();
    });
    scene.attack("all secrets of another profile", |_| {
        edit(&work, |work| work["secrets"] = read(&other)["secrets"].clone());
    });
    scene.attack("two fields change places", |_| {
        edit(&work, |work| {
            let (token, key) = (work["secrets"]["refresh_token"].take(), work["secrets"]["api_key"].take());
            work["secrets"] = json!({ "refresh_token": key, "api_key": token });
        });
    });
    scene.attack("the client's file is a profile's", |scene| {
        fs::copy(&other, scene.client()).unwrap();
    });
    scene.attack("the client is gone", |scene| fs::remove_file(scene.client()).unwrap());
}

#[test]
fn a_mac_that_is_not_the_whole_right_one_is_none() {
    let scene = Scene::new();
    let work = scene.home.profile("work");
    let good = read(&work)["mac"].as_str().unwrap().to_owned();

    for mac in ["", &good[..2], &good[..62], &format!("{good}00"), &good.to_uppercase(), &"0".repeat(64)] {
        scene.attack(mac, |_| edit(&work, |work| work["mac"] = json!(mac)));
    }
    scene.attack("no text", |_| edit(&work, |work| work["mac"] = json!(null)));
    scene.attack("a list", |_| edit(&work, |work| work["mac"] = json!([good])));
    scene.attack("version 0", |_| edit(&work, |work| work["format"] = json!("vault-profile/0")));
}

#[test]
fn the_seal_alone_keeps_a_secret_where_it_belongs() {
    let scene = Scene::new();
    let (work, other) = (scene.home.profile("work"), scene.home.profile("other"));
    let client = scene.client();
    let evil = scene.evil.url("");

    scene.attack_with_mac("another token endpoint", &client, |client| {
        client["endpoints"]["token"] = json!(format!("{evil}/token"));
    });
    scene.attack_with_mac("another revocation endpoint", &client, |client| {
        client["endpoints"]["revocation"] = json!(format!("{evil}/revoke"));
    });
    scene.attack_with_mac("another issuer", &client, |client| client["issuer"] = json!(evil));
    scene.attack_with_mac("another client id", &client, |client| client["client_id"] = json!("web"));
    scene.attack_with_mac("another way to prove itself", &client, |client| {
        client["client_auth"] = json!("basic")
    });
    scene.attack_with_mac("the token of another profile", &work, |work| {
        work["secrets"]["refresh_token"] = read(&other)["secrets"]["refresh_token"].clone();
    });
    scene.attack_with_mac("the secret of another field", &work, |work| {
        work["secrets"]["refresh_token"] = work["secrets"]["api_key"].clone();
    });
}

#[test]
fn a_document_of_a_newer_version_is_left_alone() {
    let scene = Scene::new();
    let work = scene.home.profile("work");
    edit(&work, |work| work["format"] = json!("vault-profile/2"));
    let before = documents(&scene.home);

    for command in [
        &["token", "work"][..],
        &["token", "work", "--refresh"],
        &["edit", "work", "--unset", "X"],
        &["rename", "work", "new"],
        &["remove", "work", "--yes"],
    ] {
        let _ = scene.home.run(command).expect_code(14);
    }

    assert!(documents(&scene.home) == before);
    let _ = scene.home.run(&["list"]).expect_code(0);
    let _ = scene.home.run(&["token", "other"]).expect_code(0);
}

#[test]
fn an_unknown_field_outlives_every_change_under_its_mac() {
    let scene = Scene::new();
    let home = &scene.home;
    let later = json!({ "with": ["anything", null, true, 9_007_199_254_740_991_u64] });
    for path in [home.profile("work"), scene.client(), home.vault_dir().join("vault.json")] {
        edit(&path, |document| document["a_later_field"] = later.clone());
        let _ = home.run(&["token", "work", "--refresh"]).expect_code(6);
        forge::sign(home, &path);
    }

    home.run(&["token", "work", "--refresh"]).expect_code(0);
    home.run(&["edit", "work", "--set", "X=client_id"]).expect_code(0);
    home.run(&["rename", "work", "renamed"]).expect_code(0);
    home.run(&["use", "renamed"]).expect_code(0);
    let client = scene.client();
    let name = client.file_stem().unwrap().to_str().unwrap();
    home.run(&["client", "rename", name, "desk"]).expect_code(0);

    for path in [home.profile("renamed"), home.client("desk"), home.vault_dir().join("vault.json")] {
        assert_eq!(read(&path)["a_later_field"], later, "{}", path.display());
    }
    home.run(&["verify"])
        .expect_code(0)
        .expect_said("profile `renamed` has fields that this version does not know, and keeps: a_later_field")
        .expect_said("client `desk` has fields")
        .expect_said("the manifest has fields");
    home.run(&["token", "renamed", "--refresh"]).expect_code(0).expect_unsaid("a_later_field");
}

#[test]
fn a_variable_that_loads_code_is_refused_even_under_a_mac() {
    let scene = Scene::new();
    let home = &scene.home;
    let asked = scene.provider.requests().len();
    let work = home.profile("work");
    let before = std::fs::read(&work).unwrap();
    for name in ["LD_PRELOAD", "PATH", "BASH_ENV", "NODE_OPTIONS", "GIT_SSH_COMMAND", "https_proxy"] {
        edit(&work, |document| document["exports"] = json!({ name: "access_token" }));
        forge::sign(home, &work);

        for command in [&["exec", "work", "--", "true"][..], &["env", "work"], &["token", "work"]] {
            let run = home.run(command);
            assert_eq!((run.code, run.stdout.as_str()), (6, ""), "{name}: {}", run.stderr);
        }
        std::fs::write(&work, &before).unwrap();
    }
    assert_eq!(scene.provider.requests().len(), asked);
}

#[test]
fn other_spaces_another_order_and_other_line_ends_change_nothing() {
    let scene = Scene::new();
    let home = &scene.home;
    for path in [home.profile("work"), scene.client(), home.vault_dir().join("vault.json")] {
        let reversed: Vec<String> = read(&path)
            .as_object()
            .unwrap()
            .iter()
            .rev()
            .map(|(name, value)| format!("\t{} :\r\n\t\t{value}", json!(name)))
            .collect();
        fs::write(&path, format!("\r\n{{\r\n{}\r\n}}\r\n", reversed.join(" ,\r\n"))).unwrap();
    }

    home.run(&["verify"]).expect_code(0);
    home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn clients_that_change_places_are_refused() {
    let scene = Scene::new();
    let home = &scene.home;
    let secret = home.write("web.secret", "GOCSPX-web-secret\n");
    home.run(&[
        "client",
        "add",
        "--name",
        "web",
        "--issuer",
        &scene.provider.issuer(),
        "--insecure-loopback",
        "--client-id",
        "web",
        "--client-secret-file",
        secret.to_str().unwrap(),
    ])
    .expect_code(0);
    let desktop = scene.home.files("data/vault/clients").into_iter().find(|path| *path != home.client("web"));
    let desktop = desktop.unwrap();

    let (a, b) = (fs::read(&desktop).unwrap(), fs::read(home.client("web")).unwrap());
    fs::write(&desktop, b).unwrap();
    fs::write(home.client("web"), a).unwrap();

    home.run(&["edit", "work", "--client", "web"]).expect_code(6);
    home.run(&["verify"]).expect_code(6);
}

#[test]
fn a_cached_token_of_somebody_else_is_not_used() {
    let scene = Scene::new();
    let home = &scene.home;
    let tokens = home.files("cache");
    let [first, second] = &tokens[..] else { panic!("two cached tokens: {tokens:?}") };
    let (a, b) = (fs::read(first).unwrap(), fs::read(second).unwrap());
    let before: Vec<String> =
        ["work", "other"].map(|name| home.run(&["token", name]).answer()).into_iter().collect();

    fs::write(first, &b).unwrap();
    fs::write(second, &a).unwrap();

    for (name, old) in ["work", "other"].iter().zip(before) {
        let asked = scene.provider.count(Endpoint::Token);
        let token = home.run(&["token", name]).expect_said("warning").answer();
        assert_ne!(token, old);
        assert!(scene.provider.is_live_access_token(&token));
        assert_eq!(scene.provider.count(Endpoint::Token), asked + 1);
    }
}
