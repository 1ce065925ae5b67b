//! `vault rotate client-secret`: a new secret, kept beside the old one until a refresh has proven it.
//!
//! The state is in the document of the client alone: `client_secret_next` waits for its proof,
//! `client_secret` is in use, and `client_secret_previous` is kept until it is disabled at the provider. A
//! process that is killed leaves both secrets sealed there, and the next run goes on from that.

use secrecy::SecretString;

use super::{Context, Error, Loaded, Unlocked, client_secret, clients, documents, mint, refresh, rename};
use crate::domain::{
    Client, ClientAuth, ClientName, DocumentId, GrantType, Profile, ProfileName, SealedField,
};
use crate::oauth::diagnosis::Cause;
use crate::seal::Draft;
use crate::store::{Access, Expected, Lock, Name};

/// A secret that the provider has made beside the old one.
#[derive(Debug)]
pub struct NewSecret {
    /// The secret.
    pub value: SecretString,
    /// The client id that stood beside it, where it came in a client file.
    pub client_id: Option<String>,
    /// Which key it is, for a service account.
    pub key_id: Option<String>,
}

/// How a rotation went.
#[derive(Debug)]
pub struct Rotated {
    /// The name of the client.
    pub client: ClientName,
    /// The profile whose refresh has proven the secret.
    pub proven_by: Option<ProfileName>,
    /// Whether the secret was the one in use already.
    pub was_in_use: bool,
    /// Whether the secret before is still kept.
    pub keeps_previous: bool,
    /// The profiles that use the client.
    pub profiles: Vec<ProfileName>,
}

/// Replaces the secret of a client by `new`, or by the one that an interrupted run has left waiting.
///
/// # Errors
///
/// [`Error::SecretRefused`] if the provider does not accept it, [`Error::SecretUnproven`] if no profile can
/// prove it and `may_be_unproven` is not said; everything is as it was then. Else as a refresh does.
pub fn rotate(
    ctx: Context<'_>,
    vault: &Unlocked,
    name: &ClientName,
    new: Option<NewSecret>,
    may_be_unproven: bool,
) -> Result<Rotated, Error> {
    ctx.audit.client(name);
    let id = vault.client_named(ctx, name)?.document.id().clone();
    // Two rotations of one client at once would prove the one secret and promote the other. Nobody who holds
    // another lock waits for this one.
    let _turn = ctx.lock(&Lock::Grant(id.clone()), Access::Exclusive)?;
    let rotation = Rotation { ctx, vault, id };
    let trial = rotation.begin(new, may_be_unproven)?;
    match rotation.prove(&trial, may_be_unproven) {
        Ok(proven_by) => rotation.finish(&trial, proven_by),
        Err(error) => {
            if !trial.was_waiting || matches!(error, Error::SecretRefused { .. }) {
                rotation.withdraw(&trial);
            }
            Err(error)
        }
    }
}

/// Forgets the secret before the present one, which the user has disabled at the provider. Says whether there
/// was one.
///
/// # Errors
///
/// [`Error::NoClient`], or as the storage says.
pub fn drop_previous(ctx: Context<'_>, vault: &Unlocked, name: &ClientName) -> Result<bool, Error> {
    ctx.audit.client(name);
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    rename::finish(ctx, vault)?;
    let client = vault.client_named(ctx, name)?;
    let is_kept = client.document.holds(SealedField::ClientSecretPrevious);
    if is_kept {
        let facts = Client { key_id_previous: None, ..client.facts.clone() };
        save(ctx, vault, &client, client.next().facts(&facts).without(SealedField::ClientSecretPrevious))?;
    }
    Ok(is_kept)
}

/// The rotation of one client.
struct Rotation<'a> {
    ctx: Context<'a>,
    vault: &'a Unlocked,
    id: DocumentId,
}

/// A secret that is to be proven.
struct Trial {
    /// Where it stands in the document: the one in use may be proven again.
    field: SealedField,
    /// Whether an interrupted run has left it. Then only a refusal ends it, since the user may have no copy.
    was_waiting: bool,
    client: ClientName,
    provider: String,
    /// The profiles that have a login.
    provers: Vec<ProfileName>,
}

impl Rotation<'_> {
    /// Saves the new secret beside the old one, unless it is there already.
    fn begin(&self, new: Option<NewSecret>, may_be_unproven: bool) -> Result<Trial, Error> {
        self.alone(|client| {
            check(client, new.as_ref())?;
            let provers = self.provers()?;
            if provers.is_empty() && !may_be_unproven {
                return Err(self.unproven(&client.facts.name, None));
            }
            let (field, was_waiting) = self.keep(client, new)?;
            let (client, provider) = (client.facts.name.clone(), client.facts.provider.clone());
            Ok(Trial { field, was_waiting, client, provider, provers })
        })
    }

    /// Where the secret stands that is to be proven, and whether it has waited there. A new one is saved first.
    fn keep(&self, client: &Loaded<Client>, new: Option<NewSecret>) -> Result<(SealedField, bool), Error> {
        let waiting = SealedField::ClientSecretNext;
        let waits = client.document.holds(waiting);
        let Some(NewSecret { value, key_id, .. }) = new else {
            let missing = || Error::Usage("the new client secret is missing".to_owned());
            return waits.then_some((waiting, true)).ok_or_else(missing);
        };
        if client_secret::is_same(&self.open(client, SealedField::ClientSecret)?, &value) {
            return Ok((SealedField::ClientSecret, false));
        }
        if waits && client_secret::is_same(&self.open(client, waiting)?, &value) {
            return Ok((waiting, true));
        }
        let facts = Client { key_id_next: key_id, ..client.facts.clone() };
        let draft =
            client.next().facts(&facts).seal(&self.vault.keys, waiting, &client.facts.binding(), &value);
        save(self.ctx, self.vault, client, draft)?;
        Ok((waiting, false))
    }

    /// Refreshes the grant of one profile with the secret. `None` if none could prove it and none has to.
    fn prove(&self, trial: &Trial, may_be_unproven: bool) -> Result<Option<ProfileName>, Error> {
        let mut reason = None;
        for profile in &trial.provers {
            match refresh::prove(self.ctx, self.vault, profile, &self.id, trial.field) {
                Ok(()) => return Ok(Some(profile.clone())),
                Err(error) => reason = Some(trial.judge(error)?),
            }
        }
        if may_be_unproven { Ok(None) } else { Err(self.unproven(&trial.client, reason)) }
    }

    /// Puts the secret in use, and keeps the one before: in one write.
    fn finish(&self, trial: &Trial, proven_by: Option<ProfileName>) -> Result<Rotated, Error> {
        let was_in_use = trial.field == SealedField::ClientSecret;
        let promoted = self.alone(|client| {
            let draft = match was_in_use {
                true => client.next().facts(&Client { key_id_next: None, ..client.facts.clone() }),
                false => self.promoted(client)?,
            };
            let draft = draft.without(SealedField::ClientSecretNext);
            let keeps_previous = draft.holds(SealedField::ClientSecretPrevious);
            if client.document.holds(SealedField::ClientSecretNext) {
                save(self.ctx, self.vault, client, draft)?;
            }
            Ok((client.facts.name.clone(), keeps_previous))
        });
        let (client, keeps_previous) = promoted.map_err(|source| match was_in_use {
            true => source,
            false => Error::SecretWaits { client: trial.client.clone(), source: Box::new(source) },
        })?;
        let profiles = clients::profiles_of(self.ctx, &self.id)?;
        Ok(Rotated { client, proven_by, was_in_use, keeps_previous, profiles })
    }

    fn promoted(&self, client: &Loaded<Client>) -> Result<Draft, Error> {
        let (key, binding) = (&self.vault.keys, client.facts.binding());
        let new = self.open(client, SealedField::ClientSecretNext)?;
        let old = self.open(client, SealedField::ClientSecret)?;
        let facts = Client {
            secret_set_at: Some(self.ctx.clock.now()),
            key_id: client.facts.key_id_next.clone(),
            key_id_next: None,
            key_id_previous: client.facts.key_id.clone(),
            ..client.facts.clone()
        };
        let draft = client.next().facts(&facts).seal(key, SealedField::ClientSecret, &binding, &new);
        Ok(draft.seal(key, SealedField::ClientSecretPrevious, &binding, &old))
    }

    /// Takes back a secret that was not proven. One that stays all the same does no harm: nothing uses it, and
    /// the next run begins with it.
    fn withdraw(&self, trial: &Trial) {
        if trial.field != SealedField::ClientSecretNext {
            return;
        }
        let withdrawn = self.alone(|client| match client.document.holds(SealedField::ClientSecretNext) {
            true => {
                let facts = Client { key_id_next: None, ..client.facts.clone() };
                let draft = client.next().facts(&facts).without(SealedField::ClientSecretNext);
                save(self.ctx, self.vault, client, draft)
            }
            false => Ok(()),
        });
        if let Err(error) = withdrawn {
            log::warn!("the new secret of client `{}` stays beside the old one: {error}", trial.client);
        }
    }

    /// Does `work` with the client as it is now, while nobody else changes it.
    fn alone<T>(&self, work: impl FnOnce(&Loaded<Client>) -> Result<T, Error>) -> Result<T, Error> {
        let _lock = self.vault.lock(self.ctx, Access::Exclusive)?;
        rename::finish(self.ctx, self.vault)?;
        work(&self.vault.client(self.ctx, &self.id)?.1)
    }

    fn open(&self, client: &Loaded<Client>, field: SealedField) -> Result<SecretString, Error> {
        client_secret::open(self.vault, client, &Name::Client(client.facts.name.clone()), field)
    }

    /// The profiles of the client that have a login.
    fn provers(&self) -> Result<Vec<ProfileName>, Error> {
        // By impersonation, a profile asks with another one's token and not with the client's secret.
        let asks_itself = |profile: &Profile| !matches!(profile.grant_type, GrantType::Impersonation { .. });
        let has_login = |name: &ProfileName| {
            let profile = self.vault.profile(self.ctx, name);
            profile.is_ok_and(|profile| {
                asks_itself(&profile.facts)
                    && refresh::usable_grant(self.ctx, self.vault, &profile.facts).is_ok()
            })
        };
        Ok(clients::profiles_of(self.ctx, &self.id)?.into_iter().filter(has_login).collect())
    }

    fn unproven(&self, client: &ClientName, reason: Option<Error>) -> Error {
        let profiles = clients::profiles_of(self.ctx, &self.id).unwrap_or_default();
        let profiles = profiles.iter().map(ToString::to_string).collect();
        Error::SecretUnproven { client: client.clone(), profiles, source: reason.map(Box::new) }
    }
}

impl Trial {
    /// Whether another profile may still prove the secret after `error`; if not, that is the answer.
    fn judge(&self, error: Error) -> Result<Error, Error> {
        match error {
            // It is the client that is at fault, whoever's grant it is.
            Error::RefreshRefused { server, causes, .. } if causes.iter().any(is_of_client) => {
                let (client, provider) = (self.client.clone(), self.provider.clone());
                Err(Error::SecretRefused { client, provider, causes, server })
            }
            Error::Mint(mint::Error::Refused { server, causes, .. }) if causes.iter().any(is_of_client) => {
                let (client, provider) = (self.client.clone(), self.provider.clone());
                Err(Error::SecretRefused { client, provider, causes, server: *server })
            }
            Error::RefreshRefused { .. }
            | Error::Mint(_)
            | Error::GrantRefused { .. }
            | Error::LoginNeeded { .. }
            | Error::RescueOutstanding { .. }
            | Error::NoProfile { .. } => Ok(error),
            error => Err(error),
        }
    }
}

fn is_of_client(cause: &Cause) -> bool {
    matches!(cause, Cause::SecretRejected | Cause::ClientDeleted | Cause::ClientDisabled | Cause::KeyRejected)
}

fn check(client: &Loaded<Client>, new: Option<&NewSecret>) -> Result<(), Error> {
    let name = &client.facts.name;
    if client.facts.client_auth == ClientAuth::None {
        return Err(Error::PublicClient { client: name.clone() });
    }
    match new.and_then(|new| new.client_id.as_ref()) {
        Some(found) if *found != client.facts.client_id => {
            Err(Error::OtherClientFile { client: name.clone(), found: found.clone() })
        }
        _ => Ok(()),
    }
}

fn save(ctx: Context<'_>, vault: &Unlocked, client: &Loaded<Client>, draft: Draft) -> Result<(), Error> {
    let name = Name::Client(client.facts.name.clone());
    documents::save(ctx, &name, &draft.sign(&vault.keys), Expected::Revision(&client.revision))
}
