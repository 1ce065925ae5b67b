//! What other programs speak with: the agent's socket, and whatever asks the [`Desk`] for tokens.

#[cfg_attr(not(unix), path = "no_agent.rs")]
pub mod agent;
#[cfg(unix)]
mod connections;
mod desk;
mod doors;
#[cfg(unix)]
mod keys;
#[cfg(unix)]
mod locked;
mod reply;
mod server;
mod teller;
mod visit;

pub use desk::{Ask, Desk, Refusal, RefusalKind};
pub use server::Server;
