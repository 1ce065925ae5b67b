//! `vault status`: how the vault and its grants are, and what is going to need attention.

use jiff::Timestamp;

use super::registry::{self, Facts, Listed};
use super::secrets::{self, ProviderSecret};
use super::{Context, Error, Vault, clients, providers};
use crate::domain::{DocumentId, KeyId, ProfileName, TokenId, VaultId};
use crate::oauth::diagnosis::{self, Limits, Warning};
use crate::seal::Document;
use crate::store::{Name, Pin};

/// How the vault is. Nothing in it has been verified.
pub struct Status {
    /// Where it is.
    pub location: String,
    /// Its identifier.
    pub vault: VaultId,
    /// The key that it is sealed to.
    pub kid: KeyId,
    /// What this machine has accepted, if it has seen the vault before.
    pub pin: Option<Pin>,
    /// The kinds of its key slots.
    pub slots: Vec<&'static str>,
    /// What rotations have left beside the secrets in use.
    pub unfinished: Vec<ProviderSecret>,
    /// Its profiles.
    pub profiles: Vec<ProfileStatus>,
}

/// How a profile is.
pub struct ProfileStatus {
    /// Its facts.
    pub listed: Listed,
    /// When its cached access token ends, if there is one.
    pub token_expires_at: Option<Timestamp>,
    /// What is going to need attention.
    pub warnings: Vec<Warning>,
}

/// How the vault is, with all profiles or only `name`; opens nothing.
///
/// # Errors
///
/// If there is no vault, or no such profile.
pub fn status(ctx: Context<'_>, name: Option<&ProfileName>) -> Result<Status, Error> {
    let vault = Vault::open(ctx)?;
    let listed = match name {
        Some(name) => vec![Listed { name: name.clone(), profile: Ok(registry::show(ctx, name)?) }],
        None => registry::list(ctx)?,
    };
    Ok(Status {
        location: ctx.store.location(),
        vault: vault.id().clone(),
        kid: vault.kid().clone(),
        pin: ctx.memory.pin(vault.id())?,
        slots: vault.manifest().slots.iter().map(|slot| slot.kind.as_str()).collect(),
        unfinished: secrets::unfinished(&clients::list(ctx)?, &listed),
        profiles: listed.into_iter().map(|listed| profile_status(ctx, &vault, listed)).collect(),
    })
}

fn profile_status(ctx: Context<'_>, vault: &Vault, listed: Listed) -> ProfileStatus {
    let facts = listed.profile.as_ref().ok();
    let token = facts.and_then(|facts| cached(ctx, vault.id(), &facts.id));
    let last_used = token.as_ref().map(|token| token.obtained_at);
    ProfileStatus {
        warnings: facts.map(|facts| warnings(ctx, vault, facts, last_used)).unwrap_or_default(),
        token_expires_at: token.and_then(|token| token.expires_at),
        listed,
    }
}

fn warnings(ctx: Context<'_>, vault: &Vault, facts: &Facts, last_used: Option<Timestamp>) -> Vec<Warning> {
    let Some(grant) = &facts.profile.grant else { return Vec::new() };
    // What ends by itself is a consent.
    if !facts.profile.grant_type.needs_person() {
        return Vec::new();
    }
    let limits = Limits::of(&providers::of(vault.manifest(), &facts.profile.provider));
    let facts = super::refresh::diagnosis_facts(ctx, limits, &facts.profile, grant, last_used);
    diagnosis::warnings(&facts)
}

/// What a cached token says of itself, without opening it.
#[derive(serde::Deserialize)]
struct CachedFacts {
    obtained_at: Timestamp,
    expires_at: Option<Timestamp>,
}

fn cached(ctx: Context<'_>, vault: &VaultId, id: &DocumentId) -> Option<CachedFacts> {
    let stored = ctx.store.read(&Name::Token(vault.clone(), TokenId::plain(id))).ok()??;
    Document::parse(&stored.bytes).ok()?.facts().ok()
}
