//! A user whose cached token has too little life left to be answered, so that the next call refreshes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use crate::home::{Home, Run, VAULT, make_private};
use crate::outside::leave_out;
use crate::provider::{Config, Endpoint, Provider, Rotation};

/// Long enough for the slowest machine, and only ever waited for by a test that fails.
pub const LONG: Duration = Duration::from_secs(60);

/// The API key of [`expired`], which no refresh may lose.
pub const API_KEY: &str = "AIza-canary-api-key";

/// A provider with these settings, and a home whose profile `work` has an API key and a token that
/// is about to expire. Tokens that the provider issues from now on last an hour.
pub fn expired_at(config: Config) -> (Provider, Home) {
    expired_in(Home::new(), config)
}

/// The same in a home that has nothing yet.
pub fn expired_in(home: Home, config: Config) -> (Provider, Home) {
    let expires_in = config.expires_in;
    // A token must have more than a minute left to be answered.
    let provider = Provider::start(Config { expires_in: 30, ..config });
    let _ = home.add_profile(&provider, "work").expect_code(0);
    let key = home.write("api.key", API_KEY);
    let _ = home.run(&["edit", "work", "--api-key-file", key.to_str().unwrap()]).expect_code(0);
    provider.configure(|config| config.expires_in = expires_in);
    provider.forget_requests();
    (provider, home)
}

/// The same, at a provider that replaces refresh tokens and revokes a grant whose spent one returns.
pub fn expired() -> (Provider, Home) {
    expired_at(Config::default())
}

/// The same, at a provider that answers a spent refresh token for a minute.
pub fn expired_with_grace() -> (Provider, Home) {
    expired_at(Config { rotation: Rotation::Rotate { grace_secs: 60 }, ..Config::default() })
}

/// The same, at a provider whose refresh tokens stay.
pub fn expired_without_rotation() -> (Provider, Home) {
    expired_at(Config { rotation: Rotation::None, ..Config::default() })
}

/// Asserts that the vault holds the one refresh token that works, and that nothing was revoked.
#[track_caller]
pub fn assert_nothing_lost(provider: &Provider, home: &Home) {
    assert_eq!(provider.families_revoked(), []);
    assert_eq!(refresh_token(home), *provider.live_refresh_tokens().last().unwrap());
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
    assert_no_stray_file(home);
}

/// Asserts that no interrupted write has left anything.
#[track_caller]
pub fn assert_no_stray_file(home: &Home) {
    let stray: Vec<_> = strays(home);
    assert!(stray.is_empty(), "{stray:?}");
}

/// Files that are neither documents nor locks.
pub fn strays(home: &Home) -> Vec<PathBuf> {
    let mut files: Vec<_> = ["data", "state", "cache"].iter().flat_map(|folder| home.files(folder)).collect();
    files.retain(|path| {
        let is_known = path.extension().is_some_and(|end| end == "json" || end == "lock");
        !(is_known || is_log(path)) || path.parent().unwrap().ends_with("next")
    });
    files
}

/// The refresh token that the vault holds.
#[track_caller]
pub fn refresh_token(home: &Home) -> String {
    home.run(&["reveal", "work", "refresh_token"]).answer()
}

/// How many requests have reached the token endpoint since the home was made.
pub fn refreshes(provider: &Provider) -> usize {
    provider.count(Endpoint::Token)
}

/// Where the successor is written beside the document.
pub fn beside(home: &Home) -> PathBuf {
    home.vault_dir().join("profiles/work.json.next")
}

/// Where the successor is written if the place beside the document fails.
pub fn second(home: &Home) -> PathBuf {
    state_dir(home).join("next/profile-work.json")
}

/// What this machine remembers of the vault.
pub fn state_dir(home: &Home) -> PathBuf {
    let folders = std::fs::read_dir(home.path("state/vault")).unwrap().map(|entry| entry.unwrap().path());
    // Beside the vault's own folder lies what is known of places.
    folders.into_iter().find(|folder| !folder.ends_with("places")).unwrap()
}

/// Starts the program and leaves it running.
pub fn start(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a program that was started.
pub fn finish(child: Child, arguments: &[&str]) -> Run {
    Run::of(arguments, child.wait_with_output().unwrap())
}

/// Starts `vault token work`, and waits until its request is held by the provider.
#[track_caller]
pub fn start_and_hold(provider: &Provider, home: &Home) -> Child {
    let child = start(home, &["token", "work"]);
    assert!(provider.wait_until_holding(1, LONG));
    child
}

/// Whether it is the audit log, which tells of what has failed too.
pub fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "jsonl")
}

/// All files of a home but its audit log, to be put back later.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What the files hold.
    pub files: BTreeMap<PathBuf, Rc<Vec<u8>>>,
    /// Where they lie.
    pub folders: BTreeSet<PathBuf>,
}

impl Snapshot {
    /// The files as they are now.
    pub fn of(home: &Home) -> Self {
        let files = FOLDERS.iter().flat_map(|folder| home.files(folder)).filter(|path| !is_log(path));
        Self {
            files: files.map(|path| (path.clone(), Rc::new(std::fs::read(path).unwrap()))).collect(),
            folders: folders(home),
        }
    }

    /// Puts them back and removes all others.
    pub fn restore(&self, home: &Home) {
        for path in FOLDERS.iter().flat_map(|folder| home.files(folder)) {
            if !self.files.contains_key(&path) {
                std::fs::remove_file(path).unwrap();
            }
        }
        // The inner ones come last in their order.
        for folder in folders(home).iter().rev().filter(|folder| !self.folders.contains(*folder)) {
            std::fs::remove_dir(folder).unwrap();
        }
        for folder in self.folders.iter().filter(|folder| !folder.exists()) {
            std::fs::create_dir(folder).unwrap();
            make_private(folder);
        }
        for path in self.changed(home) {
            std::fs::write(&path, &*self.files[&path]).unwrap();
        }
    }

    /// What a file held.
    pub fn get(&self, path: &Path) -> Option<&[u8]> {
        self.files.get(path).map(|bytes| bytes.as_slice())
    }

    /// Whether the files are as they were.
    #[track_caller]
    pub fn assert_unchanged(&self, home: &Home) {
        let changed = self.changed(home);
        assert!(changed.is_empty(), "{changed:?}");
    }

    /// The files that were changed, made or removed since.
    pub fn changed(&self, home: &Home) -> BTreeSet<PathBuf> {
        let now = Self::of(home).files;
        let differs = |path: &&PathBuf| self.files.get(*path) != now.get(*path);
        self.files.keys().chain(now.keys()).filter(differs).cloned().collect()
    }
}

fn folders(home: &Home) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open: Vec<_> = FOLDERS.iter().map(|folder| home.path(folder)).collect();
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        open.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
        found.insert(folder);
    }
    found
}

const FOLDERS: [&str; 3] = ["data", "state", "cache"];

/// The command as a user who is not root, to whom the home is given; `None` if that cannot be had.
pub fn as_ordinary_user(home: &Home, arguments: &[&str]) -> Option<Command> {
    if !rustix::process::geteuid().is_root() {
        return Some(home.command(arguments));
    }
    let nobody = "65534";
    let is_given =
        Command::new("chown").args(["-R", nobody]).arg(home.path("")).status().is_ok_and(|s| s.success());
    let user = format!("--reuid={nobody}");
    let can_run =
        Command::new("setpriv").args([&user, VAULT, "--version"]).output().is_ok_and(|o| o.status.success());
    if !is_given || !can_run {
        leave_out("setpriv cannot start the program as an ordinary user");
        return None;
    }
    let mut command = Command::new("setpriv");
    home.prepare(&mut command);
    command.args([&user, VAULT]).args(arguments);
    Some(command)
}

/// Takes away the right to write below `folder`.
pub fn forbid_writing(folder: &Path) {
    change_mode(folder, "u-w");
}

/// Gives it back, so that the home can be removed.
pub fn allow_writing(folder: &Path) {
    change_mode(folder, "u+w");
}

fn change_mode(folder: &Path, mode: &str) {
    assert!(Command::new("chmod").args(["-R", mode]).arg(folder).status().unwrap().success());
}
