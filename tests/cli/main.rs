//! The real program, run as its users run it, against a real authorization server.
#![allow(unreachable_pub, reason = "the modules of one binary have no outside")]
#![allow(clippy::disallowed_methods, reason = "tests own their files, their time and their environment")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on says so by panicking")]

#[path = "../provider/mod.rs"]
mod provider;

mod disk;
mod forge;
mod holder;
mod home;
mod injection;
mod kills;
mod outside;
mod rotation;
mod scene;
mod search;
mod stage;
mod transcript;
mod waiting;

mod age_program;
mod age_vectors;
mod agent;
mod agent_visitors;
mod answers;
mod audit;
mod backup;
mod bytes;
mod callback;
mod canaries;
mod chromium;
mod clocks;
mod conformance;
mod crash_states;
mod crashes;
mod crowds;
mod disk_errors;
mod doctor;
mod doctor_faults;
mod errors;
mod exit_codes;
mod expiry;
mod faults;
mod files;
mod full_disks;
mod generated;
mod help;
mod hot_path;
mod inputs;
mod keyring;
mod killed_commands;
mod limits;
mod locks;
mod login;
mod logout;
mod neighbours;
mod network;
mod nonsense;
mod oidc;
mod opens;
mod passwd;
mod pins;
mod power_loss;
mod races;
mod readme;
mod recovery;
mod rescue;
mod restore;
mod rollback;
mod rotate_api_key;
mod rotate_client_secret;
mod rotate_grant;
mod rotate_key;
mod rotate_key_strangers;
mod sealed;
mod shell_secrets;
mod shells;
mod slots;
mod tampering;
mod timing;
mod tls;
mod token;
mod tree;
mod vectors;
mod verified;
mod visitors;
