//! `--replace` and `--undo`: what becomes of the files, and what is said of it.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::init::absolute;
use super::sources::Sources;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::ProfileName;
use crate::ops::import::Imported;
use crate::ops::import::replace::{self, Fate, Holder, Kept, Remote, Source};
use crate::ops::{self, Context, Unlocked};

/// What became of each file.
pub(super) type Fates = Vec<(PathBuf, Fate)>;

/// Takes the files away whose content is proven to be in the vault.
pub(super) fn files(
    ctx: Context<'_>,
    vault: &Unlocked,
    sources: &Sources,
    made: &[Imported],
) -> Result<Fates, Failure> {
    let mut fates = Vec::new();
    for (name, path, bytes) in sources.files() {
        let path = absolute(path.to_owned())?;
        let proven = proven(made, name);
        let fate = replace::replace(ctx, vault, &Source { path: &path, bytes, proven: &proven });
        fates.push((path, fate.map_err(|source| unfinished(name, source))?));
    }
    Ok(fates)
}

/// The profiles that were made of a file, and whose refresh tokens may be others by now.
fn proven(made: &[Imported], source: &str) -> Vec<ProfileName> {
    let of_file = made.iter().filter(|imported| imported.is_proven && imported.source == source);
    of_file.filter_map(|imported| Some(imported.profile.as_ref()?.name.clone())).collect()
}

fn unfinished(name: &str, source: ops::Error) -> ops::Error {
    ops::Error::Unfinished {
        what: format!("what is in {name} is in the vault, and the file is as it was"),
        next: format!("mend that, then run `vault import {name} --replace` again"),
        source: Box::new(source),
    }
}

/// The fate of a file in a word, for JSON.
pub(super) fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Removed(_) => "removed",
        Fate::Hooked(..) => "replaced",
        Fate::Stays(_) => "kept",
    }
}

/// Says what became of the files; an error if one is as it was.
pub(super) fn tell(session: &Session, fates: &Fates) -> Result<(), Failure> {
    for (path, fate) in fates {
        match fate {
            Fate::Removed(kept) => removed(session, path, kept),
            Fate::Hooked(kept, remotes) => hooked(session, path, kept, remotes),
            Fate::Stays(_) => {}
        }
    }
    let gone = fates.iter().any(|(_, fate)| !matches!(fate, Fate::Stays(_)));
    if gone {
        session.output.say(
            "Backups, snapshots, the history of git and the free blocks of the disk may still hold what stood there: \
             only new secrets end that (`vault rotate list`)",
        );
    }
    let stays: Vec<String> = fates.iter().filter_map(|(path, fate)| left(path, fate)).collect();
    if stays.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::new(Code::Refused, "what was taken in still lies in plain text");
    failure.messages.extend(stays);
    Err(failure.hint("the vault has it; remove the file yourself when nothing needs it any more"))
}

fn left(path: &Path, fate: &Fate) -> Option<String> {
    match fate {
        Fate::Stays(why) => Some(format!("{} is left as it is: {why}", path.display())),
        _ => None,
    }
}

fn removed(session: &Session, path: &Path, kept: &Kept) {
    session.output.say(&format!("Removed {}{}", path.display(), copy(path, kept)));
    if let (true, Holder::Profile(name)) = (kept.was_adc, &kept.holder) {
        session
            .output
            .say(&format!("Programs that read it are run by `vault exec {name} -- COMMAND` from now on"));
    }
    warn_of_readers(session, path, kept);
}

fn hooked(session: &Session, path: &Path, kept: &Kept, remotes: &[Remote]) {
    session.output.say(&format!("Took the secrets out of {}{}", path.display(), copy(path, kept)));
    for Remote { name, profile } in remotes {
        session.output.say(&match ops::setup::token_url_variable(profile) == variable(name) {
            true => {
                format!("The remote `{name}` works under `vault exec {profile} --adc broker -- rclone ...`")
            }
            false => {
                format!("How the remote `{name}` is run: `vault setup rclone {profile} --remote {name}`")
            }
        });
    }
    warn_of_readers(session, path, kept);
}

/// How rclone calls the variable of a remote.
fn variable(remote: &str) -> String {
    format!("RCLONE_CONFIG_{}_TOKEN_URL", remote.to_uppercase())
}

fn copy(path: &Path, kept: &Kept) -> String {
    let holder = match &kept.holder {
        Holder::Profile(name) => format!("profile `{name}`"),
        Holder::Client(name) => format!("client `{name}`"),
    };
    format!("; {holder} keeps a sealed copy, which `vault import --undo {}` brings back", path.display())
}

fn warn_of_readers(session: &Session, path: &Path, kept: &Kept) {
    if !kept.was_open_to_others {
        return;
    }
    let renew = match &kept.holder {
        Holder::Profile(name) => format!("vault rotate grant {name} --compromised"),
        Holder::Client(name) => format!("vault rotate client-secret {name}"),
    };
    session.output.warn(&format!(
        "{} could be read by other users: who has read it has what was in it until `{renew}`",
        path.display()
    ));
}

/// Brings a file back.
pub(super) fn undo(session: &Session, file: &Path) -> Result<(), Failure> {
    let path = absolute(file.to_owned())?;
    let holder = session.unlocked(|ctx, vault| Ok(replace::undo(ctx, vault, &path)?))?;
    if session.output.json {
        return session.output.json("undone", json!({ "file": path.display().to_string() }));
    }
    let kind = match holder {
        Holder::Profile(name) => format!("profile `{name}`"),
        Holder::Client(name) => format!("client `{name}`"),
    };
    session
        .output
        .say(&format!("{} is back, in plain text; {kind} keeps no copy of it any more", path.display()));
    Ok(())
}
