//! `vault login`: a consent, and a grant that is saved before anything is said.

use std::time::Duration;

use secrecy::SecretString;

use super::clients::Candidate;
use super::consent::{Consented, Request, asked_scopes, consent};
use super::device::POLL_LIMIT;
use super::new_consent::NewConsent;
use super::refresh::ask_twice;
use super::{Context, Error, Loaded, Unlocked, documents, mint, recover, rescue, successor};
use crate::domain::{
    Account, Binding, Client, ClientAuth, DocumentId, Profile, ProfileName, Provider, SealedField,
};
use crate::oauth::token_endpoint::{self, Credentials, TokenAnswer};
use crate::oauth::{self, ServerError, id_token, userinfo};
use crate::seal::{Draft, Format, Verified};
use crate::store::{self, Access, Expected, Lock, Name, Target};
use crate::system::{Deferral, random_id};

/// How long userinfo may take.
const USERINFO_LIMIT: Duration = Duration::from_secs(15);

/// Logs a profile in, or in again.
///
/// # Errors
///
/// [`Error::OtherAccount`] if somebody else consented; nothing is changed then. Else as the user, the
/// provider and the storage say.
pub fn login(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    request: &Request<'_>,
) -> Result<Profile, Error> {
    ctx.audit.profile(name);
    recover::settle(ctx, vault, name)?;
    let mut profile = vault.profile(ctx, name)?.facts;
    let (_, client) = vault.client(ctx, &profile.client)?;
    mint::check_person(&profile, Some(&client.facts))?;
    let candidate = Candidate::stored(vault, client)?;
    let provider = vault.provider(&candidate.facts.provider);
    profile.scopes.asked = asked_scopes(&provider, &candidate.facts, &profile.scopes.asked, request.scopes)?;
    profile.browser = request.browser.map(str::to_owned).or(profile.browser);
    ctx.store.prove_writable()?;

    consent(ctx, &provider, &profile, &candidate, request, |consented| {
        // Alone only if the client may have to be written too; else other profiles can go on.
        let access = if candidate.facts.client_auth_pinned { Access::Shared } else { Access::Exclusive };
        let _vault_lock = vault.lock(ctx, access)?;
        let id = vault.profile(ctx, name)?.document.id().clone();
        let _turn = ctx.lock(&Lock::Grant(id), Access::Exclusive)?;
        recover::recover(ctx, vault, name)?;
        let current = vault.profile(ctx, name)?;
        let (_, client) = vault.client(ctx, &current.facts.client)?;
        let client = Candidate::stored(vault, client)?;
        if client.facts.binding() != candidate.facts.binding() {
            return Err(
                oauth::Error::Policy { what: "the client was changed during the login".to_owned() }.into()
            );
        }
        let browser = request.browser.map(str::to_owned).or(current.facts.browser.clone());
        let facts = Profile { scopes: profile.scopes.clone(), browser, ..current.facts.clone() };
        let previous = if request.renews { to_retire(vault, &current, &client)? } else { None };
        let document = Place::Stored(current.document);
        let party = Party { facts, document, client, api_key: None, previous };
        exchange(ctx, vault, party, consented, request.replace_account)
    })
}

/// The refresh token that a new consent is to replace, and that is kept until it is retired.
fn to_retire(
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    client: &Candidate,
) -> Result<Option<SecretString>, Error> {
    let name = Name::Profile(profile.facts.name.clone());
    if profile.document.holds(SealedField::RefreshTokenPrevious) {
        // Somebody else has rotated it meanwhile, and there is room for one.
        return Err(store::Error::Conflict { name: name.to_string() }.into());
    }
    if !profile.document.holds(SealedField::RefreshToken) {
        return Ok(None);
    }
    let opened = profile.document.open(&vault.keys, SealedField::RefreshToken, &client.facts.binding());
    let (token, _) = opened.map_err(documents::refused(&name))?;
    Ok(Some(token))
}

/// Who is to get the grant.
pub(super) struct Party {
    pub(super) facts: Profile,
    pub(super) document: Place,
    pub(super) client: Candidate,
    /// An API key that comes with a new profile.
    pub(super) api_key: Option<SecretString>,
    /// The refresh token that is kept beside a new one, until it is retired at the provider.
    pub(super) previous: Option<SecretString>,
}

impl Party {
    /// Stores a profile that nobody has logged in yet. The caller holds the vault lock alone.
    pub(super) fn save_without_grant(mut self, ctx: Context<'_>, vault: &Unlocked) -> Result<Profile, Error> {
        self.client.save_if_changed(ctx, vault)?;
        let document = self.draft(vault).facts(&self.facts).sign(&vault.keys);
        documents::save(ctx, &Name::Profile(self.facts.name.clone()), &document, Expected::Absent)?;
        Ok(self.facts)
    }

    /// The start of the profile's next generation, with its API key if that is new.
    pub(super) fn draft(&self, vault: &Unlocked) -> Draft {
        let draft = self.document.next(vault);
        match &self.api_key {
            Some(key) => {
                let binding = Binding::issuer_only(&self.client.facts.issuer);
                draft.seal(&vault.keys, SealedField::ApiKey, &binding, key)
            }
            None => draft,
        }
    }
}

/// Where the profile stands.
pub(super) enum Place {
    /// It is stored.
    Stored(Verified),
    /// It is new, with this document id.
    New(DocumentId),
}

impl Place {
    pub(super) fn id(&self) -> &DocumentId {
        match self {
            Self::Stored(document) => document.id(),
            Self::New(id) => id,
        }
    }

    fn generation(&self) -> u64 {
        match self {
            Self::Stored(document) => document.generation(),
            Self::New(_) => 0,
        }
    }

    fn next(&self, vault: &Unlocked) -> Draft {
        match self {
            Self::Stored(document) => document.next(),
            Self::New(id) => Draft::new(Format::Profile, vault.id.clone(), id.clone()),
        }
    }
}

/// Exchanges what proves the consent, checks whose account it is, and saves the grant. The caller holds the
/// grant's lock, or the vault's alone.
///
/// A device code may be exchanged too early: then everything is as it was, and [`oauth::Error::NotYet`] says so.
pub(super) fn exchange(
    ctx: Context<'_>,
    vault: &Unlocked,
    mut party: Party,
    consented: &Consented<'_>,
    replace_account: bool,
) -> Result<Profile, Error> {
    let stored_as = Name::Profile(party.facts.name.clone());
    let target = Target { name: &stored_as, vault: &vault.id };
    let grant_id = random_id();
    let next = successor::Next { generation: party.document.generation(), grant_id: &grant_id };
    let is_new_client = party.client.stored.is_none();
    let (id, old) = (party.document.id(), party.facts.grant.as_ref());
    let old_is_spent = rescue::is_outstanding(ctx, vault, id, old)?;
    let renewed_before = rescue::last_renewal(ctx, vault, id, old)?;
    // Before the code is spent: afterwards nothing but the grant itself may still have to be saved. A client
    // that may turn out to prove itself the other way is written even if it is stored as it is, which shows
    // whether it can be.
    if is_new_client {
        party.client.put(ctx, vault)?;
    } else if may_change_auth(&party.client, consented) {
        party.client.save(ctx, vault)?;
    } else {
        party.client.save_if_changed(ctx, vault)?;
    }
    let binding = party.client.facts.binding();
    let reserved = successor::reserve(ctx, vault, target, party.document.id(), next);
    // From here on a Ctrl-C waits: the code works once.
    let _deferral = Deferral::begin();

    let redeemed = reserved.and_then(|reservation| {
        match redeem_for(ctx, vault, &mut party, consented, replace_account) {
            Ok((account, answer)) => Ok((reservation, account, answer)),
            Err(error) => {
                reservation.discard();
                Err(error)
            }
        }
    });
    match redeemed {
        Ok((reservation, account, answer)) => {
            let noted = note_proof(ctx, vault, &mut party.client, &binding);
            let now = ctx.clock.now();
            let consent = NewConsent { grant_id, account, answer, old_is_spent, renewed_before, now };
            let profile = consent.save(ctx, vault, &party, reservation)?;
            // Nothing is written between the answer and the grant that could wait.
            if is_new_client {
                party.client.mark(ctx);
            }
            noted.map_err(|source| Error::ProofNotSaved {
                profile: profile.name.clone(),
                source: Box::new(source),
            })?;
            // After the grant, which nothing may stand in the way of.
            if let Err(error) = party.client.save_if_changed(ctx, vault) {
                log::warn!("that the authentication of the client is proven could not be written: {error}");
            }
            Ok(profile)
        }
        Err(error) => {
            if is_new_client && let Err(left) = party.client.take_back(ctx) {
                log::warn!("the new client stays in the vault: {left}");
            }
            Err(error)
        }
    }
}

/// Writes how the client has just proven itself, if that is not what it was `before`. The grant will be
/// sealed for it, and comes second therefore: beside a client that says something else it would be refused.
///
/// If it cannot be written, the client is again what its document says, and the grant is sealed for that:
/// the next login can find out the same.
fn note_proof(
    ctx: Context<'_>,
    vault: &Unlocked,
    client: &mut Candidate,
    before: &Binding,
) -> Result<(), Error> {
    let proven = client.facts.binding();
    if proven == *before {
        return Ok(());
    }
    let Err(source) = client.save_if_changed(ctx, vault) else { return Ok(()) };
    *client = Candidate::stored(vault, vault.client(ctx, &client.id)?.1)?;
    // It may have been written all the same.
    if client.facts.binding() == proven { Ok(()) } else { Err(source) }
}

/// Spends the code, and sees whose it was.
fn redeem_for(
    ctx: Context<'_>,
    vault: &Unlocked,
    party: &mut Party,
    consented: &Consented<'_>,
    replace_account: bool,
) -> Result<(Account, TokenAnswer), Error> {
    let provider = vault.provider(&party.client.facts.provider);
    let answer = redeem(ctx, &mut party.client, &provider, consented)?;
    if let Consented::Device(claim) = consented {
        claim.redeem();
    }
    Ok((whose(ctx, party, &provider, consented, &answer, replace_account)?, answer))
}

/// Spends the code. A client whose authentication is not pinned may prove itself the other way once,
/// and what worked is pinned.
fn redeem(
    ctx: Context<'_>,
    client: &mut Candidate,
    provider: &Provider,
    consented: &Consented<'_>,
) -> Result<TokenAnswer, Error> {
    if let Some(accepted) = accepted(consented).filter(|accepted| other_auth(client) == Some(*accepted)) {
        client.facts.client_auth = accepted;
    }
    let first = spend(ctx, client, provider, consented);
    let answer = match (first, other_auth(client)) {
        (Err(oauth::Error::Refused(server)), Some(other)) if server.error == "invalid_client" => {
            client.facts.client_auth = other;
            let second = spend(ctx, client, provider, consented);
            second.map_err(|error| other_refused(error, server, consented))?
        }
        (Err(oauth::Error::Refused(server)), _) => return Err(Error::CodeRefused(server)),
        (result, _) => result?,
    };
    client.facts.client_auth_pinned = true;
    Ok(answer)
}

/// What counts where a client was refused that then has proven itself the other way, and got no tokens either: the
/// first refusal may have spent the code of a browser. A device code is as good as before.
fn other_refused(second: oauth::Error, first: ServerError, consented: &Consented<'_>) -> Error {
    match (second, consented) {
        (oauth::Error::Refused(server), Consented::Device(_)) if server.error != "invalid_client" => {
            Error::CodeRefused(server)
        }
        (oauth::Error::Refused(_), _) | (_, Consented::Browser { .. }) => Error::CodeRefused(first),
        (second, Consented::Device(_)) => second.into(),
    }
}

fn spend(
    ctx: Context<'_>,
    client: &Candidate,
    provider: &Provider,
    consented: &Consented<'_>,
) -> Result<TokenAnswer, oauth::Error> {
    let binding = client.facts.binding();
    let credentials = Credentials { binding: &binding, secret: client.secret.as_ref(), provider };
    match consented {
        Consented::Browser { flow, code } => ask_twice(ctx, |timeout| {
            let (verifier, redirect_uri) = (flow.verifier(), flow.redirect_uri());
            token_endpoint::exchange_code(ctx.http, &credentials, code, verifier, redirect_uri, timeout)
        }),
        Consented::Device(claim) => {
            let polled = oauth::device::poll(ctx.http, &credentials, claim.device_code, POLL_LIMIT);
            if let Err(oauth::Error::NotYet(_)) = &polled {
                claim.accept(client.facts.client_auth);
            }
            polled
        }
    }
}

/// How the client is known to prove itself in this very login.
fn accepted(consented: &Consented<'_>) -> Option<ClientAuth> {
    match consented {
        Consented::Browser { .. } => None,
        Consented::Device(claim) => claim.accepted(),
    }
}

/// Whether the client may turn out to prove itself otherwise than it is stored.
fn may_change_auth(client: &Candidate, consented: &Consented<'_>) -> bool {
    other_auth(client).is_some() && accepted(consented) != Some(client.facts.client_auth)
}

/// How the client may prove itself instead.
pub(super) fn other_auth(client: &Candidate) -> Option<ClientAuth> {
    match client.facts.client_auth {
        _ if client.facts.client_auth_pinned => None,
        ClientAuth::Basic => Some(ClientAuth::Post),
        ClientAuth::Post => Some(ClientAuth::Basic),
        ClientAuth::None | ClientAuth::Assertion => None,
    }
}

/// Whose account it is, if it is the right one.
fn whose(
    ctx: Context<'_>,
    party: &Party,
    provider: &Provider,
    consented: &Consented<'_>,
    answer: &TokenAnswer,
    replace_account: bool,
) -> Result<Account, Error> {
    let expected = &party.facts.account;
    let found = reported(ctx, party, provider, consented, answer)?;
    if found.is_unknown() {
        // A provider that names nobody leaves what the user said, unless it has named somebody before.
        return if expected.subject.is_none() || replace_account {
            Ok(expected.clone())
        } else {
            Err(Error::AccountUnknown { expected: expected.clone() })
        };
    }
    if !replace_account && !expected.is_same_as(&found) {
        return Err(Error::OtherAccount { expected: expected.clone(), found });
    }
    Ok(found)
}

/// What the provider says about the account: in the ID token, else at userinfo.
fn reported(
    ctx: Context<'_>,
    party: &Party,
    provider: &Provider,
    consented: &Consented<'_>,
    answer: &TokenAnswer,
) -> Result<Account, Error> {
    let client = &party.client.facts;
    let mut account = Account::default();
    if let Some(id_token) = &answer.id_token {
        let expectation = id_token::Expectation {
            issuer: &provider.id_token_issuer(client),
            client_id: &client.client_id,
            nonce: consented.nonce(),
            now: Some(ctx.clock.now()),
        };
        account = id_token::claims(id_token, &expectation)?;
    }
    if account.email.is_none() { ask(ctx, provider, client, account, answer) } else { Ok(account) }
}

/// OpenID Connect Core, 5.3.2: userinfo counts only if its subject is the ID token's.
fn ask(
    ctx: Context<'_>,
    provider: &Provider,
    client: &Client,
    account: Account,
    answer: &TokenAnswer,
) -> Result<Account, Error> {
    match userinfo::account(ctx.http, provider, client, &answer.access_token, USERINFO_LIMIT) {
        Ok(None) => Ok(account),
        Ok(Some(found)) if account.subject.is_none() || account.subject == found.subject => Ok(found),
        Ok(Some(found)) => Err(Error::OtherAccount { expected: account, found }),
        // Without a scope for it, userinfo refuses; then the ID token alone must do.
        Err(oauth::Error::Refused(server)) => {
            log::debug!("userinfo gives nothing: {server}");
            Ok(account)
        }
        Err(error) => Err(error.into()),
    }
}
