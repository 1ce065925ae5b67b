use super::*;
use crate::oauth::script::{Script, answer, redirect};

const TIMEOUT: Duration = Duration::from_secs(30);
const ISSUER: &str = "https://as.example/tenant";

fn document(issuer: &str, more: &str) -> String {
    format!(
        r#"{{"issuer":"{issuer}","authorization_endpoint":"https://as.example/authorize",
        "token_endpoint":"https://tokens.example/token","revocation_endpoint":"https://as.example/revoke"{more}}}"#
    )
}

fn discovered(issuer: &str, body: &str) -> Result<Metadata, Error> {
    discover(&Script::new([answer(200, body)]), issuer, false, TIMEOUT)
}

/// What a name in the tables below stands for.
fn class(result: &Result<Metadata, Error>) -> &'static str {
    match result {
        Ok(_) => "found",
        Err(Error::Policy { .. }) => "policy",
        Err(Error::Nonsense { .. }) => "nonsense",
        Err(Error::Unavailable { .. }) => "unavailable",
        Err(_) => "other",
    }
}

#[test]
fn a_document_is_read_whole() {
    let more = r#","userinfo_endpoint":"https://as.example/me","scopes_supported":["openid",7,"email"],
        "token_endpoint_auth_methods_supported":["client_secret_post"],
        "code_challenge_methods_supported":["plain","S256"],"authorization_response_iss_parameter_supported":true"#;
    let found = discovered(ISSUER, &document(ISSUER, more)).unwrap();

    assert_eq!(found.issuer, ISSUER);
    assert_eq!(found.endpoints.authorization.as_str(), "https://as.example/authorize");
    assert_eq!(found.endpoints.token.as_str(), "https://tokens.example/token");
    assert_eq!(found.endpoints.revocation.as_ref().unwrap().path(), "/revoke");
    assert_eq!(found.endpoints.userinfo.as_ref().unwrap().path(), "/me");
    assert_eq!(found.scopes_supported, ["openid", "email"]);
    assert!(found.issuer_in_response);
    assert_eq!(found.foreign_hosts(), ["tokens.example"]);
}

#[test]
fn both_places_are_looked_at_in_order() {
    let http = Script::new([answer(404, ""), answer(200, &document(ISSUER, ""))]);
    discover(&http, ISSUER, false, TIMEOUT).unwrap();

    let urls: Vec<_> = http.sent().into_iter().map(|sent| sent.url).collect();
    assert_eq!(
        urls,
        [
            "https://as.example/tenant/.well-known/openid-configuration",
            "https://as.example/.well-known/oauth-authorization-server/tenant",
        ]
    );
}

#[test]
fn an_issuer_without_a_path_has_one_slash() {
    for issuer in ["https://as.example", "https://as.example/"] {
        let http = Script::new([answer(404, ""), answer(404, "")]);
        assert_eq!(class(&discover(&http, issuer, false, TIMEOUT)), "nonsense");

        assert_eq!(http.sent()[0].url, "https://as.example/.well-known/openid-configuration");
        assert_eq!(http.sent()[1].url, "https://as.example/.well-known/oauth-authorization-server");
    }
}

#[test]
fn the_issuer_must_be_repeated_byte_for_byte() {
    for other in ["https://as.example/tenant/", "https://AS.example/tenant", "https://as.example", ""] {
        assert_eq!(class(&discovered(ISSUER, &document(other, ""))), "policy", "{other}");
    }
    let nameless = document(ISSUER, "").replace("issuer", "publisher");
    assert_eq!(class(&discovered(ISSUER, &nameless)), "policy");
}

#[test]
fn an_endpoint_that_no_secret_may_be_sent_to_is_refused() {
    let bad = [
        "http://tokens.example/token",
        "http://127.0.0.1:80/token",
        "https://user@tokens.example/token",
        "https://tokens.example/token#x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "--help",
        "https://tokens.example/a b",
        "https://tokens.example/\\u202e",
        "https://tokens.example/\\n",
        "",
    ];
    for url in bad {
        let body = document(ISSUER, "").replace("https://tokens.example/token", url);
        assert_eq!(class(&discovered(ISSUER, &body)), "policy", "{url}");
    }
}

#[test]
fn both_endpoints_of_a_login_are_required() {
    for key in ["token_endpoint", "authorization_endpoint"] {
        let body = document(ISSUER, "").replace(key, "other");
        assert_eq!(class(&discovered(ISSUER, &body)), "policy", "{key}");
    }
}

#[test]
fn pkce_is_ruled_out_only_by_a_list_without_it() {
    let rules_it_out = |list: &str| {
        let more = format!(r#","code_challenge_methods_supported":{list}"#);
        discovered(ISSUER, &document(ISSUER, &more)).unwrap().without_pkce
    };

    assert!(rules_it_out(r#"["plain"]"#) && rules_it_out("[]"));
    assert!(!rules_it_out(r#"["plain","S256"]"#) && !rules_it_out("null"));
}

#[test]
fn what_is_no_document_is_refused() {
    let twice = document(ISSUER, r#","issuer":"https://evil.example""#);
    for body in ["", "<html>", "[]", &twice] {
        assert_eq!(class(&discovered(ISSUER, body)), "nonsense", "{body}");
    }
    let busy = discover(&Script::new([answer(503, "")]), ISSUER, false, TIMEOUT);
    assert_eq!(class(&busy), "unavailable");
}

#[test]
fn redirects_stay_within_the_origin() {
    let good = || answer(200, &document(ISSUER, ""));
    let home = || redirect("/elsewhere");
    let cases = [
        (vec![home(), good()], "found", 2),
        (vec![home(), home(), home(), good()], "found", 4),
        (vec![home(), home(), home(), home(), good()], "nonsense", 4),
        (vec![redirect("https://evil.example/"), good()], "policy", 1),
        (vec![redirect("https://as.example:444/"), good()], "policy", 1),
        (vec![redirect("http://as.example/"), good()], "policy", 1),
        (vec![answer(302, ""), good()], "nonsense", 1),
    ];
    for (answers, expected, requests) in cases {
        let http = Script::new(answers);
        let result = discover(&http, ISSUER, false, TIMEOUT);
        assert_eq!((class(&result), http.sent().len()), (expected, requests), "{result:?}");
    }
}

#[test]
fn an_issuer_is_an_https_url_without_query() {
    for issuer in [
        "as.example",
        "http://as.example",
        "https://u@as.example",
        "https://as.example?x",
        "https://as.example#x",
    ] {
        let http = Script::new([]);
        assert_eq!(class(&discover(&http, issuer, false, TIMEOUT)), "policy", "{issuer}");
        assert_eq!(http.sent(), []);
    }
}

#[test]
fn plain_http_on_this_machine_must_be_allowed() {
    let issuer = "http://127.0.0.1:9000";
    let body = document(issuer, "");

    assert_eq!(class(&discovered(issuer, &body)), "policy");
    assert_eq!(class(&discover(&Script::new([answer(200, &body)]), issuer, true, TIMEOUT)), "found");
}

#[test]
fn a_client_proves_itself_in_the_header_where_it_can() {
    let methods = |list: &str| {
        let more = format!(r#","token_endpoint_auth_methods_supported":{list}"#);
        discovered(ISSUER, &document(ISSUER, &more)).unwrap()
    };

    assert_eq!(
        methods(r#"["client_secret_post","client_secret_basic"]"#).client_auth(true),
        ClientAuth::Basic
    );
    assert_eq!(methods(r#"["client_secret_post"]"#).client_auth(true), ClientAuth::Post);
    assert_eq!(methods("null").client_auth(true), ClientAuth::Basic);
    assert_eq!(methods(r#"["client_secret_post"]"#).client_auth(false), ClientAuth::None);
}
