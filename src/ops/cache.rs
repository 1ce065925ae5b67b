//! Cached access tokens: sealed, tied to one consent, and never trusted more than that.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Context, Error, Loaded, Notice, Unlocked};
use crate::domain::{AccessToken, Binding, DocumentId, Grant, Profile, Scopes, SealedField, VaultId};
use crate::seal::{Document, Draft, Format, KeyRing, Verified};
use crate::store::{Expected, Name};

/// The facts of a cached token. The field names are part of the vault format.
#[derive(Serialize, Deserialize)]
struct TokenFacts {
    /// Whose token it is.
    issuer: String,
    /// The consent that it came from.
    grant_id: DocumentId,
    obtained_at: Timestamp,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    scopes: Scopes,
}

/// A cached token that is the right one, and not yet opened.
pub(super) struct Cached {
    document: Verified,
    facts: TokenFacts,
}

impl Cached {
    /// Whether it is fresh enough to be answered.
    pub(super) fn is_fresh(&self, now: Timestamp, min_ttl: SignedDuration) -> bool {
        self.without_value().is_fresh(now, min_ttl)
    }

    /// Whether it was obtained at or after `moment`, and still works at all at `now`.
    pub(super) fn was_obtained_since(&self, moment: Timestamp, now: Timestamp) -> bool {
        self.facts.obtained_at >= moment
            && self.facts.obtained_at <= now
            && self.facts.expires_at.is_none_or(|end| end > now)
    }

    /// When it was obtained.
    pub(super) fn obtained_at(&self) -> Timestamp {
        self.facts.obtained_at
    }

    /// Opens it.
    pub(super) fn open(&self, vault: &Unlocked) -> Result<AccessToken, crate::seal::Error> {
        let binding = Binding::issuer_only(&self.facts.issuer);
        let (value, _) = self.document.open(&vault.keys, SealedField::AccessToken, &binding)?;
        Ok(AccessToken { value, ..self.without_value() })
    }

    fn without_value(&self) -> AccessToken {
        AccessToken {
            value: String::new().into(),
            obtained_at: self.facts.obtained_at,
            expires_at: self.facts.expires_at,
            scopes: self.facts.scopes.clone(),
        }
    }
}

fn name(vault: &Unlocked, profile: &Loaded<Profile>) -> Name {
    Name::Token(vault.id.clone(), profile.document.id().clone())
}

/// The cached token of `profile`, if it is of the same consent.
///
/// One that does not verify is as good as none. The caller has no lock, so that it may be replaced
/// under our eyes, and the user is not told yet.
pub(super) fn find(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Option<Cached> {
    look(ctx, vault, profile).unwrap_or_default()
}

/// The same for the one who holds the lock: one that does not verify was changed by somebody else,
/// and the user is told.
pub(super) fn find_or_warn(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Option<Cached> {
    look(ctx, vault, profile).unwrap_or_else(|Ignored| {
        ctx.notices.notice(&Notice::CacheIgnored { profile: profile.facts.name.clone() });
        None
    })
}

/// There is one, and it cannot be trusted.
struct Ignored;

fn look(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Result<Option<Cached>, Ignored> {
    let Some(grant) = &profile.facts.grant else { return Ok(None) };
    let stored = ctx.store.read(&name(vault, profile)).map_err(|error| {
        log::debug!("the cached token cannot be read: {error}");
        Ignored
    })?;
    let Some(stored) = stored else { return Ok(None) };
    let cached = verify(vault, profile, &stored.bytes).map_err(|error| {
        log::debug!("the cached token is ignored: {error}");
        Ignored
    })?;
    Ok(Some(cached).filter(|cached| cached.facts.grant_id == grant.id))
}

fn verify(vault: &Unlocked, profile: &Loaded<Profile>, bytes: &[u8]) -> Result<Cached, crate::seal::Error> {
    let document = verified(&vault.id, &vault.keys, bytes)?;
    if document.id() != profile.document.id() {
        return Err(crate::seal::Error::Foreign("profile"));
    }
    let facts = document.facts()?;
    Ok(Cached { document, facts })
}

/// The document of a cached token, if it is one of this vault.
pub(super) fn verified(
    vault: &VaultId,
    keys: &KeyRing,
    bytes: &[u8],
) -> Result<Verified, crate::seal::Error> {
    let document = Document::parse(bytes)?.verify(vault, keys)?;
    if document.format() == Format::Token {
        Ok(document)
    } else {
        Err(crate::seal::Error::Envelope("format"))
    }
}

/// Caches `token`. A failure only warns: the token itself is good.
pub(super) fn keep(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    grant: &Grant,
    issuer: &str,
    token: &AccessToken,
) {
    let facts = TokenFacts {
        issuer: issuer.to_owned(),
        grant_id: grant.id.clone(),
        obtained_at: token.obtained_at,
        expires_at: token.expires_at,
        scopes: token.scopes.clone(),
    };
    let document = Draft::new(Format::Token, vault.id.clone(), profile.document.id().clone())
        .facts(&facts)
        .seal(&vault.keys, SealedField::AccessToken, &Binding::issuer_only(issuer), &token.value)
        .sign(&vault.keys);
    if let Err(error) = ctx.store.write(&name(vault, profile), &document.to_bytes(), Expected::Anything) {
        ctx.notices.notice(&Notice::NotCached { why: error.to_string() });
    }
}

/// Forgets the cached token of `profile`.
pub(super) fn forget(ctx: Context<'_>, vault: &Unlocked, profile: &Loaded<Profile>) -> Result<(), Error> {
    Ok(ctx.store.remove(&name(vault, profile))?)
}
