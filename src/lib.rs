//! `vault` keeps OAuth accounts in an encrypted vault and hands out fresh access tokens.
#![forbid(unsafe_op_in_unsafe_fn)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests own their files and their time")
)]

pub mod cli;
pub mod domain;
pub mod oauth;
pub mod ops;
pub mod seal;
pub mod serve;
pub mod store;
pub mod system;
pub mod unlock;
