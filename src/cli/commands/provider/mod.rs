//! `vault provider`: lists, shows, adds and removes providers.

mod shown;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::init::open_or_make;
use crate::cli::error::Failure;
use crate::cli::secret_input;
use crate::cli::session::Session;
use crate::cli::table::{Cell, table};
use crate::domain::ClientName;
use crate::oauth::provider::MAX_FILE;
use crate::ops::providers::{self, Added, Listed};

/// List, show, add and remove providers
///
/// A provider is who issues tokens. Those that are built in need no more than a client; any other
/// is given by `--issuer URL`, or described once in a file of your own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault provider list
  vault provider show github
  vault provider add forge.toml")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the providers that are known by name
    List,
    /// Show what is known of one, and how to use it
    Show {
        /// The provider
        #[arg(add = crate::cli::complete::providers())]
        name: String,
    },
    /// Add a provider of your own from its file
    Add {
        /// Its file, as docs/providers.md describes it; `-` reads standard input
        file: PathBuf,
        /// Put it in the place of one of yours with the same id
        #[arg(long)]
        replace: bool,
        /// Accept `http:` for loopback addresses in it
        #[arg(long)]
        insecure_loopback: bool,
    },
    /// Remove a provider of your own that no client was made of
    Remove {
        /// The provider
        #[arg(add = crate::cli::complete::providers())]
        name: String,
    },
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    match args.command {
        Action::List => session.with(|ctx| list(session, &providers::list(ctx)?)),
        Action::Show { name } => session.with(|ctx| show(session, &providers::show(ctx, &name)?)),
        Action::Add { file, replace, insecure_loopback } => session.with(|ctx| {
            let bytes = secret_input::read_bytes("the file of the provider", &file, MAX_FILE as u64)?;
            // Whatever can be refused is refused before a vault is made.
            providers::check(&bytes, insecure_loopback)?;
            let vault = open_or_make(session, ctx)?;
            added(session, &providers::add(ctx, &vault, &bytes, insecure_loopback, replace)?)
        }),
        Action::Remove { name } => session.unlocked(|ctx, vault| {
            providers::remove(ctx, vault, &name)?;
            if session.output.json {
                return session.output.json("providers", json!([{ "id": name, "removed": true }]));
            }
            session.output.say(&format!("Removed provider `{name}`"));
            Ok(())
        }),
    }
}

fn added(session: &Session, added: &Added) -> Result<(), Failure> {
    let id = &added.provider.id;
    if session.output.json {
        let mut value = facts(&added.provider, true, &[]);
        value["replaced"] = json!(added.replaced);
        value["clients_that_keep_theirs"] = json!(added.keep);
        return session.output.json("providers", json!([value]));
    }
    let verb = if added.replaced { "Replaced" } else { "Added" };
    session.output.say(&format!("{verb} provider `{id}`. See: vault provider show {id}"));
    let hosts = &added.provider.api.hosts;
    if !hosts.is_empty() {
        let hosts = hosts.join(", ");
        session.output.say(&format!("Tokens of clients that are made of it may go to: {hosts}"));
    }
    if !added.keep.is_empty() {
        let names: Vec<&str> = added.keep.iter().map(ClientName::as_str).collect();
        session.output.warn(&format!(
            "these clients keep the addresses and hosts that they were made with: {}",
            names.join(", ")
        ));
    }
    Ok(())
}

fn list(session: &Session, listed: &[Listed]) -> Result<(), Failure> {
    if session.output.json {
        let values: Vec<Value> = listed.iter().map(listed_facts).collect();
        return session.output.json("providers", json!(values));
    }
    let rows = listed.iter().map(|it| {
        let flows = shown::flows(&it.provider).join(", ");
        let origin = if it.is_own { "yours" } else { "built in" };
        vec![Cell::from(&it.provider.id), (&it.provider.title).into(), flows.into(), origin.into()]
    });
    let header = ["NAME", "TITLE", "LOGIN BY", "FROM"];
    session.output.answer(&table(&header, rows.collect(), session.output.look()))
}

fn show(session: &Session, listed: &Listed) -> Result<(), Failure> {
    if session.output.json {
        return session.output.json("providers", json!([listed_facts(listed)]));
    }
    session.output.answer(&shown::page(listed, session.output.look()))
}

fn listed_facts(listed: &Listed) -> Value {
    facts(&listed.provider, listed.is_own, &listed.clients)
}

/// A provider in the words of its file.
fn facts(provider: &crate::domain::Provider, is_own: bool, clients: &[ClientName]) -> Value {
    let mut value = serde_json::to_value(provider).unwrap_or(Value::Null);
    value["own"] = json!(is_own);
    value["clients"] = json!(clients);
    value
}
