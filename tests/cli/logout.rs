//! `vault logout`: the provider ends the grant, and only then it is forgotten.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json as value};

use crate::expiry::{
    API_KEY, LONG, assert_no_stray_file, beside, expired, finish, refresh_token, start, start_and_hold,
    state_dir,
};
use crate::forge;
use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Fault, Provider, Request, RevokedBecause};
use crate::rescue::{refresh_without, rescued};
use crate::slots::{expect_end, on_terminal};
use crate::tree::{json, stored};

/// Asserts that nothing of a login is left in the vault, and everything else is.
#[track_caller]
fn assert_logged_out(home: &Home, name: &str) {
    let profile = json(home.profile(name));
    assert_eq!(profile["grant"], Value::Null);
    assert_eq!(profile["secrets"].get("refresh_token"), None);
    assert_eq!(cached(home, name), None);
    home.run(&["token", name]).expect_code(5).expect_said("is not logged in").expect_said("vault login");
    home.run(&["verify"]).expect_code(0);
    assert_no_stray_file(home);
}

/// The cached token of a profile.
pub fn cached(home: &Home, name: &str) -> Option<PathBuf> {
    let profile = json(home.profile(name));
    let id = profile["id"].as_str().unwrap();
    home.files("cache").into_iter().find(|file| file.to_str().unwrap().contains(id))
}

/// Runs what must fail with `code` and change nothing.
#[track_caller]
fn kept(home: &Home, arguments: &[&str], code: i32) -> Run {
    let before = stored(home);
    let run = home.run(arguments).expect_code(code);
    assert!(stored(home) == before, "{}", run.stderr);
    run
}

/// The tokens that were sent to the revocation endpoint, and what they were said to be.
fn revocations(provider: &Provider) -> Vec<(String, String)> {
    let field = |request: &Request, name: &str| request.field(name).unwrap().to_owned();
    let asked = provider.requests_to(Endpoint::Revoke);
    asked.iter().map(|request| (field(request, "token"), field(request, "token_type_hint"))).collect()
}

/// A user with these profiles, all of one client at a provider that has Google's ways and is taken for
/// Google; `other@example.com` consented to those that begin with an `o`.
pub fn at_google(names: &[&str]) -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    for name in names {
        if name.starts_with('o') {
            provider.next_user("other@example.com");
        }
        home.add_profile(&provider, name).expect_code(0);
    }
    provider.configure(|config| {
        config.google_habits = true;
        config.rotation = crate::provider::Rotation::None;
    });
    for document in [home.files("data/vault/clients"), home.files("data/vault/profiles")].concat() {
        rewrite(&home, &document, |document| document["provider"] = "google".into());
    }
    provider.forget_requests();
    (provider, home)
}

/// Changes a document as its owner could.
fn rewrite(home: &Home, path: &std::path::Path, change: impl FnOnce(&mut Value)) {
    let mut document = json(path);
    change(&mut document);
    std::fs::write(path, document.to_string()).unwrap();
    forge::sign(home, path);
}

#[test]
fn a_logout_revokes_the_refresh_token_and_then_forgets_the_login() {
    let (provider, home) = expired();
    let token = refresh_token(&home);

    home.run(&["logout", "work"]).expect_code(0).expect_said("its grant is revoked");

    assert_eq!(revocations(&provider), [(token, "refresh_token".to_owned())]);
    assert_eq!(provider.families_revoked()[0].because, RevokedBecause::ByClient);
    assert_eq!(provider.count(Endpoint::Token), 0, "nothing else was asked");
    assert_logged_out(&home, "work");
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
    home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    home.run(&["token", "work"]).answer();
}

#[test]
fn what_has_ended_at_the_provider_already_is_forgotten_here() {
    let (provider, home) = expired();
    // As other servers answer, and as Google does.
    provider.revoke_user_grant("desktop", "me@example.com");
    home.run(&["token", "work"]).expect_code(5);
    let run = home.run(&["--json", "logout", "work"]);
    let answer: Value = serde_json::from_str(&run.answer()).unwrap();
    assert_eq!(
        answer,
        value!({"version": 1, "profiles": [{"name": "work", "grant": "revoked", "ended_with_it": []}]})
    );
    assert_logged_out(&home, "work");
    assert_eq!(provider.count(Endpoint::Revoke), 1, "a grant that was called dead may be alive");

    let (provider, home) = at_google(&["work"]);
    provider.revoke_user_grant("desktop", "me@example.com");
    home.run(&["logout", "work"]).expect_code(0);
    assert_logged_out(&home, "work");
}

#[test]
fn a_provider_that_cannot_be_asked_leaves_the_login_as_it_is() {
    let (provider, home) = expired();
    for (faults, said) in [
        (vec![Fault::unavailable(7)], "try again in 7 seconds"),
        (vec![Fault::too_many_requests(60)], "HTTP status 429"),
        (vec![Fault::html(502)], "HTTP status 502"),
        (vec![Fault::ResetBefore, Fault::ResetBefore], "was lost"),
    ] {
        provider.script(Endpoint::Revoke, faults);
        let run = kept(&home, &["logout", "work"], 8);
        let _ = run.expect_said(said).expect_said("it is kept").expect_said("--local-only");
        assert_eq!(provider.faults_left(Endpoint::Revoke), 0);
    }
    home.run(&["token", "work"]).answer();

    drop(provider);
    kept(&home, &["logout", "work"], 8).expect_said("cannot reach");
}

#[test]
fn a_revocation_whose_answer_is_lost_is_asked_for_once_more() {
    let (provider, home) = expired();
    provider.script(Endpoint::Revoke, vec![Fault::CommitThenReset]);

    home.run(&["logout", "work"]).expect_code(0).expect_said("asking once more");

    assert_eq!(provider.count(Endpoint::Revoke), 2);
    assert_logged_out(&home, "work");
}

#[test]
fn a_provider_that_refuses_or_makes_no_sense_leaves_the_login_as_it_is() {
    let (provider, home) = expired();
    let elsewhere = Provider::start(Config::default());
    for (fault, code, said) in [
        (Fault::bad_secret(), 7, "client secret is invalid"),
        (Fault::error(400, "unauthorized_client", "not yours"), 7, "not yours"),
        (Fault::html(404), 9, "HTTP status 404"),
        (Fault::Redirect(elsewhere.url("/revoke")), 9, "redirects"),
        (Fault::oversized(2 << 20), 9, "longer than 1 MiB"),
    ] {
        provider.script(Endpoint::Revoke, vec![fault]);
        kept(&home, &["logout", "work"], code).expect_said(said).expect_said("--local-only");
    }
    assert_eq!(elsewhere.requests().len(), 0);
    home.run(&["token", "work"]).answer();
}

#[test]
fn a_local_logout_asks_nobody_and_says_what_lives_on() {
    let (provider, home) = expired();

    let run = home.run(&["logout", "work", "--local-only"]).expect_code(0);

    let _ = run.expect_said("warning: the provider was not asked").expect_said("lives on there");
    assert_eq!(provider.count(Endpoint::Revoke), 0);
    assert_eq!(provider.live_refresh_tokens().len(), 1);
    assert_logged_out(&home, "work");
}

#[test]
fn a_provider_that_cannot_revoke_is_named_with_its_page_for_connected_apps() {
    let unsupported = || Fault::error(400, "unsupported_token_type", "");
    let (provider, home) = expired();
    provider.script(Endpoint::Revoke, vec![unsupported()]);
    let run = home.run(&["logout", "work"]).expect_code(0);
    let _ =
        run.expect_said("does not revoke such tokens").expect_said("the provider's page for connected apps");
    assert_logged_out(&home, "work");

    let (provider, home) = at_google(&["work", "twin"]);
    provider.script(Endpoint::Revoke, vec![unsupported()]);
    let run = home.run(&["logout", "work", "--yes"]).expect_code(0);
    let _ = run.expect_said("https://myaccount.google.com/connections").expect_unsaid("twin");
    assert_logged_out(&home, "work");
    home.run(&["token", "twin", "--refresh"]).expect_code(0);

    let provider = Provider::start(Config::default());
    let home = Home::new();
    let (authorize, token) = (provider.url("/authorize"), provider.url("/token"));
    let client = ["--insecure-loopback", "--client-id", "public", "--client-auth", "none"];
    let urls = ["--auth-url", &authorize, "--token-url", &token, "--scope", "mail"];
    home.consent(&[&["add-profile", "work", "--no-browser"], &client[..], &urls].concat()).expect_code(0);
    let run = home.run(&["logout", "work"]).expect_code(0);
    let _ = run.expect_said("has no address where tokens are revoked");
    assert_eq!(provider.count(Endpoint::Revoke), 0);
    assert_logged_out(&home, "work");
}

#[test]
fn who_is_not_logged_in_is_told_so_and_nobody_is_asked() {
    let (provider, home) = expired();
    home.run(&["add-profile", "later", "--client", "127.0.0.1", "--flow", "none"]).expect_code(0);
    let before = std::fs::read(home.profile("later")).unwrap();
    home.run(&["logout", "later"]).expect_code(0).expect_said("`later` is not logged in");
    assert_eq!(std::fs::read(home.profile("later")).unwrap(), before);
    assert_eq!(provider.count(Endpoint::Revoke), 0);

    for _ in 0..2 {
        home.run(&["logout", "work"]).expect_code(0);
    }
    assert_eq!(provider.count(Endpoint::Revoke), 1);
    home.run(&["logout", "wrok"]).expect_code(3);
}

#[test]
fn a_login_without_a_refresh_token_gives_its_access_token_back() {
    let provider = Provider::start(Config::default());
    provider.amend(Endpoint::Token, value!({"refresh_token": null}));
    let home = Home::logged_in(&provider);
    let token = home.run(&["token", "work"]).answer();

    home.run(&["logout", "work"]).expect_code(0);

    assert_eq!(revocations(&provider), [(token.clone(), "access_token".to_owned())]);
    assert!(!provider.is_live_access_token(&token));
    assert_logged_out(&home, "work");
}

#[test]
fn a_login_of_which_nothing_works_any_more_is_forgotten_without_a_word_to_the_provider() {
    let provider = Provider::start(Config { expires_in: 0, ..Config::default() });
    provider.amend(Endpoint::Token, value!({"refresh_token": null}));
    let home = Home::logged_in(&provider);

    home.run(&["logout", "work"]).expect_code(0).expect_unsaid("lives on");

    assert_eq!(provider.count(Endpoint::Revoke), 0);
    assert_logged_out(&home, "work");
}

#[test]
fn tokens_that_were_only_printed_are_taken_in_before_they_are_revoked() {
    let (provider, home, block) = rescued();
    kept(&home, &["logout", "work"], 7).expect_said("vault import-rescue").expect_said("--local-only");
    assert_eq!(provider.count(Endpoint::Revoke), 0);

    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(0);
    home.run(&["logout", "work"]).expect_code(0);

    assert!(provider.live_refresh_tokens().is_empty());
    assert_logged_out(&home, "work");
}

#[test]
fn a_local_logout_gives_up_tokens_that_were_only_printed() {
    let (_provider, home, _block) = rescued();

    home.run(&["logout", "work", "--local-only"]).expect_code(0);

    assert_logged_out(&home, "work");
    assert!(state_dir(&home).join("rescues").read_dir().unwrap().next().is_none());
    home.consent(&["login", "work", "--no-browser"]).expect_code(0);
}

#[test]
fn the_newest_token_of_an_interrupted_refresh_is_the_one_that_is_revoked() {
    let (provider, home, run) = refresh_without(|home| vec![beside(home)]);
    run.expect_code(0);
    let newest = provider.live_refresh_tokens().pop().unwrap();

    home.run(&["logout", "work"]).expect_code(0).expect_said("Completed an interrupted refresh");

    assert_eq!(revocations(&provider)[0].0, newest);
    assert!(provider.live_refresh_tokens().is_empty());
    assert_logged_out(&home, "work");
}

#[test]
fn a_logout_after_a_lost_answer_says_that_a_newer_token_may_live() {
    let (provider, home) = expired();
    provider.script(Endpoint::Token, vec![Fault::CommitThenReset, Fault::ResetBefore]);
    home.run(&["token", "work"]).expect_code(8);
    let token = refresh_token(&home);

    let run = home.run(&["logout", "work"]).expect_code(0);

    let _ = run.expect_said("warning: the answer to an earlier refresh of `work` was lost");
    assert_eq!(revocations(&provider)[0].0, token);
    assert_logged_out(&home, "work");
}

#[test]
fn profiles_that_would_lose_their_login_too_are_named_before_anything_is_revoked() {
    let (provider, home) = at_google(&["work", "twin", "nobody", "other"]);
    rewrite(&home, &home.profile("nobody"), |profile| profile["account"] = value!({}));
    home.run(&["add-profile", "later", "--client", "127.0.0.1", "--flow", "none"]).expect_code(0);

    let refused = kept(&home, &["logout", "work"], 7).expect_said("`nobody`, `twin`").expect_said("--yes");
    let _ = refused.expect_unsaid("`other`").expect_unsaid("`later`");
    assert_eq!(provider.count(Endpoint::Revoke), 0);
    let bystander = std::fs::read(home.profile("other")).unwrap();

    let done = home.run(&["logout", "work", "--yes"]).expect_code(0);

    let _ = done.expect_said("these have ended with it: `nobody`, `twin`");
    assert_logged_out(&home, "work");
    for name in ["twin", "nobody"] {
        let profile = json(home.profile(name));
        assert_eq!(profile["grant"]["state"], "dead");
        assert!(profile["secrets"]["refresh_token"].is_string(), "the bytes are kept");
        let asked = provider.count(Endpoint::Token);
        home.run(&["token", name]).expect_code(5).expect_said("no longer accepts");
        assert_eq!(provider.count(Endpoint::Token), asked, "not even the cached token is answered");
    }
    assert_eq!(std::fs::read(home.profile("other")).unwrap(), bystander);
    home.run(&["token", "other", "--refresh"]).expect_code(0);
    // What is dead already has nothing to lose.
    home.run(&["logout", "twin"]).expect_code(0);
}

#[test]
fn of_a_rename_that_was_interrupted_the_newer_half_is_the_one_that_has_ended() {
    let (_provider, home) = at_google(&["work", "twin"]);
    let (old, new) = (home.profile("twin"), home.profile("renamed"));
    std::fs::copy(&old, &new).unwrap();
    rewrite(&home, &new, |document| {
        document["name"] = "renamed".into();
        document["generation"] = (document["generation"].as_u64().unwrap() + 1).into();
    });
    let before = std::fs::read(&old).unwrap();

    home.run(&["logout", "work", "--yes"]).expect_code(0).expect_said("ended with it: `renamed`");

    assert_eq!(json(&new)["grant"]["state"], "dead");
    assert_eq!(std::fs::read(&old).unwrap(), before);
}

#[test]
fn a_login_that_had_ended_before_takes_no_later_login_with_it() {
    let (provider, home) = at_google(&["work", "twin"]);
    provider.revoke_user_grant("desktop", "me@example.com");
    home.consent(&["login", "twin", "--no-browser"]).expect_code(0);

    home.run(&["logout", "work", "--yes"]).expect_code(0).expect_unsaid("twin");

    assert_logged_out(&home, "work");
    home.run(&["token", "twin"]).answer();
    home.run(&["token", "twin", "--refresh"]).answer();
}

#[test]
fn a_login_that_may_have_ended_with_another_is_not_answered_from_the_cache() {
    let (provider, home) = at_google(&["work", "twin"]);
    // The second answer says that the token is unknown, which is so because of the first.
    provider.script(Endpoint::Revoke, vec![Fault::CommitThenReset]);

    home.run(&["logout", "work", "--yes"]).expect_code(0);

    home.run(&["token", "twin"]).expect_code(5).expect_said("no longer accepts");
}

#[test]
fn a_person_is_asked_whether_the_other_profiles_may_lose_their_login() {
    let (provider, home) = at_google(&["work", "twin"]);

    let mut terminal = on_terminal(&home, &["logout", "work"]);
    terminal.exp_string("also ends `twin`").unwrap();
    terminal.exp_string("Go on? [y/N]").unwrap();
    terminal.send_line("n").unwrap();
    assert!(expect_end(terminal, 12).contains("nothing was revoked"));
    assert_eq!(provider.count(Endpoint::Revoke), 0);

    let mut terminal = on_terminal(&home, &["logout", "work"]);
    terminal.exp_string("Go on? [y/N]").unwrap();
    terminal.send_line("y").unwrap();
    expect_end(terminal, 0);
    assert_logged_out(&home, "work");
    assert_eq!(json(home.profile("twin"))["grant"]["state"], "dead");
}

#[test]
fn all_profiles_are_logged_out_and_a_failure_stops_none_but_its_own() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    for name in ["a", "b", "c"] {
        home.add_profile(&provider, name).expect_code(0);
    }
    home.run(&["add-profile", "later", "--client", "127.0.0.1", "--flow", "none"]).expect_code(0);
    provider.script(Endpoint::Revoke, vec![Fault::Pass, Fault::unavailable(7)]);

    let run = home.run(&["logout", "--all"]).expect_code(13);

    let _ = run
        .expect_said("2 of 3 profiles are logged out")
        .expect_said("caused by: profile `b`:")
        .expect_said("HTTP status 503")
        .expect_said("run the same command again");
    assert_logged_out(&home, "a");
    assert_logged_out(&home, "c");
    home.run(&["token", "b", "--refresh"]).expect_code(0);
    home.run(&["logout", "--all"]).expect_code(0).expect_said("Profile `b` is logged out");
    assert_logged_out(&home, "b");
    home.run(&["logout", "--all"]).expect_code(0).expect_said("No profile is logged in");
    home.run(&["logout", "--all", "a"]).expect_code(2);
}

#[test]
fn all_profiles_of_one_user_at_google_are_logged_out_without_a_question() {
    let (provider, home) = at_google(&["work", "twin", "other"]);

    home.run(&["logout", "--all"]).expect_code(0);

    assert!(provider.live_refresh_tokens().is_empty());
    for name in ["work", "twin", "other"] {
        assert_logged_out(&home, name);
    }
}

#[test]
fn a_logout_waits_for_a_refresh_and_revokes_what_it_has_brought() {
    let (provider, home) = expired();
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let refresh = start_and_hold(&provider, &home);
    let logout = start(&home, &["logout", "work"]);
    // It may not ask before the refresh is over: the token would be the old one.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(provider.count(Endpoint::Revoke), 0);
    let newest = provider.live_refresh_tokens().pop().unwrap();
    provider.release();

    finish(refresh, &["token", "work"]).expect_code(0);
    finish(logout, &["logout", "work"]).expect_code(0);

    assert_eq!(revocations(&provider)[0].0, newest);
    assert!(provider.live_refresh_tokens().is_empty());
    assert_logged_out(&home, "work");
}

#[test]
fn who_asks_for_a_token_during_a_logout_learns_that_there_is_none() {
    let (provider, home) = expired();
    provider.script(Endpoint::Revoke, vec![Fault::Hold]);
    let logout = start(&home, &["logout", "work"]);
    assert!(provider.wait_until_holding(1, LONG));
    let asking: Vec<_> = (0..5).map(|_| start(&home, &["token", "work"])).collect();
    std::thread::sleep(Duration::from_millis(50));
    provider.release();

    finish(logout, &["logout", "work"]).expect_code(0);
    for child in asking {
        finish(child, &["token", "work"]).expect_code(5);
    }
    assert_eq!(provider.count(Endpoint::Token), 0);
    assert_logged_out(&home, "work");
}

#[test]
fn siblings_that_are_logged_out_at_once_do_not_wait_for_one_another_for_ever() {
    let names = ["work", "twin", "triplet", "fourth"];
    let (provider, home) = at_google(&names);
    let all: Vec<_> = names.iter().map(|name| (name, start(&home, &["logout", name, "--yes"]))).collect();

    for (name, child) in all {
        finish(child, &["logout", name]).expect_code(0);
    }
    for name in names {
        assert_logged_out(&home, name);
    }
    assert!(provider.live_refresh_tokens().is_empty());
}

#[test]
fn a_login_that_is_revoked_and_cannot_be_forgotten_is_finished_by_the_next_run() {
    let (provider, home) = expired();
    provider.script(Endpoint::Revoke, vec![Fault::CommitThenHold]);
    let logout = start(&home, &["logout", "work"]);
    assert!(provider.wait_until_holding(1, LONG));
    // As if another machine had written it.
    let profile = home.profile("work");
    let document = std::fs::read(&profile).unwrap();
    std::fs::remove_file(&profile).unwrap();
    std::fs::create_dir(&profile).unwrap();
    provider.release();
    let run = finish(logout, &["logout", "work"]).expect_code(13);
    let _ =
        run.expect_said("is revoked, and could not be forgotten").expect_said("`vault logout work` again");

    std::fs::remove_dir(&profile).unwrap();
    std::fs::write(&profile, document).unwrap();
    home.run(&["logout", "work"]).expect_code(0);
    assert_logged_out(&home, "work");
}
