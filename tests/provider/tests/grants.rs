//! Clients, refresh tokens, revocation, discovery.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use super::*;

#[test]
fn each_client_must_authenticate_as_it_is_registered() {
    let provider = Provider::start(Config::default());
    provider.configure(|config| config.clients.push(Client::basic("a b:c", "s+%/&= é")));
    let refresh_as = |id: &str, secret: Option<&str>, header: Option<String>| {
        let owner = if id.is_empty() { "a b:c" } else { id };
        let token = provider.grant(owner, "1001", &["openid"]);
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", &token)];
        form.extend((!id.is_empty()).then_some(("client_id", id)));
        form.extend(secret.map(|secret| ("client_secret", secret)));
        let headers: Vec<_> = header.iter().map(|h| ("Authorization", h.as_str())).collect();
        let url = provider.url("/token");
        let page = browser::post(&url, &form, &headers).unwrap();
        (page.status, page.json()["error"].as_str().map(str::to_owned))
    };
    let refused = (401, Some("invalid_client".to_owned()));

    assert_eq!(refresh_as("desktop", Some("GOCSPX-desktop-secret"), None), (200, None));
    assert_eq!(refresh_as("desktop", Some("GOCSPX-wrong"), None), refused);
    assert_eq!(refresh_as("desktop", None, None), refused);
    assert_eq!(refresh_as("public", None, None), (200, None));
    assert_eq!(refresh_as("public", Some("s"), None), refused);
    assert_eq!(refresh_as("web", Some("GOCSPX-web-secret"), None), refused);
    let web = basic("web", "GOCSPX-web-secret");
    assert_eq!(refresh_as("web", None, Some(web.clone())), (200, None));
    let twice = (400, Some("invalid_request".to_owned()));
    assert_eq!(refresh_as("web", Some("GOCSPX-web-secret"), Some(web)), twice);
    let encoded = basic("a+b%3Ac", "s%2B%25%2F%26%3D+%C3%A9");
    assert_eq!(refresh_as("", None, Some(encoded)), (200, None));
    assert_eq!(refresh_as("", None, Some(basic("a b", "s+%/&= é"))), refused);
}

#[test]
fn basic_without_form_encoding_is_refused() {
    let provider = Provider::start(Config::default());
    provider.configure(|config| config.clients.push(Client::basic("slash", "s/1")));
    let token = provider.grant("slash", "1001", &["openid"]);
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let status = |secret: &str| {
        let header = basic("slash", secret);
        browser::post(&provider.url("/token"), &form, &[("Authorization", &header)]).unwrap().status
    };

    assert_eq!(status("s/1"), 401);
    assert_eq!(status("s%2F1"), 200);
}

#[test]
fn a_refresh_token_works_for_its_own_client_alone() {
    let provider = Provider::start(Config::default());
    let token = provider.grant("public", "1001", &["openid"]);

    assert_eq!(refresh(&provider, &token).json()["error"], "invalid_grant");

    assert_eq!(provider.live_refresh_tokens(), [token]);
}

#[test]
fn a_refused_client_does_not_cost_the_code() {
    let provider = Provider::start(Config::default());
    let code = code(&provider, &[]);
    let url = provider.url("/token");
    let form = code_form(&code, VERIFIER, REDIRECT);

    let header = basic("desktop", "GOCSPX-desktop-secret");
    let refused = browser::post(&url, &form[..4], &[("Authorization", &header)]).unwrap();

    assert_eq!(refused.status, 401);
    assert_eq!(redeem(&provider, &code).status, 200);
}

#[test]
fn a_spent_refresh_token_revokes_its_family() {
    let provider = Provider::start(Config::default());
    let bystander = provider.grant("desktop", "1001", &["openid"]);
    let first = provider.grant("desktop", "1001", &["openid"]);
    let second = refresh(&provider, &first).json();

    let reused = refresh(&provider, &first);

    assert_eq!(reused.json()["error"], "invalid_grant");
    assert!(!provider.is_live_access_token(text(&second, "access_token")));
    assert_eq!(provider.live_refresh_tokens(), [bystander]);
    let dead = refresh(&provider, text(&second, "refresh_token"));
    assert_eq!(dead.json()["error"], "invalid_grant");
    let revoked = provider.families_revoked();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].because, RevokedBecause::RefreshTokenReuse);
}

#[test]
fn a_spent_refresh_token_works_in_its_grace_until_a_successor_is_used() {
    let provider = Provider::start(graceful(60));
    let first = provider.grant("desktop", "1001", &["openid"]);
    let lost = refresh(&provider, &first).json();
    provider.advance(Duration::from_secs(60));

    let again = refresh(&provider, &first).json();
    assert_ne!(lost["refresh_token"], again["refresh_token"]);
    assert!(provider.families_revoked().is_empty());

    refresh(&provider, text(&again, "refresh_token"));
    assert_eq!(refresh(&provider, &first).status, 400);
    assert_eq!(provider.families_revoked().len(), 1);
}

#[test]
fn grace_ends() {
    let provider = Provider::start(graceful(60));
    let first = provider.grant("desktop", "1001", &["openid"]);
    refresh(&provider, &first);

    provider.advance(Duration::from_secs(61));

    assert_eq!(refresh(&provider, &first).json()["error"], "invalid_grant");
    assert_eq!(provider.families_revoked().len(), 1);
}

#[test]
fn without_rotation_the_refresh_token_stays() {
    let provider = Provider::start(Config::google());
    let token = provider.grant("desktop", "1001", &["openid"]);

    for _ in 0..2 {
        let answer = refresh(&provider, &token).json();
        assert!(answer.get("refresh_token").is_none());
    }

    assert_eq!(provider.live_refresh_tokens(), [token]);
}

#[test]
fn a_grant_with_an_end_says_so_and_ends() {
    let provider = Provider::start(Config {
        refresh_token_expires_in: Some(604_799),
        rotation: Rotation::None,
        ..Config::default()
    });
    let token = provider.grant("desktop", "1001", &["openid"]);
    provider.advance(Duration::from_secs(600_000));
    let left = refresh(&provider, &token).json()["refresh_token_expires_in"].as_u64();
    assert!(left.is_some_and(|left| (4_700..=4_799).contains(&left)));

    provider.advance(Duration::from_secs(4_799));

    assert_eq!(refresh(&provider, &token).json()["error"], "invalid_grant");
}

#[test]
fn an_access_token_ends() {
    let provider = Provider::start(Config { frozen_at: Some(1_800_000_000), ..Config::default() });
    let tokens = log_in(&provider, &[]);
    provider.advance(Duration::from_secs(3598));
    assert_eq!(userinfo(&provider, &tokens).status, 200);

    provider.advance(Duration::from_secs(1));

    assert_eq!(userinfo(&provider, &tokens).status, 401);
}

#[test]
fn google_revokes_every_grant_of_the_user_with_one_token() {
    let provider = Provider::start(Config::google());
    let first = provider.grant("desktop", "1001", &["openid"]);
    let _sibling = provider.grant("desktop", "1001", &["openid"]);
    let other = provider.grant("desktop", "1002", &["openid"]);
    let url = provider.url("/revoke");

    assert_eq!(browser::post(&url, &[("token", &first)], &[]).unwrap().status, 200);

    assert_eq!(provider.live_refresh_tokens(), [other]);
    let again = browser::post(&url, &[("token", &first)], &[]).unwrap();
    assert_eq!((again.status, &again.json()["error"]), (400, &json!("invalid_token")));
}

#[test]
fn others_revoke_one_family_for_its_own_client_alone() {
    let provider = Provider::start(Config::default());
    let token = provider.grant("desktop", "1001", &["openid"]);
    let sibling = provider.grant("desktop", "1001", &["openid"]);
    let url = provider.url("/revoke");
    let revoke = |form: &[(&str, &str)]| browser::post(&url, form, &[]).unwrap().status;
    let desktop = ("client_id", "desktop");
    let secret = ("client_secret", "GOCSPX-desktop-secret");

    assert_eq!(revoke(&[("token", &token)]), 400);
    assert_eq!(revoke(&[("token", &token), ("client_id", "public")]), 400);
    assert_eq!(provider.live_refresh_tokens().len(), 2);
    assert_eq!(revoke(&[("token", &token), desktop, secret]), 200);
    assert_eq!(revoke(&[("token", &token), desktop, secret]), 200);
    assert_eq!(provider.live_refresh_tokens(), [sibling]);
}

#[test]
fn discovery_stands_where_the_issuer_says() {
    let provider = Provider::start(Config { issuer_path: "/tenant".into(), ..Config::default() });
    let paths =
        ["/tenant/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/tenant"];
    for path in paths {
        let document = browser::get(&provider.url(path), &[]).unwrap().json();
        assert_eq!(document["issuer"], provider.issuer());
        assert_eq!(document["token_endpoint"], provider.url("/token"));
    }

    let patch = json!({"issuer": "https://evil.example"});
    provider.amend(Endpoint::OpenidConfiguration, patch);
    let document = browser::get(&provider.url(paths[0]), &[]).unwrap().json();
    assert_eq!(document["issuer"], "https://evil.example");

    provider.configure(|config| config.oauth_discovery = false);
    assert_eq!(browser::get(&provider.url(paths[1]), &[]).unwrap().status, 404);
}

#[test]
fn everything_issued_is_listed_once() {
    let provider = Provider::start(Config::default());
    let tokens = log_in(&provider, &[]);
    let again = refresh(&provider, text(&tokens, "refresh_token")).json();

    let issued = provider.issued();

    for name in ["access_token", "refresh_token", "id_token"] {
        assert!(issued.contains(&text(&tokens, name).to_owned()));
        assert!(issued.contains(&text(&again, name).to_owned()));
    }
    let distinct: HashSet<_> = issued.iter().collect();
    assert_eq!(distinct.len(), 7, "a code, and three tokens twice");
    assert!(text(&tokens, "refresh_token").starts_with("1//0"));
    assert!(text(&tokens, "access_token").starts_with("ya29."));
}
