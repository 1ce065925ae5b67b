//! `vault provider list|show|add|remove`: who issues tokens. Some are built in; the user's own stand in the
//! manifest, under its MAC.

mod error;

use std::borrow::Cow;

pub use error::Error;

use super::{Context, Unlocked, Vault, clients, key_slots};
use crate::domain::ClientName;
use crate::oauth::provider::{self, GENERIC, Provider};
use crate::seal::{Manifest, OwnProvider};

/// Most providers of the user's own, so that the manifest stays small: it is read for every token.
const MAX_OWN: usize = 16;

/// Most bytes of all their files together: the manifest has at most 1 MiB.
const MAX_FILES: usize = 256 * 1024;

/// A provider as it is listed.
pub struct Listed {
    /// What it is.
    pub provider: Cow<'static, Provider>,
    /// Whether the user has added it.
    pub is_own: bool,
    /// The clients that were made of it, as far as they can be read. Not verified.
    pub clients: Vec<ClientName>,
}

/// What has become of a provider's file.
pub struct Added {
    /// The provider.
    pub provider: Provider,
    /// Whether one of the same name was replaced.
    pub replaced: bool,
    /// The clients that keep the endpoints and hosts of the one before.
    pub keep: Vec<ClientName>,
}

impl Unlocked {
    /// The provider called `id`: the user's own, a built-in one, or the generic one.
    ///
    /// One whose file only a newer version can read counts as unknown: its clients have what they need pinned.
    pub fn provider(&self, id: &str) -> Cow<'static, Provider> {
        of(&self.manifest.facts, id)
    }

    /// The providers that the user has added, as far as their files can be read.
    pub fn own_providers(&self) -> impl Iterator<Item = Provider> {
        self.manifest.facts.providers.iter().filter_map(|own| read(own).ok())
    }

    /// The provider that is known by the name `id`, own or built in.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is none, [`Error::Flawed`] if its file cannot be read.
    pub fn known_provider(&self, id: &str) -> Result<Cow<'static, Provider>, super::Error> {
        known(&self.manifest.facts, id)
    }
}

/// The same for showing, of a manifest that may not be verified.
pub fn of(manifest: &Manifest, id: &str) -> Cow<'static, Provider> {
    match known(manifest, id) {
        Ok(provider) => provider,
        Err(error) => {
            if own(manifest, id).is_some() {
                log::warn!("the provider {id} is treated as one of which nothing is known: {error}");
            }
            Cow::Borrowed(&GENERIC)
        }
    }
}

fn own<'a>(manifest: &'a Manifest, id: &str) -> Option<&'a OwnProvider> {
    manifest.providers.iter().find(|own| own.id == id)
}

fn known(manifest: &Manifest, id: &str) -> Result<Cow<'static, Provider>, super::Error> {
    if let Some(own) = own(manifest, id) {
        return Ok(Cow::Owned(read(own)?));
    }
    let unknown = || Error::Unknown { id: id.to_owned(), known: names_of(manifest) }.into();
    provider::find(id).map(Cow::Borrowed).ok_or_else(unknown)
}

/// The built-in provider called `id`.
///
/// # Errors
///
/// [`Error::Unknown`] if there is none.
pub fn built_in(id: &str) -> Result<&'static Provider, super::Error> {
    let unknown =
        || Error::Unknown { id: id.to_owned(), known: provider::ids().map(str::to_owned).collect() };
    Ok(provider::find(id).ok_or_else(unknown)?)
}

fn read(own: &OwnProvider) -> Result<Provider, Error> {
    let flawed = |flaw| Error::Flawed { id: Some(own.id.clone()), flaw };
    provider::parse(own.file.as_bytes(), own.insecure_loopback).map_err(flawed)
}

fn names_of(manifest: &Manifest) -> Vec<String> {
    let own = manifest.providers.iter().map(|own| own.id.clone());
    let mut names: Vec<String> = own.chain(provider::ids().map(str::to_owned)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The names of all providers. Not verified; needs no vault.
///
/// # Errors
///
/// If there is a vault that cannot be read.
pub fn names(ctx: Context<'_>) -> Result<Vec<String>, super::Error> {
    let vault = Vault::find(ctx)?;
    Ok(vault.map_or_else(|| provider::ids().map(str::to_owned).collect(), |vault| names_of(vault.manifest())))
}

/// All providers in the order of their names. Not verified; needs no vault.
///
/// # Errors
///
/// If there is a vault that cannot be read.
pub fn list(ctx: Context<'_>) -> Result<Vec<Listed>, super::Error> {
    names(ctx)?.into_iter().map(|id| show(ctx, &id)).collect()
}

/// One provider. Not verified; needs no vault.
///
/// # Errors
///
/// [`Error::Unknown`] if there is none.
pub fn show(ctx: Context<'_>, id: &str) -> Result<Listed, super::Error> {
    let vault = Vault::find(ctx)?;
    let (provider, is_own) = match vault.as_ref().map(Vault::manifest) {
        Some(manifest) => (known(manifest, id)?, own(manifest, id).is_some()),
        None => (Cow::Borrowed(built_in(id)?), false),
    };
    let clients = if vault.is_some() { clients_of(ctx, id)? } else { Vec::new() };
    Ok(Listed { provider, is_own, clients })
}

/// The clients whose documents name the provider `id`. Not verified.
fn clients_of(ctx: Context<'_>, id: &str) -> Result<Vec<ClientName>, super::Error> {
    let listed = clients::list(ctx)?.into_iter();
    let uses = |listed: &clients::Listed| listed.client.as_ref().is_ok_and(|it| it.client.provider == id);
    Ok(listed.filter(uses).map(|listed| listed.name).collect())
}

/// Sees whether `file` can be the file of a provider.
///
/// # Errors
///
/// [`Error::Flawed`] and [`Error::BuiltIn`].
pub fn check(file: &[u8], insecure_loopback: bool) -> Result<Provider, super::Error> {
    let flawed = |flaw| Error::Flawed { id: None, flaw };
    let provider = provider::parse(file, insecure_loopback).map_err(flawed)?;
    if provider::ids().any(|known| known == provider.id) || provider.id == GENERIC.id {
        return Err(Error::BuiltIn { id: provider.id }.into());
    }
    Ok(provider)
}

/// Adds a provider of the user's own.
///
/// A client that was made of it keeps the endpoints and hosts that it was made with, whatever the file says later:
/// no file can carry a token to where it did not go before.
///
/// # Errors
///
/// [`Error::Flawed`] if the file is not sound, [`Error::BuiltIn`], [`Error::Exists`] and [`Error::Taken`] if its
/// name is another's, [`Error::TooMany`] if there is no room.
pub fn add(
    ctx: Context<'_>,
    vault: &Unlocked,
    file: &[u8],
    insecure_loopback: bool,
    replace: bool,
) -> Result<Added, super::Error> {
    let provider = check(file, insecure_loopback)?;
    let id = provider.id.clone();
    let own = OwnProvider {
        id: id.clone(),
        added_at: ctx.clock.now(),
        insecure_loopback,
        file: String::from_utf8(file.to_vec()).expect("a file that was read as TOML is UTF-8"),
    };
    let (mut replaced, mut keep) = (false, Vec::new());
    key_slots::update(ctx, vault, |manifest| {
        let place = manifest.providers.iter().position(|known| known.id == id);
        let clients = clients_of(ctx, &id)?;
        match place {
            Some(_) if !replace => return Err(Error::Exists { id: id.clone() }.into()),
            // Their server was discovered under a host of this name, and is somebody else.
            None if !clients.is_empty() => return Err(Error::Taken { id: id.clone(), clients }.into()),
            Some(place) => manifest.providers[place] = own,
            None => manifest.providers.push(own),
        }
        (replaced, keep) = (place.is_some(), clients);
        let size: usize = manifest.providers.iter().map(|own| own.file.len()).sum();
        if manifest.providers.len() > MAX_OWN || size > MAX_FILES {
            return Err(Error::TooMany { count: MAX_OWN, size: MAX_FILES / 1024 }.into());
        }
        Ok(())
    })?;
    Ok(Added { provider, replaced, keep })
}

/// Removes a provider of the user's own that no client was made of.
///
/// # Errors
///
/// [`Error::InUse`], [`Error::BuiltIn`], or [`Error::Unknown`] if there is none.
pub fn remove(ctx: Context<'_>, vault: &Unlocked, id: &str) -> Result<(), super::Error> {
    key_slots::update(ctx, vault, |manifest| {
        let Some(place) = manifest.providers.iter().position(|own| own.id == id) else {
            return Err(match provider::ids().any(|known| known == id) {
                true => Error::BuiltIn { id: id.to_owned() },
                false => Error::Unknown { id: id.to_owned(), known: names_of(manifest) },
            }
            .into());
        };
        let clients = clients_of(ctx, id)?;
        if !clients.is_empty() {
            return Err(Error::InUse { id: id.to_owned(), clients }.into());
        }
        manifest.providers.remove(place);
        Ok(())
    })?;
    Ok(())
}
