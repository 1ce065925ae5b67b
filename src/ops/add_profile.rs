//! `vault add-profile`: links an account, a client and scopes, and logs in.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::clients::{self, Candidate, NewClient};
use super::consent::{Request, Way, asked_scopes, consent};
use super::login::{self, Party, Place};
use super::{Context, Error, Unlocked, device, documents, mint, recover, rename};
use crate::domain::{Account, ClientName, GrantType, Profile, ProfileName, ScopeRecord, Scopes};
use crate::store::Access;
use crate::system::random_id;

/// Which client a new profile uses.
#[derive(Debug)]
pub enum ClientChoice {
    /// One that is stored.
    Stored(ClientName),
    /// One that is described now; if it is stored already, that one.
    New(Box<NewClient>),
    /// The only one there is.
    Only,
}

/// A profile as the user describes it.
#[derive(Debug)]
pub struct NewProfile {
    /// What to call it.
    pub name: ProfileName,
    /// Its client.
    pub client: ClientChoice,
    /// The address of the account that is meant.
    pub account: Option<String>,
    /// What to ask for; short names are fine.
    pub scopes: Vec<String>,
    /// An API key to keep with it.
    pub api_key: Option<SecretString>,
    /// The command that is to open its pages.
    pub browser: Option<String>,
}

/// Makes a profile and logs it in, or only makes it if there is no `login`.
///
/// Nothing is stored unless the login succeeds.
///
/// # Errors
///
/// [`Error::ProfileExists`] if the name is taken, else as `login` does.
pub fn add_profile(
    ctx: Context<'_>,
    vault: &Unlocked,
    new: NewProfile,
    login: Option<&Request<'_>>,
) -> Result<Profile, Error> {
    ctx.audit.profile(&new.name);
    // A profile whose making was interrupted may be there in all but its place.
    recover::settle(ctx, vault, &new.name)?;
    finish_renames(ctx, vault)?;
    check_free(ctx, &new.name)?;
    if let (Some(Request { way: Way::Device { .. }, .. }), ClientChoice::New(client)) = (login, &new.client) {
        device::check_new(ctx, vault, client)?;
    }
    let plan = Plan::make(ctx, vault, new, login.map_or(&[], |login| login.scopes))?;
    match login {
        None => {
            let _lock = vault.lock(ctx, Access::Exclusive)?;
            plan.party(ctx, vault)?.save_without_grant(ctx, vault)
        }
        Some(request) => {
            ctx.store.prove_writable()?;
            let provider = vault.provider(&plan.candidate.facts.provider);
            consent(ctx, &provider, &plan.profile, &plan.candidate, request, |consented| {
                let _lock = vault.lock(ctx, Access::Exclusive)?;
                let party = plan.party(ctx, vault)?;
                login::exchange(ctx, vault, party, consented, request.replace_account)
            })
        }
    }
}

/// The older half of an interrupted rename of a client is no client to choose from.
pub(super) fn finish_renames(ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    rename::finish(ctx, vault).map(|_| ())
}

pub(super) fn check_free(ctx: Context<'_>, name: &ProfileName) -> Result<(), Error> {
    if ctx.store.profiles()?.contains(name) {
        return Err(Error::ProfileExists { name: name.to_string() });
    }
    Ok(())
}

/// What will be stored if everything goes well.
pub(super) struct Plan {
    pub(super) profile: Profile,
    pub(super) candidate: Candidate,
    pub(super) api_key: Option<SecretString>,
    pub(super) client_was_named: bool,
}

impl Plan {
    fn make(ctx: Context<'_>, vault: &Unlocked, new: NewProfile, more: &[String]) -> Result<Self, Error> {
        let (candidate, client_was_named) = choose_client(ctx, vault, new.client)?;
        mint::check_client(&candidate.facts, &GrantType::AuthorizationCode)?;
        let provider = candidate.facts.provider.clone();
        let scopes: Vec<String> = new.scopes.iter().chain(more).cloned().collect();
        let asked = asked_scopes(&vault.provider(&provider), &candidate.facts, &Scopes::default(), &scopes)?;
        let profile = Profile {
            name: new.name,
            provider,
            account: Account { email: new.account, subject: None },
            client: candidate.id.clone(),
            scopes: ScopeRecord { asked, granted: Scopes::default() },
            grant: None,
            exports: Default::default(),
            hosts: BTreeMap::new(),
            grant_type: GrantType::default(),
            browser: new.browser,
            project: None,
            api_key_set_at: new.api_key.is_some().then(|| ctx.clock.now()),
        };
        Ok(Self { profile, candidate, api_key: new.api_key, client_was_named })
    }

    /// What stands in the store may have changed while the user was in the browser. The caller holds
    /// the vault lock alone.
    pub(super) fn party(&self, ctx: Context<'_>, vault: &Unlocked) -> Result<Party, Error> {
        rename::finish(ctx, vault)?;
        recover::recover(ctx, vault, &self.profile.name)?;
        check_free(ctx, &self.profile.name)?;
        let secret = self.candidate.secret.clone();
        let client = match clients::find_same(ctx, vault, &self.candidate.facts, secret.as_ref())? {
            Some(stored) => Candidate::stored(vault, stored)?,
            None if self.candidate.stored.is_some() => {
                return Err(documents::no_client(ctx, &self.candidate.facts.name));
            }
            None => {
                let (facts, secret) = (self.candidate.facts.clone(), self.candidate.secret.clone());
                clients::candidate(ctx, facts, secret, self.client_was_named)?
            }
        };
        Ok(Party {
            facts: Profile { client: client.id.clone(), ..self.profile.clone() },
            document: Place::New(random_id()),
            client,
            api_key: self.api_key.clone(),
            previous: None,
        })
    }
}

pub(super) fn choose_client(
    ctx: Context<'_>,
    vault: &Unlocked,
    choice: ClientChoice,
) -> Result<(Candidate, bool), Error> {
    match choice {
        ClientChoice::Stored(name) => Ok((Candidate::stored(vault, vault.client_named(ctx, &name)?)?, true)),
        ClientChoice::Only => {
            let names = ctx.store.clients()?;
            let [name] = &names[..] else { return Err(which_client(&names)) };
            Ok((Candidate::stored(vault, vault.client_named(ctx, name)?)?, true))
        }
        ClientChoice::New(new) => {
            let was_named = new.name.is_some();
            let (facts, secret) = clients::resolve(ctx, Some(vault), *new)?;
            let candidate = match clients::find_same(ctx, vault, &facts, secret.as_ref())? {
                Some(stored) => Candidate::stored(vault, stored)?,
                None => clients::candidate(ctx, facts, secret, was_named)?,
            };
            Ok((candidate, was_named))
        }
    }
}

fn which_client(names: &[ClientName]) -> Error {
    if names.is_empty() {
        return Error::Usage("a profile needs an OAuth client, and none is stored yet".to_owned());
    }
    let names: Vec<&str> = names.iter().map(ClientName::as_str).collect();
    Error::Usage(format!("there is more than one client: {}", names.join(", ")))
}
