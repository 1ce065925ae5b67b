//! `vault rotate client-secret`: replaces the secret of a client, proven by a refresh.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::commands::service_account;
use crate::cli::error::Failure;
use crate::cli::hints::{SERVICE_ACCOUNTS_PAGE, clients_page, some};
use crate::cli::session::Session;
use crate::cli::{json, provider_secrets, secret_input};
use crate::domain::{Client, ClientAuth, ClientName, ProfileName, SealedField};
use crate::oauth::client_file;
use crate::ops::rotate_client_secret::{NewSecret, Rotated, drop_previous, rotate};
use crate::ops::secrets::ProviderSecret;
use crate::ops::{Context, Loaded, Unlocked, clients};

/// Replace the secret of a client, proven by a refresh
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Add a second secret at the provider first; the old one goes on working. vault
keeps both, refreshes the login of one profile with the new one, and if that
succeeds uses it for all profiles of the client. If the provider refuses it,
everything stays as it was. Then disable the old one at the provider, and have
it forgotten here with `--drop-old`.

A run that was interrupted is finished by the same command; the secret need not
be given again.

Examples:
  vault rotate client-secret google
  vault rotate client-secret google --client-file client_secret.json
  vault rotate client-secret robot --client-file key.json    a service account
  vault rotate client-secret google --drop-old")]
pub(super) struct Args {
    /// The client
    #[arg(value_name = "CLIENT", add = crate::cli::complete::clients())]
    client: ClientName,
    /// The file that holds the new secret; `-` reads standard input [default: a prompt]
    #[arg(long, value_name = "FILE", conflicts_with = "client_file")]
    client_secret_file: Option<PathBuf>,
    /// The JSON file that the provider's console lets you download
    #[arg(long, value_name = "JSON")]
    client_file: Option<PathBuf>,
    /// Take the new secret even if no profile has a login that could prove it
    #[arg(long)]
    unproven: bool,
    /// Forget the old secret, which is disabled at the provider
    #[arg(long, conflicts_with_all = ["client_secret_file", "client_file", "unproven"])]
    drop_old: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.unlocked(|ctx, vault| {
        if args.drop_old {
            forget_old(session, ctx, vault, &args.client)?;
            return answer(session, ctx, &args.client, None);
        }
        let client = vault.client_named(ctx, &args.client)?;
        let new = new_secret(session, vault, &args, &client)?;
        let rotated = rotate(ctx, vault, &args.client, new, args.unproven)?;
        session.output.say(&told(&rotated));
        if rotated.keeps_previous {
            see_to_the_old_one(session, ctx, vault, &rotated.client, &client.facts)?;
        }
        if client.facts.client_auth == ClientAuth::Assertion {
            service_account::say_what_to_delete(session, args.client_file.as_deref());
        }
        answer(session, ctx, &rotated.client, rotated.proven_by.as_ref())
    })
}

/// The new secret; `None` where one waits already and no other was given.
fn new_secret(
    session: &Session,
    vault: &Unlocked,
    args: &Args,
    client: &Loaded<Client>,
) -> Result<Option<NewSecret>, Failure> {
    if let Some(path) = &args.client_file {
        return from_file(vault, path, &client.facts).map(Some);
    }
    let source = args.client_secret_file.as_ref();
    // What cannot be rotated is refused before anybody is asked.
    if client.facts.client_auth == ClientAuth::None {
        return Ok(None);
    }
    if source.is_none() && client.document.holds(SealedField::ClientSecretNext) {
        session.output.say("Going on with the new secret that an interrupted run has left");
        return Ok(None);
    }
    if client.facts.client_auth == ClientAuth::Assertion {
        return Err(new_key_missing(&client.facts));
    }
    if source.is_none() && session.may_ask_secrets() {
        let page = clients_page(&client.facts.provider);
        session.output.say(&format!("Add a second secret at {page}; the old one goes on working"));
    }
    let value = secret_input::read_or_ask(session, "the new client secret", source)?;
    Ok(Some(NewSecret { value, client_id: None, key_id: None }))
}

/// The key of a service account comes with its id, in a file.
fn new_key_missing(client: &Client) -> Failure {
    Failure::usage(format!("client `{}` is a service account, whose new key comes in a file", client.name))
        .hint(format!(
            "make one: `gcloud iam service-accounts keys create key.json --iam-account={}`, or at {}",
            client.client_id,
            secret_page(client)
        ))
        .hint(format!("then run `vault rotate client-secret {} --client-file key.json`", client.name))
}

/// Where the secrets of a client are made and disabled.
fn secret_page(client: &Client) -> &'static str {
    match client.client_auth {
        ClientAuth::Assertion => SERVICE_ACCOUNTS_PAGE,
        _ => clients_page(&client.provider),
    }
}

fn from_file(vault: &Unlocked, path: &Path, client: &Client) -> Result<NewSecret, Failure> {
    if client.client_auth == ClientAuth::Assertion {
        let file = service_account::read_file(path)?;
        let key_id = Some(file.private_key_id);
        return Ok(NewSecret { value: file.private_key, client_id: Some(file.client_email), key_id });
    }
    let bytes = secret_input::read_bytes("the client file", path, client_file::MAX_SIZE as u64)?;
    let odd = |text: String| {
        Failure::usage(text)
            .hint("download it once more from your provider's console, when the secret is made")
    };
    let preset = vault.provider(&client.provider);
    let file = client_file::parse(&bytes, &preset).map_err(|e| odd(e.to_string()))?;
    let value = file.client_secret.ok_or_else(|| odd("the client file holds no secret".to_owned()))?;
    Ok(NewSecret { value, client_id: Some(file.client_id), key_id: None })
}

fn told(rotated: &Rotated) -> String {
    let client = &rotated.client;
    let users: Vec<String> = rotated.profiles.iter().map(ToString::to_string).collect();
    match (&rotated.proven_by, rotated.was_in_use) {
        (Some(profile), true) => {
            format!("Client `{client}` has this secret already; a refresh of `{profile}` has proven it")
        }
        (None, true) => format!("Client `{client}` has this secret already; nothing has proven it"),
        (Some(profile), false) => format!(
            "Client `{client}` has the new secret, proven by a refresh of `{profile}`; used by {}",
            some(&users)
        ),
        (None, false) => format!("Client `{client}` has the new secret, which nothing has proven yet"),
    }
}

/// The old secret is kept until it is disabled at the provider, which only the user can say.
fn see_to_the_old_one(
    session: &Session,
    ctx: Context<'_>,
    vault: &Unlocked,
    client: &ClientName,
    before: &Client,
) -> Result<(), Failure> {
    let page = secret_page(before);
    let old = match &before.key_id {
        Some(id) => format!("delete the old key {id}"),
        None => "disable the old secret".to_owned(),
    };
    session.output.say(&format!("Now {old} at {page}; it is kept here until then"));
    let may_ask = session.may_ask() && !session.output.json;
    if may_ask && session.terminal().confirm_plainly("Is it disabled there, and may it be forgotten here?") {
        return forget_old(session, ctx, vault, client);
    }
    let drop_old = provider_secrets::command(&ProviderSecret::OldClientSecret(client.clone()));
    session.output.say(&format!("When it is disabled, run: {drop_old}"));
    Ok(())
}

fn forget_old(
    session: &Session,
    ctx: Context<'_>,
    vault: &Unlocked,
    client: &ClientName,
) -> Result<(), Failure> {
    session.output.say(&match drop_previous(ctx, vault, client)? {
        true => format!("Forgot the old secret of client `{client}`"),
        false => format!("No old secret of client `{client}` is kept"),
    });
    Ok(())
}

/// The client as it is now, for programs.
fn answer(
    session: &Session,
    ctx: Context<'_>,
    client: &ClientName,
    proven_by: Option<&ProfileName>,
) -> Result<(), Failure> {
    if !session.output.json {
        return Ok(());
    }
    let mut client = json::listed_client(&clients::show(ctx, client)?);
    client["proven_by"] = json!(proven_by);
    session.output.json("clients", json!([client]))
}
