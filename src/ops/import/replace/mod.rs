//! `vault import --replace`: a file goes, or loses its secrets, once they are proven to be in the vault; and
//! `vault import --undo`, which brings it back.
//!
//! Whenever it is killed, the file is there, or everything in it opens in the vault and a sealed copy of it too: the
//! file is touched last.

mod copies;
mod form;

use std::path::Path;

use secrecy::SecretString;

use super::item::{Input, Item};
use super::{Error, formats};
use crate::domain::{Client, ClientName, Profile, ProfileName, SealedField};
use crate::ops::turn::in_turn;
use crate::ops::{self, Context, Loaded, Unlocked, client_secret, documents};
use crate::store::{Access, Expected, Name};
use crate::system::{TakenFile, make_directories_above, write_new};
use copies::{Copies, MAX_BYTES};
use form::Form;

/// A file that was read and taken in.
#[derive(Debug)]
pub struct Source<'a> {
    /// Where it is, from the root.
    pub path: &'a Path,
    /// What was read.
    pub bytes: &'a [u8],
    /// Profiles that were made of it and whose refresh token the provider has just accepted, and may have replaced.
    pub proven: &'a [ProfileName],
}

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is gone.
    Removed(Kept),
    /// It has no secret of these logins any more, and asks the vault instead.
    Hooked(Kept, Vec<Remote>),
    /// It is there as it was, and why.
    Stays(String),
}

/// A remote of rclone that asks the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// The profile that it asks for.
    pub profile: ProfileName,
}

/// What is known of a file that has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where its copy is.
    pub holder: Holder,
    /// Whether others than its owner could read it.
    pub was_open_to_others: bool,
    /// Whether it was what the libraries of Google look for.
    pub was_adc: bool,
}

/// The document that holds what was in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A profile.
    Profile(ProfileName),
    /// A client, of a file without a login.
    Client(ClientName),
}

impl Holder {
    fn name(&self) -> Name {
        match self {
            Self::Profile(name) => Name::Profile(name.clone()),
            Self::Client(name) => Name::Client(name.clone()),
        }
    }
}

/// Proves that everything in `source` is in the vault, keeps a sealed copy of it there, and takes it away.
///
/// # Errors
///
/// If the vault cannot be read or written. What speaks against the file itself is no error: it stays.
pub fn replace(ctx: Context<'_>, vault: &Unlocked, source: &Source<'_>) -> Result<Fate, ops::Error> {
    let file = match TakenFile::look(source.path, source.bytes) {
        Ok(file) => file,
        Err(why) => return Ok(Fate::Stays(why.to_owned())),
    };
    let Some(path) = source.path.to_str() else {
        return Ok(Fate::Stays("its name is no text".to_owned()));
    };
    let input = Input { name: source.path.file_name(), bytes: source.bytes };
    let items = formats::read(&input).unwrap_or_default();
    let Some(holders) = holders(ctx, vault, &items, source.proven)? else {
        return Ok(Fate::Stays("not everything in it is in the vault".to_owned()));
    };
    let form = form(source.bytes, &items);
    let holder = match (&form, holders.first()) {
        (Form::Mixed(why), _) => return Ok(Fate::Stays(why.clone())),
        (_, None) => return Ok(Fate::Stays("nothing of it was taken in".to_owned())),
        (_, Some(holder)) => holder.clone(),
    };
    if !keep(ctx, vault, &holder, path, source.bytes)? {
        let most = MAX_BYTES / 1024;
        return Ok(Fate::Stays(format!("it is too long for a copy of it to be kept ({most} KiB at most)")));
    }
    // What the disk has now, and not what we believe to have written.
    let is_proven = is_kept(ctx, vault, &holder, path, source.bytes)?
        && holders_again(ctx, vault, &items, source.proven)?;
    if !is_proven {
        return Ok(Fate::Stays("it does not read back from the vault as it is".to_owned()));
    }
    let gone = match &form {
        Form::Without(text) => file.replace(text),
        _ => file.remove(),
    };
    if let Err(why) = gone {
        return Ok(Fate::Stays(why));
    }
    let kept = Kept {
        holder,
        was_open_to_others: file.is_open_to_others(),
        was_adc: items.iter().any(|item| item.kind == "authorized_user"),
    };
    Ok(match form {
        Form::Without(_) => Fate::Hooked(kept, remotes(&items, &holders)),
        _ => Fate::Removed(kept),
    })
}

fn form(bytes: &[u8], items: &[Item]) -> Form {
    let kinds = |wanted: &str| items.iter().all(|item| item.kind == wanted);
    if kinds("pickle") {
        return Form::Whole;
    }
    if kinds("sqlite") {
        return Form::Mixed(
            "it is a database that other programs write to; take the account out of it with the program itself, in a way \
             that does not end its login at the provider"
                .to_owned(),
        );
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Form::Mixed("it is no plain text".to_owned()) };
    if kinds("rclone") {
        let labels: Vec<&str> = items.iter().filter_map(|item| item.label.as_deref()).collect();
        return form::of_rclone(text, &labels);
    }
    if text.trim_start().starts_with('{') {
        return form::of_json(text.trim().as_bytes(), kinds("service_account"));
    }
    Form::Mixed("it has other lines too; take the secrets out of it by hand".to_owned())
}

fn remotes(items: &[Item], holders: &[Holder]) -> Vec<Remote> {
    let remote = |(item, holder): (&Item, &Holder)| match holder {
        Holder::Profile(profile) => Some(Remote { name: item.label.clone()?, profile: profile.clone() }),
        Holder::Client(_) => None,
    };
    items.iter().zip(holders).filter_map(remote).collect()
}

/// For each item the document that holds it, all opened anew; `None` if one is held by none.
fn holders(
    ctx: Context<'_>,
    vault: &Unlocked,
    items: &[Item],
    proven: &[ProfileName],
) -> Result<Option<Vec<Holder>>, ops::Error> {
    let mut unmatched: Vec<&ProfileName> = proven.iter().collect();
    let mut holders = Vec::new();
    for item in items {
        match holder(ctx, vault, item, &mut unmatched)? {
            Some(holder) => holders.push(holder),
            None => return Ok(None),
        }
    }
    Ok(Some(holders))
}

fn holders_again(
    ctx: Context<'_>,
    vault: &Unlocked,
    items: &[Item],
    proven: &[ProfileName],
) -> Result<bool, ops::Error> {
    Ok(holders(ctx, vault, items, proven)?.is_some())
}

fn holder(
    ctx: Context<'_>,
    vault: &Unlocked,
    item: &Item,
    proven: &mut Vec<&ProfileName>,
) -> Result<Option<Holder>, ops::Error> {
    let Some(grant) = &item.grant else { return holder_of_client(ctx, vault, item) };
    for name in ctx.store.profiles()? {
        let Some(profile) = vault.find_profile(ctx, &name)? else { continue };
        let (_, client) = vault.client(ctx, &profile.facts.client)?;
        let same_token = open(vault, &profile, &client.facts, SealedField::RefreshToken)?
            .is_some_and(|known| client_secret::is_same(&known, &grant.refresh_token));
        // One that was used since may have another token, and is known by having been made of this file.
        let is_it = same_token || proven.contains(&&name);
        if is_it && is_held(vault, item, &profile, &client)? {
            proven.retain(|other| **other != name);
            return Ok(Some(Holder::Profile(name)));
        }
    }
    Ok(None)
}

/// Whether what stands beside the refresh token is in the vault too.
fn is_held(
    vault: &Unlocked,
    item: &Item,
    profile: &Loaded<Profile>,
    client: &Loaded<Client>,
) -> Result<bool, ops::Error> {
    if let Some(api_key) = &item.api_key {
        let known = profile.document.holds(SealedField::ApiKey);
        let binding = crate::domain::Binding::issuer_only(&client.facts.issuer);
        let opened = profile.document.open(&vault.keys, SealedField::ApiKey, &binding);
        if !known || !opened.is_ok_and(|(key, _)| client_secret::is_same(&key, api_key)) {
            return Ok(false);
        }
    }
    is_client_held(vault, item, client)
}

fn is_client_held(vault: &Unlocked, item: &Item, client: &Loaded<Client>) -> Result<bool, ops::Error> {
    let Some(found) = &item.client else { return Ok(true) };
    if found.client_id != client.facts.client_id {
        return Ok(false);
    }
    let Some(secret) = &found.client_secret else { return Ok(true) };
    let stored_as = Name::Client(client.facts.name.clone());
    let known = client_secret::client_secret(vault, client, &stored_as)?;
    Ok(known.is_some_and(|known| client_secret::is_same(&known, secret)))
}

fn holder_of_client(ctx: Context<'_>, vault: &Unlocked, item: &Item) -> Result<Option<Holder>, ops::Error> {
    for name in ctx.store.clients()? {
        let Some(client) = vault.find_client(ctx, &name)? else { continue };
        if item.client.is_some() && is_client_held(vault, item, &client)? {
            return Ok(Some(Holder::Client(name)));
        }
    }
    Ok(None)
}

fn open(
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    client: &Client,
    field: SealedField,
) -> Result<Option<SecretString>, ops::Error> {
    if !profile.document.holds(field) {
        return Ok(None);
    }
    let opened = profile.document.open(&vault.keys, field, &client.binding());
    let (secret, _) = opened.map_err(documents::refused(&Name::Profile(profile.facts.name.clone())))?;
    Ok(Some(secret))
}

/// Keeps a copy, unless there is no room for it.
fn keep(
    ctx: Context<'_>,
    vault: &Unlocked,
    holder: &Holder,
    path: &str,
    bytes: &[u8],
) -> Result<bool, ops::Error> {
    let at = ctx.clock.now();
    change(ctx, vault, holder, |copies| copies.add(path, at, bytes))
}

/// Changes the copies of a document, if `change` says that there is something to write.
fn change(
    ctx: Context<'_>,
    vault: &Unlocked,
    holder: &Holder,
    change: impl FnOnce(&mut Copies) -> bool,
) -> Result<bool, ops::Error> {
    let name = holder.name();
    match holder {
        Holder::Profile(profile) => {
            in_turn(ctx, vault, profile, |current, _| write(ctx, vault, &name, &current, change))
        }
        Holder::Client(client) => {
            let _lock = vault.lock(ctx, Access::Exclusive)?;
            write(ctx, vault, &name, &vault.client_named(ctx, client)?, change)
        }
    }
}

fn write<T: serde::Serialize + serde::de::DeserializeOwned>(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &Name,
    current: &Loaded<T>,
    change: impl FnOnce(&mut Copies) -> bool,
) -> Result<bool, ops::Error> {
    let mut copies = Copies::open(vault, name, &current.document)?;
    if !change(&mut copies) {
        return Ok(false);
    }
    let document = copies.seal(vault, current.next()).sign(&vault.keys);
    documents::save(ctx, name, &document, Expected::Revision(&current.revision))?;
    Ok(true)
}

fn copies(ctx: Context<'_>, vault: &Unlocked, holder: &Holder) -> Result<Copies, ops::Error> {
    let name = holder.name();
    match holder {
        Holder::Profile(profile) => Copies::open(vault, &name, &vault.profile(ctx, profile)?.document),
        Holder::Client(client) => Copies::open(vault, &name, &vault.client_named(ctx, client)?.document),
    }
}

fn is_kept(
    ctx: Context<'_>,
    vault: &Unlocked,
    holder: &Holder,
    path: &str,
    bytes: &[u8],
) -> Result<bool, ops::Error> {
    let copies = copies(ctx, vault, holder)?;
    let kept = copies.find(path).and_then(copies::Kept::bytes);
    Ok(kept.is_some_and(|kept| kept.as_slice() == bytes))
}

/// Puts a file back where it was, for its owner alone, and forgets the copy. Says where the copy was.
///
/// # Errors
///
/// [`Error::NoCopy`] if there is none; if something stands in its place; else as for every change.
pub fn undo(ctx: Context<'_>, vault: &Unlocked, path: &Path) -> Result<Holder, ops::Error> {
    let mut known = Vec::new();
    let text = path.to_str().unwrap_or_default();
    for holder in all(ctx)? {
        let copies = copies(ctx, vault, &holder)?;
        let Some(bytes) = copies.find(text).and_then(copies::Kept::bytes) else {
            known.extend(copies.paths().map(str::to_owned));
            continue;
        };
        make_directories_above(path)?;
        write_new(path, &bytes)?;
        match &holder {
            Holder::Profile(name) => ctx.audit.profile(name),
            Holder::Client(name) => ctx.audit.client(name),
        }
        change(ctx, vault, &holder, |copies| {
            copies.remove(text);
            true
        })?;
        return Ok(holder);
    }
    Err(Error::NoCopy { path: path.to_owned(), known }.into())
}

fn all(ctx: Context<'_>) -> Result<Vec<Holder>, ops::Error> {
    let profiles = ctx.store.profiles()?.into_iter().map(Holder::Profile);
    let clients = ctx.store.clients()?.into_iter().map(Holder::Client);
    Ok(profiles.chain(clients).collect())
}
