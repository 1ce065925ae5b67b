//! One run of the program: where things are, and how the vault key is had.

use std::path::{Path, PathBuf};

use directories::BaseDirs;

use super::args::Globals;
use super::environment::{self, Environment};
use super::error::Failure;
use super::log::{self, Verbosity};
use super::notices::StderrNotices;
use super::output::Output;
use super::terminal::Terminal;
use crate::domain::{KeyId, ProfileName};
use crate::oauth::Https;
use crate::ops::audit::{self, Outcome};
use crate::ops::{self, Context, Unlocked, Vault};
use crate::store::{self, Directory, Places};
use crate::system::{SystemClock, asker};
use crate::unlock::agent::Client;
use crate::unlock::{self, Keychain, PassphraseSource, Ways, keychain};

/// One run of the program.
pub(super) struct Session {
    /// Where answers and talk go.
    pub output: Output,
    /// What the environment says.
    pub environment: Environment,
    globals: Globals,
    audit: audit::Entry,
    store: Directory,
    http: Https,
    keychain: Box<dyn Keychain>,
    notices: StderrNotices,
    pinned: Option<KeyId>,
    runtime_dir: PathBuf,
    home: PathBuf,
    usual_vault_dir: PathBuf,
}

impl Session {
    /// Finds out where everything is, for what the command line says is to be done. Touches nothing.
    pub(super) fn new(what: String, globals: Globals, environment: Environment) -> Result<Self, Failure> {
        let rust_log = environment.rust_log.as_ref().and_then(|text| text.to_str());
        log::start(Verbosity { verbose: globals.verbose, quiet: globals.quiet }, rust_log);
        if let Some((name, meant)) = environment::mistyped() {
            let refused = Failure::usage(format!("the variable {name} means nothing"));
            return Err(refused.hint(format!("did you mean {meant}? Else unset it")));
        }
        // A relative one would make another vault in each directory.
        let base = BaseDirs::new().filter(|base| base.home_dir().is_absolute()).ok_or_else(|| {
            Failure::usage("there is no home directory")
                .hint("set HOME to an absolute path, or run vault as a user that has one")
        })?;
        let output = Output::new(&globals, &environment);
        Ok(Self {
            store: Directory::new(places(&globals, &environment, &base)?),
            keychain: keychain::system(may_ask_secrets(&globals)),
            notices: StderrNotices::new(output),
            pinned: pinned(&environment)?,
            runtime_dir: runtime_dir(&base),
            home: base.home_dir().to_owned(),
            usual_vault_dir: usual_vault_dir(&base),
            http: Https::new(),
            audit: audit::Entry::new(what),
            output,
            environment,
            globals,
        })
    }

    /// Runs `work` with everything that an operation needs, and writes it down if it gets at the vault key.
    ///
    /// A secret is to be printed only after this has returned: whoever has it is in the log then.
    pub(super) fn with<T>(&self, work: impl FnOnce(Context<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        self.run(&self.audit, self.may_ask_secrets(), work)
    }

    /// The same for something that happens beside the command, asked for by another program: it has a line of
    /// its own, and asks nobody.
    pub(super) fn aside<T>(
        &self,
        what: &str,
        work: impl FnOnce(Context<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.run(&audit::Entry::new(what), false, work)
    }

    fn run<T>(
        &self,
        audit: &audit::Entry,
        may_ask: bool,
        work: impl FnOnce(Context<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let agent = self.agent();
        // A keychain can ask too, in a window of its own.
        let silent = (!may_ask).then(|| keychain::system(false));
        let ways = Ways {
            prompt: &Terminal,
            keychain: silent.as_deref().unwrap_or(&*self.keychain),
            agent: agent.as_ref(),
            identities: self.identities(),
            passphrase: self.passphrase()?,
            may_ask,
        };
        let ctx = Context {
            store: &self.store,
            memory: &self.store,
            journal: &self.store,
            audit,
            http: &self.http,
            clock: &SystemClock,
            ways: &ways,
            pinned: self.pinned.as_ref(),
            notices: &self.notices,
        };
        let result = work(ctx);
        self.write_down(ctx, result.as_ref().map_or_else(Failure::outcome, |_| Outcome::Done));
        result
    }

    /// Writes down what has just ended.
    pub(super) fn write_down(&self, ctx: Context<'_>, outcome: Outcome) {
        if let Err(error) = audit::close(ctx, asker, outcome) {
            self.output.warn(&not_logged(&error));
        }
    }

    /// Runs `work` with the vault unlocked.
    pub(super) fn unlocked<T>(
        &self,
        work: impl FnOnce(Context<'_>, &Unlocked) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with(|ctx| work(ctx, &Vault::open(ctx)?.unlock(ctx)?))
    }

    /// Unlocks the vault for something that goes on longer than `work`; and says whether a person was needed for
    /// that. Whoever goes on then has to hold the key: nobody would type it again.
    pub(super) fn unlock_to_go_on(&self, ctx: Context<'_>) -> Result<(Unlocked, bool), Failure> {
        if ctx.ways.may_ask {
            let silent = keychain::system(false);
            let ways = Ways { may_ask: false, keychain: &*silent, ..ctx.ways.clone() };
            match Vault::open(ctx)?.unlock(Context { ways: &ways, ..ctx }) {
                Err(ops::Error::Unlock(unlock::Error::NoWay { .. })) => {}
                unlocked => return Ok((unlocked?, false)),
            }
        }
        Ok((Vault::open(ctx)?.unlock(ctx)?, ctx.ways.may_ask))
    }

    /// The person at the terminal.
    pub(super) fn terminal(&self) -> Terminal {
        Terminal
    }

    /// Whether the person may be asked something that is typed on standard input.
    pub(super) fn may_ask(&self) -> bool {
        !self.globals.no_input && Terminal.is_there()
    }

    /// Whether the person may be asked for a secret.
    pub(super) fn may_ask_secrets(&self) -> bool {
        may_ask_secrets(&self.globals)
    }

    /// Whether the command line forbids every interaction.
    pub(super) fn no_input(&self) -> bool {
        self.globals.no_input
    }

    /// The keychain of this machine.
    pub(super) fn keychain(&self) -> &dyn Keychain {
        &*self.keychain
    }

    /// The network.
    pub(super) fn http(&self) -> &Https {
        &self.http
    }

    /// The user's home.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// The vault directory, if nobody has chosen another one.
    pub(super) fn usual_vault_dir(&self) -> Option<&Path> {
        let is_chosen = self.globals.vault_dir.is_some() || self.environment.vault_dir.is_some();
        (!is_chosen).then_some(&*self.usual_vault_dir)
    }

    /// The vault directory that somebody has chosen, as an absolute path.
    pub(super) fn chosen_vault_dir(&self) -> Option<PathBuf> {
        let chosen = self.globals.vault_dir.as_ref().or(self.environment.vault_dir.as_ref())?;
        std::path::absolute(chosen).ok()
    }

    /// Where the vault and what belongs to it are.
    pub(super) fn places(&self) -> &Places {
        self.store.places()
    }

    /// Where the agent's socket is.
    pub(super) fn runtime_dir(&self) -> &Path {
        &self.runtime_dir
    }

    /// The profile that `VAULT_PROFILE` names.
    pub(super) fn profile_from_environment(&self) -> Result<Option<ProfileName>, Failure> {
        let Some(name) = &self.environment.profile else { return Ok(None) };
        let name = name.to_str().unwrap_or_default();
        name.parse().map(Some).map_err(|error| Failure::usage(format!("VAULT_PROFILE: {error}")))
    }

    /// Lets the person pick one of `known`.
    pub(super) fn pick_profile(&self, known: &[String]) -> Result<ProfileName, Failure> {
        Terminal.pick(known)
    }

    /// The passphrase source that the environment names.
    pub(super) fn passphrase(&self) -> Result<Option<PassphraseSource>, Failure> {
        if let Some(path) = &self.environment.passphrase_file {
            return Ok(Some(PassphraseSource::File(path.clone())));
        }
        let Some(command) = &self.environment.passphrase_command else { return Ok(None) };
        match command.to_str() {
            Some(command) => Ok(Some(PassphraseSource::Command(command.to_owned()))),
            None => Err(Failure::usage("VAULT_PASSPHRASE_COMMAND is not UTF-8 text")),
        }
    }

    /// An agent that cannot be trusted or talked with is as good as none, and worth a word.
    fn agent(&self) -> Option<Client> {
        Client::connect(&self.runtime_dir).unwrap_or_else(|error| {
            self.output.warn(&format!("the agent is not used: {error}"));
            None
        })
    }

    fn identities(&self) -> Vec<PathBuf> {
        let named = self.environment.identity_file.clone();
        let by_systemd =
            self.environment.credentials_directory.as_ref().map(|path| path.join("vault-identity"));
        named.into_iter().chain(by_systemd.filter(|path| path.exists())).collect()
    }
}

/// What cannot be written down is done all the same.
fn not_logged(error: &store::Error) -> String {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("the audit log could not be written: {error}{cause}")
}

fn may_ask_secrets(globals: &Globals) -> bool {
    !globals.no_input && Terminal.takes_secrets()
}

fn places(globals: &Globals, environment: &Environment, base: &BaseDirs) -> Result<Places, Failure> {
    let chosen = globals.vault_dir.clone().or_else(|| environment.vault_dir.clone());
    let vault = chosen.unwrap_or_else(|| usual_vault_dir(base));
    let vault = std::path::absolute(&vault).map_err(|error| {
        Failure::usage(format!("the vault directory {} cannot be used: {error}", vault.display()))
    })?;
    // Only Linux has a state directory of its own.
    let state =
        base.state_dir().map_or_else(|| base.data_local_dir().join("vault-state"), |dir| dir.join("vault"));
    Ok(Places { vault, cache: base.cache_dir().join("vault"), state })
}

fn usual_vault_dir(base: &BaseDirs) -> PathBuf {
    base.data_dir().join("vault")
}

/// Where sockets go: the user's runtime directory, else a private place below the temporary one.
fn runtime_dir(base: &BaseDirs) -> PathBuf {
    match base.runtime_dir() {
        Some(dir) => dir.join("vault"),
        None => std::env::temp_dir().join(format!("vault-{}", user())),
    }
}

#[cfg(unix)]
fn user() -> String {
    rustix::process::geteuid().as_raw().to_string()
}

#[cfg(not(unix))]
fn user() -> String {
    "user".to_owned()
}

fn pinned(environment: &Environment) -> Result<Option<KeyId>, Failure> {
    let Some(kid) = &environment.key_id else { return Ok(None) };
    let kid = kid.to_str().unwrap_or_default();
    kid.parse().map(Some).map_err(|error| Failure::usage(format!("VAULT_KEY_ID: {error}")))
}
