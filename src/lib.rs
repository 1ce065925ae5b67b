//! `vault` keeps OAuth accounts in an encrypted vault and hands out fresh access tokens.
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod cli;
pub mod domain;
pub mod seal;
pub mod system;
