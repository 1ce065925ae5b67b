//! `vault setup`: what another program has to be told, so that it takes its tokens from here.
//!
//! Each tool's file says what its change is, as text in and text out. [`change`] reads and writes the user's files.

mod block;
mod cargo;
pub mod change;
mod direnv;
mod docker;
mod gcloud;
mod git;
mod json;
mod kubectl;
pub mod links;
mod mail;
pub mod places;
mod rclone;
mod systemd;
mod toml;
mod whole;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Context, Unlocked};
use crate::domain::{Host, Profile, ProfileName, Use};
use crate::system::{NewFileError, UserFile, UserFileError};
use block::{Block, Place};
pub use cargo::Registry;
pub use mail::Mail;
use places::Places;
pub use rclone::{Remote, secret_free_remote, token_url_variable};

/// The programs that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// git, through its credential helper.
    Git,
    /// docker and others that read its configuration.
    Docker,
    /// kubectl and others that read a kubeconfig.
    Kubectl,
    /// cargo, through its credential provider.
    Cargo,
    /// Google's command line.
    Gcloud,
    /// msmtp, which sends mail.
    Msmtp,
    /// mbsync, which fetches mail.
    Mbsync,
    /// neomutt and mutt.
    Neomutt,
    /// rclone.
    Rclone,
    /// direnv.
    Direnv,
    /// `vault serve` as a service of the user's systemd.
    Systemd,
}

impl Tool {
    /// The name as it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Docker => "docker",
            Self::Kubectl => "kubectl",
            Self::Cargo => "cargo",
            Self::Gcloud => "gcloud",
            Self::Msmtp => "msmtp",
            Self::Mbsync => "mbsync",
            Self::Neomutt => "neomutt",
            Self::Rclone => "rclone",
            Self::Direnv => "direnv",
            Self::Systemd => "systemd",
        }
    }

    /// What the hosts are bound for that this tool sends the token to.
    pub fn need(self) -> Option<Use> {
        match self {
            Self::Git => Some(Use::Git),
            Self::Docker => Some(Use::Docker),
            Self::Cargo => Some(Use::Cargo),
            _ => None,
        }
    }

    /// The name under which it looks for us.
    pub fn helper(self) -> Option<&'static str> {
        match self {
            Self::Git => Some("git-credential-vault"),
            Self::Docker => Some("docker-credential-vault"),
            Self::Kubectl => Some("kubectl-credential-vault"),
            Self::Cargo => Some("cargo-credential-vault"),
            _ => None,
        }
    }
}

/// What a tool is to be told.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The tool.
    pub tool: Tool,
    /// The profile.
    pub profile: ProfileName,
    /// What the profile links, where it is there.
    pub facts: Option<Profile>,
    /// The hosts that were named.
    pub hosts: Vec<Host>,
    /// Hosts that other profiles are bound to for the same.
    pub shared: BTreeSet<Host>,
    /// For cargo.
    pub registry: Option<Registry>,
    /// For mail programs.
    pub mail: Mail,
    /// For rclone.
    pub remote: Option<Remote>,
    /// For direnv: where a line is to go as well.
    pub envrc: Option<PathBuf>,
    /// Another file than the usual one.
    pub file: Option<PathBuf>,
    /// How vault is called from a shell; options that always go with it included.
    pub vault: String,
    /// The options that always go with it, for a helper.
    pub options: Vec<String>,
}

/// Everything that makes a tool take its tokens from a profile.
#[derive(Debug)]
pub struct Plan {
    /// What becomes of which file.
    pub changes: Vec<Change>,
    /// The hosts that the token may go to from then on, or no longer.
    pub hosts: Vec<(Use, Host)>,
    /// What the person has to know or do besides.
    pub advice: Vec<String>,
}

/// What becomes of one file.
#[derive(Debug)]
pub struct Change {
    /// The file.
    pub file: PathBuf,
    /// What becomes of it.
    pub edit: Edit,
}

/// What becomes of a file.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Marked lines at its end.
    Block(Block),
    /// A marked line, or two, where its registry is.
    Registry(Registry, Block),
    /// An entry in a map of a JSON file.
    Entry(json::Entry),
    /// All of it is ours.
    Whole(whole::Whole),
    /// A section of `rclone.conf`.
    Section(rclone::Section),
    /// A user in a kubeconfig, which kubectl writes itself.
    KubeUser(kubectl::User),
}

/// Why a tool is not told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the user's is not touched.
    #[error(transparent)]
    File(#[from] UserFileError),
    /// A file is not what it is expected to be.
    #[error("{} is left as it is: {}", file.display(), refusal.0)]
    Refused {
        /// The file.
        file: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// A name that a tool looks for is taken by something else.
    #[error("{} is there already, and is not a link to this program", .0.display())]
    Taken(PathBuf),
    /// The place of the links is not where programs are looked for.
    #[error("{} is not on the PATH, so that {helper} would not be found there", directory.display())]
    NotOnPath {
        /// Where the link would be.
        directory: PathBuf,
        /// Its name.
        helper: &'static str,
    },
    /// The program has another place than a line of a configuration can say.
    #[error("the place of this program, {}, cannot be written into a configuration", .0.display())]
    OddPlace(PathBuf),
    /// A link could not be made or taken away.
    #[error(transparent)]
    NewFile(#[from] NewFileError),
}

/// Why a text is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The verified facts of the profile that a tool is to be told of.
///
/// # Errors
///
/// [`super::Error::NoProfile`], or if it cannot be trusted.
pub fn verified(ctx: Context<'_>, vault: &Unlocked, name: &ProfileName) -> Result<Profile, super::Error> {
    ctx.audit.profile(name);
    Ok(vault.profile(ctx, name)?.facts)
}

/// What `wish` takes to be done, or to be undone.
///
/// # Errors
///
/// [`super::Error::Usage`] if not enough was said.
pub fn plan(wish: &Wish, places: &Places, is_undo: bool) -> Result<Plan, super::Error> {
    let mut plan = match wish.tool {
        Tool::Git => git::plan(wish, places, is_undo),
        Tool::Docker => docker::plan(wish, places, is_undo),
        Tool::Kubectl => kubectl::plan(wish, places),
        Tool::Cargo => cargo::plan(wish, places, is_undo),
        Tool::Gcloud => gcloud::plan(wish, places),
        Tool::Msmtp | Tool::Mbsync | Tool::Neomutt => mail::plan(wish, places, is_undo)?,
        Tool::Rclone => rclone::plan(wish, places)?,
        Tool::Direnv => direnv::plan(wish, places, is_undo),
        Tool::Systemd => systemd::plan(wish, places)?,
    };
    for change in plan.changes.iter_mut() {
        let named = wish.file.as_ref().unwrap_or(&change.file);
        // A relative name is no place to put a file and its copy beside.
        if let Ok(file) = std::path::absolute(named) {
            change.file = file;
        }
    }
    if is_undo {
        plan.advice.clear();
    }
    Ok(plan)
}

/// Where the index of a registry is, if cargo's configuration says so.
///
/// # Errors
///
/// If that is not what cargo reads.
pub fn known_index(wish: &Wish, places: &Places, registry: &Registry) -> Result<Option<String>, Error> {
    let file = wish.file.clone().unwrap_or_else(|| places.cargo());
    let read = UserFile::read(&file)?;
    let index = Registry::index_in(read.text().unwrap_or_default(), &registry.name);
    index.map_err(|refusal| Error::Refused { file, refusal })
}

impl Wish {
    /// The hosts that were named, else those that the profile is bound to for this.
    pub fn meant_hosts(&self) -> Vec<Host> {
        let bound = || Some(self.facts.as_ref()?.hosts.get(&self.tool.need()?)?.iter().cloned().collect());
        if self.hosts.is_empty() { bound().unwrap_or_default() } else { self.hosts.clone() }
    }

    fn bindings(&self) -> Vec<(Use, Host)> {
        let bind = |need| self.meant_hosts().into_iter().map(move |host| (need, host)).collect();
        self.tool.need().map(bind).unwrap_or_default()
    }

    /// The name of our block.
    fn block_name(&self) -> String {
        format!("{} {}", self.tool.as_str(), self.profile)
    }

    /// What a helper is called with: which vault, and which profile.
    fn helper_arguments(&self) -> Vec<String> {
        let profile = ["--profile".to_owned(), self.profile.to_string()];
        self.options.iter().cloned().chain(profile).collect()
    }

    /// For a tool that calls its helper without options.
    fn advice_on_options(&self) -> Vec<String> {
        let tool = self.tool.as_str();
        let advice = || format!("{tool} calls its helper without options: set VAULT_DIR where it is called");
        if self.options.is_empty() { Vec::new() } else { vec![advice()] }
    }

    fn email(&self) -> Option<&str> {
        self.facts.as_ref()?.account.email.as_deref()
    }
}

impl Edit {
    /// What a person would add.
    pub fn lines(&self) -> String {
        match self {
            Self::Block(block) => block.lines.clone(),
            Self::Registry(registry, _) => registry.lines_with_header(),
            Self::Entry(entry) => entry.lines(),
            Self::Whole(whole) => whole.text.clone(),
            Self::Section(section) => section.lines_with_header(),
            Self::KubeUser(user) => user.lines(),
        }
    }

    /// Our lines in a file where a change may touch lines of others; `None` where it cannot.
    fn lines_among_others(&self) -> Option<Vec<String>> {
        let owned = |lines: String| lines.lines().map(str::to_owned).collect();
        match self {
            Self::Block(_) | Self::Registry(..) | Self::Whole(_) => None,
            Self::Entry(_) | Self::Section(_) => Some(owned(self.lines())),
            Self::KubeUser(user) => Some(owned(user.lines_of_kubectl())),
        }
    }

    /// The text with the change.
    fn written(&self, text: Option<&str>) -> Result<String, Refusal> {
        match self {
            Self::Block(block) => block.written(text, Place::End),
            Self::Registry(registry, block) => registry.written(text, block),
            Self::Entry(entry) => entry.written(text),
            Self::Whole(whole) => whole.written(text),
            Self::Section(section) => section.written(text),
            Self::KubeUser(user) => user.written(text),
        }
    }

    /// The text without it; `None` if the file goes with it.
    fn undone(&self, text: &str) -> Result<Option<String>, Refusal> {
        match self {
            Self::Block(block) | Self::Registry(_, block) => block::removed(text, &block.name),
            Self::Entry(entry) => entry.removed(text),
            Self::Whole(whole) => whole.removed(text),
            Self::Section(section) => section.removed(text),
            Self::KubeUser(user) => user.removed(text),
        }
    }
}
