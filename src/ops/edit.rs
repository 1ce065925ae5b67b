//! `vault edit`: changes what a profile links, without a new login where that is possible.

use secrecy::SecretString;

use super::add_program::new_grant;
use super::turn::in_turn;
use super::{Context, Error, Loaded, Unlocked, cache, client_secret, documents, mint, rescue};
use crate::domain::{
    Account, Binding, ClientName, Field, GrantType, Host, Profile, ProfileName, SealedField, Use,
    VariableName,
};
use crate::seal::{Draft, Format};
use crate::store::{Expected, Name};

/// What is to change. What is not named stays.
#[derive(Debug, Default)]
pub struct Changes {
    /// Variables to set from now on.
    pub set: Vec<(VariableName, Field)>,
    /// Variables that are no longer set.
    pub unset: Vec<VariableName>,
    /// Another client; the grant of the old one cannot be used with it and is forgotten.
    pub client: Option<ClientName>,
    /// Another API key.
    pub api_key: Option<SecretString>,
    /// Another account; the next login must be of it.
    pub account: Option<String>,
    /// Hosts to which the token may be sent from now on, and by whom.
    pub bind: Vec<(Use, Host)>,
    /// Hosts to which it is no longer sent.
    pub unbind: Vec<(Use, Host)>,
    /// Another command that opens its pages, or none.
    pub browser: Option<Option<String>>,
    /// Another Google Cloud project, or none.
    pub project: Option<Option<String>>,
    /// Whether the login may be forgotten, where the change costs it.
    pub forget_login: bool,
}

impl Changes {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
            && self.unset.is_empty()
            && self.client.is_none()
            && self.api_key.is_none()
            && self.account.is_none()
            && self.bind.is_empty()
            && self.unbind.is_empty()
            && self.project.is_none()
            && self.browser.is_none()
    }
}

/// Changes a profile.
///
/// # Errors
///
/// [`Error::NoProfile`], [`Error::NoClient`], or as the storage says.
pub fn edit(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    changes: Changes,
) -> Result<Profile, Error> {
    ctx.audit.profile(name);
    update(ctx, vault, name, |profile, draft| {
        let mut facts = profile.facts.clone();
        facts.exports.extend(changes.set);
        for variable in &changes.unset {
            facts.exports.remove(variable);
        }
        let mut draft = draft;
        let had_login = facts.grant.is_some();
        if let Some(client) = &changes.client {
            draft = link(ctx, vault, profile, &mut facts, client, draft)?;
        }
        for (need, host) in changes.bind {
            facts.hosts.entry(need).or_default().insert(host);
        }
        for (need, host) in &changes.unbind {
            facts.hosts.entry(*need).or_default().remove(host);
        }
        facts.hosts.retain(|_, hosts| !hosts.is_empty());
        if let Some(project) = changes.project {
            facts.project = project;
        }
        if let Some(browser) = changes.browser {
            facts.browser = browser;
        }
        if let Some(account) = changes.account {
            check_account(&facts)?;
            draft = relink_account(profile, &mut facts, account, draft);
        }
        let loses_key = changes.api_key.is_none()
            && profile.document.holds(SealedField::ApiKey)
            && !draft.holds(SealedField::ApiKey);
        if ((had_login && facts.grant.is_none()) || loses_key) && !changes.forget_login {
            return Err(Error::WouldForgetLogin { profile: name.clone() });
        }
        if let Some(key) = &changes.api_key {
            let (_, client) = vault.client(ctx, &facts.client)?;
            let binding = Binding::issuer_only(&client.facts.issuer);
            if !holds_already(vault, profile, &draft, &binding, key) {
                facts.api_key_set_at = Some(ctx.clock.now());
            }
            draft = draft.seal(&vault.keys, SealedField::ApiKey, &binding, key);
        }
        Ok((facts, draft))
    })
}

/// Whether `key` is the API key that the profile has: then it is no younger for being given again. One that
/// cannot be opened is replaced.
fn holds_already(
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    draft: &Draft,
    binding: &Binding,
    key: &SecretString,
) -> bool {
    let known = profile.document.open(&vault.keys, SealedField::ApiKey, binding);
    draft.holds(SealedField::ApiKey) && known.is_ok_and(|(known, _)| client_secret::is_same(&known, key))
}

/// Links another client. An API key of another issuer is forgotten with the grant, and the hosts that were to
/// get its tokens.
fn link(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    facts: &mut Profile,
    client: &ClientName,
    draft: Draft,
) -> Result<Draft, Error> {
    let new = vault.client_named(ctx, client)?;
    if *new.document.id() == profile.facts.client {
        return Ok(draft);
    }
    let old = match vault.client(ctx, &profile.facts.client) {
        Ok((_, old)) => Some(old.facts.issuer),
        // Linking another one is what mends that.
        Err(Error::ClientMissing { .. }) => None,
        Err(error) => return Err(error),
    };
    if matches!(facts.grant_type, GrantType::Impersonation { .. }) {
        return Err(mint::Error::Fixed { profile: facts.name.clone(), what: "the client" }.into());
    }
    mint::check_client(&new.facts, &facts.grant_type)?;
    facts.client = new.document.id().clone();
    facts.provider.clone_from(&new.facts.provider);
    // Without a person nothing is lost: the new client asks in the same way. Tokens of the old one do not count.
    facts.grant = (!facts.grant_type.needs_person()).then(|| new_grant(ctx));
    if facts.grant_type == (GrantType::JwtBearer { subject: None }) {
        facts.account = Account { email: Some(new.facts.client_id.clone()), subject: None };
    }
    let draft = forget_tokens(draft);
    if old == Some(new.facts.issuer) {
        return Ok(draft);
    }
    facts.api_key_set_at = None;
    facts.hosts.clear();
    facts.project = None;
    Ok(draft.without(SealedField::ApiKey))
}

/// Whose tokens they are follows from how they come about, where that names an account.
fn check_account(profile: &Profile) -> Result<(), mint::Error> {
    match profile.grant_type {
        GrantType::AuthorizationCode | GrantType::ClientCredentials => Ok(()),
        _ => Err(mint::Error::Fixed { profile: profile.name.clone(), what: "the account" }),
    }
}

/// Another account needs another grant; the same one, spelt differently, keeps it.
fn relink_account(profile: &Loaded<Profile>, facts: &mut Profile, account: String, draft: Draft) -> Draft {
    let is_same = profile.facts.account.email.as_ref().is_some_and(|old| old.eq_ignore_ascii_case(&account));
    if is_same {
        return draft;
    }
    facts.account = Account { email: Some(account), subject: None };
    // In its own right a client has no account: this is only what to call it.
    if facts.grant_type.needs_person() {
        facts.grant = None;
    }
    forget_tokens(draft)
}

fn forget_tokens(draft: Draft) -> Draft {
    draft
        .without(SealedField::RefreshToken)
        .without(SealedField::RefreshTokenPrevious)
        .without(SealedField::AccessToken)
        .without(SealedField::TakenFiles)
}

fn update(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    change: impl FnOnce(&Loaded<Profile>, Draft) -> Result<(Profile, Draft), Error>,
) -> Result<Profile, Error> {
    in_turn(ctx, vault, name, |profile, _| {
        rescue::check_none_outstanding(ctx, vault, &profile)?;
        let (facts, draft) = change(&profile, profile.next())?;
        if facts.grant.is_none() {
            // Before the document: who finds no grant in it has no reason to look for tokens.
            cache::forget(ctx, vault, &profile)?;
        }
        save(ctx, vault, &profile, draft.facts(&facts))?;
        Ok(facts)
    })
}

fn save(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>, draft: Draft) -> Result<(), Error> {
    let document = draft.sign(&vault.keys);
    debug_assert_eq!(document.format(), Format::Profile);
    let name = Name::Profile(profile.facts.name.clone());
    documents::save(ctx, &name, &document, Expected::Revision(&profile.revision))
}
