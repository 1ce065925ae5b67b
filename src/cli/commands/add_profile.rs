//! `vault add-profile`: links an account and a client under a name, and logs in.

use std::path::PathBuf;

use secrecy::SecretString;

use super::client::{ClientArgs, IssuerArgs};
use super::consent::ConsentArgs;
use super::init::open_or_make;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::cli::{json, secret_input};
use crate::domain::{ClientName, Profile, ProfileName};
use crate::ops;
use crate::ops::add_profile::{ClientChoice, NewProfile};

/// Link an account and a client under a name, and log in
///
/// A client is stored once and serves many profiles. The first time, give the JSON file that
/// your provider's console lets you download; after that `--client NAME`, or nothing if there is
/// only one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault add-profile work --client-file client_secret.json --scope gmail.readonly
  vault add-profile private --client google --account me@example.com
  vault add-profile sso --issuer https://sso.example.com --client-id my-client")]
pub(super) struct Args {
    /// What to call the profile
    #[arg(value_name = "NAME", required_unless_present = "profile")]
    name: Option<ProfileName>,
    /// The same as NAME
    #[arg(short = 'p', long = "profile", value_name = "NAME", conflicts_with = "name")]
    profile: Option<ProfileName>,
    /// Use this stored client
    #[arg(long, value_name = "NAME", conflicts_with_all = ["client_file", "client_id"], add = crate::cli::complete::clients())]
    client: Option<ClientName>,
    /// The address of the account that is meant; another one is refused
    #[arg(long, value_name = "EMAIL")]
    account: Option<String>,
    /// Keep the API key in this file with the profile; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    #[command(flatten)]
    issuer: IssuerArgs,
    #[command(flatten)]
    new_client: ClientArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let name = args.name.or(args.profile).expect("the parser requires one of them");
    session.with(|ctx| {
        // Everything that can be refused is refused before a vault is made or a browser opens.
        if registry_has(ctx, &name)? {
            return Err(ops::Error::ProfileExists { name: name.to_string() }.into());
        }
        let courier = match args.consent.is_wanted() {
            true => Some(args.consent.courier(session)?),
            false => None,
        };
        let client = choice(session, args.client, &args.issuer, &args.new_client)?;
        let api_key = api_key(args.api_key_file.as_ref())?;
        let vault = open_or_make(session, ctx)?;
        let new =
            NewProfile { name, client, account: args.account, scopes: args.consent.scopes.clone(), api_key };
        let request = courier.as_ref().map(|courier| args.consent.request(courier, false));
        let profile = ops::add_profile::add_profile(ctx, &vault, new, request.as_ref())?;
        report(session, &profile)
    })
}

fn registry_has(ctx: ops::Context<'_>, name: &ProfileName) -> Result<bool, Failure> {
    Ok(ops::registry::names(ctx)?.contains(name))
}

fn choice(
    session: &Session,
    stored: Option<ClientName>,
    issuer: &IssuerArgs,
    new: &ClientArgs,
) -> Result<ClientChoice, Failure> {
    match stored {
        Some(name) => Ok(ClientChoice::Stored(name)),
        None if new.describes_a_client() || issuer.is_given() => {
            Ok(ClientChoice::New(Box::new(new.read(session, issuer, None)?)))
        }
        None => Ok(ClientChoice::Only),
    }
}

fn api_key(source: Option<&PathBuf>) -> Result<Option<SecretString>, Failure> {
    source.map(|source| secret_input::read("the API key", source)).transpose()
}

/// Says what was linked.
pub(super) fn report(session: &Session, profile: &Profile) -> Result<(), Failure> {
    if session.output.json {
        return session.output.json("profiles", serde_json::json!([json::profile(profile)]));
    }
    let account = profile.account.label().unwrap_or("an account that the provider does not name");
    match &profile.grant {
        Some(_) => session
            .output
            .say(&format!("Profile `{0}` is logged in as {account}. Try: vault token {0}", profile.name)),
        None => {
            session.output.say(&format!("Made profile `{0}`. Log it in with: vault login {0}", profile.name))
        }
    }
    Ok(())
}
