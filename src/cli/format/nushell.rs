//! `nushell`: `vault env work --format nushell | from json | load-env`.
//!
//! Nushell does not evaluate text that a program makes; what it loads is a record, and `from json`
//! makes one. So this is the object of `json`, under the name that its users look for.

pub(super) use super::json::object as record;
