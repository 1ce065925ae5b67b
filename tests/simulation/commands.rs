//! What a process can be told to do, done by the product's own operations on a simulated machine.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;
use vault::domain::{AccessToken, ClientAuth, Endpoints, Field, ProfileName};
use vault::ops::add_profile::{ClientChoice, NewProfile, add_profile};
use vault::ops::audit;
use vault::ops::clients::{Issuer, NewClient};
use vault::ops::consent::{Courier, Request as LoginRequest, Way, WayThere};
use vault::ops::device::Invitation;
use vault::ops::edit::{Changes, edit};
use vault::ops::init::{FirstSlot, init};
use vault::ops::login::login;
use vault::ops::rotate_key;
use vault::ops::{Context, Error, Notice, Notices, Unlocked, Vault, registry, rename, rescue, reveal, token};
use vault::store::{Directory, Places};
use vault::unlock::keychain::{self, Keychain};
use vault::unlock::{Prompt, PromptError, Ways};

use crate::fate::Act;
use crate::ledger::{End, Purpose};
use crate::machine::Machine;
use crate::world::Extent;

pub(crate) const HOME: &str = "/home";
pub(crate) const API_KEY: &str = "API-KEY";
pub(crate) const CLIENT_SECRET: &str = "CLIENT-SECRET";

/// What a process is told to do. Profiles are named.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Token(&'static str),
    Refresh(&'static str),
    Login(&'static str),
    Edit(&'static str),
    Rename(&'static str, &'static str),
    Remove(&'static str),
    /// The API key and the client secret.
    Reveal(&'static str),
    ImportRescue(String),
    /// A new vault key, or the rest of a rotation that was interrupted.
    Rotate,
    /// Makes the vault with these profiles.
    Make(&'static [&'static str]),
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A secret was asked for.
    Answer(String),
    Done,
    Failed(Box<Error>),
    Killed,
    Panicked,
}

impl Outcome {
    pub(crate) fn end(&self) -> End<'_> {
        match self {
            Self::Answer(_) | Self::Done => End::Success,
            Self::Failed(error) => match &**error {
                Error::Rescue { block, .. } => End::Rescue(block),
                _ => End::Failure,
            },
            Self::Killed | Self::Panicked => End::Failure,
        }
    }
}

impl Command {
    pub(crate) fn purpose(&self) -> Purpose {
        match self {
            Self::Token(_) => Purpose::Token,
            Self::Refresh(_) => Purpose::Refresh,
            _ => Purpose::Other,
        }
    }

    /// Does it on `machine`, as the program would.
    pub(crate) fn run(&self, machine: &Machine) -> Result<Option<String>, Error> {
        let own = Arc::new(machine.clone());
        let directory = Directory::on(own.clone(), own, places());
        let ways = Ways {
            prompt: &Nobody,
            keychain: &Chain(machine),
            agent: None,
            identities: Vec::new(),
            passphrase: None,
            may_ask: false,
        };
        let ctx = Context {
            store: &directory,
            memory: &directory,
            journal: &directory,
            audit: &audit::Entry::new("simulated"),
            http: machine,
            clock: machine,
            ways: &ways,
            pinned: None,
            notices: &Scribe(machine),
        };
        if let Self::Make(profiles) = self {
            return make(ctx, machine, profiles).map(|()| None);
        }
        if matches!(self, Self::Rotate) {
            let request = rotate_key::Request::default();
            return rotate_key::rotate(ctx, &request, &|_, _, _| ()).map(|_| None);
        }
        self.run_unlocked(ctx, &Vault::open(ctx)?.unlock(ctx)?, machine)
    }

    fn run_unlocked(
        &self,
        ctx: Context<'_>,
        vault: &Unlocked,
        machine: &Machine,
    ) -> Result<Option<String>, Error> {
        let field = |profile: &str, field| {
            reveal::reveal(ctx, vault, &name(profile), field).map(|value| value.expose_secret().to_owned())
        };
        match self {
            Self::Token(profile) => {
                answer(token::token(ctx, vault, &name(profile), token::Request::default()))
            }
            Self::Refresh(profile) => {
                let request = token::Request { refresh: true, ..Default::default() };
                answer(token::token(ctx, vault, &name(profile), request))
            }
            Self::Login(profile) => {
                let courier = Person { machine, account: account_of(profile) };
                login(ctx, vault, &name(profile), &consent_by(&courier)).map(|_| None)
            }
            Self::Edit(profile) => {
                let set = vec![("CHANGED".parse().unwrap(), Field::ClientId)];
                edit(ctx, vault, &name(profile), Changes { set, ..Changes::default() }).map(|_| None)
            }
            Self::Rename(from, to) => rename::rename(ctx, vault, &name(from), &name(to)).map(|()| None),
            Self::Remove(profile) => rename::remove(ctx, vault, &name(profile)).map(|()| None),
            Self::Reveal(profile) => {
                let secrets = [field(profile, Field::ApiKey)?, field(profile, Field::ClientSecret)?];
                Ok(Some(secrets.join(" ")))
            }
            Self::ImportRescue(block) => rescue::import(ctx, vault, block.as_bytes()).map(|_| None),
            Self::Make(_) | Self::Rotate => unreachable!("they open the vault themselves"),
        }
    }
}

fn answer(token: Result<AccessToken, Error>) -> Result<Option<String>, Error> {
    token.map(|token| Some(token.value.expose_secret().to_owned()))
}

pub(crate) fn name(text: &str) -> ProfileName {
    text.parse().unwrap()
}

/// `job` is another name for the profile of `work`.
pub(crate) fn account_of(profile: &str) -> &'static str {
    if profile == "home" { "home" } else { "work" }
}

fn places() -> Places {
    let below = |name: &str| PathBuf::from(HOME).join(name);
    Places { vault: below("vault"), cache: below("cache"), state: below("state") }
}

fn make(ctx: Context<'_>, machine: &Machine, profiles: &[&str]) -> Result<(), Error> {
    let vault = init(ctx, &FirstSlot::Keychain)?;
    for profile in profiles {
        let courier = Person { machine, account: account_of(profile) };
        let client = if *profile == profiles[0] {
            ClientChoice::New(Box::new(new_client()))
        } else {
            ClientChoice::Only
        };
        let new = NewProfile {
            name: name(profile),
            client,
            account: None,
            scopes: Vec::new(),
            api_key: Some(API_KEY.into()),
            browser: None,
        };
        add_profile(ctx, &vault, new, Some(&consent_by(&courier)))?;
    }
    registry::set_default(ctx, &vault, &name(profiles[0]))
}

fn new_client() -> NewClient {
    let url = |path: &str| Url::parse(&format!("https://as.example/{path}")).unwrap();
    let endpoints = Endpoints::of(url("authorize"), url("token"));
    NewClient {
        name: None,
        issuer: Issuer::Endpoints(Box::new(endpoints)),
        client_id: "client".to_owned(),
        secret: Some(CLIENT_SECRET.into()),
        auth: Some(ClientAuth::Post),
        redirect_uri: None,
        allow_no_pkce: false,
        insecure_loopback: false,
        key: None,
        kind: None,
    }
}

fn consent_by<'a>(courier: &'a Person<'a>) -> LoginRequest<'a> {
    let way = Way::Browser { patience: Duration::from_secs(60) };
    LoginRequest { courier, scopes: &[], way, browser: None, replace_account: false, renews: false }
}

/// A person who consents at once and pastes the address.
struct Person<'a> {
    machine: &'a Machine,
    account: &'static str,
}

impl Courier for Person<'_> {
    fn lead(&self, way: &WayThere<'_>, pasted: Sender<SecretString>) -> Result<(), Error> {
        let WayThere { url, redirect_uri, .. } = way;
        let state = url.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
        let code = self.machine.world.state().server.consent(self.account);
        pasted.send(format!("{redirect_uri}?code={code}&state={state}").into()).unwrap();
        Ok(())
    }

    fn refuse(&self, why: &str) {
        panic!("the address is the right one: {why}");
    }

    fn invite(&self, _: &Invitation<'_>) -> Result<(), Error> {
        panic!("nobody has asked for a device code");
    }
}

/// What is in the keychain, and every vault key that ever was.
#[derive(Clone, Default)]
pub(crate) struct Keyring {
    entries: BTreeMap<String, SecretString>,
    /// In the order in which they were made.
    made: Vec<SecretString>,
}

impl Keyring {
    pub(crate) fn entry(&self, name: &str) -> Option<&SecretString> {
        self.entries.get(name)
    }

    /// The vault keys in it.
    pub(crate) fn vault_keys(&self) -> impl Iterator<Item = &SecretString> {
        self.entries.values()
    }

    /// Every vault key that ever was in it, oldest first.
    pub(crate) fn all_keys(&self) -> &[SecretString] {
        &self.made
    }

    fn write(&mut self, entry: &str, secret: &SecretString) {
        self.entries.insert(entry.to_owned(), secret.clone());
        self.made.push(secret.clone());
    }
}

/// The keychain as one process sees it. Whatever it does is durable at once.
struct Chain<'a>(&'a Machine);

impl Chain<'_> {
    /// A change, of which nobody knows whether it was made if its process ends by it.
    fn change<R>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Keyring) -> R,
    ) -> Result<R, keychain::Error> {
        let Machine { world, process } = self.0;
        let changed = world.step(*process, Act::Keychain(what), |state, extent| {
            let is_made = extent == Extent::Whole || (extent == Extent::Part && state.random.bool());
            let result = is_made.then(|| work(&mut state.keyring));
            state.keys_have_changed();
            result.ok_or_else(|| io::ErrorKind::TimedOut.into())
        });
        changed.map_err(|_| keychain::Error::TooSlow(Duration::from_secs(10)))
    }
}

impl Keychain for Chain<'_> {
    fn read(&self, entry: &str) -> Result<Option<SecretString>, keychain::Error> {
        Ok(self.0.world.state().keyring.entry(entry).cloned())
    }

    fn write(&self, entry: &str, secret: &SecretString) -> Result<(), keychain::Error> {
        self.change("write", |keyring| keyring.write(entry, secret))
    }

    fn delete(&self, entry: &str) -> Result<bool, keychain::Error> {
        self.change("delete", |keyring| keyring.entries.remove(entry).is_some())
    }

    fn name(&self) -> &str {
        "the keyring of the simulation"
    }
}

/// Writes into the trace what the product says.
struct Scribe<'a>(&'a Machine);

impl Notices for Scribe<'_> {
    fn notice(&self, notice: &Notice) {
        let text = format!("{notice:?}");
        let name = text.split([' ', '(', '{']).next().unwrap_or_default();
        self.0.world.state().note(self.0.process, &format!("says {name}"));
    }
}

struct Nobody;

impl Prompt for Nobody {
    fn passphrase(&self, _: &str) -> Result<SecretString, PromptError> {
        Err(PromptError::Cancelled)
    }
}
