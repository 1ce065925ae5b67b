//! `vault client list|show|add|rename|remove`: OAuth clients, each stored once.

use secrecy::SecretString;
use url::Url;

use super::client_secret::{client_secret, is_same_or_unnamed};
pub use super::issuer::Issuer;
use super::{Context, Error, Loaded, Notice, Unlocked, documents, issuer, mint, rename};
use crate::domain::{
    Client, ClientAuth, ClientName, DocumentId, Profile, ProfileName, RedirectUri, SealedField,
};
use crate::oauth::check_url;
use crate::oauth::client_file::{self, ClientFile};
use crate::seal::{Document, Draft, Format, Verified};
use crate::store::{Access, Expected, Name, Revision};
use crate::system::random_id;

/// A client as the user describes it.
#[derive(Debug)]
pub struct NewClient {
    /// What to call it; else the provider's name.
    pub name: Option<ClientName>,
    /// Who issues its tokens.
    pub issuer: Issuer,
    /// The public identifier.
    pub client_id: String,
    /// Its secret, unless it is a public client.
    pub secret: Option<SecretString>,
    /// How it proves itself, if the user knows.
    pub auth: Option<ClientAuth>,
    /// The exact redirect URI, if one is registered.
    pub redirect_uri: Option<RedirectUri>,
    /// Whether `http:` on loopback hosts is fine.
    pub insecure_loopback: bool,
    /// What its key file says beside the key, if it is a service account.
    pub key: Option<mint::KeyFacts>,
    /// What kind of app it was made for, if that is known.
    pub kind: Option<client_file::Kind>,
    /// Whether a login without PKCE is fine, with a server that says it has none.
    pub allow_no_pkce: bool,
}

impl NewClient {
    /// The client that a downloaded file describes.
    pub fn from_file(file: ClientFile, issuer: Issuer, name: Option<ClientName>) -> Self {
        Self {
            name,
            issuer,
            client_id: file.client_id,
            secret: file.client_secret,
            auth: None,
            redirect_uri: None,
            insecure_loopback: false,
            key: None,
            kind: Some(file.kind),
            allow_no_pkce: false,
        }
    }
}

/// A client that is going to be used: stored already, or not yet.
pub(super) struct Candidate {
    pub(super) id: DocumentId,
    pub(super) facts: Client,
    pub(super) secret: Option<SecretString>,
    pub(super) stored: Option<(Verified, Revision)>,
    saved: Option<Client>,
}

impl Candidate {
    /// A client that is stored.
    pub(super) fn stored(vault: &Unlocked, client: Loaded<Client>) -> Result<Self, Error> {
        let secret = client_secret(vault, &client, &Name::Client(client.facts.name.clone()))?;
        Ok(Self {
            id: client.document.id().clone(),
            saved: Some(client.facts.clone()),
            facts: client.facts,
            secret,
            stored: Some((client.document, client.revision)),
        })
    }

    /// Writes the client if it is not stored as it is now.
    pub(super) fn save_if_changed(&mut self, ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
        if self.saved.as_ref() == Some(&self.facts) { Ok(()) } else { self.save(ctx, vault) }
    }

    /// Takes back what was saved of a client that turned out to be of no use.
    pub(super) fn forget(&mut self, ctx: Context<'_>) -> Result<(), Error> {
        if let Some(document) = self.take_back(ctx)? {
            documents::bury(ctx, &document);
        }
        Ok(())
    }

    /// Does the same for a client that was only put in its place. A copy of it may come back.
    pub(super) fn take_back(&mut self, ctx: Context<'_>) -> Result<Option<Verified>, Error> {
        ctx.store.remove(&Name::Client(self.facts.name.clone()))?;
        Ok(self.stored.take().map(|(document, _)| document))
    }

    /// Writes the client as it is now, with its secret sealed for its present binding.
    pub(super) fn save(&mut self, ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
        self.put(ctx, vault)?;
        self.mark(ctx);
        Ok(())
    }

    /// Remembers that the client stands as it was put in its place.
    pub(super) fn mark(&self, ctx: Context<'_>) {
        if let Some((document, _)) = &self.stored {
            documents::mark(ctx, document);
        }
    }

    /// Does the same as [`Self::save`], and leaves no trace outside the vault: it may have to be taken back.
    pub(super) fn put(&mut self, ctx: Context<'_>, vault: &Unlocked) -> Result<(), Error> {
        let draft = match &self.stored {
            Some((document, _)) => document.next(),
            None => Draft::new(Format::Client, vault.id.clone(), self.id.clone()),
        };
        let draft = self.seal_spares(vault, draft.facts(&self.facts))?;
        let draft = match &self.secret {
            Some(secret) => draft.seal(&vault.keys, SealedField::ClientSecret, &self.facts.binding(), secret),
            None => draft,
        };
        let document = draft.sign(&vault.keys);
        let name = Name::Client(self.facts.name.clone());
        let expected = match &self.stored {
            Some((_, revision)) => Expected::Revision(revision),
            None => Expected::Absent,
        };
        ctx.store.write(&name, &document.to_bytes(), expected)?;
        let revision = Revision::of(&document.to_bytes());
        self.stored = Some((document, revision));
        self.saved = Some(self.facts.clone());
        Ok(())
    }

    /// Seals the secrets beside the one in use for the present binding, if that is a new one.
    fn seal_spares(&self, vault: &Unlocked, draft: Draft) -> Result<Draft, Error> {
        let (Some((document, _)), Some(saved)) = (&self.stored, &self.saved) else { return Ok(draft) };
        let (old, new) = (saved.binding(), self.facts.binding());
        let spares = SealedField::OF_CLIENT.into_iter().skip(1).filter(|field| document.holds(*field));
        if old == new {
            return Ok(draft);
        }
        spares.into_iter().try_fold(draft, |draft, field| {
            let opened = document.open(&vault.keys, field, &old);
            let (secret, _) = opened.map_err(documents::refused(&Name::Client(saved.name.clone())))?;
            Ok(draft.seal(&vault.keys, field, &new, &secret))
        })
    }
}

/// Asks the issuer what has to be known of it, and makes the client of that. Stores nothing. Without a vault, the user's own
/// providers are not known.
pub(super) fn resolve(
    ctx: Context<'_>,
    vault: Option<&Unlocked>,
    new: NewClient,
) -> Result<(Client, Option<SecretString>), Error> {
    if new.client_id.is_empty() || new.client_id.bytes().any(|b| !matches!(b, 0x20..=0x7e)) {
        return Err(Error::Usage("the client id must be printable ASCII".to_owned()));
    }
    let facts = issuer::facts(ctx, vault, &new)?;
    if let Some(key) = &new.key {
        key.check(&facts.endpoints.token, &facts.provider)?;
    }
    for url in [
        Some(&facts.endpoints.authorization),
        Some(&facts.endpoints.token),
        facts.endpoints.revocation.as_ref(),
    ] {
        url.map_or(Ok(()), |url| check_url(url, new.insecure_loopback))?;
    }
    if new.secret.is_none() && !facts.may_be_public {
        return Err(super::providers::Error::NeedsSecret { provider: facts.title }.into());
    }
    let auth = if new.secret.is_none() { ClientAuth::None } else { new.auth.unwrap_or(facts.auth) };
    let client = Client {
        name: new.name.unwrap_or(facts.name),
        provider: facts.provider,
        issuer: facts.issuer,
        endpoints: facts.endpoints,
        client_id: new.client_id,
        client_auth: auth,
        client_auth_pinned: new.auth.is_some() || auth == ClientAuth::None || facts.auth_is_certain,
        redirect_uri: new.redirect_uri,
        insecure_loopback: new.insecure_loopback,
        issuer_in_response: facts.issuer_in_response,
        offline_scope: facts.offline_scope,
        key_id: new.key.map(|key| key.id),
        pinned: facts.pinned,
        key_id_next: None,
        key_id_previous: None,
        secret_set_at: new.secret.is_some().then(|| ctx.clock.now()),
    };
    vault.map_or(Ok(()), |vault| warn_of_other_servers(ctx, vault, &client))?;
    Ok((client, new.secret))
}

/// One issuer has one server (RFC 9207, 4): a second one under its name may be there to catch codes and secrets.
fn warn_of_other_servers(ctx: Context<'_>, vault: &Unlocked, new: &Client) -> Result<(), Error> {
    let places = |client: &Client| [&client.endpoints.authorization, &client.endpoints.token].map(Url::clone);
    for name in ctx.store.clients()? {
        let Some(stored) = vault.find_client(ctx, &name)? else { continue };
        if stored.facts.issuer == new.issuer && places(&stored.facts) != places(new) {
            ctx.notices.notice(&Notice::OtherEndpoints {
                issuer: new.issuer.clone(),
                client: name,
                known: stored.facts.endpoints.token,
                found: new.endpoints.token.clone(),
            });
        }
    }
    Ok(())
}

/// The stored client with the same id at the same issuer, if there is one.
///
/// # Errors
///
/// [`Error::OtherSecret`] if it has another secret.
pub(super) fn find_same(
    ctx: Context<'_>,
    vault: &Unlocked,
    client: &Client,
    secret: Option<&SecretString>,
) -> Result<Option<Loaded<Client>>, Error> {
    for name in ctx.store.clients()? {
        let Some(stored) = vault.find_client(ctx, &name)? else { continue };
        if stored.facts.client_id != client.client_id || stored.facts.issuer != client.issuer {
            continue;
        }
        let known = client_secret(vault, &stored, &Name::Client(name.clone()))?;
        return if is_same_or_unnamed(known.as_ref(), secret) {
            Ok(Some(stored))
        } else {
            Err(Error::OtherSecret { client: name.to_string() })
        };
    }
    Ok(None)
}

/// A client that is not stored, under a name that is free.
pub(super) fn candidate(
    ctx: Context<'_>,
    mut facts: Client,
    secret: Option<SecretString>,
    was_named: bool,
) -> Result<Candidate, Error> {
    let taken = ctx.store.clients()?;
    if was_named && taken.contains(&facts.name) {
        return Err(Error::ClientExists { name: facts.name.to_string() });
    }
    facts.name = free_name(&facts.name, &taken);
    Ok(Candidate { id: random_id(), facts, secret, stored: None, saved: None })
}

fn free_name(wanted: &ClientName, taken: &[ClientName]) -> ClientName {
    let numbered = (2..).map(|number| {
        format!("{wanted}-{number}").parse().expect("a name of at most 50 characters with a number is a name")
    });
    std::iter::once(wanted.clone())
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .expect("numbers do not end")
}

/// Stores a client. One that is stored already is returned as it is.
///
/// # Errors
///
/// [`Error::OtherSecret`] or [`Error::ClientExists`] if it would be stored twice; else as the
/// provider and the storage say.
pub fn add(ctx: Context<'_>, vault: &Unlocked, new: NewClient) -> Result<Client, Error> {
    let was_named = new.name.is_some();
    if let Some(name) = &new.name {
        ctx.audit.client(name);
    }
    let (facts, secret) = resolve(ctx, Some(vault), new)?;
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    rename::finish(ctx, vault)?;
    if let Some(stored) = find_same(ctx, vault, &facts, secret.as_ref())? {
        ctx.audit.client(&stored.facts.name);
        return Ok(stored.facts);
    }
    let mut candidate = candidate(ctx, facts, secret, was_named)?;
    ctx.audit.client(&candidate.facts.name);
    candidate.save(ctx, vault)?;
    Ok(candidate.facts)
}

/// A client as it is listed: facts that have not been verified.
pub struct Listed {
    /// Its name in the store.
    pub name: ClientName,
    /// Its document, or why it cannot be read.
    pub client: Result<Facts, Error>,
    /// The profiles that use it.
    pub profiles: Vec<String>,
}

/// The facts of a client.
pub struct Facts {
    /// Its document.
    pub id: DocumentId,
    /// What the document says.
    pub client: Client,
    /// The secrets that it holds.
    pub secrets: Vec<SealedField>,
}

/// All clients; opens nothing.
///
/// # Errors
///
/// If they cannot be listed.
pub fn list(ctx: Context<'_>) -> Result<Vec<Listed>, Error> {
    let users = users(ctx)?;
    let listed = |name: ClientName| {
        let client = read(ctx, &name);
        let id = client.as_ref().ok().map(|facts| facts.id.clone());
        let profiles = users
            .iter()
            .filter(|(client, _)| Some(client) == id.as_ref())
            .map(|(_, name)| name.to_string())
            .collect();
        Listed { name, client, profiles }
    };
    Ok(ctx.store.clients()?.into_iter().map(listed).collect())
}

/// One client; opens nothing.
///
/// # Errors
///
/// [`Error::NoClient`] if there is none.
pub fn show(ctx: Context<'_>, name: &ClientName) -> Result<Listed, Error> {
    let found = list(ctx)?.into_iter().find(|listed| listed.name == *name);
    found.ok_or_else(|| documents::no_client(ctx, name))
}

/// What the document of a client says. Not verified.
fn read(ctx: Context<'_>, name: &ClientName) -> Result<Facts, Error> {
    let stored_as = Name::Client(name.clone());
    let stored = ctx.store.read(&stored_as)?.ok_or_else(|| documents::no_client(ctx, name))?;
    let document = documents::parse(&stored_as, &stored.bytes)?;
    documents::check_format(&stored_as, &document, Format::Client)?;
    let client = documents::facts(&stored_as, &document)?;
    let secrets = SealedField::OF_CLIENT.into_iter().filter(|field| document.holds(*field)).collect();
    Ok(Facts { id: document.id().clone(), client, secrets })
}

/// Which profile uses which client, as far as profiles can be read.
fn users(ctx: Context<'_>) -> Result<Vec<(DocumentId, ProfileName)>, Error> {
    let mut users = Vec::new();
    for name in ctx.store.profiles()? {
        let Some(stored) = ctx.store.read(&Name::Profile(name.clone()))? else { continue };
        if let Ok(profile) = Document::parse(&stored.bytes).and_then(|document| document.facts::<Profile>()) {
            users.push((profile.client, name));
        }
    }
    Ok(users)
}

/// The profiles that use a client, as far as they can be read. Not verified.
pub(super) fn profiles_of(ctx: Context<'_>, id: &DocumentId) -> Result<Vec<ProfileName>, Error> {
    Ok(users(ctx)?.into_iter().filter(|(client, _)| client == id).map(|(_, name)| name).collect())
}

/// Gives a client another name. Profiles follow: they name its document.
///
/// # Errors
///
/// [`Error::NoClient`], or [`Error::ClientExists`] if the new name is taken.
pub fn rename(ctx: Context<'_>, vault: &Unlocked, from: &ClientName, to: &ClientName) -> Result<(), Error> {
    ctx.audit.client(from);
    ctx.audit.renamed(to);
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    let finished = rename::finish(ctx, vault)?;
    let is_through = finished.contains(&Name::Client(from.clone())) && ctx.store.clients()?.contains(to);
    let client = match vault.client_named(ctx, from) {
        // This very rename was interrupted, and is through now.
        Err(Error::NoClient { .. }) if is_through => return Ok(()),
        found => found?,
    };
    if ctx.store.clients()?.contains(to) {
        return Err(Error::ClientExists { name: to.to_string() });
    }
    let facts = Client { name: to.clone(), ..client.facts.clone() };
    let document = client.next().facts(&facts).sign(&vault.keys);
    // The new one first: a crash leaves both, and the old one is recognised as older.
    documents::save(ctx, &Name::Client(to.clone()), &document, Expected::Absent)?;
    Ok(ctx.store.remove(&Name::Client(from.clone()))?)
}

/// Removes a client that no profile uses.
///
/// # Errors
///
/// [`Error::ClientInUse`] if one does.
pub fn remove(ctx: Context<'_>, vault: &Unlocked, name: &ClientName) -> Result<(), Error> {
    ctx.audit.client(name);
    let _lock = vault.lock(ctx, Access::Exclusive)?;
    rename::finish(ctx, vault)?;
    let client = vault.client_named(ctx, name)?;
    let id = client.document.id();
    let profiles: Vec<String> = profiles_of(ctx, id)?.iter().map(ToString::to_string).collect();
    if !profiles.is_empty() {
        return Err(Error::ClientInUse { client: name.to_string(), profiles });
    }
    ctx.store.remove(&Name::Client(name.clone()))?;
    documents::bury(ctx, &client.document);
    Ok(())
}
