//! `cargo run --release --example demo`: the main job of vault, step by step, with nothing but this
//! machine.
//!
//! An authorization server runs in this process, and a home directory is made for the occasion. Every
//! command is the real program: the demo starts itself again as `vault`. A step that does not show
//! what it promises ends the demo with an error.
#![allow(clippy::disallowed_methods, reason = "the demo owns its home, its files and its environment")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the demo talks to a person")]

#[path = "../../tests/provider/mod.rs"]
mod provider;

mod browser;
mod evil;
mod library;
mod story;
mod telling;
mod world;

use std::process::ExitCode;

use telling::Telling;
use world::World;

fn main() -> ExitCode {
    if let Some(address) = browser::address_to_open() {
        return browser::play(&address);
    }
    if library::is_called() {
        return library::play();
    }
    if world::is_vault() {
        return vault::cli::main();
    }
    match World::new(Telling::new()).and_then(|world| story::tell(&world)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nThe demo stopped: {why}");
            ExitCode::FAILURE
        }
    }
}
