//! What is refused in the file of a provider, whoever wrote it.

use crate::oauth::provider::{MAX_FILE, parse};

const SOUND: &str = r#"
id = "forge"
title = "Forge"
variables = [{ name = "host", allow = "host", help = "where it is" }, { name = "realm", allow = "word", default = "main", help = "which" }]

[endpoints]
issuer = "https://{host}"
authorization = "https://{host}/{realm}/authorize"
token = "https://{host}/{realm}/token"

[api]
hosts = ["{host}", ".forge.example", "api.forge.example:8443"]
"#;

fn flaw(file: &str) -> String {
    match parse(file.as_bytes(), false) {
        Ok(_) => panic!("this is no sound file: {file}"),
        Err(flaw) => flaw.to_string(),
    }
}

#[track_caller]
fn refused(more: &str, words: &str) {
    let found = flaw(&format!("{SOUND}\n{more}"));
    assert!(found.contains(words), "{more}: {found}");
}

#[track_caller]
fn refused_instead(what: &str, by: &str, words: &str) {
    assert!(SOUND.contains(what));
    let found = flaw(&SOUND.replace(what, by));
    assert!(found.contains(words), "{by}: {found}");
}

#[test]
fn a_sound_file_is_read_and_its_variables_are_filled_in() {
    let provider = parse(SOUND.as_bytes(), false).unwrap();

    let values = provider.values(&[("host".to_owned(), "Git.Example.org:3000".to_owned())]).unwrap();
    let filled = provider.filled(values).unwrap().unwrap();

    assert_eq!(filled.endpoints.token.as_str(), "https://git.example.org:3000/main/token");
    assert_eq!(filled.api_hosts[0], "git.example.org:3000");
    assert_eq!(provider.exports.default[0].0, "OAUTH_ACCESS_TOKEN");
}

#[test]
fn id_tokens_are_issued_by_the_server_of_the_issuer_whatever_a_pattern_says() {
    for pattern in ["https://{host}/*/v2.0", "https://{host}/*", "https://{host}/{realm}"] {
        let named = SOUND.replace("\n[api]", &format!("id_token_issuer = \"{pattern}\"\n\n[api]"));
        assert!(parse(named.as_bytes(), false).is_ok(), "{pattern}");
    }
    for pattern in [
        "https://*/v2.0",
        "https://*.example/v2.0",
        "https://git.example.org/*",
        "https://{host}/*/*",
        "https://{host}/a*",
        "https://{host}",
        "http://{host}/*",
    ] {
        let named = format!("id_token_issuer = \"{pattern}\"\n\n[api]");
        refused_instead("[api]", &named, "id_token_issuer");
    }
}

#[test]
fn a_variable_without_a_default_must_be_given_and_no_other_can_be() {
    let provider = parse(SOUND.as_bytes(), false).unwrap();
    let refused = |given: &[(&str, &str)]| {
        let given: Vec<_> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        provider.values(&given).unwrap_err().to_string()
    };

    assert_eq!(refused(&[]), "Forge needs to be told its host: where it is");
    assert!(refused(&[("tenant", "x")]).contains("nothing called `tenant`"));
    for host in ["evil.example/x", "me@evil.example", "evil.example#", "a b", "{realm}"] {
        assert!(refused(&[("host", host)]).contains("is not a host"), "{host}");
    }
    for realm in ["../x", "a/b", "..", "a?b", ""] {
        let given = [("host", "git.example.org"), ("realm", realm)];
        assert!(refused(&given).contains("is not a word"), "{realm}");
    }
}

#[test]
fn what_is_no_file_of_a_provider_is_refused_with_its_line() {
    assert!(flaw("").contains("missing field"));
    assert!(flaw("id = ").starts_with("line 1: "));
    assert!(flaw("id = \"x\"\nid = \"x\"").contains("duplicate key"));
    refused_instead("title", "tittle", "line 3: unknown field `tittle`");
    refused("[pkce]\nsupprt = \"ignored\"", "unknown field `supprt`");
    refused("[pkce]\nsupport = \"maybe\"", "unknown variant `maybe`");
    refused(&format!("x = {}{}", "[".repeat(500), "]".repeat(500)), "recurs");
    refused(&format!("x{} = 1", ".x".repeat(500)), "recurs");
    assert!(parse(b"id = \"\xff\"", false).is_err());
    let long = format!("{SOUND}\n#{}", "x".repeat(MAX_FILE));
    assert!(flaw(&long).contains("longer than 64 KiB"));
}

#[test]
fn a_secret_could_only_go_to_the_hosts_that_the_file_names_in_full() {
    for (token, words) in [
        ("http://forge.example/token", "is not an https: URL"),
        ("http://127.0.0.1/token", "plain HTTP"),
        ("https://me@forge.example/token", "holds a user name"),
        ("https://forge.example/token#x", "has a fragment"),
        ("https://{realm}/token", "must be the whole host"),
        ("https://{host}.evil.example/token", "must be the whole host"),
        ("https://evil.example@{host}/token", "must be the whole host"),
        ("https://forge.example/{host}/token", "must be the whole host"),
        ("https://forge.example{realm}/token", "must be the whole host"),
        ("{host}/token", "must be the whole host"),
        ("https://{who}/token", "names no variable"),
        ("https://forge.example/{realm", "does not close"),
        ("https://forge.example/realm}", "does not open"),
        ("https://forge.example\\\\token", "is not a URL"),
        ("https://forge.example/to\\u00adken", "is not a URL"),
        ("token", "is not a URL"),
        ("file:///etc/passwd", "is not an https: URL"),
    ] {
        let (found, file) = (flaw(&SOUND.replace("https://{host}/{realm}/token", token)), token);
        assert!(found.contains(words) || found.contains("relative URL"), "{file}: {found}");
    }
    assert!(
        parse(SOUND.replace("https://{host}/{realm}/token", "http://127.0.0.1:9/t").as_bytes(), true).is_ok()
    );
}

#[test]
fn hosts_of_apis_are_hosts_and_no_whole_top_level() {
    for host in [
        "",
        ".",
        ".com",
        "*.example.com",
        "https://x.example",
        "x.example/",
        "{realm}",
        "{x}",
        "a b",
        "X.example",
        "..x.example",
    ] {
        refused_instead("\".forge.example\"", &format!("{host:?}"), "`hosts`");
    }
}

#[test]
fn texts_are_lines_that_hide_nothing() {
    for text in ["", " x", "a\\u0007b", "a\\nb", "a\\u202eb", "a\\u200bb", "a\\u001b[31mb"] {
        refused_instead("\"Forge\"", &format!("\"{text}\""), "a text");
    }
    refused_instead("\"Forge\"", &format!("\"{}\"", "x".repeat(501)), "a text");
    refused("[[errors]]\nerror = \"x\"\nmeans = \"a\\u202eb\"", "a text");
}

#[test]
fn ids_scopes_pointers_headers_parameters_and_exports_are_what_they_are_called() {
    for id in ["", "Forge", "a b", "-x", "a_b", "a.b", &"x".repeat(33)] {
        refused_instead("\"forge\"", &format!("{id:?}"), "is none");
    }
    refused("[scopes]\ndefault = [\"a b\"]", "is not a scope");
    refused("[scopes]\nnames = [[\"x\", \"a\\\"b\"]]", "is not a scope");
    refused("[scopes]\nseparator = \"comma\"\ndefault = [\"a,b\"]", "holds the separator");
    refused("[scopes]\nparameter = \"state\"", "not the provider's to choose");
    refused("[scopes]\nnames = [[\"x\", \"a\"], [\"x\", \"b\"]]", "stands twice");
    for name in ["client_id", "redirect_uri", "state", "code_challenge", "response_type", "request_uri"] {
        let more = format!("[authorization_request]\nparameters = [[\"{name}\", \"x\"]]");
        refused(&more, "not the provider's to choose");
    }
    refused("[authorization_request]\nprompt_known = \"consent\"", "stand together");
    refused("[answer]\ntoken_at = \"authed_user\"", "is no JSON pointer");
    refused("[answer]\ntoken_at = \"/a~2\"", "is no JSON pointer");
    let who = "[who]\nurl = \"https://{host}/me\"\nsubject = \"/id\"\n";
    for name in ["Authorization", "cookie", "HOST", "Content-Length"] {
        refused(&format!("{who}headers = [[\"{name}\", \"x\"]]"), "not the provider's to choose");
    }
    refused(&format!("{who}headers = [[\"X Y\", \"x\"]]"), "no name of a header");
    refused(&format!("{who}headers = [[\"X\", \"a\\nb\"]]"), "not visible ASCII");
    refused(&format!("{who}body = \"{{}}\""), "sent with POST only");
    refused(&format!("{who}method = \"POST\"\nbody = \"{{\""), "is not JSON");
    refused("[exports]\ndefault = [[\"PATH\", \"access_token\"]]", "does not set it");
    refused("[exports]\ndefault = [[\"A\", \"refresh_token\"]]", "by default");
    refused("[exports]\ndefault = [[\"A\", \"client_secret\"]]", "by default");
    refused("[pages]\nclient = \"javascript:alert(1)\"", "`page`");
    refused("[refresh]\nlifetime = \"90\"", "no span of time");
    refused("[refresh]\nlifetime = \"-1d\"", "no span of time");
    refused("[redirect]\nport = 80\nloopback = \"fixed-port\"", "below 1024");
}

#[test]
fn a_style_of_revocation_has_the_endpoint_that_it_needs() {
    refused("[revoke]\nstyle = \"github\"", "needs the endpoint");
    let with = |url: &str, style: &str| {
        let line = format!("[endpoints]\nrevocation = \"{url}\"");
        format!("{}\n[revoke]\nstyle = \"{style}\"", SOUND.replace("[endpoints]", &line))
    };
    assert!(flaw(&with("https://{host}/revoke", "github")).contains("{client_id} once"));
    assert!(flaw(&with("https://{client_id}/revoke", "github")).contains("{client_id} once"));
    assert!(flaw(&with("https://{host}/revoke", "none")).contains("says that there is none"));
    assert!(parse(with("https://{host}/applications/{client_id}/token", "github").as_bytes(), false).is_ok());
}
