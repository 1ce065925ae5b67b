//! Where tools and tutorials leave secrets in plain text: one table, for `vault scan` and `vault doctor`.
//!
//! A place names the tool. Whether a file holds a secret its content decides, with the help of the place where a
//! secret has no shape of its own.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use super::shapes::Kind;
use crate::system::names_in;

/// Where a path of the table begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// In the user's home.
    Home,
    /// Where programs keep their settings: `.config` in the home, and `%APPDATA%` on Windows.
    Config,
    /// In the home, in its folder of downloads, and where the program was called: what is downloaded from a
    /// console or made by a tutorial lies anywhere.
    Anywhere,
}

/// How a file in its place shows that it holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// By secrets that can be told everywhere.
    Itself,
    /// By being there, and not empty.
    Any(Kind),
    /// By one of these texts.
    Has(Kind, &'static [&'static str]),
    /// By a value behind one of these names.
    Names(Kind, &'static [&'static str]),
    /// By an address with a password in it.
    Addresses,
    /// By passwords as netrc(5) has them.
    Netrc,
}

/// A usual place.
#[derive(Clone, Copy, Debug)]
pub struct Usual {
    /// Where it begins.
    pub base: Base,
    /// The path from there; each part may have one `*`.
    pub path: &'static str,
    /// What leaves it there.
    pub tool: &'static str,
    /// How it shows that it holds a secret, beside what can be told everywhere.
    pub shape: Shape,
}

const fn home(path: &'static str, tool: &'static str, shape: Shape) -> Usual {
    Usual { base: Base::Home, path, tool, shape }
}

const fn config(path: &'static str, tool: &'static str, shape: Shape) -> Usual {
    Usual { base: Base::Config, path, tool, shape }
}

const fn anywhere(path: &'static str, tool: &'static str, shape: Shape) -> Usual {
    Usual { base: Base::Anywhere, path, tool, shape }
}

use Kind::{Password, RefreshToken, Token};
use Shape::{Addresses, Any, Has, Itself, Names, Netrc};

/// The usual places. Of two that fit, the first counts.
pub const USUAL: &[Usual] = &[
    config("gcloud/application_default_credentials.json", "gcloud", Itself),
    config("gcloud/credentials.db", "gcloud", Itself),
    config("gcloud/access_tokens.db", "gcloud", Itself),
    config("gcloud/legacy_credentials/*/adc.json", "gcloud", Itself),
    config("gcloud/legacy_credentials/*/.boto", "gcloud", Itself),
    config("gcloud/legacy_credentials/*/singlestore_bq.json", "gcloud", Itself),
    config("gcloud/logs/*/*.log", "gcloud's log", Itself),
    config("gcloud/docker_credentials.json", "docker-credential-gcr", Itself),
    // Its tokens are JSON in base64.
    home(".oauth2l", "oauth2l", Has(RefreshToken, &["\":\"eyJ", "\": \"eyJ"])),
    home(".clasprc.json", "clasp", Itself),
    config("rclone/rclone.conf", "rclone", Itself),
    home(".rclone.conf", "rclone", Itself),
    home(".gmailctl/credentials.json", "gmailctl", Itself),
    home(".gmailctl/token.json", "gmailctl", Itself),
    config("configstore/firebase-tools.json", "firebase-tools", Itself),
    config("gws/client_secret.json", "gws", Itself),
    config("gws/credentials.json", "gws", Itself),
    config("gws/token_cache.json", "gws", Itself),
    // It opens `credentials.enc` beside it.
    config("gws/.encryption_key", "gws", Any(Kind::RefreshToken)),
    config("gogcli/credentials*.json", "gogcli", Itself),
    home(".gemini/oauth_creds.json", "gemini-cli", Itself),
    home(".gemini/.env", "gemini-cli", Itself),
    home(".gmail-mcp/gcp-oauth.keys.json", "Gmail MCP server", Itself),
    home(".gmail-mcp/credentials.json", "Gmail MCP server", Itself),
    home(".google_workspace_mcp/credentials/*.json", "Google Workspace MCP server", Itself),
    config("google-workspace-mcp/profiles/*/tokens.json", "Google Workspace MCP server", Itself),
    config("gdrive3/*/secret.json", "gdrive", Itself),
    config("gdrive3/*/tokens.json", "gdrive", Itself),
    home(".gdrive/token_v2.json", "gdrive", Itself),
    home(".gdfuse/*/config", "google-drive-ocamlfuse", Itself),
    home(".gdfuse/*/state", "google-drive-ocamlfuse", Itself),
    config("gspread/credentials.json", "gspread", Itself),
    config("gspread/authorized_user.json", "gspread", Itself),
    config("gspread/service_account.json", "gspread", Itself),
    config("pydata/pydata_google_credentials.json", "pydata-google-auth", Itself),
    config("earthengine/credentials", "Earth Engine", Itself),
    // R's own format, compressed.
    home(".cache/gargle/*", "gargle", Any(RefreshToken)),
    home("google-ads.yaml", "Google Ads", Itself),
    home(".bigqueryrc", "bq", Itself),
    home(".bigquery.v2.token", "bq", Itself),
    home(".boto", "gsutil", Names(Token, &["gs_secret_access_key"])),
    home(".gsutil/*", "gsutil", Itself),
    home(".gam/client_secrets.json", "GAM", Itself),
    home(".gam/oauth2.txt", "GAM", Itself),
    home(".gam/oauth2service.json", "GAM", Itself),
    home(".gcs_tokens", "gcsfs", Itself),
    home(".gcalcli_oauth", "gcalcli", Itself),
    home(".local/share/gcalcli/oauth", "gcalcli", Itself),
    home(".credentials/*.json", "oauth2client", Itself),
    config("chrome_infra/auth/*", "LUCI", Itself),
    home(".gitcookies", "git", Has(RefreshToken, &["=1//", "\tgit-"])),
    home(".git-credentials", "git", Addresses),
    config("git/credentials", "git", Addresses),
    anywhere(".git/config", "git", Addresses),
    home(".netrc", "curl and others", Netrc),
    home("_netrc", "curl and others", Netrc),
    config("gh/hosts.yml", "gh", Itself),
    config("hub", "hub", Itself),
    config("glab-cli/config.yml", "glab", Itself),
    home(".offlineimaprc", "offlineimap", Itself),
    config("vdirsyncer/*", "vdirsyncer", Itself),
    config("oama/*", "oama", Itself),
    config("pizauth.conf", "pizauth", Itself),
    config("ortie/*", "ortie", Itself),
    home(".mutt/*", "mutt", Itself),
    home(".muttrc", "mutt", Itself),
    config("mutt/*", "mutt", Itself),
    config("neomutt/*", "neomutt", Itself),
    home(".msmtprc", "msmtp", Itself),
    config("msmtp/config", "msmtp", Itself),
    home(".mbsyncrc", "mbsync", Itself),
    anywhere("emailproxy.config", "email-oauth2-proxy", Itself),
    home(".docker/config.json", "docker", Names(Password, &["\"auth\""])),
    home(".kube/config", "kubectl", Names(Token, &[" token", "id-token", "client-key-data"])),
    home(".kube/gke_gcloud_auth_plugin_cache", "gke-gcloud-auth-plugin", Itself),
    home(".kube/cache/oidc-login/*", "kubelogin", Names(Token, &["\"id_token\""])),
    home(".cargo/credentials.toml", "cargo", Names(Token, &["token"])),
    home(".cargo/credentials", "cargo", Names(Token, &["token"])),
    anywhere(".npmrc", "npm", Names(Token, &["_auth", "_password"])),
    home(".pypirc", "twine", Names(Password, &["password"])),
    home(".terraform.d/credentials.tfrc.json", "terraform", Names(Token, &["\"token\""])),
    home(".terraformrc", "terraform", Names(Token, &["token"])),
    config("op/*", "1Password", Itself),
    anywhere("Google.OAuth2.Token.*", "a script", Itself),
    anywhere("client_secret*.json", "Google's console", Itself),
    anywhere("credentials.json", "Google's tutorials", Itself),
    anywhere("token.json", "Google's tutorials", Itself),
    anywhere("token.pickle", "Google's older tutorials", Itself),
    anywhere("*.storage", "oauth2client", Itself),
    anywhere("*-oauth2.json", "oauth2client", Itself),
    anywhere("*.tfstate", "terraform's state", Itself),
    anywhere("*.tfstate.backup", "terraform's state", Itself),
    anywhere(".env*", "an environment file", Itself),
    anywhere(".envrc", "direnv", Itself),
    anywhere(".gitlab-ci.yml", "a CI file", Itself),
    anywhere(".*.swp", "an editor's swap file", Itself),
    home(".*_history", "a history of typed lines", Itself),
    home(".local/share/fish/fish_history", "a history of typed lines", Itself),
    home("AppData/Roaming/Microsoft/Windows/PowerShell/PSReadLine/*", "a history of typed lines", Itself),
    home(".bashrc", "a shell's settings", Itself),
    home(".bash_profile", "a shell's settings", Itself),
    home(".profile", "a shell's settings", Itself),
    home(".zshrc", "a shell's settings", Itself),
    home(".zshenv", "a shell's settings", Itself),
    config("fish/config.fish", "a shell's settings", Itself),
    home("Downloads/*.json", "Google's console", Itself),
];

/// Most names that are looked at in one folder.
const MOST_NAMES: usize = 10_000;

/// Most paths for one place.
const MOST_PATHS: usize = 1000;

impl Usual {
    /// The paths in this place for a user with this home, who has called the program there.
    pub fn paths(&self, home: &Path, current_dir: Option<&Path>) -> Vec<PathBuf> {
        let bases = match self.base {
            Base::Home => vec![home.to_owned()],
            Base::Config if cfg!(windows) => vec![home.join("AppData/Roaming"), home.join(".config")],
            Base::Config => vec![home.join(".config")],
            Base::Anywhere => {
                let downloads = home.join("Downloads");
                [home.to_owned(), downloads].into_iter().chain(current_dir.map(Path::to_owned)).collect()
            }
        };
        let mut paths = bases;
        for part in self.path.split('/') {
            paths = paths.iter().flat_map(|folder| fitting(folder, part)).take(MOST_PATHS).collect();
        }
        paths
    }

    /// Whether the last parts of `path` are this place's.
    fn fits(&self, path: &Path) -> bool {
        let mut there = path.components().rev();
        self.path.rsplit('/').all(|part| match there.next() {
            Some(Component::Normal(name)) => name.to_str().is_some_and(|name| part_fits(part, name)),
            _ => false,
        })
    }

    fn last_part(&self) -> &'static str {
        self.path.rsplit_once('/').map_or(self.path, |(_, last)| last)
    }
}

/// What fits one part of a path, in `folder`.
fn fitting(folder: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains('*') {
        return vec![folder.join(part)];
    }
    let names = names_in(folder, MOST_NAMES);
    let fitting = names.iter().filter(|name| name.to_str().is_some_and(|name| part_fits(part, name)));
    fitting.map(|name| folder.join(name)).collect()
}

fn part_fits(part: &str, name: &str) -> bool {
    match part.split_once('*') {
        None => part == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

/// The place that `path` is, wherever the home may be: a copy of a home is looked through too.
pub(super) fn place_of(path: &Path) -> Option<&'static Usual> {
    let name = path.file_name()?.to_str()?;
    let exact = BY_NAME.exact.get(name).into_iter().flatten();
    let starred = || BY_NAME.starred.iter().filter(|(part, _)| part_fits(part, name)).map(|(_, at)| at);
    let first = exact.chain(starred()).filter(|at| USUAL[**at].fits(path)).min();
    first.map(|at| &USUAL[*at])
}

/// The table by the last parts of its paths.
struct ByName {
    exact: HashMap<&'static str, Vec<usize>>,
    starred: Vec<(&'static str, usize)>,
}

static BY_NAME: LazyLock<ByName> = LazyLock::new(|| {
    let mut by_name = ByName { exact: HashMap::new(), starred: Vec::new() };
    for (at, usual) in USUAL.iter().enumerate() {
        match usual.last_part() {
            part if part.contains('*') => by_name.starred.push((part, at)),
            part => by_name.exact.entry(part).or_default().push(at),
        }
    }
    by_name
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_has_more_than_one_star_and_no_place_is_there_twice() {
        for (at, usual) in USUAL.iter().enumerate() {
            assert!(usual.path.split('/').all(|part| part.matches('*').count() <= 1), "{}", usual.path);
            let twice = USUAL[..at].iter().any(|other| other.path == usual.path);
            assert!(!twice, "{}", usual.path);
        }
    }

    #[test]
    fn a_place_is_known_by_its_last_parts_wherever_the_home_is() {
        let tool = |path: &str| place_of(Path::new(path)).map(|usual| usual.tool);

        assert_eq!(tool("/home/a/.config/gcloud/credentials.db"), Some("gcloud"));
        assert_eq!(tool("/mnt/old/gcloud/legacy_credentials/a@x.example/adc.json"), Some("gcloud"));
        assert_eq!(tool("/home/a/src/app/.npmrc"), Some("npm"));
        assert_eq!(tool("/home/a/src/app/.git/config"), Some("git"));
        assert_eq!(tool("/home/a/.zsh_history"), Some("a history of typed lines"));
        assert_eq!(tool("/home/a/src/config"), None);
        assert_eq!(tool("/home/a/other/credentials.db"), None);
        assert_eq!(tool("credentials.json"), Some("Google's tutorials"));
    }
}
