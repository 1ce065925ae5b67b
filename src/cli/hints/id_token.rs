//! What a user can do where there is no ID token.

use super::{oauth_hints, typed};
use crate::oauth;
use crate::ops::id_token::Error;

pub(super) fn of(error: &Error) -> Vec<String> {
    let hint = match error {
        Error::OtherAudience { audience, .. } => format!(
            "a service account has ID tokens for any audience: make a profile that acts as one with \
             `vault add-profile NAME --impersonate ADDRESS --via PROFILE`, then run \
             `vault token NAME --id-token --audience {}`",
            typed(audience)
        ),
        Error::NoAudience { profile } => {
            format!("name it, as in `vault token {profile} --id-token --audience https://service.example`")
        }
        Error::NoKeys { .. } => {
            "make the client with `--issuer URL`, if the provider has one: it says where its keys are".into()
        }
        Error::Unsound { source: oauth::Error::Policy { what }, .. } if what.contains("clock") => {
            "check the clock of this machine".into()
        }
        Error::Unsound { source: error @ oauth::Error::Nonsense { .. }, .. } => return oauth_hints(error),
        Error::Unsound { .. } => {
            "try again once, in case the provider has just replaced its keys; if it stays so, ask the provider"
                .into()
        }
    };
    vec![hint]
}
