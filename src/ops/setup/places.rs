//! The files of the tools, where each tool itself looks for them.

use std::path::{Path, PathBuf};

use super::Error;

/// What the environment says of where files are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The user's home.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// `GIT_CONFIG_GLOBAL`.
    pub git: Option<PathBuf>,
    /// `DOCKER_CONFIG`, a directory.
    pub docker: Option<PathBuf>,
    /// The first file of `KUBECONFIG`.
    pub kube: Option<PathBuf>,
    /// `CARGO_HOME`.
    pub cargo: Option<PathBuf>,
    /// `CLOUDSDK_CONFIG`.
    pub gcloud: Option<PathBuf>,
    /// `RCLONE_CONFIG`.
    pub rclone: Option<PathBuf>,
    /// The directories of `PATH`, those that are no absolute ones left out.
    pub search_path: Vec<PathBuf>,
    /// The program itself.
    pub executable: PathBuf,
    /// The name by which it was called.
    pub called_as: String,
    /// Where private copies are for a moment.
    pub runtime_dir: PathBuf,
}

impl Places {
    /// Where programs look that follow the XDG Base Directory Specification, on macOS too.
    pub(super) fn config(&self) -> PathBuf {
        // Relative paths in it are to be ignored, it says.
        let named = self.config_home.clone().filter(|path| path.is_absolute());
        named.unwrap_or_else(|| self.home.join(".config"))
    }

    /// The file that git itself would write to (git-config(1), `--global`).
    pub(super) fn git(&self) -> PathBuf {
        let usual = || first_there([self.home.join(".gitconfig"), self.config().join("git/config")]);
        self.git.clone().unwrap_or_else(usual)
    }

    /// `config.json` of docker.
    pub(super) fn docker(&self) -> PathBuf {
        self.docker.clone().unwrap_or_else(|| self.home.join(".docker")).join("config.json")
    }

    /// The kubeconfig that kubectl itself would write a new user to.
    pub(super) fn kube(&self) -> PathBuf {
        self.kube.clone().unwrap_or_else(|| self.home.join(".kube/config"))
    }

    /// cargo's own configuration; the name without an ending is that of old versions, and goes first.
    pub(super) fn cargo(&self) -> PathBuf {
        let home = self.cargo.clone().unwrap_or_else(|| self.home.join(".cargo"));
        let old = home.join("config");
        if old.exists() { old } else { home.join("config.toml") }
    }

    /// The directory of gcloud.
    pub(super) fn gcloud(&self) -> PathBuf {
        self.gcloud.clone().unwrap_or_else(|| self.home.join(".config/gcloud"))
    }

    /// `~/.msmtprc`, else `msmtp/config` (msmtp(1), Configuration files).
    pub(super) fn msmtp(&self) -> PathBuf {
        first_there([self.home.join(".msmtprc"), self.config().join("msmtp/config")])
    }

    /// `~/.mbsyncrc`; `isyncrc` since 1.5 (mbsync(1), Files).
    pub(super) fn mbsync(&self) -> PathBuf {
        first_there([self.home.join(".mbsyncrc"), self.config().join("isyncrc")])
    }

    /// In the order in which neomutt looks for them (neomuttrc(5), Files).
    pub(super) fn neomutt(&self) -> PathBuf {
        let usual = self.config().join("neomutt/neomuttrc");
        let others = [
            self.home.join(".neomuttrc"),
            self.home.join(".neomutt/neomuttrc"),
            usual.clone(),
            self.config().join("mutt/muttrc"),
            self.home.join(".muttrc"),
            self.home.join(".mutt/muttrc"),
        ];
        others.into_iter().find(|path| path.exists()).unwrap_or(usual)
    }

    /// `rclone.conf`.
    pub(super) fn rclone(&self) -> PathBuf {
        let usual = || self.config().join("rclone/rclone.conf");
        self.rclone.clone().unwrap_or_else(usual)
    }

    /// Where direnv looks for functions (direnv-stdlib(1), `direnvrc`).
    pub(super) fn direnv(&self) -> PathBuf {
        self.config().join("direnv/lib/vault.sh")
    }

    /// A unit of the user's own systemd (systemd.unit(5), Unit File Load Path).
    pub(super) fn systemd(&self) -> PathBuf {
        self.config().join("systemd/user/vault-serve@.service")
    }

    /// Where a program is found that is called by this name.
    pub fn found(&self, name: &str) -> Option<PathBuf> {
        self.search_path.iter().map(|directory| directory.join(name)).find(|path| path.is_file())
    }

    /// This program by its name on the search path, which outlives new versions; else where it really is.
    pub fn program(&self) -> PathBuf {
        let named = self.found(&self.called_as).filter(|found| self.is_ours(found));
        named.unwrap_or_else(|| self.executable.clone())
    }

    /// How this program is called from a configuration: by its name if it is found so, else by its place.
    ///
    /// # Errors
    ///
    /// [`Error::OddPlace`] if the place would have to be quoted: each tool quotes in another way.
    pub fn command(&self) -> Result<String, Error> {
        let program = self.program();
        if program != self.executable || self.found(&self.called_as).as_ref() == Some(&program) {
            return Ok(self.called_as.clone());
        }
        plain(&program).map(str::to_owned).ok_or(Error::OddPlace(program))
    }

    /// Whether the path leads to this program.
    pub fn is_ours(&self, path: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().ok();
        real(path).is_some_and(|found| Some(found) == real(&self.executable))
    }
}

/// The path, if no tool needs quotes for it.
pub fn plain(path: &Path) -> Option<&str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
    path.to_str().filter(|text| text.bytes().all(is_plain))
}

/// The first one that is there; none is there: the first.
fn first_there<const N: usize>(paths: [PathBuf; N]) -> PathBuf {
    let there = paths.iter().find(|path| path.exists()).or(paths.first());
    there.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_one_that_the_tool_would_use() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let places = Places { home: home.path().to_owned(), ..Places::default() };
        assert_eq!(places.git(), at(".gitconfig"));

        std::fs::create_dir_all(at(".config/git")).unwrap();
        std::fs::write(at(".config/git/config"), "").unwrap();
        assert_eq!(places.git(), at(".config/git/config"));

        std::fs::write(at(".gitconfig"), "").unwrap();
        assert_eq!(places.git(), at(".gitconfig"));

        let named = Places { git: Some(at("other")), config_home: Some("relative".into()), ..places };
        assert_eq!(named.git(), at("other"));
        assert_eq!(named.rclone(), at(".config/rclone/rclone.conf"));
    }
}
