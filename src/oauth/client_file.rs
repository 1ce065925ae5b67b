//! The client file that Google's console lets a developer download.

use secrecy::SecretString;
use url::Url;

use super::json::{self, Members, Value};
use super::provider::Provider;
use super::{Error, check_url, printable};

/// Largest file that is read, in bytes; a real one has less than one KiB.
pub const MAX_SIZE: usize = 64 * 1024;

/// Longest client id and secret in bytes.
const MAX_TEXT: usize = 4096;

/// What kind of app the client was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A desktop app: any port on this machine may be the redirect URI.
    Installed,
    /// A web app: the redirect URI must be one of the registered ones, exactly.
    Web,
}

/// A client as it stands in its file. `Debug` does not show the secret.
#[derive(Debug)]
pub struct ClientFile {
    /// What kind of app it was made for.
    pub kind: Kind,
    /// The public identifier.
    pub client_id: String,
    /// The secret, where there is one.
    pub client_secret: Option<SecretString>,
    /// Where the user consents.
    pub auth_uri: Url,
    /// Where tokens are issued.
    pub token_uri: Url,
    /// The registered redirect URIs, as they stand there.
    pub redirect_uris: Vec<String>,
    /// The Google Cloud project that it belongs to.
    pub project_id: Option<String>,
}

/// Reads a client file that somebody may have tampered with.
///
/// # Errors
///
/// [`Error::Nonsense`] if it is not a client file. [`Error::Policy`] if it would send the user or the
/// secret to a host that is not `provider`'s.
pub fn parse(bytes: &[u8], provider: &Provider) -> Result<ClientFile, Error> {
    if bytes.len() > MAX_SIZE {
        return Err(odd("it is longer than 64 KiB"));
    }
    let members = json::strict(bytes).map_err(|e| odd(&e.to_string()))?;
    let (kind, client) = client(&members)?;
    let file = ClientFile {
        kind,
        client_id: required(client, "client_id")?.to_owned(),
        client_secret: text(client, "client_secret")?.map(SecretString::from),
        auth_uri: url(client, "auth_uri")?,
        token_uri: url(client, "token_uri")?,
        redirect_uris: redirect_uris(client),
        project_id: text(client, "project_id")?.map(|id| printable(id, 100)),
    };
    check_host(&file.auth_uri, provider)?;
    check_host(&file.token_uri, provider)?;
    Ok(file)
}

fn odd(what: &str) -> Error {
    Error::nonsense(format!("the client file is odd: {what}"))
}

fn client(members: &Members) -> Result<(Kind, &Members), Error> {
    let object = |key: &str| match members.get(key) {
        Some(Value::Object(client)) => Some(client),
        _ => None,
    };
    match (object("installed"), object("web")) {
        (Some(client), None) => Ok((Kind::Installed, client)),
        (None, Some(client)) => Ok((Kind::Web, client)),
        (Some(_), Some(_)) => Err(odd("it holds two clients")),
        (None, None) if members.text("type") == Some("service_account") => {
            Err(odd("it holds the key of a service account, which has no login"))
        }
        (None, None) if members.get("refresh_token").is_some() => Err(odd("it holds a grant, not a client")),
        (None, None) => Err(odd("it holds neither an `installed` nor a `web` client")),
    }
}

/// A text of visible ASCII: what a client id and a secret are made of.
fn text<'a>(client: &'a Members, key: &str) -> Result<Option<&'a str>, Error> {
    match client.get(key) {
        None => Ok(None),
        Some(Value::Text(text)) if text.is_empty() => Ok(None),
        Some(Value::Text(text)) if text.len() <= MAX_TEXT && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(text))
        }
        Some(_) => Err(odd(&format!("its {key} is not a plain text"))),
    }
}

fn required<'a>(client: &'a Members, key: &str) -> Result<&'a str, Error> {
    text(client, key)?.ok_or_else(|| odd(&format!("it has no {key}")))
}

fn url(client: &Members, key: &str) -> Result<Url, Error> {
    let url = Url::parse(required(client, key)?).map_err(|_| odd(&format!("its {key} is not a URL")))?;
    check_url(&url, false)?;
    Ok(url)
}

fn redirect_uris(client: &Members) -> Vec<String> {
    let Some(Value::List(list)) = client.get("redirect_uris") else { return Vec::new() };
    let is_uri = |text: &&str| text.len() <= MAX_TEXT && text.bytes().all(|b| b.is_ascii_graphic());
    list.iter().filter_map(Value::text).filter(is_uri).map(str::to_owned).collect()
}

/// A file that names another host would carry the secret there.
fn check_host(url: &Url, provider: &Provider) -> Result<(), Error> {
    if provider.endpoints.is_none() {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    if provider.client.file_hosts.iter().any(|known| known == host) && url.port().is_none() {
        return Ok(());
    }
    let host = printable(host, 100);
    Err(Error::policy(format!(
        "the client file names the host {host}, which is not one of {}",
        provider.title
    )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::oauth::provider;

    const INSTALLED: &str = r#"{"installed":{"client_id":"1-abc.apps.googleusercontent.com","project_id":"my-project",
        "auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url":"https://www.googleapis.com/oauth2/v1/certs",
        "client_secret":"GOCSPX-CANARY","redirect_uris":["http://localhost"]}}"#;

    fn read(text: &str) -> Result<ClientFile, Error> {
        parse(text.as_bytes(), provider::get("google"))
    }

    #[test]
    fn a_desktop_client_reads_as_it_was_downloaded() {
        let file = read(INSTALLED).unwrap();

        assert_eq!(file.kind, Kind::Installed);
        assert_eq!(file.client_id, "1-abc.apps.googleusercontent.com");
        assert_eq!(file.client_secret.as_ref().unwrap().expose_secret(), "GOCSPX-CANARY");
        assert_eq!(file.token_uri.as_str(), "https://oauth2.googleapis.com/token");
        assert_eq!(file.redirect_uris, ["http://localhost"]);
        assert_eq!(file.project_id.as_deref(), Some("my-project"));
        assert!(!format!("{file:?}").contains("CANARY"));
    }

    #[test]
    fn a_web_client_brings_its_redirect_uris() {
        let file = read(
            &INSTALLED.replace("installed", "web").replace("http://localhost", "http://localhost:8085/cb"),
        );

        let file = file.unwrap();
        assert_eq!(file.kind, Kind::Web);
        assert_eq!(file.redirect_uris, ["http://localhost:8085/cb"]);
    }

    #[test]
    fn a_file_that_leads_elsewhere_is_refused() {
        for host in ["oauth2.googleapis.com.evil.example", "evil.example", "oauth2.googleapis.com:8443"] {
            let refused = read(&INSTALLED.replace("oauth2.googleapis.com", host));
            assert!(matches!(refused, Err(Error::Policy { .. })), "{host}: {refused:?}");
        }
        for url in [
            "http://oauth2.googleapis.com/token",
            "https://u:p@oauth2.googleapis.com/t",
            "file:///etc/passwd",
        ] {
            let refused = read(&INSTALLED.replace("https://oauth2.googleapis.com/token", url));
            assert!(matches!(refused, Err(Error::Policy { .. })), "{url}: {refused:?}");
        }
    }

    #[test]
    fn what_is_no_client_file_is_refused_in_its_own_words() {
        let cases = [
            ("", "not a JSON object"),
            (r#"{"type":"service_account","private_key":"CANARY"}"#, "service account"),
            (r#"{"type":"authorized_user","refresh_token":"CANARY"}"#, "a grant"),
            (r#"{"installed":{}}"#, "no client_id"),
            (r#"{"installed":{"client_id":7}}"#, "client_id is not"),
            (r#"{"installed":{},"web":{}}"#, "two clients"),
            (r#"{"installed":{"client_id":"a","client_id":"b"}}"#, "twice"),
            (&" ".repeat(MAX_SIZE + 1), "64 KiB"),
        ];
        for (text, words) in cases {
            let error = read(text).unwrap_err();
            assert!(matches!(&error, Error::Nonsense { .. }), "{error:?}");
            assert!(error.to_string().contains(words) && !error.to_string().contains("CANARY"), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_the_reader_panic(cut in 0..INSTALLED.len(), junk in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = INSTALLED.as_bytes()[..cut].to_vec();
            bytes.extend(&junk);
            bytes.extend(&INSTALLED.as_bytes()[cut..]);
            let _ = parse(&bytes, provider::get("google"));
            let _ = parse(&junk, &provider::GENERIC);
        }
    }
}
