//! `vault reveal`, and every other way a single field of a profile is handed out.

use secrecy::SecretString;

use super::token::{self, Request};
use super::{Context, Error, Loaded, Unlocked, client_secret, documents, recover};
use crate::domain::{AccessToken, Binding, Field, Profile, ProfileName, SealedField};
use crate::seal;
use crate::store::Name;

/// The value of `field` in profile `name`. Opens that field and no other.
///
/// # Errors
///
/// [`Error::NoField`] if the profile has none, else as for a token.
pub fn reveal(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    field: Field,
) -> Result<SecretString, Error> {
    ctx.audit.profile(name);
    ctx.audit.fields([field]);
    if field.needs_token() {
        let token = token::token(ctx, vault, name, Request::default())?;
        return of_token(name, field, &token);
    }
    if field == Field::RefreshToken {
        // An interrupted refresh may have left a newer one.
        recover::settle(ctx, vault, name)?;
    }
    let profile = vault.settled_profile(ctx, name)?;
    of_profile(ctx, vault, &profile, field)
}

/// A field that is a part of `token`.
pub(super) fn of_token(name: &ProfileName, field: Field, token: &AccessToken) -> Result<SecretString, Error> {
    match field {
        Field::AccessToken => Ok(token.value.clone()),
        Field::ExpiresAt => {
            let end = token.expires_at.ok_or_else(|| Error::NoField { profile: name.clone(), field })?;
            Ok(end.to_string().into())
        }
        _ => Err(Error::NoField { profile: name.clone(), field }),
    }
}

/// A field that stands in the profile or its client.
pub(super) fn of_profile(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    field: Field,
) -> Result<SecretString, Error> {
    let missing = || Error::NoField { profile: profile.facts.name.clone(), field };
    match field {
        Field::Account => Ok(profile.facts.account.label().ok_or_else(missing)?.into()),
        Field::ClientId => Ok(vault.client(ctx, &profile.facts.client)?.1.facts.client_id.into()),
        Field::ClientSecret => {
            let (name, client) = vault.client(ctx, &profile.facts.client)?;
            client_secret::client_secret(vault, &client, &Name::Client(name))?.ok_or_else(missing)
        }
        Field::ApiKey => open(ctx, vault, profile, SealedField::ApiKey, missing),
        Field::RefreshToken => open(ctx, vault, profile, SealedField::RefreshToken, missing),
        Field::AccessToken | Field::ExpiresAt => Err(missing()),
    }
}

fn open(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    field: SealedField,
    missing: impl FnOnce() -> Error,
) -> Result<SecretString, Error> {
    let (_, client) = vault.client(ctx, &profile.facts.client)?;
    let binding = match field {
        SealedField::ApiKey => Binding::issuer_only(&client.facts.issuer),
        _ => client.facts.binding(),
    };
    match profile.document.open(&vault.keys, field, &binding) {
        Ok((secret, _)) => Ok(secret),
        Err(seal::Error::NoSecret(_)) => Err(missing()),
        Err(error) => Err(documents::refused(&Name::Profile(profile.facts.name.clone()))(error)),
    }
}
