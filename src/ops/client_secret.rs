//! The secrets of a client, opened and compared.

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{Error, Loaded, Unlocked, documents};
use crate::domain::{Client, ClientAuth, SealedField};
use crate::store::Name;

/// The secret of a client that has one.
pub(super) fn client_secret(
    vault: &Unlocked,
    client: &Loaded<Client>,
    stored_as: &Name,
) -> Result<Option<SecretString>, Error> {
    if client.facts.client_auth == ClientAuth::None {
        return Ok(None);
    }
    open(vault, client, stored_as, SealedField::ClientSecret).map(Some)
}

/// One of the secrets that a client may hold.
pub(super) fn open(
    vault: &Unlocked,
    client: &Loaded<Client>,
    stored_as: &Name,
    field: SealedField,
) -> Result<SecretString, Error> {
    let opened = client.document.open(&vault.keys, field, &client.facts.binding());
    let (secret, _) = opened.map_err(documents::refused(stored_as))?;
    Ok(secret)
}

/// A client that is named again without its secret is the same one.
pub(super) fn is_same_or_unnamed(known: Option<&SecretString>, given: Option<&SecretString>) -> bool {
    match (known, given) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(known), Some(given)) => is_same(known, given),
    }
}

/// Whether two secrets are the same, in constant time.
pub(super) fn is_same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret().as_bytes().ct_eq(b.expose_secret().as_bytes()).into()
}
