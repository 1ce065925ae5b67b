//! A server of `vault serve work`, seen from its port. Every reply is looked at for what it gives away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::expiry;
use crate::home::{Home, Run};
use crate::provider::{Endpoint, Provider};
use crate::serving::{EXCHANGE, Serving};

/// A server that runs. Nothing fresh is cached, so that whoever is given a token costs a refresh.
pub struct Served {
    /// Who issues the tokens.
    pub provider: Provider,
    /// Whose server it is.
    pub home: Home,
    /// The server.
    pub serving: Serving,
    /// Address and port, as they stand in `Host`.
    pub host: String,
    /// What has to be brought.
    pub secret: String,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Served {
    /// Starts it for a user whose cached token has expired.
    pub fn new() -> Self {
        let (provider, home) = expiry::expired();
        let mut serving = Serving::start(&home, &["work", "--no-input"]);
        let (host, secret) = (format!("127.0.0.1:{}", serving.port(0)), serving.secret(0));
        let said = Arc::new(Mutex::new(String::new()));
        let listener = Some(listen(serving.vault.stderr.take().unwrap(), &said));
        Self { provider, home, serving, host, secret, said, listener }
    }

    /// A connection on which nothing has been said yet.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(expiry::LONG)).unwrap();
        stream
    }

    /// The reply to what was sent, less than whole if it was hung up on.
    #[track_caller]
    pub fn send(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        let mut reply = Vec::new();
        let _ = stream.write_all(request.as_ref());
        let _ = stream.read_to_end(&mut reply);
        self.checked(String::from_utf8(reply).unwrap())
    }

    /// Holds that a reply keeps itself to itself, and gives it back.
    #[track_caller]
    pub fn checked(&self, reply: String) -> String {
        if reply.is_empty() {
            return reply;
        }
        assert!(!reply.contains(&self.secret), "a reply repeats the secret: {reply}");
        assert!(!reply.contains("canary"), "a reply repeats what was sent: {reply}");
        assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "more than one reply: {reply}");
        let head = reply.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        for field in ["cache-control: no-store", "x-content-type-options: nosniff", "connection: close"] {
            assert!(head.contains(field), "{field} is missing: {head}");
        }
        for field in ["access-control-", "set-cookie:"] {
            assert!(!head.contains(field), "{field}: {head}");
        }
        reply
    }

    /// A token exchange that is in order.
    pub fn exchange(&self) -> String {
        self.post("/v1/token", &self.exchange_form())
    }

    /// What a token exchange sends.
    pub fn exchange_form(&self) -> String {
        format!("grant_type={}&subject_token={}", EXCHANGE.replace(':', "%3A"), self.secret)
    }

    /// A refresh that is in order.
    pub fn refresh(&self) -> String {
        self.post(&format!("/{}/token", self.secret), "grant_type=refresh_token&refresh_token=x")
    }

    /// A question for the token to the metadata server that is in order.
    pub fn metadata(&self) -> String {
        self.get(&self.metadata_path(), "Metadata-Flavor: Google\r\n")
    }

    /// Where the metadata server has the token.
    pub fn metadata_path(&self) -> String {
        format!("/{}{METADATA}", self.secret)
    }

    /// A form that is posted.
    pub fn post(&self, path: &str, form: &str) -> String {
        format!("{}{form}", self.post_head(path, &format!("Content-Length: {}\r\n", form.len())))
    }

    /// The head of a form that is posted.
    pub fn post_head(&self, path: &str, fields: &str) -> String {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n{fields}\r\n",
            self.host
        )
    }

    /// Something that is asked for.
    pub fn get(&self, path: &str, fields: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.host)
    }

    /// Everything that gives a token if it is in order, and what it is called.
    pub fn doors(&self) -> [(&'static str, String); 3] {
        [("exchange", self.exchange()), ("refresh", self.refresh()), ("metadata", self.metadata())]
    }

    /// Nobody was given a token, and whoever asks as one should is given one: the server ends well.
    #[track_caller]
    pub fn expect_nothing_given(self) -> Run {
        assert_eq!(self.provider.count(Endpoint::Token), 0, "a visitor was given a token");
        for (door, request) in self.doors() {
            let reply = self.send(request);
            expect_status(&reply, &["200"], door);
            let token = token(&reply);
            assert!(self.provider.is_live_access_token(&token), "{door}: {token}");
        }
        assert_eq!(self.provider.count(Endpoint::Token), 1, "one refresh for all");
        let secret = self.secret.clone();
        self.end().expect_unsaid("canary").expect_unsaid(&secret)
    }

    /// Ends it.
    #[track_caller]
    pub fn end(mut self) -> Run {
        let mut run = self.serving.end().expect_code(0);
        self.listener.take().unwrap().join().unwrap();
        run.stderr = self.said.lock().unwrap().clone();
        run
    }
}

/// Where a metadata server has the token, behind what is its own.
pub const METADATA: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// One of these statuses; none is a connection that was closed while the visitor was still talking.
#[track_caller]
pub fn expect_status(reply: &str, statuses: &[&str], what: &str) {
    let status = reply.split(' ').nth(1).unwrap_or_default();
    assert!(statuses.contains(&status), "{what:.80}: {reply:.300}");
}

/// The access token in a reply.
pub fn token(reply: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

/// Takes down all that is said, so that whoever says it is not kept waiting.
fn listen(mut stream: impl Read + Send + 'static, said: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut part) {
            said.lock().unwrap().push_str(&String::from_utf8_lossy(&part[..length]));
        }
    })
}
