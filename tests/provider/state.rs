//! What the server remembers: codes, grants (families of tokens), consents, requests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::config::{Config, Consent, Rotation};
use super::device::DeviceCode;
use super::http::Request;
use super::script::{Endpoint, Fault};

/// The longest life RFC 6749, 4.1.2 recommends for a code, in seconds.
const CODE_LIFE: u64 = 600;

/// A grant that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Whose it was.
    pub client_id: String,
    /// The user's subject.
    pub sub: String,
    /// Why it ended.
    pub because: RevokedBecause,
}

/// Why a grant was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedBecause {
    /// A spent refresh token came back.
    RefreshTokenReuse,
    /// A redeemed code came back.
    CodeReuse,
    /// The client asked for it (RFC 7009).
    ByClient,
    /// The user removed the app's access.
    ByUser,
}

/// A code that waits to be redeemed, or was.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) sub: String,
    pub(super) scopes: Vec<String>,
    pub(super) offline: bool,
    pub(super) expires_at: u64,
    pub(super) family: Option<usize>,
}

/// All tokens that come from one consent.
#[derive(Clone)]
pub(super) struct Family {
    pub(super) client_id: String,
    pub(super) sub: String,
    pub(super) scopes: Vec<String>,
    expires_at: Option<u64>,
    revoked: bool,
}

#[derive(Clone)]
struct RefreshToken {
    family: usize,
    number: u64,
    spent_at: Option<u64>,
    successors: Vec<String>,
}

#[derive(Clone)]
pub(super) struct AccessToken {
    pub(super) family: usize,
    pub(super) scopes: Vec<String>,
    expires_at: u64,
}

/// What a presented refresh token turned out to be.
pub(super) enum Presented {
    /// It may be used, for this family.
    Usable(usize),
    /// It was spent before; its family is revoked now.
    Reused,
    /// Unknown, expired, revoked, or another client's.
    Dead,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) requests: Vec<Request>,
    pub(super) revoked: Vec<Revoked>,
    pub(super) issued: Vec<String>,
    /// In the order in which they were given out.
    pub(super) device_codes: Vec<(String, DeviceCode)>,
    base: String,
    advanced: Duration,
    counter: u64,
    codes: HashMap<String, Code>,
    families: Vec<Family>,
    refresh_tokens: HashMap<String, RefreshToken>,
    access_tokens: HashMap<String, AccessToken>,
    consented: HashSet<(String, String)>,
    planned: VecDeque<Consent>,
    scripts: HashMap<Endpoint, VecDeque<Fault>>,
}

impl State {
    pub(super) fn new(config: Config, base: String) -> Self {
        Self {
            config,
            base,
            requests: Vec::new(),
            revoked: Vec::new(),
            issued: Vec::new(),
            device_codes: Vec::new(),
            advanced: Duration::ZERO,
            counter: 0,
            codes: HashMap::new(),
            families: Vec::new(),
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            consented: HashSet::new(),
            planned: VecDeque::new(),
            scripts: HashMap::new(),
        }
    }

    pub(super) fn issuer(&self) -> String {
        self.url(&self.config.issuer_path)
    }

    /// The absolute URL of `path`, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// OIDC Discovery 4 puts its path behind the issuer's, RFC 8414, 3.1 before it.
    pub(super) fn endpoint(&self, path: &str) -> Endpoint {
        if let Some((_, endpoint)) = self.config.places.iter().find(|(place, _)| place == path) {
            return *endpoint;
        }
        let tenant = &self.config.issuer_path;
        match path {
            "/authorize" => Endpoint::Authorize,
            "/token" => Endpoint::Token,
            "/userinfo" => Endpoint::Userinfo,
            "/revoke" => Endpoint::Revoke,
            "/jwks" => Endpoint::Jwks,
            "/device_authorization" => Endpoint::DeviceAuthorization,
            "/device" => Endpoint::DevicePage,
            _ if path.starts_with("/api/") => Endpoint::Api,
            _ if path.starts_with("/v1/projects/") => Endpoint::Iam,
            _ if path == format!("{tenant}/.well-known/openid-configuration") => {
                Endpoint::OpenidConfiguration
            }
            _ if path == format!("/.well-known/oauth-authorization-server{tenant}") => {
                Endpoint::OauthMetadata
            }
            _ => Endpoint::Elsewhere,
        }
    }

    pub(super) fn now(&self) -> u64 {
        let start = self.config.frozen_at.unwrap_or_else(real_now);
        start + self.advanced.as_secs()
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.advanced += by;
    }

    pub(super) fn count(&self, endpoint: Endpoint) -> usize {
        let here = |request: &&Request| request.endpoint == endpoint;
        self.requests.iter().filter(here).count()
    }

    pub(super) fn script(&mut self, endpoint: Endpoint, faults: Vec<Fault>) {
        self.scripts.entry(endpoint).or_default().extend(faults);
    }

    pub(super) fn take_fault(&mut self, endpoint: Endpoint) -> Fault {
        let waiting = self.scripts.entry(endpoint).or_default();
        waiting.pop_front().unwrap_or(Fault::Pass)
    }

    pub(super) fn faults_left(&self, endpoint: Endpoint) -> usize {
        self.scripts.get(&endpoint).map_or(0, VecDeque::len)
    }

    /// Panics in the test that names a user nobody has made, not later in the server.
    pub(super) fn plan_consent(&mut self, consent: Consent) {
        if let Some(name) = &consent.user {
            assert!(self.config.user(name).is_some(), "no user named {name}");
        }
        self.planned.push_back(consent);
    }

    pub(super) fn take_consent(&mut self) -> Consent {
        let planned = self.planned.pop_front();
        planned.unwrap_or_else(|| self.config.consent.clone())
    }

    /// Remembers a consent; true if it is this user's first for this client.
    pub(super) fn remember_consent(&mut self, client_id: &str, sub: &str) -> bool {
        self.consented.insert((client_id.into(), sub.into()))
    }

    pub(super) fn issue_code(&mut self, mut code: Code) -> String {
        code.expires_at = self.now() + CODE_LIFE;
        let text = self.fresh("4/0A");
        self.codes.insert(text.clone(), code);
        text
    }

    pub(super) fn code(&self, text: &str) -> Option<&Code> {
        self.codes.get(text)
    }

    /// Opens the family of a code, which is redeemed by that.
    pub(super) fn redeem(&mut self, text: &str, code: &Code) -> usize {
        let family = self.open_family(&code.client_id, &code.sub, &code.scopes);
        self.codes.entry(text.to_owned()).and_modify(|code| code.family = Some(family));
        family
    }

    pub(super) fn seed(&mut self, client_id: &str, user: &str, scopes: &[&str]) -> String {
        assert!(self.config.client(client_id).is_some(), "no such client");
        let sub = self.config.user(user).expect("no such user").sub.clone();
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        self.remember_consent(client_id, &sub);
        let family = self.open_family(client_id, &sub, &scopes);
        self.issue_refresh_token(family)
    }

    pub(super) fn open_family(&mut self, client_id: &str, sub: &str, scopes: &[String]) -> usize {
        let life = self.config.refresh_token_expires_in;
        self.families.push(Family {
            client_id: client_id.into(),
            sub: sub.into(),
            scopes: scopes.to_vec(),
            expires_at: life.map(|life| self.now() + life),
            revoked: false,
        });
        self.families.len() - 1
    }

    pub(super) fn family(&self, family: usize) -> &Family {
        &self.families[family]
    }

    /// Seconds until the grant ends, if it ends by itself.
    pub(super) fn grant_life(&self, family: usize) -> Option<u64> {
        let end = self.families[family].expires_at?;
        Some(end.saturating_sub(self.now()))
    }

    pub(super) fn issue_access_token(&mut self, family: usize, scopes: &[String]) -> String {
        self.issue_access_token_for(family, scopes, self.config.expires_in)
    }

    /// One that lives for so many seconds.
    pub(super) fn issue_access_token_for(&mut self, family: usize, scopes: &[String], life: u64) -> String {
        let token = AccessToken { family, scopes: scopes.to_vec(), expires_at: self.now() + life };
        let text = self.fresh("ya29.a0");
        self.access_tokens.insert(text.clone(), token);
        text
    }

    pub(super) fn issue_refresh_token(&mut self, family: usize) -> String {
        let text = self.fresh("1//0");
        let token = RefreshToken { family, number: self.counter, spent_at: None, successors: Vec::new() };
        self.refresh_tokens.insert(text.clone(), token);
        text
    }

    /// Judges a presented refresh token, and revokes its family if it comes back out of time.
    pub(super) fn present(&mut self, client_id: &str, text: &str) -> Presented {
        let Some(token) = self.refresh_tokens.get(text).cloned() else {
            return Presented::Dead;
        };
        if !self.is_live(token.family) || self.families[token.family].client_id != client_id {
            return Presented::Dead;
        }
        if token.spent_at.is_none() || self.in_grace(&token) {
            return Presented::Usable(token.family);
        }
        self.revoke_family(token.family, RevokedBecause::RefreshTokenReuse);
        Presented::Reused
    }

    /// Replaces a usable refresh token by its successor, as the rotation has it.
    pub(super) fn rotate(&mut self, text: &str) -> Option<String> {
        if self.config.rotation == Rotation::None {
            return None;
        }
        let now = self.now();
        let family = self.refresh_tokens.get(text)?.family;
        let successor = self.issue_refresh_token(family);
        let spent = self.refresh_tokens.get_mut(text)?;
        spent.spent_at.get_or_insert(now);
        spent.successors.push(successor.clone());
        Some(successor)
    }

    /// Whether a spent token still works: its time is not over, and nobody has used a successor,
    /// which would prove that the answer had arrived.
    fn in_grace(&self, token: &RefreshToken) -> bool {
        let Rotation::Rotate { grace_secs } = self.config.rotation else {
            return true;
        };
        let age = self.now().saturating_sub(token.spent_at.unwrap_or(0));
        let used = |text: &String| self.refresh_tokens[text].spent_at.is_some();
        grace_secs > 0 && age <= grace_secs && !token.successors.iter().any(used)
    }

    fn is_live(&self, family: usize) -> bool {
        let family = &self.families[family];
        !family.revoked && family.expires_at.is_none_or(|end| self.now() < end)
    }

    pub(super) fn live_refresh_tokens(&self) -> Vec<String> {
        let live = |token: &RefreshToken| token.spent_at.is_none() && self.is_live(token.family);
        let mut tokens: Vec<_> = self.refresh_tokens.iter().filter(|(_, token)| live(token)).collect();
        tokens.sort_by_key(|(_, token)| token.number);
        tokens.into_iter().map(|(text, _)| text.clone()).collect()
    }

    pub(super) fn live_access_token(&self, text: &str) -> Option<&AccessToken> {
        let token = self.access_tokens.get(text)?;
        let live = !self.families[token.family].revoked && self.now() < token.expires_at;
        live.then_some(token)
    }

    /// The family of a token of either kind that is still good for something.
    pub(super) fn family_of(&self, text: &str) -> Option<usize> {
        let refresh = self.refresh_tokens.get(text).map(|token| token.family);
        let refresh = refresh.filter(|family| self.is_live(*family));
        refresh.or_else(|| self.live_access_token(text).map(|token| token.family))
    }

    pub(super) fn forget_access_token(&mut self, text: &str) -> bool {
        self.access_tokens.remove(text).is_some()
    }

    pub(super) fn revoke_family(&mut self, family: usize, because: RevokedBecause) {
        let family = &mut self.families[family];
        if family.revoked {
            return;
        }
        family.revoked = true;
        self.revoked.push(Revoked { client_id: family.client_id.clone(), sub: family.sub.clone(), because });
    }

    /// Ends every family of this user and client, and forgets the consent.
    pub(super) fn revoke_grant(&mut self, client_id: &str, sub: &str, because: RevokedBecause) {
        self.consented.remove(&(client_id.into(), sub.into()));
        for index in 0..self.families.len() {
            let family = &self.families[index];
            if family.client_id == client_id && family.sub == sub {
                self.revoke_family(index, because);
            }
        }
    }

    pub(super) fn revoke_by_user(&mut self, client_id: &str, user: &str) {
        let sub = self.config.user(user).expect("no such user").sub.clone();
        self.revoke_grant(client_id, &sub, RevokedBecause::ByUser);
    }

    /// A secret never seen before: a counter makes it readable, chance makes it unique among all
    /// servers of a test run.
    pub(super) fn fresh(&mut self, prefix: &str) -> String {
        self.counter += 1;
        let mut random = [0; 24];
        getrandom::fill(&mut random).expect("the system has randomness");
        let text = format!("{prefix}{:05}-{}", self.counter, URL_SAFE_NO_PAD.encode(random));
        self.issued.push(text.clone());
        text
    }
}

fn real_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970").as_secs()
}
