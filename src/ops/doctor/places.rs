//! The vault's places on this machine: modes, file systems, room, locks, and what was left behind.

use std::path::Path;

use super::OnStep;
use super::check::{Check, Remedy, Subject, Trouble};
use crate::domain::counted;
use crate::ops::{Context, Unlocked, rename, rescue, verify};
use crate::store::{Examination, ExaminedPlace, Loose, Name, Remains, Role};
use crate::system::{FileSystem, Kind, Nature};

/// Less free room than this is no room: a document and its successor, 1 MiB each.
const NO_ROOM: u64 = 2 << 20;

/// Less than this is soon used up.
const LITTLE_ROOM: u64 = 32 << 20;

/// A refresh makes two files.
const NO_FILES: u64 = 2;

/// Of many that are alike, so many are told one by one.
const MOST_ALIKE: usize = 20;

pub(super) fn checks(seen: &Examination) -> Vec<Check> {
    let mut checks = modes(seen);
    for place in seen.places.iter().filter(|place| place.is_there) {
        checks.extend(of_place(place));
    }
    checks.push(lock(seen));
    checks.extend(remains(&seen.remains));
    checks
}

fn modes(seen: &Examination) -> Vec<Check> {
    if seen.looked_at == 0 {
        return vec![Check::skipped("modes", Subject::None, "nothing has been made yet")];
    }
    if seen.loose.is_empty() {
        let found = format!("{} for this user alone", counted(seen.looked_at, "file and folder"));
        return vec![Check::ok(
            "modes",
            Subject::None,
            found.replace("file and folders", "files and folders"),
        )];
    }
    let of_others: Vec<&Path> =
        seen.places.iter().map(|place| &*place.path).filter(|path| is_of_others(seen, path)).collect();
    // What is below a place of somebody else is theirs too.
    let rest = seen.loose.iter().filter(|loose| !of_others.iter().any(|place| loose.path.starts_with(place)));
    let rest: Vec<&Loose> = rest.collect();
    let mut checks: Vec<Check> = of_others.iter().map(|path| of_another_user(path)).collect();
    checks.extend(rest.iter().take(MOST_ALIKE).map(|it| loose(it)));
    if rest.len() > MOST_ALIKE {
        let found = format!("{} more are open to other users", rest.len() - MOST_ALIKE);
        checks.push(Check::warning("modes", Subject::None, found));
    }
    checks
}

fn is_of_others(seen: &Examination, place: &Path) -> bool {
    seen.loose.iter().any(|loose| loose.path == place && !loose.look.is_ours)
}

/// A whole place: then it is we who are the wrong user, as with sudo or in a container.
fn of_another_user(place: &Path) -> Check {
    let subject = Subject::Path { path: place.to_owned(), what: "a folder of the vault" };
    Check::bad("modes", subject, Trouble::Integrity, "belongs to another user")
        .remedy(Remedy::RunAsOwner(place.to_owned()))
}

/// Directories decide: in one that others may write to, they can replace every file.
fn loose(loose: &Loose) -> Check {
    let what =
        if loose.look.kind == Kind::Directory { "a folder of the vault" } else { "a file of the vault" };
    let subject = Subject::Path { path: loose.path.clone(), what };
    let mode = loose.look.mode.unwrap_or_default() & 0o777;
    if !loose.look.is_ours {
        return Check::bad("modes", subject, Trouble::Integrity, "belongs to another user")
            .remedy(Remedy::TakeOwnership(loose.path.clone()));
    }
    let close = Remedy::CloseToOthers(loose.path.clone());
    if loose.look.is_writable_by_others() {
        let found = format!("other users may write to it (mode {mode:03o})");
        return Check::bad("modes", subject, Trouble::Integrity, found).remedy(close);
    }
    Check::warning("modes", subject, format!("other users may read it (mode {mode:03o})")).remedy(close)
}

fn of_place(place: &ExaminedPlace) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(system) = &place.file_system {
        checks.push(file_system(place, system));
        checks.push(room(place, system));
    }
    checks.extend(place.synced_by.map(|program| synced(place, program)));
    checks
}

fn file_system(place: &ExaminedPlace, system: &FileSystem) -> Check {
    let subject = Subject::Place(place.role);
    let name = system.name.unwrap_or("a file system that is not known here");
    let warning = |why: &str| {
        Check::warning("file-system", subject.clone(), format!("{name}: {why}")).remedy(Remedy::MoveVault)
    };
    match system.nature {
        Nature::Shared => {
            warning("locks may not exclude other machines, and a replaced file may be seen late")
        }
        Nature::InMemory if place.role != Role::Cache => warning("all of it is lost when the machine stops"),
        Nature::WithoutModes => warning("it knows no owners and modes, so that others may read it"),
        _ => Check::ok("file-system", subject, name),
    }
}

fn room(place: &ExaminedPlace, system: &FileSystem) -> Check {
    let subject = Subject::Place(place.role);
    let mend = Remedy::MakeRoom(place.path.clone());
    let bad =
        |found: String| Check::bad("room", subject.clone(), Trouble::Storage, found).remedy(mend.clone());
    let free = format!("{} MiB are free", system.free >> 20);
    match () {
        () if system.is_read_only => bad("it can only be read: no login can be renewed".to_owned()),
        () if system.free < NO_ROOM => bad(free),
        () if system.free_files.is_some_and(|files| files < NO_FILES) => {
            bad("no file can be made".to_owned())
        }
        () if system.free < LITTLE_ROOM => Check::warning("room", subject, free).remedy(mend),
        () => Check::ok("room", subject, free),
    }
}

/// A vault may be synced, being sealed. What this machine remembers must not be: it is how older copies
/// are recognised.
fn synced(place: &ExaminedPlace, program: &str) -> Check {
    let subject = Subject::Place(place.role);
    match place.role {
        Role::State => Check::warning(
            "synced",
            subject,
            format!("{program} copies it to other machines, where older copies are not recognised then"),
        )
        .remedy(Remedy::MoveVault),
        _ => Check::ok(
            "synced",
            subject,
            format!("{program} copies it to other machines; each login should be used on one of them"),
        ),
    }
}

fn lock(seen: &Examination) -> Check {
    match &seen.lock {
        None => Check::skipped("lock", Subject::None, "there is no vault to lock"),
        Some(Ok(true)) => Check::ok("lock", Subject::None, "keeps others away, and is free after its end"),
        Some(Ok(false)) => {
            Check::bad("lock", Subject::None, Trouble::Storage, "two processes get the same lock at once")
                .remedy(Remedy::MoveVault)
        }
        Some(Err(error)) => {
            Check::bad("lock", Subject::None, Trouble::Storage, "cannot be taken").detail(error_text(error))
        }
    }
}

fn error_text(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn remains(remains: &[Remains]) -> Vec<Check> {
    remains.iter().take(MOST_ALIKE).map(remain).collect()
}

fn remain(remains: &Remains) -> Check {
    if remains.is_set_aside {
        let subject = Subject::Path { path: remains.path.clone(), what: "a file that was set aside" };
        let found = "an interrupted write could not be read, and was kept";
        return Check::warning("leftovers", subject, found).remedy(Remedy::LookAt(remains.path.clone()));
    }
    let subject = Subject::Path { path: remains.path.clone(), what: "an unfinished file" };
    let remedy = remains.profile.clone().map_or(Remedy::CompleteAny, Remedy::Complete);
    Check::warning("leftovers", subject, "a write was interrupted").remedy(remedy)
}

/// The place of the socket, where there is one.
pub(super) fn runtime_dir(path: &Path) -> Option<Check> {
    let found = crate::system::look(path).ok()?;
    let subject = Subject::Path { path: path.to_owned(), what: "the place of the socket" };
    if found.kind == Kind::Directory && found.is_ours && !found.is_open_to_others() {
        return None;
    }
    let check = Check::bad(
        "modes",
        subject,
        Trouble::Integrity,
        "is not a directory for this user alone, so that no key is held there",
    );
    Some(match found.is_ours {
        true => check.remedy(Remedy::CloseToOthers(path.to_owned())),
        false => check.remedy(Remedy::TakeOwnership(path.to_owned())),
    })
}

/// Everything that is sealed, opened once.
pub(super) fn documents(ctx: Context<'_>, vault: &Unlocked, on_step: OnStep<'_>) -> Check {
    match verify::verify(ctx, vault, on_step) {
        Ok(summary) => {
            let found = format!(
                "{} and {} can be trusted and opened",
                counted(summary.documents, "document"),
                counted(summary.items, "sealed item")
            );
            Check::ok("documents", Subject::None, found)
        }
        Err(error) => {
            let check = Check::bad("documents", Subject::None, Trouble::Integrity, "not all can be trusted");
            check.because(error).remedy(Remedy::Verify)
        }
    }
}

/// What the vault key tells of interrupted work.
pub(super) fn halves_and_rescues(ctx: Context<'_>, vault: &Unlocked) -> Vec<Check> {
    let mut checks = Vec::new();
    let halves = rename::older_halves(ctx, vault).unwrap_or_default();
    for name in &halves {
        let check =
            Check::warning("leftovers", named(name), "a rename was interrupted: this is its old half");
        checks.push(check.remedy(Remedy::CompleteAny));
    }
    for name in ctx.store.profiles().unwrap_or_default() {
        let Ok(profile) = vault.profile(ctx, &name) else { continue };
        let grant = profile.facts.grant.as_ref();
        if rescue::is_outstanding(ctx, vault, profile.document.id(), grant).unwrap_or(false) {
            let found = "its newest tokens were printed, and have not been taken in";
            checks.push(
                Check::warning("leftovers", Subject::Profile(name), found).remedy(Remedy::ImportRescue),
            );
        }
    }
    let strangers = ctx.store.strangers().unwrap_or_default();
    if !strangers.is_empty() {
        let found = format!("{} among the documents and ignored", counted(strangers.len(), "foreign file"));
        checks.push(Check::warning("leftovers", Subject::None, found).detail(strangers.join(", ")));
    }
    if checks.is_empty() {
        checks.push(Check::ok("leftovers", Subject::None, "no rename or rescue is unfinished"));
    }
    checks
}

fn named(name: &Name) -> Subject {
    match name {
        Name::Client(name) => Subject::Client(name.clone()),
        Name::Profile(name) => Subject::Profile(name.clone()),
        _ => Subject::None,
    }
}
