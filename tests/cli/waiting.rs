//! A login that waits for the browser, seen from the port on which it waits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::home::{Home, Login, Run};
use crate::provider::{Endpoint, Provider, browser};

/// A login that waits.
pub const LOGIN: [&str; 3] = ["login", "work", "--no-browser"];

/// A login that waits, and everything that its right answer consists of.
pub struct Waiting<'a> {
    /// Who was asked.
    pub provider: &'a Provider,
    /// Whose login it is.
    pub home: &'a Home,
    /// The process.
    pub login: Login,
    /// Address and port, as a browser names them in `Host`.
    pub host: String,
    /// What the right answer has after `?`.
    pub query: String,
    /// The state in it.
    pub state: String,
    /// How many requests the token endpoint had got when the login began.
    pub spent: usize,
}

impl<'a> Waiting<'a> {
    /// Starts a login of `work`, and consents without going back.
    pub fn new(provider: &'a Provider, home: &'a Home) -> Self {
        let login = home.start_login(&LOGIN);
        let address = browser::authorize(login.url.as_ref().unwrap()).unwrap();
        let (base, query) = address.split_once('?').unwrap();
        let host = base.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let state = parameter(query, "state");
        let spent = provider.count(Endpoint::Token);
        Self { provider, home, login, host, query: query.to_owned(), state, spent }
    }

    /// The reply to what was sent, less than whole if it was hung up on. Checked for what it gives away.
    pub fn send(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        let mut reply = Vec::new();
        let _ = stream.write_all(request.as_ref());
        let _ = stream.read_to_end(&mut reply);
        self.checked(String::from_utf8(reply).unwrap())
    }

    /// The reply to a plain request for `target`.
    pub fn get(&self, target: &str) -> String {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host))
    }

    /// A connection on which nothing has been said yet.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Holds that a reply keeps itself to itself, and gives it back.
    #[track_caller]
    pub fn checked(&self, reply: String) -> String {
        if reply.is_empty() {
            return reply;
        }
        let code = parameter(&self.query, "code");
        assert!(!reply.contains(&self.state) && !reply.contains(&code), "a reply gives it away: {reply}");
        assert!(!reply.contains("canary"), "a reply repeats what was sent: {reply}");
        let head = reply.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        for field in [
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "connection: close",
        ] {
            assert!(head.contains(field), "{field} is missing: {head}");
        }
        for field in ["access-control-", "location:", "set-cookie:"] {
            assert!(!head.contains(field), "{field}: {head}");
        }
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        assert!(!body.contains("<script") && !body.contains("src=") && !body.contains("href="), "{body}");
        reply
    }

    /// Nothing of all that had an effect: the right answer ends the login.
    #[track_caller]
    pub fn expect_still_waiting(self) {
        assert_eq!(self.provider.count(Endpoint::Token), self.spent, "a visitor has ended the login");
        let reply = self.get(&format!("/?{}", self.query));
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        self.login.finish(&LOGIN).expect_code(0).expect_unsaid("canary");
        let newest = self.home.run(&["reveal", "work", "refresh_token"]).answer();
        assert!(self.provider.live_refresh_tokens().contains(&newest));
    }

    /// The login ends with `code`, the port is closed, and nothing was stored.
    #[track_caller]
    pub fn expect_end(self, code: i32) -> Run {
        let run = self.login.finish(&LOGIN).expect_code(code);
        assert!(TcpStream::connect(&self.host).is_err(), "the port is open after the end");
        run
    }
}

/// The value of a parameter, as it was sent.
pub fn parameter(query: &str, name: &str) -> String {
    let find = |pair: &str| pair.strip_prefix(&format!("{name}=")).map(str::to_owned);
    query.split('&').find_map(find).unwrap()
}
