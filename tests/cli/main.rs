//! The real program, run as its users run it, against a real authorization server.
#![allow(unreachable_pub, reason = "the modules of one binary have no outside")]
#![allow(clippy::disallowed_methods, reason = "tests own their files, their time and their environment")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on says so by panicking")]

#[path = "../provider/mod.rs"]
mod provider;

mod home;
mod outside;

mod agent;
mod expiry;
mod faults;
mod keyring;
mod login;
mod races;
mod readme;
mod recovery;
mod rescue;
mod shells;
mod slots;
mod token;
mod vectors;
