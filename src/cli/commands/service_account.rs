//! The key file of a service account: read, and what becomes of it afterwards.

use std::path::Path;

use crate::cli::error::Failure;
use crate::cli::hints::typed;
use crate::cli::secret_input;
use crate::cli::session::Session;
use crate::domain::ClientName;
use crate::oauth::service_account::{self, KeyFile};
use crate::ops::clients::{Issuer, NewClient};

/// The service account whose key is in `path`. Of another cloud than Google's own nothing is known: its provider
/// must be named.
pub(super) fn read(
    path: &Path,
    issuer: Issuer,
    is_issuer_given: bool,
    name: Option<ClientName>,
) -> Result<NewClient, Failure> {
    let file = read_file(path)?;
    match &file.universe_domain {
        Some(domain) if !is_issuer_given => Err(Failure::usage(format!(
            "the key file is of the cloud {domain}, and not of googleapis.com"
        ))
        .hint("name the server that issues its tokens: `--issuer URL`, or `--auth-url` and `--token-url`")),
        _ => Ok(NewClient::from_key(file, issuer, name)),
    }
}

/// A key file as it was downloaded.
pub(super) fn read_file(path: &Path) -> Result<KeyFile, Failure> {
    let bytes = secret_input::read_bytes("the key file", path, service_account::MAX_SIZE as u64)?;
    service_account::parse(&bytes).map_err(|error| {
        Failure::usage(error.to_string())
            .hint("name the JSON file that `gcloud iam service-accounts keys create FILE` writes, as it is")
    })
}

/// Once the key is sealed, its file is nothing but a danger. Deleting it is for its owner.
pub(super) fn say_what_to_delete(session: &Session, path: Option<&Path>) {
    let Some(path) = path.filter(|path| *path != Path::new("-")) else { return };
    let file = path.to_string_lossy();
    session.output.say(&format!(
        "The key is sealed in the vault. Whoever reads {file} can act as the service account; delete it with: rm {}",
        typed(&file)
    ));
}
