//! `vault list`, `vault show`, `vault use`: what there is. Reading opens nothing.

use super::{Context, Error, Unlocked, Vault, documents, key_slots};
use crate::domain::{DocumentId, GrantType, Profile, ProfileName, SealedField};
use crate::seal::{Document, Format, Manifest};
use crate::store::Name;

/// A profile as it is listed: facts that have not been verified.
pub struct Listed {
    /// Its name in the store.
    pub name: ProfileName,
    /// What is in its document, or why that cannot be read.
    pub profile: Result<Facts, Error>,
}

/// The facts of a profile.
pub struct Facts {
    /// Its document.
    pub id: DocumentId,
    /// What the document says.
    pub profile: Profile,
    /// The name of its client, if that is there.
    pub client: Option<String>,
    /// The name of the profile whose token asks for its own, if there is one and it is there.
    pub source: Option<String>,
    /// The secrets that it holds.
    pub secrets: Vec<SealedField>,
    /// Whether it is the default profile.
    pub is_default: bool,
}

impl Facts {
    /// Whether it holds this secret.
    pub fn holds(&self, field: SealedField) -> bool {
        self.secrets.contains(&field)
    }
}

/// All profiles, in order; opens nothing.
///
/// # Errors
///
/// If there is no vault, or it cannot be listed.
pub fn list(ctx: Context<'_>) -> Result<Vec<Listed>, Error> {
    let default = Vault::open(ctx)?.manifest().default_profile.clone();
    let clients = client_names(ctx)?;
    let listed = |name: ProfileName| {
        let profile = read(ctx, &name, default.as_ref(), &clients);
        Listed { name, profile }
    };
    Ok(ctx.store.profiles()?.into_iter().map(listed).collect())
}

/// One profile; opens nothing.
///
/// # Errors
///
/// [`Error::NoProfile`] if there is none.
pub fn show(ctx: Context<'_>, name: &ProfileName) -> Result<Facts, Error> {
    let default = Vault::open(ctx)?.manifest().default_profile.clone();
    read(ctx, name, default.as_ref(), &client_names(ctx)?)
}

/// The names of all profiles.
///
/// # Errors
///
/// If they cannot be listed.
pub fn names(ctx: Context<'_>) -> Result<Vec<ProfileName>, Error> {
    Ok(ctx.store.profiles()?)
}

/// The profile that is meant where none is named: the default one of `manifest`, else the only one.
///
/// # Errors
///
/// [`Error::NoDefault`] if there is none.
pub fn default_profile(ctx: Context<'_>, manifest: &Manifest) -> Result<ProfileName, Error> {
    let Some(id) = &manifest.default_profile else {
        return only_profile(ctx);
    };
    if let Some(name) = &manifest.default_profile_name
        && generation(ctx, name, id)?.is_some()
    {
        return Ok(name.clone());
    }
    let mut found = None;
    for name in ctx.store.profiles()? {
        // An interrupted rename leaves two of them; the newer one counts.
        found = found.max(generation(ctx, &name, id)?.map(|generation| (generation, name)));
    }
    match found {
        Some((_, name)) => Ok(name),
        // It was chosen and is gone: another one is not what was meant.
        None => Err(no_default(ctx)?),
    }
}

/// The generation of the document `id`, if it stands under `name`.
fn generation(ctx: Context<'_>, name: &ProfileName, id: &DocumentId) -> Result<Option<u64>, Error> {
    let Some(stored) = ctx.store.read(&Name::Profile(name.clone()))? else { return Ok(None) };
    let document = Document::parse(&stored.bytes).ok().filter(|document| document.id() == id);
    Ok(document.map(|document| document.generation()))
}

fn no_default(ctx: Context<'_>) -> Result<Error, Error> {
    let known = ctx.store.profiles()?.iter().map(ToString::to_string).collect();
    Ok(Error::NoDefault { known })
}

fn only_profile(ctx: Context<'_>) -> Result<ProfileName, Error> {
    match &ctx.store.profiles()?[..] {
        [name] => Ok(name.clone()),
        _ => Err(no_default(ctx)?),
    }
}

/// Makes `name` the default profile.
///
/// # Errors
///
/// [`Error::NoProfile`] if there is none.
pub fn set_default(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<(), Error> {
    ctx.audit.profile(name);
    let id = vault.profile(ctx, name)?.document.id().clone();
    key_slots::update(ctx, vault, |manifest| {
        manifest.default_profile = Some(id);
        manifest.default_profile_name = Some(name.clone());
        Ok(())
    })?;
    Ok(())
}

fn read(
    ctx: Context<'_>,
    name: &ProfileName,
    default: Option<&DocumentId>,
    clients: &[(DocumentId, String)],
) -> Result<Facts, Error> {
    let stored_as = Name::Profile(name.clone());
    let stored = ctx.store.read(&stored_as)?.ok_or_else(|| documents::no_profile(ctx, name))?;
    let document = documents::parse(&stored_as, &stored.bytes)?;
    documents::check_format(&stored_as, &document, Format::Profile)?;
    let profile: Profile = documents::facts(&stored_as, &document)?;
    let client = clients.iter().find(|(id, _)| *id == profile.client).map(|(_, name)| name.clone());
    Ok(Facts {
        client,
        source: source_name(ctx, &profile)?,
        secrets: SealedField::OF_PROFILE.into_iter().filter(|field| document.holds(*field)).collect(),
        is_default: default == Some(document.id()),
        id: document.id().clone(),
        profile,
    })
}

/// The name of the profile whose token asks for those of `profile`.
fn source_name(ctx: Context<'_>, profile: &Profile) -> Result<Option<String>, Error> {
    let GrantType::Impersonation { source, .. } = &profile.grant_type else { return Ok(None) };
    let mut found = None;
    for name in ctx.store.profiles()? {
        // An interrupted rename leaves two of them; the newer one counts.
        found = found.max(generation(ctx, &name, source)?.map(|generation| (generation, name)));
    }
    Ok(found.map(|(_, name)| name.to_string()))
}

/// The document and the name of each client that can be read.
fn client_names(ctx: Context<'_>) -> Result<Vec<(DocumentId, String)>, Error> {
    let mut names = Vec::new();
    for name in ctx.store.clients()? {
        let Some(stored) = ctx.store.read(&Name::Client(name.clone()))? else { continue };
        if let Ok(document) = Document::parse(&stored.bytes) {
            names.push((document.id().clone(), name.to_string()));
        }
    }
    Ok(names)
}
