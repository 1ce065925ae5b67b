//! `vault add-profile` for a program: no person consents, and the first token is asked for at once.

use secrecy::SecretString;
use url::Url;

use super::add_profile::{ClientChoice, Plan, check_free, choose_client, finish_renames};
use super::api::is_preset;
use super::clients::Candidate;
use super::login::Party;
use super::mint::{self, Applicant};
use super::{Context, Error, Loaded, Unlocked, cache, documents, recover};
use crate::domain::{
    AccessToken, Account, Client, DocumentId, Grant, GrantState, GrantType, Profile, ProfileName, Provider,
    ScopeRecord, Scopes,
};
use crate::oauth::{check_url, impersonation};
use crate::seal::Verified;
use crate::store::{Access, Expected, Name, Revision};
use crate::system::random_id;

/// What is asked for where nothing else is said: what the service account itself may do.
/// <https://cloud.google.com/iam/docs/create-short-lived-credentials-direct#sa-credentials-oauth>
const WHOLE_CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";

/// By what right a program gets its tokens.
#[derive(Debug)]
pub enum Right {
    /// Its client's own (RFC 6749, 4.4).
    Client(ClientChoice),
    /// The key of a service account (RFC 7523, 2.1).
    Key {
        /// The service account.
        client: ClientChoice,
        /// The user on whose behalf it acts.
        subject: Option<String>,
    },
    /// Another profile's right to act as a service account.
    Impersonation {
        /// The profile whose token asks.
        via: ProfileName,
        /// The address of the service account.
        service_account: String,
        /// The service accounts between the two.
        delegates: Vec<String>,
        /// How long a token is to live, in seconds.
        lifetime_s: u64,
        /// The API that issues the tokens, if not the provider's own.
        api: Option<Url>,
    },
}

/// A profile for a program, as the user describes it.
#[derive(Debug)]
pub struct NewProgram {
    /// What to call it.
    pub name: ProfileName,
    /// By what right it gets its tokens.
    pub right: Right,
    /// What to ask for; short names are fine.
    pub scopes: Vec<String>,
    /// What to call the account, where nothing else names it.
    pub account: Option<String>,
    /// The project that its requests are counted for.
    pub project: Option<String>,
    /// An API key to keep with it.
    pub api_key: Option<SecretString>,
    /// Whether to ask for a token now, and to store nothing if there is none.
    pub is_proven: bool,
}

/// Makes a profile whose tokens need no person, and gets its first token.
///
/// Nothing is stored unless the provider gives one, if it is to be asked.
///
/// # Errors
///
/// [`Error::ProfileExists`] if the name is taken, else as a token does.
pub fn add_program(ctx: Context<'_>, vault: &Unlocked, new: NewProgram) -> Result<Profile, Error> {
    ctx.audit.profile(&new.name);
    recover::settle(ctx, vault, &new.name)?;
    finish_renames(ctx, vault)?;
    check_free(ctx, &new.name)?;
    ctx.store.prove_writable()?;
    let is_proven = new.is_proven;
    let mut plan = plan(ctx, vault, new)?;
    mint::check_client(&plan.candidate.facts, &plan.profile.grant_type)?;
    let token = if is_proven { Some(first_token(ctx, vault, &mut plan)?) } else { None };
    plan.profile.scopes.granted =
        token.as_ref().map_or_else(|| plan.profile.scopes.asked.clone(), |token| token.scopes.clone());

    let _lock = vault.lock(ctx, Access::Exclusive)?;
    let proven = plan.candidate.facts.clone();
    let mut party = plan.party(ctx, vault)?;
    party.client.facts.client_auth = proven.client_auth;
    party.client.facts.client_auth_pinned = proven.client_auth_pinned;
    save(ctx, vault, party, token)
}

fn plan(ctx: Context<'_>, vault: &Unlocked, new: NewProgram) -> Result<Plan, Error> {
    let made = Made::of(ctx, vault, new.right)?;
    let client = &made.candidate.facts;
    let asked = asked_scopes(&vault.provider(&client.provider), &new.scopes, &made.grant_type)?;
    let profile = Profile {
        name: new.name,
        provider: client.provider.clone(),
        account: Account { email: made.account(new.account)?, subject: None },
        client: made.candidate.id.clone(),
        scopes: ScopeRecord { asked, granted: Scopes::default() },
        grant: Some(new_grant(ctx)),
        exports: Default::default(),
        hosts: Default::default(),
        grant_type: made.grant_type,
        browser: None,
        project: new.project,
        api_key_set_at: new.api_key.is_some().then(|| ctx.clock.now()),
    };
    let (candidate, client_was_named) = (made.candidate, made.client_was_named);
    Ok(Plan { profile, candidate, api_key: new.api_key, client_was_named })
}

/// What a right comes to.
struct Made {
    grant_type: GrantType,
    candidate: Candidate,
    client_was_named: bool,
}

impl Made {
    fn of(ctx: Context<'_>, vault: &Unlocked, right: Right) -> Result<Self, Error> {
        match right {
            Right::Client(choice) => Self::by_client(ctx, vault, choice, GrantType::ClientCredentials),
            Right::Key { client, subject } => {
                Self::by_client(ctx, vault, client, GrantType::JwtBearer { subject })
            }
            Right::Impersonation { via, service_account, delegates, lifetime_s, api } => {
                let source = vault.settled_profile(ctx, &via)?;
                mint::check_source(&vault.provider(&source.facts.provider), &source.facts)?;
                let (_, client) = vault.client(ctx, &source.facts.client)?;
                let api = iam(vault, &client.facts, api)?;
                check_url(&api, client.facts.insecure_loopback)?;
                let grant_type = GrantType::Impersonation {
                    endpoint: impersonation::account_url(&api, &service_account)?,
                    service_account,
                    source: source.document.id().clone(),
                    delegates,
                    lifetime_s,
                };
                let candidate = Candidate::stored(vault, client)?;
                Ok(Self { grant_type, candidate, client_was_named: true })
            }
        }
    }

    fn by_client(
        ctx: Context<'_>,
        vault: &Unlocked,
        choice: ClientChoice,
        grant_type: GrantType,
    ) -> Result<Self, Error> {
        let (candidate, client_was_named) = choose_client(ctx, vault, choice)?;
        Ok(Self { grant_type, candidate, client_was_named })
    }

    /// Whose account the tokens are of.
    fn account(&self, said: Option<String>) -> Result<Option<String>, Error> {
        let own = match &self.grant_type {
            GrantType::JwtBearer { subject } => {
                subject.clone().or_else(|| Some(self.candidate.facts.client_id.clone()))
            }
            GrantType::Impersonation { service_account, .. } => Some(service_account.clone()),
            _ => return Ok(said),
        };
        match said {
            Some(said) if own.as_ref().is_some_and(|own| !own.eq_ignore_ascii_case(&said)) => {
                Err(Error::Usage(format!(
                    "the account of this profile is {}, not {said}",
                    own.unwrap_or_default()
                )))
            }
            _ => Ok(own),
        }
    }
}

/// Where tokens of service accounts are issued for the accounts of this client.
fn iam(vault: &Unlocked, client: &Client, said: Option<Url>) -> Result<Url, Error> {
    let known = || vault.provider(&client.provider).iam(&client.pinned.values);
    // What the provider's file says counts only where the client's tokens go already.
    let usual = || known().filter(|url| is_preset(url, client));
    said.or_else(usual).ok_or_else(|| {
        Error::Usage(format!(
            "it is not known where {} issues tokens of service accounts; name that API with `--iam-url`",
            client.provider
        ))
    })
}

/// What is asked for. Nothing is added that only a person has: there is no ID token, and nothing to refresh.
pub(in crate::ops) fn asked_scopes(
    provider: &Provider,
    said: &[String],
    grant_type: &GrantType,
) -> Result<Scopes, Error> {
    let mut scopes = Scopes::default();
    let mut insert = |scope: &str| {
        scopes.insert(&provider.expand_scope(scope)).map_err(|error| Error::Usage(error.to_string()))
    };
    said.iter().flat_map(|text| text.split_whitespace()).try_for_each(&mut insert)?;
    match grant_type {
        GrantType::Impersonation { .. } if scopes.is_empty() => {
            scopes.insert(WHOLE_CLOUD).map_err(|error| Error::Usage(error.to_string()))?;
        }
        GrantType::JwtBearer { .. } if scopes.is_empty() => {
            return Err(Error::Usage("say with `--scope` what the service account is to ask for".to_owned()));
        }
        _ => {}
    }
    Ok(scopes)
}

/// There was no consent; what ties cached tokens to this profile is drawn all the same.
pub(super) fn new_grant(ctx: Context<'_>) -> Grant {
    Grant {
        id: random_id(),
        obtained_at: ctx.clock.now(),
        refreshed_at: None,
        expires_at: None,
        state: GrantState::Live,
        refreshable: true,
    }
}

/// Asks for the first token. A client whose authentication is not pinned may prove itself the other way once, and
/// what worked is pinned.
fn first_token(ctx: Context<'_>, vault: &Unlocked, plan: &mut Plan) -> Result<AccessToken, Error> {
    let first = ask(ctx, vault, plan);
    let token = match (first, super::login::other_auth(&plan.candidate)) {
        (Err(error), Some(other)) if is_about_authentication(&error) => {
            plan.candidate.facts.client_auth = other;
            // If neither way is accepted, the user is told what was said to the one that was announced.
            ask(ctx, vault, plan)
                .map_err(|second| if is_about_authentication(&second) { error } else { second })?
        }
        (first, _) => first?,
    };
    plan.candidate.facts.client_auth_pinned = true;
    Ok(token)
}

fn ask(ctx: Context<'_>, vault: &Unlocked, plan: &Plan) -> Result<AccessToken, Error> {
    let client = &plan.candidate.facts;
    let applicant = Applicant {
        provider: vault.provider(&client.provider),
        binding: client.binding(),
        secret: plan.candidate.secret.clone(),
        key_id: client.key_id.clone(),
        client: client.clone(),
    };
    applicant.access_token(ctx, vault, &plan.profile, &plan.profile.scopes.asked)
}

fn is_about_authentication(error: &Error) -> bool {
    matches!(error, Error::Mint(mint::Error::Refused { server, .. }) if server.error == "invalid_client")
}

/// Stores client, profile and token. The caller holds the vault lock alone.
fn save(
    ctx: Context<'_>,
    vault: &Unlocked,
    mut party: Party,
    token: Option<AccessToken>,
) -> Result<Profile, Error> {
    if let GrantType::Impersonation { source, .. } = &party.facts.grant_type {
        // It may have been removed while IAM was asked.
        check_is_there(ctx, vault, &party.facts.name, source)?;
    }
    let is_new_client = party.client.stored.is_none();
    party.client.save_if_changed(ctx, vault)?;
    let document = party.draft(vault).facts(&party.facts).sign(&vault.keys);
    let name = Name::Profile(party.facts.name.clone());
    if let Err(error) = documents::save(ctx, &name, &document, Expected::Absent) {
        if is_new_client && let Err(left) = party.client.forget(ctx) {
            log::warn!("the new client stays in the vault: {left}");
        }
        return Err(error);
    }
    if let Some(token) = token {
        keep(ctx, vault, &party, document, &token);
    }
    Ok(party.facts)
}

fn check_is_there(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &ProfileName,
    source: &DocumentId,
) -> Result<(), Error> {
    match mint::by_id(ctx, vault, source)? {
        Some(_) => Ok(()),
        None => Err(mint::Error::NoSource { profile: profile.clone() }.into()),
    }
}

fn keep(ctx: Context<'_>, vault: &Unlocked, party: &Party, document: Verified, token: &AccessToken) {
    let Some(grant) = &party.facts.grant else { return };
    let revision = Revision::of(&document.to_bytes());
    let profile = Loaded { document, facts: party.facts.clone(), revision };
    cache::keep(ctx, vault, &profile, (grant, &party.client.facts.issuer), None, token);
}
