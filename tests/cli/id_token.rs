//! `vault token --id-token`: what is given out can be relied on by whoever it is given to, and nothing else is.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::expiry::{assert_no_stray_file, refresh_token};
use crate::home::Home;
use crate::provider::{Config, Endpoint, Fault, IdTokens, Provider, SigningKey};
use crate::serving::{Serving, error};
use crate::{audit, forge, scene};

fn logged_in(config: Config) -> (Provider, Home) {
    let provider = Provider::start(config);
    let home = Home::logged_in(&provider);
    provider.forget_requests();
    (provider, home)
}

/// A login whose own ID token is about to end.
fn expired(config: Config) -> (Provider, Home) {
    let provider = Provider::start(config);
    let end = provider.now() + 30;
    provider.configure(|config| config.id_token_claims = json!({"exp": end}));
    let home = Home::logged_in(&provider);
    provider.configure(|config| config.id_token_claims = json!({}));
    provider.forget_requests();
    (provider, home)
}

/// The refresh token is the one that works, and no ID token was stored beside `kept`.
#[track_caller]
fn assert_only_kept(provider: &Provider, home: &Home, kept: usize) {
    assert_eq!(id_tokens(home).len(), kept);
    assert_eq!(provider.families_revoked(), []);
    assert_eq!(refresh_token(home), *provider.live_refresh_tokens().last().unwrap());
    assert_no_stray_file(home);
}

/// The cached ID tokens.
pub fn id_tokens(home: &Home) -> Vec<PathBuf> {
    let is_json = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
    let is_one = |path: &PathBuf| scene::read(path)["purpose"]["type"] == "id_token";
    home.files("cache").into_iter().filter(is_json).filter(is_one).collect()
}

/// What an ID token says.
pub fn claims(token: &str) -> Value {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

const TOKEN: [&str; 3] = ["token", "work", "--id-token"];

#[test]
fn that_of_the_login_is_checked_once_and_given_out_as_long_as_it_counts() {
    let (provider, home) = logged_in(Config::default());

    let token = home.run(&TOKEN).expect_unsaid("warning").answer();

    assert!(provider.issued().contains(&token));
    let claims = claims(&token);
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!("desktop"), &json!("1001")));
    assert_eq!((provider.count(Endpoint::Jwks), provider.count(Endpoint::Token)), (1, 0));
    assert_eq!(home.run(&TOKEN).answer(), token);
    assert_eq!(home.run(&["token", "work", "--id-token", "--audience", "desktop"]).answer(), token);
    assert_eq!(provider.requests().len(), 1, "what has been checked is not checked again");
}

#[test]
fn a_new_one_comes_with_a_refresh_whose_access_token_is_kept_too() {
    let (provider, home) = expired(Config::default());

    let token = home.run(&TOKEN).expect_unsaid("warning").answer();

    assert!(provider.issued().contains(&token));
    assert_eq!((provider.count(Endpoint::Jwks), provider.count(Endpoint::Token)), (1, 1));
    assert_eq!(home.run(&TOKEN).answer(), token);
    let access = home.run(&["token", "work"]).answer();
    assert!(provider.is_live_access_token(&access) && access != token);
    assert_eq!(provider.count(Endpoint::Token), 1);
    assert_only_kept(&provider, &home, 1);

    let newer = home.run(&["token", "work", "--id-token", "--refresh"]).answer();
    assert_ne!(newer, token);
    assert_eq!(home.run(&TOKEN).answer(), newer);
    let best = ["token", "work", "--id-token", "--min-ttl", "2h"];
    let best = home.run(&best).expect_said("works for only").answer();
    assert_ne!(best, newer);
    assert_eq!(provider.count(Endpoint::Token), 3);
}

#[test]
fn each_format_has_its_form_and_the_audit_log_names_what_was_given_out() {
    let (_provider, home) = logged_in(Config::default());
    let token = home.run(&TOKEN).answer();

    let header = home.run(&["token", "work", "--id-token", "--format", "header"]).expect_code(0).stdout;
    assert_eq!(header, format!("Authorization: Bearer {token}"));
    let told: Value =
        serde_json::from_str(&home.run(&["token", "work", "--id-token", "--json"]).answer()).unwrap();
    assert_eq!((&told["version"], &told["profile"]), (&json!(1), &json!("work")));
    assert_eq!((&told["id_token"], &told["audience"]), (&json!(token), &json!("desktop")));
    assert!(told["expires_at"].is_string() && told.get("access_token").is_none(), "{told}");
    for format in ["curl", "sasl", "oauthbearer"] {
        let _ = home.run(&["token", "work", "--id-token", "--format", format]).expect_code(2);
    }
    let _ = home.run(&["token", "work", "--audience", "desktop"]).expect_code(2);
    let _ = home.run(&["token", "work", "--id-token", "--scope", "email"]).expect_code(2);
    let lines = audit::lines(&home);
    assert!(
        lines.iter().any(|line| line["fields"] == json!(["id_token"]) && line["token"] == "cached"),
        "{lines:?}"
    );
}

#[test]
fn every_algorithm_of_a_published_key_is_taken() {
    use SigningKey::{Ed25519, P256, P384, Rsa};
    let (provider, home) = expired(Config::default());
    for (key, algorithm) in
        [(Rsa, "RS256"), (Rsa, "RS512"), (Rsa, "PS256"), (P256, "ES256"), (P384, "ES384"), (Ed25519, "EdDSA")]
    {
        provider.configure(|config| {
            config.id_tokens = IdTokens {
                key,
                published: vec![Rsa, P256, P384, Ed25519],
                header: json!({"alg": algorithm}),
                ..IdTokens::default()
            };
        });
        let _ = home.run(&["token", "work", "--id-token", "--refresh"]).expect_unsaid("warning").answer();
    }
    assert_only_kept(&provider, &home, 1);
}

#[test]
fn keys_may_be_replaced_at_any_time() {
    let (provider, home) = expired(Config::default());
    let _ = home.run(&TOKEN).answer();
    let key = SigningKey::OtherRsa;

    provider.configure(|config| config.id_tokens.key = key);
    let run = home.run(&["token", "work", "--id-token", "--refresh"]).expect_code(7);
    let _ = run
        .expect_said("signed with a key that the provider does not name")
        .expect_said("just replaced its keys");
    provider.configure(|config| config.id_tokens.published = vec![key]);
    let token = home.run(&["token", "work", "--id-token", "--refresh"]).answer();

    assert_eq!(home.run(&TOKEN).answer(), token);
    assert_only_kept(&provider, &home, 1);
}

#[test]
fn what_others_could_not_rely_on_is_neither_given_out_nor_stored() {
    use SigningKey::{Impostor, Nobody, OtherRsa, P256, PublicAsSecret, Rsa};
    let (provider, home) = expired(Config::default());
    let now = provider.now();
    let _ = home.run(&TOKEN).answer();
    let kept: Vec<_> = id_tokens(&home).iter().map(|path| std::fs::read(path).unwrap()).collect();
    let usual = json!({});
    let cases: [(SigningKey, Value, Value); 16] = [
        (Nobody, usual.clone(), usual.clone()),
        (Nobody, json!({"alg": "None"}), usual.clone()),
        (PublicAsSecret, usual.clone(), usual.clone()),
        (OtherRsa, usual.clone(), usual.clone()),
        (Impostor, usual.clone(), usual.clone()),
        (P256, json!({"kid": "provider-1"}), usual.clone()),
        (Rsa, json!({"alg": "ES256"}), usual.clone()),
        (Rsa, json!({"kid": null}), usual.clone()),
        (Rsa, json!({"crit": ["b64"], "b64": true}), usual.clone()),
        (Rsa, usual.clone(), json!({"iss": "https://elsewhere.example"})),
        (Rsa, usual.clone(), json!({"aud": "somebody-else"})),
        (Rsa, usual.clone(), json!({"sub": null})),
        (Rsa, usual.clone(), json!({"exp": now - 600})),
        (Rsa, usual.clone(), json!({"iat": now + 600})),
        (Rsa, usual.clone(), json!({"iat": null})),
        (Rsa, usual.clone(), json!({"sub": "1002"})),
    ];
    for (key, header, claims) in cases {
        provider.configure(|config| {
            config.id_tokens = IdTokens { key, header: header.clone(), ..IdTokens::default() };
            config.id_token_claims = claims.clone();
        });
        // Somebody else's refresh token must not take the place of ours: so that no new one comes along.
        provider.configure(|config| config.rotation = crate::provider::Rotation::None);

        let run = home.run(&["token", "work", "--id-token", "--refresh"]).expect_code(7);

        assert_eq!(run.stdout, "", "{key:?} {header} {claims}");
        let stored: Vec<_> = id_tokens(&home).iter().map(|path| std::fs::read(path).unwrap()).collect();
        assert_eq!(stored, kept, "{key:?} {header} {claims}");
        assert_eq!(refresh_token(&home), *provider.live_refresh_tokens().last().unwrap());
    }
    assert_eq!(provider.families_revoked(), []);
}

#[test]
fn that_of_the_login_which_does_not_pass_is_not_kept() {
    let (provider, home) = {
        let id_tokens = IdTokens { key: SigningKey::Impostor, ..IdTokens::default() };
        logged_in(Config { id_tokens, ..Config::default() })
    };
    let _ = home.run(&TOKEN).expect_code(7).expect_said("the signature of the ID token is wrong");

    assert_only_kept(&provider, &home, 0);
    provider.configure(|config| config.id_tokens = IdTokens::default());
    let _ = home.run(&TOKEN).answer();
    assert_eq!(provider.count(Endpoint::Token), 1);
}

#[test]
fn a_rotated_refresh_token_survives_an_id_token_that_is_refused() {
    let (provider, home) = expired(Config::default());
    provider.configure(|config| config.id_tokens.key = SigningKey::Impostor);

    let _ = home.run(&TOKEN).expect_code(7);

    assert_only_kept(&provider, &home, 0);
    let access = home.run(&["token", "work"]).answer();
    assert!(provider.is_live_access_token(&access));
}

#[test]
fn keys_that_cannot_be_had_cost_nothing() {
    let (provider, home) = logged_in(Config::default());
    let monster = vec![b' '; (1 << 20) + 1];
    for (fault, code) in [
        (Fault::json(503, &json!({})), 8),
        (Fault::ResetBefore, 8),
        (Fault::Redirect(provider.url("/jwks")), 9),
        (Fault::json(404, &json!({})), 9),
        (Fault::json(200, &json!({"keys": {}})), 9),
        (Fault::Respond { status: 200, headers: vec![], body: b"{\"keys\":[],\"keys\":[]}".to_vec() }, 9),
        (Fault::Respond { status: 200, headers: vec![], body: monster }, 9),
        (Fault::json(200, &json!({"keys": []})), 7),
    ] {
        // The last one is read, and has no key: that is what a signature says of a stranger.
        provider.script(Endpoint::Jwks, vec![fault]);
        let run = home.run(&TOKEN).expect_code(code);
        assert_eq!(run.stdout, "");
        assert_eq!(provider.faults_left(Endpoint::Jwks), 0);
    }
    assert_eq!(refresh_token(&home), *provider.live_refresh_tokens().last().unwrap());
}

#[test]
fn the_keys_of_a_client_from_before_are_where_its_issuer_says() {
    let (provider, home) = logged_in(Config::default());
    let document = &home.client("127.0.0.1");
    let key = forge::vault_key(&home);
    let mut client = scene::read(document);
    assert_eq!(client["endpoints"]["jwks"], provider.url("/jwks"));
    client["endpoints"].as_object_mut().unwrap().remove("jwks");
    forge::sign_with(&key, &mut client);
    scene::write(document, &client);

    let _ = home.run(&TOKEN).answer();

    assert_eq!(provider.count(Endpoint::OpenidConfiguration), 1);
    // One without discovery has nobody to ask.
    client["issuer"] = client["endpoints"]["token"].clone();
    forge::sign_with(&key, &mut client);
    scene::write(document, &client);
    std::fs::remove_dir_all(home.path("cache")).unwrap();
    let run = home.run(&TOKEN);
    assert!([6, 7].contains(&run.code), "{}", run.stderr);
}

#[test]
fn a_person_has_none_for_another_audience() {
    let (provider, home) = logged_in(Config::default());

    let run =
        home.run(&["token", "work", "--id-token", "--audience", "https://service.example"]).expect_code(7);

    let run = run.expect_said("for the client of the login").expect_said("that of profile `work` is desktop");
    let _ = run.expect_said("--impersonate").expect_said("--audience https://service.example");
    assert_eq!(provider.requests().len(), 0);
    for odd in ["", "a b", "a\nb"] {
        let _ = home.run(&["token", "work", "--id-token", "--audience", odd]).expect_code(2);
    }
}

#[test]
fn without_the_scope_there_is_none_and_the_login_that_gets_one_is_named() {
    let (provider, home) = logged_in(Config::default());
    let key = forge::vault_key(&home);
    let mut profile = scene::read(&home.profile("work"));
    profile["scopes"] = json!({"asked": ["email"], "granted": ["email"]});
    forge::sign_with(&key, &mut profile);
    scene::write(&home.profile("work"), &profile);

    let run = home.run(&TOKEN).expect_code(7).expect_said("does not cover the scope openid");

    let _ = run.expect_said("vault login work --scope openid");
    assert_eq!(provider.requests().len(), 0);
}

#[test]
fn a_provider_that_gives_one_with_a_login_only_needs_a_login() {
    let id_tokens = IdTokens { on_refresh: false, ..IdTokens::default() };
    let (provider, home) = expired(Config { id_tokens, ..Config::default() });

    let run = home.run(&TOKEN).expect_code(5).expect_said("gives an ID token with a login only");

    let _ = run.expect_said("vault login work");
    assert_only_kept(&provider, &home, 0);
    let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    let token = home.run(&TOKEN).answer();
    assert_eq!(claims(&token)["sub"], "1001");
}

#[test]
fn ten_who_ask_at_once_cost_one_refresh() {
    let (provider, home) = expired(Config::default());

    let children: Vec<_> = (0..10).map(|_| crate::expiry::start(&home, &TOKEN)).collect();
    let answers: Vec<_> =
        children.into_iter().map(|child| crate::expiry::finish(child, &TOKEN).answer()).collect();

    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!((provider.count(Endpoint::Token), provider.count(Endpoint::Jwks)), (1, 1));
}

#[test]
fn the_metadata_server_gives_one_for_the_client_of_the_login_and_no_other() {
    let (_provider, home) = logged_in(Config::default());
    let serving = Serving::start(&home, &["work", "--adc", "metadata"]);
    let identity =
        |query: &str| serving.metadata(&format!("instance/service-accounts/default/identity{query}"));

    let page = identity("?audience=desktop&format=full");
    assert_eq!((page.status, page.header("metadata-flavor")), (200, Some("Google")));
    assert_eq!(page.body, home.run(&TOKEN).answer());

    let (code, why) = error(&identity("?audience=https%3A%2F%2Fservice.example&format=full"), 400);
    assert_eq!(code, "invalid_request");
    assert!(why.contains("for the client of the login") && why.contains("--impersonate"), "{why}");
    assert_eq!(identity("").status, 400);
    assert_eq!(identity("?audience=32555940559.apps.googleusercontent.com&format=standard").status, 404);
}
