use std::io::{Read, Write};
use std::net::TcpListener;

use secrecy::ExposeSecret;

use url::Url;

use super::*;
use crate::domain::{Client, ClientAuth, Endpoints};
use crate::oauth::authorization::Consent;

/// Long enough for a busy machine; no test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A login that waits, and what a test may do with it.
struct Login {
    uri: RedirectUri,
    state: String,
    cancel: Cancel,
}

impl Login {
    /// The whole reply to one request for `query`.
    fn visit(&self, query: &str) -> String {
        self.send(&format!("GET /?{query} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host()))
    }

    fn send(&self, request: &str) -> String {
        let mut stream = self.connect();
        let mut reply = Vec::new();
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut reply));
        String::from_utf8(reply).unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.host()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.uri.port().unwrap())
    }

    fn good(&self) -> String {
        format!("code=the-code&state={}", self.state)
    }
}

fn flow_to(redirect_uri: &RedirectUri) -> Flow {
    let url = Url::parse("https://as.example/").unwrap();
    let client = Client {
        name: "client".parse().unwrap(),
        provider: "as.example".into(),
        issuer: "https://as.example".into(),
        endpoints: Endpoints::of(url.clone(), url),
        client_id: "me".into(),
        client_auth: ClientAuth::None,
        client_auth_pinned: false,
        redirect_uri: None,
        insecure_loopback: false,
        issuer_in_response: false,
        offline_scope: false,
        pinned: Default::default(),
        key_id: None,
        key_id_next: None,
        key_id_previous: None,
        secret_set_at: None,
    };
    Flow::begin(&client, &Consent::default(), redirect_uri.clone())
}

/// Waits for a login in which `browser` plays its part, then ends as `end` says.
fn login<T: Send>(browser: impl FnOnce(&Login) -> T + Send, end: impl FnOnce(Result<Callback, Error>)) -> T {
    let listener = Listener::bind(None).unwrap();
    let uri = listener.redirect_uri().clone();
    let flow = flow_to(&uri);
    let state = flow.url().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let login = Login { uri, state, cancel: Cancel::default() };
    thread::scope(|scope| {
        let browser = scope.spawn(|| browser(&login));
        end(listener.wait(&flow, Instant::now() + PATIENCE, &login.cancel));
        browser.join().unwrap()
    })
}

fn expect_code(result: Result<Callback, Error>) {
    let callback = result.unwrap();
    assert_eq!(callback.answer.unwrap().expose_secret(), "the-code");
    callback.responder.finish(&Outcome::Success { account: None, profile: "work".into() });
}

#[test]
fn the_browser_learns_that_the_login_is_saved() {
    let reply = login(|login| login.visit(&login.good()), expect_code);

    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.contains("You are signed in") && reply.contains("<b>work</b>"));
    assert!(!reply.contains("the-code"));
}

#[test]
fn nothing_is_shown_before_the_login_is_saved() {
    let browser = |login: &Login| {
        let mut stream = login.connect();
        write!(stream, "GET /?{} HTTP/1.1\r\nHost: {}\r\n\r\n", login.good(), login.host()).unwrap();
        stream
    };
    let mut seen = None;
    let mut stream = login(browser, |result| seen = Some(result.unwrap()));

    stream.set_nonblocking(true).unwrap();
    assert!(stream.read(&mut [0; 1]).is_err(), "there is a page already");
    seen.unwrap()
        .responder
        .finish(&Outcome::Failure { title: "Another account".into(), detail: "No.".into() });
    stream.set_nonblocking(false).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.contains("Another account"), "{reply}");
}

#[test]
fn a_browser_that_nobody_told_is_sent_to_the_terminal() {
    let reply = login(|login| login.visit(&login.good()), |result| drop(result.unwrap()));

    assert!(reply.contains("Back to the terminal"), "{reply}");
}

#[test]
fn wrong_answers_change_nothing_and_learn_nothing() {
    let replies = login(
        |login| {
            let mut replies: Vec<String> =
                (0..20).map(|n| login.visit(&format!("code=evil{n}&state=guess{n}"))).collect();
            replies.push(login.visit(&format!("state={}", login.state)));
            replies.push(login.visit(""));
            let is_told = replies.iter().any(|reply| reply.contains(&login.state));
            assert!(!is_told, "the state was given away");
            login.visit(&login.good());
            replies
        },
        expect_code,
    );

    for reply in replies {
        assert!(reply.starts_with("HTTP/1.1 400 ") && !reply.contains("evil"), "{reply}");
    }
}

#[test]
fn strangers_do_not_end_the_wait() {
    login(
        |login| {
            let host = login.host();
            let good = login.good();
            let cases = [
                (format!("GET /favicon.ico HTTP/1.1\r\nHost: {host}\r\n\r\n"), "404"),
                (format!("POST /?{good} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"), "405"),
                (format!("GET /?{good} HTTP/1.1\r\nHost: evil.example\r\n\r\n"), "403"),
                (format!("GET /?{good} HTTP/1.1\r\n\r\n"), "400"),
                (format!("GET http://{host}/?{good} HTTP/1.1\r\nHost: {host}\r\n\r\n"), "400"),
                (format!("GET /?{good} HTTP/1.1\nHost: {host}\n\n"), "400"),
                (format!("GET /?{good} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Mode: no-cors\r\n\r\n"), "403"),
                ("\x16\x03\x01\x02\x00\x01\x00".into(), "400"),
                (format!("GET /?{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(100 << 10)), "414"),
                (format!("GET /?x HTTP/1.1\r\nHost: {host}\r\nA: {}\r\n\r\n", "x".repeat(9000)), "431"),
            ];
            for (request, status) in cases {
                let reply = login.send(&request);
                // A visitor who goes on talking for too long may lose the reply, but nothing more.
                let is_refused = reply.starts_with(&format!("HTTP/1.1 {status} "));
                assert!(is_refused || (reply.is_empty() && status == "414"), "{request:.40}: {reply:.60}");
            }
            login.visit(&login.good());
        },
        expect_code,
    );
}

#[test]
fn silent_visitors_do_not_keep_the_browser_waiting() {
    let began = Instant::now();
    login(
        |login| {
            let idle: Vec<TcpStream> = (0..64).map(|_| login.connect()).collect();
            let reply = login.visit(&login.good());
            assert!(reply.contains("You are signed in"), "{reply}");
            drop(idle);
        },
        expect_code,
    );

    assert!(began.elapsed() < Duration::from_secs(3), "it took {:?}", began.elapsed());
}

#[test]
fn a_visitor_who_says_half_a_word_is_told_that_time_is_up() {
    let reply = login(
        |login| {
            let reply = login.send("GET /?code");
            login.visit(&login.good());
            reply
        },
        expect_code,
    );

    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
}

#[test]
fn a_denial_is_an_answer() {
    let reply = login(
        |login| login.visit(&format!("error=access_denied&state={}", login.state)),
        |result| assert!(matches!(result.unwrap().answer, Err(Error::Denied(_)))),
    );

    assert!(reply.contains("Back to the terminal"), "{reply}");
}

#[test]
fn the_second_copy_of_the_answer_has_no_effect() {
    login(
        |login| {
            let (first, second) = thread::scope(|scope| {
                let first = scope.spawn(|| login.connect_and_ask());
                let second = scope.spawn(|| login.connect_and_ask());
                (first.join().unwrap(), second.join().unwrap())
            });
            let winners = [&first, &second].into_iter().filter(|reply| reply.contains("You are signed in"));
            assert_eq!(winners.count(), 1, "{first} {second}");
        },
        expect_code,
    );
}

impl Login {
    /// As [`Login::visit`], for a port that may be closed already.
    fn connect_and_ask(&self) -> String {
        let Ok(mut stream) = TcpStream::connect(self.host()) else { return String::new() };
        let mut reply = Vec::new();
        let _ = write!(stream, "GET /?{} HTTP/1.1\r\nHost: {}\r\n\r\n", self.good(), self.host());
        let _ = stream.read_to_end(&mut reply);
        String::from_utf8_lossy(&reply).into_owned()
    }
}

/// Whether `attempt` works on one of some ports: another test can take one that has just been freed.
fn works_once(attempt: impl Fn() -> bool) -> bool {
    (0..5).any(|_| attempt())
}

#[test]
fn the_port_is_closed_in_the_end() {
    let is_closed = |host: String| TcpStream::connect(host).is_err();

    assert!(works_once(|| is_closed(login(
        |login| {
            login.visit(&login.good());
            login.host()
        },
        expect_code
    ))));
    assert!(works_once(|| is_closed(login(
        |login| {
            login.cancel.cancel();
            login.host()
        },
        |result| assert!(matches!(result, Err(Error::Cancelled)))
    ))));
}

#[test]
fn who_does_not_come_back_in_time_is_not_waited_for() {
    let listener = Listener::bind(None).unwrap();
    let flow = flow_to(listener.redirect_uri());

    let result = listener.wait(&flow, Instant::now(), &Cancel::default());

    assert!(matches!(result, Err(Error::TimedOut)));
}

#[test]
fn two_logins_at_once_do_not_take_each_others_answers() {
    login(
        |one| {
            login(
                |other| {
                    assert_ne!(one.uri.port(), other.uri.port());
                    assert!(one.visit(&other.good()).starts_with("HTTP/1.1 400 "));
                    assert!(other.visit(&one.good()).starts_with("HTTP/1.1 400 "));
                    other.visit(&other.good());
                },
                expect_code,
            );
            one.visit(&one.good());
        },
        expect_code,
    );
}

#[test]
fn the_default_is_the_root_of_a_free_port_of_this_machine() {
    let listener = Listener::bind(None).unwrap();
    let uri = listener.redirect_uri();

    assert_eq!((uri.scheme(), uri.host_str(), uri.path()), ("http", Some("127.0.0.1"), "/"));
    assert_ne!(uri.port(), None);
}

#[test]
fn a_registered_port_is_taken_exactly_or_not_at_all() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost"] {
        let uri: RedirectUri = format!("http://{host}:{port}/cb").parse().unwrap();
        match Listener::bind(Some(&uri)) {
            Err(Error::Listen { address, .. }) => assert_eq!(address, format!("{host}:{port}")),
            other => panic!("{other:?}"),
        }
    }

    assert!(works_once(|| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let uri: RedirectUri = format!("http://{free}/cb").parse().unwrap();
        Listener::bind(Some(&uri)).is_ok_and(|listener| listener.redirect_uri() == &uri)
    }));
}

#[test]
fn port_zero_means_any_port_with_the_same_path() {
    for host in ["127.0.0.1", "localhost"] {
        let uri: RedirectUri = format!("http://{host}:0/cb").parse().unwrap();
        let listener = Listener::bind(Some(&uri)).unwrap();

        assert_ne!(listener.redirect_uri().port(), Some(0));
        assert_eq!((listener.redirect_uri().host_str(), listener.redirect_uri().path()), (Some(host), "/cb"));
    }
}

#[test]
fn a_redirect_uri_that_leads_elsewhere_is_not_listened_on() {
    for uri in [
        "https://127.0.0.1:4000/",
        "http://0.0.0.0:4000/",
        "http://work.example:4000/",
        "http://u@127.0.0.1:4000/",
    ] {
        let result = Listener::bind(Some(&uri.parse().unwrap()));
        assert!(matches!(result, Err(Error::Policy { .. })), "{uri}: {result:?}");
    }
}
