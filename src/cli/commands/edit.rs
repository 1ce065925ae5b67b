//! `vault edit`: changes what a profile links.

use std::path::PathBuf;

use super::add_profile::report;
use crate::cli::args::{ProfileArg, SetArgs};
use crate::cli::browser;
use crate::cli::error::Failure;
use crate::cli::secret_input;
use crate::cli::session::Session;
use crate::domain::{ClientName, Host, InvalidHost, Profile, Use, VariableName};
use crate::ops::edit::{Changes, edit};
use crate::ops::{self};

/// Change what a profile links
///
/// Another client or account needs a new login; variables and the API key do not.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault edit work --set GMAIL_TOKEN=access_token
  vault edit work --api-key-file key.txt
  vault edit work --project my-project
  vault edit work --browser 'firefox -P work'
  vault edit work --bind git=git.example.com
  vault edit work --client other --forget-login && vault login work")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    #[command(flatten)]
    set: SetArgs,
    /// No longer set this variable
    #[arg(long, value_name = "VAR")]
    unset: Vec<VariableName>,
    /// Link another stored client
    #[arg(long, value_name = "NAME", add = crate::cli::complete::clients())]
    client: Option<ClientName>,
    /// Keep the API key in this file with the profile; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Link another account
    #[arg(long, value_name = "EMAIL")]
    account: Option<String>,
    /// Count its requests for this Google Cloud project
    #[arg(long, value_name = "PROJECT", conflicts_with = "no_project", value_parser = project)]
    project: Option<String>,
    /// Count them for no project in particular
    #[arg(long)]
    no_project: bool,
    /// Open its login pages with this command; the address takes the place of %s or comes last
    #[arg(long, value_name = "CMD", conflicts_with = "usual_browser", value_parser = browser::parse)]
    browser: Option<String>,
    /// Open them in the usual browser again
    #[arg(long)]
    usual_browser: bool,
    /// Let its token be sent to this host: git=HOST, docker=HOST, cargo=HOST or api=HOST
    #[arg(long, value_name = "USE=HOST", value_parser = binding)]
    bind: Vec<(Use, Host)>,
    /// No longer let its token be sent to this host
    #[arg(long, value_name = "USE=HOST", value_parser = binding)]
    unbind: Vec<(Use, Host)>,
    /// Forget the login where the change costs it: with another client or account
    #[arg(long)]
    forget_login: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let api_key =
        args.api_key_file.as_ref().map(|source| secret_input::read("the API key", source)).transpose()?;
    let changes = Changes {
        set: args.set.assignments(),
        unset: args.unset,
        client: args.client,
        api_key,
        account: args.account,
        bind: args.bind,
        unbind: args.unbind,
        browser: if args.usual_browser { Some(None) } else { args.browser.map(Some) },
        project: if args.no_project { Some(None) } else { args.project.map(Some) },
        forget_login: args.forget_login,
    };
    if changes.is_empty() {
        return Err(
            Failure::usage("nothing to change").hint("run `vault edit --help` to see what can be changed")
        );
    }
    session.with(|ctx| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve(session, ctx, &vault)?;
        // What is wrong with it, the change says.
        let before = vault.profile(ctx, &name).ok();
        let not_bound = before.map_or_else(Vec::new, |it| not_bound(&it.facts, &changes.unbind));
        let profile = edit(ctx, &vault, &name, changes)?;
        for (need, host) in not_bound {
            session.output.warn(&format!("profile `{name}` was not bound to {host} for {need}"));
        }
        if session.output.json {
            return report(session, &profile);
        }
        let next = if profile.grant.is_none() {
            format!(". Log it in with: vault login {name}")
        } else {
            String::new()
        };
        session.output.say(&format!("Changed profile `{name}`{next}"));
        Ok(())
    })
}

/// Those of `hosts` to which the profile is not bound: a name that is mistyped leaves the one that is meant bound.
fn not_bound(profile: &Profile, hosts: &[(Use, Host)]) -> Vec<(Use, Host)> {
    hosts.iter().filter(|(need, host)| !profile.is_bound_to(*need, host)).cloned().collect()
}

/// `USE=HOST`, split at the first `=`.
fn binding(text: &str) -> Result<(Use, Host), String> {
    let (need, host) = text.split_once('=').ok_or("write it as USE=HOST, such as git=git.example.com")?;
    let found = Use::ALL.into_iter().find(|known| known.as_str() == need);
    let need = found.ok_or("a host is bound for git, docker, cargo or api")?;
    host.parse().map(|host| (need, host)).map_err(|error: InvalidHost| error.to_string())
}

/// An id, also with the domain of an organisation before it, or a number. What it stands in is a header.
pub(super) fn project(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-.:_".contains(c);
    if text.is_empty() || text.len() > 100 || !text.chars().all(is_allowed) {
        return Err("a project id has letters, digits, `-`, `.` and `:` only".to_owned());
    }
    Ok(text.to_owned())
}
