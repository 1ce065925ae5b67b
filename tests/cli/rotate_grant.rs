//! `vault rotate grant`: a fresh consent, saved before the old refresh token is retired.

use serde_json::{Value, json as value};

use crate::expiry::{API_KEY, LONG, assert_no_stray_file, beside, finish, refresh_token, second, start};
use crate::forge;
use crate::home::{Home, Run};
use crate::logout::at_google;
use crate::outside;
use crate::provider::{Config, Consent, Endpoint, Fault, Provider};
use crate::rotate_client_secret::assert_unfinished;
use crate::stage::Stage;
use crate::tree::{json, stored};

const ROTATE: [&str; 4] = ["rotate", "grant", "work", "--no-browser"];

/// A user who is logged in, with the refresh token of the login.
fn logged_in() -> (Provider, Home, String) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let key = home.write("api.key", API_KEY);
    home.run(&["edit", "work", "--api-key-file", key.to_str().unwrap()]).expect_code(0);
    provider.forget_requests();
    let token = refresh_token(&home);
    (provider, home, token)
}

/// Asserts that the vault holds one refresh token that works, and it is another than `old`.
#[track_caller]
fn assert_renewed(provider: &Provider, home: &Home, old: &str) {
    let token = refresh_token(home);
    assert_ne!(token, old);
    assert!(provider.live_refresh_tokens().contains(&token));
    assert_eq!(json(home.profile("work"))["secrets"].get("refresh_token_previous"), None);
    home.run(&["token", "work", "--refresh"]).answer();
    home.run(&["verify"]).expect_code(0);
    assert_no_stray_file(home);
}

/// The refresh token that waits to be retired.
fn previous(home: &Home) -> Option<String> {
    let profile = json(home.profile("work"));
    let item = profile["secrets"].get("refresh_token_previous")?;
    let plaintext = forge::open(&forge::vault_key(home), item.as_str().unwrap());
    let plaintext: Value = serde_json::from_str(&plaintext).unwrap();
    Some(plaintext["value"].as_str().unwrap().to_owned())
}

/// A rotation whose old token could not be revoked.
fn unretired() -> (Provider, Home, String) {
    let (provider, home, old) = logged_in();
    provider.script(Endpoint::Revoke, vec![Fault::unavailable(7)]);
    let run = home.consent(&ROTATE).expect_code(13);
    let _ = run
        .expect_said("the new login of profile `work` is saved, and the one before is not retired yet")
        .expect_said("HTTP status 503")
        .expect_said("try again in 7 seconds")
        .expect_said("run `vault rotate grant work` again");
    (provider, home, old)
}

#[test]
fn a_rotation_brings_a_new_login_and_then_revokes_the_old_token() {
    let (provider, home, old) = logged_in();

    home.consent(&ROTATE).expect_code(0).expect_said("the refresh token before is revoked");

    let asked = provider.requests_to(Endpoint::Authorize);
    assert_eq!(asked[0].param("prompt"), Some("consent"));
    let revoked = provider.requests_to(Endpoint::Revoke);
    assert_eq!(revoked[0].field("token"), Some(&*old));
    assert_eq!(provider.families_revoked().len(), 1);
    assert_renewed(&provider, &home, &old);
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
}

#[test]
fn the_new_login_is_on_the_disk_with_the_old_token_before_that_is_retired() {
    let (provider, home, old) = logged_in();
    provider.script(Endpoint::Revoke, vec![Fault::Hold]);
    let login = home.start_login(&ROTATE);
    let url = login.url.clone().unwrap();
    let _ = crate::provider::browser::consent(&url);
    assert!(provider.wait_until_holding(1, LONG));

    assert_eq!(previous(&home).as_deref(), Some(&*old));
    home.run(&["verify"]).expect_code(0);
    let token = refresh_token_of(&home);
    assert!(token != old && provider.live_refresh_tokens().contains(&token));

    provider.release();
    login.finish(&ROTATE).expect_code(0);
    assert_renewed(&provider, &home, &old);
}

/// The refresh token, read without waiting for anybody.
fn refresh_token_of(home: &Home) -> String {
    let profile = json(home.profile("work"));
    let item = profile["secrets"]["refresh_token"].as_str().unwrap();
    let plaintext: Value = serde_json::from_str(&forge::open(&forge::vault_key(home), item)).unwrap();
    plaintext["value"].as_str().unwrap().to_owned()
}

#[test]
fn another_account_changes_nothing_and_the_old_login_works() {
    let (provider, home, old) = logged_in();
    let before = stored(&home);
    provider.next_user("other@example.com");

    home.consent(&ROTATE).expect_code(7).expect_said("other@example.com");
    assert!(stored(&home) == before);
    provider.next_consent(Consent::denied());
    home.consent(&ROTATE).expect_code(12);
    assert!(stored(&home) == before);

    assert_eq!(provider.count(Endpoint::Revoke), 0);
    assert_eq!(refresh_token(&home), old);
    home.run(&["token", "work", "--refresh"]).answer();
}

#[test]
fn where_a_revocation_would_end_the_new_login_too_the_old_token_is_only_forgotten() {
    let (provider, home) = at_google(&["work", "twin"]);
    let old = refresh_token(&home);

    let run = home.consent(&ROTATE).expect_code(0);

    let _ = run.expect_said("that would have ended the new login too").expect_said("--compromised");
    assert_eq!(provider.requests_to(Endpoint::Authorize)[0].param("access_type"), Some("offline"));
    assert_eq!(provider.count(Endpoint::Revoke), 0);
    assert_renewed(&provider, &home, &old);
    home.run(&["token", "twin", "--refresh"]).expect_code(0);
}

#[test]
fn an_old_token_that_cannot_be_revoked_now_is_kept_sealed_and_retired_without_a_new_consent() {
    let (provider, home, old) = unretired();
    assert_eq!(previous(&home).as_deref(), Some(&*old));
    home.run(&["verify"]).expect_code(0);
    assert_unfinished(&home, "work", "refresh_token_previous", &ROTATE[..3]);
    // The new login works meanwhile, and a change of the profile loses nothing.
    home.run(&["token", "work", "--refresh"]).answer();
    home.run(&["edit", "work", "--set", "T=access_token"]).expect_code(0);
    let consents = provider.count(Endpoint::Authorize);

    let run = home.run(&["rotate", "grant", "work", "--no-input"]).expect_code(0);

    let _ =
        run.expect_said("an earlier rotation, without a new consent: the refresh token before is revoked");
    assert_eq!(provider.count(Endpoint::Authorize), consents);
    assert_eq!(provider.requests_to(Endpoint::Revoke)[1].field("token"), Some(&*old));
    assert_renewed(&provider, &home, &old);
}

#[test]
fn an_old_token_that_cannot_be_revoked_at_all_can_be_given_up() {
    let (provider, home, old) = logged_in();
    provider.script(Endpoint::Revoke, vec![Fault::bad_secret(), Fault::bad_secret()]);
    home.consent(&ROTATE).expect_code(13).expect_said("--forget-previous");
    home.run(&["rotate", "grant", "work"]).expect_code(13).expect_said("client secret is invalid");

    let run = home.run(&["rotate", "grant", "work", "--forget-previous"]).expect_code(0);

    let _ = run.expect_said("warning: the refresh token before was forgotten here and not revoked");
    assert_eq!(provider.count(Endpoint::Revoke), 2);
    assert_renewed(&provider, &home, &old);
    let run = home.run(&["rotate", "grant", "work", "--forget-previous"]).expect_code(0);
    let _ = run.expect_said("no refresh token that waits");
}

#[test]
fn a_logout_revokes_the_token_that_waits_too() {
    let (provider, home, old) = unretired();
    let new = refresh_token(&home);

    home.run(&["logout", "work"]).expect_code(0);

    let sent: Vec<_> = provider.requests_to(Endpoint::Revoke);
    let sent: Vec<_> = sent.iter().map(|request| request.field("token").unwrap()).collect();
    assert_eq!(sent[1..], [&old, &new]);
    assert!(provider.live_refresh_tokens().is_empty());
    assert_eq!(previous(&home), None);
}

#[test]
fn a_login_keeps_the_token_that_waits_and_a_forgotten_login_forgets_it() {
    let (provider, home, old) = unretired();
    home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    assert_eq!(previous(&home).as_deref(), Some(&*old));
    home.run(&["rotate", "grant", "work"]).expect_code(0);
    assert_renewed(&provider, &home, &old);

    let (_provider, home, _) = unretired();
    home.run(&["edit", "work", "--account", "you@example.com", "--forget-login"]).expect_code(0);
    assert_eq!(previous(&home), None);
}

#[test]
fn a_provider_that_cannot_revoke_is_named_and_the_old_token_forgotten() {
    let (provider, home, old) = logged_in();
    provider.script(Endpoint::Revoke, vec![Fault::error(400, "unsupported_token_type", "")]);

    let run = home.consent(&ROTATE).expect_code(0);

    let _ = run.expect_said("the provider's page for connected apps");
    assert_renewed(&provider, &home, &old);
}

#[test]
fn a_provider_that_gives_the_same_refresh_token_or_none_retires_nothing() {
    for patch in [value!({"refresh_token": null}), Value::Null] {
        let (provider, home, old) = logged_in();
        provider.configure(|config| config.rotation = crate::provider::Rotation::None);
        let patch = if patch.is_null() { value!({"refresh_token": old}) } else { patch };
        provider.amend(Endpoint::Token, patch);

        let run = home.consent(&ROTATE).expect_code(0);

        let _ = run.expect_said("the provider gave no new refresh token").expect_said("nothing was retired");
        assert_eq!(provider.count(Endpoint::Revoke), 0);
        assert_eq!(refresh_token(&home), old);
        home.run(&["token", "work", "--refresh"]).answer();
    }
}

#[test]
fn an_old_token_that_the_provider_refuses_is_retired_even_if_no_other_takes_its_place() {
    let (provider, home, old) = logged_in();
    provider.revoke_user_grant("desktop", "me@example.com");
    home.run(&["token", "work", "--refresh"]).expect_code(5);
    provider.amend(Endpoint::Token, value!({"refresh_token": null}));

    let run = home.consent(&ROTATE).expect_code(0);

    let _ = run.expect_said("the provider gave no refresh token").expect_said("before is revoked");
    assert_eq!(provider.requests_to(Endpoint::Revoke)[0].field("token"), Some(&*old));
    assert_eq!(previous(&home), None);
    home.run(&["token", "work"]).answer();
}

#[test]
fn once_the_new_login_is_saved_no_failure_says_that_nothing_has_changed() {
    if !outside::have(&["strace"]) {
        return;
    }
    let stage = Stage::with_grace();
    let _ = rotate_traced(&stage.home, &[]).expect_code(0);
    let locks = std::fs::read_to_string(stage.home.path("trace")).unwrap().lines().count();
    let mut unfinished = 0;
    for lock in 1..=locks {
        stage.reset();
        let run = rotate_traced(&stage.home, &["-e", &format!("inject=flock:error=ENOLCK:when={lock}")]);
        let waits = previous(&stage.home).is_some();
        assert_eq!(run.code == 13, waits, "lock {lock}: {run:?}");
        unfinished += usize::from(waits);
    }
    assert!(unfinished >= 1, "no lock is taken after the new login is saved");
}

/// A rotation whose locks are traced, with more options for strace.
fn rotate_traced(home: &Home, options: &[&str]) -> Run {
    let mut strace = std::process::Command::new("strace");
    home.prepare(&mut strace);
    strace.args(["-qq", "-e", "trace=flock"]).args(options).arg("-o").arg(home.path("trace"));
    strace.arg(crate::home::VAULT).args(ROTATE);
    Home::consent_to(strace, &ROTATE)
}

#[test]
fn a_new_login_that_ends_with_the_old_token_is_told_plainly() {
    // This provider is not known to end the whole grant, and does.
    let (provider, home, _old) = logged_in();
    provider.configure(|config| config.google_habits = true);
    provider.amend(Endpoint::Token, value!({}));
    let login = home.start_login(&[&ROTATE[..], &["--scope", "offline_access"]].concat());
    let url = login.url.clone().unwrap() + "&access_type=offline";
    let _ = crate::provider::browser::consent(&url);

    let run = login.finish(&ROTATE).expect_code(5);

    let _ = run
        .expect_said("the provider has also ended the new one of profile `work`")
        .expect_said("vault login work")
        .expect_said("--compromised");
    assert_eq!(json(home.profile("work"))["grant"]["state"], "dead");
    assert_eq!(previous(&home), None);
}

#[test]
fn a_proof_that_cannot_be_had_now_is_a_warning() {
    let (provider, home, old) = logged_in();
    provider.script(Endpoint::Token, vec![Fault::Pass, Fault::unavailable(7)]);

    let run = home.consent(&ROTATE).expect_code(0);

    let _ = run.expect_said("warning: that the new login of `work` has outlived the old one is not proven");
    assert_renewed(&provider, &home, &old);
}

#[test]
fn a_token_that_others_may_have_is_revoked_before_the_new_login() {
    let (provider, home, old) = logged_in();
    let arguments = [&ROTATE[..], &["--compromised"]].concat();
    let login = home.start_login(&arguments);

    assert_eq!(provider.count(Endpoint::Revoke), 1, "before anybody consents");
    assert!(provider.live_refresh_tokens().is_empty());
    let _ = crate::provider::browser::consent(&login.url.clone().unwrap());

    login.finish(&arguments).expect_code(0).expect_said("is logged in as me@example.com");
    assert_renewed(&provider, &home, &old);
}

#[test]
fn a_login_after_a_revocation_that_is_not_completed_leaves_the_profile_logged_out_and_says_so() {
    let (provider, home, _) = logged_in();
    let arguments = [&ROTATE[..], &["--compromised"]].concat();
    provider.next_consent(Consent::denied());

    let run = home.consent(&arguments).expect_code(13);

    let _ =
        run.expect_said("is logged out, and the new login was not completed").expect_said("vault login work");
    assert!(provider.live_refresh_tokens().is_empty());
    home.run(&["token", "work"]).expect_code(5).expect_said("is not logged in");
    home.consent(&ROTATE).expect_code(5);
    home.consent(&arguments).expect_code(0);
    home.run(&["token", "work", "--refresh"]).answer();
}

#[test]
fn a_compromised_token_is_not_revoked_where_nobody_can_log_in_or_others_would_lose_their_login() {
    let (provider, home) = at_google(&["work", "twin"]);
    let before = stored(&home);
    let compromised = [&ROTATE[..], &["--compromised"]].concat();
    home.run(&[&compromised[..], &["--no-input"]].concat()).expect_code(5);
    home.run(&compromised).expect_code(7).expect_said("`twin`").expect_said("--yes");
    assert!(stored(&home) == before);
    assert_eq!(provider.count(Endpoint::Revoke), 0);

    home.consent(&[&compromised[..], &["--yes"]].concat()).expect_code(0);

    assert_eq!(json(home.profile("twin"))["grant"]["state"], "dead");
    home.run(&["token", "work", "--refresh"]).answer();
    home.run(&["token", "twin"]).expect_code(5);
}

#[test]
fn who_was_never_logged_in_has_nothing_to_rotate() {
    let (_provider, home, _) = logged_in();
    home.run(&["add-profile", "later", "--client", "127.0.0.1", "--flow", "none"]).expect_code(0);

    home.run(&["rotate", "grant", "later"]).expect_code(5).expect_said("vault login later");
    home.run(&["rotate", "grant", "work", "--flow", "none"]).expect_code(2);
    home.run(&["rotate", "grant", "wrok"]).expect_code(3);
}

#[test]
fn tokens_are_to_be_had_during_a_rotation_and_each_of_them_works() {
    let (provider, home, old) = logged_in();
    provider.script(Endpoint::Revoke, vec![Fault::Hold]);
    let login = home.start_login(&ROTATE);
    // The user is in the browser: nobody waits.
    let before = home.run(&["token", "work", "--refresh"]).answer();
    assert!(provider.is_live_access_token(&before));
    let spent = refresh_token(&home);
    let _ = crate::provider::browser::consent(&login.url.clone().unwrap());
    assert!(provider.wait_until_holding(1, LONG));
    assert_eq!(previous(&home), Some(spent.clone()), "what a refresh has brought meanwhile is retired");
    let cached = home.run(&["token", "work"]).answer();
    let asking: Vec<_> = (0..4).map(|_| start(&home, &["token", "work", "--refresh"])).collect();
    provider.release();

    login.finish(&ROTATE).expect_code(0);
    for child in asking {
        let token = finish(child, &["token"]).answer();
        assert!(provider.is_live_access_token(&token));
    }
    assert!(provider.is_live_access_token(&cached));
    assert!(!provider.is_live_access_token(&before), "it went with the old login");
    assert!(!provider.live_refresh_tokens().contains(&spent));
    assert_renewed(&provider, &home, &old);
}

#[test]
fn a_rotation_during_another_one_does_not_lose_the_token_that_waits() {
    let (provider, home, old) = logged_in();
    let late = home.start_login(&ROTATE);
    provider.script(Endpoint::Revoke, vec![Fault::unavailable(7)]);
    home.consent(&ROTATE).expect_code(13);

    let _ = crate::provider::browser::consent(&late.url.clone().unwrap());
    late.finish(&ROTATE).expect_code(8).expect_said("changed by another process");

    assert_eq!(previous(&home).as_deref(), Some(&*old));
    home.run(&["rotate", "grant", "work"]).expect_code(0);
    assert_renewed(&provider, &home, &old);
}

#[test]
fn a_rotation_that_is_printed_as_a_rescue_brings_both_tokens_back() {
    let (provider, home, old) = logged_in();
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let login = home.start_login(&ROTATE);
    let url = login.url.clone().unwrap();
    let browser = std::thread::spawn(move || crate::provider::browser::consent(&url));
    assert!(provider.wait_until_holding(1, LONG));
    let places = [beside(&home), second(&home)];
    for place in &places {
        std::fs::remove_file(place).unwrap();
        std::fs::create_dir(place).unwrap();
    }
    provider.release();
    let _ = browser.join().unwrap();
    let run = login.finish(&ROTATE).expect_code(11);
    places.iter().for_each(|place| std::fs::remove_dir(place).unwrap());
    // A change meanwhile is not possible, and neither is a second rotation without a consent.
    let _ = home.run_with_input(&["import-rescue"], &run.stderr).expect_code(0);

    assert_eq!(previous(&home).as_deref(), Some(&*old));
    home.run(&["rotate", "grant", "work"]).expect_code(0);
    assert_renewed(&provider, &home, &old);
}

#[test]
fn a_sealed_token_that_waits_is_opened_by_verify() {
    let (_provider, home, _) = unretired();
    let items = |run: Run| run.expect_code(0).stderr;
    assert!(items(home.run(&["verify"])).contains("4 sealed items"));
    let path = home.profile("work");
    let mut profile = json(&path);
    profile["secrets"]["refresh_token_previous"] = profile["secrets"]["refresh_token"].clone();
    std::fs::write(&path, profile.to_string()).unwrap();
    forge::sign(&home, &path);

    home.run(&["verify"]).expect_code(6).expect_said("refresh_token_previous");
    home.run(&["rotate", "grant", "work"]).expect_code(13).expect_said("refresh_token_previous");
}
