//! `vault api`: what is sent with a profile's token, and what comes back.

use std::fs::File;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::expiry::refreshes;
use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Fault, Provider, Request};

/// A provider with an API at `/api/…`, and a home whose profile `work` may send its token there.
pub fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.forget_requests();
    (provider, home)
}

/// The token that went along with `request`, if one did.
pub fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

/// The only request to the API.
#[track_caller]
pub fn only(provider: &Provider) -> Request {
    let mut requests = provider.requests_to(Endpoint::Api);
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

/// Asserts the code of a run whose answer may be that of an error.
#[track_caller]
pub fn with_code(run: Run, code: i32) -> Run {
    assert_eq!(run.code, code, "vault {}\n{}\n{}", run.arguments, run.stdout, run.stderr);
    run
}

/// What the API says that it was asked.
#[track_caller]
fn asked(run: Run) -> Value {
    serde_json::from_str(&run.expect_code(0).stdout).unwrap()
}

fn answering(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Respond { status, headers, body: body.into() }
}

#[test]
fn a_request_has_the_token_in_its_header_and_its_answer_is_the_answer() {
    let (provider, home) = logged_in();

    let answer = asked(home.run(&["api", "work", "GET", &provider.url("/api/me?x=1")]));

    assert_eq!(answer["query"], json!([["x", "1"]]));
    let request = only(&provider);
    assert!(provider.is_live_access_token(bearer(&request).unwrap()));
    assert!(request.body.is_empty() && request.header("content-type").is_none());
    assert_eq!(provider.count(Endpoint::Token), 0, "the cached token was good enough");
}

#[test]
fn the_words_may_be_one_two_or_three_and_a_body_makes_it_a_post() {
    let (provider, mut home) = logged_in();
    let url = provider.url("/api/x");

    for (words, method) in [
        (&[&*url][..], "GET"),
        (&["work", &url], "GET"),
        (&["DELETE", &url], "DELETE"),
        (&["work", "PATCH", &url, "-d", "{}"], "PATCH"),
        (&[&url, "-d", "{}"], "POST"),
        (&["-p", "work", &url, "-f", "a=b"], "POST"),
        (&["OPTIONS", &url, "--profile", "work"], "OPTIONS"),
    ] {
        assert_eq!(asked(home.run(&[&["api"], words].concat()))["method"], method, "{words:?}");
    }
    home.set("VAULT_PROFILE", "wrok");
    let _ = home.run(&["api", &url]).expect_code(3);
}

#[test]
fn a_body_comes_from_a_text_a_file_standard_input_or_fields() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");
    home.write("body.json", " [1]");
    let (json, octets) = ("application/json", "application/octet-stream");

    for (words, kind, body) in [
        (&["-d", "{\"a\": 1.50}"][..], json, "{\"a\": 1.50}"),
        (&["-d", "a=b&c"], octets, "a=b&c"),
        (&["-d", "--x"], octets, "--x"),
        (
            &["-d", "a=b", "-H", "Content-Type: application/x-www-form-urlencoded"],
            "application/x-www-form-urlencoded",
            "a=b",
        ),
        (&["-d", "@body.json"], json, " [1]"),
        (&["--input", "body.json"], json, " [1]"),
        (&["--input", "body.json", "-f", "in=query"], json, " [1]"),
        (
            &["-f", "t=5", "-F", "n=5", "-F", "l=[1,null]", "-f", "e=a=b"],
            json,
            r#"{"e":"a=b","l":[1,null],"n":5,"t":"5"}"#,
        ),
    ] {
        let answer = asked(home.run(&[&["api", &url], words].concat()));
        assert_eq!((answer["type"].as_str(), answer["body"].as_str()), (Some(kind), Some(body)), "{words:?}");
    }
    let last_query = provider.requests_to(Endpoint::Api)[6].query.clone();
    assert_eq!(last_query, [("in".to_owned(), "query".to_owned())]);
    let answer = asked(home.run(&["api", "GET", &format!("{url}?a=b"), "-f", "q=x y&z", "-F", "n=[1]"]));
    assert_eq!(answer["query"], json!([["a", "b"], ["q", "x y&z"], ["n", "[1]"]]));
    assert_eq!(answer["body"], "");
    let _ = home.run(&["api", &url, "-f", "a=1", "-F", "a=2"]).expect_code(2).expect_said("twice");
    let _ = home.run(&["api", &url, "-F", "a=text"]).expect_code(2).expect_said("no JSON");
    let _ = home.run(&["api", &url, "--input", "nothing"]).expect_code(2).expect_said("nothing");
}

#[test]
fn headers_of_the_user_go_along_and_none_ends_the_message_or_names_another_token() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");

    let _ =
        home.run(&["api", &url, "-H", "Accept: text/csv", "-H", "X-One: a", "-H", "x-one:b"]).expect_code(0);
    let request = only(&provider);
    assert_eq!(request.header("accept"), Some("text/csv"));
    let ones = request.headers.iter().filter(|(name, _)| name == "x-one").count();
    assert_eq!(ones, 2);
    provider.forget_requests();
    for header in [
        "X: a\r\nAuthorization: Bearer b",
        "X: a\nY: b",
        "X: a\rY: b",
        "X\r\nY: b",
        "Authorization: Bearer b",
        "Host: evil.example",
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        "Cookie: a=b",
        "no header",
    ] {
        let _ = home.run(&["api", &url, "-H", header]).expect_code(2);
    }
    for url in ["http://127.0.0.1/\r\nX: y", "https://a b/", "a.example/x", "https://", "/api/x"] {
        let _ = home.run(&["api", url]).expect_code(2);
    }
    assert_eq!(provider.requests().len(), 0);
}

#[test]
fn an_error_is_an_answer_too_and_the_code_says_whose_turn_it_is() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");
    let google = json!({"error": {"code": 403, "details": [{"reason": "SERVICE_DISABLED"}]}}).to_string();
    let insufficient = ("WWW-Authenticate", "Bearer error=\"insufficient_scope\", scope=\"a.read b\"");
    let no_scopes = json!({"error": {"errors": [{"reason": "insufficientPermissions"}]}}).to_string();

    for (fault, code, said) in [
        (answering(400, &[], "bad"), 7, "HTTP status 400"),
        (answering(404, &[], "gone"), 7, "HTTP status 404"),
        (answering(403, &[], "<html>"), 7, "HTTP status 403"),
        (answering(403, &[insufficient], "{}"), 7, "run `vault login work --scope a.read`"),
        (answering(403, &[], &no_scopes), 7, "vault login work --scope SCOPE"),
        (answering(403, &[], &google), 7, "the API is not enabled in the project"),
        (answering(408, &[], "slow"), 8, "HTTP status 408"),
        (answering(429, &[("Retry-After", "7")], "many"), 8, "try again in 7 seconds"),
        (answering(500, &[], "oops"), 8, "HTTP status 500"),
        (answering(503, &[], "later"), 8, "try again in a minute"),
    ] {
        let Fault::Respond { body, .. } = &fault else { unreachable!() };
        let body = String::from_utf8(body.clone()).unwrap();
        provider.script(Endpoint::Api, vec![fault]);

        let run = with_code(home.run(&["api", &url]), code).expect_said(said);

        assert_eq!(run.stdout, body);
    }
    for good in [200, 201, 204, 304] {
        provider.script(Endpoint::Api, vec![answering(good, &[], "")]);
        assert_eq!(home.run(&["api", &url]).answer(), "");
    }
    assert_eq!(refreshes(&provider), 0);
}

#[test]
fn a_cached_token_that_the_server_refuses_is_renewed_once_and_the_request_sent_again() {
    let (provider, home) = logged_in();
    home.write("body", "{\"a\": 1}");
    // It has expired there, and not here.
    provider.advance(std::time::Duration::from_secs(7200));

    let answer = asked(home.run(&["api", &provider.url("/api/x"), "--input", "body"]));

    assert_eq!(answer["body"], "{\"a\": 1}");
    let requests = provider.requests_to(Endpoint::Api);
    assert_eq!((requests.len(), refreshes(&provider)), (2, 1));
    assert_ne!(bearer(&requests[0]), bearer(&requests[1]));
    assert_eq!(requests[0].body, requests[1].body);
}

#[test]
fn a_server_puts_no_command_into_the_one_that_is_to_be_typed() {
    let (provider, home) = logged_in();
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"a;evil$(evil)`evil`\"";
    provider.script(Endpoint::Api, vec![answering(403, &[("WWW-Authenticate", challenge)], "")]);

    let run = with_code(home.run(&["api", &provider.url("/api/x")]), 7);

    let _ = run.expect_said("--scope 'a;evil$(evil)`evil`'");
}

#[test]
fn a_new_token_that_is_refused_too_ends_it() {
    let (provider, home) = logged_in();
    provider.script(Endpoint::Api, vec![answering(401, &[], "no"), answering(401, &[], "never")]);

    let run = with_code(home.run(&["api", &provider.url("/api/x")]), 7);

    assert_eq!(run.stdout, "never");
    let _ = run.expect_said("it does not accept the token");
    assert_eq!((provider.count(Endpoint::Api), refreshes(&provider)), (2, 1));
    // One that was obtained just now is not renewed at all.
    let _ = home.run(&["logout", "work", "--local-only"]);
    let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(0);
}

#[test]
fn what_can_be_read_only_once_is_sent_only_once() {
    let (provider, home) = logged_in();
    provider.script(Endpoint::Api, vec![answering(401, &[], "no")]);

    let run =
        home.run_with_input(&["api", "PUT", &provider.url("/api/x"), "--input", "-", "-H", "X-A: b"], "");

    let _ = with_code(run, 7).expect_said("it does not accept the token");
    assert_eq!((provider.count(Endpoint::Api), refreshes(&provider)), (1, 0));
}

#[test]
fn a_grant_that_has_ended_meanwhile_needs_a_login() {
    let (provider, home) = logged_in();
    provider.revoke_user_grant("desktop", "me@example.com");

    let _ = home.run(&["api", &provider.url("/api/x")]).expect_code(5).expect_said("vault login work");
}

#[test]
fn status_and_headers_are_shown_where_they_are_asked_for() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");
    let two = [("X-Two", "a"), ("X-Two", "b"), ("Content-Type", "text/plain")];
    provider.script(Endpoint::Api, vec![answering(200, &two, "body")]);

    let shown = home.run(&["api", "-i", &url]).expect_code(0).stdout;

    assert!(shown.starts_with("HTTP/1.1 200 OK\n"), "{shown}");
    assert!(shown.contains("\nx-two: a\nx-two: b\n") && shown.ends_with("\n\nbody"), "{shown}");
    provider.script(Endpoint::Api, vec![answering(200, &[("Content-Length", "1000")], "")]);
    let head = home.run(&["api", "HEAD", &url]).expect_code(0).stdout;
    assert!(head.contains("content-length: 1000\n") && head.ends_with("\n\n"), "{head}");
}

#[test]
fn json_tells_status_headers_and_body_and_changes_no_number() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");
    let kind = [("Content-Type", "application/json")];
    let bodies = [
        ("{\"n\": 12345678901234567890.10}", "\"body\":{\"n\": 12345678901234567890.10}"),
        ("plain \u{1b} text", "\"body\":\"plain \\u001b text\""),
        ("", "\"body\":\"\""),
    ];
    for (body, told) in bodies {
        provider.script(Endpoint::Api, vec![answering(200, &kind, body)]);
        let answer = home.run(&["api", &url, "--json"]).answer();
        assert!(answer.contains(told), "{answer}");
        let parsed: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((&parsed["version"], &parsed["status"]), (&json!(1), &json!(200)));
        assert_eq!(parsed["headers"]["content-type"], "application/json");
    }
    let octets = Fault::Respond { status: 200, headers: vec![], body: vec![0, 255] };
    provider.script(Endpoint::Api, vec![octets]);
    let parsed: Value = serde_json::from_str(&home.run(&["api", &url, "--json"]).answer()).unwrap();
    assert_eq!(parsed["body_base64"], "AP8=");
}

#[test]
fn a_file_gets_the_whole_of_a_good_answer_and_takes_the_place_of_none() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");
    provider.script(Endpoint::Api, vec![answering(200, &[], "one"), answering(404, &[], "not there")]);

    assert_eq!(home.run(&["api", &url, "-o", "out"]).answer(), "");
    assert_eq!(std::fs::read(home.path("out")).unwrap(), b"one");
    let missing = with_code(home.run(&["api", &url, "-o", "other"]), 7);
    assert_eq!(missing.stdout, "not there");
    assert!(!home.path("other").exists());
    provider.forget_requests();
    let _ = home.run(&["api", &url, "-o", "out"]).expect_code(2).expect_said("out exists already");
    assert_eq!(provider.requests().len(), 0, "it is seen before anything is sent");
    provider.script(Endpoint::Api, vec![answering(200, &[], "two")]);
    let told = home.run(&["api", &url, "-o", "out", "--force", "--json"]).answer();
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["bytes"], 3);
    assert_eq!(std::fs::read(home.path("out")).unwrap(), b"two");
    assert!(home.files("").iter().all(|file| !file.to_string_lossy().contains("vault-part")));
}

#[test]
fn a_reader_who_has_had_enough_is_no_error_and_a_full_disk_is_one() {
    let (provider, home) = logged_in();
    let flood = || vec![Fault::CommitThenFlood(64)];
    provider.script(Endpoint::Api, flood());
    let mut command = home.command(&["api", &provider.url("/api/x")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));

    provider.script(Endpoint::Api, flood());
    let mut command = home.command(&["api", &provider.url("/api/x")]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let run = Run::of(&["api"], command.output().unwrap());
    let _ = run.expect_code(10).expect_said("the request was sent");
}

#[test]
fn what_is_logged_has_the_method_and_the_place_and_no_secret() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x?key=CANARY-QUERY");

    let run =
        home.run(&["api", &url, "-vvv", "-d", "CANARY-BODY", "-H", "X-A: CANARY-HEADER"]).expect_code(0);

    let place = provider.url("/api/x?…");
    let run = run.expect_said(&format!("POST {place}: HTTP/1.1 200 OK")).expect_unsaid("CANARY");
    for secret in provider.issued() {
        assert!(!run.stderr.contains(&secret), "{}", run.stderr);
    }
}
