//! `vault token`: an access token that works now.

use clap::ValueEnum;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::args::{ProfileArg, duration};
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::domain::{AccessToken, Profile};
use crate::ops::{self, token};

/// Print an access token that works now
///
/// The cached token is answered while it has more than a minute left. Otherwise the provider is asked
/// once, however many programs ask at the same time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  curl -H \"$(vault token work --format header)\" https://api.example.com/me
  vault token work --format curl | curl -K - https://api.example.com/me
  vault token work --min-ttl 30m

Formats:
  bare     the token
  header   `Authorization: Bearer TOKEN`, without a line break
  json     the token and its facts
  curl     a line for `curl -K -`, so that the token is in no argument list
  sasl     the initial response of SASL XOAUTH2 for mail servers, in base64")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    /// How long the token must still work, such as 10m
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    min_ttl: SignedDuration,
    /// Ask the provider for a new token even if the cached one is fresh
    #[arg(long)]
    refresh: bool,
    /// What to print: bare, header, json, curl or sasl
    #[arg(long, value_name = "FORMAT", default_value = "bare", hide_possible_values = true)]
    format: Format,
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
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let answer = session.with(|ctx| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve(session, ctx, &vault)?;
        let request = token::Request { min_ttl: args.min_ttl, refresh: args.refresh, scopes: None };
        let token = token::token(ctx, &vault, &name, request)?;
        let format = if session.output.json { Format::Json } else { args.format };
        Ok(match format {
            Format::Bare => Answer::Line(token.value),
            Format::Header => Answer::Text(header(&token)),
            Format::Curl => Answer::Line(curl(&token)),
            Format::Json => Answer::Line(as_json(&token, name.as_str())),
            Format::Sasl => Answer::Line(sasl(&token, &vault.profile(ctx, &name)?.facts)?),
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

fn header(token: &AccessToken) -> SecretString {
    format!("Authorization: Bearer {}", token.value.expose_secret()).into()
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

/// The initial client response of XOAUTH2, as Google and Microsoft document it for IMAP and SMTP.
fn sasl(token: &AccessToken, profile: &Profile) -> Result<SecretString, Failure> {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let user = profile.account.email.as_deref().ok_or_else(|| {
        Failure::new(
            crate::cli::exit::Code::NotFound,
            format!("the address of profile `{}` is not known", profile.name),
        )
        .hint(format!("log in with the scope `email`: vault login {} --scope email", profile.name))
    })?;
    let response =
        Zeroizing::new(format!("user={user}\u{1}auth=Bearer {}\u{1}\u{1}", token.value.expose_secret()));
    Ok(BASE64_STANDARD.encode(response.as_bytes()).into())
}
