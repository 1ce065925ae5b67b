//! Between the program and a provider: proxies, redirects, names and addresses that lead nowhere.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::expiry::{assert_no_stray_file, assert_nothing_lost, expired, refresh_token, refreshes};
use crate::home::Home;
use crate::provider::{Authority, Config, Endpoint, Fault, HOST, Provider, browser};

/// A name that only the proxy can make an address of (RFC 6761, 6.2).
const REMOTE: &str = "provider.test";

/// A proxy that leads every tunnel to one place, and keeps what clients send through it.
pub struct Proxy {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Proxy {
    /// Leads every tunnel to `target`.
    pub fn leading_to(target: SocketAddr) -> Self {
        Self::start(move |client, first| {
            let _ = client.try_clone()?.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
            let server = TcpStream::connect(target)?;
            let (mut down, mut to) = (server.try_clone()?, client.try_clone()?);
            thread::spawn(move || {
                let _ = std::io::copy(&mut down, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            let _ = std::io::copy(&mut Tee { from: client, copy: first }, &mut { server });
            Ok(())
        })
    }

    /// Answers every request with `answer`.
    fn answering(answer: &'static str) -> Self {
        Self::start(move |mut client, _| client.write_all(answer.as_bytes()))
    }

    fn start(
        serve: impl Fn(TcpStream, Arc<Mutex<Vec<Vec<u8>>>>) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let (kept, serve) = (heard.clone(), Arc::new(serve));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (kept, serve) = (kept.clone(), serve.clone());
                thread::spawn(move || {
                    let mut client = client;
                    let head = read_head(&mut client);
                    kept.lock().unwrap().push(head);
                    // Who has gone away is no concern of the proxy.
                    let _ = serve(client, kept);
                });
            }
        });
        Self { address, heard }
    }

    /// Its address, for `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that clients have sent, one text for each head and each piece of a tunnel.
    pub fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

/// Keeps a copy of what is read.
struct Tee {
    from: TcpStream,
    copy: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.copy.lock().unwrap().push(buffer[..count].to_vec());
        Ok(count)
    }
}

fn read_head(client: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
    head
}

/// A provider that goes by [`REMOTE`], and a home that trusts its authority.
fn remote() -> (Provider, Home) {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(REMOTE));
    (provider, Home::trusting(&authority))
}

/// `vault add-profile work` with a user whose browser finds the provider in a way of its own.
fn log_in(home: &Home, provider: &Provider) -> crate::home::Run {
    let options = home.desktop(provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser"];
    arguments.extend(options.iter().map(String::as_str));
    let login = home.start_login(&arguments);
    if let Some(url) = &login.url {
        let mut url = url::Url::parse(url).unwrap();
        url.set_ip_host(provider.address().ip()).unwrap();
        let _ = browser::consent(url.as_str()).unwrap();
    }
    login.finish(&arguments)
}

#[test]
fn a_proxy_learns_a_host_and_a_port_and_nothing_of_what_is_said() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let (provider, mut home) = remote();
        let proxy = Proxy::leading_to(provider.address());
        home.set(variable, &proxy.url());

        let _ = log_in(&home, &provider).expect_code(0);
        let token = home.run(&["token", "work", "--refresh"]).answer();

        assert!(provider.is_live_access_token(&token), "{variable}");
        let connect = format!("CONNECT {REMOTE}:{} HTTP/1.1\r\n", provider.address().port());
        let heard = proxy.heard();
        let asked = provider.requests().len() - provider.count(Endpoint::Authorize);
        assert_eq!(heard.iter().filter(|text| text.starts_with(&connect)).count(), asked, "{variable}");
        let secrets =
            provider.issued().into_iter().chain(["GOCSPX-desktop-secret".into(), "grant_type".into()]);
        for secret in secrets {
            assert!(!heard.iter().any(|text| text.contains(&secret)), "{variable}: {secret}");
        }
    }
}

#[test]
fn no_proxy_stands_between_us_and_this_machine() {
    let proxy = Proxy::answering("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    let authority = Authority::new();
    let providers = [
        Provider::start(Config::default()),
        Provider::start_https(Config::default(), authority.certify(HOST)),
        Provider::start_https(Config::default(), authority.certify("127.0.0.1")),
    ];
    for provider in providers {
        let mut home = Home::trusting(&authority);
        for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            home.set(variable, &proxy.url());
        }

        let _ = home.add_profile(&provider, "work").expect_code(0);
        let _ = home.run(&["token", "work", "--refresh"]).answer();
    }
    assert_eq!(proxy.heard(), Vec::<String>::new());
}

#[test]
fn a_variable_for_plain_http_has_no_say_even_if_a_web_server_sets_it() {
    // A CGI program gets the header `Proxy:` of any visitor as HTTP_PROXY (CVE-2016-5385).
    let (provider, mut home) = remote();
    let way = Proxy::leading_to(provider.address());
    home.set("HTTPS_PROXY", &way.url());
    let _ = log_in(&home, &provider).expect_code(0);
    let proxy = Proxy::leading_to(provider.address());
    home.unset("HTTPS_PROXY");
    home.set("HTTP_PROXY", &proxy.url());
    home.set("REQUEST_METHOD", "GET");

    let _ =
        home.run(&["token", "work", "--refresh"]).expect_code(8).expect_said("cannot reach provider.test");

    assert_eq!(proxy.heard(), Vec::<String>::new());
}

#[test]
fn a_host_that_needs_no_proxy_is_not_asked_through_one() {
    let (provider, mut home) = remote();
    let proxy = Proxy::leading_to(provider.address());
    home.set("HTTPS_PROXY", &proxy.url());
    home.set("NO_PROXY", REMOTE);

    let _ = log_in(&home, &provider).expect_code(8).expect_said("cannot reach provider.test");

    assert_eq!(proxy.heard(), Vec::<String>::new());
}

#[test]
fn a_proxy_that_refuses_costs_nothing() {
    let answers = [
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "no proxy\r\n\r\n",
        "",
    ];
    let (provider, mut home) = remote();
    let way = Proxy::leading_to(provider.address());
    home.set("HTTPS_PROXY", &way.url());
    let _ = log_in(&home, &provider).expect_code(0);
    let kept = refresh_token(&home);
    for answer in answers {
        let proxy = Proxy::answering(answer);
        home.set("HTTPS_PROXY", &proxy.url());
        provider.forget_requests();

        let run = home.run(&["token", "work", "--refresh"]).expect_code(8);

        let _ = run.expect_said("cannot reach provider.test").expect_said("the proxy variables");
        assert_eq!(refreshes(&provider), 0, "{answer}");
        assert!(proxy.heard().iter().all(|text| !text.contains("grant_type")), "{answer}");
        assert_no_stray_file(&home);
    }
    assert_eq!(refresh_token(&home), kept);
}

/// RFC 9110, 15.4: those that a client may follow.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

#[test]
fn a_redirect_of_any_kind_to_anywhere_is_not_followed_with_a_token() {
    let elsewhere = Provider::start(Config::default());
    let (provider, home) = expired();
    let targets = [elsewhere.url("/token"), provider.url("/token"), "/token".into(), "//127.0.0.1/".into()];
    for status in REDIRECTS {
        for target in &targets {
            provider.forget_requests();
            provider.script(Endpoint::Token, vec![redirect(status, target)]);

            let _ = home.run(&["token", "work"]).expect_code(9).expect_said("redirects");

            assert_eq!((refreshes(&provider), elsewhere.requests().len()), (1, 0), "{status} {target}");
        }
    }
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_redirect_of_any_kind_is_not_followed_with_a_code() {
    let elsewhere = Provider::start(Config::default());
    for status in REDIRECTS {
        let provider = Provider::start(Config::default());
        let home = Home::new();
        provider.script(Endpoint::Token, vec![redirect(status, &elsewhere.url("/token"))]);

        let _ = home.add_profile(&provider, "work").expect_code(9).expect_said("redirects");

        assert_eq!((provider.count(Endpoint::Token), elsewhere.requests().len()), (1, 0), "{status}");
        assert!(!home.profile("work").exists());
    }
}

#[test]
fn discovery_does_not_leave_the_origin_that_was_named() {
    let elsewhere = Provider::start(Config::default());
    for status in REDIRECTS {
        let provider = Provider::start(Config::default());
        let home = Home::new();
        let target = elsewhere.url("/.well-known/openid-configuration");
        provider.script(Endpoint::OpenidConfiguration, vec![redirect(status, &target)]);

        let run = home.add_profile(&provider, "work");

        assert!(matches!(run.code, 7 | 9), "{status}: {run:?}");
        assert_eq!(elsewhere.requests().len(), 0, "{status}");
    }
}

fn redirect(status: u16, target: &str) -> Fault {
    Fault::Respond { status, headers: vec![("Location".into(), target.into())], body: Vec::new() }
}

#[test]
fn cookies_and_other_things_that_a_browser_would_keep_are_not_kept() {
    let (provider, home) = expired();
    let kept_by_browsers = [
        ("Set-Cookie", "session=CANARY-COOKIE; Path=/; Max-Age=3600"),
        ("Alt-Svc", "h2=\":9\"; ma=3600, h3=\":9\""),
        ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
        ("ETag", "\"CANARY-ETAG\""),
        ("Cache-Control", "public, max-age=31536000"),
        ("Refresh", "0; url=http://127.0.0.1:9/"),
    ];
    let fields = kept_by_browsers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let again = fields.clone();
    provider.script(Endpoint::Token, vec![Fault::CommitThenAdd(fields); 2]);

    let tokens: Vec<String> = (0..3).map(|_| home.run(&["token", "work", "--refresh"]).answer()).collect();

    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2], "every refresh is a request");
    assert_eq!(refreshes(&provider), 3);
    // Within one process too: a login looks for the endpoints first, and then sends its code.
    provider.script(Endpoint::OpenidConfiguration, vec![Fault::CommitThenAdd(again)]);
    let _ = home.add_profile(&provider, "home").expect_code(0);
    assert_eq!((provider.count(Endpoint::OpenidConfiguration), provider.count(Endpoint::Token)), (1, 4));
    for request in provider.requests() {
        for name in ["cookie", "if-none-match", "if-modified-since"] {
            assert_eq!(request.header(name), None);
        }
    }
    for file in home.files("") {
        assert!(
            !String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains("CANARY-COOKIE"),
            "{file:?}"
        );
    }
}

#[test]
fn a_name_that_is_none_and_a_port_that_is_closed_are_told() {
    let home = Home::new();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let issuers = [("nothing.invalid".to_owned(), "nothing.invalid"), (format!("{HOST}:{closed}"), HOST)];
    for (host, name) in issuers {
        let issuer = format!("https://{host}");
        let run =
            home.run(&["client", "add", "--issuer", &issuer, "--client-id", "x", "--client-auth", "none"]);

        let _ =
            run.expect_code(8).expect_said(&format!("cannot reach {name}")).expect_said("check the network");
    }
}

/// How long a connection may take at most; one address of two has half of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[test]
fn an_address_that_leads_nowhere_does_not_keep_the_other_one_waiting() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        // Also in a strict run: a container may have none, and no package brings it.
        eprintln!("skipped: there is no IPv6 on this machine");
        return;
    }
    let authority = Authority::new();
    // The port must be free at the other address too.
    let is_free = |it: &Provider| TcpListener::bind((Ipv4Addr::LOCALHOST, it.address().port())).is_ok();
    let start = || Provider::start_https_on_ipv6(Config::default(), authority.certify(HOST));
    let provider = std::iter::repeat_with(start).find(is_free).unwrap();
    let home = Home::trusting(&authority);
    let _ = log_in(&home, &provider).expect_code(0);
    let _hole = BlackHole::at(SocketAddr::from((Ipv4Addr::LOCALHOST, provider.address().port())));

    // Only the quickest of some tells how long is waited: the others tell how busy the machine is.
    let quickest = (0..3)
        .map(|_| {
            let begun = Instant::now();
            let _ = home.run(&["token", "work", "--refresh"]).answer();
            begun.elapsed()
        })
        .min();

    assert!(quickest < Some(CONNECT_TIMEOUT / 4), "{quickest:?}");
}

/// An address at which connections are neither taken nor refused: the queue of its listener is full.
struct BlackHole {
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let wait = Duration::from_millis(200);
        let queue = std::iter::from_fn(|| TcpStream::connect_timeout(&address, wait).ok()).take(10).collect();
        assert!(TcpStream::connect_timeout(&address, wait).is_err(), "the queue is full");
        Self { _listener: listener, _queue: queue }
    }
}
