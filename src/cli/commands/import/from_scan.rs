//! `--from-scan`: what `vault scan` finds, as far as it can be taken in; of the rest, why not.

use super::sources::Sources;
use super::{Args, scan};
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::ops::import::{self, Wish};
use crate::ops::scan::Finding;
use crate::ops::{Context, Unlocked};

/// The files with logins, read. Of each other file, a sentence is said.
pub(super) fn sources(session: &Session, args: &Args) -> Result<Sources, Failure> {
    let report = scan::look(session, &args.files)?;
    let (fit, unfit): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|finding| finding.is_importable());
    for finding in unfit {
        tell(session, &format!("{}: {}", finding.path.display(), why_not(finding)));
    }
    let (sources, left) = Sources::readable(fit.into_iter().map(|finding| &*finding.path));
    left.iter().for_each(|why| tell(session, why));
    Ok(sources)
}

/// Those of which something can be made; one that lacks something is no reason to leave the others.
pub(super) fn sift(
    session: &Session,
    ctx: Context<'_>,
    vault: Option<&Unlocked>,
    sources: Sources,
    wish: &Wish,
) -> Result<Sources, Failure> {
    let (sources, left) = sources.sift(|one| {
        import::plan(ctx, vault, one.found()?, wish)?;
        Ok(())
    });
    left.iter().for_each(|why| tell(session, why));
    Ok(sources)
}

fn why_not(finding: &Finding) -> String {
    match finding.is_lasting() {
        true => format!("it holds nothing that is read here; instead: {}", scan::told::next(finding)),
        false => "what is in it ends by itself".to_owned(),
    }
}

fn tell(session: &Session, why: &str) {
    session.output.say(&format!("Not taken in: {why}"));
}
