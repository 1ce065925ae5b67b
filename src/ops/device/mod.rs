//! The login without a browser on this machine (RFC 8628): a person types a code on another device, and meanwhile
//! the provider is asked whether that was done.
//!
//! While the person types, no lock is held and a signal ends everything at once. Each poll may bring the tokens: it
//! is made as the exchange of a code is, with the locks, and with room for what it may bring.

mod error;
mod polls;

use std::cell::Cell;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::clients::{Candidate, Issuer, NewClient};
use super::consent::{Consented, Request};
use super::{Context, Error as OpsError, Notice, Unlocked, issuer};
use crate::domain::provider::DeviceHabits;
use crate::domain::{Client, ClientAuth, Profile, ProfileName, Provider, Scopes};
use crate::oauth::client_file::Kind;
use crate::oauth::device::{self, DeviceAuthorization};
use crate::oauth::token_endpoint::Credentials;
use crate::oauth::{self};

pub use error::Error;

/// How long the provider may take to give out a code.
const BEGIN_LIMIT: Duration = Duration::from_secs(15);

/// How long one poll may take: signals wait for it.
pub(super) const POLL_LIMIT: Duration = Duration::from_secs(10);

/// What a person must know to consent on another device.
#[derive(Debug)]
pub struct Invitation<'a> {
    /// Which profile is to be logged in.
    pub profile: &'a ProfileName,
    /// Which account is meant, if that is known.
    pub account: Option<&'a str>,
    /// Who asks for the consent.
    pub issuer: &'a str,
    /// What to type: printable.
    pub user_code: &'a str,
    /// Where to type it.
    pub verification_uri: &'a Url,
    /// The same page with the code in it already.
    pub verification_uri_complete: Option<&'a Url>,
    /// How long that works.
    pub expires_in: Duration,
}

/// The right to ask for the tokens, and what the polls have shown.
pub(super) struct Claim<'a> {
    pub(super) device_code: &'a SecretString,
    /// How the client has proven itself to the provider's satisfaction.
    accepted: Cell<Option<ClientAuth>>,
    /// Whether the tokens have come: whatever fails then is no reason to ask again.
    is_redeemed: Cell<bool>,
}

impl Claim<'_> {
    /// How the client has proven itself to the provider's satisfaction, if that is known.
    pub(super) fn accepted(&self) -> Option<ClientAuth> {
        self.accepted.get()
    }

    /// The provider has answered a client that proves itself like this.
    pub(super) fn accept(&self, auth: ClientAuth) {
        self.accepted.set(Some(auth));
    }

    /// The tokens have come.
    pub(super) fn redeem(&self) {
        self.is_redeemed.set(true);
    }
}

/// Has the person invited and asks until there is an answer; each time `finish` asks for the tokens once.
pub(super) fn consent(
    ctx: Context<'_>,
    provider: &Provider,
    profile: &Profile,
    candidate: &Candidate,
    request: &Request<'_>,
    patience: Option<Duration>,
    mut finish: impl FnMut(&Consented<'_>) -> Result<Profile, OpsError>,
) -> Result<Profile, OpsError> {
    let client = &candidate.facts;
    let scopes = &profile.scopes.asked;
    // Before anything is sent.
    let endpoint = endpoint(provider, client)?;
    check_scopes(provider, client, scopes)?;
    log::debug!("a device code from {endpoint}");
    let (begun, accepted) = begin(ctx, provider, candidate, &endpoint, scopes)?;

    request.courier.invite(&Invitation {
        profile: &profile.name,
        account: profile.account.label(),
        issuer: Url::parse(&client.issuer).ok().as_ref().and_then(Url::host_str).unwrap_or(&client.issuer),
        user_code: &begun.user_code,
        verification_uri: &begun.verification_uri,
        verification_uri_complete: begun.verification_uri_complete.as_ref(),
        expires_in: patience.map_or(begun.expires_in, |patience| patience.min(begun.expires_in)),
    })?;
    let claim = Claim {
        device_code: &begun.device_code,
        accepted: Cell::new(accepted),
        is_redeemed: Cell::new(false),
    };
    let consented = Consented::Device(claim);
    let Consented::Device(claim) = &consented else { unreachable!("it was just made") };
    polls::until_answered(ctx.clock, ctx.notices, &begun, patience, || {
        finish(&consented).map_err(|error| polls::Failed { error, is_final: claim.is_redeemed.get() })
    })
}

/// Sees, before anything is sent, whether a new client can be good for this. Only the files of Google's console say
/// what kind of client they are of, and theirs of the right kind say the same as those of desktop apps.
pub(super) fn check_new(ctx: Context<'_>, vault: &Unlocked, new: &NewClient) -> Result<(), Error> {
    let (Issuer::Known { id, .. }, Some(kind)) = (&new.issuer, new.kind) else { return Ok(()) };
    let known = vault.provider(id).into_owned();
    let Provider { title: provider, device: DeviceHabits { note: Some(note), .. }, .. } = known else {
        return Ok(());
    };
    match kind {
        Kind::Web => Err(Error::OtherClient { provider, kind: "web", note }),
        Kind::Installed => {
            ctx.notices.notice(&Notice::DeviceNote { provider, note });
            Ok(())
        }
    }
}

/// Whether the provider offers this for what is asked for, as far as it is known.
pub(super) fn is_offered(provider: &Provider, client: &Client, scopes: &Scopes) -> bool {
    endpoint(provider, client).is_ok() && check_scopes(provider, client, scopes).is_ok()
}

/// What people call the provider.
fn title(provider: &Provider, client: &Client) -> String {
    if provider.is_known() { provider.title.clone() } else { client.issuer.clone() }
}

/// Where a code is asked for.
fn endpoint(provider: &Provider, client: &Client) -> Result<Url, Error> {
    let stored = || client.endpoints.device_authorization.clone();
    let preset = || issuer::preset(client)?.device_authorization;
    let is_possible = provider.device.support || !provider.is_known();
    let endpoint = if is_possible { stored().or_else(preset) } else { None };
    let note = provider.device.note.clone();
    endpoint.ok_or_else(|| Error::NotOffered { provider: title(provider, client), note })
}

fn check_scopes(provider: &Provider, client: &Client, asked: &Scopes) -> Result<(), Error> {
    let allowed = &provider.device.scopes;
    if allowed.is_empty() {
        return Ok(());
    }
    let is_allowed = |scope: &str| {
        let scope = provider.canonical_scope(scope);
        allowed.iter().any(|allowed| provider.canonical_scope(allowed) == scope)
    };
    let mut scopes = Scopes::default();
    for scope in asked.iter().filter(|scope| !is_allowed(scope)) {
        // It was a scope before.
        let _ = scopes.insert(scope);
    }
    if scopes.is_empty() {
        return Ok(());
    }
    Err(Error::ScopesNotAllowed { provider: title(provider, client), scopes, allowed: allowed.clone() })
}

/// Asks for a code, and says how the client has proven itself if it had to.
fn begin(
    ctx: Context<'_>,
    provider: &Provider,
    candidate: &Candidate,
    endpoint: &Url,
    scopes: &Scopes,
) -> Result<(DeviceAuthorization, Option<ClientAuth>), OpsError> {
    let client = &candidate.facts;
    let ways = ways_to_prove(provider, candidate, endpoint);
    let (last, first) = ways.split_last().expect("there is at least one way");
    let scope = provider.scopes_text(scopes);
    let ask = |auth: ClientAuth| {
        let mut binding = client.binding();
        binding.client_auth = Some(auth);
        let secret = candidate.secret.as_ref().filter(|_| auth != ClientAuth::None);
        let credentials = Credentials { binding: &binding, secret, provider };
        let begun = device::authorize(
            ctx.http,
            &credentials,
            endpoint,
            &scope,
            client.insecure_loopback,
            BEGIN_LIMIT,
        )?;
        Ok((begun, (auth != ClientAuth::None).then_some(auth)))
    };
    for auth in first {
        match ask(*auth) {
            Err(oauth::Error::Refused(server)) if server.error == "invalid_client" => {}
            result => return result.map_err(|error| not_begun(provider, client, error)),
        }
    }
    ask(*last).map_err(|error| not_begun(provider, client, error))
}

fn not_begun(provider: &Provider, client: &Client, error: oauth::Error) -> OpsError {
    match error {
        oauth::Error::Refused(server) => {
            let note = provider.device.note.clone();
            Error::NotBegun { provider: title(provider, client), note, server }.into()
        }
        error => error.into(),
    }
}

/// How the client may prove itself where a code is asked for, in the order in which it is tried.
///
/// RFC 8628, 3.1 wants what the token endpoint wants. Its secret goes nowhere but to the server that it is sealed
/// for. The providers that are known by name want the client id alone.
fn ways_to_prove(provider: &Provider, candidate: &Candidate, endpoint: &Url) -> Vec<ClientAuth> {
    let client = &candidate.facts;
    if candidate.secret.is_none() || endpoint.origin() != client.endpoints.token.origin() {
        return vec![ClientAuth::None];
    }
    let bare = provider.is_known().then_some(ClientAuth::None);
    let other = super::login::other_auth(candidate);
    bare.into_iter().chain([client.client_auth]).chain(other).collect()
}
