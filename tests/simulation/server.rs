//! A provider that rotates refresh tokens and takes a spent one for a stolen one.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use vault::oauth::{Method, Request, Response};
use zeroize::Zeroizing;

/// How long an access token works.
pub(crate) const LIFE: Duration = Duration::from_secs(3600);

/// What kind of provider it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// How long the token before the newest one is still taken; then the family is revoked.
    pub(crate) grace: Duration,
    /// Whether a refresh token stays the same.
    pub(crate) keeps_token: bool,
    /// How much its clock is ahead of ours, in seconds.
    pub(crate) skew: i64,
}

/// All refresh tokens that came from one consent.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Whose consent it was.
    pub(crate) account: String,
    /// The refresh tokens, and when each was spent. The last one is live.
    tokens: Vec<(String, Option<Duration>)>,
    /// Whether a spent token has come back.
    pub(crate) is_revoked: bool,
}

impl Family {
    /// The refresh token that works.
    pub(crate) fn live(&self) -> &str {
        &self.tokens.last().unwrap().0
    }
}

/// What a request has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A new refresh token of this family was issued.
    Rotated(usize),
    /// Only an access token of this family was issued.
    Answered(usize),
    /// A spent token was taken for a stolen one.
    Revoked(usize),
    /// Nothing was issued.
    Refused,
}

#[derive(Clone, Default)]
pub(crate) struct Server {
    pub(crate) habits: Habits,
    pub(crate) families: Vec<Family>,
    codes: BTreeMap<String, String>,
    /// Access tokens, with their family and their end.
    access: BTreeMap<String, (usize, Duration)>,
    issued: usize,
}

impl Server {
    fn name(&mut self, kind: &str) -> String {
        self.issued += 1;
        format!("{kind}-{:04}", self.issued)
    }

    /// A person has consented for `account`.
    pub(crate) fn consent(&mut self, account: &str) -> String {
        let code = self.name("CODE");
        self.codes.insert(code.clone(), account.to_owned());
        code
    }

    /// Whether `token` opens anything at `now`.
    pub(crate) fn is_live(&self, token: &str, now: Duration) -> bool {
        self.access.get(token).is_some_and(|(family, end)| !self.families[*family].is_revoked && now < *end)
    }

    /// Whether `token` was taken back before its time, because its family was.
    pub(crate) fn is_revoked(&self, token: &str) -> bool {
        self.access.get(token).is_some_and(|(family, _)| self.families[*family].is_revoked)
    }

    /// The family in which `refresh_token` was issued.
    pub(crate) fn family(&self, refresh_token: &str) -> Option<usize> {
        let has = |family: &Family| family.tokens.iter().any(|(token, _)| token == refresh_token);
        self.families.iter().position(has)
    }

    /// Acts upon a request; what comes of it may still be lost on the way back.
    pub(crate) fn act(&mut self, request: &Request, now: Duration) -> (Deed, Response) {
        let Method::PostForm(form) = &request.method else { panic!("only tokens are asked for") };
        let field = |name: &str| form.iter().find(|(key, _)| *key == name).map(|(_, value)| text(value));
        assert_eq!(field("client_secret"), Some("CLIENT-SECRET"), "the client proves itself");
        match field("grant_type") {
            Some("authorization_code") => self.redeem(field("code").unwrap(), now),
            _ => self.refresh(field("refresh_token").unwrap(), now),
        }
    }

    /// Whether a request redeems a code.
    pub(crate) fn is_login(request: &Request) -> bool {
        matches!(&request.method, Method::PostForm(form) if form.iter().any(|(key, _)| *key == "code"))
    }

    fn redeem(&mut self, code: &str, now: Duration) -> (Deed, Response) {
        let Some(account) = self.codes.remove(code) else { return (Deed::Refused, self.refuse(now)) };
        let token = self.name("RT");
        self.families.push(Family { account, tokens: vec![(token, None)], is_revoked: false });
        let family = self.families.len() - 1;
        (Deed::Rotated(family), self.answer(family, true, now))
    }

    fn refresh(&mut self, token: &str, now: Duration) -> (Deed, Response) {
        let Some(number) = self.family(token) else { return (Deed::Refused, self.refuse(now)) };
        let family = &self.families[number];
        if family.is_revoked {
            return (Deed::Refused, self.refuse(now));
        }
        let behind = family.tokens.iter().rev().position(|(issued, _)| issued == token).unwrap();
        let spent_at = family.tokens[family.tokens.len() - 1 - behind].1;
        match (behind, spent_at) {
            (0, _) if self.habits.keeps_token => (Deed::Answered(number), self.answer(number, false, now)),
            (0, _) => self.rotate(number, now),
            // Only the token before the newest one, and not for long: the same successor again.
            (1, Some(at)) if now < at + self.habits.grace => {
                (Deed::Rotated(number), self.answer(number, true, now))
            }
            _ => {
                self.families[number].is_revoked = true;
                (Deed::Revoked(number), self.refuse(now))
            }
        }
    }

    fn rotate(&mut self, number: usize, now: Duration) -> (Deed, Response) {
        let token = self.name("RT");
        let tokens = &mut self.families[number].tokens;
        tokens.last_mut().unwrap().1 = Some(now);
        tokens.push((token, None));
        (Deed::Rotated(number), self.answer(number, true, now))
    }

    fn answer(&mut self, family: usize, with_refresh_token: bool, now: Duration) -> Response {
        let token = self.name("AT");
        self.access.insert(token.clone(), (family, now + LIFE));
        let mut body = json!({"access_token": token, "token_type": "Bearer", "expires_in": LIFE.as_secs()});
        if with_refresh_token {
            body["refresh_token"] = self.families[family].live().into();
        }
        self.respond(200, body.to_string(), now)
    }

    fn refuse(&self, now: Duration) -> Response {
        self.respond(400, r#"{"error":"invalid_grant"}"#.to_owned(), now)
    }

    /// An answer with `body`.
    pub(crate) fn respond(&self, status: u16, body: String, now: Duration) -> Response {
        let seconds = BEGINNING + now.as_secs() as i64 + self.habits.skew;
        Response {
            status,
            retry_after: None,
            date: Timestamp::from_second(seconds).ok(),
            location: None,
            body: Zeroizing::new(body.into_bytes()),
        }
    }
}

/// When the simulation begins, in seconds since 1970.
pub(crate) const BEGINNING: i64 = 1_800_000_000;

fn text(secret: &SecretString) -> &str {
    secret.expose_secret()
}
