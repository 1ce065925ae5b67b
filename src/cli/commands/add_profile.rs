//! `vault add-profile`: links an account and a client under a name, and logs in.

use std::path::PathBuf;

use secrecy::SecretString;

use super::client::{ClientArgs, IssuerArgs};
use super::consent::ConsentArgs;
use super::init::open_or_make;
use super::program::{Asked, ProgramArgs};
use super::service_account;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::cli::{json, secret_input};
use crate::domain::{ClientName, Profile, ProfileName};
use crate::ops;
use crate::ops::add_profile::{ClientChoice, NewProfile};
use crate::ops::add_program::{NewProgram, Right};

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
  vault add-profile forge --provider gitea --provider-set host=git.example.org --client-id my-client
  vault add-profile sso --issuer https://sso.example.com --client-id my-client
  vault add-profile work --client google --browser 'firefox -P work'
  vault add-profile tv --client tv --flow device     type a code on any device
  vault add-profile ci --client-credentials --client sso --scope jobs.read
  vault add-profile robot --service-account-key key.json --scope cloud-platform
  vault add-profile deploy --impersonate deploy@my-project.iam.gserviceaccount.com --via work

The last three need no person: a token is asked for at once, and nothing is stored
if the provider gives none.")]
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
    program: ProgramArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let name = args.name.clone().or_else(|| args.profile.clone()).expect("the parser requires one of them");
    session.with(|ctx| {
        // Everything that can be refused is refused before a vault is made or a browser opens.
        if registry_has(ctx, &name)? {
            return Err(ops::Error::ProfileExists { name: name.to_string() }.into());
        }
        let client = match args.program.is_impersonation() {
            true => ClientChoice::Only,
            false => choice(session, ctx, args.client.clone(), &args.issuer, &args.new_client)?,
        };
        match args.program.right(ctx, client)? {
            Asked::Program(right) => add_program(session, ctx, &args, name, right),
            Asked::Login(client) => add_login(session, ctx, &args, name, client),
        }
    })
}

fn add_login(
    session: &Session,
    ctx: ops::Context<'_>,
    args: &Args,
    name: ProfileName,
    client: ClientChoice,
) -> Result<(), Failure> {
    let courier = match args.consent.is_wanted() {
        true => Some(args.consent.courier(session)?),
        false => None,
    };
    let api_key = api_key(args.api_key_file.as_ref())?;
    let vault = open_or_make(session, ctx)?;
    let scopes = args.consent.scopes.clone();
    let browser = args.consent.browser.clone();
    let new = NewProfile { name, client, account: args.account.clone(), scopes, api_key, browser };
    let request = courier.as_ref().map(|courier| args.consent.request(courier, false));
    let profile = ops::add_profile::add_profile(ctx, &vault, new, request.as_ref())?;
    report(session, &profile)
}

fn add_program(
    session: &Session,
    ctx: ops::Context<'_>,
    args: &Args,
    name: ProfileName,
    right: Right,
) -> Result<(), Failure> {
    args.consent.refuse_for_a_program()?;
    let api_key = api_key(args.api_key_file.as_ref())?;
    let vault = open_or_make(session, ctx)?;
    let new = NewProgram {
        name,
        project: project(&right),
        right,
        scopes: args.consent.scopes.clone(),
        account: args.account.clone(),
        api_key,
        is_proven: args.consent.is_wanted() && !args.program.is_unchecked(),
    };
    let profile = ops::add_program::add_program(ctx, &vault, new)?;
    report(session, &profile)?;
    service_account::say_what_to_delete(session, args.new_client.service_account_key.as_deref());
    Ok(())
}

/// The project that a key file names.
fn project(right: &Right) -> Option<String> {
    match right {
        Right::Key { client: ClientChoice::New(new), .. } => new.key.as_ref()?.project.clone(),
        _ => None,
    }
}

fn registry_has(ctx: ops::Context<'_>, name: &ProfileName) -> Result<bool, Failure> {
    Ok(ops::registry::names(ctx)?.contains(name))
}

fn choice(
    session: &Session,
    ctx: ops::Context<'_>,
    stored: Option<ClientName>,
    issuer: &IssuerArgs,
    new: &ClientArgs,
) -> Result<ClientChoice, Failure> {
    match stored {
        Some(name) => Ok(ClientChoice::Stored(name)),
        None if new.describes_a_client() || issuer.is_given() => {
            Ok(ClientChoice::New(Box::new(new.read(session, ctx, issuer, None)?)))
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
    if !profile.grant_type.needs_person() {
        session.output.say(&format!(
            "Profile `{0}` gets its tokens by {1}. Try: vault token {0}",
            profile.name,
            json::way(&profile.grant_type)
        ));
        return Ok(());
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
