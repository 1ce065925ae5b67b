//! `vault` keeps OAuth accounts in an encrypted vault and hands out fresh access tokens.
#![forbid(unsafe_op_in_unsafe_fn)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make their own files and places"))]

pub mod domain;
pub mod seal;
pub mod store;
pub mod system;
