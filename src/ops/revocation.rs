//! Tokens of a profile, given back to the provider.

use secrecy::SecretString;

use super::client_secret::client_secret;
use super::refresh::ask_twice;
use super::{Context, Error, Loaded, Unlocked, cache, documents};
use crate::domain::provider::RevocationStyle;
use crate::domain::{Binding, Client, Profile, SealedField};
use crate::oauth;
use crate::oauth::revocation::{self, Kind, Outcome};
use crate::oauth::token_endpoint::Credentials;
use crate::store::Name;

/// The client of a profile, ready to prove itself.
pub(super) struct Revoker<'a> {
    ctx: Context<'a>,
    vault: &'a Unlocked,
    profile: &'a Loaded<Profile>,
    client: Client,
    secret: Option<SecretString>,
}

/// A token with where its seal lets it go.
type Bound = (SecretString, Binding, Kind);

impl<'a> Revoker<'a> {
    /// Opens the client's secret, if it has one and a place to send it to.
    pub(super) fn new(
        ctx: Context<'a>,
        vault: &'a Unlocked,
        profile: &'a Loaded<Profile>,
    ) -> Result<Self, Error> {
        let (name, client) = vault.client(ctx, &profile.facts.client)?;
        let secret = match client.facts.endpoints.revocation {
            Some(_) => client_secret(vault, &client, &Name::Client(name))?,
            None => None,
        };
        Ok(Self { ctx, vault, profile, client: client.facts, secret })
    }

    /// The client.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Gives back everything that the grant consists of; `None` if there is nothing that could still work.
    pub(super) fn revoke_all(&self) -> Result<Option<Outcome>, Error> {
        let mut tokens = Vec::new();
        if self.vault.provider(&self.client.provider).revoke.style == RevocationStyle::Bearer {
            return self.revoke_by_access_token();
        }
        // The one before first: while it is there, another run would look for it.
        for field in [SealedField::RefreshTokenPrevious, SealedField::RefreshToken, SealedField::AccessToken]
        {
            tokens.extend(self.open(field)?);
        }
        if tokens.is_empty() {
            tokens.extend(self.access_token());
        }
        let mut outcome = None;
        for token in &tokens {
            outcome = outcome.max(Some(self.revoke(token)?));
        }
        Ok(outcome)
    }

    /// Where a token gives itself back, only an access token can, and takes its refresh token with it. Where there
    /// is none that works, the grant lives on.
    fn revoke_by_access_token(&self) -> Result<Option<Outcome>, Error> {
        let lasting = self.open(SealedField::AccessToken)?;
        match lasting.or_else(|| self.access_token()) {
            Some(token) => self.revoke(&token).map(Some),
            None => Ok(Some(Outcome::Unsupported)),
        }
    }

    /// Gives back the refresh token before the present one, if it is still kept.
    pub(super) fn revoke_previous(&self) -> Result<Option<Outcome>, Error> {
        let previous = self.open(SealedField::RefreshTokenPrevious)?;
        previous.as_ref().map(|token| self.revoke(token)).transpose()
    }

    fn open(&self, field: SealedField) -> Result<Option<Bound>, Error> {
        if !self.profile.document.holds(field) {
            return Ok(None);
        }
        let opened = self.profile.document.open(&self.vault.keys, field, &self.client.binding());
        let name = Name::Profile(self.profile.facts.name.clone());
        let (token, binding) = opened.map_err(documents::refused(&name))?;
        let kind = if field == SealedField::AccessToken { Kind::Access } else { Kind::Refresh };
        Ok(Some((token, binding, kind)))
    }

    /// The cached access token, while it works. Its seal names the issuer alone, so that the client's
    /// document, which is verified, says where it goes.
    fn access_token(&self) -> Option<Bound> {
        let cached = cache::find_or_warn(self.ctx, self.vault, self.profile, None)?;
        let token = cached.open(self.vault).ok()?;
        let is_over = token.expires_at.is_some_and(|end| end <= self.ctx.clock.now());
        (!is_over).then(|| (token.value, self.client.binding(), Kind::Access))
    }

    fn revoke(&self, (token, binding, kind): &Bound) -> Result<Outcome, Error> {
        let provider = &self.vault.provider(&self.client.provider);
        let credentials = Credentials { binding, secret: self.secret.as_ref(), provider };
        let answer: Result<Outcome, oauth::Error> = ask_twice(self.ctx, |timeout| {
            revocation::revoke(self.ctx.http, &credentials, token, *kind, timeout)
        });
        answer.map_err(|source| Error::NotRevoked { profile: self.profile.facts.name.clone(), source })
    }
}
