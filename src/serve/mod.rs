//! What other programs speak with: the agent's socket, and whatever asks the [`Desk`] for tokens.

#[cfg_attr(not(unix), path = "no_agent.rs")]
pub mod agent;
#[cfg(unix)]
mod connections;
mod desk;
#[cfg(unix)]
mod keys;
#[cfg(unix)]
mod locked;

pub use desk::{Ask, Desk, Refusal, RefusalKind};
