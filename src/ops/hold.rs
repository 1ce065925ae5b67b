//! `vault unlock`, `vault lock`, `vault unlocked`: the vault key held for a while.

use std::time::Duration;

use jiff::Timestamp;

use super::{Context, Error, Unlocked, Vault};
use crate::unlock::agent::Client;

/// Hands the vault key to the agent, which forgets it after `life`. Returns until when it is held.
///
/// # Errors
///
/// If the agent does not take it.
pub fn hold(vault: &Unlocked, agent: &Client, life: Duration) -> Result<Timestamp, Error> {
    Ok(agent.hold(&vault.id, vault.keys.current(), life)?)
}

/// Has the agent forget the key of this vault. An agent that is not there holds none.
///
/// # Errors
///
/// If there is no vault, or the agent does not answer.
pub fn forget(ctx: Context<'_>) -> Result<(), Error> {
    let vault = Vault::open(ctx)?;
    ctx.audit.concerns(vault.id());
    match ctx.ways.agent {
        Some(agent) => Ok(agent.forget(Some(vault.id()))?),
        None => Ok(()),
    }
}

/// Until when the agent holds the key of this vault.
///
/// # Errors
///
/// If there is no vault, or the agent does not answer.
pub fn held_until(ctx: Context<'_>) -> Result<Option<Timestamp>, Error> {
    let vault = Vault::open(ctx)?;
    let Some(agent) = ctx.ways.agent else { return Ok(None) };
    let held = agent.status()?.into_iter().find(|held| held.vault == *vault.id());
    Ok(held.map(|held| held.until))
}
