//! The profile whose token asks for those of a service account.

use super::super::token::{self, Request};
use super::{Context, DocumentId, Error, Loaded, OpsError, Profile, Unlocked};
use crate::domain::{AccessToken, GrantType, ProfileName, Provider, Scopes};

/// The scopes of which one lets a token ask for others.
/// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken#authorization-scopes>
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/iam"];

/// A profile whose token may ask for those of service accounts.
pub(in crate::ops) struct Source {
    pub(super) name: ProfileName,
    profile: Profile,
}

impl Source {
    /// The source of `user`.
    pub(super) fn find(
        ctx: Context<'_>,
        vault: &Unlocked,
        user: &ProfileName,
        id: &DocumentId,
    ) -> Result<Self, OpsError> {
        let found = by_id(ctx, vault, id)?.ok_or_else(|| Error::NoSource { profile: user.clone() })?;
        check(&vault.provider(&found.facts.provider), &found.facts)?;
        Ok(Self { name: found.facts.name.clone(), profile: found.facts })
    }

    /// Its access token, cached or not; with `is_fresh` one that the provider issues now.
    pub(super) fn token(
        &self,
        ctx: Context<'_>,
        vault: &Unlocked,
        is_fresh: bool,
    ) -> Result<AccessToken, OpsError> {
        // What is written down is which profile was asked for.
        let audit = ctx.audit.one_of_several();
        let ctx = Context { audit: &audit, ..ctx };
        token::token(ctx, vault, &self.name, Request { refresh: is_fresh, ..Request::default() })
    }

    /// Who it is in the words of an IAM policy, if that is known.
    /// <https://cloud.google.com/iam/docs/principal-identifiers>
    pub(super) fn member(&self) -> Option<String> {
        let email = self.profile.account.email.as_deref()?;
        Some(match &self.profile.grant_type {
            GrantType::JwtBearer { subject: None } => format!("serviceAccount:{email}"),
            _ => format!("user:{email}"),
        })
    }
}

/// Whether the tokens of `profile` may ask for those of a service account.
///
/// # Errors
///
/// [`Error::SourceIsImpersonation`] or [`Error::SourceScopes`] if not.
pub(in crate::ops) fn check(provider: &Provider, profile: &Profile) -> Result<(), Error> {
    if matches!(profile.grant_type, GrantType::Impersonation { .. }) {
        return Err(Error::SourceIsImpersonation { source_profile: profile.name.clone() });
    }
    let covers = |scope: &str| {
        let wanted = scope.parse::<Scopes>().expect("a known scope is a scope");
        provider.uncovered_scopes(&wanted, &profile.scopes.granted).is_empty()
    };
    // Who is not logged in is told so by whoever asks for the token.
    if profile.grant.is_none() || SCOPES.into_iter().any(covers) {
        return Ok(());
    }
    Err(Error::SourceScopes {
        source_profile: profile.name.clone(),
        scope: SCOPES[0],
        needs_person: profile.grant_type.needs_person(),
    })
}

/// The profile with this document id, if it is there. An interrupted rename leaves two; the newer one counts.
pub(in crate::ops) fn by_id(
    ctx: Context<'_>,
    vault: &Unlocked,
    id: &DocumentId,
) -> Result<Option<Loaded<Profile>>, OpsError> {
    let mut newest: Option<Loaded<Profile>> = None;
    for name in ctx.store.profiles()? {
        match vault.find_profile(ctx, &name) {
            Ok(Some(found)) if found.document.id() == id => {
                let generation = found.document.generation();
                if newest.as_ref().is_none_or(|known| known.document.generation() < generation) {
                    newest = Some(found);
                }
            }
            Ok(_) => {}
            // Damage elsewhere must not keep a token back.
            Err(error) => log::warn!("whether `{name}` is the profile that asks is not known: {error}"),
        }
    }
    Ok(newest)
}

/// The profiles whose tokens are asked for with those of `id`, as far as they can be read.
pub(in crate::ops) fn users(
    ctx: Context<'_>,
    vault: &Unlocked,
    id: &DocumentId,
) -> Result<Vec<ProfileName>, OpsError> {
    let is_user = |name: &ProfileName| {
        let found = vault.find_profile(ctx, name);
        found.is_ok_and(|found| found.is_some_and(|profile| asks_with(&profile.facts, id)))
    };
    Ok(ctx.store.profiles()?.into_iter().filter(is_user).collect())
}

fn asks_with(profile: &Profile, id: &DocumentId) -> bool {
    matches!(&profile.grant_type, GrantType::Impersonation { source, .. } if source == id)
}
