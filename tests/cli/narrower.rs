//! `--scope`: a token for less than the whole login, and what is kept of it.

use serde_json::{Value, json};

use crate::expiry::{assert_no_stray_file, refresh_token, refreshes};
use crate::home::Home;
use crate::provider::{Config, Endpoint, Fault, Provider, Request, Rotation};
use crate::{forge, scene};

/// A login with the scopes that come by themselves and two more.
fn broad(config: Config) -> (Provider, Home) {
    let provider = Provider::start(config);
    let home = Home::new();
    let client = home.desktop(&provider);
    let mut arguments =
        vec!["add-profile", "work", "--no-browser", "--scope", "mail.read", "--scope", "mail.send"];
    arguments.extend(client.iter().map(String::as_str));
    let _ = home.consent(&arguments).expect_code(0);
    provider.forget_requests();
    (provider, home)
}

/// The grant is whole, and the vault holds the refresh token that works.
#[track_caller]
fn assert_nothing_lost(provider: &Provider, home: &Home) {
    assert_eq!(provider.families_revoked(), []);
    assert_eq!(refresh_token(home), *provider.live_refresh_tokens().last().unwrap());
    assert_no_stray_file(home);
}

/// How many cached tokens can be trusted, as `vault verify` says.
fn verified(home: &Home) -> Value {
    let told: Value = serde_json::from_str(&home.run(&["verify", "--json"]).answer()).unwrap();
    told["verified"]["tokens"].clone()
}

/// The token requests that were refreshes.
fn scopes_asked(provider: &Provider) -> Vec<Option<String>> {
    let is_refresh = |request: &&Request| request.field("grant_type") == Some("refresh_token");
    let requests = provider.requests_to(Endpoint::Token);
    requests.iter().filter(is_refresh).map(|request| request.field("scope").map(str::to_owned)).collect()
}

fn cached_files(home: &Home) -> Vec<std::path::PathBuf> {
    home.files("cache").into_iter().filter(|path| path.extension().is_some_and(|it| it == "json")).collect()
}

/// The files of tokens that are not the plain one.
fn variants(home: &Home) -> Vec<std::path::PathBuf> {
    let is_variant = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().contains('_');
    cached_files(home).into_iter().filter(is_variant).collect()
}

fn scopes_of(home: &Home, arguments: &[&str]) -> Value {
    let run = home.run(&[&["token", "work", "--json"], arguments].concat()).expect_unsaid("warning");
    serde_json::from_str::<Value>(&run.answer()).unwrap()["scopes"].clone()
}

#[test]
fn a_narrower_token_has_exactly_the_scopes_that_were_named_and_is_cached_apart() {
    let (provider, home) = broad(Config::default());
    let plain = home.run(&["token", "work"]).answer();

    let narrow = home.run(&["token", "work", "--scope", "mail.read"]).expect_unsaid("warning").answer();

    assert!(provider.is_live_access_token(&narrow));
    assert_eq!(scopes_asked(&provider), [Some("mail.read".to_owned())]);
    assert_eq!(scopes_of(&home, &["--scope", "mail.read"]), json!(["mail.read"]));
    assert_eq!(home.run(&["token", "work", "--scope", "mail.read"]).answer(), narrow);
    assert_eq!(home.run(&["token", "work"]).answer(), plain, "the plain token is not replaced");
    assert_eq!(refreshes(&provider), 1);
    // In whatever order and however often they are named.
    let two = home.run(&["token", "work", "--scope", "mail.read mail.send"]).answer();
    let again = ["token", "work", "--scope", "mail.send", "--scope", "mail.read", "--scope", "mail.read"];
    assert_eq!(home.run(&again).answer(), two);
    assert_ne!(two, narrow);
    assert_eq!(refreshes(&provider), 2);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn what_was_not_granted_is_not_asked_for() {
    let (provider, home) = broad(Config::default());
    let run = home.run(&["token", "work", "--scope", "mail.read", "--scope", "mail.delete"]).expect_code(7);

    let run = run.expect_said("does not cover the scope mail.delete");
    let _ = run.expect_said("vault login work --scope mail.delete");
    assert_eq!(provider.requests().len(), 0);
    for command in ["env", "exec"] {
        let arguments = [command, "work", "--scope", "mail.delete"];
        let tail: &[&str] = if command == "exec" { &["--", "true"] } else { &[] };
        let _ = home.run(&[&arguments[..], tail].concat()).expect_code(7);
    }
    let _ = home.run(&["token", "work", "--scope", ""]).expect_code(2);
    let _ = home.run(&["token", "work", "--scope", "a\"b"]).expect_code(2);
}

#[test]
fn short_names_are_those_of_the_provider_and_it_is_asked_in_the_names_that_it_granted() {
    let (provider, home) = broad(Config::default());
    let key = forge::vault_key(&home);
    let mut document = scene::read(&home.profile("work"));
    document["provider"] = "google".into();
    let granted =
        ["https://www.googleapis.com/auth/userinfo.email", "https://www.googleapis.com/auth/drive", "openid"];
    document["scopes"]["granted"] = json!(granted);
    forge::sign_with(&key, &mut document);
    scene::write(&home.profile("work"), &document);

    // Included in `drive`, which is not the same as granted.
    let run = home.run(&["token", "work", "--scope", "drive.readonly"]).expect_code(7);
    let _ = run.expect_said("https://www.googleapis.com/auth/drive.readonly");
    assert_eq!(scopes_asked(&provider), [] as [Option<String>; 0]);

    // The server has granted something else here, and says so.
    let _ = home.run(&["token", "work", "--scope", "drive", "--scope", "email"]).expect_code(7);
    assert_eq!(scopes_asked(&provider), [Some(granted[1].to_owned() + " " + granted[0])]);
}

#[test]
fn a_provider_that_gives_more_or_less_than_asked_is_told_each_time() {
    let (provider, home) = broad(Config::default());
    for (answered, said) in [
        ("mail.read mail.send", "has more scopes than were asked for: mail.send"),
        ("calendar", "does not have these scopes: mail.read"),
    ] {
        provider.script(Endpoint::Token, vec![Fault::CommitThenAmend(json!({"scope": answered}))]);
        let _ = home.run(&["token", "work", "--scope", "mail.read", "--refresh"]).expect_said(said).answer();

        let cached =
            home.run(&["token", "work", "--scope", "mail.read", "--json"]).expect_said(said).answer();
        let told: Value = serde_json::from_str(&cached).unwrap();
        assert_eq!(told["scopes"], json!(answered.split(' ').collect::<Vec<_>>()));
    }
    // RFC 6749, 5.1: as asked, if it says nothing.
    provider.amend(Endpoint::Token, json!({"scope": null}));
    let _ =
        home.run(&["token", "work", "--scope", "mail.read", "--refresh"]).expect_unsaid("warning").answer();
    assert_eq!(scopes_of(&home, &["--scope", "mail.read"]), json!(["mail.read"]));
}

#[test]
fn an_answer_that_names_no_scope_is_for_those_that_were_asked_for() {
    let (provider, home) = broad(Config::default());
    provider.amend(Endpoint::Token, json!({"scope": null}));

    assert_eq!(scopes_of(&home, &["--scope", "mail.read"]), json!(["mail.read"]));
    let whole = scopes_of(&home, &["--refresh"]);
    assert!(whole.as_array().unwrap().len() > 2, "{whole}");
    assert_nothing_lost(&provider, &home);
}

#[test]
fn neither_the_plain_token_nor_a_narrower_one_takes_the_place_of_the_other() {
    let (provider, home) = broad(Config::default());
    let token = |more: &[&str]| home.run(&[&["token", "work"], more].concat()).answer();
    let narrow = ["--scope", "mail.read"];
    let first = (token(&[]), token(&narrow));

    let plain = token(&["--refresh"]);
    assert_eq!((token(&[]), token(&narrow)), (plain.clone(), first.1.clone()));
    let narrower = token(&["--scope", "mail.read", "--refresh"]);
    assert_eq!((token(&[]), token(&narrow)), (plain.clone(), narrower.clone()));

    let all = std::collections::BTreeSet::from([first.0, first.1, plain, narrower]);
    assert_eq!((all.len(), refreshes(&provider)), (4, 3));
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_refresh_token_that_is_rotated_with_a_narrower_one_is_kept() {
    for rotation in [Rotation::Rotate { grace_secs: 0 }, Rotation::None] {
        let (provider, home) = broad(Config { rotation, ..Config::default() });
        let _ = home.run(&["token", "work", "--scope", "mail.read"]).answer();
        assert_nothing_lost(&provider, &home);

        let _ = home.run(&["token", "work", "--refresh"]).answer();

        assert!(provider.families_revoked().is_empty());
        assert_eq!(scopes_asked(&provider), [Some("mail.read".to_owned()), None]);
        assert_eq!(scopes_of(&home, &[]), json!(["email", "mail.read", "mail.send", "openid"]));
        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn a_server_that_does_not_narrow_costs_nothing() {
    let (provider, home) = broad(Config::default());
    provider.script(Endpoint::Token, vec![Fault::json(400, &json!({"error": "invalid_scope"}))]);

    let _ =
        home.run(&["token", "work", "--scope", "mail.read"]).expect_code(7).expect_said("the grant is kept");

    assert_eq!(variants(&home).len(), 0);
    let _ = home.run(&["token", "work", "--refresh"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn env_and_exec_hand_out_the_narrower_token() {
    let (provider, home) = broad(Config::default());
    let narrow = home.run(&["token", "work", "--scope", "mail.read"]).answer();

    let env = home.run(&["env", "work", "--scope", "mail.read"]).answer();
    assert!(env.contains(&narrow), "{env}");
    let echo = ["sh", "-c", "echo $OAUTH_ACCESS_TOKEN"];
    let exec = [&["exec", "work", "--scope", "mail.read", "--"], &echo[..]].concat();
    assert_eq!(home.run(&exec).answer(), narrow);
    let file = [
        &["exec", "work", "--scope", "mail.read", "--token-file", "--"],
        &["sh", "-c", "cat $OAUTH_ACCESS_TOKEN_FILE"][..],
    ];
    assert_eq!(home.run(&file.concat()).answer(), narrow);
    assert_eq!(refreshes(&provider), 1);
}

#[test]
fn swapped_files_of_the_cache_do_nothing() {
    let (provider, home) = broad(Config::default());
    let plain = home.run(&["token", "work"]).answer();
    let narrow = home.run(&["token", "work", "--scope", "mail.read"]).answer();
    let other = home.run(&["token", "work", "--scope", "mail.send"]).answer();
    let files = cached_files(&home);
    assert_eq!(files.len(), 3, "{files:?}");
    let contents: Vec<_> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for (at, path) in files.iter().enumerate() {
        std::fs::write(path, &contents[(at + 1) % contents.len()]).unwrap();
    }

    let old = [plain, narrow, other];
    for arguments in [&[][..], &["--scope", "mail.read"], &["--scope", "mail.send"]] {
        let run = home.run(&[&["token", "work"], arguments].concat());
        let answer = run.expect_said("was changed outside vault").answer();
        assert!(!old.contains(&answer), "{arguments:?}");
    }
    assert_eq!(scopes_of(&home, &["--scope", "mail.read"]), json!(["mail.read"]));
    assert_nothing_lost(&provider, &home);
}

#[test]
fn whatever_forgets_a_login_forgets_its_narrower_tokens() {
    let forgetting: [&[&str]; 4] = [
        &["logout", "work"],
        &["logout", "work", "--local-only"],
        &["remove", "work", "--yes"],
        &["edit", "work", "--account", "else@example.com", "--forget-login"],
    ];
    for arguments in forgetting {
        let (_provider, home) = broad(Config::default());
        let _ = home.run(&["token", "work", "--scope", "mail.read"]).answer();
        assert_eq!(variants(&home).len(), 1, "{arguments:?}");

        let _ = home.run(arguments).expect_code(0);

        assert_eq!(cached_files(&home), [] as [std::path::PathBuf; 0], "{arguments:?}");
    }
}

#[test]
fn a_new_login_leaves_no_narrower_token_of_the_one_before() {
    let (provider, home) = broad(Config::default());
    let narrow = home.run(&["token", "work", "--scope", "mail.read"]).answer();

    let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    provider.forget_requests();

    assert_eq!(variants(&home).len(), 0);
    assert_ne!(home.run(&["token", "work", "--scope", "mail.read"]).answer(), narrow);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_rename_and_a_rotation_of_the_key_keep_narrower_tokens_and_verify_counts_them() {
    let (provider, home) = broad(Config::default());
    let narrow = home.run(&["token", "work", "--scope", "mail.read"]).answer();
    let _ = home.run(&["token", "work", "--id-token"]).answer();
    let before: Vec<_> = cached_files(&home).iter().map(|path| scene::read(path)["kid"].clone()).collect();

    let _ = home.run(&["rename", "work", "home"]).expect_code(0);
    let _ = home.run(&["rotate", "key"]).expect_code(0);

    let after: Vec<_> = cached_files(&home).iter().map(|path| scene::read(path)["kid"].clone()).collect();
    assert_eq!(after.len(), 3);
    assert!(before.iter().all(|kid| !after.contains(kid)), "all are under the new key");
    assert_eq!(home.run(&["token", "home", "--scope", "mail.read"]).answer(), narrow);
    assert_eq!(refreshes(&provider), 1);
    assert_eq!(verified(&home), 3);
    let [one, two] = &variants(&home)[..] else { panic!("two variants") };
    std::fs::copy(one, two).unwrap();
    assert_eq!(verified(&home), 2, "a token under the name of another is none");
}

#[test]
fn tokens_for_purposes_that_have_passed_do_not_pile_up() {
    let (provider, home) = broad(Config::default());
    let _ = home.run(&["token", "work", "--scope", "mail.read"]).answer();
    let model = variants(&home);
    let key = forge::vault_key(&home);
    // As if there had been a hundred purposes, all of them fresh; and some that have ended.
    let document =
        model.iter().map(|path| scene::read(path)).find(|it| it["purpose"]["type"] == "scopes").unwrap();
    let id = document["id"].as_str().unwrap().to_owned();
    let folder = model[0].parent().unwrap();
    let fake = |number: usize, ends: &str| {
        let mut document = document.clone();
        document["purpose"]["scopes"] = json!([format!("scope-{number}")]);
        document["obtained_at"] = json!(format!("2026-01-01T00:{:02}:{:02}Z", number / 60, number % 60));
        document["expires_at"] = json!(ends);
        forge::sign_with(&key, &mut document);
        scene::write(&folder.join(format!("{id}_{number:032x}.json")), &document);
    };
    (0..100).for_each(|number| fake(number, "2099-01-01T00:00:00Z"));
    (100..120).for_each(|number| fake(number, "2026-01-01T00:00:00Z"));

    let _ = home.run(&["token", "work", "--scope", "mail.send"]).answer();

    let left = variants(&home);
    assert_eq!(left.len(), 64);
    let is_left = |number: usize| left.contains(&folder.join(format!("{id}_{number:032x}.json")));
    assert!(!is_left(0) && is_left(99) && !is_left(100), "the oldest go, and those that have ended");
    assert_eq!(scopes_of(&home, &["--scope", "mail.send"]), json!(["mail.send"]));
    assert_eq!(refreshes(&provider), 2);
}
