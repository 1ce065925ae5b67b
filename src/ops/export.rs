//! `vault export`: the long-lived secrets of one profile, for somebody who takes them elsewhere.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::SecretString;
use url::Url;

use super::{Context, Loaded, Unlocked, client_secret, documents, recover};
use crate::domain::provider::Rotates;
use crate::domain::{Binding, Client, ClientName, Field, GrantType, Profile, ProfileName, SealedField};
use crate::seal;
use crate::store::Name;
use crate::system::check_free;

/// For whom a copy is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What the libraries of Google look for by themselves: `application_default_credentials.json`.
    Adc,
    /// The `token.json` of google-auth-oauthlib.
    Oauthlib,
    /// A remote of rclone.
    Rclone,
    /// The `.clasprc.json` of clasp.
    Clasp,
    /// `CLIENT_ID`, `CLIENT_SECRET` and `REFRESH_TOKEN` for a script.
    Env,
    /// The client alone, as a provider's page gives it to download: `client_secret.json`.
    Client,
    /// The key of a service account.
    ServiceAccount,
    /// Everything that the vault knows of the profile.
    Json,
}

impl Format {
    /// Every format, in the order in which help lists them.
    pub const ALL: [Self; 8] = [
        Self::Adc,
        Self::Oauthlib,
        Self::Rclone,
        Self::Clasp,
        Self::Env,
        Self::Client,
        Self::ServiceAccount,
        Self::Json,
    ];

    /// The name as it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adc => "adc",
            Self::Oauthlib => "oauthlib",
            Self::Rclone => "rclone",
            Self::Clasp => "clasp",
            Self::Env => "env",
            Self::Client => "client",
            Self::ServiceAccount => "service-account",
            Self::Json => "json",
        }
    }

    /// Whether whoever reads it sends what is in it to Google, whatever else stands there: google-auth sets the
    /// token endpoint itself (`google.oauth2.credentials.Credentials.from_authorized_user_info`), and so does clasp.
    fn is_read_for_google_only(self) -> bool {
        matches!(self, Self::Adc | Self::Oauthlib | Self::Clasp)
    }

    /// Which secrets of a profile of this kind are in it.
    fn needs(self, kind: &GrantType) -> Option<Needs> {
        use GrantType as Kind;
        const CLIENT: Needs = Needs { refresh_token: Need::No, client_secret: true, api_key: false };
        let with_token = |refresh_token| Some(Needs { refresh_token, ..CLIENT });
        match (self, kind) {
            (Self::Json, Kind::Impersonation { .. }) => Some(Needs { api_key: true, ..Needs::default() }),
            (Self::Json, _) => Some(Needs { refresh_token: Need::IfThere, client_secret: true, api_key: true }),
            (Self::Adc | Self::Oauthlib | Self::Rclone | Self::Clasp | Self::Env, Kind::AuthorizationCode) => {
                with_token(Need::Yes)
            }
            (Self::Client, Kind::AuthorizationCode | Kind::ClientCredentials)
            | (Self::Env, Kind::ClientCredentials)
            // The libraries of Google take the key of a service account where they take a login.
            | (Self::ServiceAccount | Self::Adc, Kind::JwtBearer { .. }) => Some(CLIENT),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| "it is none of the formats".to_owned())
    }
}

#[derive(Clone, Copy, Default)]
struct Needs {
    refresh_token: Need,
    client_secret: bool,
    api_key: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Need {
    #[default]
    No,
    IfThere,
    Yes,
}

/// Why a copy is not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What the format is made of does not exist for a profile of this kind.
    #[error("the format `{format}` cannot carry profile `{profile}`: {why}")]
    OtherKind {
        /// The profile.
        profile: ProfileName,
        /// The format.
        format: Format,
        /// What stands behind its tokens instead.
        why: &'static str,
        /// The formats that can.
        others: Vec<Format>,
    },
    /// Whoever reads such a file would send the refresh token to Google, which has not issued it.
    #[error(
        "programs that read the format `{format}` send what is in it to Google, and profile `{profile}` is at {}",
        host(token_endpoint)
    )]
    NotOfGoogle {
        /// The profile.
        profile: ProfileName,
        /// The format.
        format: Format,
        /// The only place where its secrets may go.
        token_endpoint: Url,
    },
    /// What stands in the place of the file may not be replaced.
    #[error("{} is {what}, and is not replaced", path.display())]
    Place {
        /// The place.
        path: PathBuf,
        /// What stands there.
        what: &'static str,
    },
}

fn host(endpoint: &Url) -> &str {
    endpoint.host_str().unwrap_or("another place")
}

/// What goes into a copy. The secrets are those that the format needs, and no others were opened.
#[derive(Debug)]
pub struct Copy {
    /// The profile.
    pub profile: Profile,
    /// The name of its client.
    pub client_name: ClientName,
    /// Its client.
    pub client: Client,
    /// The refresh token of its grant.
    pub refresh_token: Option<SecretString>,
    /// The secret of its client: of a service account, the private key.
    pub client_secret: Option<SecretString>,
    /// Its API key.
    pub api_key: Option<SecretString>,
    /// Whether its provider is known to replace a refresh token that is used.
    pub provider_replaces: bool,
}

/// Opens what `format` needs of the profile `name`.
///
/// # Errors
///
/// [`Error`] if the format cannot carry it, else as for a secret that is revealed.
pub fn export(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    format: Format,
) -> Result<Copy, super::Error> {
    ctx.audit.profile(name);
    // An interrupted refresh may have left a newer one.
    recover::settle(ctx, vault, name)?;
    let profile = vault.settled_profile(ctx, name)?;
    let (client_name, client) = vault.client(ctx, &profile.facts.client)?;
    let needs = check(&profile.facts, &client.facts, format)?;
    let refresh_token = refresh_token(vault, &profile, &client.facts.binding(), needs.refresh_token)?;
    let client_secret = match needs.client_secret {
        true => client_secret::client_secret(vault, &client, &Name::Client(client_name.clone()))?,
        false => None,
    };
    let api_key = match needs.api_key && profile.document.holds(SealedField::ApiKey) {
        true => {
            let binding = Binding::issuer_only(&client.facts.issuer);
            Some(open(vault, &profile, SealedField::ApiKey, &binding)?)
        }
        false => None,
    };
    let rotates = vault.provider(&profile.facts.provider).refresh.rotates;
    let copy = Copy {
        provider_replaces: matches!(rotates, Some(Rotates::Always | Rotates::Sometimes)),
        profile: profile.facts,
        client_name,
        client: client.facts,
        refresh_token,
        client_secret,
        api_key,
    };
    ctx.audit.fields(copy.fields());
    Ok(copy)
}

impl Copy {
    /// The secrets that are in it.
    pub fn fields(&self) -> Vec<Field> {
        let held = [
            (&self.client_secret, Field::ClientSecret),
            (&self.refresh_token, Field::RefreshToken),
            (&self.api_key, Field::ApiKey),
        ];
        held.into_iter().filter_map(|(secret, field)| secret.as_ref().map(|_| field)).collect()
    }

    /// Whether the provider replaces the refresh token when it is used: then whoever uses it first ends the copy of the
    /// other. Its file says so, or it was seen to.
    pub fn is_replaced_with_use(&self) -> bool {
        let was_seen = self.profile.grant.as_ref().is_some_and(|grant| grant.refreshed_at.is_some());
        self.refresh_token.is_some() && (self.provider_replaces || was_seen)
    }
}

/// What is opened, if the format can carry it.
fn check(profile: &Profile, client: &Client, format: Format) -> Result<Needs, Error> {
    let kind = &profile.grant_type;
    let Some(needs) = format.needs(kind) else {
        let others = Format::ALL.into_iter().filter(|other| other.needs(kind).is_some()).collect();
        return Err(Error::OtherKind { profile: profile.name.clone(), format, why: why_not(kind), others });
    };
    // A server on this machine is what somebody tests with.
    if format.is_read_for_google_only() && !client.insecure_loopback && !is_of_google(client) {
        return Err(Error::NotOfGoogle {
            profile: profile.name.clone(),
            format,
            token_endpoint: client.endpoints.token.clone(),
        });
    }
    Ok(needs)
}

fn why_not(kind: &GrantType) -> &'static str {
    match kind {
        GrantType::AuthorizationCode => "it is the login of a person, and no service account",
        GrantType::ClientCredentials => "its client asks in its own name, so that there is no refresh token",
        GrantType::JwtBearer { .. } => "it is a service account, which has a key and no refresh token",
        GrantType::Impersonation { .. } => {
            "it has no secret of its own, and asks with the token of another profile: export that one"
        }
    }
}

fn is_of_google(client: &Client) -> bool {
    let host = client.endpoints.token.host_str().unwrap_or_default();
    host == "accounts.google.com" || host.ends_with(".googleapis.com")
}

fn refresh_token(
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    binding: &Binding,
    need: Need,
) -> Result<Option<SecretString>, super::Error> {
    let is_there = profile.document.holds(SealedField::RefreshToken);
    match need {
        Need::No => Ok(None),
        Need::IfThere if !is_there => Ok(None),
        Need::Yes if !is_there => {
            let profile = profile.facts.name.clone();
            Err(super::Error::NoField { profile, field: Field::RefreshToken })
        }
        Need::Yes | Need::IfThere => open(vault, profile, SealedField::RefreshToken, binding).map(Some),
    }
}

fn open(
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    field: SealedField,
    binding: &Binding,
) -> Result<SecretString, super::Error> {
    let opened: Result<_, seal::Error> = profile.document.open(&vault.keys, field, binding);
    let (secret, _) = opened.map_err(documents::refused(&Name::Profile(profile.facts.name.clone())))?;
    Ok(secret)
}

/// Refuses a place for the file before anything is opened: one where something stands, or, if that may be
/// replaced, one where no plain file stands.
///
/// # Errors
///
/// [`Error::Place`], or as the file system says.
pub fn check_place(path: &Path, may_replace: bool) -> Result<(), super::Error> {
    if !may_replace {
        return Ok(check_free(path)?);
    }
    let what = match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => "a link",
        Ok(found) if !found.is_file() => "no plain file",
        // What stands in the way of writing is said when it is written.
        _ => return Ok(()),
    };
    Err(Error::Place { path: path.to_owned(), what }.into())
}
