//! `vault env` and `vault exec`: which variables a profile sets, and to what.

use std::collections::BTreeMap;

use super::token::{self, Request};
use super::{Context, Error, Unlocked, recover, reveal};
use crate::domain::{Field, Profile, ProfileName, SealedField, Variable, VariableName};
use crate::oauth::provider;

/// The variables that profile `name` sets: the provider's, the profile's own, and `more`, the later
/// ones over the earlier. A variable is opened only if it is set.
///
/// # Errors
///
/// [`Error::NoField`] if a variable that was asked for has no value, else as for a token.
pub fn variables(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    more: &[(VariableName, Field)],
) -> Result<Vec<Variable>, Error> {
    ctx.audit.profile(name);
    let mut profile = vault.settled_profile(ctx, name)?;
    let chosen = chosen(&profile.facts, profile.document.holds(SealedField::ApiKey), more);
    ctx.audit.fields(chosen.values().copied());
    let token = match chosen.values().any(|field| field.needs_token()) {
        true => Some(token::token(ctx, vault, name, Request::default())?),
        false => None,
    };
    if chosen.values().any(|field| *field == Field::RefreshToken) {
        // The token may just have been replaced, or an interrupted refresh have left a newer one.
        recover::settle(ctx, vault, name)?;
        profile = vault.profile(ctx, name)?;
    }
    let value = |field: Field| match &token {
        Some(token) if field.needs_token() => reveal::of_token(name, field, token),
        _ => reveal::of_profile(ctx, vault, &profile, field),
    };
    let ours =
        Variable { name: VariableName::vault_profile(), value: name.as_str().into(), is_secret: false };
    let variables = chosen
        .into_iter()
        .map(|(name, field)| Ok(Variable { name, value: value(field)?, is_secret: field.is_secret() }));
    variables.chain(std::iter::once(Ok(ours))).collect()
}

fn chosen(
    profile: &Profile,
    has_api_key: bool,
    more: &[(VariableName, Field)],
) -> BTreeMap<VariableName, Field> {
    let preset = provider::get(&profile.provider).default_exports.iter();
    preset
        .filter(|(_, field)| has_api_key || *field != Field::ApiKey)
        .map(|(variable, field)| {
            (variable.parse().expect("the variables of a preset may be set, as a test holds"), *field)
        })
        .chain(profile.exports.clone())
        .chain(more.iter().cloned())
        .collect()
}
