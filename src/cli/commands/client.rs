//! `vault client`: lists, shows, adds, renames and removes OAuth clients.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::init::open_or_make;
use super::service_account;
use super::show::sealed;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::provider_secrets::command;
use crate::cli::session::Session;
use crate::cli::table::{Cell, Tone, details, table};
use crate::cli::{json, secret_input};
use crate::domain::{Client, ClientAuth, ClientName, Endpoints, RedirectUri, SealedField};
use crate::oauth::client_file::{self, Kind};
use crate::oauth::provider;
use crate::ops::clients::{self, Facts, Issuer, Listed, NewClient};
use crate::ops::secrets::ProviderSecret;
use crate::ops::{Context, providers};

/// List, show, add, rename and remove OAuth clients
///
/// A client is how you present yourself to a provider: a client id, mostly with a secret. It is
/// stored once and serves many profiles.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the clients and the profiles that use them
    List,
    /// Show one client
    Show {
        /// The client
        #[arg(add = crate::cli::complete::clients())]
        name: ClientName,
    },
    /// Store a client
    Add(Box<AddArgs>),
    /// Give a client another name; its profiles follow
    Rename {
        /// The present name
        #[arg(add = crate::cli::complete::clients())]
        from: ClientName,
        /// The new name
        to: ClientName,
    },
    /// Remove a client that no profile uses
    Remove {
        /// The client
        #[arg(add = crate::cli::complete::clients())]
        name: ClientName,
    },
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// What to call it [default: its provider]
    #[arg(long, value_name = "NAME")]
    name: Option<ClientName>,
    #[command(flatten)]
    issuer: IssuerArgs,
    #[command(flatten)]
    client: ClientArgs,
}

/// Who issues the tokens.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Provider")]
pub(super) struct IssuerArgs {
    /// A provider that vault knows by name [default: google]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["issuer", "token_url"], add = crate::cli::complete::providers())]
    provider: Option<String>,
    /// What belongs into the provider's addresses, such as tenant=contoso.onmicrosoft.com or
    /// host=git.example.org
    #[arg(long, value_name = "WORD=VALUE", requires = "provider", conflicts_with_all = ["issuer", "token_url"], value_parser = setting)]
    provider_set: Vec<(String, String)>,
    /// The issuer URL of any OpenID Connect or OAuth provider with discovery
    #[arg(long, value_name = "URL", conflicts_with = "token_url")]
    issuer: Option<String>,
    /// Where users consent, for a provider without discovery
    #[arg(long, value_name = "URL", requires = "token_url")]
    auth_url: Option<Url>,
    /// Where tokens are issued
    #[arg(long, value_name = "URL", requires = "auth_url")]
    token_url: Option<Url>,
    /// Where tokens are revoked
    #[arg(long, value_name = "URL", requires = "token_url")]
    revoke_url: Option<Url>,
    /// Log in without PKCE if the issuer says that it has none; recorded in the client
    #[arg(long, requires = "issuer")]
    allow_no_pkce: bool,
    /// Accept `http:` for loopback addresses; recorded in the client
    #[arg(long)]
    pub insecure_loopback: bool,
}

/// A new client.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "New client")]
pub(super) struct ClientArgs {
    /// The JSON file that the provider's console lets you download
    #[arg(long, value_name = "JSON", conflicts_with_all = ["client_id", "client_secret_file"])]
    client_file: Option<PathBuf>,
    /// The JSON file with the key of a service account; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client_file", "client_id", "client_auth", "redirect_uri"])]
    pub service_account_key: Option<PathBuf>,
    /// The client id
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The file that holds the client secret; `-` reads standard input [default: a prompt]
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_secret_file: Option<PathBuf>,
    /// How the client proves itself: basic, post, or none for a public client
    #[arg(long, value_name = "HOW")]
    client_auth: Option<ClientAuth>,
    /// The exact redirect URI that is registered, for a client of type web
    #[arg(long, value_name = "URL")]
    redirect_uri: Option<RedirectUri>,
}

impl IssuerArgs {
    /// Whether a provider was named at all.
    pub(super) fn is_given(&self) -> bool {
        self.provider.is_some() || self.issuer.is_some() || self.token_url.is_some()
    }

    pub(super) fn read(&self, ctx: Context<'_>) -> Result<Issuer, Failure> {
        if let Some(issuer) = &self.issuer {
            return Ok(match provider::of_issuer(issuer) {
                Some(provider) => Issuer::Known { id: provider.id.clone(), given: Vec::new() },
                None => Issuer::Discovered(issuer.clone()),
            });
        }
        if let (Some(authorization), Some(token)) = (&self.auth_url, &self.token_url) {
            return Ok(Issuer::Endpoints(Box::new(Endpoints {
                revocation: self.revoke_url.clone(),
                ..Endpoints::of(authorization.clone(), token.clone())
            })));
        }
        let name = self.provider.as_deref().unwrap_or("google");
        // Looked up here for the word that was typed; what is used later is verified.
        providers::show(ctx, name).map_err(|error| Failure { status: Code::Usage as u8, ..error.into() })?;
        Ok(Issuer::Known { id: name.to_owned(), given: self.provider_set.clone() })
    }
}

impl ClientArgs {
    /// Whether a client is described at all.
    pub(super) fn describes_a_client(&self) -> bool {
        self.client_file.is_some() || self.client_id.is_some() || self.service_account_key.is_some()
    }

    /// The client that is described, with its secret.
    pub(super) fn read(
        &self,
        session: &Session,
        ctx: Context<'_>,
        issuer: &IssuerArgs,
        name: Option<ClientName>,
    ) -> Result<NewClient, Failure> {
        if let Some(path) = &self.service_account_key {
            let new = service_account::read(path, issuer.read(ctx)?, issuer.is_given(), name)?;
            return Ok(NewClient { insecure_loopback: issuer.insecure_loopback, ..new });
        }
        let new = match (&self.client_file, &self.client_id) {
            (Some(path), _) => self.read_file(ctx, path, issuer, name)?,
            (None, Some(id)) => self.read_id(session, ctx, id, issuer, name)?,
            (None, None) => {
                return Err(Failure::usage("the client is missing")
                    .hint("add `--client-file JSON` with the file that your provider's console lets you download")
                    .hint("or `--client-id ID`; vault then asks for the secret"));
            }
        };
        Ok(NewClient {
            insecure_loopback: issuer.insecure_loopback,
            allow_no_pkce: issuer.allow_no_pkce,
            ..new
        })
    }

    fn read_file(
        &self,
        ctx: Context<'_>,
        path: &Path,
        issuer: &IssuerArgs,
        name: Option<ClientName>,
    ) -> Result<NewClient, Failure> {
        let bytes = secret_input::read_bytes("the client file", path, client_file::MAX_SIZE as u64)?;
        let issuer = issuer.read(ctx)?;
        let preset = match &issuer {
            Issuer::Known { id, .. } => providers::show(ctx, id)?.provider,
            _ => Cow::Borrowed(&*provider::GENERIC),
        };
        let file = client_file::parse(&bytes, &preset).map_err(|error| {
            Failure::usage(error.to_string()).hint("download it once more from your provider's console")
        })?;
        let redirect_uri = match (&self.redirect_uri, file.kind) {
            (Some(uri), _) => Some(uri.clone()),
            (None, Kind::Web) => Some(registered_loopback(&file.redirect_uris)?),
            (None, Kind::Installed) => None,
        };
        Ok(NewClient { auth: self.client_auth, redirect_uri, ..NewClient::from_file(file, issuer, name) })
    }

    fn read_id(
        &self,
        session: &Session,
        ctx: Context<'_>,
        id: &str,
        issuer: &IssuerArgs,
        name: Option<ClientName>,
    ) -> Result<NewClient, Failure> {
        let issuer = issuer.read(ctx)?;
        let secret = match self.client_auth {
            Some(ClientAuth::None) => None,
            _ => Some(secret_input::read_or_ask(
                session,
                "the client secret",
                self.client_secret_file.as_ref(),
            )?),
        };
        Ok(NewClient {
            name,
            issuer,
            client_id: id.to_owned(),
            secret,
            auth: self.client_auth,
            redirect_uri: self.redirect_uri.clone(),
            insecure_loopback: false,
            key: None,
            kind: None,
            allow_no_pkce: false,
        })
    }
}

/// `WORD=VALUE`, split at the first `=`.
fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (word, value) = text.split_once('=').ok_or("write it as WORD=VALUE")?;
    Ok((word.to_owned(), value.to_owned()))
}

/// A client of type web has to come back to a URI that is registered for it.
fn registered_loopback(uris: &[String]) -> Result<RedirectUri, Failure> {
    let is_loopback = |url: &RedirectUri| {
        url.scheme() == "http" && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
    };
    let found = uris.iter().filter_map(|uri| uri.parse().ok()).find(is_loopback);
    found.ok_or_else(|| {
        Failure::usage("this client of type web has no redirect URI on this machine")
            .hint("register one, such as http://127.0.0.1:8085/, at the provider and name it with `--redirect-uri`")
            .hint("or make a client of type Desktop app instead")
    })
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    match args.command {
        Action::List => session.with(|ctx| list(session, &clients::list(ctx)?)),
        Action::Show { name } => {
            session.with(|ctx| show(session, &clients::show(ctx, &name)?, ctx.clock.now()))
        }
        Action::Add(args) => session.with(|ctx| {
            let new = args.client.read(session, ctx, &args.issuer, args.name.clone())?;
            let vault = open_or_make(session, ctx)?;
            added(session, &clients::add(ctx, &vault, new)?)?;
            service_account::say_what_to_delete(session, args.client.service_account_key.as_deref());
            Ok(())
        }),
        Action::Rename { from, to } => session.unlocked(|ctx, vault| {
            clients::rename(ctx, vault, &from, &to)?;
            session.output.say(&format!("Client `{from}` is now `{to}`"));
            Ok(())
        }),
        Action::Remove { name } => session.unlocked(|ctx, vault| {
            clients::remove(ctx, vault, &name)?;
            session.output.say(&format!("Removed client `{name}`"));
            Ok(())
        }),
    }
}

fn added(session: &Session, client: &Client) -> Result<(), Failure> {
    if session.output.json {
        return session.output.json("clients", json!([json::client(client)]));
    }
    let scope = if client.client_auth == ClientAuth::Assertion { " --scope SCOPE" } else { "" };
    session.output.say(&format!(
        "Client `{0}` is stored. Use it with: vault add-profile NAME --client {0}{scope}",
        client.name
    ));
    Ok(())
}

fn list(session: &Session, clients: &[Listed]) -> Result<(), Failure> {
    if session.output.json {
        let clients: Vec<Value> = clients.iter().map(json::listed_client).collect();
        return session.output.json("clients", json!(clients));
    }
    if clients.is_empty() {
        session.output.say("There are no clients yet. Make one with: vault client add");
        return Ok(());
    }
    let rows = clients.iter().map(row).collect();
    let header = ["NAME", "PROVIDER", "CLIENT ID", "PROFILES"];
    session.output.answer(&table(&header, rows, session.output.look()))
}

fn row(listed: &Listed) -> Vec<Cell> {
    let profiles = if listed.profiles.is_empty() { Cell::none() } else { listed.profiles.join(", ").into() };
    match &listed.client {
        Ok(Facts { client, .. }) => {
            vec![listed.name.as_str().into(), (&client.provider).into(), (&client.client_id).into(), profiles]
        }
        Err(error) => {
            vec![listed.name.as_str().into(), Cell::new(error.to_string(), Tone::Bad), Cell::none(), profiles]
        }
    }
}

fn show(session: &Session, listed: &Listed, now: Timestamp) -> Result<(), Failure> {
    if session.output.json {
        return session.output.json("clients", json!([json::listed_client(listed)]));
    }
    let facts = match &listed.client {
        Ok(facts) => facts,
        Err(error) => return Err(Failure::new(Code::Integrity, error.to_string())),
    };
    let client = &facts.client;
    let mut lines = vec![
        ("Name", listed.name.as_str().into()),
        ("Provider", (&client.provider).into()),
        ("Issuer", (&client.issuer).into()),
        ("Client ID", (&client.client_id).into()),
    ];
    lines.extend(client.key_id.as_ref().map(|id| ("Key ID", id.into())));
    lines.extend(secret_lines(facts, now));
    lines.extend([
        ("Authentication", client.client_auth.as_str().into()),
        ("Consent at", client.endpoints.authorization.as_str().into()),
        ("Tokens from", client.endpoints.token.as_str().into()),
        ("Revoked at", Cell::optional(client.endpoints.revocation.as_ref().map(Url::as_str))),
        ("Redirect URI", Cell::optional(client.redirect_uri.as_ref().map(RedirectUri::text))),
        ("Profiles", Cell::optional((!listed.profiles.is_empty()).then(|| listed.profiles.join(", ")))),
    ]);
    if client.insecure_loopback {
        lines.push(("Insecure", Cell::new("http: on loopback addresses is accepted", Tone::Warning)));
    }
    session.output.answer(&details(lines, session.output.look()))
}

fn secret_lines(facts: &Facts, now: Timestamp) -> Vec<(&'static str, Cell)> {
    let holds = |field| facts.secrets.contains(&field);
    let secret = match holds(SealedField::ClientSecret) {
        true => sealed(facts.client.secret_set_at, now),
        false => Cell::none(),
    };
    let mut lines = vec![("Secret", secret)];
    if holds(SealedField::ClientSecretNext) {
        let prove = command(&ProviderSecret::NewClientSecret(facts.client.name.clone()));
        let waits = format!("waits for its proof; run `{prove}`");
        lines.push(("New secret", Cell::new(waits, Tone::Warning)));
    }
    if holds(SealedField::ClientSecretPrevious) {
        let drop_old = command(&ProviderSecret::OldClientSecret(facts.client.name.clone()));
        let kept = format!("kept; run `{drop_old}` when it is disabled");
        lines.push(("Old secret", Cell::new(kept, Tone::Warning)));
    }
    lines
}
