//! Each login: how long it may still last, and whether it works now.

use jiff::Timestamp;

use super::check::{Check, Remedy, Subject, Trouble};
use super::{OnStep, Request};
use crate::domain::{Grant, GrantState, GrantType, ProfileName, counted};
use crate::oauth::diagnosis::Warning;
use crate::ops::status::{ProfileStatus, status};
use crate::ops::{Context, Unlocked, token};

/// What is stored of each grant, against what is known of its provider's limits.
pub(super) fn ages(ctx: Context<'_>, name: Option<&ProfileName>) -> Vec<Check> {
    match status(ctx, name) {
        Ok(status) if status.profiles.is_empty() => {
            vec![Check::ok("login", Subject::None, "there is no profile yet")]
        }
        Ok(status) => {
            status.profiles.into_iter().flat_map(|profile| of_profile(ctx.clock.now(), profile)).collect()
        }
        Err(error) => {
            let check = Check::bad("login", Subject::None, Trouble::Integrity, "the profiles cannot be read");
            vec![check.because(error)]
        }
    }
}

fn of_profile(now: Timestamp, status: ProfileStatus) -> Vec<Check> {
    let name = status.listed.name;
    let subject = Subject::Profile(name.clone());
    let facts = match status.listed.profile {
        Ok(facts) => facts,
        Err(error) => {
            let check = Check::bad("login", subject, Trouble::Integrity, "the profile cannot be read");
            return vec![check.because(error).remedy(Remedy::Verify)];
        }
    };
    if let Some(found) = needs_none(&facts.profile.grant_type) {
        return vec![Check::ok("login", subject, found)];
    }
    let login = Remedy::Login(name);
    let Some(grant) = &facts.profile.grant else {
        return vec![Check::warning("login", subject, "has never been logged in").remedy(login)];
    };
    let mut checks = vec![of_grant(now, grant, subject.clone(), login.clone())];
    let worth_saying = status.warnings.iter().filter(|_| grant.state == GrantState::Live);
    checks.extend(worth_saying.map(|warning| of_warning(warning, subject.clone(), login.clone())));
    // That it is there is said by what is wrong with it.
    if checks.len() > 1 && matches!(checks[0].outcome, super::Outcome::Ok) {
        checks.remove(0);
    }
    checks
}

/// What a profile has in the place of a login.
fn needs_none(grant_type: &GrantType) -> Option<&'static str> {
    match grant_type {
        GrantType::AuthorizationCode => None,
        GrantType::ClientCredentials => Some("needs none: its client asks in its own right"),
        GrantType::JwtBearer { .. } => Some("needs none: a service account key signs for it"),
        GrantType::Impersonation { .. } => Some("needs none of its own: another profile asks for it"),
    }
}

fn of_grant(now: Timestamp, grant: &Grant, subject: Subject, login: Remedy) -> Check {
    if grant.state == GrantState::Dead {
        return Check::bad("login", subject, Trouble::Login, "the provider no longer accepts it")
            .remedy(login);
    }
    if !grant.refreshable {
        let found = "there is no refresh token: it ends with its access token";
        return Check::warning("login", subject, found).remedy(login);
    }
    let days = now.duration_since(grant.obtained_at).as_hours() / 24;
    Check::ok("login", subject, format!("is {} old", counted(days.max(0) as usize, "day")))
}

fn of_warning(warning: &Warning, subject: Subject, login: Remedy) -> Check {
    match warning {
        Warning::EndsSoon { left, .. } if left.is_negative() || left.is_zero() => {
            Check::bad("login", subject, Trouble::Login, warning.to_string()).remedy(login)
        }
        Warning::FromTheFuture { .. } => {
            Check::warning("login", subject, warning.to_string()).remedy(Remedy::SetClock)
        }
        Warning::Resting { .. } => {
            let name = match &subject {
                Subject::Profile(name) => Remedy::Complete(name.clone()),
                _ => login,
            };
            Check::warning("login", subject, warning.to_string()).remedy(name)
        }
        _ => Check::warning("login", subject, warning.to_string()).remedy(login),
    }
}

/// Proves grants by refreshing them, as `vault token --refresh` does.
pub(super) fn proofs(
    ctx: Context<'_>,
    vault: &Unlocked,
    request: &Request,
    on_step: OnStep<'_>,
) -> Vec<Check> {
    let names = match &request.profile {
        Some(name) => vec![name.clone()],
        None => ctx.store.profiles().unwrap_or_default(),
    };
    let total = names.len();
    let prove_next = |(done, name): (usize, ProfileName)| {
        on_step(done, total);
        prove(ctx, vault, name)
    };
    names.into_iter().enumerate().map(prove_next).collect()
}

fn prove(ctx: Context<'_>, vault: &Unlocked, name: ProfileName) -> Check {
    let subject = Subject::Profile(name.clone());
    let has_grant = vault.profile(ctx, &name).map(|profile| profile.facts.grant.is_some());
    if matches!(has_grant, Ok(false)) {
        return Check::skipped("refresh", subject, "has never been logged in");
    }
    match token::token(ctx, vault, &name, token::Request { refresh: true, ..Default::default() }) {
        Ok(_) => Check::ok("refresh", subject, "the provider gave a new token"),
        Err(error) => Check::bad("refresh", subject, Trouble::Login, "brought no new token").because(error),
    }
}
