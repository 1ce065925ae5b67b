//! `vault token`: an access token that works now.

use clap::ValueEnum;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use super::only::OnlyArgs;
use crate::cli::args::{ProfileArg, duration};
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::{AccessToken, Host, IdToken, Profile, ProfileName};
use crate::ops::{self, Context, Unlocked, id_token, token};
use crate::serve::sasl;

/// Print an access token that works now, or an ID token
///
/// The cached token is answered while it has more than a minute left. Otherwise the provider is asked
/// once, however many programs ask at the same time.
///
/// With --scope it is a token for less than the whole login. With --id-token it is the signed statement of who the
/// account is: its signature has been checked with the keys of the provider, and its claims.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  curl -H \"$(vault token work --format header)\" https://api.example.com/me
  vault token work --format curl | curl -K - https://api.example.com/me
  vault token work --min-ttl 30m
  vault token work --scope drive.readonly
  vault token work --id-token
  vault token robot --id-token --audience https://service.example

Formats:
  bare         the token
  header       `Authorization: Bearer TOKEN`, without a line break
  json         the token and its facts
  curl         a line for `curl -K -`, so that the token is in no argument list
  sasl         the initial response of SASL XOAUTH2 for mail servers, in base64
  oauthbearer  the same of SASL OAUTHBEARER (RFC 7628); takes --host and --port")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    /// How long the token must still work, such as 10m
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    min_ttl: SignedDuration,
    /// Ask the provider for a new token even if the cached one is fresh
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    only: OnlyArgs,
    /// Print an ID token; its formats are bare, json and header
    #[arg(long, conflicts_with = "only")]
    id_token: bool,
    /// For whom the ID token is to be. That of a person is for the client of the login alone
    #[arg(long, value_name = "AUDIENCE", requires = "id_token", value_parser = audience)]
    audience: Option<String>,
    /// What to print: bare, header, json, curl, sasl or oauthbearer
    #[arg(long, value_name = "FORMAT", default_value = "bare", hide_possible_values = true)]
    format: Format,
    /// For oauthbearer: the mail server, if it wants to be named
    #[arg(long, value_name = "HOST", value_parser = mail_server)]
    host: Option<Host>,
    /// For oauthbearer: its port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The token
    Bare,
    /// `Authorization: Bearer TOKEN`, without a line break
    Header,
    /// The token and its facts
    Json,
    /// A line for `curl -K -`, so that the token is in no argument list
    Curl,
    /// The initial response of SASL XOAUTH2, in base64
    Sasl,
    /// The initial response of SASL OAUTHBEARER, in base64
    Oauthbearer,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if args.format != Format::Oauthbearer && (args.host.is_some() || args.port.is_some()) {
        return Err(Failure::usage("--host and --port are for `--format oauthbearer` only"));
    }
    let answer = session.with(|ctx| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve(session, ctx, &vault)?;
        let format = if session.output.json { Format::Json } else { args.format };
        if args.id_token {
            return identity(&args, ctx, &vault, &name, format);
        }
        let (min_ttl, refresh, only) = (args.min_ttl, args.refresh, args.only.scopes());
        let request = token::Request { min_ttl, refresh, only, ..Default::default() };
        let token = token::token(ctx, &vault, &name, request)?;
        Ok(match format {
            Format::Bare => Answer::Line(token.value),
            Format::Header => Answer::Text(header(&token.value)),
            Format::Curl => Answer::Line(curl(&token)),
            Format::Json => Answer::Line(as_json(&token, name.as_str())),
            Format::Sasl | Format::Oauthbearer => {
                Answer::Line(mail(&args, &token, &vault.profile(ctx, &name)?.facts)?)
            }
        })
    })?;
    match answer {
        Answer::Line(text) => session.output.secret_line(&text),
        Answer::Text(text) => session.output.secret(&text),
    }
}

/// What is printed, with a line break or without.
enum Answer {
    Line(SecretString),
    Text(SecretString),
}

/// An ID token, as it is printed.
fn identity(
    args: &Args,
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    format: Format,
) -> Result<Answer, Failure> {
    if !matches!(format, Format::Bare | Format::Header | Format::Json) {
        return Err(Failure::usage("the formats of an ID token are bare, header and json"));
    }
    let (min_ttl, refresh, audience) = (args.min_ttl, args.refresh, args.audience.clone());
    let token = id_token::id_token(ctx, vault, name, &id_token::Request { min_ttl, refresh, audience })?;
    Ok(match format {
        Format::Header => Answer::Text(header(&token.value)),
        Format::Json => Answer::Line(identity_as_json(&token, name.as_str())),
        _ => Answer::Line(token.value),
    })
}

fn identity_as_json(token: &IdToken, profile: &str) -> SecretString {
    let object = json!({
        "version": 1,
        "profile": profile,
        "id_token": token.value.expose_secret(),
        "audience": token.audience,
        "obtained_at": token.obtained_at,
        "expires_at": token.expires_at,
    });
    format!("{object:#}").into()
}

fn header(token: &SecretString) -> SecretString {
    format!("Authorization: Bearer {}", token.expose_secret()).into()
}

/// A token is visible ASCII; what would end the quotes is escaped as curl's configuration asks.
fn curl(token: &AccessToken) -> SecretString {
    let value = Zeroizing::new(token.value.expose_secret().replace('\\', "\\\\").replace('"', "\\\""));
    format!("header = \"Authorization: Bearer {}\"", value.as_str()).into()
}

fn as_json(token: &AccessToken, profile: &str) -> SecretString {
    let object = json!({
        "version": 1,
        "profile": profile,
        "access_token": token.value.expose_secret(),
        "token_type": "Bearer",
        "obtained_at": token.obtained_at,
        "expires_at": token.expires_at,
        "scopes": token.scopes,
    });
    format!("{object:#}").into()
}

/// What a mail program sends to its server, for the account of `profile`.
fn mail(args: &Args, token: &AccessToken, profile: &Profile) -> Result<SecretString, Failure> {
    let user = profile.account.email.as_deref().ok_or_else(|| {
        Failure::new(Code::NotFound, format!("the address of profile `{}` is not known", profile.name))
            .hint(format!("log in with the scope `email`: vault login {} --scope email", profile.name))
    })?;
    let server = sasl::Server { host: args.host.as_ref().map(Host::name), port: args.port };
    let response = match args.format {
        Format::Oauthbearer => sasl::oauthbearer(user, server, &token.value),
        _ => sasl::xoauth2(user, &token.value),
    };
    response.map_err(|odd| Failure::new(Code::Refused, odd.to_string()))
}

/// A host without a port, which is another option.
fn mail_server(text: &str) -> Result<Host, String> {
    let host = text.parse::<Host>().map_err(|error| error.to_string())?;
    if host.to_string() != host.name() || text.ends_with(":443") {
        return Err("the port goes into --port".to_owned());
    }
    Ok(host)
}

/// An audience is a text on one line, mostly a URL or a client id.
fn audience(text: &str) -> Result<String, &'static str> {
    /// More than any URL has, in bytes.
    const LONGEST: usize = 2048;
    let is_plain =
        !text.is_empty() && text.len() <= LONGEST && text.chars().all(|c| !c.is_control() && c != ' ');
    if is_plain { Ok(text.to_owned()) } else { Err("an audience is a text without spaces") }
}
