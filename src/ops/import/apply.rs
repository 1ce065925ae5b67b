//! Makes what was planned: each client before the profiles that need it, so that a second run completes what a kill
//! has left.

use std::time::Duration;

use super::Error;
use super::plan::{Plan, Step};
use crate::domain::{Account, Binding, Client, GrantType, Profile, SealedField};
use crate::oauth::{self, userinfo};
use crate::ops::add_program::new_grant;
use crate::ops::clients::{self, Candidate};
use crate::ops::mint;
use crate::ops::turn::in_turn;
use crate::ops::{self, Context, Unlocked, documents, recover, rename, token};
use crate::seal::{Draft, Format};
use crate::store::{Access, Expected, Name};
use crate::system::random_id;

/// How long userinfo may take.
const USERINFO_LIMIT: Duration = Duration::from_secs(15);

/// What was made of one thing that was found.
pub struct Imported {
    /// Where it was found.
    pub source: String,
    /// In what form.
    pub kind: &'static str,
    /// Its client.
    pub client: Client,
    /// Whether the client was not in the vault before.
    pub client_is_new: bool,
    /// The program whose client it is, and not the user's own.
    pub tool: Option<&'static str>,
    /// The profile, where there was a login.
    pub profile: Option<Profile>,
    /// Whether the provider has just accepted its refresh token.
    pub is_proven: bool,
}

/// Is told how it went with one of several.
pub type OnEach<'a> = &'a dyn Fn(Context<'_>, &Result<Imported, ops::Error>);

/// Makes the clients and profiles of `plan`; with `check`, the provider is asked at once whether it accepts each login,
/// and one that it refuses is taken back.
///
/// # Errors
///
/// [`Error::Dead`] for a login that the provider refuses; [`ops::Error::PartlyDone`] if that is one of several. Else as
/// the storage says.
pub fn apply(
    ctx: Context<'_>,
    vault: &Unlocked,
    plan: Plan,
    check: bool,
    on_each: OnEach<'_>,
) -> Result<Vec<Imported>, ops::Error> {
    ctx.store.prove_writable()?;
    let made = write(ctx, vault, plan)?;
    let is_one = made.len() == 1;
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for imported in made {
        let audit = ctx.audit.one_of_several();
        let ctx = if is_one { ctx } else { Context { audit: &audit, ..ctx } };
        match &imported.profile {
            Some(profile) => ctx.audit.profile(&profile.name),
            None => ctx.audit.client(&imported.client.name),
        }
        let source = imported.source.clone();
        let result = if check { prove(ctx, vault, imported) } else { Ok(imported) };
        if !is_one {
            on_each(ctx, &result);
        }
        match result {
            Ok(imported) => done.push(imported),
            Err(error) if is_one => return Err(error),
            Err(error) => failed.push((source, Box::new(error))),
        }
    }
    if failed.is_empty() {
        return Ok(done);
    }
    let (done, total) = (done.len(), done.len() + failed.len());
    Err(ops::Error::PartlyDone { done, total, what: "logins are taken in", failed })
}

fn write(ctx: Context<'_>, vault: &Unlocked, plan: Plan) -> Result<Vec<Imported>, ops::Error> {
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    rename::finish(ctx, vault)?;
    for name in plan.profiles() {
        recover::recover(ctx, vault, name)?;
        // Somebody may have made one meanwhile.
        if ctx.store.profiles()?.contains(name) {
            return Err(ops::Error::ProfileExists { name: name.to_string() });
        }
    }
    let (steps, candidates) = plan.into_parts();
    let mut clients = Vec::new();
    for candidate in candidates {
        clients.push(current(ctx, vault, candidate)?);
    }
    steps.into_iter().map(|step| write_step(ctx, vault, step, &mut clients)).collect()
}

/// The client as it is now: it may have been stored meanwhile.
fn current(ctx: Context<'_>, vault: &Unlocked, planned: Candidate) -> Result<Candidate, ops::Error> {
    match clients::find_same(ctx, vault, &planned.facts, planned.secret.as_ref())? {
        Some(stored) => Candidate::stored(vault, stored),
        None if planned.stored.is_some() => Err(documents::no_client(ctx, &planned.facts.name)),
        None => {
            let taken = ctx.store.clients()?;
            match taken.contains(&planned.facts.name) {
                true => Err(ops::Error::ClientExists { name: planned.facts.name.to_string() }),
                false => Ok(planned),
            }
        }
    }
}

fn write_step(
    ctx: Context<'_>,
    vault: &Unlocked,
    step: Step,
    clients: &mut [Candidate],
) -> Result<Imported, ops::Error> {
    let client = &mut clients[step.candidate];
    client.save_if_changed(ctx, vault)?;
    let profile = match step.profile {
        Some(profile) => {
            // No file says when the person consented. From now on it is known to be there.
            let facts = Profile { client: client.id.clone(), grant: Some(new_grant(ctx)), ..profile };
            let mut draft = Draft::new(Format::Profile, vault.id.clone(), random_id()).facts(&facts);
            if let Some(token) = &step.refresh_token {
                draft = draft.seal(&vault.keys, SealedField::RefreshToken, &client.facts.binding(), token);
            }
            if let Some(key) = &step.api_key {
                let binding = Binding::issuer_only(&client.facts.issuer);
                draft = draft.seal(&vault.keys, SealedField::ApiKey, &binding, key);
            }
            let stored_as = Name::Profile(facts.name.clone());
            documents::save(ctx, &stored_as, &draft.sign(&vault.keys), Expected::Absent)?;
            Some(facts)
        }
        None => None,
    };
    Ok(Imported {
        source: step.source,
        kind: step.kind,
        client: client.facts.clone(),
        client_is_new: step.client_is_new,
        tool: step.tool,
        profile,
        is_proven: false,
    })
}

/// Spends the refresh token once, as any refresh does: nothing that comes of it can be lost.
fn prove(ctx: Context<'_>, vault: &Unlocked, imported: Imported) -> Result<Imported, ops::Error> {
    let Some(profile) = &imported.profile else { return Ok(imported) };
    let name = profile.name.clone();
    let request = token::Request { refresh: true, ..token::Request::default() };
    match token::token(ctx, vault, &name, request) {
        Ok(token) => {
            let account = match profile.grant_type {
                GrantType::AuthorizationCode => whose(ctx, &imported.client, &token),
                // The account of a program is its own.
                _ => Account::default(),
            };
            let profile = note(ctx, vault, profile, account, token.scopes)?;
            Ok(Imported { profile: Some(profile), is_proven: true, ..imported })
        }
        Err(error) if is_refused(&error) => {
            take_back(ctx, vault, &imported)?;
            Err(Error::Dead { file: imported.source, source: Box::new(error) }.into())
        }
        Err(source) => Err(ops::Error::Unfinished {
            what: format!("profile `{name}` is in the vault, and its login is not proven"),
            next: format!("vault token {name} --refresh"),
            source: Box::new(source),
        }),
    }
}

fn is_refused(error: &ops::Error) -> bool {
    matches!(
        error,
        ops::Error::GrantRefused { .. }
            | ops::Error::RefreshRefused { .. }
            | ops::Error::Mint(mint::Error::Refused { .. })
    )
}

fn take_back(ctx: Context<'_>, vault: &Unlocked, imported: &Imported) -> Result<(), ops::Error> {
    if let Some(profile) = &imported.profile {
        rename::remove(ctx, vault, &profile.name)?;
    }
    match clients::remove(ctx, vault, &imported.client.name) {
        // Others of the same file may use it.
        Err(ops::Error::ClientInUse { .. }) => Ok(()),
        result if imported.client_is_new => result,
        _ => Ok(()),
    }
}

/// Whose account it is, if the token is good for that question.
fn whose(ctx: Context<'_>, client: &Client, token: &crate::domain::AccessToken) -> Account {
    let Some(url) = &client.endpoints.userinfo else { return Account::default() };
    userinfo::userinfo(ctx.http, url, &token.value, USERINFO_LIMIT).unwrap_or_else(|error: oauth::Error| {
        log::debug!("whose account it is cannot be learnt: {error}");
        Account::default()
    })
}

/// Writes down what the provider has said of a login that works.
fn note(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Profile,
    account: Account,
    scopes: crate::domain::Scopes,
) -> Result<Profile, ops::Error> {
    in_turn(ctx, vault, &profile.name, |current, _| {
        let mut facts = current.facts.clone();
        if !account.is_unknown() {
            facts.account = account;
        }
        if !scopes.is_empty() {
            facts.scopes.granted = scopes.clone();
        }
        if facts.scopes.asked.is_empty() {
            facts.scopes.asked = scopes;
        }
        if facts == current.facts {
            return Ok(facts);
        }
        let document = current.next().facts(&facts).sign(&vault.keys);
        let stored_as = Name::Profile(facts.name.clone());
        documents::save(ctx, &stored_as, &document, Expected::Revision(&current.revision))?;
        Ok(facts)
    })
}
