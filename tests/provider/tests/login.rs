//! Consent, codes and what they are exchanged for.

use url::Url;

use super::*;

#[test]
fn a_login_gives_tokens_that_name_the_user() {
    let provider = Provider::start(Config::default());

    let tokens = log_in(&provider, &[("nonce", "n-1")]);

    let claims = claims(&tokens);
    assert_eq!(claims["iss"], provider.issuer());
    assert_eq!(claims["aud"], "desktop");
    assert_eq!(claims["sub"], "1001");
    assert_eq!(claims["email"], "me@example.com");
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!(tokens["scope"], "openid email");
    assert!(provider.is_live_access_token(text(&tokens, "access_token")));
    assert_eq!(userinfo(&provider, &tokens).json()["sub"], "1001");
}

#[test]
fn a_verifier_that_does_not_fit_is_refused() {
    let provider = Provider::start(Config::default());
    let code = code(&provider, &[]);

    let wrong = "another-verifier-of-forty-three-characters-x";
    let refused = redeem_with(&provider, &code, wrong, REDIRECT);

    assert_eq!(refused.json()["error"], "invalid_grant");
    assert_eq!(redeem(&provider, &code).status, 200, "the code is not lost");
}

#[test]
fn a_code_belongs_to_its_redirect_uri() {
    let provider = Provider::start(Config::default());
    let code = code(&provider, &[]);

    let refused = redeem_with(&provider, &code, VERIFIER, "http://127.0.0.1:10/back");

    assert_eq!(refused.json()["error"], "invalid_grant");
}

#[test]
fn a_code_that_comes_back_takes_its_tokens_with_it() {
    let provider = Provider::start(Config::default());
    let code = code(&provider, &[]);
    let tokens = redeem(&provider, &code).json();

    let again = redeem(&provider, &code);

    assert_eq!(again.json()["error"], "invalid_grant");
    assert!(!provider.is_live_access_token(text(&tokens, "access_token")));
    let because: Vec<_> = provider.families_revoked().iter().map(|revoked| revoked.because).collect();
    assert_eq!(because, [RevokedBecause::CodeReuse]);
}

#[test]
fn a_code_ends_after_ten_minutes() {
    let provider = Provider::start(Config::default());
    let code = code(&provider, &[]);

    provider.advance(Duration::from_secs(600));

    assert_eq!(redeem(&provider, &code).json()["error"], "invalid_grant");
}

#[test]
fn a_request_without_pkce_is_sent_back_with_an_error() {
    let provider = Provider::start(Config::default());

    let location = authorize(&provider, &[("code_challenge", "")]).unwrap();
    assert_eq!(param(&location, "error").as_deref(), Some("invalid_request"));
    assert_eq!(param(&location, "state").as_deref(), Some("s-1"));

    let plain = authorize(&provider, &[("code_challenge_method", "plain")]).unwrap();
    assert_eq!(param(&plain, "error").as_deref(), Some("invalid_request"));
}

#[test]
fn an_unregistered_redirect_uri_is_never_followed() {
    let provider = Provider::start(Config::default());
    let exact = "http://127.0.0.1:53682/";
    provider.configure(|config| config.clients[1] = Client::basic("web", "s").with_redirects(&[exact]));

    for (client, uri, taken) in [
        ("desktop", "http://[::1]:4711/any/path", true),
        ("desktop", "http://localhost:1", true),
        ("desktop", "https://evil.example/", false),
        ("desktop", "http://127.0.0.1.evil.example/", false),
        ("desktop", "http://me@127.0.0.1/", false),
        ("web", exact, true),
        ("web", "http://127.0.0.1:53683/", false),
        ("nobody", exact, false),
    ] {
        let sent = authorize(&provider, &[("client_id", client), ("redirect_uri", uri)]);
        assert_eq!(sent.is_ok(), taken, "{client} {uri}: {sent:?}");
    }
}

#[test]
fn the_login_hint_chooses_the_user_and_the_next_user_overrides_it() {
    let provider = Provider::start(Config::default());
    let hint = ("login_hint", "other@example.com");

    assert_eq!(claims(&log_in(&provider, &[hint]))["sub"], "1002");
    provider.next_user("me@example.com");
    assert_eq!(claims(&log_in(&provider, &[hint]))["sub"], "1001");
    assert_eq!(claims(&log_in(&provider, &[hint]))["sub"], "1002");
}

#[test]
fn a_planned_consent_shapes_the_answer() {
    let provider = Provider::start(Config::default());
    let answer = |consent: Consent| {
        provider.next_consent(consent);
        authorize(&provider, &[]).unwrap()
    };

    let denied = answer(Consent::denied());
    assert_eq!(param(&denied, "error").as_deref(), Some("access_denied"));
    assert_eq!(param(&denied, "code"), None);

    let foreign = answer(Consent::default().with_iss(Iss::Other("https://evil.example".into())));
    assert_eq!(param(&foreign, "iss").as_deref(), Some("https://evil.example"));
    let silent = answer(Consent::default().with_iss(Iss::Missing));
    assert_eq!(param(&silent, "iss"), None);

    let forged = answer(Consent::default().with_state(Echo::Other("forged".into())));
    assert_eq!(param(&forged, "state").as_deref(), Some("forged"));
    let doubled = answer(Consent::default().with_state(Echo::Doubled));
    assert_eq!(doubled.matches("state=s-1").count(), 2);

    let usual = authorize(&provider, &[]).unwrap();
    assert_eq!(param(&usual, "iss"), Some(provider.issuer()));
}

#[test]
fn a_narrower_consent_narrows_the_grant() {
    let provider = Provider::start(Config::default());
    provider.next_consent(Consent::granting(&["openid"]));

    let tokens = log_in(&provider, &[]);

    assert_eq!(tokens["scope"], "openid");
    assert!(claims(&tokens).get("email").is_none());
    let more = refresh_with(&provider, text(&tokens, "refresh_token"), &[("scope", "email")]);
    assert_eq!(more.json()["error"], "invalid_scope");
}

#[test]
fn the_consent_page_offers_users_and_scopes_and_takes_the_form() {
    let provider = Provider::start(Config { consent_page: true, ..Config::default() });
    let url = authorize_url(&provider, &[("login_hint", "\"><script>")]);

    let page = browser::consent(&url).unwrap();
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Continue as other@example.com"));
    assert!(!page.body.contains("<script>"));

    let fields: Vec<_> = Url::parse(&url).unwrap().query_pairs().into_owned().collect();
    let mut form: Vec<_> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    form.extend([("grant", "openid"), ("decision", "other@example.com")]);
    let sent = browser::post(&provider.url("/authorize"), &form, &[]).unwrap();
    let code = param(sent.header("location").unwrap(), "code").unwrap();
    let tokens = redeem(&provider, &code).json();
    assert_eq!(claims(&tokens)["sub"], "1002");
    assert_eq!(tokens["scope"], "openid");
}

#[test]
fn google_gives_a_refresh_token_only_on_an_offline_consent_screen() {
    let provider = Provider::start(Config::google());
    let given = |params: &[(&str, &str)]| {
        let tokens = log_in(&provider, params);
        assert_eq!(tokens["scope"], "openid https://www.googleapis.com/auth/userinfo.email");
        tokens.get("refresh_token").is_some()
    };
    let offline = ("access_type", "offline");

    assert!(given(&[offline]));
    assert!(!given(&[offline]), "no screen the second time");
    assert!(given(&[offline, ("prompt", "select_account consent")]));
    assert!(!given(&[("prompt", "consent")]), "not asked for");
    provider.revoke_user_grant("desktop", "me@example.com");
    assert!(given(&[offline]), "asked anew after the grant was removed");
}

#[test]
fn a_server_under_tls_answers_as_a_plain_one_does() {
    let provider = Provider::start_https(Config::default(), Authority::new().certify(HOST));

    let tokens = log_in(&provider, &[]);

    assert!(provider.issuer().starts_with("https://localhost:"));
    assert!(provider.is_live_access_token(text(&tokens, "access_token")));
    assert_eq!(userinfo(&provider, &tokens).json()["sub"], "1001");
}
