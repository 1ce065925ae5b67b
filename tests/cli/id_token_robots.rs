//! `vault token --id-token` of service accounts: by their own key, or by the right of another profile; signed with
//! real keys, and with wrong ones.

use serde_json::{Value, json};

use crate::home::{Home, Run};
use crate::id_token::{claims, id_tokens};
use crate::provider::{Config, Endpoint, IdTokens, Provider, ServiceAccount, SigningKey};
use crate::robots::{claims as assertion, with_ci, with_deploy, with_robot};
use crate::serving::Serving;

const AUDIENCE: &str = "https://service.example";

fn ask(home: &Home, profile: &str, more: &[&str]) -> Run {
    home.run(&[&["token", profile, "--id-token", "--audience", AUDIENCE], more].concat())
}

#[test]
fn a_key_gets_one_for_whoever_is_named_and_it_is_kept_for_them_alone() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);
    provider.forget_requests();

    let token = ask(&home, "robot", &[]).expect_unsaid("warning").answer();

    assert_eq!(assertion(&provider)["target_audience"], AUDIENCE);
    assert_eq!((&assertion(&provider)["scope"], &assertion(&provider)["sub"]), (&json!(null), &json!(null)));
    assert_eq!(
        (&claims(&token)["aud"], &claims(&token)["email"]),
        (&json!(AUDIENCE), &json!(ServiceAccount::ROBOT))
    );
    assert_eq!(ask(&home, "robot", &[]).answer(), token, "one that counts is not asked for again");
    assert_eq!((provider.count(Endpoint::Token), provider.count(Endpoint::Jwks)), (1, 1));
    let other = home.run(&["token", "robot", "--id-token", "--audience", "https://other.example"]).answer();
    assert_eq!(claims(&other)["aud"], "https://other.example");
}

#[test]
fn one_who_acts_as_a_service_account_gets_its_id_tokens_too() {
    let provider = Provider::start(Config::default());
    let home = with_deploy(&provider);
    provider.forget_requests();

    let token = ask(&home, "deploy", &[]).expect_unsaid("warning").answer();

    let asked = &provider.requests_to(Endpoint::Iam)[0];
    assert!(asked.path.ends_with(&format!("/{}:generateIdToken", ServiceAccount::DEPLOY)), "{}", asked.path);
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!((&body["audience"], &body["includeEmail"]), (&json!(AUDIENCE), &json!(true)));
    assert_eq!(claims(&token)["email"], ServiceAccount::DEPLOY);
    assert_eq!(ask(&home, "deploy", &[]).answer(), token);
    assert_eq!((provider.count(Endpoint::Iam), provider.count(Endpoint::Jwks)), (1, 1));
}

#[test]
fn what_others_could_not_rely_on_is_neither_given_out_nor_kept() {
    use SigningKey::{Impostor, Nobody, OtherRsa, P256, PublicAsSecret, Rsa};
    let provider = Provider::start(Config::default());
    let now = provider.now();
    let usual = json!({});
    let cases: [(SigningKey, Value, Value); 14] = [
        (Nobody, usual.clone(), usual.clone()),
        (PublicAsSecret, usual.clone(), usual.clone()),
        (OtherRsa, usual.clone(), usual.clone()),
        (Impostor, usual.clone(), usual.clone()),
        (P256, json!({"kid": "provider-1"}), usual.clone()),
        (Rsa, json!({"alg": "ES256"}), usual.clone()),
        (Rsa, json!({"kid": null}), usual.clone()),
        (Rsa, json!({"kid": "provider-2"}), usual.clone()),
        (Rsa, usual.clone(), json!({"iss": "https://elsewhere.example"})),
        (Rsa, usual.clone(), json!({"aud": "https://other.example"})),
        (Rsa, usual.clone(), json!({"exp": now - 600})),
        (Rsa, usual.clone(), json!({"iat": now + 600})),
        (Rsa, usual.clone(), json!({"sub": null})),
        (Rsa, usual.clone(), json!({"email": "somebody@project.iam.example"})),
    ];
    for (profile, home) in [("robot", with_robot(&provider)), ("deploy", with_deploy(&provider))] {
        for (key, header, claims) in &cases {
            provider.configure(|config| {
                config.id_tokens = IdTokens { key: *key, header: header.clone(), ..IdTokens::default() };
                config.id_token_claims = claims.clone();
            });

            let run = ask(&home, profile, &[]).expect_code(7);

            assert_eq!(
                (run.stdout.as_str(), id_tokens(&home).len()),
                ("", 0),
                "{profile} {key:?} {header} {claims}"
            );
        }
        provider.configure(|config| {
            config.id_tokens = IdTokens::default();
            config.id_token_claims = json!({});
        });
        let _ = ask(&home, profile, &[]).answer();
    }
}

#[test]
fn for_whom_it_is_must_be_said_and_a_client_of_its_own_right_has_none() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);

    let _ = home.run(&["token", "robot", "--id-token"]).expect_code(2).expect_said("--audience");
    let _ = ask(&with_ci(&provider), "ci", &[]).expect_code(7).expect_said("service account");
}

#[test]
fn the_metadata_server_gives_those_of_a_service_account_for_any_audience() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);
    let serving = Serving::start(&home, &["robot", "--adc", "metadata"]);

    let page = serving.metadata(
        "instance/service-accounts/default/identity?audience=https%3A%2F%2Fservice.example&format=full",
    );

    assert_eq!(page.status, 200);
    assert_eq!(page.body, ask(&home, "robot", &[]).answer());
    assert_eq!(claims(&page.body)["aud"], AUDIENCE);
}
