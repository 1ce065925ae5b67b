//! What git and docker ask: nothing but a plain question for the bound host is given the token.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use vault::domain::{AccessToken, Host, Profile, ProfileName, Scopes, Use};
use vault::serve::{Ask, Desk, Refusal, RefusalKind, docker, git};

const HOST: &str = "git.example.com";
const TOKEN: &str = "token-canary";

/// Holds whatever `request` is, for git and for docker; says whether git is given the token.
pub fn holds(request: &[u8]) -> bool {
    is_given_to_docker(request);
    let clerk = Clerk::default();
    let answer = git::answer(&clerk, None, "get", request).unwrap().answer;
    let is_given = answer.expose_secret().contains(TOKEN);
    match answer.expose_secret() {
        "" => {}
        // Another user than the usual one: the account would have to be known.
        "quit=1\n" => assert!(asks_for_the_host(request), "stopped for another host"),
        answer => {
            assert!(asks_for_the_host(request), "given for another host");
            assert_is_an_answer(answer);
        }
    }

    let _ = git::answer(&clerk, None, "erase", request).unwrap();
    let _ = git::answer(&clerk, None, "store", request).unwrap();
    let forgotten = clerk.forgotten.into_inner().unwrap();
    assert!(forgotten.is_empty() || asks_for_the_host(request), "forgotten for another host");
    assert!(forgotten.iter().all(|value| text(request).contains(value)));
    is_given
}

/// Read again, with less care for what git means than for what it does not.
fn asks_for_the_host(request: &[u8]) -> bool {
    let text = text(request);
    let lines: Vec<&str> = text.split('\n').take_while(|line| !line.is_empty()).collect();
    let values = |key: &str| -> Vec<String> {
        let found = lines.iter().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.map(str::to_ascii_lowercase).collect()
    };
    let is_host = matches!(&values("host")[..], [host] if host == HOST || *host == format!("{HOST}:443"));
    let is_https = lines.iter().filter(|line| line.starts_with("protocol=")).eq(["protocol=https"].iter());
    is_host && is_https && !lines.concat().contains(char::is_control)
}

/// Lines with the keys that we say, each with one value.
fn assert_is_an_answer(answer: &str) {
    const KEYS: [&str; 7] = [
        "username",
        "password",
        "password_expiry_utc",
        "capability[]",
        "authtype",
        "credential",
        "ephemeral",
    ];
    for line in answer.strip_suffix('\n').unwrap().split('\n') {
        let (key, value) = line.split_once('=').unwrap();
        assert!(KEYS.contains(&key) && !value.is_empty() && !value.contains(char::is_control), "{line:?}");
    }
}

/// docker names a server, with little around it.
fn is_given_to_docker(request: &[u8]) {
    let reply = docker::answer(&Clerk::default(), None, "get", request).unwrap();
    if reply.is_error {
        assert!(!reply.answer.expose_secret().contains(TOKEN));
        return;
    }
    let server = text(request).trim_ascii().to_ascii_lowercase();
    let server = server.strip_prefix("https://").unwrap_or(&server);
    let (host, path) = server.split_once('/').unwrap_or((server, ""));
    assert!(host == HOST || host == format!("{HOST}:443"), "given for {host:?}");
    assert!(path.len() <= 3, "given for {path:?}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Has one profile, which is bound to [`HOST`].
#[derive(Default)]
struct Clerk {
    forgotten: Mutex<Vec<String>>,
}

impl Desk for Clerk {
    fn token(&self, _: &ProfileName, _: &Ask) -> Result<AccessToken, Refusal> {
        let now = Timestamp::UNIX_EPOCH;
        Ok(AccessToken {
            value: TOKEN.into(),
            obtained_at: now,
            expires_at: Some(now + SignedDuration::from_hours(1)),
            scopes: Scopes::default(),
        })
    }

    fn profile(&self, _: &ProfileName) -> Result<Profile, Refusal> {
        // Asked where a user is named who may be somebody else.
        Err(Refusal { kind: RefusalKind::NotFound, message: String::new() })
    }

    fn profile_for(
        &self,
        _: Use,
        host: &Host,
        _: Option<&ProfileName>,
    ) -> Result<Option<ProfileName>, Refusal> {
        Ok((host.to_string() == HOST).then(|| "work".parse().unwrap()))
    }

    fn forget(&self, _: &ProfileName, value: &SecretString) -> Result<(), Refusal> {
        self.forgotten.lock().unwrap().push(value.expose_secret().to_owned());
        Ok(())
    }
}
