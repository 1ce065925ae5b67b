//! Cached tokens: sealed, tied to one consent and one purpose, and never trusted more than that.

mod variants;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Context, Loaded, Notice, Unlocked};
use crate::domain::{
    AccessToken, Binding, DocumentId, Grant, IdToken, Profile, Purpose, Scopes, SealedField, TokenId, VaultId,
};
use crate::seal::{Document, Draft, Format, KeyRing, Verified};
use crate::store::{Expected, Name};
pub(super) use variants::{forget, forget_plain, forget_value, forget_variants, names};

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
    /// What it allows; nothing for an ID token.
    scopes: Scopes,
    /// What it is for. The plain token of a profile has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purpose: Option<Purpose>,
    /// When the ID token ends that came with it at a login, and lies beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token_expires_at: Option<Timestamp>,
}

impl TokenFacts {
    /// Those of a token that is plain and of no life yet.
    fn new(grant: &Grant, issuer: &str, obtained_at: Timestamp) -> Self {
        Self {
            issuer: issuer.to_owned(),
            grant_id: grant.id.clone(),
            obtained_at,
            expires_at: None,
            scopes: Scopes::default(),
            purpose: None,
            id_token_expires_at: None,
        }
    }
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

    /// Opens an access token.
    pub(super) fn open(&self, vault: &Unlocked) -> Result<AccessToken, crate::seal::Error> {
        let value = self.open_as(vault, SealedField::AccessToken)?;
        Ok(AccessToken { value, ..self.without_value() })
    }

    /// Opens an ID token.
    pub(super) fn open_id_token(&self, vault: &Unlocked) -> Result<IdToken, crate::seal::Error> {
        let (Some(Purpose::IdToken { audience }), Some(expires_at)) =
            (&self.facts.purpose, self.facts.expires_at)
        else {
            return Err(crate::seal::Error::NoSecret(SealedField::IdToken));
        };
        let value = self.open_as(vault, SealedField::IdToken)?;
        Ok(IdToken { value, audience: audience.clone(), obtained_at: self.facts.obtained_at, expires_at })
    }

    /// Opens the ID token that came with it at a login: all that is known of that one is where it came from.
    pub(super) fn open_that_of_the_login(
        &self,
        vault: &Unlocked,
        audience: &str,
    ) -> Result<IdToken, crate::seal::Error> {
        let missing = crate::seal::Error::NoSecret(SealedField::IdToken);
        let expires_at = self.facts.id_token_expires_at.ok_or(missing)?;
        let value = self.open_as(vault, SealedField::IdToken)?;
        let (audience, obtained_at) = (audience.to_owned(), self.facts.obtained_at);
        Ok(IdToken { value, audience, obtained_at, expires_at })
    }

    fn open_as(&self, vault: &Unlocked, field: SealedField) -> Result<SecretString, crate::seal::Error> {
        let binding = Binding::issuer_only(&self.facts.issuer);
        Ok(self.document.open(&vault.keys, field, &binding)?.0)
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

fn name(vault: &Unlocked, profile: &Loaded<Profile>, purpose: Option<&Purpose>) -> Name {
    Name::Token(vault.id.clone(), TokenId::of(profile.document.id(), purpose))
}

/// The cached token of `profile` for `purpose`, or its plain one, if it is of the same consent.
///
/// One that does not verify is as good as none. The caller has no lock, so that it may be replaced
/// under our eyes, and the user is not told yet.
pub(super) fn find(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    purpose: Option<&Purpose>,
) -> Option<Cached> {
    look(ctx, vault, profile, purpose).unwrap_or_default()
}

/// The same for the one who holds the lock: one that does not verify was changed by somebody else,
/// and the user is told.
pub(super) fn find_or_warn(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    purpose: Option<&Purpose>,
) -> Option<Cached> {
    look(ctx, vault, profile, purpose).unwrap_or_else(|Ignored| {
        ctx.notices.notice(&Notice::CacheIgnored { profile: profile.facts.name.clone() });
        None
    })
}

/// There is one, and it cannot be trusted.
struct Ignored;

fn look(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    purpose: Option<&Purpose>,
) -> Result<Option<Cached>, Ignored> {
    let Some(grant) = &profile.facts.grant else { return Ok(None) };
    let stored = ctx.store.read(&name(vault, profile, purpose)).map_err(|error| {
        log::debug!("the cached token cannot be read: {error}");
        Ignored
    })?;
    let Some(stored) = stored else { return Ok(None) };
    let cached = verify(vault, profile, purpose, &stored.bytes).map_err(|error| {
        log::debug!("the cached token is ignored: {error}");
        Ignored
    })?;
    Ok(Some(cached).filter(|cached| cached.facts.grant_id == grant.id))
}

fn verify(
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    purpose: Option<&Purpose>,
    bytes: &[u8],
) -> Result<Cached, crate::seal::Error> {
    let document = verified(&vault.id, &vault.keys, bytes)?;
    if document.id() != profile.document.id() {
        return Err(crate::seal::Error::Foreign("profile"));
    }
    let facts: TokenFacts = document.facts()?;
    // The name of the file is under no MAC.
    if facts.purpose.as_ref() != purpose {
        return Err(crate::seal::Error::Foreign("purpose"));
    }
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

/// The purpose of a token with exactly these scopes.
pub(super) fn purpose_of(only: &Scopes) -> Purpose {
    Purpose::Scopes { scopes: only.clone() }
}

/// Whether a token stands where tokens of its purpose do.
pub(super) fn is_in_place(token: &Verified, name: &Name) -> bool {
    let purpose = token.facts::<TokenFacts>().ok().map(|facts| facts.purpose.as_ref().map(Purpose::id));
    matches!(name, Name::Token(_, id) if purpose.as_ref() == Some(&id.purpose))
}

/// Caches `token`, which was asked for `purpose`. A failure only warns: the token itself is good. The caller
/// holds the lock of the grant.
pub(super) fn keep(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    (grant, issuer): (&Grant, &str),
    purpose: Option<&Purpose>,
    token: &AccessToken,
) {
    let facts = TokenFacts {
        expires_at: token.expires_at,
        scopes: token.scopes.clone(),
        purpose: purpose.cloned(),
        ..TokenFacts::new(grant, issuer, token.obtained_at)
    };
    write(ctx, vault, profile, &facts, &[(SealedField::AccessToken, &token.value)]);
}

/// The same of what a login has brought: some providers give an ID token with no refresh, so that it is kept with
/// the access token that it came with.
pub(super) fn keep_login(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    (grant, issuer): (&Grant, &str),
    token: &AccessToken,
    id_token: Option<(&SecretString, Timestamp)>,
) {
    let facts = TokenFacts {
        expires_at: token.expires_at,
        scopes: token.scopes.clone(),
        id_token_expires_at: id_token.map(|(_, end)| end),
        ..TokenFacts::new(grant, issuer, token.obtained_at)
    };
    let access_token = (SealedField::AccessToken, &token.value);
    let id_token = id_token.map(|(value, _)| (SealedField::IdToken, value));
    let secrets: Vec<_> = std::iter::once(access_token).chain(id_token).collect();
    write(ctx, vault, profile, &facts, &secrets);
}

/// The same of an ID token that has been checked.
pub(super) fn keep_id_token(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    (grant, issuer): (&Grant, &str),
    token: &IdToken,
) {
    let facts = TokenFacts {
        expires_at: Some(token.expires_at),
        purpose: Some(Purpose::IdToken { audience: token.audience.clone() }),
        ..TokenFacts::new(grant, issuer, token.obtained_at)
    };
    write(ctx, vault, profile, &facts, &[(SealedField::IdToken, &token.value)]);
}

fn write(
    ctx: Context<'_>,
    vault: &Unlocked,
    profile: &Loaded<Profile>,
    facts: &TokenFacts,
    secrets: &[(SealedField, &SecretString)],
) {
    let name = name(vault, profile, facts.purpose.as_ref());
    if facts.purpose.is_some() {
        variants::make_room(ctx, vault, profile, &name);
    }
    let binding = Binding::issuer_only(&facts.issuer);
    let draft = Draft::new(Format::Token, vault.id.clone(), profile.document.id().clone()).facts(facts);
    let seal = |draft: Draft, (field, value): &(SealedField, &SecretString)| {
        draft.seal(&vault.keys, *field, &binding, value)
    };
    let document = secrets.iter().fold(draft, seal).sign(&vault.keys);
    if let Err(error) = ctx.store.write(&name, &document.to_bytes(), Expected::Anything) {
        ctx.notices.notice(&Notice::NotCached { why: error.to_string() });
    }
}
