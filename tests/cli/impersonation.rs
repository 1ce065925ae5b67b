//! Service accounts that another profile may act as.

use serde_json::Value;

use crate::home::Home;
use crate::provider::{Config, Endpoint, Fault, Provider, ServiceAccount};
use crate::robots::{SCOPE, impersonate, last_an_hour, short_lived, with_deploy, with_robot};

#[test]
fn a_person_who_may_act_as_a_service_account_gets_its_tokens() {
    let provider = Provider::start(Config::default());
    let home = with_deploy(&provider);

    let token = home.run(&["token", "deploy"]).answer();

    assert!(provider.is_live_access_token(&token));
    assert_eq!(provider.count(Endpoint::Iam), 1, "the first one is cached");
    let request = &provider.requests_to(Endpoint::Iam)[0];
    assert_eq!(
        request.path,
        format!("/v1/projects/-/serviceAccounts/{}:generateAccessToken", ServiceAccount::DEPLOY)
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, serde_json::json!({"scope": [SCOPE], "lifetime": "3600s", "delegates": []}));
    let work = home.run(&["token", "work"]).answer();
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {work}")));
    let shown = home.run(&["show", "deploy"]).answer();
    for words in ["impersonation of", ServiceAccount::DEPLOY, "work", "60 minutes"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn a_key_may_act_as_a_service_account_too_and_delegates_stand_in_between() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);
    let iam = provider.url("/v1");
    let base = ["--iam-url", &iam, "--scope", "a"];
    let add = |name, via, more: &[&str]| {
        let named = ["add-profile", name, "--impersonate", ServiceAccount::DEPLOY, "--via", via];
        home.run(&[&named[..], &base, more].concat())
    };

    let _ = add("deploy", "robot", &["--lifetime", "10m"]).expect_code(0);
    let body: Value = serde_json::from_slice(&provider.requests_to(Endpoint::Iam)[0].body).unwrap();
    assert_eq!(body["lifetime"], "600s");
    // One that acts as another cannot be the one that asks: that is what delegates are for.
    let _ = add("more", "deploy", &[]).expect_code(7).expect_said("--delegate");

    provider.configure(|config| {
        config.token_creators = vec![
            (ServiceAccount::ROBOT.into(), "between@project.iam.example".into()),
            ("between@project.iam.example".into(), ServiceAccount::DEPLOY.into()),
        ];
        config.service_accounts.push(ServiceAccount::without_keys("between@project.iam.example"));
    });
    let refused = add("chain", "robot", &[]).expect_code(7);
    let _ = refused.expect_said("--member=serviceAccount:robot@project.iam.example");
    let _ = add("chain", "robot", &["--delegate", "between@project.iam.example"]).expect_code(0);
}

#[test]
fn who_may_not_act_as_it_is_told_the_role_and_how_to_give_it() {
    let provider = Provider::start(Config::default());
    let home = with_deploy(&provider);
    provider.configure(|config| config.token_creators.clear());

    let refused = home.run(&["token", "deploy", "--refresh"]).expect_code(7);

    let _ = refused
        .expect_said("iam.serviceAccounts.getAccessToken")
        .expect_said("--member=user:me@example.com --role=roles/iam.serviceAccountTokenCreator");
    // The login of the profile that asks is as it was.
    let _ = home.run(&["token", "work", "--refresh"]).answer();
}

#[test]
fn every_refusal_of_iam_is_explained() {
    let provider = Provider::start(Config::default());
    let home = with_deploy(&provider);
    let _ = home.run(&["remove", "deploy", "--yes"]).expect_code(0);
    let respond =
        |status, body: &str| Fault::Respond { status, headers: vec![], body: body.as_bytes().to_vec() };
    let disabled = r#"{"error":{"status":"PERMISSION_DENIED","message":"IAM Service Account Credentials API has not been used in project 1 before or it is disabled."}}"#;

    provider.script(Endpoint::Iam, vec![respond(403, disabled)]);
    let _ = impersonate(&home, &provider, &[])
        .expect_code(7)
        .expect_said("gcloud services enable iamcredentials");
    let long = impersonate(&home, &provider, &["--lifetime", "12h"]).expect_code(7);
    let _ = long.expect_said("allowServiceAccountCredentialLifetimeExtension");
    for (fault, code) in
        [(respond(503, ""), 8), (respond(200, "<html>"), 9), (Fault::Redirect("http://x/".into()), 9)]
    {
        provider.script(Endpoint::Iam, vec![fault]);
        let _ = impersonate(&home, &provider, &[]).expect_code(code);
    }
    provider.configure(|config| config.service_accounts.clear());
    let _ = impersonate(&home, &provider, &[]).expect_code(7).expect_said("Unknown service account");
    assert!(!home.profile("deploy").exists(), "nothing is stored of what was refused");
}

#[test]
fn a_source_that_is_not_good_for_it_is_refused_with_the_login_that_would_be() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    let refused = impersonate(&home, &provider, &[]).expect_code(7);

    let _ = refused.expect_said(&format!("vault login work --scope {SCOPE}"));
    assert_eq!(provider.count(Endpoint::Iam), 0);
}

#[test]
fn a_token_of_the_source_that_was_revoked_is_replaced_once() {
    let provider = Provider::start(Config::default());
    let home = with_deploy(&provider);
    provider.forget_requests();
    let refused = r#"{"error":{"code":401,"status":"UNAUTHENTICATED","message":"Invalid."}}"#;
    let respond = || Fault::Respond { status: 401, headers: vec![], body: refused.as_bytes().to_vec() };

    provider.script(Endpoint::Iam, vec![respond()]);
    let _ = home.run(&["token", "deploy", "--refresh"]).answer();
    assert_eq!((provider.count(Endpoint::Iam), provider.count(Endpoint::Token)), (2, 1));

    provider.forget_requests();
    provider.script(Endpoint::Iam, vec![respond(), respond()]);
    let _ =
        home.run(&["token", "deploy", "--refresh"]).expect_code(7).expect_said("vault token work --refresh");
    assert_eq!((provider.count(Endpoint::Iam), provider.count(Endpoint::Token)), (2, 1));
}

#[test]
fn many_processes_at_one_expiry_make_one_request_to_each() {
    let provider = Provider::start(short_lived());
    let home = with_deploy(&provider);
    last_an_hour(&provider);

    let children: Vec<_> = (0..50).map(|_| crate::expiry::start(&home, &["token", "deploy"])).collect();
    let tokens: std::collections::BTreeSet<String> =
        children.into_iter().map(|child| crate::expiry::finish(child, &["token"]).answer()).collect();

    assert_eq!((tokens.len(), provider.count(Endpoint::Iam), provider.count(Endpoint::Token)), (1, 1, 1));
}

#[test]
fn what_others_ask_with_is_not_removed_and_may_be_renamed() {
    let provider = Provider::start(Config::default());
    let home = with_deploy(&provider);

    let refused = home.run(&["remove", "work", "--yes"]).expect_code(7);
    let _ = refused.expect_said("deploy");
    let _ = home.run(&["rename", "work", "me"]).expect_code(0);
    let _ = home.run(&["token", "deploy", "--refresh"]).answer();
    assert!(home.run(&["show", "deploy"]).answer().contains("me"));

    let _ = home.run(&["edit", "deploy", "--account", "x@example.com"]).expect_code(7);
    let _ = home.run(&["remove", "deploy", "--yes"]).expect_code(0);
    let _ = home.run(&["remove", "me", "--yes"]).expect_code(0);
}

#[test]
fn a_login_that_has_ended_is_named_by_the_profile_that_has_it() {
    let provider = Provider::start(short_lived());
    let home = with_deploy(&provider);
    provider.revoke_user_grant("desktop", "me@example.com");

    let refused = home.run(&["token", "deploy"]).expect_code(5);

    let _ = refused.expect_said("vault login work");
}

#[test]
fn the_token_that_asks_goes_to_the_pinned_place_only() {
    let provider = Provider::start(Config::default());
    let stranger = Provider::start(Config::default());
    let home = with_deploy(&provider);
    let text = std::fs::read_to_string(home.profile("deploy")).unwrap();
    let base = |provider: &Provider| provider.url("/v1");
    assert!(text.contains(&base(&provider)));
    std::fs::write(home.profile("deploy"), text.replace(&base(&provider), &base(&stranger))).unwrap();

    let _ = home.run(&["token", "deploy", "--refresh"]).expect_code(6);
    assert_eq!(stranger.requests().len(), 0);
    // And to nowhere over plain HTTP that is not this machine.
    let home = with_deploy(&provider);
    let _ = home.run(&["remove", "deploy", "--yes"]).expect_code(0);
    let plain =
        ["add-profile", "deploy", "--impersonate", ServiceAccount::DEPLOY, "--via", "work", "--iam-url"];
    let _ = home.run(&[&plain[..], &["http://iam.example/v1"]].concat()).expect_code(7);
}
