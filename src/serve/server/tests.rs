use std::io::Read;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;

use super::*;
use crate::domain::{AccessToken, DocumentId, Host, IdToken, Profile, ScopeRecord, Scopes, Use};
use crate::serve::reply::UNKNOWN_LIFE;
use crate::serve::{Ask, RefusalKind};

/// A desk that gives out a token of an hour, or refuses everything, and counts how often it was asked.
pub(super) struct Clerk {
    refusal: Option<crate::serve::Refusal>,
    /// How long an answer takes.
    pause: Duration,
    /// How long a token works, where that is known.
    life: Option<SignedDuration>,
    asked: Mutex<Vec<Ask>>,
}

impl Clerk {
    pub(super) fn willing() -> Self {
        let life = Some(SignedDuration::from_hours(1));
        Self { refusal: None, pause: Duration::ZERO, life, asked: Mutex::default() }
    }

    pub(super) fn refusing(kind: RefusalKind, message: &str) -> Self {
        let refusal = crate::serve::Refusal { kind, message: message.to_owned() };
        Self { refusal: Some(refusal), ..Self::willing() }
    }

    pub(super) fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Desk for Clerk {
    fn token(&self, _: &ProfileName, ask: &Ask) -> Result<AccessToken, crate::serve::Refusal> {
        self.asked.lock().unwrap().push(ask.clone());
        thread::sleep(self.pause);
        let now = Timestamp::now();
        let token = AccessToken {
            value: "ya29.canary".into(),
            obtained_at: now,
            expires_at: self.life.map(|life| now.checked_add(life).unwrap()),
            scopes: Scopes::default(),
        };
        self.refusal.clone().map_or(Ok(token), Err)
    }

    fn identity(
        &self,
        _: &ProfileName,
        audience: &str,
        _: SignedDuration,
    ) -> Result<IdToken, crate::serve::Refusal> {
        let now = Timestamp::now();
        let ours = || IdToken {
            value: "header.payload.signature".into(),
            audience: audience.to_owned(),
            obtained_at: now,
            expires_at: now.checked_add(SignedDuration::from_hours(1)).unwrap(),
        };
        let refusal =
            crate::serve::Refusal { kind: RefusalKind::Other, message: "for the client of the login".into() };
        (audience == "desktop").then(ours).ok_or(refusal)
    }

    fn profile(&self, profile: &ProfileName) -> Result<Profile, crate::serve::Refusal> {
        Ok(facts(profile))
    }

    fn profile_for(
        &self,
        _: Use,
        _: &Host,
        _: Option<&ProfileName>,
    ) -> Result<Option<ProfileName>, crate::serve::Refusal> {
        unreachable!("a server knows its profile")
    }

    fn forget(&self, _: &ProfileName, _: &SecretString) -> Result<(), crate::serve::Refusal> {
        unreachable!("a server forgets no token")
    }
}

fn facts(name: &ProfileName) -> Profile {
    let granted: Scopes = "https://www.googleapis.com/auth/drive openid".parse().unwrap();
    let json = serde_json::json!({
        "name": name, "provider": "google", "client": DocumentId::from_bytes([0; 16]),
        "account": { "email": "me@work.example" },
        "scopes": ScopeRecord { asked: granted.clone(), granted },
        "project": "proj-1",
    });
    serde_json::from_value(json).unwrap()
}

/// A server that runs, and how a test talks to it.
pub(super) struct Open<'a> {
    pub(super) server: &'a Server,
}

impl Open<'_> {
    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    pub(super) fn secret(&self) -> &str {
        self.server.secret().expose_secret()
    }

    pub(super) fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        let mut reply = String::new();
        let _ =
            stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut reply).map(drop));
        reply
    }

    fn post(&self, path: &str, format: &str, body: &str) -> String {
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {format}\r\nContent-Length: {}\r\n\r\n{body}",
            self.host(),
            body.len()
        ))
    }

    fn exchange(&self, subject: &str, more: &str) -> String {
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={subject}{more}"
        );
        self.post("/v1/token", FORM, &body)
    }
}

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// Runs a server with `clerk` at its desk while `visit` lasts.
pub(super) fn serving<T>(clerk: &Clerk, visit: impl FnOnce(&Open<'_>) -> T) -> T {
    let server = Server::bind("work".parse().unwrap(), 0).unwrap();
    thread::scope(|scope| {
        let running = scope.spawn(|| server.run(clerk));
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| visit(&Open { server: &server })));
        server.stop();
        running.join().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn body(reply: &str) -> serde_json::Value {
    serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Where nothing can connect, as in a sandbox, nobody would come to say that it is over.
#[test]
#[cfg(target_os = "linux")]
fn a_server_is_stopped_without_a_visitor() {
    let server = Server::bind("work".parse().unwrap(), 0).unwrap();

    server.stop();

    server.listener.set_nonblocking(true).unwrap();
    assert_eq!(
        server.listener.accept().unwrap_err().kind(),
        io::ErrorKind::InvalidInput,
        "it listens no more"
    );
    server.run(&Clerk::willing());
}

#[test]
fn the_secret_of_the_run_is_exchanged_for_a_token() {
    let clerk = Clerk::willing();
    let reply = serving(&clerk, |open| open.exchange(open.secret(), "&scope=openid%20email"));

    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    let answer = body(&reply);
    assert_eq!(answer["access_token"], "ya29.canary");
    assert_eq!(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(answer["token_type"], "Bearer");
    assert!((3590..=3600).contains(&answer["expires_in"].as_i64().unwrap()), "{answer}");
    let asked = clerk.asked.lock().unwrap();
    assert_eq!(asked[0].scopes, Some("email openid".parse().unwrap()));
    assert_eq!(asked[0].min_ttl, SignedDuration::from_mins(6));
}

#[test]
fn a_refresh_is_answered_in_both_formats() {
    let clerk = Clerk::willing();
    let replies = serving(&clerk, |open| {
        let path = format!("/{}/token", open.secret());
        [
            open.post(&path, FORM, "grant_type=refresh_token&refresh_token=vault%3Awork"),
            open.post(
                &path,
                "application/json; charset=utf-8",
                "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"vault:work\",\"client_id\":\"x\"}",
            ),
        ]
    });

    for reply in replies {
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
        assert_eq!(body(&reply)["access_token"], "ya29.canary");
    }
}

#[test]
fn nothing_is_given_for_another_secret_or_none() {
    let clerk = Clerk::willing();
    let replies = serving(&clerk, |open| {
        let other = "0".repeat(32);
        vec![
            open.exchange(&other, ""),
            open.exchange("", ""),
            open.exchange(&open.secret()[1..], ""),
            open.exchange(&open.secret().to_uppercase(), ""),
            open.exchange(open.secret(), &format!("&subject_token={}", open.secret())),
            open.post(&format!("/{other}/token"), FORM, "grant_type=refresh_token&refresh_token=x"),
            open.post("/token", FORM, "grant_type=refresh_token&refresh_token=x"),
            open.post("//token", FORM, "grant_type=refresh_token&refresh_token=x"),
        ]
    });

    assert_eq!(clerk.times_asked(), 0);
    for reply in replies {
        assert!(reply.starts_with("HTTP/1.1 4") && !reply.contains("canary"), "{reply}");
    }
}

#[test]
fn what_the_desk_refuses_is_told_in_its_words() {
    let cases = [
        (RefusalKind::LoginNeeded, "400 Bad Request", "invalid_grant"),
        (RefusalKind::ScopesNotGranted, "400 Bad Request", "invalid_scope"),
        (RefusalKind::NotFound, "400 Bad Request", "invalid_request"),
        (RefusalKind::Other, "400 Bad Request", "invalid_request"),
        (RefusalKind::Locked, "502 Bad Gateway", "temporarily_unavailable"),
        (RefusalKind::Offline, "502 Bad Gateway", "temporarily_unavailable"),
    ];
    for (kind, status, error) in cases {
        let clerk = Clerk::refusing(kind, "it is so; run `vault login work`");
        let reply = serving(&clerk, |open| open.exchange(open.secret(), ""));

        assert!(reply.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{reply}");
        let answer = body(&reply);
        assert_eq!(answer["error"], error);
        assert_eq!(answer["error_description"], "vault: it is so; run `vault login work`");
    }
}

#[test]
fn many_programs_at_once_cost_one_question() {
    let clerk = Clerk { pause: Duration::from_millis(50), ..Clerk::willing() };
    serving(&clerk, |open| {
        thread::scope(|scope| {
            let replies: Vec<_> =
                (0..100).map(|_| scope.spawn(|| open.exchange(open.secret(), ""))).collect();
            for reply in replies {
                assert!(reply.join().unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
            }
        });
    });

    assert_eq!(clerk.times_asked(), 1);
}

impl Open<'_> {
    /// The reply to a GET of `path` with a good host and flavor.
    pub(super) fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nMetadata-Flavor: Google\r\n\r\n", self.host()))
    }

    /// The same below the secret and the root of the metadata.
    fn metadata(&self, key: &str) -> String {
        self.get(&format!("/{}/computeMetadata/v1/{key}", self.secret()))
    }
}

/// Status code, `Content-Type` and body.
pub(super) fn parts(reply: &str) -> (&str, &str, &str) {
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let format = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap();
    (&head[9..12], format, body)
}

#[test]
fn the_metadata_are_those_that_the_clients_ask_for() {
    let info = r#"{"aliases":["default"],"email":"me@work.example","scopes":["https://www.googleapis.com/auth/drive","openid"]}"#;
    let scopes = "https://www.googleapis.com/auth/drive\nopenid\n";
    let (text, json) = ("application/text", "application/json");
    let cases = [
        ("", text, "instance/\nproject/\nuniverse/\n"),
        ("instance/", text, "service-accounts/\n"),
        ("project/project-id", text, "proj-1"),
        ("project/numeric-project-id", text, "0"),
        ("project/?recursive=true", json, r#"{"numericProjectId":0,"projectId":"proj-1"}"#),
        ("project/project-id?alt=json", json, r#""proj-1""#),
        ("universe/universe-domain", text, "googleapis.com"),
        ("instance/service-accounts/", text, "default/\nme@work.example/\n"),
        ("instance/service-accounts/default/", text, "aliases\nemail\nidentity\nscopes\ntoken\n"),
        ("instance/service-accounts/default/?recursive=true", json, info),
        ("instance/service-accounts/me@work.example/?recursive=true", json, info),
        ("instance/service-accounts/me%40work.example/?recursive=True", json, info),
        ("instance/service-accounts/default/email", text, "me@work.example"),
        ("instance/service-accounts/default/aliases", text, "default\n"),
        ("instance/service-accounts/default/scopes", text, scopes),
    ];
    serving(&Clerk::willing(), |open| {
        for (key, format, expected) in cases {
            let reply = open.metadata(key);
            assert_eq!(parts(&reply), ("200", format, expected), "{key}");
            assert!(reply.contains("\r\nMetadata-Flavor: Google\r\n"), "{reply}");
        }
    });
}

#[test]
fn the_metadata_have_a_token_for_the_scopes_that_are_asked_for() {
    let clerk = Clerk::willing();
    serving(&clerk, |open| {
        for account in ["default", "me@work.example"] {
            let reply = open.metadata(&format!("instance/service-accounts/{account}/token?scopes=a,b"));
            assert_eq!(parts(&reply).0, "200", "{reply}");
            assert_eq!(
                (&body(&reply)["access_token"], &body(&reply)["token_type"]),
                (&"ya29.canary".into(), &"Bearer".into())
            );
            assert!(body(&reply)["expires_in"].as_i64().unwrap() > 0);
        }
    });
    assert_eq!(clerk.asked.lock().unwrap()[0].scopes, Some("a b".parse().unwrap()));
}

#[test]
fn a_folder_without_its_slash_is_somewhere_else_and_never_on_another_host() {
    serving(&Clerk::willing(), |open| {
        for key in [
            "instance",
            "project",
            "instance/service-accounts",
            "instance/service-accounts/default?recursive=true",
        ] {
            let path = format!("/{}/computeMetadata/v1/{key}", open.secret());
            let reply = open.get(&path);
            let (folder, query) = path
                .split_once('?')
                .map_or((&*path, String::new()), |(path, query)| (path, format!("?{query}")));
            assert_eq!(parts(&reply).0, "301", "{reply}");
            assert!(reply.contains(&format!("\r\nLocation: {folder}/{query}\r\n")), "{reply}");
        }
    });
}

#[test]
fn an_identity_is_given_out_bare_or_refused_with_the_reason() {
    serving(&Clerk::willing(), |open| {
        let identity =
            |query: &str| open.metadata(&format!("instance/service-accounts/default/identity{query}"));

        assert!(
            identity("").starts_with("HTTP/1.1 400 ")
                && identity("").contains("non-empty audience parameter required")
        );
        assert!(identity("?audience=").contains("non-empty audience parameter required"));
        assert!(
            identity("?audience=32555940559.apps.googleusercontent.com&format=standard")
                .starts_with("HTTP/1.1 404 ")
        );
        let reply = identity("?audience=https://me.example&format=full");
        assert_eq!(parts(&reply).0, "400");
        let why = body(&reply)["error_description"].as_str().unwrap().to_owned();
        assert!(why.contains("for the client of the login"), "{reply}");
        let reply = identity("?audience=desktop&format=full");
        assert_eq!(
            (parts(&reply).0, reply.split("\r\n\r\n").nth(1)),
            ("200", Some("header.payload.signature"))
        );
    });
}

#[test]
fn what_is_not_there_is_not_found() {
    let keys = [
        "?recursive=true",
        "instance/id",
        "instance/service-accounts/default/token/",
        "instance/service-accounts/other@work.example/token",
        "instance/service-accounts/DEFAULT/token",
        "instance/service-accounts/default/../default/token",
        "instance/service-accounts/default/%2e%2e/default/token",
        "instance/service-accounts//token",
        "instance/service-accounts/default%2ftoken",
        "project/project-id/",
        "universe/x",
    ];
    serving(&Clerk::willing(), |open| {
        for key in keys {
            let reply = open.metadata(key);
            assert_eq!(parts(&reply).0, "404", "{key}: {reply}");
            assert!(!reply.contains("canary") && !reply.contains(open.secret()), "{reply}");
        }
        for path in ["/?recursive=true", "/computeMetadata/?recursive=true", "/computeMetadatax/", "/x"] {
            assert_eq!(parts(&open.get(path)).0, "404", "{path}");
        }
    });
}

#[test]
fn a_token_is_always_said_to_work_for_a_while() {
    let said = |life| {
        let clerk = Clerk { life, ..Clerk::willing() };
        let reply = serving(&clerk, |open| open.exchange(open.secret(), ""));
        body(&reply)["expires_in"].as_i64().unwrap()
    };

    assert_eq!(said(Some(SignedDuration::from_millis(900))), 1);
    assert_eq!(said(None), UNKNOWN_LIFE);
}
