//! The browser, and the person in front of it who consents.

use std::process::ExitCode;

use crate::provider;

/// What the demo is called with when it plays the browser; the address follows.
pub(crate) const OPEN: &str = "--open-as-browser";

/// The address to open, if we are to play the browser.
pub(crate) fn address_to_open() -> Option<String> {
    let mut arguments = std::env::args().skip(1);
    arguments.next().filter(|first| first == OPEN).and_then(|_| arguments.next())
}

/// Opens the address, consents, and follows the way back to vault.
pub(crate) fn play(address: &str) -> ExitCode {
    match provider::browser::consent(address) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
