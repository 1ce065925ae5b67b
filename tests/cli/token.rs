//! `vault token`: what it costs, what it keeps, and what it refuses.

use std::fs::File;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::expiry::{
    self, API_KEY, Snapshot, assert_no_stray_file, assert_nothing_lost, expired, expired_at,
    expired_without_rotation, refresh_token, refreshes,
};
use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Fault, Provider};

#[test]
fn a_fresh_token_costs_no_request() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let before = provider.count(Endpoint::Token);

    let token = home.run(&["token", "work"]).answer();

    assert!(provider.is_live_access_token(&token));
    assert_eq!(provider.count(Endpoint::Token), before);
}

#[test]
fn a_fresh_token_costs_no_lock_and_writes_nothing() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    std::fs::remove_dir_all(home.vault_dir().join("locks")).unwrap();
    let before = Snapshot::of(&home);

    let _ = home.run(&["token", "work"]).answer();

    assert!(!home.vault_dir().join("locks").exists());
    before.assert_unchanged(&home);
}

#[test]
fn a_fresh_token_opens_one_item_and_a_refresh_two_of_this_profile() {
    let (_provider, home) = expired();

    assert_eq!(opened(home.run(&["-vvv", "token", "work"])), ["refresh_token", "client_secret"]);
    assert_eq!(opened(home.run(&["-vvv", "token", "work"])), ["access_token"]);
}

fn opened(run: Run) -> Vec<String> {
    let run = run.expect_code(0);
    let fields = run.stderr.lines().filter_map(|line| line.split_once("opening ")?.1.split(' ').next());
    fields.map(str::to_owned).collect()
}

#[test]
fn an_expired_token_costs_one_request_and_the_next_call_none() {
    let (provider, home) = expired();

    let token = home.run(&["token", "work"]).answer();

    assert!(provider.is_live_access_token(&token));
    assert_eq!(home.run(&["token", "work"]).answer(), token);
    assert_eq!(refreshes(&provider), 1);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_token_of_less_than_a_minute_is_answered_with_a_warning_and_asked_for_again() {
    let (provider, home) = expired_at(Config { expires_in: 30, ..Config::default() });

    for count in 1..=2 {
        let run = home.run(&["token", "work"]).expect_said("warning: the provider's token works for only");
        assert!(provider.is_live_access_token(&run.answer()));
        assert_eq!(refreshes(&provider), count);
    }
    assert_nothing_lost(&provider, &home);
}

#[test]
fn refresh_asks_although_the_cached_token_is_fresh() {
    let (provider, home) = expired();
    let first = home.run(&["token", "work"]).answer();

    let second = home.run(&["token", "work", "--refresh"]).answer();

    assert_ne!(first, second);
    assert_eq!(home.run(&["token", "work"]).answer(), second);
    assert_eq!(refreshes(&provider), 2);
}

#[test]
fn min_ttl_asks_only_if_less_than_that_is_left() {
    let (provider, home) = expired();
    let first = home.run(&["token", "work"]).answer();

    let enough = home.run(&["token", "work", "--min-ttl", "50m"]).expect_unsaid("warning").answer();
    assert_eq!((enough, refreshes(&provider)), (first.clone(), 1));

    let best = home.run(&["token", "work", "--min-ttl", "2h"]).expect_said("works for only").answer();
    assert_ne!(best, first);
    assert_eq!(refreshes(&provider), 2);
}

#[test]
fn a_token_of_unknown_life_is_answered_and_not_cached() {
    let (provider, home) = expired();
    provider.amend(Endpoint::Token, json!({"expires_in": null}));

    for count in 1..=2 {
        let run = home.run(&["token", "work"]).expect_said("does not say how long this token works");
        assert!(provider.is_live_access_token(&run.answer()));
        assert_eq!(refreshes(&provider), count);
    }
    assert_nothing_lost(&provider, &home);
}

#[test]
fn an_answer_without_a_new_refresh_token_leaves_the_profile_as_it_is() {
    let (provider, home) = expired_without_rotation();
    let kept = refresh_token(&home);
    let before = std::fs::read(home.profile("work")).unwrap();

    for again in [json!({}), json!({"refresh_token": ""}), json!({"refresh_token": kept})] {
        provider.script(Endpoint::Token, vec![Fault::CommitThenAmend(again.clone())]);
        let _ = home.run(&["token", "work", "--refresh"]).answer();
        assert_eq!(std::fs::read(home.profile("work")).unwrap(), before, "{again}");
    }
    // A patch cannot set a member to null, so this answer is written out.
    let null =
        json!({"access_token": "ya29.x", "token_type": "Bearer", "expires_in": 3599, "refresh_token": null});
    provider.script(Endpoint::Token, vec![Fault::json(200, &null)]);
    assert_eq!(home.run(&["token", "work", "--refresh"]).answer(), "ya29.x");

    assert_eq!(std::fs::read(home.profile("work")).unwrap(), before);
    assert_eq!(refresh_token(&home), kept);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_new_refresh_token_is_saved_before_the_answer() {
    let (provider, home) = expired();
    let mut command = home.command(&["token", "work"]);
    command.stdout(Stdio::from(File::options().write(true).open("/dev/full").unwrap()));

    let status = command.stderr(Stdio::null()).status().unwrap();

    assert_eq!(status.code(), Some(10));
    assert_nothing_lost(&provider, &home);
    assert_eq!(refreshes(&provider), 1);
}

#[test]
fn a_new_refresh_token_is_a_new_generation() {
    let (_provider, home) = expired();
    let generation = document(&home)["generation"].as_u64().unwrap();

    let _ = home.run(&["token", "work"]).answer();

    let after = document(&home);
    assert_eq!(after["generation"].as_u64().unwrap(), generation + 1);
    assert!(after["grant"]["refreshed_at"].is_string());
}

fn document(home: &Home) -> Value {
    serde_json::from_slice(&std::fs::read(home.profile("work")).unwrap()).unwrap()
}

#[test]
fn a_narrower_answer_is_a_warning() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser", "--scope", "mail", "--scope", "files"];
    arguments.extend(options.iter().map(String::as_str));
    let _ = home.consent(&arguments).expect_code(0);
    provider.script(Endpoint::Token, vec![Fault::CommitThenAmend(json!({"scope": "mail"}))]);

    let run = home.run(&["token", "work", "--refresh"]).expect_code(0);

    let _ = run.expect_said("warning: the grant does not have these scopes").expect_said("files");
}

#[test]
fn a_token_of_another_account_is_not_handed_out() {
    let (provider, home) = expired();
    provider
        .configure(|config| config.id_token_claims = json!({"sub": "1002", "email": "other@example.com"}));
    let before = std::fs::read(home.profile("work")).unwrap();

    let _ = home.run(&["token", "work"]).expect_code(7).expect_said("other@example.com");

    assert_eq!(std::fs::read(home.profile("work")).unwrap(), before);
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
}

#[test]
fn a_bad_id_token_is_refused_and_the_new_refresh_token_kept_all_the_same() {
    let (provider, home) = expired();
    provider.configure(|config| config.id_token_claims = json!({"aud": "somebody-else"}));

    let _ = home.run(&["token", "work"]).expect_code(7).expect_said("ID token");

    assert_nothing_lost(&provider, &home);
    provider.configure(|config| config.id_token_claims = json!({}));
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn an_older_copy_is_refused_until_the_user_accepts_it() {
    let (provider, home) = expired_without_rotation();
    let old = std::fs::read(home.profile("work")).unwrap();
    let key = home.write("api.key", "another-key");
    let _ = home.run(&["edit", "work", "--api-key-file", key.to_str().unwrap()]).expect_code(0);
    std::fs::write(home.profile("work"), old).unwrap();

    let refused = home.run(&["token", "work"]).expect_code(6);
    let _ = refused.expect_said("generation 2, not 3 or later").expect_said("vault verify --accept-rollback");
    assert_eq!(refreshes(&provider), 0);

    let _ = home.run(&["verify", "--accept-rollback"]).expect_code(0).expect_said("Accepted 1 older");
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_cached_token_that_was_changed_is_replaced_with_one_warning() {
    let (provider, home) = expired();
    let _ = home.run(&["token", "work"]).answer();
    let cached = home.files("cache").pop().unwrap();
    let mut document: Value = serde_json::from_slice(&std::fs::read(&cached).unwrap()).unwrap();
    document["expires_at"] = json!("3026-01-01T00:00:00Z");
    std::fs::write(&cached, document.to_string()).unwrap();

    let run = home.run(&["token", "work"]).expect_code(0);

    assert_eq!(run.stderr.matches("changed outside vault").count(), 1, "{}", run.stderr);
    assert!(provider.is_live_access_token(&run.answer()));
    assert_eq!(refreshes(&provider), 2);
    let _ = home.run(&["token", "work"]).expect_unsaid("warning").answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_cache_that_cannot_be_written_is_a_warning() {
    let (provider, home) = expired();
    std::fs::remove_dir_all(home.path("cache")).unwrap();
    home.write("cache", "in the way");

    let run = home.run(&["token", "work"]).expect_said("warning: the token could not be cached");

    assert!(provider.is_live_access_token(&run.answer()));
    assert_eq!(refresh_token(&home), *provider.live_refresh_tokens().last().unwrap());
}

#[test]
fn no_file_holds_a_token_in_the_clear() {
    let (provider, home) = expired();

    let _ = home.run(&["-vvv", "token", "work"]).answer();

    let issued = provider.issued();
    let files = ["data", "state", "cache"].iter().flat_map(|folder| home.files(folder));
    for path in files {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(issued.iter().all(|secret| !text.contains(secret)), "{}", path.display());
    }
    let said = home.run(&["-vvv", "token", "work", "--refresh"]).expect_code(0).stderr;
    assert!(provider.issued().iter().all(|secret| !said.contains(secret)));
    assert_no_stray_file(&home);
}

/// Root may write everywhere, so the program runs as somebody else where the tests run as root.
#[test]
fn a_fresh_token_needs_no_right_to_write() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let Some(mut command) = expiry::as_ordinary_user(&home, &["token", "work"]) else { return };
    expiry::forbid_writing(&home.vault_dir());

    let output = command.output().unwrap();
    expiry::allow_writing(&home.vault_dir());

    let token = Run::of(&["token", "work"], output).answer();
    assert!(provider.is_live_access_token(&token));
}

#[test]
fn a_vault_that_cannot_be_written_is_noticed_before_the_request() {
    let (provider, home) = expired();
    for (read_only, said) in [
        (home.profile("work"), "cannot change"),
        (home.vault_dir().join("profiles"), "cannot change"),
        (expiry::second(&home).parent().unwrap().to_owned(), "cannot create"),
    ] {
        let Some(mut command) = expiry::as_ordinary_user(&home, &["token", "work"]) else { return };
        expiry::forbid_writing(&read_only);

        let output = command.output().unwrap();
        expiry::allow_writing(&read_only);

        let _ = Run::of(&["token", "work"], output).expect_code(10).expect_said(said);
        assert_eq!(refreshes(&provider), 0);
        assert_eq!(provider.families_revoked(), []);
    }
}

#[test]
fn an_exported_refresh_token_is_the_one_that_works_after_the_refresh() {
    let (provider, home) = expired();

    let answer = home.run(&["env", "work", "--json", "--set", "RT=refresh_token"]).answer();

    let variables: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let exported = variables["RT"].as_str().unwrap().to_owned();
    assert!(provider.live_refresh_tokens().contains(&exported), "{exported}");
}
