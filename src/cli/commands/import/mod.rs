//! `vault import`: takes in the logins that other tools have left in plain text.

mod from_scan;
mod replace;
mod sources;
mod told;

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::client::IssuerArgs;
use super::init::open_or_make;
use super::scan;
use crate::cli::error::{Failure, outcome_of};
use crate::cli::exit::Code;
use crate::cli::secret_input;
use crate::cli::session::Session;
use crate::domain::{ClientAuth, ClientName, ProfileName, counted};
use crate::ops::audit::Outcome;
use crate::ops::import::{self, Already, Plan, Wish};
use crate::ops::{self, Context, Unlocked, Vault};

/// Take in the logins that other tools have left in plain text
///
/// Makes a profile, and its client, of each refresh token in a file. Files are known by what is in
/// them, not by their names. Nothing is asked of the provider, except with `--check`; the file stays
/// where it is, except with `--replace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault import ~/.config/gcloud/application_default_credentials.json
  vault import Google.OAuth2.Token.*.json --client google --check
  vault import ~/.config/rclone/rclone.conf --dry-run
  rclone config show | vault import -
  vault import token.json --replace  the file goes once it is in
  vault import --undo token.json     and comes back
  vault import --from-scan ~/src     what `vault scan` finds there
  vault import --env                 CLIENT_ID, CLIENT_SECRET and REFRESH_TOKEN

Known forms: Google's client files, application default credentials and other
authorized_user files, google-auth, oauth2client, Node and Go quickstarts,
token responses, oauth2l, clasp, firebase-tools, gws, gemini-cli, gspread,
pydata, earthengine, MCP servers, gmailctl, GAM, google-ads.yaml, .boto,
rclone.conf, offlineimap and other ini files, .env files, any JSON with a
refresh_token in it, pickles of google-auth (token.pickle, ~/.gcs_tokens), which
are never loaded, and databases of SQLite (gcloud's credentials.db).")]
pub(super) struct Args {
    /// The files; `-` reads standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["env", "undo", "from_scan"], conflicts_with = "env")]
    files: Vec<PathBuf>,
    /// Take in the variables CLIENT_ID, CLIENT_SECRET and REFRESH_TOKEN instead
    #[arg(long)]
    env: bool,
    /// Only variables that begin so, such as GOOGLE_
    #[arg(long, value_name = "TEXT", requires = "env")]
    env_prefix: Option<String>,
    /// What to call the profile [default: as the file calls it, or its account]
    #[arg(short = 'p', long, value_name = "NAME")]
    profile: Option<ProfileName>,
    /// The stored client that the login belongs to, or what to call a new one
    #[arg(long, value_name = "NAME", add = crate::cli::complete::clients())]
    client: Option<ClientName>,
    /// The file that holds the client secret, where it is not beside the refresh token; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// How a new client proves itself: basic, post, or none for a public client
    #[arg(long, value_name = "HOW")]
    client_auth: Option<ClientAuth>,
    /// What service accounts are to ask for: makes a profile of each key, and not its client alone
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Ask the provider at once whether it accepts the login, and whose it is; nothing is stored if it does not
    #[arg(long)]
    check: bool,
    /// Take in what `vault scan` finds: in your home, or below the paths that are named
    #[arg(long, conflicts_with_all = ["env", "undo", "profile"])]
    from_scan: bool,
    /// Take each file away once all that is in it is proven to open in the vault, and keep a sealed copy
    #[arg(long, conflicts_with_all = ["env", "dry_run"])]
    replace: bool,
    /// Bring back a file that was taken away
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "env", "replace", "check", "dry_run", "profile"])]
    undo: Option<PathBuf>,
    /// Show what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before several profiles are made
    #[arg(short = 'y', long)]
    yes: bool,
    #[command(flatten)]
    issuer: IssuerArgs,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if let Some(file) = &args.undo {
        return replace::undo(session, file);
    }
    session.with(|ctx| {
        let wish = wish(ctx, &args)?;
        let mut sources = match args.from_scan {
            true => from_scan::sources(session, &args)?,
            false => sources::Sources::of(&args)?,
        };
        // Odd files are refused before a vault is opened.
        sources.found()?;
        if sources.is_empty() {
            return nothing_found(session);
        }
        // A vault is made once it is known what for, and wanted.
        let vault = match Vault::find(ctx)? {
            Some(_) => Some(open_or_make(session, ctx)?),
            None => None,
        };
        if args.from_scan {
            sources = from_scan::sift(session, ctx, vault.as_ref(), sources, &wish)?;
        }
        if sources.is_empty() {
            return nothing_found(session);
        }
        let plain = sources.plain_files();
        let plan = planned(session, ctx, vault.as_ref(), &sources, wish);
        let plan = match (plan, &vault) {
            // A run that was killed may have left nothing but the file.
            (Err(Failed::Already(known)), Some(vault)) if args.replace => {
                let fates = replace::files(ctx, vault, &sources, &[])?;
                return told::made(session, &[], &known, &plain, &fates);
            }
            (plan, _) => plan?,
        };
        if args.dry_run {
            return told::planned(session, &plan);
        }
        confirm(session, &plan, &args)?;
        let vault = match vault {
            Some(vault) => vault,
            None => open_or_make(session, ctx)?,
        };
        let left_out = plan.left_out.clone();
        let already = plan.already.clone();
        let made = import::apply(ctx, &vault, plan, args.check, &|ctx, result| {
            session.write_down(ctx, result.as_ref().map_or_else(outcome_of, |_| Outcome::Done));
        })?;
        told::left_out(session, &left_out);
        let fates = match args.replace {
            true => replace::files(ctx, &vault, &sources, &made)?,
            false => Vec::new(),
        };
        told::made(session, &made, &already, &plain, &fates)
    })
}

fn wish(ctx: ops::Context<'_>, args: &Args) -> Result<Wish, Failure> {
    let issuer = if args.issuer.is_given() { Some(args.issuer.read(ctx)?) } else { None };
    Ok(Wish {
        profile: args.profile.clone(),
        client: args.client.clone(),
        issuer,
        secret: args.client_secret_file.as_ref().map(|file| secret(file)).transpose()?,
        auth: args.client_auth,
        scopes: args.scopes.clone(),
        insecure_loopback: args.issuer.insecure_loopback,
    })
}

fn secret(file: &Path) -> Result<SecretString, Failure> {
    secret_input::read("the client secret", file)
}

/// The plan; a secret that is missing is asked for on a terminal.
fn planned(
    session: &Session,
    ctx: Context<'_>,
    vault: Option<&Unlocked>,
    sources: &sources::Sources,
    mut wish: Wish,
) -> Result<Plan, Failed> {
    match import::plan(ctx, vault, sources.found()?, &wish) {
        Err(ops::Error::Import(import::Error::NoSecret { client_id, .. }))
            if wish.secret.is_none() && session.may_ask_secrets() =>
        {
            let what = format!("the secret of the client {client_id}");
            wish.secret = Some(secret_input::read_or_ask(session, &what, None)?);
            Ok(import::plan(ctx, vault, sources.found()?, &wish)?)
        }
        plan => Ok(plan?),
    }
}

/// Why there is no plan.
enum Failed {
    /// Each login is in the vault.
    Already(Vec<Already>),
    /// Anything else.
    Otherwise(Failure),
}

impl From<ops::Error> for Failed {
    fn from(error: ops::Error) -> Self {
        match error {
            ops::Error::Import(import::Error::Already { known }) => Self::Already(known),
            error => Self::Otherwise(error.into()),
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::Otherwise(failure)
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Already(known) => ops::Error::from(import::Error::Already { known }).into(),
            Failed::Otherwise(failure) => failure,
        }
    }
}

fn nothing_found(session: &Session) -> Result<(), Failure> {
    session.output.say("Nothing was found that could be taken in");
    Ok(())
}

/// Several profiles, and what nobody has named, are shown before they are made.
fn confirm(session: &Session, plan: &Plan, args: &Args) -> Result<(), Failure> {
    let count = plan.profiles().count();
    let is_asked = args.from_scan || count > 1;
    if args.yes || !is_asked {
        return Ok(());
    }
    if !session.may_ask() {
        return match args.from_scan {
            true => Err(Failure::usage("there is nobody to ask whether what was found is to be taken in")
                .hint("look at it with `--dry-run`, then add `--yes`")),
            false => Ok(()),
        };
    }
    told::preview(session, plan);
    if session.terminal().confirm_plainly(&format!("Make {}?", counted(count, "profile"))) {
        return Ok(());
    }
    Err(Failure::new(Code::Cancelled, "nothing was taken in"))
}
