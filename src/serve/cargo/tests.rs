use serde_json::{Value, json};

use super::*;
use crate::serve::clerk::{Clerk, END};

/// A desk at which `work` is bound to one registry.
fn at(host: &str) -> Clerk {
    Clerk::bound_to(Use::Cargo, &[host])
}

fn says(desk: &Clerk, request: &Value) -> Value {
    talk(desk, &format!("{request}\n"))[1].clone()
}

fn talk(desk: &Clerk, input: &str) -> Vec<Value> {
    let mut output = Vec::new();
    serve(desk, &mut input.as_bytes(), &mut output).unwrap();
    let text = String::from_utf8(output).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn get(index: &str) -> Value {
    json!({"v": 1, "registry": {"index-url": index, "name": "corp"}, "kind": "get", "operation": "read"})
}

fn with_args(arguments: &[&str]) -> Value {
    let mut request = get("sparse+https://crates.example/index/");
    request["args"] = json!(arguments);
    request
}

#[test]
fn it_begins_with_hello_and_ends_with_cargo() {
    let desk = at("crates.example");

    assert_eq!(talk(&desk, ""), [json!({"v": [1]})]);

    let question = get("https://crates.example/");
    let lines = talk(&desk, &format!("{question}\n{question}\n"));
    assert_eq!(lines.len(), 3, "an answer for each question");
}

#[test]
fn every_operation_gets_the_token_until_it_expires() {
    let desk = at("crates.example");
    let expected = json!({"Ok": {
        "kind": "get", "token": "Bearer token-canary", "cache": "expires", "expiration": END,
        "operation_independent": true,
    }});

    for operation in ["read", "publish", "yank", "unyank", "owners", "of-next-year"] {
        let mut question = get("sparse+https://crates.example/index/");
        question["operation"] = json!(operation);
        question["name"] = json!("some-crate");
        question["registry"]["headers"] =
            json!(["WWW-Authenticate: Cargo login_url=\"https://evil.example\""]);
        question["of-next-year"] = json!({"a": [1]});
        assert_eq!(says(&desk, &question), expected, "{operation}");
    }
}

#[test]
fn a_token_whose_life_nobody_knows_is_kept_for_the_run() {
    let desk = at("crates.example").with_endless_token();

    let answer = says(&desk, &get("https://crates.example/"));

    assert_eq!(answer["Ok"]["cache"], "session");
    assert_eq!(answer["Ok"]["expiration"], Value::Null);
}

#[test]
fn a_registry_that_no_profile_is_bound_to_is_left_to_other_providers() {
    let desk = at("crates.example");
    let nothing = json!({"Err": {"kind": "url-not-supported"}});

    for index in [
        "https://other.example/",
        "https://sub.crates.example/",
        "https://crates.example.evil.example/",
        "https://crates.example./",
        "https://crates.example:8443/",
        "https://user@crates.example/",
        "https://user:x@crates.example/",
        "sparse+sparse+https://crates.example/",
        "http://crates.example/",
        "sparse+http://crates.example:443/",
        "ssh://git@crates.example/index",
        "file:///crates.example",
        "https:crates.example@evil.example/",
        "crates.example",
        "",
    ] {
        assert_eq!(says(&desk, &get(index)), nothing, "{index}");
    }
    assert_eq!(desk.questions(), 0);
    for index in ["https://CRATES.example:443/x", "sparse+https://crates.example/index/"] {
        assert!(says(&desk, &get(index))["Ok"].is_object(), "{index}");
    }
}

#[test]
fn plain_http_is_good_enough_on_this_machine_only() {
    for (host, index) in [
        ("127.0.0.1:8080", "sparse+http://127.0.0.1:8080/index/"),
        ("localhost:8080", "http://localhost:8080/"),
        ("[::1]:8080", "http://[::1]:8080/"),
    ] {
        assert!(says(&at(host), &get(index))["Ok"].is_object(), "{index}");
    }
    for (host, index) in [
        ("10.0.0.1:8080", "http://10.0.0.1:8080/"),
        ("localhost.evil.example:8080", "http://localhost.evil.example:8080/"),
    ] {
        assert_eq!(says(&at(host), &get(index))["Err"]["kind"], "url-not-supported", "{index}");
    }
}

#[test]
fn the_arguments_name_a_profile_or_nothing() {
    let desk = at("crates.example");

    for arguments in [&[][..], &["--profile", "work"], &["-p", "work"], &["--profile=work"]] {
        assert!(says(&desk, &with_args(arguments))["Ok"].is_object(), "{arguments:?}");
    }
    for arguments in [
        &["work"][..],
        &["--profile"],
        &["--profile", "work", "--vault-dir", "/tmp/evil"],
        &["--profile", "work", "--profile", "other"],
        &["--profile=../work"],
        &["--profile", "Work"],
        &["-pwork"],
        &[""],
    ] {
        let answer = says(&desk, &with_args(arguments));
        assert_eq!(answer["Err"]["kind"], "other", "{arguments:?}");
        let message = answer["Err"]["message"].as_str().unwrap();
        assert!(message.starts_with("credential-provider"), "{message}");
    }
}

#[test]
fn a_named_profile_that_is_not_bound_is_told_how_to_be() {
    let desk = at("crates.example");

    let answer = says(&desk, &with_args(&["--profile", "other"]));

    let message = "profile `other` is not bound to this registry; to send its token there, run `vault edit other \
                   --bind cargo=crates.example`";
    assert_eq!(answer, json!({"Err": {"kind": "other", "message": message, "caused-by": []}}));
}

#[test]
fn why_there_is_no_token_reaches_the_user_of_cargo() {
    let desk = at("crates.example").refusing(RefusalKind::LoginNeeded);

    let answer = says(&desk, &get("https://crates.example/"));

    assert_eq!(
        answer,
        json!({"Err": {"kind": "other", "message": "no; run `vault login work`", "caused-by": []}})
    );
}

#[test]
fn whatever_is_not_get_changes_nothing() {
    let desk = at("crates.example");

    for kind in ["login", "logout", "of-next-year"] {
        let mut question = get("https://crates.example/");
        question["kind"] = json!(kind);
        question["token"] = json!("s3cret");
        assert_eq!(says(&desk, &question), json!({"Err": {"kind": "operation-not-supported"}}), "{kind}");
    }
    assert_eq!(desk.questions(), 0);
}

#[test]
fn what_is_no_question_is_answered_as_such_and_repeats_nothing() {
    let desk = at("crates.example");
    let other_version = get("https://crates.example/").to_string().replace("\"v\":1", "\"v\":2");

    let token = "{\"v\":1,\"registry\":\"s3cret\"}";
    for line in ["", "s3cret", "\"s3cret\"", "{}", "[]", "null", "\u{0}", token, &other_version] {
        let lines = talk(&desk, &format!("{line}\n"));
        assert_eq!(lines[1]["Err"]["kind"], "other", "{line}");
        assert!(!lines[1].to_string().contains("s3cret"), "{line}");
    }
    let endless = format!("{{\"v\":1,\"kind\":\"get\",\"args\":[\"{}\"", "x".repeat(2 << 20));
    assert_eq!(talk(&desk, &endless).len(), 2, "the rest is not waited for");
}
