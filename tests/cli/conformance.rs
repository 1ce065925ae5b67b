//! What an OAuth client must do by the specifications, seen at the provider.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use url::Url;

use crate::expiry::{expired, expired_with_grace, refreshes};
use crate::home::{Home, Login};
use crate::provider::{Config, Endpoint, Fault, Provider, browser};

const LOGIN: [&str; 3] = ["login", "work", "--no-browser"];

/// The parameters of the address that a login shows.
fn parameters(login: &Login) -> Vec<(String, String)> {
    Url::parse(login.url.as_ref().unwrap()).unwrap().query_pairs().into_owned().collect()
}

fn parameter(parameters: &[(String, String)], name: &str) -> String {
    let mut found = parameters.iter().filter(|(key, _)| key == name);
    let value = found.next().unwrap_or_else(|| panic!("{name} is missing")).1.clone();
    assert!(found.next().is_none(), "{name} stands twice");
    value
}

#[test]
fn a_login_asks_for_a_code_with_everything_that_protects_it_and_nothing_else() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let login = home.start_login(&LOGIN);

    let sent = parameters(&login);

    assert_eq!(parameter(&sent, "response_type"), "code");
    assert_eq!(parameter(&sent, "client_id"), "desktop");
    assert_eq!(parameter(&sent, "scope"), "email openid");
    assert_eq!(parameter(&sent, "code_challenge_method"), "S256");
    assert_eq!(URL_SAFE_NO_PAD.decode(parameter(&sent, "code_challenge")).unwrap().len(), 32);
    let redirect = Url::parse(&parameter(&sent, "redirect_uri")).unwrap();
    assert_eq!((redirect.scheme(), redirect.host_str()), ("http", Some("127.0.0.1")));
    assert!(redirect.port().is_some_and(|port| port > 1023));
    for name in ["state", "nonce"] {
        let random = URL_SAFE_NO_PAD.decode(parameter(&sent, name)).unwrap();
        assert!(random.len() >= 16, "{name} has {} bytes", random.len());
    }
    let names: BTreeSet<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
    let known = [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "login_hint",
        "nonce",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ];
    assert_eq!(names, BTreeSet::from(known), "further parameters have no reason");
    assert!(!login.url.as_ref().unwrap().contains("GOCSPX"));
    let _ = browser::consent(login.url.as_ref().unwrap());
    let _ = login.finish(&LOGIN).expect_code(0);
}

#[test]
fn a_code_is_exchanged_with_its_verifier_in_a_form_and_the_secret_in_one_place() {
    for (client, secret) in [("desktop", "GOCSPX-desktop-secret"), ("web", "GOCSPX-web-secret")] {
        let provider = Provider::start(Config::default());
        let home = Home::new();
        let file = home.write("secret", secret);
        let auth = if client == "web" { "basic" } else { "post" };
        let issuer = provider.issuer();
        let client_options = ["--client-id", client, "--client-auth", auth, "--client-secret-file"];
        let mut arguments =
            vec!["add-profile", "work", "--no-browser", "--insecure-loopback", "--issuer", &issuer];
        arguments.extend(client_options);
        arguments.push(file.to_str().unwrap());
        let login = home.start_login(&arguments);
        let asked = parameters(&login);
        let _ = browser::consent(login.url.as_ref().unwrap());
        let _ = login.finish(&arguments).expect_code(0);

        let [request] = &provider.requests_to(Endpoint::Token)[..] else { panic!("more than one request") };

        assert_eq!((request.method.as_str(), request.query.len()), ("POST", 0));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(request.field("grant_type"), Some("authorization_code"));
        assert_eq!(request.field("redirect_uri"), Some(parameter(&asked, "redirect_uri").as_str()));
        let verifier = request.field("code_verifier").unwrap();
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!((43..=128).contains(&verifier.len()) && verifier.bytes().all(is_unreserved), "{verifier}");
        assert!(URL_SAFE_NO_PAD.decode(verifier).unwrap().len() >= 32);
        let in_header = request.header("authorization").is_some_and(|it| it.starts_with("Basic "));
        let in_form = request.field("client_secret").is_some();
        assert_eq!((in_header, in_form), (client == "web", client == "desktop"));
    }
}

#[test]
fn no_request_has_another_grant_type_than_the_two() {
    let (provider, home) = expired();
    let _ = home.run(&["token", "work"]).answer();
    let _ = home.consent(&LOGIN).expect_code(0);

    let mut kinds = BTreeSet::new();
    for request in provider.requests_to(Endpoint::Token) {
        kinds.insert(request.field("grant_type").unwrap().to_owned());
        if request.field("grant_type") == Some("refresh_token") {
            assert_eq!(request.field("scope"), None, "a refresh asks for what was granted");
        }
    }

    assert_eq!(kinds, BTreeSet::from(["authorization_code".to_owned(), "refresh_token".to_owned()]));
    assert_eq!(provider.count(Endpoint::Jwks), 0, "a key that comes from the same host proves nothing more");
}

#[test]
fn an_id_token_that_answers_another_login_or_is_for_another_client_is_refused() {
    let wrong = [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"iss": "https://another.example"}),
        json!({"aud": "another"}),
        json!({"aud": ["desktop", "another"], "azp": "another"}),
        json!({"sub": null}),
        json!({"exp": 1}),
        json!({"iat": null}),
    ];
    for claims in wrong {
        let provider = Provider::start(Config { id_token_claims: claims.clone(), ..Config::default() });
        let home = Home::new();

        let run = home.add_profile(&provider, "work");

        assert!(matches!(run.code, 7 | 9), "{claims}: {run:?}");
        assert!(!home.profile("work").exists(), "{claims}");
    }
}

#[test]
fn an_id_token_without_a_signature_is_refused() {
    let provider = Provider::start(Config::default());
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let claims = json!({"iss": provider.issuer(), "aud": "desktop", "sub": "1001", "iat": 1, "exp": 4_000_000_000_u64});
    let token = format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
    provider.amend(Endpoint::Token, json!({"id_token": token}));
    let home = Home::new();

    let _ = home.add_profile(&provider, "work").expect_code(7).expect_said("ID token");

    assert!(!home.profile("work").exists());
}

#[test]
fn a_code_whose_answer_is_lost_is_sent_twice_at_most_and_the_login_before_stays() {
    let (provider, home) = expired();
    for faults in [vec![Fault::CommitThenReset; 2], vec![Fault::CommitThenReset]] {
        provider.forget_requests();
        provider.script(Endpoint::Token, faults);

        let run = home.consent(&LOGIN);

        assert!(matches!(run.code, 5 | 7 | 8), "{run:?}");
        assert_eq!(provider.count(Endpoint::Token), 2);
        let token = home.run(&["token", "work", "--refresh"]).answer();
        assert!(provider.is_live_access_token(&token));
    }
}

#[test]
fn a_refresh_token_is_presented_once_where_its_answer_arrives() {
    let (provider, home) = expired_with_grace();
    for _ in 0..5 {
        let _ = home.run(&["token", "work", "--refresh"]).answer();
    }

    let requests = provider.requests_to(Endpoint::Token);
    let presented: BTreeSet<_> = requests.iter().map(|it| it.field("refresh_token").unwrap()).collect();

    assert_eq!((presented.len(), refreshes(&provider)), (5, 5));
}
