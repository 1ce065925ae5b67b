//! What other programs speak with: for now, the agent's socket.

#[cfg_attr(not(unix), path = "no_agent.rs")]
pub mod agent;
#[cfg(unix)]
mod connections;
#[cfg(unix)]
mod keys;
#[cfg(unix)]
mod locked;
