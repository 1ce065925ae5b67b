//! `vault unlock`, `vault lock`, `vault unlocked`: the vault key held for a while.

use std::time::Duration;

use super::{Context, Error, Unlocked, Vault};
use crate::unlock::agent;

/// Hands the vault key to the agent, which forgets it after `life`.
///
/// # Errors
///
/// If the agent does not answer.
pub fn hold(vault: &Unlocked, agent: &agent::Client, life: Duration) -> Result<(), Error> {
    let kid = vault.key.id(&vault.id);
    Ok(agent.hold(&vault.id, &kid, &vault.key, life)?)
}

/// Has the agent forget the key of this vault. An agent that is not there holds none.
///
/// # Errors
///
/// If there is no vault, or the agent does not answer.
pub fn forget(ctx: Context<'_>, agent: Option<&agent::Client>) -> Result<(), Error> {
    let vault = Vault::open(ctx)?;
    match agent {
        Some(agent) => Ok(agent.forget(vault.id())?),
        None => Ok(()),
    }
}

/// How long the agent still holds the key of this vault.
///
/// # Errors
///
/// If there is no vault, or the agent does not answer.
pub fn left(ctx: Context<'_>, agent: Option<&agent::Client>) -> Result<Option<Duration>, Error> {
    let vault = Vault::open(ctx)?;
    match agent {
        Some(agent) => Ok(agent.left(vault.id())?),
        None => Ok(None),
    }
}
