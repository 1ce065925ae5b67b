//! JSON: an object with a refresh token somewhere in it, and around it whose it is.
//!
//! Nearly every tool has a form of its own, and all of them are the same in other brackets. So the tree is walked:
//! what an object does not say of its login is taken from the objects around it.

use std::rc::Rc;

use zeroize::Zeroizing;

use super::{id_token, oauth2l};
use crate::domain::Scopes;
use crate::oauth::client_file::{self, Kind};
use crate::oauth::json::{self, Malformed, Members, Value};
use crate::oauth::provider;
use crate::oauth::service_account::{self, KeyFile};
use crate::ops::import::item::{FoundClient, FoundGrant, Input, Item, MAX_ITEMS, Odd};
use crate::ops::import::text;
use crate::ops::mint::KeyFacts;

/// Objects in objects: clasp and firebase have three.
const MAX_DEPTH: usize = 8;

/// Whether a text that begins with a bracket is a list, and no section of an ini file.
pub(super) fn is_list(text: &str) -> bool {
    let inside = text.trim_start().trim_start_matches('[').trim_start();
    inside.starts_with(['{', ']'])
}

/// A list of logins, as the disk storage of yup-oauth2 is one.
pub(super) fn read_list(input: &Input<'_>, text: &str) -> Result<Vec<Item>, Odd> {
    let object = Zeroizing::new(format!("{{\"list\":{text}}}"));
    read(input, object.as_bytes())
}

pub(super) fn read(input: &Input<'_>, bytes: &[u8]) -> Result<Vec<Item>, Odd> {
    let members = json::strict(bytes).map_err(|error| match error {
        // The key itself may be a secret.
        Malformed::Duplicate(_) => {
            Odd::malformed("it is JSON that has a key twice, so that it can be read in two ways")
        }
        Malformed::NoObject => Odd::malformed("it is no whole JSON object, or too deep a one"),
    })?;
    if let Some(items) = oauth2l::read(&members) {
        return items;
    }
    if members.object("installed").is_some() || members.object("web").is_some() {
        return client_of_console(bytes).map(|item| vec![item]);
    }
    let mut walk = Walk { kind: kind(&members), items: Vec::new(), odd: None, depth: 0 };
    walk.object(&members, &Around::of_file(input), None);
    if walk.items.len() > MAX_ITEMS {
        return Err(Odd::TooMany);
    }
    if walk.items.is_empty() {
        return Err(walk.odd.unwrap_or_else(|| why_nothing(&members)));
    }
    Ok(without_clients_of_logins(walk.items))
}

/// A client that stands in a part of its own comes with its login, and not once more by itself.
fn without_clients_of_logins(items: Vec<Item>) -> Vec<Item> {
    let id = |item: &Item| item.client.as_ref().map(|client| client.client_id.clone());
    let of_logins: Vec<_> = items.iter().filter(|item| item.grant.is_some()).map(id).collect();
    items.into_iter().filter(|item| item.grant.is_some() || !of_logins.contains(&id(item))).collect()
}

/// The client that Google's console lets one download.
fn client_of_console(bytes: &[u8]) -> Result<Item, Odd> {
    // Whether its hosts are the provider's is asked when it is known who that is.
    let file =
        client_file::parse(bytes, &provider::GENERIC).map_err(|error| Odd::malformed(error.to_string()))?;
    let redirect_uris = if file.kind == Kind::Web { file.redirect_uris } else { Vec::new() };
    let client = FoundClient {
        client_id: file.client_id,
        client_secret: file.client_secret,
        redirect_uris,
        key: None,
    };
    Ok(Item {
        kind: "client_file",
        client: Some(client),
        project: file.project_id,
        token_endpoint: Some(file.token_uri),
        ..Item::default()
    })
}

/// What the whole of it is, in a word.
fn kind(members: &Members) -> &'static str {
    let has = |key| members.get(key).is_some();
    match members.text("type") {
        Some("authorized_user") => return "authorized_user",
        Some("service_account") => return "service_account",
        _ => {}
    }
    if has("_module") || has("_class") || has("file_version") {
        "oauth2client"
    } else if has("gcrCreds") {
        "docker-credential-gcr"
    } else if has("oauth2ClientSettings") {
        "clasp"
    } else if members.object("tokens").is_some_and(|tokens| tokens.text("refresh_token").is_some()) {
        "firebase-tools"
    } else if members.object("tokens").is_some() {
        "clasp"
    } else if matches!(members.get("cache"), Some(Value::List(_))) {
        "luci"
    } else if has("token") && has("client_id") {
        "google-auth"
    } else if has("refresh_token") {
        "token"
    } else {
        "json"
    }
}

/// What the objects around one say of a login.
///
/// What may be long is shared: a file may have a million objects.
#[derive(Clone, Default)]
struct Around {
    client: Option<Rc<FoundClient>>,
    account: Option<String>,
    label: Option<String>,
    scopes: Rc<Scopes>,
}

impl Around {
    /// What the name of a file says: the seed of this program saved tokens under the client's id, and others save
    /// them under the address of the account.
    fn of_file(input: &Input<'_>) -> Self {
        let Some(name) = input.name() else { return Self::default() };
        let stem = name.strip_suffix(".json").unwrap_or(name);
        let id = stem.strip_prefix("Google.OAuth2.Token.").and_then(text::word);
        let client = id.map(|client_id| FoundClient { client_id, ..FoundClient::default() });
        Self { client: client.map(Rc::new), account: text::email(stem), ..Self::default() }
    }

    /// With what this object says itself.
    fn within(&self, members: &Members, key: Option<&str>) -> Self {
        let mut all = self.clone();
        let settings = ["oauth2ClientSettings", "client"].iter().find_map(|key| members.object(key));
        if let Some(client) =
            client(members).or_else(|| settings.and_then(client)).or_else(|| client_of_luci(members))
        {
            all.client = Some(Rc::new(client));
        }
        if let Some(account) = account(members) {
            all.account = Some(account);
        }
        let scopes = scopes(members);
        if !scopes.is_empty() {
            all.scopes = Rc::new(scopes);
        }
        if let Some(key) = key.filter(|key| !is_structure(key)) {
            all.account = text::email(key).or(all.account);
            all.label = text::label(key);
        }
        all
    }
}

/// Names that a form gives to its parts, as opposed to those that a person gives.
fn is_structure(key: &str) -> bool {
    let known = [
        "token",
        "tokens",
        "credential",
        "credentials",
        "data",
        "cache",
        "list",
        "gcrcreds",
        "key",
        "user",
        "oauth",
        "installed",
        "web",
        "client",
        "oauth2clientsettings",
        "additionalaccounts",
        "accounts",
        "profiles",
        "source_credentials",
        "google",
    ];
    known.contains(&key.to_ascii_lowercase().as_str())
}

fn first<'a>(members: &'a Members, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| members.text(key)).filter(|text| !text.is_empty())
}

fn client(members: &Members) -> Option<FoundClient> {
    let client_id = text::word(first(members, &["client_id", "clientId", "ClientID"])?)?;
    let secret = first(members, &["client_secret", "clientSecret", "ClientSecret"]);
    let client_secret = secret.and_then(text::secret);
    Some(FoundClient { client_id, client_secret, ..FoundClient::default() })
}

/// The tools of Chromium name the client in the key of their cache: `user/<client id>`.
fn client_of_luci(members: &Members) -> Option<FoundClient> {
    let key = members.object("key")?.text("key")?;
    let client_id = text::word(key.strip_prefix("user/")?)?;
    Some(FoundClient { client_id, ..FoundClient::default() })
}

fn account(members: &Members) -> Option<String> {
    let own = first(members, &["account", "email", "user_email", "client_email"]).and_then(text::email);
    let below =
        ["user", "id_token", "decoded_id_token", "user_info"].iter().find_map(|key| members.object(key));
    own.or_else(|| below.and_then(|below| first(below, &["email"])).and_then(text::email))
}

fn scopes(members: &Members) -> Scopes {
    let of = |members: &Members| {
        ["scopes", "scope", "granted_scopes"].iter().find_map(|key| match members.get(key)? {
            Value::Text(text) => Some(text::scopes([text.as_str()])),
            Value::List(list) => Some(text::scopes(list.iter().filter_map(Value::text))),
            _ => None,
        })
    };
    of(members).or_else(|| members.object("key").and_then(of)).unwrap_or_default()
}

struct Walk {
    kind: &'static str,
    items: Vec<Item>,
    /// Why a key that was found is none.
    odd: Option<Odd>,
    depth: usize,
}

impl Walk {
    fn object(&mut self, members: &Members, around: &Around, key: Option<&str>) {
        if self.depth > MAX_DEPTH || self.items.len() > MAX_ITEMS {
            return;
        }
        let around = around.within(members, key);
        match service_account(members) {
            Some(Ok(item)) => return self.items.push(item),
            Some(Err(why)) => return self.odd = self.odd.take().or(Some(why)),
            None => {}
        }
        if let Some(item) = self.login(members, &around) {
            return self.items.push(item);
        }
        let before = self.items.len();
        self.depth += 1;
        for (key, value) in members.iter() {
            self.value(value, &around, key);
        }
        self.depth -= 1;
        // Whoever has a secret and no login is a client, unless the login that it belongs to was below it.
        let client = client(members).filter(|client| client.client_secret.is_some());
        if let Some(client) = client.filter(|_| self.items.len() == before) {
            self.items.push(Item {
                kind: if self.kind == "json" { "client" } else { self.kind },
                client: Some(client),
                label: around.label,
                project: first(members, &["project_id"]).and_then(text::word),
                token_endpoint: token_endpoint(members),
                ..Item::default()
            });
        }
    }

    fn value(&mut self, value: &Value, around: &Around, key: &str) {
        match value {
            Value::Object(members) => self.object(members, around, Some(key)),
            Value::List(list) => list.iter().for_each(|value| {
                if let Value::Object(members) = value {
                    self.object(members, around, Some(key).filter(|key| is_structure(key)));
                }
            }),
            _ => {}
        }
    }

    /// The login that an object is, if it is one.
    fn login(&self, members: &Members, around: &Around) -> Option<Item> {
        let refresh_token =
            text::secret(first(members, &["refresh_token", "refreshToken", "RefreshToken"])?)?;
        let token_response = members.object("token_response");
        let id_token = first(members, &["id_token", "id_token_jwt"])
            .or_else(|| token_response.and_then(|response| first(response, &["id_token"])));
        let hints = id_token.map(id_token::hints).unwrap_or_default();
        let named = around.client.as_deref().cloned();
        let client =
            named.or_else(|| Some(FoundClient { client_id: hints.client_id?, ..FoundClient::default() }));
        Some(Item {
            kind: self.kind,
            client,
            grant: Some(FoundGrant { refresh_token, scopes: (*around.scopes).clone() }),
            account: around.account.clone().or(hints.email),
            project: first(members, &["quota_project_id"]).and_then(text::word),
            label: around.label.clone(),
            provider: None,
            token_endpoint: token_endpoint(members),
            api_key: None,
        })
    }
}

/// The key of a service account (<https://google.aip.dev/auth/4112>), which is a client that needs no consent.
fn service_account(members: &Members) -> Option<Result<Item, Odd>> {
    let is_key = members.text("type") == Some("service_account") && members.get("private_key").is_some();
    is_key.then(|| {
        let file = service_account::of_members(members).map_err(|error| Odd::malformed(error.to_string()))?;
        if let Some(domain) = &file.universe_domain {
            return Err(Odd::useless(
                format!("it is the key of a service account in the cloud {domain}, and not in googleapis.com"),
                "name the server that issues its tokens: `vault client add --service-account-key FILE --issuer URL`",
            ));
        }
        Ok(of_key(file))
    })
}

fn of_key(file: KeyFile) -> Item {
    let key = KeyFacts {
        id: file.private_key_id,
        token_uri: file.token_uri.clone(),
        project: file.project_id.clone(),
    };
    Item {
        kind: "service_account",
        label: file.client_email.split('@').next().and_then(text::label),
        account: Some(file.client_email.clone()),
        client: Some(FoundClient {
            client_id: file.client_email,
            client_secret: Some(file.private_key),
            redirect_uris: Vec::new(),
            key: Some(key),
        }),
        project: file.project_id,
        token_endpoint: Some(file.token_uri),
        ..Item::default()
    }
}

fn token_endpoint(members: &Members) -> Option<url::Url> {
    first(members, &["token_uri", "token_url", "tokenUrl", "token_endpoint"]).and_then(text::url)
}

/// What it is instead, if nothing can be used.
fn why_nothing(members: &Members) -> Odd {
    match members.text("type") {
        Some("service_account") => {
            Odd::malformed("it is the key of a service account, and parts of it are missing")
        }
        Some("impersonated_service_account") => Odd::useless(
            "it says how a service account is impersonated, and holds no login of its own that could be taken in",
            "log in the source account, then run `vault add-profile NAME --impersonate SERVICE-ACCOUNT --via PROFILE`",
        ),
        Some("external_account" | "external_account_authorized_user" | "gdch_service_account") => {
            Odd::useless(
                "it lets another system vouch for a workload, and holds no login of a person",
                "leave it where it is; vault has nothing to keep safe in it",
            )
        }
        _ if members.object("auths").is_some() => Odd::useless(
            "it is docker's, whose entries are passwords or tokens of registries and cannot be refreshed here",
            "run `vault setup docker` for registries of Google, and `docker logout` for what lies in the file",
        ),
        _ if has_access_token(members) => Odd::useless(
            "it holds an access token and no refresh token, so that it ends by itself and cannot be renewed",
            "log in with `vault add-profile NAME`",
        ),
        _ => Odd::Unknown,
    }
}

fn has_access_token(members: &Members) -> bool {
    ["access_token", "accessToken", "oauth_token", "token"].iter().any(|key| members.text(key).is_some())
        || members.iter().any(
            |(_, value)| matches!(value, Value::Object(members) if members.text("access_token").is_some()),
        )
}
