//! `vault logout`: the provider ends the grant, then it is forgotten here.

use super::revocation::Revoker;
use super::siblings::{self, Circle};
use super::turn::in_turn;
use super::{Context, Error, Loaded, Notice, Unlocked, cache, documents, recover, rescue};
use crate::domain::{Profile, ProfileName, SealedField};
use crate::oauth::revocation::Outcome;
use crate::store::{Access, Expected, Name, Target};
use crate::system::Deferral;

/// How a logout is to go.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Whether the provider is not to be asked.
    pub local_only: bool,
    /// Which other profiles may lose their login with it.
    pub may_end: MayEnd<'a>,
}

/// Which other profiles may lose their login, where one revocation ends them all.
#[derive(Clone, Copy, Debug)]
pub enum MayEnd<'a> {
    /// Only these.
    These(&'a [ProfileName]),
    /// Any.
    Any,
}

/// What a logout has done.
#[derive(Debug)]
pub struct LoggedOut {
    /// The profile.
    pub profile: ProfileName,
    /// Its provider.
    pub provider: String,
    /// What has become of the grant at the provider.
    pub grant: Ending,
    /// Other profiles whose login has ended with it.
    pub siblings: Vec<ProfileName>,
}

/// What has become of a grant at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There was none.
    NotLoggedIn,
    /// There is none to end: its tokens need no person. What was cached is forgotten.
    NoPerson,
    /// It has ended.
    Revoked,
    /// It had ended before, as the provider says.
    Gone,
    /// Nothing of it could still have worked.
    Over,
    /// It lives on: nobody was to ask.
    NotAsked,
    /// It lives on: the provider does not revoke what was given out.
    Unsupported,
    /// It lives on: the provider has no place where one asks.
    NoEndpoint,
}

impl Ending {
    /// Whether the provider has said that it has ended.
    fn is_over_there(self) -> bool {
        matches!(self, Self::Revoked | Self::Gone)
    }
}

/// Logs a profile out: the grant is revoked first, and forgotten only then.
///
/// # Errors
///
/// [`Error::NotRevoked`] if the provider did not end the grant, and [`Error::EndsSiblings`] if others would
/// end that were not named; nothing has changed then. [`Error::Unfinished`] if it was revoked and could not
/// be forgotten: the same call finishes it.
pub fn logout(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ProfileName,
    request: &Request<'_>,
) -> Result<LoggedOut, Error> {
    ctx.audit.profile(name);
    let found = vault.settled_profile(ctx, name)?;
    if !found.facts.grant_type.needs_person() {
        return forget_tokens(ctx, vault, name);
    }
    let _vault_lock = vault.lock(ctx, Access::Shared)?;
    let profile = vault.profile(ctx, name)?;
    let ends_siblings = !request.local_only && vault.provider(&profile.facts.provider).revoke.ends_siblings;
    let circle = match ends_siblings {
        true => Circle::of_client(ctx, vault, &profile)?,
        false => Circle::of_one(ctx, &profile)?,
    };
    // A refresh that was interrupted may have left a newer token, and the newest is the one to revoke.
    let recovered = recover::recover(ctx, vault, name)?;
    let profile = vault.profile(ctx, name)?;
    // From the revocation until all is forgotten, a Ctrl-C waits.
    let _deferral = Deferral::begin();
    let (grant, siblings) = match request.local_only {
        true => (give_up(&profile), Vec::new()),
        false => end(ctx, vault, &profile, &circle, request.may_end)?,
    };
    if recovered.uncertain && grant.is_over_there() {
        let (profile, provider) = (name.clone(), profile.facts.provider.clone());
        ctx.notices.notice(&Notice::MayHaveNewer { profile, provider });
    }
    forget(ctx, vault, &profile).map_err(|error| half_done(name, grant, error))?;
    Ok(LoggedOut { profile: name.clone(), provider: profile.facts.provider, grant, siblings })
}

/// Of a profile without a person only what is cached can be forgotten: whatever gets its tokens stays.
fn forget_tokens(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<LoggedOut, Error> {
    in_turn(ctx, vault, name, |profile, _| {
        cache::forget(ctx, vault, &profile)?;
        let provider = profile.facts.provider;
        Ok(LoggedOut { profile: name.clone(), provider, grant: Ending::NoPerson, siblings: Vec::new() })
    })
}

/// Is told how the logout of one of several profiles went.
pub type OnEach<'a> = &'a dyn Fn(Context<'_>, &Result<LoggedOut, Error>);

/// Logs every profile out, one after the other, and goes on after a failure. Each is a deed of its own.
///
/// # Errors
///
/// [`Error::PartlyDone`] with those that are still logged in, and why.
pub fn logout_all(
    ctx: Context<'_>,
    vault: &Unlocked,
    local_only: bool,
    on_each: OnEach<'_>,
) -> Result<Vec<LoggedOut>, Error> {
    let request = Request { local_only, may_end: MayEnd::Any };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for name in ctx.store.profiles()? {
        let audit = ctx.audit.one_of_several();
        let ctx = Context { audit: &audit, ..ctx };
        let result = logout(ctx, vault, &name, &request);
        on_each(ctx, &result);
        match result {
            Ok(out) if matches!(out.grant, Ending::NotLoggedIn | Ending::NoPerson) => {}
            Ok(out) => done.push(out),
            Err(error) => failed.push((format!("profile `{name}`"), Box::new(error))),
        }
    }
    if failed.is_empty() {
        return Ok(done);
    }
    let (done, total) = (done.len(), done.len() + failed.len());
    Err(Error::PartlyDone { done, total, what: "profiles are logged out", failed })
}

fn is_logged_in(profile: &Loaded<Profile>) -> bool {
    let sealed = [SealedField::RefreshToken, SealedField::RefreshTokenPrevious, SealedField::AccessToken];
    profile.facts.grant.is_some() || sealed.into_iter().any(|field| profile.document.holds(field))
}

fn give_up(profile: &Loaded<Profile>) -> Ending {
    if is_logged_in(profile) { Ending::NotAsked } else { Ending::NotLoggedIn }
}

/// Has the provider end the grant, and notes what else has ended with it.
fn end(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    circle: &Circle,
    may_end: MayEnd<'_>,
) -> Result<(Ending, Vec<ProfileName>), Error> {
    // The token in the block is the newest one, and revoking an older one may leave it alive.
    rescue::check_none_outstanding(ctx, vault, profile)?;
    if !is_logged_in(profile) {
        return Ok((Ending::NotLoggedIn, Vec::new()));
    }
    let revoker = Revoker::new(ctx, vault, profile)?;
    let siblings = match revoker.client().endpoints.revocation {
        Some(_) => circle.siblings(ctx, vault, &profile.facts)?,
        None => Vec::new(),
    };
    check_named(profile, &siblings, may_end)?;
    // Before anything is sent: what has ended there should be forgotten here.
    ctx.store.prove_writable()?;
    let ending = match revoker.revoke_all()? {
        Some(Outcome::Revoked) => Ending::Revoked,
        Some(Outcome::Unknown) => Ending::Gone,
        Some(Outcome::Unsupported) => Ending::Unsupported,
        Some(Outcome::NoEndpoint) => Ending::NoEndpoint,
        None => Ending::Over,
    };
    // The profile itself is forgotten last: who finds it runs all this again.
    let noted = note_siblings(ctx, vault, siblings, ending);
    Ok((ending, noted.map_err(|error| half_done(&profile.facts.name, ending, error))?))
}

/// Notes what the ending of a grant means for the `siblings`, and names those that have ended with it.
fn note_siblings(
    ctx: Context<'_>,
    vault: &Unlocked,
    siblings: Vec<Loaded<Profile>>,
    ending: Ending,
) -> Result<Vec<ProfileName>, Error> {
    let note = match ending {
        Ending::Revoked => siblings::note_ended,
        // They may have ended then, by an earlier run of this, or may be of a later consent.
        Ending::Gone => siblings::put_in_doubt,
        _ => return Ok(Vec::new()),
    };
    siblings.iter().try_for_each(|sibling| note(ctx, vault, sibling))?;
    let ended = siblings.into_iter().filter(|_| ending == Ending::Revoked);
    Ok(ended.map(|sibling| sibling.facts.name).collect())
}

fn check_named(
    profile: &Loaded<Profile>,
    siblings: &[Loaded<Profile>],
    may_end: MayEnd<'_>,
) -> Result<(), Error> {
    let is_named = |sibling: &Loaded<Profile>| match may_end {
        MayEnd::These(names) => names.contains(&sibling.facts.name),
        MayEnd::Any => true,
    };
    if siblings.iter().all(is_named) {
        return Ok(());
    }
    let siblings = siblings.iter().map(|sibling| sibling.facts.name.clone()).collect();
    Err(Error::EndsSiblings { profile: profile.facts.name.clone(), siblings })
}

/// Forgets the grant, the cached token, and what was left of interrupted refreshes. The document comes
/// last, because only who finds a grant in it runs this again.
fn forget(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Result<(), Error> {
    let stored_as = Name::Profile(profile.facts.name.clone());
    cache::forget(ctx, vault, profile)?;
    ctx.memory.set_rescue(&vault.id, profile.document.id(), None)?;
    recover::clear(ctx, Target { name: &stored_as, vault: &vault.id })?;
    if !is_logged_in(profile) {
        return Ok(());
    }
    let facts = Profile { grant: None, ..profile.facts.clone() };
    let document = profile
        .next()
        .facts(&facts)
        .without(SealedField::RefreshToken)
        .without(SealedField::RefreshTokenPrevious)
        .without(SealedField::AccessToken)
        // They hold the same.
        .without(SealedField::TakenFiles)
        .sign(&vault.keys);
    documents::save(ctx, &stored_as, &document, Expected::Revision(&profile.revision))
}

/// Once the provider has acted, no error may say that nothing has changed.
fn half_done(name: &ProfileName, ending: Ending, error: Error) -> Error {
    if !ending.is_over_there() {
        return error;
    }
    Error::Unfinished {
        what: format!("the login of profile `{name}` is revoked, and could not be forgotten here"),
        next: format!("mend that, then run `vault logout {name}` again"),
        source: Box::new(error),
    }
}
