use super::*;
use crate::serve::clerk::Clerk;

fn clerk() -> Clerk {
    Clerk::bound_to(
        Use::Docker,
        &["europe-docker.pkg.dev", "gcr.io", "registry.example:5000", "index.docker.io", "127.0.0.1:80"],
    )
}

fn say(desk: &Clerk, action: &str, input: &str) -> (bool, String, Option<String>) {
    let reply = answer(desk, None, action, input.as_bytes()).unwrap();
    (reply.is_error, reply.answer.expose_secret().to_owned(), reply.word)
}

fn not_found() -> (bool, String, Option<String>) {
    (true, format!("{NOT_FOUND}\n"), None)
}

#[test]
fn a_bound_registry_gets_the_token_under_the_name_that_it_was_asked_by() {
    for (server, user) in [
        ("europe-docker.pkg.dev", "oauth2accesstoken"),
        ("https://europe-docker.pkg.dev", "oauth2accesstoken"),
        ("https://gcr.io/", "oauth2accesstoken"),
        ("gcr.io:443", "oauth2accesstoken"),
        ("https://gcr.io/v2/", "oauth2accesstoken"),
        ("GCR.io", "oauth2accesstoken"),
        ("registry.example:5000", "oauth2"),
        ("https://registry.example:5000/v1/", "oauth2"),
        ("https://index.docker.io/v1/", "oauth2"),
        ("http://127.0.0.1", "oauth2"),
        ("127.0.0.1:80", "oauth2"),
    ] {
        let expected = format!(r#"{{"ServerURL":"{server}","Username":"{user}","Secret":"token-canary"}}"#);
        assert_eq!(say(&clerk(), "get", server), (false, expected.clone(), None));
        assert_eq!(say(&clerk(), "get", &format!("{server}\n")), (false, expected, None));
    }
}

#[test]
fn any_other_registry_is_not_found_in_the_words_that_docker_knows() {
    for server in [
        "docker.pkg.dev",
        "evil.gcr.io",
        "gcr.io.evil.example",
        "gcr.io.",
        "gcr.io:80",
        "gcr.io@evil.example",
        "me@gcr.io",
        "http://gcr.io",
        "ftp://gcr.io",
        "//gcr.io",
        "https://https://gcr.io",
        "gcr.io/project",
        "gcr.io/v2/../x",
        "gcr.io\\v2",
        "gcr.io gcr.io",
        "gcr.io\ngcr.io",
        "gcr.io\0",
        "gcr%2eio",
        "\u{ff47}cr.io",
        "registry.example",
        "127.0.0.1",
        "*",
        "{}",
        &"x".repeat(MAX_REQUEST + 1),
    ] {
        let desk = clerk();
        assert_eq!(say(&desk, "get", server), not_found(), "{server:.80}");
        assert_eq!(desk.questions(), 0, "{server:.80}");
    }
    let bytes = answer(&clerk(), None, "get", &b"\xff\xfe"[..]).unwrap();
    assert_eq!(bytes.answer.expose_secret(), format!("{NOT_FOUND}\n"));
}

#[test]
fn what_is_no_request_is_an_error_on_standard_output() {
    for action in ["get", "erase"] {
        for nothing in ["", "\n", "  \n"] {
            assert_eq!(say(&clerk(), action, nothing), (true, format!("{NO_SERVER}\n"), None));
        }
    }
    assert_eq!(say(&clerk(), "gat", "gcr.io"), (true, "Unknown credential action `gat`\n".into(), None));
}

#[test]
fn why_a_bound_registry_is_not_answered_is_told_to_the_program_and_to_the_person() {
    for kind in [RefusalKind::LoginNeeded, RefusalKind::Locked, RefusalKind::Offline, RefusalKind::Other] {
        let said = "no; run `vault login work`";
        let expected = (true, format!("{said}\n"), Some(said.to_owned()));
        assert_eq!(say(&clerk().refusing(kind), "get", "gcr.io"), expected);
    }
}

#[test]
fn store_and_erase_are_heard_and_change_nothing() {
    let desk = clerk();
    let stored = r#"{"ServerURL":"gcr.io","Username":"a","Secret":"b"}"#;
    let (is_error, answer, word) = say(&desk, "store", stored);
    assert_eq!((is_error, answer.as_str()), (false, ""));
    assert!(word.unwrap().contains("nothing is stored"));
    assert_eq!(say(&desk, "erase", "gcr.io"), (false, String::new(), None));
    assert_eq!((desk.questions(), desk.forgotten().len()), (0, 0));
}

#[test]
fn the_list_has_servers_and_users_and_docker_hub_by_the_name_that_docker_looks_for() {
    let bound = ["gcr.io", "registry.example:5000", "index.docker.io"];
    let reply = list(&bound.iter().map(|host| host.parse().unwrap()).collect());
    assert_eq!(
        reply.answer.expose_secret(),
        r#"{"gcr.io":"oauth2accesstoken","https://index.docker.io/v1/":"oauth2","registry.example:5000":"oauth2"}"#
    );
    assert_eq!(list(&BTreeSet::new()).answer.expose_secret(), "{}");
}

#[test]
fn the_version_is_told() {
    let (is_error, version, _) = say(&clerk(), "version", "");
    assert!(!is_error && version.starts_with("docker-credential-vault (vault) "));
}
