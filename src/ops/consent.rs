//! The way to a person's consent. Through the browser, what comes back is believed only if it answers; the way by a
//! device code is in `device`.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::clients::Candidate;
use super::device::{self, Claim, Invitation};
use super::{Context, Error, providers};
use crate::domain::provider::{Loopback, LoopbackHost, PkceSupport, RedirectRules};
use crate::domain::{Client, Profile, Provider, RedirectUri, Scopes};
use crate::oauth::authorization::{Answer, Consent, Flow, Wording};
use crate::oauth::callback::{Callback, Cancel, Listener, Outcome, Responder};
use crate::oauth::{self, provider};

/// The scopes of a login: those of the profile, those asked for now, what is needed to know whose
/// account it is, and what makes the grant last.
pub(super) fn asked_scopes(
    provider: &Provider,
    client: &Client,
    known: &Scopes,
    more: &[String],
) -> Result<Scopes, Error> {
    let mut scopes = known.clone();
    let named =
        more.iter().flat_map(|text| text.split_whitespace()).map(|scope| provider.expand_scope(scope));
    // A server without discovery may know nothing of OpenID Connect and refuse what it does not know.
    let default: &[String] = if client.is_discovered() { &provider.scopes.default } else { &[] };
    let default = default.iter().cloned();
    let lasting = client.offline_scope.then(|| provider::OFFLINE.to_owned());
    let lasting = lasting.or_else(|| provider.scopes.offline.clone());
    for scope in default.chain(lasting).chain(named) {
        scopes.insert(&scope).map_err(|error| Error::Usage(error.to_string()))?;
    }
    Ok(scopes)
}

/// Leads the user to the provider and brings back what is pasted. Implemented where the terminal is.
pub trait Courier: Sync {
    /// Shows the address or opens a browser with it. Whatever the user pastes goes to `pasted`; dropping it
    /// leaves the browser as the only way back.
    ///
    /// # Errors
    ///
    /// If there is no way to reach the user.
    fn lead(&self, way: &WayThere<'_>, pasted: Sender<SecretString>) -> Result<(), Error>;

    /// Says why a pasted text was not the answer; the wait goes on.
    fn refuse(&self, why: &str);

    /// Shows what is to be typed on another device, and where.
    ///
    /// # Errors
    ///
    /// If there is no way to reach the user.
    fn invite(&self, invitation: &Invitation<'_>) -> Result<(), Error>;
}

/// How a browser gets to the consent and back.
#[derive(Clone, Copy, Debug)]
pub struct WayThere<'a> {
    /// Where the user consents.
    pub url: &'a Url,
    /// Where the browser comes back to.
    pub redirect_uri: &'a Url,
    /// The command that the profile has its pages opened by.
    pub browser: Option<&'a str>,
    /// Whether the provider offers the device flow for what is asked for.
    pub offers_device: bool,
}

/// Which way a consent goes, and how long the user may take.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// Through a browser, here or elsewhere, which comes back.
    Browser {
        /// How long the user may take.
        patience: Duration,
    },
    /// By a code that is typed on another device (RFC 8628).
    Device {
        /// How long the user may take, where that is less than the life of the code.
        patience: Option<Duration>,
    },
}

/// How a login is to go.
pub struct Request<'a> {
    /// The way to the user.
    pub courier: &'a dyn Courier,
    /// Scopes to ask for besides those of the profile; short names are fine.
    pub scopes: &'a [String],
    /// Which way the consent goes.
    pub way: Way,
    /// The command that is to open the pages of this profile from now on.
    pub browser: Option<&'a str>,
    /// Whether another account may take the place of the linked one.
    pub replace_account: bool,
    /// Whether a consent that still works is to be replaced: the user is asked although nothing new is
    /// wanted, and the old refresh token is kept beside the new one, to be retired.
    pub renews: bool,
}

/// What proves that a user has consented.
pub(super) enum Consented<'a> {
    /// What came back from the browser, with the secrets of its flow.
    Browser {
        /// The flow.
        flow: &'a Flow,
        /// The authorization code.
        code: SecretString,
    },
    /// A device code. Whether the user has consented to it shows only when it is used.
    Device(Claim<'a>),
}

impl Consented<'_> {
    /// What the ID token must repeat.
    pub(super) fn nonce(&self) -> Option<&str> {
        match self {
            Self::Browser { flow, .. } => flow.nonce(),
            Self::Device(_) => None,
        }
    }
}

/// Leads the user through the consent and hands its proof to `finish`, which asks for the tokens: once, or by a
/// device code as often as the user takes.
pub(super) fn consent(
    ctx: Context<'_>,
    provider: &Provider,
    profile: &Profile,
    candidate: &Candidate,
    request: &Request<'_>,
    finish: impl FnMut(&Consented<'_>) -> Result<Profile, Error>,
) -> Result<Profile, Error> {
    match request.way {
        Way::Browser { patience } => {
            through_browser(provider, profile, &candidate.facts, request, patience, finish)
        }
        Way::Device { patience } => {
            device::consent(ctx, provider, profile, candidate, request, patience, finish)
        }
    }
}

/// The browser is told how the exchange of its code went.
fn through_browser(
    provider: &Provider,
    profile: &Profile,
    client: &Client,
    request: &Request<'_>,
    patience: Duration,
    mut finish: impl FnMut(&Consented<'_>) -> Result<Profile, Error>,
) -> Result<Profile, Error> {
    // Bound before the URL is made: nobody else can take the port in between.
    let back = Back::of(provider, client)?;
    let hint =
        profile.account.label().filter(|_| provider.authorization_request.login_hint).map(str::to_owned);
    let mut extra = provider.consent_parameters(profile.account.label().is_some(), &profile.scopes.asked);
    if request.renews && !extra.iter().any(|(name, _)| name == "prompt") {
        // OpenID Connect Core, 3.1.2.1. Who does not know it ignores it (RFC 6749, 3.1).
        extra.push(("prompt".to_owned(), "consent".to_owned()));
    }
    let without_pkce = client.pinned.without_pkce || provider.pkce.support == PkceSupport::Refused;
    let wording = Wording { provider: Some(provider), without_pkce };
    let consent = Consent { scopes: profile.scopes.asked.clone(), extra, login_hint: hint, wording };
    let flow = Flow::begin(client, &consent, back.redirect_uri().clone());
    log::debug!("consent at {}", client.endpoints.authorization);

    let redirect_uri = back.redirect_uri().clone();
    let way = WayThere {
        url: flow.url(),
        redirect_uri: &redirect_uri,
        browser: profile.browser.as_deref(),
        offers_device: device::is_offered(provider, client, &profile.scopes.asked),
    };
    let (code, responder) = wait(&flow, back, &way, request.courier, patience)?;
    let result = code.map_err(Error::from).and_then(|code| finish(&Consented::Browser { flow: &flow, code }));
    if let Some(responder) = responder {
        responder.finish(&outcome(&result));
    }
    result
}

fn outcome(result: &Result<Profile, Error>) -> Outcome {
    match result {
        Ok(profile) => Outcome::Success {
            account: profile.account.label().map(str::to_owned),
            profile: profile.name.to_string(),
        },
        Err(error) => {
            Outcome::Failure { title: "The login did not succeed".to_owned(), detail: error.to_string() }
        }
    }
}

/// How the browser's answer comes to us.
enum Back {
    /// To a port of this machine.
    Listener(Listener),
    /// To a page elsewhere, from whose address bar the user copies it.
    Paste(RedirectUri),
}

impl Back {
    /// The way that the client has registered, or that the provider's rules leave.
    fn of(provider: &Provider, client: &Client) -> Result<Self, Error> {
        let rules = &provider.redirect;
        let chosen = client.redirect_uri.clone().or_else(|| usual(rules));
        match chosen {
            Some(uri) if uri.scheme() == "https" => Ok(Self::Paste(uri)),
            None if rules.loopback == Loopback::HttpsOnly => {
                Err(providers::Error::NeedsHttps { provider: provider.title.clone() }.into())
            }
            uri => Ok(Self::Listener(Listener::bind(uri.as_ref())?)),
        }
    }

    fn redirect_uri(&self) -> &RedirectUri {
        match self {
            Self::Listener(listener) => listener.redirect_uri(),
            Self::Paste(uri) => uri,
        }
    }

    fn wait(self, flow: &Flow, deadline: Instant, cancel: &Cancel) -> Result<Callback, oauth::Error> {
        match self {
            Self::Listener(listener) => listener.wait(flow, deadline, cancel),
            Self::Paste(_) => cancel.wait(deadline),
        }
    }
}

/// What a provider's rules want where no redirect URI was named: the one port that is registered, or any port of
/// a machine that is called by its name.
fn usual(rules: &RedirectRules) -> Option<RedirectUri> {
    let any_port = (rules.host == LoopbackHost::Name).then(|| "http://localhost:0/".to_owned());
    let uri = rules.registered().or(any_port.filter(|_| rules.loopback == Loopback::AnyPort))?;
    Some(uri.parse().expect("a host and a port make a URL"))
}

enum Event {
    Callback(Result<Callback, oauth::Error>),
    Pasted(SecretString),
}

type Arrived = (Result<SecretString, oauth::Error>, Option<Responder>);

/// Waits for the browser and for a pasted address, whichever comes first.
fn wait(
    flow: &Flow,
    back: Back,
    way: &WayThere<'_>,
    courier: &dyn Courier,
    patience: Duration,
) -> Result<Arrived, Error> {
    let cancel = Cancel::default();
    let deadline = Instant::now() + patience;
    let (events, arrivals) = mpsc::channel();
    thread::scope(|scope| {
        let callback = events.clone();
        let cancelled = &cancel;
        scope.spawn(move || {
            let result = back.wait(flow, deadline, cancelled);
            let _ = callback.send(Event::Callback(result));
        });
        let pasted = forward_pasted(events);
        let arrived = courier.lead(way, pasted).and_then(|()| first_answer(flow, &arrivals, courier));
        cancel.cancel();
        arrived
    })
}

/// A way for pasted texts into `events`.
///
/// Its thread ends when the courier lets go of it, which may be after the login: the courier may be
/// waiting for a line that never comes.
fn forward_pasted(events: Sender<Event>) -> Sender<SecretString> {
    let (pasted, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in lines {
            if events.send(Event::Pasted(line)).is_err() {
                return;
            }
        }
    });
    pasted
}

fn first_answer(flow: &Flow, events: &Receiver<Event>, courier: &dyn Courier) -> Result<Arrived, Error> {
    for event in events {
        match event {
            Event::Callback(Ok(callback)) => return Ok((callback.answer, Some(callback.responder))),
            Event::Callback(Err(error)) => return Err(error.into()),
            Event::Pasted(text) => match flow.accept_pasted(text.expose_secret()) {
                Answer::Ours(answer) => return Ok((answer, None)),
                Answer::NotOurs(why) => courier.refuse(why),
            },
        }
    }
    Err(oauth::Error::Cancelled.into())
}
