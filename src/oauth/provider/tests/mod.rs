mod files;

use super::*;
use crate::domain::{Scopes, VariableName};
use crate::oauth::check_url;

fn google() -> &'static Provider {
    get("google")
}

fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

#[test]
fn every_built_in_file_is_sound() {
    for known in &BUILT_IN {
        let provider =
            parse(known.file.as_bytes(), false).unwrap_or_else(|flaw| panic!("{}: {flaw}", known.id));

        assert_eq!(provider.id, known.id);
        assert!(!provider.sources.is_empty() && provider.checked.is_some(), "{}: who says so?", known.id);
    }
    assert!(BUILT_IN.iter().map(|known| known.id).is_sorted());
}

#[test]
fn every_preset_has_urls_that_secrets_may_be_sent_to() {
    for provider in all() {
        let Some(known) = provider.endpoints() else { continue };
        let optional = [known.revocation, known.userinfo, known.device_authorization, known.jwks];

        for url in [known.authorization, known.token].into_iter().chain(optional.into_iter().flatten()) {
            check_url(&url, false).unwrap();
        }
    }
}

#[test]
fn every_default_variable_may_be_set() {
    for provider in all().chain([&*GENERIC]) {
        for (name, _) in &provider.exports.default {
            assert!(name.parse::<VariableName>().is_ok(), "{name}");
        }
    }
}

#[test]
fn an_unknown_provider_is_the_generic_one() {
    assert_eq!(get("sso.example").id, "oidc");
    assert!(find("sso.example").is_none());
    assert_eq!(GENERIC.expand_scope("drive"), "drive");
    assert_eq!(GENERIC.consent_parameters(false, &Scopes::default()), []);
}

#[test]
fn a_lasting_grant_is_asked_for_together_with_a_new_consent() {
    let parameters = GENERIC.consent_parameters(true, &scopes("openid offline_access"));

    assert_eq!(parameters, [("prompt".to_owned(), "consent".to_owned())]);
}

#[test]
fn short_names_stand_for_whole_scopes() {
    assert_eq!(google().expand_scope("drive"), "https://www.googleapis.com/auth/drive");
    assert_eq!(google().expand_scope("gmail"), "https://mail.google.com/");
    assert_eq!(google().expand_scope("openid"), "openid");
    assert_eq!(google().expand_scope("https://x.example/s"), "https://x.example/s");
}

#[test]
fn a_scope_granted_under_its_other_name_is_not_missing() {
    let granted = scopes("openid https://www.googleapis.com/auth/userinfo.email");

    assert_eq!(google().missing_scopes(&scopes("openid email profile"), &granted), scopes("profile"));
    assert!(google().missing_scopes(&granted, &scopes("email openid")).is_empty());
}

#[test]
fn a_wide_scope_covers_the_narrow_ones_and_never_the_other_way_round() {
    let scope = |name: &str| scopes(&google().expand_scope(name));
    let uncovered = |asked: &str, granted: &str| google().uncovered_scopes(&scope(asked), &scope(granted));

    assert!(uncovered("drive.readonly", "drive").is_empty());
    assert!(uncovered("gmail.send", "gmail").is_empty());
    assert_eq!(uncovered("drive", "drive.readonly"), scope("drive"));
    assert_eq!(uncovered("drive", "cloud-platform"), scope("drive"));
}

#[test]
fn the_account_chooser_is_shown_unless_the_account_is_known() {
    let prompt = |known| {
        let parameters = google().consent_parameters(known, &scopes("openid"));
        parameters.into_iter().find(|(name, _)| name == "prompt")
    };

    assert_eq!(prompt(true).unwrap().1, "consent");
    assert_eq!(prompt(false).unwrap().1, "consent select_account");
}

#[test]
fn apis_of_google_are_where_google_serves_them_and_nowhere_that_looks_like_it() {
    let is_api = |host: &str| host.parse().is_ok_and(|host| is_api_host(&google().api.hosts, &host));
    for host in ["www.googleapis.com", "gmail.googleapis.com", "bucket.storage.googleapis.com"] {
        assert!(is_api(host), "{host}");
    }
    for host in [
        "googleapis.com",
        ".googleapis.com",
        "evilgoogleapis.com",
        "googleapis.com.evil.example",
        "www.googleapis.com.",
        "www.googleapis.com.evil.example",
        "www.googleapis.com:8443",
        "www.googleapis.co",
        "www.google.com",
        "x.googleusercontent.com",
        "xn--ggleapis-c1aa.com",
    ] {
        assert!(!is_api(host), "{host}");
    }
}

#[test]
fn a_lasting_grant_is_asked_for() {
    let parameters = google().consent_parameters(true, &scopes("openid"));

    assert!(parameters.contains(&("access_type".to_owned(), "offline".to_owned())));
    assert!(parameters.contains(&("include_granted_scopes".to_owned(), "false".to_owned())));
}
