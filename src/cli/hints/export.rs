//! What a user can do where a copy to leave with was not made.

use crate::ops::export::{Error, Format};

pub(super) fn of(error: &Error) -> Vec<String> {
    let hint = match error {
        Error::OtherKind { others, .. } => {
            let names: Vec<&str> = others.iter().copied().map(Format::as_str).collect();
            format!("formats that can: {}", names.join(", "))
        }
        Error::NotOfGoogle { .. } => {
            "take a format that says where the secrets belong: json, client, rclone; or env, and see to it yourself"
                .to_owned()
        }
        Error::Place { .. } => "name another file; nothing was opened".to_owned(),
    };
    vec![hint]
}
