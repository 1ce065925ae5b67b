//! `vault rotate grant`: a fresh consent, and the old refresh token retired in the provider's way.
//!
//! The old token stands beside the new one from the write that saves the new one to the write that ends
//! all this, so that whoever finds it knows what is left to do.

use super::logout::{self, LoggedOut, MayEnd};
use super::revocation::Revoker;
use super::turn::in_turn;
use super::{Context, Error, Loaded, Notice, Unlocked, consent, documents, login, mint, recover, token};
use crate::domain::{Profile, ProfileName, SealedField};
use crate::oauth::revocation::Outcome;
use crate::store::{Expected, Name};
use crate::system::Deferral;

/// What a rotation has done.
#[derive(Debug)]
pub struct Rotated {
    /// The profile.
    pub profile: Profile,
    /// What has become of the refresh token before.
    pub previous: Previous,
}

/// What has become of the refresh token before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// It is the present one: the provider gave no other.
    Same,
    /// The provider does not accept it any more.
    Revoked,
    /// It is forgotten here: this provider would have ended the new grant with it.
    Spared,
    /// It is forgotten here: the provider does not revoke what was given out.
    Unsupported,
    /// It is forgotten here: the provider has no place where one asks.
    NoEndpoint,
    /// It is forgotten here, as was wished.
    Forgotten,
}

/// Logs a profile in anew and retires the refresh token before.
///
/// # Errors
///
/// As a login, which changes nothing then. [`Error::Unfinished`] if the new grant is saved and the old
/// token could not be retired: [`finish`] does the rest. [`Error::EndedTogether`] if the provider has ended
/// the new grant with the old token.
pub fn rotate(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    request: &consent::Request<'_>,
) -> Result<Rotated, Error> {
    ctx.audit.profile(name);
    let profile = vault.settled_profile(ctx, name)?.facts;
    mint::check_person(&profile, None)?;
    if profile.grant.is_none() {
        return Err(Error::LoginNeeded { profile: name.clone(), why: "it is not logged in" });
    }
    let profile = login::login(ctx, vault, name, request)?;
    let finished = finish(ctx, vault, name, false).map_err(|error| unfinished(name, error))?;
    Ok(finished.unwrap_or(Rotated { profile, previous: Previous::Same }))
}

/// Revokes the grant first, and logs the profile in only then: for a token that others may have.
///
/// # Errors
///
/// As a logout; then [`Error::Unfinished`] if the login was not completed.
pub fn rotate_compromised(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    request: &consent::Request<'_>,
    may_end: MayEnd<'_>,
    on_logout: &dyn Fn(&LoggedOut),
) -> Result<Profile, Error> {
    mint::check_person(&vault.settled_profile(ctx, name)?.facts, None)?;
    let out = logout::logout(ctx, vault, name, &logout::Request { local_only: false, may_end })?;
    on_logout(&out);
    login::login(ctx, vault, name, request).map_err(|source| Error::Unfinished {
        what: format!("profile `{name}` is logged out, and the new login was not completed"),
        next: format!("run `vault login {name}`"),
        source: Box::new(source),
    })
}

/// Retires the refresh token that an earlier rotation has left, if there is one; asks nobody for consent.
/// With `give_up`, the provider is not asked either.
///
/// # Errors
///
/// As [`rotate`].
pub fn finish(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    give_up: bool,
) -> Result<Option<Rotated>, Error> {
    ctx.audit.profile(name);
    // A rotation that was interrupted may be there in all but its place.
    recover::settle(ctx, vault, name)?;
    let Some(rotated) = retire_in_turn(ctx, vault, name, give_up)? else { return Ok(None) };
    if rotated.previous == Previous::Revoked && may_have_ended_both(vault, &rotated.profile) {
        prove(ctx, vault, name)?;
    }
    Ok(Some(rotated))
}

fn retire_in_turn(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    give_up: bool,
) -> Result<Option<Rotated>, Error> {
    in_turn(ctx, vault, name, |profile, _| {
        if !profile.document.holds(SealedField::RefreshTokenPrevious) {
            return Ok(None);
        }
        let _deferral = Deferral::begin();
        let retired = if give_up { Ok(Previous::Forgotten) } else { retire(ctx, vault, &profile) };
        let previous = retired
            .and_then(|previous| drop_previous(ctx, vault, &profile).map(|()| previous))
            .map_err(|error| unfinished(name, error))?;
        Ok(Some(Rotated { profile: profile.facts, previous }))
    })
}

/// Ends the token before in the provider's way.
fn retire(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Result<Previous, Error> {
    if vault.provider(&profile.facts.provider).revoke.ends_siblings {
        return Ok(Previous::Spared);
    }
    Ok(match Revoker::new(ctx, vault, profile)?.revoke_previous()? {
        Some(Outcome::Unsupported) => Previous::Unsupported,
        Some(Outcome::NoEndpoint) => Previous::NoEndpoint,
        Some(Outcome::Revoked | Outcome::Unknown) | None => Previous::Revoked,
    })
}

fn drop_previous(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Result<(), Error> {
    let document = profile.next().without(SealedField::RefreshTokenPrevious).sign(&vault.keys);
    let stored_as = Name::Profile(profile.facts.name.clone());
    documents::save(ctx, &stored_as, &document, Expected::Revision(&profile.revision))
}

/// Once the new login is saved, no error may say that nothing has changed.
fn unfinished(name: &ProfileName, error: Error) -> Error {
    let source = match error {
        error @ (Error::Unfinished { .. } | Error::EndedTogether { .. }) => return error,
        Error::NotRevoked { source, .. } => Error::OAuth(source),
        error => error,
    };
    Error::Unfinished {
        what: format!("the new login of profile `{name}` is saved, and the one before is not retired yet"),
        next: format!(
            "run `vault rotate grant {name}` again, which asks for no new consent, or add `--forget-previous`"
        ),
        source: Box::new(source),
    }
}

/// Whether nothing is known about what a revocation ends at this provider.
fn may_have_ended_both(vault: &Unlocked, profile: &Profile) -> bool {
    vault.known_provider(&profile.provider).is_err()
}

/// Sees by a refresh that the new grant is alive.
fn prove(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<(), Error> {
    let request = token::Request { refresh: true, ..Default::default() };
    match token::token(ctx, vault, name, request) {
        Ok(_) => Ok(()),
        Err(source @ Error::GrantRefused { .. }) => {
            Err(Error::EndedTogether { profile: name.clone(), source: Box::new(source) })
        }
        // A grant without a refresh token ends by itself, and a provider may be away for a moment.
        Err(error) => {
            ctx.notices.notice(&Notice::NotProven { profile: name.clone(), why: error.to_string() });
            Ok(())
        }
    }
}
