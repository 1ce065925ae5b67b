//! What would be made of what was found: which clients and profiles, under which names, and what is there already.
//!
//! Nothing is written here, and nobody is asked but the issuer that the user has named.

use secrecy::SecretString;

use super::error::{Already, Known};
use super::item::{FoundClient, Item};
use super::{Error, names, whose};
use crate::domain::{
    Account, Client, ClientAuth, ClientName, GrantType, Profile, ProfileName, ScopeRecord, Scopes,
    SealedField,
};
use crate::ops::add_program::asked_scopes;
use crate::ops::clients::{self, Candidate, Issuer, NewClient};
use crate::ops::issuer::name_for;
use crate::ops::{self, Context, Loaded, Unlocked, client_secret, documents};
use crate::store::Name;

/// One thing that was found, and where.
#[derive(Debug)]
pub struct Found {
    /// The file, or what stands for it.
    pub source: String,
    /// What was found.
    pub item: Item,
    /// Clients that lie beside it: for a login that does not name its own, or not its secret.
    pub beside: Vec<FoundClient>,
}

/// What the user says about it.
#[derive(Debug, Default)]
pub struct Wish {
    /// What to call the profile.
    pub profile: Option<ProfileName>,
    /// The client that it belongs to: a stored one, or what to call a new one.
    pub client: Option<ClientName>,
    /// Who issues the tokens.
    pub issuer: Option<Issuer>,
    /// The secret of a client whose secret was not found.
    pub secret: Option<SecretString>,
    /// How a new client proves itself, if the user knows.
    pub auth: Option<ClientAuth>,
    /// What service accounts are to ask for; short names are fine. Their keys do not say.
    pub scopes: Vec<String>,
    /// Whether `http:` on loopback hosts is fine.
    pub insecure_loopback: bool,
}

/// What would be made.
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// What is in the vault already.
    pub already: Vec<Already>,
    /// Logins whose client nobody names, beside others that can be taken in: each in words.
    pub left_out: Vec<String>,
    clients: Vec<Candidate>,
}

/// One client, or one profile with its client.
pub struct Step {
    /// Where it was found.
    pub source: String,
    /// In what form.
    pub kind: &'static str,
    /// The client.
    pub client: Client,
    /// Whether the client is not in the vault yet.
    pub client_is_new: bool,
    /// The program whose client it is, and not the user's own.
    pub tool: Option<&'static str>,
    /// The profile that would be made, without its grant.
    pub profile: Option<Profile>,
    pub(super) candidate: usize,
    pub(super) refresh_token: Option<SecretString>,
    pub(super) api_key: Option<SecretString>,
}

impl Plan {
    /// The names of the profiles that would be made.
    pub fn profiles(&self) -> impl Iterator<Item = &ProfileName> {
        self.steps.iter().filter_map(|step| step.profile.as_ref()).map(|profile| &profile.name)
    }

    pub(super) fn into_parts(self) -> (Vec<Step>, Vec<Candidate>) {
        (self.steps, self.clients)
    }
}

/// Says what would be made of `found`. Without a vault, nothing is known already.
///
/// # Errors
///
/// [`Error`] if something is missing or contradicts itself; else as the issuer and the storage say.
pub fn plan(
    ctx: Context<'_>,
    vault: Option<&Unlocked>,
    found: Vec<Found>,
    wish: &Wish,
) -> Result<Plan, ops::Error> {
    let logins = found.iter().filter(|found| makes_a_profile(&found.item, wish)).count();
    if wish.profile.is_some() && logins > 1 {
        return Err(Error::OneName { count: logins }.into());
    }
    if let Some(name) = &wish.profile
        && ctx.store.profiles()?.contains(name)
    {
        return Err(ops::Error::ProfileExists { name: name.to_string() });
    }
    let mut planner = Planner {
        ctx,
        vault,
        wish,
        plan: Plan { steps: Vec::new(), already: Vec::new(), left_out: Vec::new(), clients: Vec::new() },
    };
    let mut nothing_to_do = None;
    for found in found {
        match planner.add(found) {
            // What is to be done with the others is told, unless there are none.
            Err(error @ ops::Error::Import(Error::NoClient { .. })) => {
                planner.plan.left_out.push(error.to_string());
                nothing_to_do = Some(error);
            }
            added => added?,
        }
    }
    let Planner { mut plan, .. } = planner;
    drop_clients_of_logins(&mut plan);
    match nothing_to_do {
        _ if !plan.steps.is_empty() => Ok(plan),
        Some(error) if plan.already.is_empty() => Err(error),
        _ => Err(Error::Already { known: plan.already }.into()),
    }
}

/// Whether more than a client comes of it.
fn makes_a_profile(item: &Item, wish: &Wish) -> bool {
    let is_key = item.client.as_ref().is_some_and(|client| client.key.is_some());
    item.grant.is_some() || (is_key && !wish.scopes.is_empty())
}

/// A client that was found by itself, and also with a login, is made with that.
fn drop_clients_of_logins(plan: &mut Plan) {
    let with_login: Vec<usize> =
        plan.steps.iter().filter(|step| step.profile.is_some()).map(|step| step.candidate).collect();
    plan.steps.retain(|step| step.profile.is_some() || !with_login.contains(&step.candidate));
}

struct Planner<'a> {
    ctx: Context<'a>,
    vault: Option<&'a Unlocked>,
    wish: &'a Wish,
    plan: Plan,
}

impl Planner<'_> {
    fn add(&mut self, found: Found) -> Result<(), ops::Error> {
        let Found { source, mut item, beside } = found;
        let place = self.client(&source, &item, &beside)?;
        let candidate = &self.plan.clients[place];
        let client = candidate.facts.clone();
        let provider = whose::provider(self.vault, &client);
        if let Some(url) = &item.token_endpoint
            && !whose::is_endpoint(&provider, &client, url)
        {
            return Err(Error::OtherEndpoint {
                file: source,
                host: crate::oauth::printable(url.host_str().unwrap_or_default(), 100),
                provider: whose::title(&provider, &client),
            }
            .into());
        }
        let client_is_new = candidate.stored.is_none();
        let grant = item.grant.take();
        let tool = whose::tool(&client.client_id);
        if let Some(grant) = &grant {
            if self.is_planned(place, &grant.refresh_token) {
                return Ok(());
            }
            if let Some(already) =
                self.find_same(&source, place, &grant.refresh_token, item.account.as_deref())?
            {
                self.plan.already.push(already);
                return Ok(());
            }
        } else if !client_is_new {
            self.plan.already.push(Already { file: source, known: Known::Client(client.name) });
            return Ok(());
        } else if self.plan.steps.iter().any(|step| step.candidate == place) {
            return Ok(());
        }
        let is_key = client.client_auth == ClientAuth::Assertion;
        let profile = match &grant {
            Some(grant) => Some(self.profile(&item, place, tool, &grant.scopes)?),
            // Its key is enough for a profile, once it is known what for.
            None if is_key && !self.wish.scopes.is_empty() => {
                let grant_type = GrantType::JwtBearer { subject: None };
                let asked = asked_scopes(&provider, &self.wish.scopes, &grant_type)?;
                Some(Profile { grant_type, ..self.profile(&item, place, tool, &asked)? })
            }
            None => None,
        };
        self.plan.steps.push(Step {
            source,
            kind: item.kind,
            client,
            client_is_new,
            tool,
            profile,
            candidate: place,
            refresh_token: grant.map(|grant| grant.refresh_token),
            api_key: item.api_key,
        });
        Ok(())
    }

    fn profile(
        &self,
        item: &Item,
        place: usize,
        tool: Option<&str>,
        scopes: &Scopes,
    ) -> Result<Profile, ops::Error> {
        let candidate = &self.plan.clients[place];
        let name = match &self.wish.profile {
            Some(name) => name.clone(),
            None => self.name(item, tool.unwrap_or(&candidate.facts.provider))?,
        };
        Ok(Profile {
            name,
            provider: candidate.facts.provider.clone(),
            account: Account { email: item.account.clone(), subject: None },
            client: candidate.id.clone(),
            scopes: ScopeRecord { asked: scopes.clone(), granted: scopes.clone() },
            grant: None,
            grant_type: Default::default(),
            browser: None,
            exports: Default::default(),
            hosts: Default::default(),
            project: item.project.clone(),
            api_key_set_at: item.api_key.is_some().then(|| self.ctx.clock.now()),
        })
    }

    /// What the file calls it, else the first part of the account's address, else whose client it is.
    fn name(&self, item: &Item, otherwise: &str) -> Result<ProfileName, ops::Error> {
        let label = item.label.as_deref().filter(|label| *label != "default");
        let user = item.account.as_deref().and_then(|account| account.split('@').next());
        let texts = [label, user, Some(otherwise), Some("imported")];
        let wanted = texts.into_iter().flatten().find_map(names::usable).expect("`imported` is a name");
        let taken = self.ctx.store.profiles()?;
        Ok(names::free(&wanted, |name| {
            taken.contains(name) || self.plan.profiles().any(|other| other == name)
        }))
    }

    /// Whether the same login is planned already: some files hold it twice.
    fn is_planned(&self, place: usize, token: &SecretString) -> bool {
        let of_client = self.plan.steps.iter().filter(|step| step.candidate == place);
        of_client
            .filter_map(|step| step.refresh_token.as_ref())
            .any(|known| client_secret::is_same(known, token))
    }

    /// The profile that has this login, or another one of the same account by the same client, which this one would
    /// stand beside for no reason: unless a name is given for it.
    fn find_same(
        &self,
        source: &str,
        place: usize,
        token: &SecretString,
        account: Option<&str>,
    ) -> Result<Option<Already>, ops::Error> {
        let candidate = &self.plan.clients[place];
        let (Some(vault), Some(_)) = (self.vault, &candidate.stored) else { return Ok(None) };
        let mut other_login = None;
        for name in self.ctx.store.profiles()? {
            let Some(profile) = vault.find_profile(self.ctx, &name)? else { continue };
            if profile.facts.client != candidate.id {
                continue;
            }
            let already = |known| Already { file: source.to_owned(), known };
            if holds(vault, &profile, &candidate.facts, token)? {
                return Ok(Some(already(Known::Login(name.clone()))));
            }
            let email = profile.facts.account.email.as_deref();
            if email.zip(account).is_some_and(|(one, two)| one.eq_ignore_ascii_case(two))
                && self.wish.profile.is_none()
            {
                other_login = other_login.or(Some(already(Known::OtherLogin(name.clone()))));
            }
        }
        Ok(other_login)
    }

    /// The place of the client that an item belongs to, among those of the plan.
    fn client(&mut self, source: &str, item: &Item, beside: &[FoundClient]) -> Result<usize, ops::Error> {
        let found = with_secret(item, beside);
        let named = match (&self.wish.client, self.vault) {
            (Some(name), Some(vault)) => vault.find_client(self.ctx, name)?,
            _ => None,
        };
        if let Some(stored) = named {
            return self.stored_client(source, found.as_ref(), stored);
        }
        let Some(found) = found else {
            return Err(match &self.wish.client {
                Some(name) => documents::no_client(self.ctx, name),
                None => Error::NoClient { file: source.to_owned(), label: item.label.clone() }.into(),
            });
        };
        if let Some(place) = self.place_of(&found.client_id) {
            return self.same_secret(source, &found, place);
        }
        let candidate = match self.known_client(&found)? {
            Some(stored) => stored,
            None => self.new_client(source, item, found)?,
        };
        self.plan.clients.push(candidate);
        Ok(self.plan.clients.len() - 1)
    }

    fn place_of(&self, client_id: &str) -> Option<usize> {
        self.plan.clients.iter().position(|client| client.facts.client_id == client_id)
    }

    fn same_secret(&mut self, source: &str, found: &FoundClient, place: usize) -> Result<usize, ops::Error> {
        let known = &self.plan.clients[place];
        if client_secret::is_same_or_unnamed(known.secret.as_ref(), found.client_secret.as_ref()) {
            return Ok(place);
        }
        Err(Error::TwoSecrets { file: source.to_owned(), client_id: found.client_id.clone() }.into())
    }

    /// The stored client that the user has named.
    fn stored_client(
        &mut self,
        source: &str,
        found: Option<&FoundClient>,
        stored: Loaded<Client>,
    ) -> Result<usize, ops::Error> {
        let Some(vault) = self.vault else { unreachable!("a stored client was read from a vault") };
        if let Some(found) = found.filter(|found| found.client_id != stored.facts.client_id) {
            return Err(Error::OtherClient {
                file: source.to_owned(),
                client_id: found.client_id.clone(),
                client: stored.facts.name.clone(),
            }
            .into());
        }
        if let Some(place) = self.place_of(&stored.facts.client_id) {
            return Ok(place);
        }
        let candidate = Candidate::stored(vault, stored)?;
        check_secret(&candidate, found)?;
        self.plan.clients.push(candidate);
        Ok(self.plan.clients.len() - 1)
    }

    /// A stored client with this id, unless the user has named an issuer, which may be another one.
    fn known_client(&self, found: &FoundClient) -> Result<Option<Candidate>, ops::Error> {
        let (Some(vault), None) = (self.vault, &self.wish.issuer) else { return Ok(None) };
        for name in self.ctx.store.clients()? {
            let Some(stored) = vault.find_client(self.ctx, &name)? else { continue };
            if stored.facts.client_id == found.client_id {
                let candidate = Candidate::stored(vault, stored)?;
                check_secret(&candidate, Some(found))?;
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    fn new_client(&self, source: &str, item: &Item, found: FoundClient) -> Result<Candidate, ops::Error> {
        let client_id = found.client_id.clone();
        let issuer = self.wish.issuer.clone().or_else(|| whose::issuer(self.vault, item, &client_id));
        let Some(issuer) = issuer else {
            return Err(Error::NoProvider { file: source.to_owned(), client_id, seems: item.provider }.into());
        };
        let is_public = self.wish.auth == Some(ClientAuth::None) && found.key.is_none();
        let own_name = found.key.is_some().then(|| item.label.as_deref().map(name_for)).flatten();
        let new = NewClient {
            name: self.wish.client.clone().or(own_name),
            issuer,
            client_id,
            secret: found.client_secret.or_else(|| self.wish.secret.clone()).filter(|_| !is_public),
            auth: if found.key.is_some() { Some(ClientAuth::Assertion) } else { self.wish.auth },
            redirect_uri: found.redirect_uris.iter().find_map(|uri| uri.parse().ok()),
            allow_no_pkce: false,
            insecure_loopback: self.wish.insecure_loopback,
            key: found.key,
            kind: None,
        };
        let (mut facts, secret) = clients::resolve(self.ctx, self.vault, new)?;
        let tool = whose::tool(&facts.client_id);
        if let (Some(tool), None) = (tool, &self.wish.client) {
            facts.name = tool.parse().expect("the name of a program is a name");
        }
        if let Some(vault) = self.vault
            && let Some(stored) = clients::find_same(self.ctx, vault, &facts, secret.as_ref())?
        {
            return Candidate::stored(vault, stored);
        }
        if secret.is_none() && !is_public && whose::needs_secret(&whose::provider(self.vault, &facts)) {
            return Err(Error::NoSecret { file: source.to_owned(), client_id: facts.client_id, tool }.into());
        }
        clients::candidate(self.ctx, facts, secret, self.wish.client.is_some())
    }
}

/// The client of an item, with what lies beside it where it says too little itself.
fn with_secret(item: &Item, beside: &[FoundClient]) -> Option<FoundClient> {
    match &item.client {
        Some(client) if client.client_secret.is_some() => Some(client.clone()),
        Some(client) => {
            let same = beside.iter().find(|other| other.client_id == client.client_id);
            Some(same.unwrap_or(client).clone())
        }
        None => match beside {
            [only] => Some(only.clone()),
            _ => None,
        },
    }
}

fn check_secret(stored: &Candidate, found: Option<&FoundClient>) -> Result<(), ops::Error> {
    let given = found.and_then(|found| found.client_secret.as_ref());
    if client_secret::is_same_or_unnamed(stored.secret.as_ref(), given) {
        return Ok(());
    }
    Err(ops::Error::OtherSecret { client: stored.facts.name.to_string() })
}

/// Whether a stored profile has this refresh token.
fn holds(
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    client: &Client,
    token: &SecretString,
) -> Result<bool, ops::Error> {
    if !profile.document.holds(SealedField::RefreshToken) {
        return Ok(false);
    }
    let opened = profile.document.open(&vault.keys, SealedField::RefreshToken, &client.binding());
    let stored_as = Name::Profile(profile.facts.name.clone());
    let (known, _) = opened.map_err(documents::refused(&stored_as))?;
    Ok(client_secret::is_same(&known, token))
}
