//! `vault scan`: secrets of OAuth that lie open in files, and what to do about each.

pub(super) mod told;

use std::path::PathBuf;

use jiff::Timestamp;

use crate::cli::environment::scan_roots;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::domain::counted;
use crate::ops::scan::{self, Finding, MOST_BYTES, Plan, Readers, Report, Root};
use crate::system::{Clock, Deferral, SystemClock};

/// Find secrets of OAuth that lie open in files
///
/// Looks through your home, or the files and folders that you name: for refresh
/// tokens, client secrets, service account keys, API keys and what else programs leave
/// behind, by the places where they do and by how such secrets look. Says for each file
/// what it holds, whose it seems to be, who can read it, and what to type next.
///
/// Shows no secret, nor a part of one. Changes nothing, runs nothing, follows no links,
/// asks no server. Needs no vault and no key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault scan                     your home, and what variables have moved out of it
  vault scan ~/src ~/Downloads   these folders
  vault scan --json | jq -r '.findings[] | select(.lasting) | .path'

Not looked into are folders of installed packages (node_modules, site-packages,
what cargo and go have downloaded), the objects of git, and other file systems; of a
file longer than 8 MiB only its beginning is read. The number of each is said.

Exit codes: 0 nothing was found, 15 something was, 12 ended with Ctrl-C. Standard
output has what was found in every case. What cannot be read is a warning.")]
pub(super) struct Args {
    /// Files and folders [default: your home]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Leave out what .gitignore, .ignore and their like name; secrets are often among it
    #[arg(long)]
    ignore_files: bool,
    /// Go into other file systems too, such as network drives
    #[arg(long)]
    all_file_systems: bool,
    /// Go into folders of installed packages too
    #[arg(long)]
    packages: bool,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let plan = Plan {
        roots: roots(session, &args.paths)?,
        leave_out: own_folders(session),
        respect_ignore_files: args.ignore_files,
        all_file_systems: args.all_file_systems,
        look_into_packages: args.packages,
    };
    let report = watched(session, &plan);
    let now = SystemClock.now();
    match session.output.json {
        true => session.output.answer(&told::json(&report, now))?,
        false => session.output.answer(&told::text(&report, now, session.output.look()))?,
    }
    remark(session, &report);
    verdict(session, &report, now)
}

/// What is found below `paths`, or in the home.
pub(super) fn look(session: &Session, paths: &[PathBuf]) -> Result<Report, Failure> {
    let plan = Plan { roots: roots(session, paths)?, leave_out: own_folders(session), ..Plan::default() };
    let report = watched(session, &plan);
    if report.is_interrupted {
        return Err(Failure::new(Code::Cancelled, "ended before everything was looked through"));
    }
    remark(session, &report);
    Ok(report)
}

fn watched(session: &Session, plan: &Plan) -> Report {
    let watch = Watch { progress: session.output.progress("Scanning"), signals: Deferral::between_steps() };
    scan::scan(plan, &watch)
}

/// Shows the person how far we are, and hears whether it is enough.
struct Watch {
    progress: Progress,
    signals: Deferral,
}

impl scan::Progress for Watch {
    fn at(&self, files: u64) -> bool {
        self.progress.counted(files, "files");
        !self.signals.is_interrupted()
    }
}

fn roots(session: &Session, named: &[PathBuf]) -> Result<Vec<Root>, Failure> {
    if named.is_empty() {
        let roots = scan_roots(session.home());
        // A link leads to the folder that is meant; below it none is followed.
        let real = |root: Root| Root { path: root.path.canonicalize().unwrap_or(root.path), ..root };
        return Ok(roots.into_iter().map(real).collect());
    }
    let root = |path: &PathBuf| match path.canonicalize() {
        Ok(path) => Ok(Root { path, stands_for: None }),
        Err(error) => Err(Failure::usage(format!("{} cannot be looked through: {error}", path.display()))),
    };
    named.iter().map(root).collect()
}

/// What is in them is sealed.
fn own_folders(session: &Session) -> Vec<PathBuf> {
    let places = session.places();
    let folders = [&places.vault, &places.cache, &places.state];
    folders.into_iter().filter_map(|path| path.canonicalize().ok()).collect()
}

/// What was not looked at.
fn remark(session: &Session, report: &Report) {
    let counts = &report.counts;
    if let Some(first) = report.unreadable.first() {
        let count = usize::try_from(counts.unreadable).unwrap_or(usize::MAX);
        session.output.warn(&format!(
            "{} could not be read, such as {}",
            counted(count, "file or folder"),
            first.display()
        ));
    }
    if counts.untold > 0 {
        session
            .output
            .warn(&format!("{} more files hold secrets; look through folders one by one", counts.untold));
    }
    if counts.too_long > 0 {
        session.output.say(&format!(
            "Of {} only the first {} MiB were read.",
            counted(usize::try_from(counts.too_long).unwrap_or(usize::MAX), "file"),
            MOST_BYTES >> 20
        ));
    }
    if counts.left_out > 0 {
        let folders = counted(usize::try_from(counts.left_out).unwrap_or(usize::MAX), "folder");
        session
            .output
            .say(&format!("{folders} of installed packages or git's objects left out (--packages)."));
    }
}

fn verdict(session: &Session, report: &Report, now: Timestamp) -> Result<(), Failure> {
    let files = counted(usize::try_from(report.counts.files).unwrap_or(usize::MAX), "file");
    if report.is_interrupted {
        return Err(Failure::new(
            Code::Cancelled,
            format!("ended after {files}; what was found until then stands on standard output"),
        ));
    }
    let findings = &report.findings;
    if findings.is_empty() {
        session.output.say(&format!("No secret lies open in {files}."));
        return Ok(());
    }
    let failure = Failure::new(Code::Found, said_of(findings, &files, now));
    Err(match findings.iter().any(Finding::is_importable) {
        true => failure.hint(
            "`vault import FILE` takes a secret into the vault; its copy stays known to whoever has read it: renew \
             what others could read",
        ),
        false => failure,
    })
}

fn said_of(findings: &[Finding], files: &str, now: Timestamp) -> String {
    let count =
        |is_such: &dyn Fn(&Finding) -> bool| findings.iter().filter(|finding| is_such(finding)).count();
    let mut text = format!("secrets lie open in {} of {files}", findings.len());
    let open = count(&|finding| finding.exposure.readable_by == Readers::Everyone);
    let tracked = count(&|finding| finding.exposure.is_tracked == Some(true));
    let expired = count(&|finding| finding.is_expired(now));
    for (count, what) in
        [(open, "readable by every user of this machine"), (tracked, "tracked by git"), (expired, "expired")]
    {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    text
}
