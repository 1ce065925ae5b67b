//! What can be done where a provider refuses a grant or a client, and where its pages are.

use super::some;
use crate::oauth::diagnosis::Cause;
use crate::oauth::provider;

/// Where a user ends a grant by hand.
pub(in crate::cli) fn grants_page(provider: &str) -> &'static str {
    let page = provider::get(provider).pages.grants.as_deref();
    page.filter(|page| !page.contains('{')).unwrap_or("the provider's page for connected apps")
}

pub(super) fn grant_hints(profile: &str, provider: &str, causes: &[Cause]) -> Vec<String> {
    let mut hints: Vec<String> =
        causes.iter().filter_map(|cause| cause_hint(cause, provider)).take(1).collect();
    hints.push(format!("run `vault login {profile}`"));
    hints
}

/// What can be done where the provider refuses the client, or the request.
pub(super) fn refused_hints(client: &str, provider: &str, causes: &[Cause]) -> Vec<String> {
    let mut hints: Vec<String> =
        causes.iter().filter_map(|cause| cause_hint(cause, provider)).take(2).collect();
    if causes.iter().any(|cause| matches!(cause, Cause::SecretRejected)) {
        hints.push(format!("a new one replaces it with `vault rotate client-secret {client}`"));
    }
    hints
}

/// What can be done where nobody can prove a client secret.
pub(super) fn unproven_hints(client: &str, profiles: &[String]) -> Vec<String> {
    let way = match profiles {
        [] => format!("make a profile that can: `vault add-profile NAME --client {client}`"),
        [profile] => format!("run `vault login {profile}`, then this again"),
        [first, ..] => {
            format!("log one of {} in, as in `vault login {first}`, then run this again", some(profiles))
        }
    };
    vec![way, "or add `--unproven` to take it as it is, if the old one does not work any more".into()]
}

/// Where the clients of a provider are seen to.
pub(in crate::cli) fn clients_page(provider: &str) -> &'static str {
    let page = provider::get(provider).pages.client.as_deref();
    page.filter(|page| !page.contains('{')).unwrap_or("the provider's page for OAuth clients")
}

/// What can be done about a cause beyond logging in again.
fn cause_hint(cause: &Cause, provider: &str) -> Option<String> {
    let clients = clients_page(provider);
    let provider = provider::get(provider);
    let audience = provider.pages.audience.as_deref().unwrap_or("the provider's page for OAuth apps");
    Some(match cause {
        Cause::TestingApp { .. } => {
            format!("publish the app at {audience}: a login to an app in Testing lasts 7 days")
        }
        Cause::SessionControl => {
            "the administrator of this account asks for a new login every few hours; only they can change that"
                .into()
        }
        Cause::Told { hint, .. } => return hint.clone(),
        Cause::ClientDeleted | Cause::ClientDisabled => format!("look at the client at {clients}"),
        Cause::SecretRejected => format!("compare the secret with the one at {clients}"),
        _ => return None,
    })
}
