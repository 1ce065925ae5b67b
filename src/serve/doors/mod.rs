//! The doors of a server: each speaks one protocol, and all get what they give out from the teller.

pub(super) mod exchange;
mod form;
pub(super) mod metadata;
pub(super) mod refresh;
mod tree;
