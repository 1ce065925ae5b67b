//! `vault env` and `vault exec`: which variables a profile sets, and to what.

use std::collections::BTreeMap;

use super::token::{self, Request};
use super::{Context, Error, Loaded, Unlocked, recover, reveal};
use crate::domain::{AccessToken, Field, Profile, ProfileName, Scopes, SealedField, Variable, VariableName};
use crate::oauth::provider;

/// Which variables a profile sets to which fields. Nothing is opened yet.
pub struct Plan {
    profile: Loaded<Profile>,
    chosen: BTreeMap<VariableName, Choice>,
    /// The scopes of its token, if not all of the grant.
    only: Option<Scopes>,
}

#[derive(Clone, Copy)]
struct Choice {
    field: Field,
    /// Whether the user has said so, and not the provider's preset.
    is_the_users: bool,
}

/// What a plan has come to.
pub struct Opened {
    /// The variables.
    pub variables: Vec<Variable>,
    /// The access token, if one of them needs it.
    pub token: Option<AccessToken>,
}

/// The variables that profile `name` sets: the provider's, the profile's own, and `more`, the later
/// ones over the earlier. Nothing is opened yet, and later only what is set.
///
/// # Errors
///
/// If the profile cannot be had.
pub fn plan(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    more: &[(VariableName, Field)],
) -> Result<Plan, Error> {
    ctx.audit.profile(name);
    let profile = vault.settled_profile(ctx, name)?;
    let chosen = chosen(vault, &profile.facts, profile.document.holds(SealedField::ApiKey), more);
    ctx.audit.fields(chosen.values().map(|choice| choice.field));
    Ok(Plan { profile, chosen, only: None })
}

impl Plan {
    /// Whose variables they are, verified.
    pub fn profile(&self) -> &Profile {
        &self.profile.facts
    }

    /// The same with a token of exactly these scopes, where they are named.
    ///
    /// # Errors
    ///
    /// [`Error::ScopesNotGranted`] if the grant does not cover them.
    pub fn narrowed(self, vault: &Unlocked, only: Option<&Scopes>) -> Result<Self, Error> {
        let profile = &self.profile.facts;
        let provider = vault.provider(&profile.provider);
        let only = only.map(|only| token::narrowed(&provider, profile, only)).transpose()?;
        Ok(Self { only, ..self })
    }

    /// The scopes of its token, if not all of the grant.
    pub fn only(&self) -> Option<&Scopes> {
        self.only.as_ref()
    }

    /// Whether it sets this variable.
    pub fn sets(&self, name: &str) -> bool {
        self.chosen.keys().any(|known| known.as_str() == name)
    }

    /// Takes out the variables that would hold the access token and are meant: by their name, and whether the
    /// user has chosen them himself.
    pub fn take_tokens(&mut self, is_meant: impl Fn(&str, bool) -> bool) -> Vec<VariableName> {
        let is_meant = |(name, choice): &(&VariableName, &Choice)| {
            choice.field == Field::AccessToken && is_meant(name.as_str(), choice.is_the_users)
        };
        let taken: Vec<VariableName> =
            self.chosen.iter().filter(is_meant).map(|(name, _)| name.clone()).collect();
        self.chosen.retain(|name, _| !taken.contains(name));
        taken
    }

    /// Opens what it needs.
    ///
    /// # Errors
    ///
    /// [`Error::NoField`] if a variable that was asked for has no value, else as for a token.
    pub fn open(self, ctx: Context<'_>, vault: &Unlocked) -> Result<Opened, Error> {
        let Self { mut profile, chosen, only } = self;
        let name = profile.facts.name.clone();
        let token = match chosen.values().any(|choice| choice.field.needs_token()) {
            true => Some(token::token(ctx, vault, &name, Request { only, ..Default::default() })?),
            false => None,
        };
        if chosen.values().any(|choice| choice.field == Field::RefreshToken) {
            // The token may just have been replaced, or an interrupted refresh have left a newer one.
            recover::settle(ctx, vault, &name)?;
            profile = vault.profile(ctx, &name)?;
        }
        let value = |field: Field| match &token {
            Some(token) if field.needs_token() => reveal::of_token(&name, field, token),
            _ => reveal::of_profile(ctx, vault, &profile, field),
        };
        let ours =
            Variable { name: VariableName::vault_profile(), value: name.as_str().into(), is_secret: false };
        let variables = chosen.into_iter().map(|(name, Choice { field, .. })| {
            Ok(Variable { name, value: value(field)?, is_secret: field.is_secret() })
        });
        let variables = variables.chain(std::iter::once(Ok(ours))).collect::<Result<_, Error>>()?;
        Ok(Opened { variables, token })
    }
}

fn chosen(
    vault: &Unlocked,
    profile: &Profile,
    has_api_key: bool,
    more: &[(VariableName, Field)],
) -> BTreeMap<VariableName, Choice> {
    let provider = vault.provider(&profile.provider);
    let preset = provider.exports.default.iter();
    preset
        .filter(|(_, field)| has_api_key || *field != Field::ApiKey)
        .map(|(variable, field)| {
            let variable = variable.parse().expect("the variables of a preset may be set, as a test holds");
            (variable, Choice { field: *field, is_the_users: false })
        })
        .chain(
            profile
                .exports
                .clone()
                .into_iter()
                .chain(more.iter().cloned())
                .map(|(variable, field)| (variable, Choice { field, is_the_users: true })),
        )
        .collect()
}

/// The project that Google's libraries are to be told if neither the profile nor the user names one: that of
/// the client, whose id begins with its number.
///
/// # Errors
///
/// If the client cannot be had.
pub fn project_of_client(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Profile,
) -> Result<Option<String>, Error> {
    let (_, client) = vault.client(ctx, &profile.client)?;
    Ok(provider::google_project_number(&client.facts.client_id).map(str::to_owned))
}
