//! `vault doctor`: finds what is wrong, and says what would mend it.

mod remedy;
mod report;
mod told;

use serde_json::{Value, json};

use crate::cli::complete::profiles;
use crate::cli::environment::surroundings;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::cli::table::{Look, Tone, toned};
use crate::domain::ProfileName;
use crate::ops::Context;
use crate::ops::doctor::{self, Outcome, Request};
use crate::unlock::{Ways, keychain};
use told::Told;

/// Find out what is wrong, and what would mend it
///
/// Looks at the vault, its keys and logins, the machine around it, and the
/// providers. Changes nothing and asks nobody; an entry is written to the keychain
/// and deleted again where a key slot uses it. What only the vault key can tell is
/// left out while the vault is locked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault doctor                    everything, in some seconds
  vault doctor work --refresh     prove one login by a real refresh
  vault doctor --offline          speak to no provider
  vault doctor --report           a text for a bug report; nothing private in it

Exit codes: 0 if nothing is bad, warnings or not; else by the first that is
  4 the keychain or the way to the key     8 a provider or the clock
  5 a login has ended                     10 storage or its locks
  6 modes, owners, or documents
Standard output has the findings in every case.")]
pub(super) struct Args {
    /// Only the login of this profile [default: all]
    #[arg(value_name = "NAME", add = profiles())]
    name: Option<ProfileName>,
    /// The same as NAME
    #[arg(short = 'p', long = "profile", value_name = "NAME", conflicts_with = "name", add = profiles())]
    option: Option<ProfileName>,
    /// Prove each login, or that of NAME, by a real refresh; may ask for the passphrase
    #[arg(long, conflicts_with = "offline")]
    refresh: bool,
    /// Print a text for a bug report: no account, no name, no address of yours
    #[arg(long, conflicts_with = "json")]
    report: bool,
    /// Speak to no provider
    #[arg(long)]
    offline: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let profile = args.name.or(args.option);
    let request = Request { profile, refresh: args.refresh, offline: args.offline };
    session.with(|ctx| {
        let (home, runtime_dir) = (session.home().to_owned(), session.runtime_dir().to_owned());
        let around = surroundings(&doctor::VARIABLES, home, runtime_dir);
        let examined = asking_only_if(args.refresh, session, ctx, |ctx| {
            let progress = session.output.progress("Examining");
            doctor::examine(ctx, &around, &request, &|done, total| progress.at(done, total))
        })?;
        let (counts, checks) = (examined.counts, examined.checks);
        let told: Vec<Told> = checks.into_iter().map(Told::of).collect();
        match () {
            () if args.report => session.output.answer(&report::report(session, &around, &counts, &told))?,
            () if session.output.json => session.output.json("checks", told.iter().map(as_json).collect())?,
            () => session.output.answer(&lines(&told, session.output.look()))?,
        }
        verdict(&told)
    })
}

/// Runs `work` so that neither we nor the keychain ask the person for anything, unless that `is_needed`.
fn asking_only_if<T>(
    is_needed: bool,
    session: &Session,
    ctx: Context<'_>,
    work: impl FnOnce(Context<'_>) -> T,
) -> T {
    let may_ask = is_needed && session.may_ask_secrets();
    let keychain = keychain::system(may_ask);
    let ways = Ways { keychain: &*keychain, may_ask, ..ctx.ways.clone() };
    work(Context { ways: &ways, ..ctx })
}

fn as_json(told: &Told) -> Value {
    json!({
        "check": told.check,
        "subject": told.subject,
        "result": told.word(),
        "found": told.found,
        "fix": told.fix,
    })
}

/// One line for each check, with what would mend it below.
fn lines(told: &[Told], look: Look) -> String {
    told.iter().map(|told| line(told, look)).collect()
}

fn line(told: &Told, look: Look) -> String {
    let (mark, tone) = match told.outcome {
        Outcome::Ok => ('✓', Tone::Good),
        Outcome::Warning => ('!', Tone::Warning),
        Outcome::Bad(_) => ('✗', Tone::Bad),
        Outcome::Skipped => ('-', Tone::Faint),
    };
    let word = toned(&format!("{mark} {:<8}", told.word()), tone, look);
    let about = told.subject.as_ref().map(|subject| format!("{subject}: ")).unwrap_or_default();
    let mut text = format!("{word} {:<12} {about}{}\n", told.check, told.found);
    if let Some(fix) = &told.fix {
        text.push_str(&format!("{:24}→ {fix}\n", ""));
    }
    text
}

/// Success, unless something is bad; then the code of the first that is.
fn verdict(told: &[Told]) -> Result<(), Failure> {
    let bad: Vec<&Told> = told.iter().filter(|told| matches!(told.outcome, Outcome::Bad(_))).collect();
    let Some(first) = bad.first() else { return Ok(()) };
    let message = match bad.len() {
        1 => format!("1 of {} checks found something bad: {}", told.len(), first.check),
        count => format!("{count} of {} checks found something bad, the first: {}", told.len(), first.check),
    };
    Err(Failure::with_status(first.status, message))
}
