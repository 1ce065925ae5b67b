use proptest::prelude::*;

use super::*;

fn redirect() -> Url {
    Url::parse("http://127.0.0.1:4000/cb").unwrap()
}

fn read(head: &str) -> Result<String, Refusal> {
    query(head.as_bytes(), &redirect()).map(|query| query.to_string())
}

/// A good request, with these lines in place of its `Host`.
fn with(fields: &str) -> Result<String, Refusal> {
    read(&format!("GET /cb?code=x HTTP/1.1\r\n{fields}\r\n"))
}

const HOST: &str = "Host: 127.0.0.1:4000\r\n";

#[test]
fn a_browser_is_understood() {
    let fields = format!(
        "{HOST}User-Agent: Mozilla/5.0\r\nAccept: text/html\r\nCookie: a=b; c=\u{e9}\r\nSec-Fetch-Site: cross-site\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-User: ?1\r\nConnection: keep-alive\r\n"
    );

    assert_eq!(with(&fields), Ok("code=x".into()));
    assert_eq!(with(HOST), Ok("code=x".into()));
    assert_eq!(read(&format!("GET /cb HTTP/1.0\r\n{HOST}\r\n")), Ok(String::new()));
}

#[test]
fn the_host_must_be_literally_ours() {
    let cases = [
        ("", Refusal::BadRequest),
        ("Host:\r\n", Refusal::Forbidden),
        ("Host: 127.0.0.1\r\n", Refusal::Forbidden),
        ("Host: 127.0.0.1:4001\r\n", Refusal::Forbidden),
        ("Host: localhost:4000\r\n", Refusal::Forbidden),
        ("Host: 0.0.0.0:4000\r\n", Refusal::Forbidden),
        ("Host: 127.0.0.1.nip.io:4000\r\n", Refusal::Forbidden),
        ("Host: 127.0.0.1.:4000\r\n", Refusal::Forbidden),
        ("Host: evil.example:4000\r\n", Refusal::Forbidden),
        ("Host: 127.0.0.1:4000, evil.example\r\n", Refusal::Forbidden),
        ("Host: 127.0.0.1:4000\r\nHost: 127.0.0.1:4000\r\n", Refusal::BadRequest),
        ("Host: 127.0.0.1:4000\r\nhOST: evil.example\r\n", Refusal::BadRequest),
    ];
    for (fields, refusal) in cases {
        assert_eq!(with(fields), Err(refusal), "{fields:?}");
    }
}

#[test]
fn a_name_counts_where_the_redirect_uri_has_it() {
    let read = |uri: &str, host: &str| {
        let head = format!("GET /cb HTTP/1.1\r\nHost: {host}\r\n\r\n");
        query(head.as_bytes(), &Url::parse(uri).unwrap()).is_ok()
    };

    assert!(read("http://localhost:4000/cb", "localhost:4000"));
    assert!(!read("http://localhost:4000/cb", "LOCALHOST:4000"));
    assert!(!read("http://localhost:4000/cb", "127.0.0.1:4000"));
    assert!(read("http://[::1]:4000/cb", "[::1]:4000"));
    assert!(read("http://localhost/cb", "localhost") && read("http://localhost/cb", "localhost:80"));
}

#[test]
fn only_get_is_answered() {
    for method in ["POST", "HEAD", "OPTIONS", "PUT", "get"] {
        let head = format!("{method} /cb?code=x HTTP/1.1\r\n{HOST}\r\n");
        assert_eq!(read(&head), Err(Refusal::MethodNotAllowed), "{method}");
    }
}

#[test]
fn only_the_exact_path_is_ours() {
    for target in ["/", "/cb/", "/cbx", "/CB", "//cb", "/./cb", "/%63b", "/cb%2e", "/favicon.ico", "/cb;x"] {
        assert_eq!(read(&format!("GET {target} HTTP/1.1\r\n{HOST}\r\n")), Err(Refusal::NotFound), "{target}");
    }
    for target in ["http://127.0.0.1:4000/cb", "*", "cb", "/cb#x", "/cb?a#b", "/cb?\u{e9}"] {
        assert_eq!(
            read(&format!("GET {target} HTTP/1.1\r\n{HOST}\r\n")),
            Err(Refusal::BadRequest),
            "{target}"
        );
    }
}

#[test]
fn what_another_parser_might_read_otherwise_is_refused() {
    let cases = [
        format!("GET /cb HTTP/1.1\n{HOST}\r\n"),
        "GET /cb HTTP/1.1\r\nHost: 127.0.0.1:4000\n\r\n".into(),
        "GET /cb HTTP/1.1\r\nHost: 127.0.0.1:4000\r\n x\r\n\r\n".into(),
        format!("GET /cb HTTP/1.1\r\n x\r\n{HOST}\r\n"),
        format!("GET /cb HTTP/1.1\r\n{HOST}A: b\0c\r\n\r\n"),
        format!("GET /cb HTTP/1.1\r\n{HOST}A: b\rc\r\n\r\n"),
        format!("GET /cb HTTP/1.1\r\n{HOST}A: b\x1bc\r\n\r\n"),
        "GET /cb HTTP/1.1\r\nHost : 127.0.0.1:4000\r\n\r\n".into(),
        format!("GET /cb HTTP/1.1\r\n{HOST}\r\nGET /cb HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /cb HTTP/1.1\r\n{HOST}Content-Length: 4\r\n\r\nbody"),
        format!("GET /cb HTTP/1.1\r\n{HOST}Content-Length: 4\r\n\r\n"),
        format!("GET /cb HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"),
        format!("GET /cb HTTP/1.1\r\n{HOST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
        format!("GET  /cb HTTP/1.1\r\n{HOST}\r\n"),
        format!("GET /cb\r\n{HOST}\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
        "\x16\x03\x01\x02\r\n\r\n".into(),
        format!("\r\nGET /cb HTTP/1.1\r\n{HOST}\r\n"),
        "\r\n\r\n".into(),
        String::new(),
    ];
    for head in cases {
        assert_eq!(read(&head), Err(Refusal::BadRequest), "{head:?}");
    }
}

#[test]
fn only_a_navigation_of_the_whole_window_is_an_answer() {
    let refused = [
        "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Sec-Fetch-Mode: cors\r\n",
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
        "Sec-Fetch-Mode: websocket\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: https://evil.example\r\nSec-Fetch-Mode: cors\r\n",
    ];
    for fields in refused {
        assert_eq!(with(&format!("{HOST}{fields}")), Err(Refusal::Forbidden), "{fields}");
    }
    for fields in ["Origin: null\r\n", "Origin: https://as.example\r\nSec-Fetch-Mode: navigate\r\n"] {
        assert!(with(&format!("{HOST}{fields}")).is_ok(), "{fields}");
    }
}

#[test]
fn too_many_fields_are_too_many() {
    assert_eq!(with(&format!("{HOST}{}", "A: b\r\n".repeat(http::MAX_FIELDS))), Err(Refusal::FieldsTooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (query(&bytes, &redirect()), http::end_of_head(&bytes), Refusal::too_large(&bytes));
    }

    #[test]
    fn no_damage_changes_the_host_or_the_path(at in 0usize..49, byte in any::<u8>()) {
        let good = b"GET /cb?x HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nA: b\r\n\r\n";
        let mut head = good.to_vec();
        head[at] = byte;
        if let Ok(query) = query(&head, &redirect()) {
            prop_assert!(head.starts_with(b"GET /cb"), "{query:?}");
            prop_assert!(head.windows(14).any(|window| window == b"127.0.0.1:4000"));
        }
    }
}
