//! The environment, read once.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::screen::Screen;
use crate::ops::doctor::Surroundings;
use crate::ops::scan::Root;
use crate::ops::setup::places::Places;

/// What the environment says, as far as it matters to us.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// `VAULT_DIR`: the vault directory.
    pub vault_dir: Option<PathBuf>,
    /// `VAULT_PROFILE`: the profile that is meant where none is named.
    pub profile: Option<OsString>,
    /// `VAULT_KEY_ID`: the vault key that must be the right one.
    pub key_id: Option<OsString>,
    /// `VAULT_PASSPHRASE_FILE`.
    pub passphrase_file: Option<PathBuf>,
    /// `VAULT_PASSPHRASE_COMMAND`.
    pub passphrase_command: Option<OsString>,
    /// `VAULT_IDENTITY_FILE`.
    pub identity_file: Option<PathBuf>,
    /// `CREDENTIALS_DIRECTORY`, where systemd puts what a service may read.
    pub credentials_directory: Option<PathBuf>,
    /// `RUST_LOG`.
    pub rust_log: Option<OsString>,
    /// Whether `NO_COLOR` is set, or the terminal is dumb.
    pub no_color: bool,
    /// `BROWSER`: the command that opens an address.
    pub browser: Option<OsString>,
    /// `KUBERNETES_EXEC_INFO`: what kubectl and its like want of `vault helper kubectl`.
    pub kubernetes_exec_info: Option<OsString>,
    /// Whether we run on GitHub Actions, which hides secrets in its logs if it is told to.
    pub is_github_actions: bool,
    /// Where a window would appear.
    pub screen: Screen,
}

/// The variables that unlock the vault. No program that we run for the user gets them.
pub(super) const UNLOCKING: [&str; 3] =
    ["VAULT_PASSPHRASE_FILE", "VAULT_PASSPHRASE_COMMAND", "VAULT_IDENTITY_FILE"];

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn variable(name: &str) -> Option<OsString> {
    // An empty variable is one that was meant to be unset.
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// All that we read whose names begin as ours do.
const OURS: [&str; 6] = [
    "VAULT_DIR",
    "VAULT_PROFILE",
    "VAULT_KEY_ID",
    "VAULT_PASSPHRASE_FILE",
    "VAULT_PASSPHRASE_COMMAND",
    "VAULT_IDENTITY_FILE",
];

/// Two letters turned around, or one left out: in a name, more of them is another name.
const MOST_TYPOS: usize = 1;

/// A variable that is set and none of ours, and the one that was probably meant. Other names that begin
/// with `VAULT_` belong to other programs.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(super) fn mistyped() -> Option<(String, &'static str)> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let meant = |name: &str| {
        let is_near = |ours: &&&str| strsim::damerau_levenshtein(ours, name) <= MOST_TYPOS;
        OURS.iter().find(is_near).copied().filter(|_| !OURS.contains(&name))
    };
    names.filter(|name| name.starts_with("VAULT")).find_map(|name| meant(&name).map(|ours| (name, ours)))
}

impl Environment {
    /// Reads it.
    pub(super) fn read() -> Self {
        let path = |name| variable(name).map(PathBuf::from);
        Self {
            vault_dir: path("VAULT_DIR"),
            profile: variable("VAULT_PROFILE"),
            key_id: variable("VAULT_KEY_ID"),
            passphrase_file: path("VAULT_PASSPHRASE_FILE"),
            passphrase_command: variable("VAULT_PASSPHRASE_COMMAND"),
            identity_file: path("VAULT_IDENTITY_FILE"),
            credentials_directory: path("CREDENTIALS_DIRECTORY"),
            rust_log: variable("RUST_LOG"),
            no_color: variable("NO_COLOR").is_some() || variable("TERM").is_some_and(|term| term == "dumb"),
            browser: variable("BROWSER"),
            kubernetes_exec_info: variable("KUBERNETES_EXEC_INFO"),
            is_github_actions: variable("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
            screen: Screen::find(variable, |path| Path::new(path).exists()),
        }
    }
}

/// What a program that we start finds in a variable, unless we change it.
pub(super) fn inherited(name: &str) -> Option<OsString> {
    variable(name)
}

/// Variables whose names `is_wanted`, with their values: logins that somebody keeps in the environment.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(super) fn wanted(is_wanted: impl Fn(&str) -> bool) -> Vec<(String, Zeroizing<String>)> {
    let all = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let some = all.filter(|(name, value)| !value.is_empty() && is_wanted(name));
    some.filter_map(|(name, value)| Some((name, Zeroizing::new(value.into_string().ok()?)))).collect()
}

/// What surrounds the program, for the doctor: of the variables among `names`, which are set.
pub(super) fn surroundings(names: &[&str], home: PathBuf, runtime_dir: PathBuf) -> Surroundings {
    let search_path = variable("PATH").unwrap_or_default();
    let is_set = |name: &&&str| variable(name).is_some();
    Surroundings {
        home,
        runtime_dir,
        current_dir: std::env::current_dir().ok(),
        search_path: std::env::split_paths(&search_path).collect(),
        executable: std::env::current_exe().ok(),
        variables: names.iter().filter(is_set).map(|name| (*name).to_owned()).collect(),
    }
}

/// Where other tools have their files, for `vault setup`.
pub(super) fn tool_places(home: PathBuf, runtime_dir: &Path) -> Places {
    let path = |name| variable(name).map(PathBuf::from);
    let first = |name| std::env::split_paths(&variable(name)?).find(|path| !path.as_os_str().is_empty());
    let search_path = variable("PATH").unwrap_or_default();
    let called_as = std::env::args_os().next().map(PathBuf::from);
    let called_as = called_as.as_deref().and_then(Path::file_name).and_then(OsStr::to_str);
    Places {
        home,
        config_home: path("XDG_CONFIG_HOME"),
        git: path("GIT_CONFIG_GLOBAL"),
        docker: path("DOCKER_CONFIG"),
        kube: first("KUBECONFIG"),
        cargo: path("CARGO_HOME"),
        gcloud: path("CLOUDSDK_CONFIG"),
        rclone: path("RCLONE_CONFIG"),
        // What stands in the current directory is nobody's helper.
        search_path: std::env::split_paths(&search_path).filter(|path| path.is_absolute()).collect(),
        executable: std::env::current_exe().unwrap_or_default(),
        called_as: called_as.unwrap_or("vault").to_owned(),
        runtime_dir: runtime_dir.to_owned(),
    }
}

/// Variables that move what tools keep out of the home, and the usual places of what they move.
const MOVING: [(&str, Option<&str>); 15] = [
    ("XDG_CONFIG_HOME", None),
    ("XDG_DATA_HOME", None),
    ("XDG_STATE_HOME", None),
    ("XDG_CACHE_HOME", None),
    ("CLOUDSDK_CONFIG", Some("gcloud")),
    ("GOOGLE_APPLICATION_CREDENTIALS", None),
    ("RCLONE_CONFIG", Some("rclone/rclone.conf")),
    ("KUBECONFIG", Some(".kube/config")),
    ("DOCKER_CONFIG", Some(".docker")),
    ("CARGO_HOME", Some(".cargo")),
    ("NPM_CONFIG_USERCONFIG", Some(".npmrc")),
    ("BOTO_CONFIG", Some(".boto")),
    ("GAMCFGDIR", Some(".gam")),
    ("NETRC", Some(".netrc")),
    ("GH_CONFIG_DIR", Some("gh")),
];

/// Everything in which a user may have secrets, for `vault scan`: his home, and what variables have moved.
pub(super) fn scan_roots(home: &Path) -> Vec<Root> {
    let moved = MOVING.iter().flat_map(|(name, stands_for)| {
        let value = variable(name).unwrap_or_default();
        // KUBECONFIG names several files.
        let paths: Vec<PathBuf> = std::env::split_paths(&value).filter(|path| path.is_absolute()).collect();
        paths.into_iter().map(|path| Root { path, stands_for: *stands_for })
    });
    [Root { path: home.to_owned(), stands_for: None }].into_iter().chain(moved).collect()
}
