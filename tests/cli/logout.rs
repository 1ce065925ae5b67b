//! `vault logout`: the provider ends the grant, and only then it is forgotten.

use std::time::Duration;

use serde_json::Value;

use crate::expiry::{
    API_KEY, LONG, assert_no_stray_file, beside, expired, finish, refresh_token, start, start_and_hold,
};
use crate::forge;
use crate::home::Home;
use crate::provider::{Config, Consent, Endpoint, Fault, Provider, RevokedBecause};
use crate::tree::{json, stored};

/// Asserts that nothing of a login is left in the vault, and everything else is.
#[track_caller]
fn assert_logged_out(home: &Home, name: &str) {
    let profile = json(home.profile(name));
    assert_eq!(profile["grant"], Value::Null);
    assert_eq!(profile["secrets"].get("refresh_token"), None);
    assert_eq!(profile["secrets"].get("refresh_token_previous"), None);
    let id = profile["id"].as_str().unwrap();
    let cached = home.files("cache").into_iter().find(|file| file.to_str().unwrap().contains(id));
    assert_eq!(cached, None);
    home.run(&["token", name]).expect_code(5).expect_said("is not logged in").expect_said("vault login");
    home.run(&["verify"]).expect_code(0);
    assert_no_stray_file(home);
}

/// Asserts that `arguments` ends with `code`, changes nothing, and leaves a login that works.
#[track_caller]
fn assert_kept(home: &Home, arguments: &[&str], code: i32) -> crate::home::Run {
    let before = stored(home);
    let run = home.run(arguments).expect_code(code);
    assert!(stored(home) == before, "{}", run.stderr);
    run
}

/// The forms that were sent to the revocation endpoint.
fn revocations(provider: &Provider) -> Vec<(String, String)> {
    let field = |request: &crate::provider::Request, name: &str| request.field(name).unwrap().to_owned();
    let asked = provider.requests_to(Endpoint::Revoke);
    asked.iter().map(|request| (field(request, "token"), field(request, "token_type_hint"))).collect()
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
}
