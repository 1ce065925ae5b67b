//! What a user can do where nothing was taken in.

use super::typed;
use crate::ops;
use crate::ops::import::{Already, Error, Known, Odd};
use crate::system::NamedFileError;

pub(super) fn of(error: &Error) -> Vec<String> {
    let hint = match error {
        Error::File(NamedFileError::Changed(_)) => "nothing was stored; run the command again".to_owned(),
        Error::File(NamedFileError::NoFile { what: "a pipe", .. }) => {
            "name `-` to read standard input: `command | vault import -`".to_owned()
        }
        Error::NoCopy { known, .. } if known.is_empty() => {
            "copies are kept of what `vault import --replace` takes away, as long as its login is in the vault".to_owned()
        }
        Error::NoCopy { known, .. } => format!("there are copies of: {}", known.join(", ")),
        Error::File(_) => return Vec::new(),
        Error::Odd { source: Odd::Useless { hint, .. }, .. } => (*hint).to_owned(),
        Error::Odd { source: Odd::TooMany | Odd::TooLong, .. } => {
            "split the file, and take in the parts one after the other".to_owned()
        }
        Error::Odd { .. } => "`vault import --help` says which forms are known".to_owned(),
        Error::NoClient { .. } => {
            return vec![
                "name it: `--client NAME` with one that is stored (`vault client list`), or put its client file beside \
                 the file"
                    .to_owned(),
                "a login that a program made with a client of its own works with that one only; `vault add-profile \
                 NAME` makes your own"
                    .to_owned(),
            ];
        }
        Error::NoProvider { seems: Some(provider), .. } => {
            format!("it seems to be {provider}'s; name it with `--provider` or `--issuer URL`")
        }
        Error::NoProvider { .. } => {
            "name it with `--provider NAME`, with `--issuer URL`, or with `--auth-url` and `--token-url`"
                .to_owned()
        }
        Error::NoSecret { tool: Some(tool), .. } => {
            return vec![
                format!(
                    "it is the client of {tool}; logins of it are renewed with its secret, which is in {tool} itself"
                ),
                "better log in with a client of your own: `vault add-profile NAME`".to_owned(),
            ];
        }
        Error::NoSecret { .. } => {
            return vec![
                "hand it over with `--client-secret-file FILE`, or name a stored client that has it with `--client NAME`"
                    .to_owned(),
                "a public client has none: say so with `--client-auth none`".to_owned(),
            ];
        }
        Error::OtherEndpoint { .. } => {
            return vec![
                "somebody may have changed the file, to have your secrets sent there; nothing was stored".to_owned(),
                "if the host is the right one, name it yourself with `--issuer URL`, or with `--auth-url` and \
                 `--token-url`"
                    .to_owned(),
            ];
        }
        Error::OtherClient { .. } => {
            "leave out `--client`, or name the client that the login belongs to (`vault client list`)"
                .to_owned()
        }
        Error::TwoSecrets { .. } => {
            "take in the files one by one, the one with the present secret first".to_owned()
        }
        Error::OneName { .. } => "leave out `--profile`: each gets a name of its own".to_owned(),
        Error::Already { known } => return known.iter().take(5).flat_map(already).collect(),
        Error::Dead { source, .. } => return dead(source),
    };
    vec![hint]
}

/// The profile and the client that the usual hints name are gone again.
fn dead(source: &ops::Error) -> Vec<String> {
    match source {
        ops::Error::RefreshRefused { server, .. } if server.error == "invalid_client" => vec![
            "compare the client secret with the one at the provider, and hand it over with `--client-secret-file FILE`"
                .to_owned(),
            "or say how the client proves itself, with `--client-auth basic` or `--client-auth post`".to_owned(),
        ],
        _ => vec!["log in again with `vault add-profile NAME`".to_owned()],
    }
}

fn already(known: &Already) -> Vec<String> {
    match &known.known {
        Known::Client(name) => vec![format!("log in with `vault add-profile NAME --client {name}`")],
        Known::Login(name) => vec![format!("try it with `vault token {}`", typed(name.as_str()))],
        Known::OtherLogin(name) => vec![
            format!("renew the login that is there with `vault login {name}`"),
            "or keep both: take it in with `--profile NAME`".to_owned(),
        ],
    }
}
