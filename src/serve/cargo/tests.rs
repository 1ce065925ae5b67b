use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::domain::{Profile, Scopes};
use crate::serve::RefusalKind;

/// A desk at which `work` is bound to one registry, and everything goes as the test says.
struct OneRegistry {
    host: &'static str,
    expires_at: Option<i64>,
    refusal: Option<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl OneRegistry {
    fn at(host: &'static str) -> Self {
        Self { host, expires_at: Some(1_693_942_857), refusal: None, asked: Mutex::default() }
    }

    fn says(&self, request: &Value) -> Value {
        let lines = self.talk(&format!("{request}\n"));
        lines[1].clone()
    }

    fn talk(&self, input: &str) -> Vec<Value> {
        let mut output = Vec::new();
        serve(self, &mut input.as_bytes(), &mut output).unwrap();
        let text = String::from_utf8(output).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Desk for OneRegistry {
    fn token(&self, profile: &ProfileName, _: &Ask) -> Result<AccessToken, Refusal> {
        self.asked.lock().unwrap().push(profile.to_string());
        match self.refusal {
            Some(why) => Err(Refusal { kind: RefusalKind::LoginNeeded, message: why.into() }),
            None => Ok(AccessToken {
                value: "ya29.canary".into(),
                obtained_at: Timestamp::UNIX_EPOCH,
                expires_at: self.expires_at.map(|second| Timestamp::from_second(second).unwrap()),
                scopes: Scopes::default(),
            }),
        }
    }

    fn profile(&self, _: &ProfileName) -> Result<Profile, Refusal> {
        panic!("nobody asks for this");
    }

    fn profile_for(
        &self,
        need: Use,
        host: &Host,
        named: Option<&ProfileName>,
    ) -> Result<Option<ProfileName>, Refusal> {
        assert_eq!(need, Use::Cargo);
        let work: ProfileName = "work".parse().unwrap();
        let is_meant = named.is_none_or(|name| *name == work) && host.to_string() == self.host;
        Ok(is_meant.then_some(work))
    }

    fn forget(&self, _: &ProfileName, _: &SecretString) -> Result<(), Refusal> {
        panic!("cargo never says that a token does not work");
    }
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
    let desk = OneRegistry::at("crates.example");

    assert_eq!(desk.talk(""), [json!({"v": [1]})]);

    let question = get("https://crates.example/");
    let lines = desk.talk(&format!("{question}\n{question}\n"));
    assert_eq!(lines.len(), 3, "an answer for each question");
}

#[test]
fn every_operation_gets_the_token_until_it_expires() {
    let desk = OneRegistry::at("crates.example");
    let expected = json!({"Ok": {
        "kind": "get", "token": "Bearer ya29.canary", "cache": "expires", "expiration": 1_693_942_857,
        "operation_independent": true,
    }});

    for operation in ["read", "publish", "yank", "unyank", "owners", "of-next-year"] {
        let mut question = get("sparse+https://crates.example/index/");
        question["operation"] = json!(operation);
        question["name"] = json!("some-crate");
        question["registry"]["headers"] =
            json!(["WWW-Authenticate: Cargo login_url=\"https://evil.example\""]);
        question["of-next-year"] = json!({"a": [1]});
        assert_eq!(desk.says(&question), expected, "{operation}");
    }
}

#[test]
fn a_token_whose_life_nobody_knows_is_kept_for_the_run() {
    let desk = OneRegistry { expires_at: None, ..OneRegistry::at("crates.example") };

    let answer = desk.says(&get("https://crates.example/"));

    assert_eq!(answer["Ok"]["cache"], "session");
    assert_eq!(answer["Ok"]["expiration"], Value::Null);
}

#[test]
fn a_registry_that_no_profile_is_bound_to_is_left_to_other_providers() {
    let desk = OneRegistry::at("crates.example");
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
        assert_eq!(desk.says(&get(index)), nothing, "{index}");
    }
    assert!(desk.asked.lock().unwrap().is_empty());
    for index in ["https://CRATES.example:443/x", "sparse+https://crates.example/index/"] {
        assert!(desk.says(&get(index))["Ok"].is_object(), "{index}");
    }
}

#[test]
fn plain_http_is_good_enough_on_this_machine_only() {
    for (host, index) in [
        ("127.0.0.1:8080", "sparse+http://127.0.0.1:8080/index/"),
        ("localhost:8080", "http://localhost:8080/"),
        ("[::1]:8080", "http://[::1]:8080/"),
    ] {
        assert!(OneRegistry::at(host).says(&get(index))["Ok"].is_object(), "{index}");
    }
    for (host, index) in [
        ("10.0.0.1:8080", "http://10.0.0.1:8080/"),
        ("localhost.evil.example:8080", "http://localhost.evil.example:8080/"),
    ] {
        assert_eq!(OneRegistry::at(host).says(&get(index))["Err"]["kind"], "url-not-supported", "{index}");
    }
}

#[test]
fn the_arguments_name_a_profile_or_nothing() {
    let desk = OneRegistry::at("crates.example");

    for arguments in [&[][..], &["--profile", "work"], &["-p", "work"], &["--profile=work"]] {
        assert!(desk.says(&with_args(arguments))["Ok"].is_object(), "{arguments:?}");
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
        let answer = desk.says(&with_args(arguments));
        assert_eq!(answer["Err"]["kind"], "other", "{arguments:?}");
        let message = answer["Err"]["message"].as_str().unwrap();
        assert!(message.starts_with("credential-provider"), "{message}");
    }
}

#[test]
fn a_named_profile_that_is_not_bound_is_told_how_to_be() {
    let desk = OneRegistry::at("crates.example");

    let answer = desk.says(&with_args(&["--profile", "other"]));

    let message = "profile `other` is not bound to this registry; to send its token there, run `vault edit other \
                   --bind cargo=crates.example`";
    assert_eq!(answer, json!({"Err": {"kind": "other", "message": message, "caused-by": []}}));
}

#[test]
fn why_there_is_no_token_reaches_the_user_of_cargo() {
    let why = "the login of `work` is over; run `vault login work`";
    let desk = OneRegistry { refusal: Some(why), ..OneRegistry::at("crates.example") };

    let answer = desk.says(&get("https://crates.example/"));

    assert_eq!(answer, json!({"Err": {"kind": "other", "message": why, "caused-by": []}}));
}

#[test]
fn whatever_is_not_get_changes_nothing() {
    let desk = OneRegistry::at("crates.example");

    for kind in ["login", "logout", "of-next-year"] {
        let mut question = get("https://crates.example/");
        question["kind"] = json!(kind);
        question["token"] = json!("s3cret");
        assert_eq!(desk.says(&question), json!({"Err": {"kind": "operation-not-supported"}}), "{kind}");
    }
    assert!(desk.asked.lock().unwrap().is_empty());
}

#[test]
fn what_is_no_question_is_answered_as_such_and_repeats_nothing() {
    let desk = OneRegistry::at("crates.example");
    let other_version = get("https://crates.example/").to_string().replace("\"v\":1", "\"v\":2");

    let token = "{\"v\":1,\"registry\":\"s3cret\"}";
    for line in ["", "s3cret", "\"s3cret\"", "{}", "[]", "null", "\u{0}", token, &other_version] {
        let lines = desk.talk(&format!("{line}\n"));
        assert_eq!(lines[1]["Err"]["kind"], "other", "{line}");
        assert!(!lines[1].to_string().contains("s3cret"), "{line}");
    }
    let endless = format!("{{\"v\":1,\"kind\":\"get\",\"args\":[\"{}\"", "x".repeat(2 << 20));
    assert_eq!(desk.talk(&endless).len(), 2, "the rest is not waited for");
}
