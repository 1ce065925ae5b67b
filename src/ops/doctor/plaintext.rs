//! Copies of secrets that lie open: where tools and tutorials leave them.
//!
//! Files are known by their places, and by a word in them where a place may hold something harmless.
//! Nothing that is read is kept or shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Surroundings;
use super::check::{Check, Remedy, Subject};
use crate::system::{Kind, look_behind, names_in, read_start};

/// Where a path of the table begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// In the user's home.
    Home,
    /// In the home, in its folder of downloads, and where the program was called: what is downloaded
    /// from a console or made by a tutorial lies anywhere.
    Anywhere,
}

/// How a file shows that it holds a secret.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// By being there.
    Any,
    /// By having one of these texts in it.
    Has(&'static [&'static str]),
}

/// A usual place.
#[derive(Clone, Copy, Debug)]
pub struct Usual {
    /// Where it begins.
    pub base: Base,
    /// The path from there; the last part may have one `*`.
    pub path: &'static str,
    /// What leaves it there.
    pub tool: &'static str,
    /// How it shows that it holds a secret.
    pub shape: Shape,
}

/// A long-lived token or key, in the words of RFC 6749 and of Google's key files.
const LASTING: Shape = Shape::Has(&["refresh_token", "private_key"]);

/// The client files of Google's console.
const CLIENT: Shape = Shape::Has(&["client_secret"]);

const fn home(path: &'static str, tool: &'static str, shape: Shape) -> Usual {
    Usual { base: Base::Home, path, tool, shape }
}

const fn anywhere(path: &'static str, tool: &'static str, shape: Shape) -> Usual {
    Usual { base: Base::Anywhere, path, tool, shape }
}

/// The usual places.
pub const USUAL: &[Usual] = &[
    home(".config/gcloud/application_default_credentials.json", "gcloud", LASTING),
    home(".config/gcloud/credentials.db", "gcloud", Shape::Any),
    home(".config/gcloud/access_tokens.db", "gcloud", Shape::Any),
    home(".config/gcloud/legacy_credentials/*", "gcloud", Shape::Any),
    home(".config/gcloud/docker_credentials.json", "docker-credential-gcr", LASTING),
    home(".oauth2l", "oauth2l", Shape::Any),
    home(".clasprc.json", "clasp", Shape::Has(&["refresh_token", "access_token"])),
    home(".config/rclone/rclone.conf", "rclone", Shape::Has(&["refresh_token", "client_secret ="])),
    home(".rclone.conf", "rclone", Shape::Has(&["refresh_token", "client_secret ="])),
    home(".gmailctl/token.json", "gmailctl", LASTING),
    home(".gmailctl/credentials.json", "gmailctl", CLIENT),
    home(".config/configstore/firebase-tools.json", "firebase-tools", LASTING),
    home(".config/gws/credentials.json", "gws", LASTING),
    home(".config/gogcli/credentials*.json", "gogcli", CLIENT),
    home(".gemini/oauth_creds.json", "gemini-cli", LASTING),
    home(".gmail-mcp/*.json", "Gmail MCP server", Shape::Has(&["refresh_token", "client_secret"])),
    home(".credentials/*.json", "oauth2client", LASTING),
    home(".gcalcli_oauth", "gcalcli", Shape::Any),
    home(".local/share/gcalcli/oauth", "gcalcli", Shape::Any),
    home(".gam/oauth2.txt", "GAM", LASTING),
    home(".boto", "gsutil", Shape::Has(&["gs_oauth2_refresh_token", "gs_secret_access_key"])),
    home(".gitcookies", "git", Shape::Has(&["=1//", "\tgit-"])),
    home(".git-credentials", "git", Shape::Any),
    home(".netrc", "curl and others", Shape::Has(&["password"])),
    home(".config/gh/hosts.yml", "gh", Shape::Has(&["oauth_token"])),
    home(".docker/config.json", "docker", Shape::Has(&["\"auth\":"])),
    home(".offlineimaprc", "offlineimap", Shape::Has(&["oauth2_refresh_token", "oauth2_client_secret"])),
    anywhere("Google.OAuth2.Token.*", "a script", Shape::Any),
    anywhere("client_secret*.json", "Google's console", CLIENT),
    anywhere(
        "credentials.json",
        "Google's tutorials",
        Shape::Has(&["client_secret", "refresh_token", "private_key"]),
    ),
    anywhere("token.json", "Google's tutorials", LASTING),
    anywhere("token.pickle", "Google's older tutorials", Shape::Any),
];

/// A file that shows itself as holding a secret.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Where it is.
    pub path: PathBuf,
    /// The place of the table in which it was found.
    pub usual: &'static Usual,
    /// Its permission bits, where there are such.
    pub mode: Option<u32>,
}

/// Most names that are looked at in one folder.
const MOST_NAMES: usize = 10_000;

/// How much of a file is looked at, in bytes.
const MOST_BYTES: u64 = 256 * 1024;

/// Of many, so many are told one by one.
const MOST_TOLD: usize = 50;

/// Every copy in the usual places, each once.
pub fn find(around: &Surroundings) -> Vec<Copy> {
    let mut seen = BTreeSet::new();
    let candidates = USUAL.iter().flat_map(|usual| candidates(around, usual).map(move |path| (usual, path)));
    let new = candidates.filter(|(_, path)| seen.insert(path.clone()));
    new.filter_map(|(usual, path)| copy(usual, path)).collect()
}

fn candidates<'a>(around: &'a Surroundings, usual: &'a Usual) -> impl Iterator<Item = PathBuf> + 'a {
    let downloads = || around.home.join("Downloads");
    let bases = match usual.base {
        Base::Home => vec![around.home.clone()],
        Base::Anywhere => {
            [around.home.clone(), downloads()].into_iter().chain(around.current_dir.clone()).collect()
        }
    };
    bases.into_iter().flat_map(|base| matching(&base.join(usual.path)))
}

/// The paths that fit a pattern whose last part may have one `*`.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let Some((start, end)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let fits =
        |name: &str| name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end);
    let names = names_in(folder, MOST_NAMES);
    let fitting = names.iter().filter(|name| name.to_str().is_some_and(fits));
    fitting.map(|name| folder.join(name)).collect()
}

fn copy(usual: &'static Usual, path: PathBuf) -> Option<Copy> {
    let found = look_behind(&path).ok().filter(|found| found.kind != Kind::Other)?;
    let shows_itself = match usual.shape {
        Shape::Any => found.length > 0,
        Shape::Has(words) => {
            let start = read_start(&path, MOST_BYTES)?;
            words.iter().any(|word| has(&start, word.as_bytes()))
        }
    };
    shows_itself.then_some(Copy { path, usual, mode: found.mode })
}

fn has(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

pub(super) fn checks(around: &Surroundings) -> Vec<Check> {
    let copies = find(around);
    if copies.is_empty() {
        let found = format!("no secret in {} usual places", USUAL.len());
        return vec![Check::ok("plaintext", Subject::None, found)];
    }
    copies.into_iter().take(MOST_TOLD).map(check).collect()
}

fn check(copy: Copy) -> Check {
    let subject = Subject::Path { path: copy.path.clone(), what: copy.usual.path };
    let is_open = copy.mode.is_some_and(|mode| mode & 0o077 != 0);
    let whom = match copy.mode {
        Some(mode) if is_open => format!(", which other users may read (mode {:03o})", mode & 0o777),
        _ => String::new(),
    };
    let found = format!("a secret of {} lies open{whom}", copy.usual.tool);
    Check::warning("plaintext", subject, found).remedy(Remedy::TakeIn(copy.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_has_more_than_one_star_and_only_in_its_last_part() {
        for usual in USUAL {
            let (folder, name) = usual.path.rsplit_once('/').unwrap_or(("", usual.path));
            assert!(!folder.contains('*') && name.matches('*').count() <= 1, "{}", usual.path);
        }
    }
}
