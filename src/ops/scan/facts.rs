//! What a file says of the secrets in it without being one: whose they are, and what kind of document it is.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::shapes::value_of_any;

/// Most accounts, clients or projects that are named of one file.
const MOST: usize = 20;

/// No e-mail address is longer (RFC 5321, 4.5.3.1), and no project's name.
const LONGEST: usize = 254;

/// Whose secrets are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// Accounts: e-mail addresses, those of service accounts too.
    pub accounts: Vec<String>,
    /// OAuth clients, shortened.
    pub clients: Vec<String>,
    /// Projects.
    pub projects: Vec<String>,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) whose: Whose,
    /// Names of values in JSON that tell its format, at whatever depth.
    names: Vec<&'static str>,
    /// What `type` and `_module` say.
    words: Vec<&'static str>,
    /// When the access token in it ends, if it says so; the last, if it says so of several.
    pub(super) expires_at: Option<Timestamp>,
}

/// The names that tell a format.
const TELLING: [&str; 17] = [
    "installed",
    "web",
    "gcrCreds",
    "tokens",
    "refresh_token",
    "access_token",
    "token",
    "token_uri",
    "private_key",
    "oauth2ClientSettings",
    "auths",
    "credentials",
    "activeAccounts",
    "user",
    "client_id",
    "client_secret",
    "oauth",
];

/// The values of `type` and `_module` that tell one.
const WORDS: [&str; 3] = ["authorized_user", "service_account", "oauth2client.client"];

impl Facts {
    /// Of a whole document of JSON; `None` if it is none.
    pub(super) fn of_json(bytes: &[u8]) -> Option<Self> {
        let mut facts = Self::default();
        let mut input = serde_json::Deserializer::from_slice(bytes);
        let walked = Walk { facts: &mut facts, under: Under::Nothing }.deserialize(&mut input);
        walked.ok()?;
        Some(facts)
    }

    /// Of any text, by the names of its values.
    pub(super) fn of_text(bytes: &[u8]) -> Self {
        let mut facts = Self::default();
        for name in ["client_id", "CLIENT_ID", "clientId", "client-id"] {
            value_of_any(bytes, name, MOST).for_each(|value| facts.client(value));
        }
        for name in ["email", "account", "user", "username", "login", "account_id"] {
            value_of_any(bytes, name, MOST).for_each(|value| facts.account(value));
        }
        for name in ["project_id", "quota_project_id", "project"] {
            value_of_any(bytes, name, MOST).for_each(|value| facts.project(value));
        }
        facts
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    pub(super) fn says(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// Adds the account that a part of the path names, if the content names none.
    pub(super) fn look_at_path(&mut self, path: &Path) {
        if !self.whose.accounts.is_empty() {
            return;
        }
        let parts = path.iter().rev().take(2).filter_map(|part| part.to_str());
        for part in parts {
            let part = part.strip_suffix(".json").unwrap_or(part);
            self.account(part);
        }
    }

    fn account(&mut self, text: &str) {
        if is_address(text) {
            add(&mut self.whose.accounts, text.to_owned());
        }
    }

    fn client(&mut self, text: &str) {
        if let Some(short) = shortened(text) {
            add(&mut self.whose.clients, short);
        }
    }

    fn project(&mut self, text: &str) {
        // Google: 6 to 30 lower-case letters, digits and hyphens, and a domain before a colon of old.
        let is_project = (4..=60).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.' | b':'));
        if is_project {
            add(&mut self.whose.projects, text.to_owned());
        }
    }

    fn text(&mut self, under: Under, text: &str) {
        match under {
            Under::Client => self.client(text),
            Under::Account => self.account(text),
            Under::Project => self.project(text),
            Under::Word => self.words.extend(WORDS.iter().filter(|word| **word == text)),
            Under::Expiry => self.expires(moment(text)),
            Under::IdToken => self.id_token(text),
            Under::Nothing => {}
        }
    }

    fn expires(&mut self, at: Option<Timestamp>) {
        self.expires_at = self.expires_at.max(at);
    }

    /// The address in an ID token. Nothing is proven by it, and nothing depends on it.
    fn id_token(&mut self, token: &str) {
        #[derive(serde::Deserialize)]
        struct Claims {
            email: Option<String>,
        }
        let decoder = GeneralPurpose::new(
            &URL_SAFE,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let payload = token.split('.').nth(1).and_then(|payload| decoder.decode(payload).ok());
        let claims = payload.and_then(|payload| serde_json::from_slice::<Claims>(&payload).ok());
        if let Some(email) = claims.and_then(|claims| claims.email) {
            self.account(&email);
        }
    }
}

fn add(known: &mut Vec<String>, new: String) {
    if known.len() < MOST && !known.contains(&new) {
        known.push(new);
    }
}

/// Whether a text can only be an e-mail address.
fn is_address(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let is_host =
        host.contains('.') && host.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-'));
    let is_name = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b'+'));
    text.len() <= LONGEST && is_name && is_host
}

/// A client's identifier, so much of it that its owner knows it again: a secret that stands in its place by
/// mistake is not told.
fn shortened(id: &str) -> Option<String> {
    const SHOWN: usize = 17;
    const GOOGLE: &str = ".apps.googleusercontent.com";

    let is_plain = id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b':'));
    if !is_plain || !(4..=LONGEST).contains(&id.len()) {
        return None;
    }
    match id.strip_suffix(GOOGLE) {
        Some(name) => Some(format!("{}…", name.get(..SHOWN).unwrap_or(name))),
        // A fourth, and never more than eight characters.
        None => id.get(..(id.len() / 4).clamp(2, 8)).map(|start| format!("{start}…")),
    }
}

/// A moment as tools write it: RFC 3339, with or without its zone, then in UTC; or seconds or milliseconds.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return of_number(number);
    }
    let in_utc = || format!("{}Z", text.replace(' ', "T")).parse().ok();
    text.parse().ok().or_else(in_utc)
}

fn of_number(number: i64) -> Option<Timestamp> {
    const YEAR_1973: i64 = 100_000_000;
    const YEAR_5138: i64 = 100_000_000_000;
    match number {
        YEAR_1973..YEAR_5138 => Timestamp::from_second(number).ok(),
        YEAR_5138.. => Timestamp::from_millisecond(number).ok(),
        _ => None,
    }
}

/// Below which name a value stands.
#[derive(Clone, Copy)]
enum Under {
    Nothing,
    Client,
    Account,
    Project,
    Word,
    Expiry,
    IdToken,
}

impl Under {
    fn of(name: &str) -> Self {
        match name {
            "client_id" | "clientId" | "_client_id" => Self::Client,
            "email" | "account" | "client_email" | "user" | "username" | "login" => Self::Account,
            "project_id" | "quota_project_id" | "projectId" => Self::Project,
            "type" | "_module" => Self::Word,
            "expiry" | "token_expiry" | "expires_at" | "expiry_date" | "_expiry" => Self::Expiry,
            "id_token" => Self::IdToken,
            _ => Self::Nothing,
        }
    }
}

/// Walks through a document of JSON and keeps nothing of it but the facts.
struct Walk<'a> {
    facts: &'a mut Facts,
    under: Under,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(under) = map.next_key_seed(Name { facts: self.facts })? {
            map.next_value_seed(Walk { facts: self.facts, under })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk { facts: self.facts, under: self.under })?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.facts.text(self.under, text);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.number(number);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.number(i64::try_from(number).unwrap_or_default());
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        // Beyond the range it becomes the end of it, which is no moment.
        self.number(number as i64);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl Walk<'_> {
    fn number(self, number: i64) {
        if matches!(self.under, Under::Expiry) {
            self.facts.expires(of_number(number));
        }
    }
}

/// The name of a value.
struct Name<'a> {
    facts: &'a mut Facts,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Under;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Under, D::Error> {
        input.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Under;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Under, E> {
        let new = TELLING.iter().filter(|telling| **telling == name && !self.facts.names.contains(telling));
        let new: Vec<&'static str> = new.copied().collect();
        self.facts.names.extend(new);
        // Firebase and others have the accounts as names of objects.
        self.facts.account(name);
        Ok(Under::of(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_document_is_stands_in_it_at_any_depth() {
        let facts = Facts::of_json(
            br#"{"type": "authorized_user", "a": [{"client_id": "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"}],
                "user": {"email": "me@example.com"}, "quota_project_id": "my-project-1", "expiry": "2026-01-01T00:00:00Z"}"#,
        )
        .unwrap();

        assert_eq!(facts.whose.accounts, ["me@example.com"]);
        assert_eq!(facts.whose.clients, ["764086051850-6qr4…"]);
        assert_eq!(facts.whose.projects, ["my-project-1"]);
        assert!(facts.says("authorized_user") && facts.has("user"));
        assert_eq!(facts.expires_at, "2026-01-01T00:00:00Z".parse().ok());
    }

    #[test]
    fn moments_are_read_as_tools_write_them() {
        let new_year: Option<Timestamp> = "2026-01-01T00:00:00Z".parse().ok();
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00",
            "1767225600",
            "1767225600000",
        ] {
            assert_eq!(moment(text), new_year, "{text}");
        }
        assert_eq!(moment("3599"), None);
        assert_eq!(moment("soon"), None);
    }

    #[test]
    fn what_stands_where_an_address_should_is_not_told() {
        for odd in ["1//0abcdefghij", "a@b", "@x.example", "x y@z.example", "a\u{1b}@x.example"] {
            assert!(!is_address(odd), "{odd}");
        }
        assert_eq!(shortened("GOCSPX-0123456789abcdef01234567").as_deref(), Some("GOCSPX-…"));
        assert_eq!(shortened("1//0abc"), None);
    }

    #[test]
    fn json_that_is_too_deep_or_broken_is_none() {
        assert!(Facts::of_json("[".repeat(100_000).as_bytes()).is_none());
        assert!(Facts::of_json(b"{\"a\": ").is_none());
    }
}
