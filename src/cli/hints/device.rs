//! What a user can do where a login by a device code does not go on.

use crate::ops::device::Error;

/// The way that every provider offers.
const PASTE: &str =
    "with `--flow paste` you open the address on any machine, and paste the one where it ends";

pub(super) fn of(error: &Error) -> Vec<String> {
    match error {
        Error::NotOffered { note, .. } => note.iter().cloned().chain([PASTE.to_owned()]).collect(),
        Error::ScopesNotAllowed { allowed, .. } => {
            vec![format!("it allows {} only", allowed.join(", ")), PASTE.to_owned()]
        }
        Error::OtherClient { note, .. } => vec![note.clone(), PASTE.to_owned()],
        Error::NotBegun { note, .. } => {
            let usual = || "see at the provider whether the client may use the device flow".to_owned();
            vec![note.clone().unwrap_or_else(usual), PASTE.to_owned()]
        }
        Error::Expired => vec!["run the command again for a new code".to_owned()],
    }
}
