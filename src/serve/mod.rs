//! What other programs speak with: the agent's socket, and whatever asks the [`Desk`] for tokens.

#[cfg_attr(not(unix), path = "no_agent.rs")]
pub mod agent;
mod broker_file;
pub mod cargo;
#[cfg(test)]
mod clerk;
#[cfg(unix)]
mod connections;
mod desk;
pub mod docker;
mod doors;
pub mod git;
pub mod helper;
#[cfg(unix)]
mod keys;
pub mod kubectl;
#[cfg(unix)]
mod locked;
mod reply;
pub mod sasl;
mod server;
mod teller;
mod token_file;
mod user_name;
mod visit;

pub use broker_file::broker_file;
pub use desk::{Ask, Desk, Refusal, RefusalKind};
pub use server::Server;
pub use token_file::TokenFile;
