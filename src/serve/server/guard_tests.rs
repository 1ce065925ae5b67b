//! Whoever must not have a token: browsers, proxies, bent names, other parsers, and those who say nothing.

use proptest::prelude::*;

use super::tests::{Clerk, FORM, Open, parts, serving};
use super::*;

/// What a request may be: each of these would get a token, and each test makes one of them worse.
fn good(open: &Open<'_>) -> [String; 3] {
    let exchange = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={}",
        open.secret()
    );
    let refresh = "grant_type=refresh_token&refresh_token=x";
    let post = |path: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {FORM}\r\nContent-Length: {}\r\n\r\n{body}",
            open.host(),
            body.len()
        )
    };
    [
        post("/v1/token", &exchange),
        post(&format!("/{}/token", open.secret()), refresh),
        format!(
            "GET /{}/computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\nHost: {}\r\n\
             Metadata-Flavor: Google\r\n\r\n",
            open.secret(),
            open.host()
        ),
    ]
}

/// Makes each good request worse, and expects this status and no token.
fn expect_refused(status: &str, cases: &[&str], worsen: impl Fn(&str, &str, &Open<'_>) -> String) {
    let clerk = Clerk::willing();
    serving(&clerk, |open| {
        for case in cases {
            for request in good(open) {
                let request = worsen(&request, case, open);
                let reply = open.send(&request);
                assert_eq!(parts(&reply).0, status, "{request}\n{reply}");
                let lower = reply.to_ascii_lowercase();
                assert!(!lower.contains("canary") && !lower.contains("access-control"), "{reply}");
                assert!(lower.contains("\r\ncache-control: no-store\r\n"), "{reply}");
            }
        }
    });
    assert_eq!(clerk.times_asked(), 0);
}

#[test]
fn good_requests_are_answered() {
    serving(&Clerk::willing(), |open| {
        for request in good(open) {
            let reply = open.send(&request);
            assert_eq!(parts(&reply).0, "200", "{request}\n{reply}");
            assert!(reply.contains("ya29.canary") && !reply.contains("Access-Control"), "{reply}");
            for field in
                ["Cache-Control: no-store", "Connection: close", "Cross-Origin-Resource-Policy: same-origin"]
            {
                assert!(reply.contains(field), "{reply}");
            }
            for host in ["localhost", "[::1]"] {
                let renamed = request.replace("127.0.0.1", host);
                assert_eq!(parts(&open.send(&renamed)).0, "200", "{renamed}");
            }
        }
    });
}

#[test]
fn browsers_and_proxies_are_refused() {
    let marks = [
        "Origin: https://evil.example",
        "Origin: null",
        "origin: http://127.0.0.1",
        "Referer: https://evil.example/",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: none",
        "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: cors",
        "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-Dest: image",
        "X-Forwarded-For: 10.0.0.1",
        "X-FORWARDED-FOR: 127.0.0.1",
        "X-Forwarded-Host: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "Via: 1.1 proxy",
        "X-Real-IP: 127.0.0.1",
    ];
    expect_refused("403", &marks, |request, mark, _| request.replacen("\r\n", &format!("\r\n{mark}\r\n"), 1));
}

#[test]
fn fetch_of_node_is_no_page() {
    serving(&Clerk::willing(), |open| {
        for request in good(open) {
            let fields = "\r\nAccept-Language: *\r\nSec-Fetch-Mode: cors\r\nUser-Agent: node\r\n";
            let reply = open.send(&request.replacen("\r\n", fields, 1));
            assert_eq!(parts(&reply).0, "200", "{reply}");
        }
    });
}

#[test]
fn other_names_for_this_host_are_refused() {
    let hosts = [
        "Host: evil.example:PORT",
        "Host: 127.0.0.1.nip.io:PORT",
        "Host: 0.0.0.0:PORT",
        "Host: 127.0.0.1",
        "Host: 127.0.0.1:1",
        "Host: 127.0.0.1:0PORT",
        "Host: 127.0.0.1.:PORT",
        "Host: 127.1:PORT",
        "Host: LOCALHOST:PORT",
        "Host: user@127.0.0.1:PORT",
        "Host: 127.0.0.1:PORT, evil.example",
        "Host: metadata.google.internal",
        "Host: metadata.google.internal:PORT",
        "Host: 169.254.169.254:PORT",
        "Host:",
        "Host: 127.0.0.1:PORT\r\nHost: 127.0.0.1:PORT",
        "Host: 127.0.0.1:PORT\r\nhost: evil.example",
        "X: no host at all",
    ];
    expect_refused("403", &hosts, |request, host, open| {
        let port = open.server.port().to_string();
        request.replacen(&format!("Host: {}", open.host()), &host.replace("PORT", &port), 1)
    });
}

#[test]
fn only_plain_paths_are_answered() {
    expect_refused("403", &["http://HOST", "https://evil.example"], |request, before, open| {
        request.replacen(" /", &format!(" {}/", before.replace("HOST", &open.host())), 1)
    });
}

#[test]
fn other_methods_are_refused() {
    let methods = ["OPTIONS", "PUT", "HEAD", "DELETE", "PATCH", "CONNECT", "get", "TRACE"];
    expect_refused("405", &methods, |request, method, _| {
        format!("{method}{}", &request[request.find(' ').unwrap()..])
    });
    let preflight = ["Origin: https://evil.example\r\nAccess-Control-Request-Method: POST"];
    expect_refused("405", &preflight, |request, fields, _| {
        format!("OPTIONS{}", &request[request.find(' ').unwrap()..]).replacen(
            "\r\n",
            &format!("\r\n{fields}\r\n"),
            1,
        )
    });
    serving(&Clerk::willing(), |open| {
        let [exchange, refresh, metadata] = good(open);
        for request in [exchange.replacen("POST", "GET", 1), refresh.replacen("POST", "GET", 1)] {
            assert_eq!(parts(&open.send(&request)).0, "405", "{request}");
        }
        let posted = metadata.replacen("GET", "POST", 1).replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(parts(&open.send(&posted)).0, "405");
    });
}

#[test]
fn metadata_are_told_only_with_the_flavor() {
    let clerk = Clerk::willing();
    serving(&clerk, |open| {
        let [.., request] = good(open);
        let flavors = [
            "X: y",
            "Metadata-Flavor: google",
            "Metadata-Flavor: GOOGLE",
            "Metadata-Flavor:",
            "Metadata-Flavor: Google, Google",
            "Metadata-Flavor: Google\r\nMetadata-Flavor: Google",
        ];
        for flavor in flavors {
            let reply = open.send(&request.replace("Metadata-Flavor: Google", flavor));
            assert_eq!(parts(&reply).0, "403", "{flavor}");
            assert!(reply.contains("Missing required header \"Metadata-Flavor\": \"Google\""), "{reply}");
        }
        assert_eq!(parts(&open.send(&request.replace("Metadata-Flavor", "METADATA-flavor"))).0, "200");
        assert_eq!(parts(&open.send(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", open.host()))).0, "403");
        assert_eq!(parts(&open.get("/")).0, "200");
    });
    assert_eq!(clerk.times_asked(), 1);
}

#[test]
fn a_secret_is_no_part_of_another_path() {
    let clerk = Clerk::willing();
    serving(&clerk, |open| {
        let (secret, key) =
            (open.secret().to_owned(), "computeMetadata/v1/instance/service-accounts/default/token");
        for path in [
            format!("/{secret}{key}"),
            format!("//{secret}/{key}"),
            format!("/{}/{key}", secret.to_uppercase()),
            format!("/{}/{key}", &secret[..31]),
            format!("/{secret}0/{key}"),
            format!("/{secret}/{secret}/{key}"),
            format!("/x/../{secret}/{key}"),
            format!("/%{:02x}{}/{key}", secret.as_bytes()[0], &secret[1..]),
            format!("/{secret}/v1/token"),
        ] {
            let reply = open.get(&path);
            assert_eq!(parts(&reply).0, "404", "{path}");
        }
    });
    assert_eq!(clerk.times_asked(), 0);
}

#[test]
fn whoever_is_unknown_must_bring_the_secret_and_nobody_calls_us_by_googles_name() {
    let token = &format!("/computeMetadata/v1/{TOKEN}");
    let with_secret = &format!("/0123456789abcdef0123456789abcdef{token}");
    let pass = Pass("0123456789abcdef0123456789abcdef".into());
    let visit = |path: &str, host: &str, visitor: Visitor| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}:80\r\nMetadata-Flavor: Google\r\n\r\n");
        judged(head.as_bytes(), visitor, &pass)
    };

    assert_eq!(visit(token, "localhost", Visitor::Ours), Ok(()));
    assert_eq!(visit(token, "localhost", Visitor::Unknown), Err(Refusal::Forbidden));
    assert_eq!(visit(with_secret, "localhost", Visitor::Unknown), Ok(()));
    assert_eq!(visit("/", "localhost", Visitor::Unknown), Ok(()));
    for host in ["metadata.google.internal", "169.254.169.254"] {
        for visitor in [Visitor::Ours, Visitor::Unknown] {
            assert_eq!(visit(token, host, visitor), Err(Refusal::Forbidden));
            assert_eq!(visit("/", host, visitor), Err(Refusal::Forbidden));
            assert_eq!(visit(with_secret, host, visitor), Err(Refusal::Forbidden));
        }
    }
}

#[test]
fn bodies_are_short_and_their_length_is_said_beforehand() {
    serving(&Clerk::willing(), |open| {
        let [request, ..] = good(open);
        let length = |status: &str, fields: &str| {
            let at = request.find("Content-Length").unwrap();
            let end = at + request[at..].find("\r\n").unwrap();
            let request = format!("{}{fields}{}", &request[..at], &request[end..]);
            let reply = open.send(&request);
            assert_eq!(parts(&reply).0, status, "{fields}: {reply}");
        };
        length("411", "X: y");
        length("411", "Transfer-Encoding: chunked");
        length("411", "Content-Length: 150\r\nTransfer-Encoding: chunked");
        for malformed in ["-1", "+9", "0x10", "1, 1", "", "1 0", "1\r\nContent-Length: 1"] {
            length("400", &format!("Content-Length: {malformed}"));
        }
        length("413", "Content-Length: 8193");
        length("413", "Content-Length: 99999999999999999999999");
        // More than was announced is a second request, which nobody answers.
        length("400", "Content-Length: 3");

        let sent =
            [request.replace(FORM, "text/plain"), request.replace(FORM, "multipart/form-data; boundary=x")];
        for request in sent {
            assert_eq!(parts(&open.send(&request)).0, "415", "{request}");
        }
    });
}

#[test]
fn a_body_that_waits_to_be_asked_for_is_asked_for() {
    serving(&Clerk::willing(), |open| {
        let [request, ..] = good(open);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut stream = TcpStream::connect(open.host()).unwrap();
        write!(stream, "{head}\r\nExpect: 100-continue\r\n\r\n").unwrap();
        let mut begun = [0; GO_ON.len()];
        std::io::Read::read_exact(&mut stream, &mut begun).unwrap();
        assert_eq!(begun, GO_ON);
        stream.write_all(body.as_bytes()).unwrap();
        let reply = std::io::read_to_string(stream).unwrap();
        assert_eq!(parts(&reply).0, "200", "{reply}");
    });
}

#[test]
fn what_another_parser_might_read_otherwise_is_refused() {
    let cases = ["\nX: y", "\r\n X: y", "\rX: y", "\r\nX: a\0b", "\r\nX : y", "\r\nX: a\x1bb"];
    expect_refused("400", &cases, |request, case, _| request.replacen("\r\n", &format!("{case}\r\n"), 1));
}

#[test]
fn long_heads_are_refused() {
    expect_refused("431", &["x"], |request, _, _| {
        request.replacen("\r\n", &format!("\r\nX: {}\r\n", "x".repeat(8 << 10)), 1)
    });
    expect_refused("431", &["X: y\r\n"], |request, field, _| {
        request.replacen("\r\n", &format!("\r\n{}", field.repeat(http::MAX_FIELDS)), 1)
    });
    expect_refused("414", &["x"], |request, _, _| {
        request.replacen(" /", &format!(" /{}", "x".repeat(9 << 10)), 1)
    });
}

#[test]
fn those_who_say_nothing_do_not_keep_others_waiting() {
    serving(&Clerk::willing(), |open| {
        let idle: Vec<TcpStream> =
            (0..MAX_SILENT * 2).map(|_| TcpStream::connect(open.host()).unwrap()).collect();
        for request in good(open) {
            assert_eq!(parts(&open.send(&request)).0, "200");
        }
        drop(idle);
    });
}

#[test]
fn whoever_says_half_a_word_is_told_that_time_is_up() {
    serving(&Clerk::willing(), |open| {
        assert_eq!(parts(&open.send("GET / HT")).0, "408");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let pass = Pass("0123456789abcdef0123456789abcdef".into());
        let _ = judged(&bytes, Visitor::Unknown, &pass);
    }

    #[test]
    fn no_damage_opens_what_was_closed(at in 0usize..160, byte in any::<u8>()) {
        let pass = Pass("0123456789abcdef0123456789abcdef".into());
        let good = format!(
            "GET /0123456789abcdef0123456789abcdef/computeMetadata/v1/{TOKEN} HTTP/1.1\r\nHost: localhost:80\r\n\
             Metadata-Flavor: Google\r\n\r\n"
        );
        let mut head = good.clone().into_bytes();
        let at = at % head.len();
        head[at] = byte;
        if judged(&head, Visitor::Unknown, &pass).is_ok() {
            let has = |part: &str| head.windows(part.len()).any(|window| window == part.as_bytes());
            prop_assert!(has("/0123456789abcdef0123456789abcdef/") || has("GET /0123456789abcdef0123456789abcdef?"));
            prop_assert!(has("localhost:80\r\n") && has("Google\r\n"));
        }
    }
}

const TOKEN: &str = "instance/service-accounts/default/token";

/// Whether this head is one of a request that may be answered.
fn judged(head: &[u8], visitor: Visitor, pass: &Pass) -> Result<(), Refusal> {
    let mut fields = http::no_fields();
    let request = http::parse(head, &mut fields)?;
    Visit::of(&request, visitor, 80, pass).map(|_| ()).map_err(|(refusal, _)| refusal)
}
