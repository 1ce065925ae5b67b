//! Service account keys: sealed like any other secret, and good for tokens without a person.

use crate::expiry::LONG;
use crate::home::Home;
use crate::provider::{Config, Endpoint, Fault, Provider, ServiceAccount};
use crate::robots::{
    SCOPE, add_robot, canaries, claims, header, key_file, last_an_hour, short_lived, with_robot, write_key,
};

#[test]
fn a_key_file_becomes_a_profile_whose_tokens_work_without_anybody() {
    let provider = Provider::start(Config::default());
    let home = Home::new();

    let added = add_robot(&home, &provider, &key_file(&provider), &["--scope", SCOPE]).expect_code(0);

    let _ = added.expect_said("gets its tokens by service account key").expect_said("rm ");
    assert_eq!(provider.count(Endpoint::Token), 1);
    let now = provider.now();
    let said = claims(&provider);
    assert_eq!(said["iss"], ServiceAccount::ROBOT);
    assert_eq!(said["aud"], provider.url("/token"));
    assert_eq!(said["scope"], SCOPE);
    assert!(said.get("sub").is_none());
    assert_eq!(said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap(), 3600);
    assert!(said["iat"].as_u64().unwrap().abs_diff(now) < 60);
    assert_eq!(header(&provider)["kid"], ServiceAccount::KEY_ID);
    let request = &provider.requests_to(Endpoint::Token)[0];
    assert_eq!(request.form.len(), 2, "an assertion says who asks: {:?}", request.form);
    assert!(request.header("authorization").is_none());

    // Made at once, and cached like any other.
    let token = home.run(&["token", "robot"]).answer();
    assert!(provider.is_live_access_token(&token));
    assert_eq!(provider.count(Endpoint::Token), 1);
    assert!(home.run(&["list"]).answer().contains(ServiceAccount::ROBOT));
    let shown = home.run(&["show", "robot"]).answer();
    assert!(shown.contains("service account key") && shown.contains("the-project"), "{shown}");
}

#[test]
fn the_private_key_is_nowhere_but_in_its_seal() {
    let provider = Provider::start(short_lived());
    let home = with_robot(&provider);
    let mut said = String::new();
    for arguments in [
        &["token", "robot", "-vvv"][..],
        &["list", "--json"],
        &["show", "robot", "--json"],
        &["client", "show", "robot", "--json"],
        &["status"],
        &["verify"],
        &["doctor"],
        &["log"],
        &["rotate", "list"],
    ] {
        let run = home.run(arguments);
        said.push_str(&run.stdout);
        said.push_str(&run.stderr);
    }
    provider.configure(|config| config.service_accounts.clear());
    let refused = home.run(&["token", "robot", "--refresh", "-vvv"]).expect_code(7);
    said.push_str(&refused.stderr);

    for file in home.files("") {
        said.push_str(&String::from_utf8_lossy(&std::fs::read(file).unwrap()));
    }
    for canary in canaries(ServiceAccount::KEY) {
        assert!(!said.contains(&canary), "{canary}");
    }
    let requests = provider.requests_to(Endpoint::Token);
    let assertions: Vec<&str> = requests.iter().filter_map(|request| request.field("assertion")).collect();
    assert!(assertions.len() > 2);
    for assertion in assertions {
        assert!(!said.contains(assertion), "an assertion is a secret too");
    }
    assert_eq!(home.run(&["reveal", "robot", "client_secret"]).answer(), ServiceAccount::KEY.trim_end());
}

#[test]
fn nothing_is_stored_if_the_provider_gives_no_token() {
    let provider = Provider::start(Config::default());
    let cases: [(&str, serde_json::Value, &[&str], &str); 4] = [
        ("private_key", ServiceAccount::OTHER_KEY.into(), &[], "deleted or disabled"),
        ("private_key_id", "another".into(), &[], "deleted or disabled"),
        ("client_email", "nobody@project.iam.example".into(), &[], "no such service account"),
        ("project_id", "p".into(), &["--subject", "other@example.com"], "domainwidedelegation"),
    ];
    for (field, value, more, words) in cases {
        let home = Home::new();
        let mut file = key_file(&provider);
        file[field] = value;

        let refused =
            add_robot(&home, &provider, &file, &[&["--scope", SCOPE], more].concat()).expect_code(7);

        let _ = refused.expect_said(words).expect_unsaid("rm ");
        assert_eq!(home.run(&["list", "--json"]).answer().matches("robot").count(), 0);
        assert!(!home.client("robot").exists() && !home.profile("robot").exists());
    }
}

#[test]
fn what_is_no_key_file_is_refused_before_anything_is_made() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    let with = |field: &str, value: serde_json::Value| {
        let mut file = key_file(&provider);
        file[field] = value;
        file
    };
    for (file, words) in [
        (with("type", "authorized_user".into()), "the grant of a person"),
        (with("private_key", include_str!("../provider/keys/pkcs1.pem").into()), "PKCS#8"),
        (with("private_key", include_str!("../provider/keys/short.pem").into()), "2048"),
        (with("private_key", include_str!("../provider/keys/curve.pem").into()), "RSA"),
        (with("universe_domain", "cloud.example".into()), ""),
    ] {
        if !words.is_empty() {
            let _ = add_robot(&home, &provider, &file, &["--scope", SCOPE]).expect_code(2).expect_said(words);
        }
    }
    let _ = add_robot(&home, &provider, &key_file(&provider), &[]).expect_code(2).expect_said("--scope");
    assert_eq!(provider.count(Endpoint::Token), 0);
}

#[test]
fn a_key_file_that_leads_elsewhere_is_not_believed() {
    let provider = Provider::start(Config::default());
    let stranger = Provider::start(Config::default());
    let home = Home::new();
    let mut file = key_file(&provider);
    file["token_uri"] = stranger.url("/token").into();

    let refused = add_robot(&home, &provider, &file, &["--scope", SCOPE]).expect_code(7);

    let _ = refused.expect_said("issued by");
    // Nor is one that names a server instead of Google, whose it is where nothing else is said.
    let path = write_key(&home, &file);
    let arguments = ["add-profile", "robot", "--service-account-key", path.to_str().unwrap(), "--scope", "a"];
    let _ = home.run(&arguments).expect_code(7).expect_said("https://oauth2.googleapis.com/token");
    for provider in [&provider, &stranger] {
        assert_eq!(provider.count(Endpoint::Token), 0);
    }
}

#[test]
fn many_processes_at_one_expiry_sign_one_request() {
    let provider = Provider::start(short_lived());
    let home = with_robot(&provider);
    last_an_hour(&provider);

    let children: Vec<_> = (0..50).map(|_| crate::expiry::start(&home, &["token", "robot"])).collect();
    let tokens: std::collections::BTreeSet<String> =
        children.into_iter().map(|child| crate::expiry::finish(child, &["token"]).answer()).collect();

    assert_eq!((tokens.len(), provider.count(Endpoint::Token)), (1, 1));
    assert!(provider.is_live_access_token(tokens.first().unwrap()));
}

#[test]
fn a_lost_answer_is_asked_for_again_and_trouble_of_the_provider_is_not() {
    let provider = Provider::start(short_lived());
    let home = with_robot(&provider);
    last_an_hour(&provider);
    provider.script(Endpoint::Token, vec![Fault::CommitThenReset]);
    let token = home.run(&["token", "robot"]).answer();
    assert!(provider.is_live_access_token(&token));
    assert_eq!(provider.count(Endpoint::Token), 2);

    let nonsense = Fault::Respond { status: 200, headers: vec![], body: b"<html>".to_vec() };
    let unavailable = Fault::CommitThenStatus(503);
    for (fault, code) in [(unavailable, 8), (nonsense, 9), (Fault::Redirect("http://127.0.0.1:1/".into()), 9)]
    {
        provider.forget_requests();
        provider.script(Endpoint::Token, vec![fault]);
        let _ = home.run(&["token", "robot", "--refresh"]).expect_code(code);
        assert_eq!(provider.count(Endpoint::Token), 1);
        // The next one finds everything as it was.
        let _ = home.run(&["token", "robot", "--refresh"]).expect_code(0);
    }
}

#[test]
fn a_token_that_comes_slowly_is_waited_for_by_others_too() {
    let provider = Provider::start(short_lived());
    let home = with_robot(&provider);
    last_an_hour(&provider);
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);

    let children: Vec<_> = (0..3).map(|_| crate::expiry::start(&home, &["token", "robot"])).collect();
    assert!(provider.wait_until_holding(1, LONG));
    provider.release();

    for child in children {
        let _ = crate::expiry::finish(child, &["token"]).answer();
    }
    assert_eq!(provider.count(Endpoint::Token), 1);
}

#[test]
fn a_revoked_key_is_named_and_nothing_is_forgotten_for_it() {
    let provider = Provider::start(short_lived());
    let home = with_robot(&provider);
    let accounts = provider.memory();
    provider.configure(|config| config.service_accounts[0].keys.clear());

    let refused = home.run(&["token", "robot"]).expect_code(7);

    let _ = refused.expect_said("deleted or disabled").expect_said("vault rotate client-secret robot");
    provider.recall(&accounts);
    let _ = home.run(&["token", "robot"]).answer();
}

#[test]
fn one_key_serves_profiles_with_other_scopes_and_other_users() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);

    let second =
        ["add-profile", "mail", "--client", "robot", "--scope", "mail", "--subject", "me@example.com"];
    let _ = home.run(&second).expect_code(0);

    assert_eq!(
        (claims(&provider)["sub"].clone(), claims(&provider)["scope"].clone()),
        ("me@example.com".into(), "mail".into())
    );
    assert!(home.run(&["show", "mail"]).answer().contains("on behalf of me@example.com"));
    assert_eq!(home.files("data/vault/clients").len(), 1);
    // The same file again is the same client, and not asked about.
    let path = write_key(&home, &key_file(&provider));
    let issuer = provider.issuer();
    let add = [
        "client",
        "add",
        "--issuer",
        &issuer,
        "--insecure-loopback",
        "--service-account-key",
        path.to_str().unwrap(),
    ];
    let _ = home.run(&add).expect_code(0).expect_said("Client `robot` is stored");
    assert_eq!(home.files("data/vault/clients").len(), 1);
}

#[test]
fn a_key_is_listed_as_what_it_is_with_the_page_where_a_new_one_is_made() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);

    let listed = home.run(&["rotate", "list"]).expect_code(0);

    let listed = listed.expect_said("https://console.cloud.google.com/iam-admin/serviceaccounts");
    assert!(listed.stdout.contains("service account key"), "{}", listed.stdout);
    assert!(
        listed.stdout.contains("vault rotate client-secret robot --client-file FILE"),
        "{}",
        listed.stdout
    );
}

#[test]
fn a_client_that_is_a_key_logs_nobody_in() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);

    let login = home.run(&["login", "robot"]).expect_code(7);
    let _ = login
        .expect_said("needs no login")
        .expect_said("vault rotate client-secret robot --client-file FILE");
    let rotated = home.run(&["rotate", "grant", "robot"]).expect_code(7);
    let _ = rotated.expect_said("needs no login");
    let out = home.run(&["logout", "robot"]).expect_code(0);
    let _ = out.expect_said("nothing to revoke");

    // Only what was cached is forgotten.
    provider.forget_requests();
    let _ = home.run(&["token", "robot"]).answer();
    assert_eq!((provider.count(Endpoint::Token), provider.count(Endpoint::Revoke)), (1, 0));
}

#[test]
fn a_new_key_is_proven_by_a_signature_before_it_takes_the_place_of_the_old_one() {
    let provider = Provider::start(Config::default());
    let home = with_robot(&provider);
    let mut file = key_file(&provider);
    file["private_key"] = ServiceAccount::OTHER_KEY.into();
    file["private_key_id"] = "robot-key-2".into();
    let path = write_key(&home, &file);
    let rotate = ["rotate", "client-secret", "robot", "--client-file", path.to_str().unwrap()];

    // The provider does not know it: everything stays.
    let refused = home.run(&rotate).expect_code(7);
    let _ = refused.expect_said("nothing was changed");
    let _ = home.run(&["token", "robot", "--refresh"]).answer();
    assert_eq!(header(&provider)["kid"], ServiceAccount::KEY_ID);

    provider.configure(|config| config.service_accounts[0].add_key("robot-key-2", ServiceAccount::OTHER_KEY));
    let rotated = home.run(&rotate).expect_code(0);

    let _ = rotated
        .expect_said("proven by")
        .expect_said(&format!("delete the old key {}", ServiceAccount::KEY_ID));
    assert_eq!(header(&provider)["kid"], "robot-key-2");
    provider.configure(|config| config.service_accounts[0].keys.retain(|(id, _)| id == "robot-key-2"));
    let _ = home.run(&["token", "robot", "--refresh"]).answer();
    let _ = home.run(&["rotate", "client-secret", "robot", "--drop-old"]).expect_code(0);
    assert!(!std::fs::read_to_string(home.client("robot")).unwrap().contains(ServiceAccount::KEY_ID));
    let _ = home.run(&["verify"]).expect_code(0);
}
