//! What a test decides about the server: its clients, users and habits.

use serde_json::{Value, json};

use super::device::Device;
use super::id_token::IdTokens;
use super::script::Endpoint;

/// The settings of a server; all of them may change while it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// The registered clients.
    pub clients: Vec<Client>,
    /// The people with an account; the first one consents where nothing names another.
    pub users: Vec<User>,
    /// The service accounts.
    pub service_accounts: Vec<ServiceAccount>,
    /// Who may act as which service account: an address, and that of the account.
    pub token_creators: Vec<(String, String)>,
    /// Whether clients get tokens in their own right (RFC 6749, 4.4).
    pub client_credentials: bool,
    /// Whether the token endpoint says what time it is (RFC 9110, 6.6.1).
    pub tells_time: bool,
    /// What a refresh does to the refresh token.
    pub rotation: Rotation,
    /// Google's ways: a refresh token only with `access_type=offline` and a consent screen, long
    /// scope names in answers, revoking one token ends the user's whole grant to the client.
    pub google_habits: bool,
    /// Gives a refresh token only where the scope `offline_access` was granted (OIDC Core 11).
    pub offline_scope: bool,
    /// Refuses an authorization request without PKCE.
    pub require_pkce: bool,
    /// Sends `iss` in the authorization response and advertises it (RFC 9207).
    pub send_iss: bool,
    /// Shows a page with buttons instead of consenting at once.
    pub consent_page: bool,
    /// How the person answers where [`super::Provider::next_consent`] has nothing left.
    pub consent: Consent,
    /// What the issuer has after host and port: empty, or `/tenant`.
    pub issuer_path: String,
    /// Serves `/.well-known/openid-configuration`.
    pub oidc_discovery: bool,
    /// Serves `/.well-known/oauth-authorization-server`.
    pub oauth_discovery: bool,
    /// The scopes that exist; `None` takes any.
    pub scopes: Option<Vec<String>>,
    /// The life of an access token in seconds.
    pub expires_in: u64,
    /// The life of a grant in seconds, told as `refresh_token_expires_in`; `None` is without end.
    pub refresh_token_expires_in: Option<u64>,
    /// Further paths at which endpoints are served, as other providers have them.
    pub places: Vec<(String, Endpoint)>,
    /// Merged (RFC 7396) into the claims of every ID token.
    pub id_token_claims: Value,
    /// How ID tokens are signed, and what is published of that.
    pub id_tokens: IdTokens,
    /// Merged (RFC 7396) into the successful answers of an endpoint, in this order.
    pub amendments: Vec<(Endpoint, Value)>,
    /// Gives out device codes; `None` does not.
    pub device: Option<Device>,
    /// Stops the clock at this second since 1970; `None` is the real one. Both can be advanced.
    pub frozen_at: Option<u64>,
}

impl Default for Config {
    /// Three clients of one server (`desktop` posts its secret, `web` uses Basic, `public` has
    /// none), two users, a rotating refresh token without grace.
    fn default() -> Self {
        Self {
            clients: vec![
                Client::post("desktop", "GOCSPX-desktop-secret"),
                Client::basic("web", "GOCSPX-web-secret"),
                Client::public("public"),
            ],
            users: vec![User::new("1001", "me@example.com"), User::new("1002", "other@example.com")],
            service_accounts: vec![
                ServiceAccount::robot(),
                ServiceAccount::without_keys(ServiceAccount::DEPLOY),
            ],
            token_creators: vec![
                ("me@example.com".into(), ServiceAccount::DEPLOY.into()),
                (ServiceAccount::ROBOT.into(), ServiceAccount::DEPLOY.into()),
            ],
            client_credentials: true,
            tells_time: false,
            rotation: Rotation::Rotate { grace_secs: 0 },
            google_habits: false,
            offline_scope: false,
            require_pkce: true,
            send_iss: true,
            consent_page: false,
            consent: Consent::default(),
            issuer_path: String::new(),
            oidc_discovery: true,
            oauth_discovery: true,
            scopes: None,
            expires_in: 3599,
            refresh_token_expires_in: None,
            places: Vec::new(),
            id_token_claims: json!({}),
            id_tokens: IdTokens::default(),
            amendments: Vec::new(),
            device: None,
            frozen_at: None,
        }
    }
}

impl Config {
    /// A server that behaves as Google does: no rotation, no `iss`, either way to authenticate.
    pub fn google() -> Self {
        let mut desktop = Client::post("desktop", "GOCSPX-desktop-secret");
        desktop.auth = AuthMethod::BasicOrPost;
        Self {
            clients: vec![desktop],
            rotation: Rotation::None,
            google_habits: true,
            send_iss: false,
            oauth_discovery: false,
            ..Self::default()
        }
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    pub(super) fn user(&self, sub_or_email: &str) -> Option<&User> {
        let named = |user: &&User| user.sub == sub_or_email || user.email == sub_or_email;
        self.users.iter().find(named)
    }
}

/// A registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client id.
    pub id: String,
    /// The secrets that are accepted: none for a public client, two while one is replaced.
    pub secrets: Vec<String>,
    /// How it must authenticate; another way is answered with 401 `invalid_client`.
    pub auth: AuthMethod,
    /// Where it may be sent back to.
    pub redirects: Redirects,
}

impl Client {
    /// A client that must use HTTP Basic.
    pub fn basic(id: &str, secret: &str) -> Self {
        Self::new(id, &[secret], AuthMethod::Basic)
    }

    /// A client that must send its secret in the form.
    pub fn post(id: &str, secret: &str) -> Self {
        Self::new(id, &[secret], AuthMethod::Post)
    }

    /// A client without a secret.
    pub fn public(id: &str) -> Self {
        Self::new(id, &[], AuthMethod::None)
    }

    /// The same client, with exact redirect URIs.
    pub fn with_redirects(mut self, uris: &[&str]) -> Self {
        self.redirects = Redirects::Exact(uris.iter().map(ToString::to_string).collect());
        self
    }

    fn new(id: &str, secrets: &[&str], auth: AuthMethod) -> Self {
        Self {
            id: id.into(),
            secrets: secrets.iter().map(ToString::to_string).collect(),
            auth,
            redirects: Redirects::Loopback,
        }
    }
}

/// How a client authenticates (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// HTTP Basic, id and secret form-encoded.
    Basic,
    /// `client_id` and `client_secret` in the form.
    Post,
    /// `client_id` alone.
    None,
    /// Either of the first two, as Google has it.
    BasicOrPost,
}

impl AuthMethod {
    pub(super) fn accepts(self, used: Self) -> bool {
        self == used || (self == Self::BasicOrPost && used != Self::None)
    }
}

/// Which redirect URIs a client may use.
#[derive(Clone, Debug)]
pub enum Redirects {
    /// Any port and path of `127.0.0.1`, `[::1]` and `localhost` (RFC 8252, 7.3).
    Loopback,
    /// These, compared as text.
    Exact(Vec<String>),
}

/// A person with an account.
#[derive(Clone, Debug)]
pub struct User {
    /// The subject.
    pub sub: String,
    /// The e-mail address.
    pub email: String,
}

impl User {
    /// A person named by subject and e-mail address.
    pub fn new(sub: &str, email: &str) -> Self {
        Self { sub: sub.into(), email: email.into() }
    }
}

/// An account of a program.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    /// Its address.
    pub email: String,
    /// The ids of its keys, and their public halves (RFC 8017, A.1.1).
    pub keys: Vec<(String, Vec<u8>)>,
    /// The users on whose behalf it may act.
    pub subjects: Vec<String>,
}

impl ServiceAccount {
    /// One that has a key.
    pub const ROBOT: &str = "robot@project.iam.example";
    /// The id of that key.
    pub const KEY_ID: &str = "robot-key-1";
    /// That key.
    pub const KEY: &str = include_str!("keys/robot.pem");
    /// Another one, which nobody knows yet.
    pub const OTHER_KEY: &str = include_str!("keys/other.pem");
    /// One without keys, which others act as.
    pub const DEPLOY: &str = "deploy@project.iam.example";

    fn robot() -> Self {
        let mut robot = Self::without_keys(Self::ROBOT);
        robot.add_key(Self::KEY_ID, Self::KEY);
        robot.subjects.push("me@example.com".into());
        robot
    }

    /// One that signs nothing by itself.
    pub fn without_keys(email: &str) -> Self {
        Self { email: email.into(), keys: Vec::new(), subjects: Vec::new() }
    }

    /// Gives it another key.
    pub fn add_key(&mut self, id: &str, pem: &str) {
        self.keys.push((id.into(), super::service_account::public_half(pem)));
    }
}

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It stays, and the answer has none.
    None,
    /// It is replaced; a spent one that comes back revokes the whole family (RFC 9700, 4.14.2).
    Rotate {
        /// For so many seconds the token spent last still works, until its successor is used.
        grace_secs: u64,
    },
}

/// How the person, and the server on the way back, answer one authorization request.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    /// Who consents (subject or e-mail address); `None` follows the login hint.
    pub user: Option<String>,
    /// The scopes granted; `None` grants what was asked.
    pub granted: Option<Vec<String>>,
    /// Answers with this error instead of a code.
    pub error: Option<String>,
    /// The `iss` of the answer.
    pub iss: Iss,
    /// The `state` of the answer.
    pub state: Echo,
    /// Further parameters of the answer.
    pub extra: Vec<(String, String)>,
}

impl Consent {
    /// `user` (subject or e-mail address) consents to all that was asked.
    pub fn by(user: &str) -> Self {
        Self { user: Some(user.into()), ..Self::default() }
    }

    /// The person presses Cancel.
    pub fn denied() -> Self {
        Self::failing("access_denied")
    }

    /// The server answers with `error`.
    pub fn failing(error: &str) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }

    /// The person unticks all scopes but these.
    pub fn granting(scopes: &[&str]) -> Self {
        Self { granted: Some(scopes.iter().map(ToString::to_string).collect()), ..Self::default() }
    }

    /// The answer's `iss` is as said here.
    pub fn with_iss(mut self, iss: Iss) -> Self {
        self.iss = iss;
        self
    }

    /// The answer's `state` is as said here.
    pub fn with_state(mut self, state: Echo) -> Self {
        self.state = state;
        self
    }
}

/// The `iss` parameter of an authorization response (RFC 9207).
#[derive(Clone, Debug, Default)]
pub enum Iss {
    /// The right one, where the server sends it at all.
    #[default]
    AsConfigured,
    /// The right one, advertised or not.
    Right,
    /// None, advertised or not.
    Missing,
    /// This one.
    Other(String),
}

/// The `state` parameter of an authorization response.
#[derive(Clone, Debug, Default)]
pub enum Echo {
    /// As it was sent.
    #[default]
    Same,
    /// None.
    Missing,
    /// Twice.
    Doubled,
    /// This one.
    Other(String),
}
