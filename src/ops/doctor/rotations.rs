//! Rotations of a provider's secrets that are not finished.

use super::check::{Check, Remedy, Subject};
use crate::ops::Context;
use crate::ops::secrets::{self, ProviderSecret};

/// What they have left beside the secrets in use. What cannot be read is told by others.
pub(super) fn checks(ctx: Context<'_>) -> Vec<Check> {
    let Ok(secrets) = secrets::list(ctx) else { return Vec::new() };
    let left: Vec<Check> = secrets.found.into_iter().filter_map(|dated| of_secret(dated.secret)).collect();
    match left.is_empty() {
        true => vec![Check::ok("secrets", Subject::None, "no rotation of a secret is unfinished")],
        false => left,
    }
}

fn of_secret(secret: ProviderSecret) -> Option<Check> {
    let subject = match &secret {
        ProviderSecret::OldGrant(profile) => Subject::Profile(profile.clone()),
        ProviderSecret::OldClientSecret(client) | ProviderSecret::NewClientSecret(client) => {
            Subject::Client(client.clone())
        }
        _ => Subject::None,
    };
    let check = Check::warning("secrets", subject, secret.unfinished()?);
    Some(check.remedy(Remedy::FinishSecret(secret)))
}
