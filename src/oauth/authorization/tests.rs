use std::collections::BTreeSet;

use super::*;
use crate::domain::{ClientAuth, Endpoints};

const ISSUER: &str = "https://as.example";

fn client(issuer: &str, issuer_in_response: bool) -> Client {
    let url = |path: &str| Url::parse(&format!("https://as.example/{path}")).unwrap();
    let endpoints = Endpoints::of(url("authorize?tenant=7"), url("token"));
    Client {
        name: "client".parse().unwrap(),
        provider: "as.example".into(),
        issuer: issuer.into(),
        endpoints,
        client_id: "me".into(),
        client_auth: ClientAuth::Post,
        client_auth_pinned: false,
        redirect_uri: None,
        insecure_loopback: false,
        issuer_in_response,
        offline_scope: false,
        pinned: Default::default(),
        key_id: None,
        key_id_next: None,
        key_id_previous: None,
        secret_set_at: None,
    }
}

fn redirect_uri() -> RedirectUri {
    "http://127.0.0.1:4000/".parse().unwrap()
}

fn begin(client: &Client, scopes: &str, extra: &[(&'static str, &str)]) -> Flow {
    let consent = Consent {
        scopes: scopes.parse().unwrap(),
        login_hint: None,
        extra: extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        wording: Wording::default(),
    };
    Flow::begin(client, &consent, redirect_uri())
}

fn flow() -> Flow {
    begin(&client(ISSUER, false), "openid", &[])
}

fn sent(flow: &Flow, name: &str) -> Vec<String> {
    let pairs = flow.url().query_pairs().into_owned();
    pairs.filter(|(key, _)| key == name).map(|(_, value)| value).collect()
}

fn state(flow: &Flow) -> String {
    sent(flow, "state").remove(0)
}

/// What a name in the tables below stands for.
fn class(answer: &Answer) -> &'static str {
    match answer {
        Answer::NotOurs(_) => "wait",
        Answer::Ours(Ok(_)) => "code",
        Answer::Ours(Err(Error::Policy { .. })) => "policy",
        Answer::Ours(Err(Error::Nonsense { .. })) => "nonsense",
        Answer::Ours(Err(Error::Denied(_))) => "denied",
        Answer::Ours(Err(Error::Refused(_))) => "refused",
        Answer::Ours(Err(_)) => "other",
    }
}

#[test]
fn a_code_is_asked_for_with_pkce() {
    let flow = begin(&client(ISSUER, false), "email drive", &[("access_type", "offline")]);

    let verifier = flow.verifier().unwrap().expose_secret();
    assert_eq!(verifier.len(), 43);
    assert_eq!(sent(&flow, "code_challenge"), [challenge(verifier)]);
    assert_eq!(sent(&flow, "code_challenge_method"), ["S256"]);
    assert_eq!(sent(&flow, "response_type"), ["code"]);
    assert_eq!(sent(&flow, "client_id"), ["me"]);
    assert_eq!(sent(&flow, "redirect_uri"), ["http://127.0.0.1:4000/"]);
    assert_eq!(sent(&flow, "scope"), ["drive email"]);
    assert_eq!(sent(&flow, "access_type"), ["offline"]);
    assert_eq!(sent(&flow, "tenant"), ["7"]);
    assert!(sent(&flow, "nonce").is_empty() && flow.nonce().is_none());
    assert!(!flow.url().as_str().contains(verifier) && !format!("{flow:?}").contains(&state(&flow)));
}

/// RFC 7636, appendix B.
#[test]
fn the_challenge_is_the_one_of_the_specification() {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

#[test]
fn open_id_gets_a_nonce() {
    let flow = flow();

    assert_eq!(sent(&flow, "nonce"), [flow.nonce().unwrap()]);
}

#[test]
fn the_account_is_hinted_at() {
    let consent = Consent { login_hint: Some("me+x@work.example".into()), ..Consent::default() };
    let flow = Flow::begin(&client(ISSUER, false), &consent, redirect_uri());

    assert_eq!(sent(&flow, "login_hint"), ["me+x@work.example"]);
    assert!(sent(&flow, "scope").is_empty());
}

#[test]
fn no_extra_parameter_replaces_one_of_ours() {
    let extra =
        [("state", "x"), ("code_challenge_method", "plain"), ("redirect_uri", "https://evil.example")];
    let flow = begin(&client(ISSUER, false), "openid", &extra);

    for (name, value) in extra {
        assert!(!sent(&flow, name).contains(&value.to_owned()), "{name}");
        assert_eq!(sent(&flow, name).len(), 1, "{name}");
    }
}

#[test]
fn a_thousand_flows_share_nothing() {
    let client = client(ISSUER, false);
    let mut seen = BTreeSet::new();
    for _ in 0..1000 {
        let flow = begin(&client, "openid", &[]);
        seen.insert(state(&flow));
        seen.insert(flow.verifier().unwrap().expose_secret().to_owned());
        seen.insert(flow.nonce().unwrap().to_owned());
    }

    assert_eq!(seen.len(), 3000);
}

#[test]
fn every_bit_of_a_state_is_a_coin() {
    const FLOWS: usize = 1000;
    let client = client(ISSUER, false);
    let mut ones = Vec::new();
    for _ in 0..FLOWS {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(state(&begin(&client, "openid", &[]))).unwrap();
        ones.resize(bytes.len() * 8, 0);
        for (bit, count) in ones.iter_mut().enumerate() {
            *count += usize::from(bytes[bit / 8] >> (bit % 8) & 1);
        }
    }

    // RFC 6749, 10.10: 128 bits at least. Of a thousand throws of a fair coin, fewer than 400 or
    // more than 600 are heads once in ten thousand million times.
    assert!(ones.len() >= 128, "{} bits", ones.len());
    assert!(ones.iter().all(|count| (400..=600).contains(count)), "{ones:?}");
}

#[test]
fn only_the_right_state_has_an_effect() {
    let flow = flow();
    let state = state(&flow);
    let mut almost = state.clone();
    almost.replace_range(0..1, if state.starts_with('A') { "B" } else { "A" });
    let cases = [
        (String::new(), "wait"),
        ("code=x".into(), "wait"),
        ("code=x&state=".into(), "wait"),
        (format!("code=x&state={almost}"), "wait"),
        (format!("code=x&state={state}x"), "wait"),
        (format!("code=x&state={}", &state[1..]), "wait"),
        (format!("code=x&state={state}&state={state}"), "wait"),
        (format!("error=access_denied&state={almost}"), "wait"),
        (format!("code=x&code=y&iss=evil&state={almost}"), "wait"),
        (format!("state={state}"), "wait"),
        (format!("code=x&state={state}"), "code"),
        (format!("utm=1&code=x&state={state}&scope=a+b&authuser=0"), "code"),
    ];
    for (query, expected) in cases {
        assert_eq!(class(&flow.accept(&query)), expected, "{query}");
    }
}

#[test]
fn the_issuer_must_be_the_one_that_we_asked() {
    let cases = [
        (ISSUER, false, "", "code"),
        (ISSUER, false, "&iss=https%3A%2F%2Fas.example", "code"),
        (ISSUER, false, "&iss=https://as.example/", "policy"),
        (ISSUER, false, "&iss=https://AS.example", "policy"),
        (ISSUER, false, "&iss=", "policy"),
        (ISSUER, false, "&iss=https://as.example&iss=https://as.example", "policy"),
        (ISSUER, true, "", "policy"),
        (ISSUER, true, "&iss=https://as.example", "code"),
        (ISSUER, true, "&iss=https://evil.example", "policy"),
        // There was no discovery: the token endpoint is no issuer that anyone would name.
        ("https://as.example/token", false, "&iss=https://as.example", "code"),
    ];
    for (issuer, announced, iss, expected) in cases {
        let flow = begin(&client(issuer, announced), "openid", &[]);
        let answer = flow.accept(&format!("code=x&state={}{iss}", state(&flow)));
        assert_eq!(class(&answer), expected, "{issuer} {announced} {iss}");
    }
}

#[test]
fn an_error_counts_only_from_the_right_issuer() {
    let flow = flow();

    let answer = flow.accept(&format!("error=access_denied&iss=https://evil.example&state={}", state(&flow)));

    assert_eq!(class(&answer), "policy");
}

#[test]
fn an_answer_that_contradicts_itself_ends_the_flow() {
    let flow = flow();
    let long = "x".repeat(MAX_CODE + 1);
    let cases = [
        ("code=x&error=access_denied", "nonsense"),
        ("code=x&code=x", "nonsense"),
        ("error=a&error=b", "nonsense"),
        ("code=", "nonsense"),
        ("code=a%00b", "nonsense"),
        ("code=a%0d%0ab", "nonsense"),
        ("code=%ff", "nonsense"),
        (&format!("code={long}"), "nonsense"),
        ("error=access_denied", "denied"),
        ("error=invalid_scope", "refused"),
        ("error=temporarily_unavailable", "other"),
    ];
    for (query, expected) in cases {
        let answer = flow.accept(&format!("{query}&state={}", state(&flow)));
        assert_eq!(class(&answer), expected, "{query:.60}");
    }
}

#[test]
fn a_code_is_decoded_once() {
    let flow = flow();
    for (encoded, code) in [("4%2F0Ab", "4/0Ab"), ("a%2Bb", "a+b"), ("a+b", "a b"), ("a%252Fb", "a%2Fb")] {
        match flow.accept(&format!("code={encoded}&state={}", state(&flow))) {
            Answer::Ours(Ok(found)) => assert_eq!(found.expose_secret(), code),
            other => panic!("{encoded}: {other:?}"),
        }
    }
}

#[test]
fn what_an_error_says_is_filtered() {
    let flow = flow();
    let query = format!("error=%1b]0;x%07bad&error_description=%1b[2J%E2%80%AEno&state={}", state(&flow));
    let Answer::Ours(Err(Error::Refused(error))) = flow.accept(&query) else { panic!("not refused") };

    assert_eq!(error.to_string(), "]0;x bad: [2J no");
}

#[test]
fn a_pasted_address_goes_through_the_same_checks() {
    let flow = flow();
    let state = state(&flow);
    let cases = [
        (format!("  http://127.0.0.1:4000/?code=x&state={state}\n"), "code"),
        (format!("127.0.0.1:4000/?code=x&state={state}#"), "code"),
        (format!("code=x&state={state}"), "code"),
        (format!("?state={state}&code=x"), "code"),
        ("http://127.0.0.1:4000/?code=x&state=other".into(), "wait"),
        ("4/0AbCdEf".into(), "wait"),
        (String::new(), "wait"),
        ("x".repeat(MAX_PASTED + 1), "wait"),
        (format!("http://127.0.0.1:4000/?error=access_denied&state={state}"), "denied"),
    ];
    for (text, expected) in cases {
        assert_eq!(class(&flow.accept_pasted(&text)), expected, "{text:.60}");
    }
}

#[test]
fn a_bare_code_is_refused_with_a_word_of_advice() {
    let Answer::NotOurs(reason) = flow().accept_pasted("4/0AbCdEf") else { panic!("accepted") };

    assert!(reason.contains("paste all of it"), "{reason}");
}
