//! A home with a vault: one profile that was made as users make it, and many beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use age::secrecy::{ExposeSecret, SecretString};
use jiff::Timestamp;
use vault::domain::{
    Account, Client, ClientAuth, DocumentId, Endpoints, Grant, GrantState, Profile, ScopeRecord, SealedField,
    VaultId,
};
use vault::seal::{Document, Draft, Format, KeyRing, Manifest, VaultKey};

use crate::server::Server;

/// The client and its secret that the server knows.
pub const CLIENT: (&str, &str) = ("desktop", "GOCSPX-desktop-secret");

/// A home directory with a vault in it, unlocked by an identity file.
pub struct World {
    home: tempfile::TempDir,
    authorities: PathBuf,
}

impl World {
    /// A vault with the client of `server` and the profile `work`, which has a grant there and a token in
    /// the cache. `program` makes it. The certificates in `more` are trusted besides the server's own.
    pub fn new(program: &Path, server: &Server, more: &[u8]) -> Result<Self, String> {
        let home = tempfile::Builder::new().prefix("vault-bench-").tempdir().map_err(text)?;
        let authorities = home.path().join("authorities.pem");
        fs::write(&authorities, [server.authority.as_bytes(), more].concat()).map_err(text)?;
        let world = Self { home, authorities };
        make_private_dir(&world.path("run"))?;
        world.write("identity.txt", identity().expose_secret())?;
        let identity = world.path("identity.txt").display().to_string();
        world.run(program, &["init", "--unlock", "identity", "--identity", &identity])?;
        world.add_work(server)?;
        world.run(program, &["token", "work"])?;
        world.run(program, &["use", "work"])?;
        Ok(world)
    }

    /// Adds so many profiles that differ from `work` in name and identifier only.
    pub fn crowd(&self, count: usize) -> Result<(), String> {
        let (vault, keys) = self.unlock()?;
        let work = self.document("profiles/work.json")?;
        let facts: Profile = work.facts().map_err(text)?;
        let client = self.client()?;
        for number in 0..count {
            let id = fresh_id()?;
            let name = format!("profile-{number:05}").parse().map_err(text)?;
            let profile = Profile { name, ..facts.clone() };
            let document = Draft::new(Format::Profile, vault.clone(), id.clone())
                .facts(&profile)
                .seal(&keys, SealedField::RefreshToken, &client.binding(), &"1//of-nobody".into())
                .sign(&keys);
            self.write(&format!("data/vault/profiles/{}.json", profile.name), document.to_bytes())?;
            self.write(&format!("state/vault/{vault}/marks/{id}.json"), "{\"generation\":1}\n")?;
        }
        Ok(())
    }

    /// `program` in this home, and with nothing else of our environment.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        self.prepare(&mut command);
        command.args(arguments);
        command
    }

    /// Gives `command` this home and nothing else of our environment.
    pub fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("VAULT_IDENTITY_FILE", self.path("identity.txt"))
            .env("SSL_CERT_FILE", &self.authorities)
            .current_dir(self.home.path());
    }

    /// What the server's certificate is checked with.
    pub fn authorities(&self) -> &Path {
        &self.authorities
    }

    /// A path in this home.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }

    /// Puts the cached token of `work` into a file of its own, for `age -d`, and the vault key beside it.
    pub fn export_item(&self) -> Result<(PathBuf, PathBuf), String> {
        let (vault, keys) = self.unlock()?;
        let id = self.document("profiles/work.json")?.id().clone();
        let token = fs::read(self.path(format!("cache/vault/{vault}/{id}.json"))).map_err(text)?;
        let token: serde_json::Value = serde_json::from_slice(&token).map_err(text)?;
        let sealed = token["secrets"]["access_token"].as_str().ok_or("no token is cached")?;
        self.write("item.age", sealed)?;
        self.write("key.txt", keys.current().to_identity_file().expose_secret())?;
        Ok((self.path("item.age"), self.path("key.txt")))
    }

    /// The vault key, as age knows it.
    pub fn key(&self) -> Result<age::x25519::Identity, String> {
        let (_, keys) = self.unlock()?;
        let file = keys.current().to_identity_file();
        file.expose_secret().trim().parse().map_err(|error: &str| error.to_owned())
    }

    /// Every sealed item of the vault and its cache.
    pub fn messages(&self) -> Result<Vec<String>, String> {
        let (vault, _) = self.unlock()?;
        let mut messages = Vec::new();
        for folder in ["data/vault/clients", "data/vault/profiles", &format!("cache/vault/{vault}")] {
            for file in fs::read_dir(self.path(folder)).map_err(text)? {
                let document = fs::read(file.map_err(text)?.path()).map_err(text)?;
                let document: serde_json::Value = serde_json::from_slice(&document).map_err(text)?;
                let items = document["secrets"].as_object().into_iter().flatten();
                messages.extend(items.filter_map(|(_, item)| Some(item.as_str()?.to_owned())));
            }
        }
        Ok(messages)
    }

    /// Runs `program` and returns what it printed.
    pub fn run(&self, program: &Path, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(program, arguments).output().map_err(text)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("vault {}: {}: {said}", arguments.join(" "), output.status));
        }
        String::from_utf8(output.stdout).map_err(text)
    }

    fn add_work(&self, server: &Server) -> Result<(), String> {
        let (vault, keys) = self.unlock()?;
        let client = client(server)?;
        let client_id = fresh_id()?;
        let document = Draft::new(Format::Client, vault.clone(), client_id.clone())
            .facts(&client)
            .seal(&keys, SealedField::ClientSecret, &client.binding(), &CLIENT.1.into())
            .sign(&keys);
        self.write("data/vault/clients/desktop.json", document.to_bytes())?;
        let grant = server.provider.grant(CLIENT.0, "me@example.com", &["mail"]);
        let document = Draft::new(Format::Profile, vault, fresh_id()?)
            .facts(&work(client_id)?)
            .seal(&keys, SealedField::RefreshToken, &client.binding(), &grant.into())
            .sign(&keys);
        self.write("data/vault/profiles/work.json", document.to_bytes())
    }

    fn unlock(&self) -> Result<(VaultId, KeyRing), String> {
        let document = self.document("vault.json")?;
        let manifest: Manifest = document.facts().map_err(text)?;
        let slot = serde_json::to_value(&manifest.slots[0]).map_err(text)?;
        let identity = fs::read_to_string(self.path("identity.txt")).map_err(text)?;
        let identity: age::x25519::Identity = identity.trim().parse()?;
        let sealed = slot["sealed"].as_str().ok_or("the slot holds nothing")?;
        let key = age::decrypt(&identity, sealed.as_bytes()).map_err(text)?;
        let key = SecretString::from(String::from_utf8(key).map_err(text)?);
        Ok((document.vault().clone(), KeyRing::of(VaultKey::from_identity_file(&key).map_err(text)?)))
    }

    fn client(&self) -> Result<Client, String> {
        self.document("clients/desktop.json")?.facts().map_err(text)
    }

    fn document(&self, name: &str) -> Result<Document, String> {
        let bytes = fs::read(self.path("data/vault").join(name)).map_err(text)?;
        Document::parse(&bytes).map_err(text)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), String> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.path(name);
        make_private_dir(path.parent().ok_or("a file has a parent")?)?;
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.as_mut().map_err(|error| format!("{}: {error}", path.display()))?;
        std::io::Write::write_all(file, content.as_ref()).map_err(text)
    }
}

fn make_private_dir(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(text)
}

fn identity() -> SecretString {
    age::x25519::Identity::generate().to_string()
}

fn client(server: &Server) -> Result<Client, String> {
    Ok(Client {
        name: "desktop".parse().map_err(text)?,
        provider: "localhost".to_owned(),
        issuer: server.url(""),
        endpoints: Endpoints::of(
            server.url("/authorize").parse().map_err(text)?,
            server.url("/token").parse().map_err(text)?,
        ),
        client_id: CLIENT.0.to_owned(),
        client_auth: ClientAuth::Post,
        client_auth_pinned: true,
        redirect_uri: None,
        insecure_loopback: false,
        issuer_in_response: false,
        offline_scope: false,
        key_id: None,
        pinned: Default::default(),
        key_id_next: None,
        key_id_previous: None,
        secret_set_at: None,
    })
}

fn work(client: DocumentId) -> Result<Profile, String> {
    let scopes = "mail".parse::<vault::domain::Scopes>().map_err(text)?;
    Ok(Profile {
        hosts: Default::default(),
        grant_type: Default::default(),
        browser: None,
        project: None,
        name: "work".parse().map_err(text)?,
        provider: "localhost".to_owned(),
        account: Account { email: Some("me@example.com".to_owned()), subject: Some("1001".to_owned()) },
        client,
        scopes: ScopeRecord { asked: scopes.clone(), granted: scopes },
        grant: Some(Grant {
            id: fresh_id()?,
            obtained_at: Timestamp::now(),
            refreshed_at: None,
            expires_at: None,
            state: GrantState::Live,
            refreshable: true,
        }),
        exports: std::collections::BTreeMap::new(),
        api_key_set_at: None,
    })
}

fn fresh_id() -> Result<DocumentId, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(text)?;
    Ok(DocumentId::from_bytes(bytes))
}

/// What went wrong, as text: whoever runs this reads it and nothing else does.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
