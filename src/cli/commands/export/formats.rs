//! The files with which somebody leaves, as the programs that read them know them.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::members::Object;
use crate::cli::error::Failure;
use crate::cli::format::{self, Format as Variables};
use crate::domain::{Field, GrantType, Profile, Variable};
use crate::ops::export::{Copy, Format};

/// Google's part of the cloud that is Google's own; the other ones have other domains.
const UNIVERSE: &str = "googleapis.com";

/// Where the scopes of Google begin.
const SCOPES_OF_GOOGLE: &str = "https://www.googleapis.com/auth/";

/// What a file is made of.
pub(super) struct Page<'a> {
    /// What is copied.
    pub copy: &'a Copy,
    /// The kind of remote, for rclone.
    pub remote: Option<&'a str>,
}

impl Page<'_> {
    /// The text of the file.
    pub(super) fn written(&self, format: Format) -> Result<SecretString, Failure> {
        let text = match format {
            Format::Adc if self.is_service_account() => self.service_account().text(),
            Format::Adc => self.authorized_user().known("quota_project_id", self.project()).text(),
            Format::Oauthlib => self.oauthlib().text(),
            Format::Rclone => self.rclone()?,
            Format::Clasp => self.clasp().text(),
            Format::Env => return self.env(),
            Format::Client => self.client().text(),
            Format::ServiceAccount => self.service_account().text(),
            Format::Json => self.everything().text(),
        };
        Ok(SecretString::from(text.as_str()))
    }

    fn profile(&self) -> &Profile {
        &self.copy.profile
    }

    fn is_service_account(&self) -> bool {
        matches!(self.profile().grant_type, GrantType::JwtBearer { .. })
    }

    fn project(&self) -> Option<&str> {
        self.profile().project.as_deref()
    }

    fn account(&self) -> &str {
        self.profile().account.email.as_deref().unwrap_or_default()
    }

    /// <https://google-auth.readthedocs.io/en/latest/reference/google.oauth2.credentials.html>
    fn authorized_user(&self) -> Object<'_> {
        self.login()
            .fact("type", "authorized_user")
            .fact("account", self.account())
            .fact("universe_domain", UNIVERSE)
    }

    fn login(&self) -> Object<'_> {
        Object::default()
            .fact("client_id", self.copy.client.client_id.as_str())
            .secret("client_secret", self.copy.client_secret.as_ref())
            .secret("refresh_token", self.copy.refresh_token.as_ref())
    }

    /// As `google.oauth2.credentials.Credentials.to_json` writes it. Without a token and its end, it is renewed at once.
    fn oauthlib(&self) -> Object<'_> {
        let granted: Vec<&str> = self.profile().scopes.granted.iter().collect();
        self.login()
            .fact("token", Value::Null)
            .fact("token_uri", self.copy.client.endpoints.token.as_str())
            .fact("scopes", granted)
            .fact("account", self.account())
            .fact("universe_domain", UNIVERSE)
    }

    /// The third version of the file of clasp, which has names for several logins.
    fn clasp(&self) -> Object<'_> {
        let login = self.login().fact("type", "authorized_user");
        Object::default().object("tokens", Object::default().object("default", login))
    }

    /// As the page of a provider gives it to download. A registered address makes it one of type *web*.
    fn client(&self) -> Object<'_> {
        let client = &self.copy.client;
        let redirect = client.redirect_uri.as_ref().map(ToString::to_string);
        let kind = if redirect.is_some() { "web" } else { "installed" };
        let inner = Object::default()
            .fact("client_id", client.client_id.as_str())
            .known("project_id", self.project())
            .fact("auth_uri", client.endpoints.authorization.as_str())
            .fact("token_uri", client.endpoints.token.as_str())
            .held("client_secret", self.copy.client_secret.as_ref())
            .fact("redirect_uris", vec![redirect.unwrap_or_else(|| "http://localhost".to_owned())]);
        Object::default().object(kind, inner)
    }

    /// As Google gives it to download, less what nobody needs.
    fn service_account(&self) -> Object<'_> {
        let client = &self.copy.client;
        Object::default()
            .fact("type", "service_account")
            .known("project_id", self.project())
            .known("private_key_id", client.key_id.as_deref())
            .secret("private_key", self.copy.client_secret.as_ref())
            .fact("client_email", client.client_id.as_str())
            .fact("token_uri", client.endpoints.token.as_str())
            .fact("universe_domain", UNIVERSE)
    }

    /// Everything, in the words of the documents.
    fn everything(&self) -> Object<'_> {
        let Copy { profile, client, .. } = self.copy;
        Object::default()
            .fact("version", 1)
            .fact("profile", facts(profile))
            .fact("client", facts(client))
            .object(
                "secrets",
                Object::default()
                    .held("client_secret", self.copy.client_secret.as_ref())
                    .held("refresh_token", self.copy.refresh_token.as_ref())
                    .held("api_key", self.copy.api_key.as_ref()),
            )
    }

    /// The three variables of a script.
    fn env(&self) -> Result<SecretString, Failure> {
        let client_id = SecretString::from(self.copy.client.client_id.as_str());
        let variables = [
            ("CLIENT_ID", Some(&client_id), Field::ClientId),
            ("CLIENT_SECRET", self.copy.client_secret.as_ref(), Field::ClientSecret),
            ("REFRESH_TOKEN", self.copy.refresh_token.as_ref(), Field::RefreshToken),
        ];
        let variables: Vec<Variable> = variables
            .into_iter()
            .filter_map(|(name, value, field)| {
                let name = name.parse().expect("these are names of variables");
                Some(Variable { name, value: value?.clone(), is_secret: field.is_secret() })
            })
            .collect();
        Ok(format::render(Variables::Dotenv, &variables)?.stdout)
    }

    /// A section of `rclone.conf`: <https://rclone.org/drive/#standard-options>. Its token says that it has ended, so
    /// that rclone asks for one at once, and where is what the profile says. Without any text for an access token rclone
    /// takes the refresh token for missing as well.
    fn rclone(&self) -> Result<Zeroizing<String>, Failure> {
        let kind = self.kind_of_remote()?;
        let client = &self.copy.client;
        let token = Object::default()
            .fact("access_token", "none")
            .fact("token_type", "Bearer")
            .secret("refresh_token", self.copy.refresh_token.as_ref())
            .fact("expiry", "2000-01-01T00:00:00Z")
            .line();
        let secret = self.copy.client_secret.as_ref().map_or("", |secret| secret.expose_secret());
        let scope = self.scope_of_rclone(kind);
        let lines = [
            ("type", kind),
            ("client_id", &*client.client_id),
            ("client_secret", secret),
            ("scope", &scope),
            ("auth_url", client.endpoints.authorization.as_str()),
            ("token_url", client.endpoints.token.as_str()),
            ("token", &token),
        ];
        let room = lines.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        let mut text = Zeroizing::new(String::with_capacity(room + self.profile().name.as_str().len() + 8));
        for part in ["[", self.profile().name.as_str(), "]\n"] {
            text.push_str(part);
        }
        for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
            check_value(name, value)?;
            for part in [name, " = ", value, "\n"] {
                text.push_str(part);
            }
        }
        Ok(text)
    }

    fn kind_of_remote(&self) -> Result<&str, Failure> {
        let usual = match self.profile().provider.as_str() {
            "dropbox" => Some("dropbox"),
            "microsoft" => Some("onedrive"),
            "box" => Some("box"),
            _ if !self.scope_of_rclone("drive").is_empty() => Some("drive"),
            _ => None,
        };
        self.remote.or(usual).ok_or_else(|| {
            Failure::usage(format!(
                "it is not known what kind of remote profile `{}` is",
                self.profile().name
            ))
            .hint("name it, such as `--type drive`; `rclone help backends` lists the kinds")
        })
    }

    /// rclone names the scopes of Drive without what all of Google's begin with.
    fn scope_of_rclone(&self, kind: &str) -> String {
        if kind != "drive" {
            return String::new();
        }
        let granted = self.profile().scopes.granted.iter();
        let short = granted.filter_map(|scope| scope.strip_prefix(SCOPES_OF_GOOGLE));
        short.filter(|scope| scope.starts_with("drive")).collect::<Vec<_>>().join(",")
    }
}

/// What a document says, less what is sealed in it.
fn facts(document: &impl Serialize) -> Value {
    serde_json::to_value(document).expect("facts can be written to memory")
}

/// rclone reads quotes, back quotes and `%(name)s` in a value as something else (its reader of the file, goconfig).
fn check_value(name: &str, value: &str) -> Result<(), Failure> {
    let is_plain = !value.starts_with(['"', '`']) && !value.contains("%(") && value.trim() == value;
    match is_plain {
        true => Ok(()),
        false => Err(Failure::usage(format!("rclone could not read the {name} of this profile back"))
            .hint("export it with `--format env`, and give it to `rclone config`")),
    }
}
