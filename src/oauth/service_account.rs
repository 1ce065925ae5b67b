//! The key file of a service account, as Google's console and `gcloud iam service-accounts keys create` write it.

use secrecy::SecretString;
use url::Url;

use super::assertion::{InvalidKey, SigningKey};
use super::json::{self, Members, Value};
use super::{Error, printable};

/// Largest file that is read, in bytes; a real one has less than three KiB.
pub const MAX_SIZE: usize = 64 * 1024;

/// Longest text in it but for the key, in bytes.
const MAX_TEXT: usize = 1024;

/// A key as it stands in its file. `Debug` does not show the private key.
#[derive(Debug)]
pub struct KeyFile {
    /// The address of the service account, which is its client id at the token endpoint.
    pub client_email: String,
    /// The private key: PKCS#8 in PEM, and proven to be one that signs.
    pub private_key: SecretString,
    /// Which of the keys of the service account it is.
    pub private_key_id: String,
    /// Where the file says that tokens are issued. Nothing is sent there because of that alone.
    pub token_uri: Url,
    /// The Google Cloud project that the service account belongs to.
    pub project_id: Option<String>,
    /// The cloud that it belongs to, where that is another than `googleapis.com`.
    pub universe_domain: Option<String>,
}

/// Reads a key file that somebody may have tampered with.
///
/// # Errors
///
/// [`Error::Nonsense`] if it is not a key file, or its key is none that signs.
pub fn parse(bytes: &[u8]) -> Result<KeyFile, Error> {
    if bytes.len() > MAX_SIZE {
        return Err(odd("it is longer than 64 KiB"));
    }
    of_members(&json::strict(bytes).map_err(|error| odd(&error.to_string()))?)
}

/// The same of an object that stands in another file.
pub(crate) fn of_members(members: &Members) -> Result<KeyFile, Error> {
    check_type(members)?;
    Ok(KeyFile {
        client_email: address(members)?,
        private_key: private_key(members)?,
        private_key_id: required(members, "private_key_id")?.to_owned(),
        token_uri: Url::parse(required(members, "token_uri")?)
            .map_err(|_| odd("its token_uri is not a URL"))?,
        project_id: text(members, "project_id")?.map(str::to_owned),
        universe_domain: text(members, "universe_domain")?
            .filter(|domain| *domain != "googleapis.com")
            .map(str::to_owned),
    })
}

/// Where Google's tokens were issued before, as key files from that time still say.
const FORMER: [&str; 3] = [
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v3/token",
    "https://www.googleapis.com/oauth2/v4/token",
];

/// Whether a key file that names `token_uri` is one whose tokens are issued at `known`.
pub fn is_issued_at(token_uri: &Url, known: &Url) -> bool {
    let is_google = known.as_str() == "https://oauth2.googleapis.com/token";
    token_uri == known || (is_google && FORMER.contains(&token_uri.as_str()))
}

/// Whether `text` can be the address of a service account: a name, `@` and a host, in the letters of both.
pub fn is_address(text: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
    };
    text.len() <= MAX_TEXT
        && text
            .split_once('@')
            .is_some_and(|(name, host)| is_plain(name) && is_plain(host) && !host.starts_with('.'))
}

fn odd(what: &str) -> Error {
    Error::nonsense(format!("the key file is odd: {what}"))
}

fn check_type(members: &Members) -> Result<(), Error> {
    let of_client = |key| matches!(members.get(key), Some(Value::Object(_)));
    match members.text("type") {
        Some("service_account") => Ok(()),
        Some("authorized_user") => {
            Err(odd("it holds the grant of a person, not the key of a service account"))
        }
        Some(other) => Err(odd(&format!("its type is {}, not service_account", printable(other, 40)))),
        None if of_client("installed") || of_client("web") => {
            Err(odd("it holds an OAuth client, not the key of a service account"))
        }
        None => Err(odd("it has no type")),
    }
}

fn address(members: &Members) -> Result<String, Error> {
    let address = required(members, "client_email")?;
    if is_address(address) { Ok(address.to_owned()) } else { Err(odd("its client_email is not an address")) }
}

/// The key, once it has been seen to be one. Its text is kept as it stands.
fn private_key(members: &Members) -> Result<SecretString, Error> {
    let key = match members.get("private_key") {
        Some(Value::Text(text)) => SecretString::from(text.as_str()),
        Some(_) => return Err(odd("its private_key is not a text")),
        None => return Err(odd("it has no private_key")),
    };
    SigningKey::from_pem(&key).map_err(|error: InvalidKey| odd(&error.to_string()))?;
    Ok(key)
}

/// A text of visible ASCII.
fn text<'a>(members: &'a Members, key: &str) -> Result<Option<&'a str>, Error> {
    match members.get(key) {
        None => Ok(None),
        Some(Value::Text(text)) if text.is_empty() => Ok(None),
        Some(Value::Text(text)) if text.len() <= MAX_TEXT && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(text))
        }
        Some(_) => Err(odd(&format!("its {key} is not a plain text"))),
    }
}

fn required<'a>(members: &'a Members, key: &str) -> Result<&'a str, Error> {
    text(members, key)?.ok_or_else(|| odd(&format!("it has no {key}")))
}

#[cfg(test)]
mod tests;
