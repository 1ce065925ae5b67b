//! `vault backup FILE`: the whole vault and its key in one age file, proven before it counts.

use std::path::Path;

use super::{Context, Error, Notice, Unlocked, documents, recover, rescue, vault, verify};
use crate::domain::{KeyId, VaultId};
use crate::seal::{Backup, BackupError, Format, KeyRing, Manifest, Part};
use crate::store::{Access, Name};
use crate::system::{check_free, take_back, write_new};
use crate::unlock::backup::{self, Sealing};
use crate::unlock::passphrase;

/// How well the file is known to be good. In any case it was read back, and is what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It was opened again, and holds what the vault holds.
    Opened,
    /// What opens it is not at hand.
    ReadBack,
}

/// What a backup holds.
#[derive(Debug)]
pub struct Summary {
    /// The vault.
    pub vault: VaultId,
    /// Its key.
    pub kid: KeyId,
    /// How many clients.
    pub clients: usize,
    /// How many profiles.
    pub profiles: usize,
    /// The length of the file in bytes.
    pub bytes: usize,
    /// How well it is known to be good.
    pub proof: Proof,
}

/// Refuses early what would be refused after a passphrase was typed.
///
/// # Errors
///
/// If something stands in the place of the file.
pub fn check_place(file: &Path) -> Result<(), Error> {
    Ok(check_free(file)?)
}

/// Writes the backup. `on_step` is told how many documents are read, and how many there are.
///
/// # Errors
///
/// If a document does not verify, the file exists, or what was written does not read back.
pub fn backup(
    ctx: Context<'_>,
    vault: &Unlocked,
    file: &Path,
    to: &Sealing,
    on_step: &dyn Fn(usize, usize),
) -> Result<Summary, Error> {
    if let Sealing::Passphrase(passphrase) = to {
        passphrase::check(passphrase)?;
    }
    check_place(file)?;
    let backup = gather(ctx, vault, on_step)?;
    let content = backup.to_bytes().map_err(BackupFile::at(file).refused())?;
    let sealed = backup::seal(&content, to, ctx.ways.person())?;
    write_new(file, &sealed)?;
    let proof = prove(ctx, vault, file, (&sealed, &content), to).inspect_err(|_| {
        // Nobody is to rely on it.
        take_back(file);
    })?;
    Ok(summary(&backup, sealed.len(), proof))
}

fn summary(backup: &Backup, bytes: usize, proof: Proof) -> Summary {
    let (clients, profiles) = backup.count();
    Summary { vault: backup.vault.clone(), kid: backup.kid(), clients, profiles, bytes, proof }
}

/// One state of the whole vault, every document and item of it checked.
fn gather(ctx: Context<'_>, vault: &Unlocked, on_step: &dyn Fn(usize, usize)) -> Result<Backup, Error> {
    let _lock = verify::lock_if_writable(ctx, vault, Access::Exclusive)?;
    check_one_key(ctx, vault)?;
    // So that the newest state is what is backed up.
    recover::everything(ctx, vault)?;
    verify::verify_locked(ctx, vault, on_step)?;
    warn_of_rescues(ctx, vault)?;
    let mut documents = Vec::new();
    for name in verify::names(ctx)? {
        let Some(part) = part(&name) else { continue };
        let stored = ctx.store.read(&name)?.ok_or(Error::ManifestMissing)?;
        let document = documents::parse(&name, &stored.bytes)?;
        let document = document.verify(&vault.id, &vault.keys).map_err(documents::refused(&name))?;
        documents.push((part, document));
    }
    let keys = KeyRing::of(vault.keys.current().copy());
    Ok(Backup { created_at: ctx.clock.now(), vault: vault.id.clone(), keys, documents })
}

/// A vault that is under two keys is whole only with both.
fn check_one_key(ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
    let manifest = documents::load::<Manifest>(ctx, vault, &Name::Manifest, Format::Manifest)?;
    match manifest.ok_or(Error::ManifestMissing)?.facts.rotation {
        Some(_) => Err(Error::RotationUnfinished),
        None => Ok(()),
    }
}

/// What was only printed is in no backup.
fn warn_of_rescues(ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
    for profile in rescue::outstanding(ctx, vault)? {
        ctx.notices.notice(&Notice::RescueNotInBackup { profile });
    }
    Ok(())
}

fn part(name: &Name) -> Option<Part> {
    match name {
        Name::Manifest => Some(Part::Manifest),
        Name::Client(name) => Some(Part::Client(name.clone())),
        Name::Profile(name) => Some(Part::Profile(name.clone())),
        Name::Token(..) => None,
    }
}

/// Reads the file again from the disk, and opens it with what opens it.
fn prove(
    ctx: Context<'_>,
    vault: &Unlocked,
    file: &Path,
    (sealed, content): (&[u8], &[u8]),
    to: &Sealing,
) -> Result<Proof, Error> {
    let about = BackupFile::at(file);
    let read = backup::read(file).map_err(about.not_opened())?;
    if read != sealed {
        return Err(about.not_proven());
    }
    let opened = match to {
        Sealing::Passphrase(passphrase) => Some(
            backup::open_with_passphrase(&read, passphrase)
                .map_err(|error| about.not_opened()(backup::Error::NotOpened(error)))?,
        ),
        Sealing::Recipients(_) => backup::open_if_at_hand(&read, &vault::with_remembered(ctx, &vault.id)),
    };
    let Some(opened) = opened else { return Ok(Proof::ReadBack) };
    let is_the_same = *opened == *content;
    Backup::parse(&opened).map_err(about.refused())?;
    if is_the_same { Ok(Proof::Opened) } else { Err(about.not_proven()) }
}

/// A backup, to be named in the errors about it.
pub(super) struct BackupFile(String);

impl BackupFile {
    pub(super) fn at(file: &Path) -> Self {
        Self(file.display().to_string())
    }

    pub(super) fn refused(&self) -> impl FnOnce(BackupError) -> Error {
        let file = self.0.clone();
        move |source| Error::Backup { file, source }
    }

    pub(super) fn not_opened(&self) -> impl FnOnce(backup::Error) -> Error {
        let file = self.0.clone();
        move |source| Error::BackupNotOpened { file, source }
    }

    pub(super) fn not_proven(&self) -> Error {
        Error::BackupNotProven { file: self.0.clone() }
    }
}
