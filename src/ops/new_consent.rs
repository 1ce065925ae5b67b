//! What a consent has brought: the grant and its first access token, saved before anything is said.

use jiff::Timestamp;
use secrecy::SecretString;

use super::login::Party;
use super::{Context, Error, Notice, Unlocked, cache, documents, refresh, successor};
use crate::domain::{Account, DocumentId, Grant, GrantState, Profile, Scopes, SealedField, renewal_after};
use crate::oauth::token_endpoint::TokenAnswer;
use crate::oauth::{id_token, provider};
use crate::seal::Verified;
use crate::store::Revision;

/// A consent that is not saved yet.
pub(super) struct NewConsent {
    pub(super) grant_id: DocumentId,
    pub(super) account: Account,
    pub(super) answer: TokenAnswer,
    /// Whether the stored refresh token has a successor that was only printed.
    pub(super) old_is_spent: bool,
    /// When the refresh token before it counts as issued.
    pub(super) renewed_before: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl NewConsent {
    pub(super) fn save(
        self,
        ctx: Context<'_>,
        vault: &Unlocked,
        party: &Party,
        reservation: Box<dyn crate::store::Reservation>,
    ) -> Result<Profile, Error> {
        let scopes = self.granted(ctx, vault, party);
        let facts = Profile {
            account: self.account.clone(),
            scopes: crate::domain::ScopeRecord {
                asked: party.facts.scopes.asked.clone(),
                granted: scopes.clone(),
            },
            grant: Some(self.grant(ctx, party)),
            ..party.facts.clone()
        };
        let draft = party.draft(vault).facts(&facts);
        let binding = party.client.facts.binding();
        let draft = match party.previous.as_ref().filter(|previous| self.replaces(party, previous)) {
            Some(previous) => draft.seal(&vault.keys, SealedField::RefreshTokenPrevious, &binding, previous),
            None => draft,
        };
        let draft = match &self.answer.refresh_token {
            Some(token) => draft.seal(&vault.keys, SealedField::RefreshToken, &binding, token),
            None if self.continues(party).is_some() => draft,
            // Of another account, or refused: it must not be handed out as the one of this login.
            None => draft.without(SealedField::RefreshToken),
        };
        let draft = match self.answer.lasting() {
            Some(token) => draft.seal(&vault.keys, SealedField::AccessToken, &binding, token),
            None => draft.without(SealedField::AccessToken),
        };
        let successor = draft.sign(&vault.keys);
        successor::save(ctx, vault, &facts.name, reservation, &successor)?;
        self.cache(ctx, vault, party, successor, &facts);
        Ok(facts)
    }

    fn granted(&self, ctx: Context<'_>, vault: &Unlocked, party: &Party) -> Scopes {
        let asked = &party.facts.scopes.asked;
        let granted = self.answer.scope.clone().unwrap_or_else(|| asked.clone());
        let provider = vault.provider(&party.facts.provider);
        let missing = provider.missing_scopes(asked, &granted);
        let is_lasting =
            |scope: &str| scope == provider::OFFLINE || provider.scopes.offline.as_deref() == Some(scope);
        // Some servers grant the scope by a refresh token and do not name it.
        let lasts = self.answer.refresh_token.is_some();
        if missing.iter().any(|scope| !(lasts && is_lasting(scope))) {
            ctx.notices.notice(&Notice::ScopesMissing { missing });
        }
        let beyond = provider.missing_scopes(&granted, asked);
        // Who asks for none leaves the choice to the server: RFC 6749, 3.3.
        if !beyond.is_empty() && !asked.is_empty() {
            ctx.notices.notice(&Notice::ScopesBeyond { beyond });
        }
        granted
    }

    /// The new grant. Where the provider gave no new refresh token, the old one of the same account
    /// goes on.
    fn grant(&self, ctx: Context<'_>, party: &Party) -> Grant {
        let end = self.answer.refresh_token_expires_in.and_then(|life| self.now.checked_add(life).ok());
        match (&self.answer.refresh_token, self.continues(party)) {
            (None, Some(old)) => Grant { id: self.grant_id.clone(), ..old.clone() },
            (token, _) => {
                if token.is_none() && self.answer.lasting().is_none() {
                    ctx.notices.notice(&Notice::NotRefreshable);
                }
                Grant {
                    id: self.grant_id.clone(),
                    obtained_at: self.now,
                    // Only where the clock was set back, so that a rescue from before does not look newer.
                    refreshed_at: self
                        .renewed_before
                        .map(|before| renewal_after(before, self.now))
                        .filter(|at| *at > self.now),
                    expires_at: end,
                    state: GrantState::Live,
                    refreshable: token.is_some(),
                }
            }
        }
    }

    /// Whether `previous` is not the refresh token of the new grant.
    fn replaces(&self, party: &Party, previous: &SecretString) -> bool {
        match &self.answer.refresh_token {
            Some(token) => refresh::is_other(token, previous),
            None => self.continues(party).is_none(),
        }
    }

    /// The grant whose refresh token goes on where the provider gave no new one.
    fn continues<'a>(&self, party: &'a Party) -> Option<&'a Grant> {
        let old = party.facts.grant.as_ref();
        old.filter(|old| old.refreshable && old.state == GrantState::Live)
            .filter(|_| party.facts.account.is_same_as(&self.account) && !self.old_is_spent)
    }

    fn cache(&self, ctx: Context<'_>, vault: &Unlocked, party: &Party, document: Verified, facts: &Profile) {
        let Some(grant) = facts.grant.clone() else { return };
        let token = refresh::access_token(&self.answer, facts.scopes.granted.clone(), self.now);
        let revision = Revision::of(&document.to_bytes());
        let profile = documents::Loaded { document, facts: facts.clone(), revision };
        let of = (&grant, &*party.client.facts.issuer);
        let id_token = self.answer.id_token.as_ref();
        let id_token = id_token.and_then(|value| Some((value, id_token::expiry(value)?)));
        cache::keep_login(ctx, vault, &profile, of, &token, id_token);
        // They are of the consent before, and would be of no use to anybody.
        if let Err(error) = cache::forget_variants(ctx, vault, &profile) {
            log::debug!("cached tokens of the login before stay: {error}");
        }
    }
}
