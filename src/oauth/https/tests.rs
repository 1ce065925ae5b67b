use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::*;

/// Long enough for a busy machine; no test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that hears one request, and then does what the test says.
struct Server {
    port: u16,
    heard: JoinHandle<String>,
}

impl Server {
    fn new(act: impl FnOnce(TcpStream) + Send + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let heard = thread::spawn(move || {
            let (mut stream, _) = socket.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let request = hear(&mut stream);
            act(stream);
            request
        });
        Self { port, heard }
    }

    fn saying(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::new(move |mut stream| {
            let _ = stream.write_all(&reply);
        })
    }

    fn post(&self) -> Request {
        Request {
            method: Method::PostForm(vec![
                ("grant_type", "refresh_token".into()),
                ("refresh_token", "a b&c".into()),
            ]),
            url: self.url("http"),
            authorization: None,
            timeout: PATIENCE,
        }
    }

    fn url(&self, scheme: &str) -> Url {
        Url::parse(&format!("{scheme}://127.0.0.1:{}/token?CANARY", self.port)).unwrap()
    }

    fn heard(self) -> String {
        self.heard.join().unwrap()
    }
}

/// Head and body of a request, or whatever came instead.
fn hear(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&heard).into_owned();
        let is_tls = heard.first() == Some(&0x16);
        if is_tls || is_whole(&text) {
            return text;
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => heard.extend(&buffer[..count]),
            _ => return text,
        }
    }
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn reply(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn send(request: &Request) -> Result<Response, TransportError> {
    Https::new().send(request)
}

/// What a name in the tests below stands for.
fn class(result: &Result<Response, TransportError>) -> &'static str {
    match result {
        Ok(_) => "answer",
        Err(TransportError::Unreachable { .. }) => "unreachable",
        Err(TransportError::Lost { .. }) => "lost",
        Err(TransportError::TooLong { .. }) => "too long",
        Err(TransportError::Refused { .. }) => "refused",
    }
}

#[test]
fn a_form_is_sent_and_its_answer_read() {
    let server = Server::saying(reply("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: 7\r\n", "{}"));
    let response = send(&server.post()).unwrap();

    assert_eq!((response.status, response.body.as_slice()), (200, b"{}".as_slice()));
    assert_eq!(response.date.unwrap().to_string(), "1994-11-06T08:49:37Z");
    assert_eq!(response.retry_after, Some(Duration::from_secs(7)));
    let heard = server.heard();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "grant_type=refresh_token&refresh_token=a+b%26c");
    assert!(head.starts_with("POST /token?CANARY HTTP/1.1\r\n"), "{head}");
    for field in
        ["accept: application/json", "content-type: application/x-www-form-urlencoded", "user-agent: vault/"]
    {
        assert!(head.contains(field), "{field}: {head}");
    }
    for field in ["cookie", "accept-encoding", "referer", "authorization"] {
        assert!(!head.contains(field), "{field}: {head}");
    }
}

#[test]
fn id_and_secret_are_form_encoded_before_they_are_joined() {
    use base64::prelude::{BASE64_STANDARD, Engine};

    let server = Server::saying(reply("", ""));
    let basic = Authorization::Basic { id: "a:b c".into(), secret: "p%+é".into() };
    send(&Request { authorization: Some(basic), ..server.post() }).unwrap();

    let encoded = BASE64_STANDARD.encode("a%3Ab+c:p%25%2B%C3%A9");
    assert!(server.heard().contains(&format!("authorization: Basic {encoded}\r\n")));
}

#[test]
fn a_bearer_shows_its_token() {
    let server = Server::saying(reply("", ""));
    let request = Request {
        method: Method::Get,
        authorization: Some(Authorization::Bearer("the-token".into())),
        ..server.post()
    };
    send(&request).unwrap();

    let heard = server.heard();
    assert!(heard.starts_with("GET ") && heard.contains("authorization: Bearer the-token\r\n"), "{heard}");
}

#[test]
fn a_redirect_is_an_answer_and_nothing_more() {
    for status in [301, 302, 303, 307, 308] {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        other.set_nonblocking(true).unwrap();
        let to = format!("http://{}/", other.local_addr().unwrap());
        let server =
            Server::saying(format!("HTTP/1.1 {status} Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"));

        let response = send(&server.post()).unwrap();

        assert_eq!((response.status, response.location), (status, Some(to)));
        assert!(other.accept().is_err(), "{status} was followed");
    }
}

#[test]
fn an_answer_that_breaks_off_is_lost() {
    let whole = reply("", r#"{"access_token":"CANARY"}"#);
    for length in [0, 1, 12, whole.find("\r\n\r\n").unwrap() + 4, whole.len() - 1] {
        let server = Server::saying(&whole.as_bytes()[..length]);
        let result = send(&server.post());

        assert_eq!(class(&result), "lost", "{length}: {result:?}");
        assert!(!format!("{result:?}").contains("CANARY"));
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n";
    assert_eq!(class(&send(&Server::saying(chunked).post())), "lost");
    assert_eq!(class(&send(&Server::saying("no HTTP\r\n\r\n").post())), "lost");
}

#[test]
fn a_connection_that_is_hung_up_on_is_lost() {
    let server = Server::new(|stream| stream.shutdown(Shutdown::Both).unwrap());

    assert_eq!(class(&send(&server.post())), "lost");
    assert!(server.heard().contains("refresh_token"));
}

#[test]
fn a_port_that_nobody_listens_on_is_unreachable() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let url = Url::parse(&format!("http://{address}/token?CANARY")).unwrap();
    let result = send(&Request { url, method: Method::Get, authorization: None, timeout: PATIENCE });

    assert_eq!(class(&result), "unreachable", "{result:?}");
    let error = result.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.to_lowercase().contains("refused"), "{cause}");
    assert_eq!(error.to_string(), format!("cannot reach {address}"));
    assert!(!format!("{error:?}").contains("CANARY"));
}

#[test]
fn who_does_not_speak_tls_sees_nothing_of_the_request() {
    let server = Server::saying("HTTP/1.1 400 Bad Request\r\n\r\n");
    let result = send(&Request { url: server.url("https"), ..server.post() });

    assert_eq!(class(&result), "unreachable", "{result:?}");
    assert!(!server.heard().contains("refresh_token"));
}

#[test]
fn an_endless_answer_is_too_long() {
    let endless = |head: &'static str| {
        Server::new(move |mut stream| {
            let _ = stream.write_all(head.as_bytes());
            while stream.write_all(&[b' '; 64 * 1024]).is_ok() {}
        })
    };

    let announced = endless("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n");
    assert_eq!(class(&send(&announced.post())), "too long");
    let open = endless("HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(class(&send(&open.post())), "too long");
}

#[test]
fn one_mebibyte_is_not_too_long() {
    let server = Server::saying(reply("", &" ".repeat(1 << 20)));

    assert_eq!(send(&server.post()).unwrap().body.len(), 1 << 20);
}

#[test]
fn the_deadline_is_one_for_the_whole_answer() {
    let silent = Server::new(|mut stream| drop(stream.read(&mut [0; 1])));
    let dripping = Server::new(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    for server in [silent, dripping] {
        let began = std::time::Instant::now();
        let result = send(&Request { timeout: Duration::from_millis(300), ..server.post() });

        assert_eq!(class(&result), "lost", "{result:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    }
}

#[test]
fn plain_http_never_leaves_this_machine() {
    for url in ["http://as.example/", "http://10.0.0.1/", "http://127.0.0.1.nip.io/", "ftp://127.0.0.1/"] {
        let request = Request {
            url: Url::parse(url).unwrap(),
            method: Method::Get,
            authorization: None,
            timeout: PATIENCE,
        };
        assert_eq!(class(&send(&request)), "refused", "{url}");
    }
}

#[test]
fn a_url_for_secrets_is_https_without_trimmings() {
    let is_good = |url: &str, loopback| check_url(&Url::parse(url).unwrap(), loopback).is_ok();

    for url in ["https://as.example/t?a=b", "https://127.0.0.1:8443/"] {
        assert!(is_good(url, false), "{url}");
    }
    for url in [
        "http://127.0.0.1:80/",
        "http://127.9.9.9/",
        "http://[::1]:9/",
        "http://localhost/",
        "http://0x7f.1/",
    ] {
        assert!(is_good(url, true) && !is_good(url, false), "{url}");
    }
    let bad = [
        "https://u@as.example/",
        "https://u:p@as.example/",
        "https://as.example/#f",
        "http://as.example/",
        "http://localhost.evil.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "ws://127.0.0.1/",
    ];
    for url in bad {
        assert!(!is_good(url, true), "{url}");
    }
}

#[test]
fn a_wait_is_read_as_seconds_or_as_a_date_and_capped() {
    let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
    let cases = [
        ("30", Some(30)),
        (" 0 ", Some(0)),
        ("99999999", Some(86_400)),
        ("99999999999999999999999", Some(86_400)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("Wed, 06 Nov 2994 08:00:00 GMT", Some(86_400)),
        ("-1", None),
        ("soon", None),
        ("", None),
    ];
    for (text, seconds) in cases {
        assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
    }
    assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", None), None);
}
