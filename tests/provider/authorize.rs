//! `/authorize`: checks the request, lets a user consent, sends the browser back.

use url::{Host, Url};

use super::client_auth::has_doubles;
use super::config::{Client, Config, Consent, Echo, Iss, Redirects, User};
use super::consent_page;
use super::http::{Request, Response, find};
use super::state::{Code, State};

/// A code challenge is a SHA-256 in base64url: 43 characters (RFC 7636, 4.2).
const CHALLENGE_LENGTH: usize = 43;

/// Answers an authorization request, or the consent page's form.
pub(super) fn answer(state: &mut State, request: &Request) -> Response {
    let params = match request.method.as_str() {
        "GET" => &request.query,
        "POST" => &request.form,
        _ => return Response::text(405, "use GET\n"),
    };
    let asked = match Asked::read(&state.config, params) {
        Ok(asked) => asked,
        Err(why) => return Response::text(400, &format!("Error 400: {why}\n")),
    };
    if let Err((error, why)) = asked.check(&state.config) {
        let failure = [("error", error), ("error_description", why)];
        return send_back(state, &asked, &Consent::default(), &failure);
    }
    if state.config.consent_page && request.method == "GET" {
        return consent_page::show(&state.config, &asked.client, &asked.scopes, params);
    }
    let consent = consent_page::apply(state.take_consent(), params);
    decide(state, &asked, &consent)
}

fn decide(state: &mut State, asked: &Asked<'_>, consent: &Consent) -> Response {
    if let Some(error) = &consent.error {
        return send_back(state, asked, consent, &[("error", error)]);
    }
    let user = asked.consenting_user(&state.config, consent);
    let code = asked.code(state, consent, &user);
    let code = state.issue_code(code);
    send_back(state, asked, consent, &[("code", &code)])
}

/// An authorization request whose client and redirect URI are known to be good: only then may an
/// error be sent there (RFC 6749, 4.1.2.1).
struct Asked<'a> {
    client: Client,
    redirect: Url,
    scopes: Vec<String>,
    params: &'a [(String, String)],
}

impl<'a> Asked<'a> {
    fn read(config: &Config, params: &'a [(String, String)]) -> Result<Self, &'static str> {
        let id = find(params, "client_id").ok_or("invalid_request: client_id is missing")?;
        let client = config.client(id).ok_or("invalid_client")?.clone();
        let uri = find(params, "redirect_uri").ok_or("invalid_request: no redirect_uri")?;
        let redirect = allowed(&client.redirects, uri).ok_or("redirect_uri_mismatch")?;
        let scope = find(params, "scope").unwrap_or_default();
        Ok(Self { client, redirect, scopes: canonical(config, scope.split_whitespace()), params })
    }

    fn check(&self, config: &Config) -> Result<(), (&'static str, &'static str)> {
        if has_doubles_but_ticks(self.params) {
            return Err(("invalid_request", "A parameter is given twice."));
        }
        if self.param("response_type") != Some("code") {
            return Err(("unsupported_response_type", "Only code is supported."));
        }
        if self.param("state").is_none_or(str::is_empty) {
            return Err(("invalid_request", "state is missing."));
        }
        self.check_pkce(config)?;
        self.check_scopes(config)
    }

    fn check_pkce(&self, config: &Config) -> Result<(), (&'static str, &'static str)> {
        let Some(challenge) = self.param("code_challenge") else {
            return match config.require_pkce {
                true => Err(("invalid_request", "code_challenge is missing.")),
                false => Ok(()),
            };
        };
        if self.param("code_challenge_method") != Some("S256") {
            return Err(("invalid_request", "code_challenge_method must be S256."));
        }
        let base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if challenge.len() != CHALLENGE_LENGTH || !challenge.bytes().all(base64url) {
            return Err(("invalid_request", "code_challenge is no SHA-256."));
        }
        Ok(())
    }

    fn check_scopes(&self, config: &Config) -> Result<(), (&'static str, &'static str)> {
        if self.scopes.is_empty() {
            return Err(("invalid_scope", "scope is missing."));
        }
        let Some(known) = &config.scopes else {
            return Ok(());
        };
        let known = canonical(config, known.iter().map(String::as_str));
        match self.scopes.iter().all(|scope| known.contains(scope)) {
            true => Ok(()),
            false => Err(("invalid_scope", "Some requested scopes were invalid.")),
        }
    }

    /// Who consents: the one who was planned, else the one hinted at, else whoever is signed in.
    fn consenting_user(&self, config: &Config, consent: &Consent) -> User {
        let planned = consent.user.as_deref().and_then(|name| config.user(name));
        let hinted = || self.param("login_hint").and_then(|name| config.user(name));
        let user = planned.or_else(hinted).or(config.users.first());
        user.expect("the server has a user").clone()
    }

    fn code(&self, state: &mut State, consent: &Consent, user: &User) -> Code {
        let scopes = match &consent.granted {
            Some(granted) => canonical(&state.config, granted.iter().map(String::as_str)),
            None => self.scopes.clone(),
        };
        let first = state.remember_consent(&self.client.id, &user.sub);
        Code {
            client_id: self.client.id.clone(),
            redirect_uri: self.param("redirect_uri").unwrap_or_default().into(),
            challenge: self.param("code_challenge").map(str::to_owned),
            nonce: self.param("nonce").map(str::to_owned),
            sub: user.sub.clone(),
            offline: self.is_offline(&state.config, &scopes, first),
            scopes,
            expires_at: 0,
            family: None,
        }
    }

    /// Google gives a refresh token only where it was asked for on a consent screen, and shows
    /// that screen a second time only with `prompt=consent`.
    fn is_offline(&self, config: &Config, granted: &[String], first_consent: bool) -> bool {
        let prompts = self.param("prompt").unwrap_or_default();
        let screen = first_consent || prompts.split(' ').any(|prompt| prompt == "consent");
        let google = self.param("access_type") == Some("offline") && screen;
        let scope = granted.iter().any(|scope| scope == "offline_access");
        (!config.google_habits || google) && (!config.offline_scope || scope)
    }

    fn param(&self, name: &str) -> Option<&str> {
        find(self.params, name)
    }
}

/// Sends the browser to the redirect URI with `answer`, state and issuer.
fn send_back(state: &State, asked: &Asked<'_>, consent: &Consent, answer: &[(&str, &str)]) -> Response {
    let mut location = asked.redirect.clone();
    {
        let mut query = location.query_pairs_mut();
        query.extend_pairs(answer);
        for echoed in echo(&consent.state, asked.param("state")) {
            query.append_pair("state", echoed);
        }
        if let Some(iss) = issuer_told(state, &consent.iss) {
            query.append_pair("iss", &iss);
        }
        query.extend_pairs(&consent.extra);
    }
    Response::redirect(location.as_str())
}

fn echo<'a>(echo: &'a Echo, state: Option<&'a str>) -> Vec<&'a str> {
    match echo {
        Echo::Same => state.into_iter().collect(),
        Echo::Missing => Vec::new(),
        Echo::Doubled => state.into_iter().chain(state).collect(),
        Echo::Other(other) => vec![other],
    }
}

fn issuer_told(state: &State, iss: &Iss) -> Option<String> {
    match iss {
        Iss::AsConfigured => state.config.send_iss.then(|| state.issuer()),
        Iss::Right => Some(state.issuer()),
        Iss::Missing => None,
        Iss::Other(other) => Some(other.clone()),
    }
}

fn allowed(rule: &Redirects, uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok()?;
    let fits = match rule {
        Redirects::Loopback => is_loopback(&url),
        Redirects::Exact(uris) => uris.iter().any(|known| known == uri),
    };
    (fits && url.fragment().is_none()).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && url.username().is_empty() && loopback
}

/// The names under which the server grants scopes; Google has long ones for two of OIDC's.
fn canonical<'a>(config: &Config, scopes: impl Iterator<Item = &'a str>) -> Vec<String> {
    let name = |scope: &str| match scope {
        "email" | "profile" if config.google_habits => {
            format!("https://www.googleapis.com/auth/userinfo.{scope}")
        }
        other => other.to_owned(),
    };
    scopes.map(name).collect()
}

/// The consent page sends one `grant` for each box that is ticked.
fn has_doubles_but_ticks(params: &[(String, String)]) -> bool {
    let mut params = params.to_vec();
    params.retain(|(name, _)| name != consent_page::TICK);
    has_doubles(&params)
}
