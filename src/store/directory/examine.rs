//! The directories of the vault, seen as a doctor sees them.

use std::path::Path;

use super::{ASIDE, Directory, LOCKS, PROBE_LIMIT, PROFILES, document_name, second_name};
use crate::domain::ProfileName;
use crate::store::examination::{Loose, Place, Remains, Role};
use crate::store::{Access, Error, Examination, Name, Patience};
use crate::system::{Kind, Look, file_system, look, look_behind, names_in, synced_by};

/// Most entries that are looked at: ten thousand profiles, each with its lock, mark and token.
const MOST_ENTRIES: usize = 50_000;

/// Folders below folders: `state/<vault>/next/<file>`.
const DEEPEST: usize = 3;

impl Directory {
    pub(super) fn examined(&self) -> Examination {
        let roots = [
            (Role::Vault, &self.places.vault),
            (Role::Cache, &self.places.cache),
            (Role::State, &self.places.state),
        ];
        let mut seen = Examination::default();
        for (role, path) in roots {
            self.walk(path, 0, &mut seen);
            seen.places.push(place(role, path));
        }
        seen.lock = self.places.vault.join("vault.json").exists().then(|| self.lock_works());
        seen
    }

    /// Looks at `path` and at everything below it.
    fn walk(&self, path: &Path, depth: usize, seen: &mut Examination) {
        // The place itself may be a link to where the user wants it.
        let found = if depth == 0 { look_behind(path) } else { look(path) };
        let Ok(found) = found else { return };
        seen.looked_at += 1;
        self.judge(path, found, seen);
        if found.kind != Kind::Directory || depth == DEEPEST {
            return;
        }
        for name in names_in(path, MOST_ENTRIES) {
            if seen.looked_at < MOST_ENTRIES {
                self.walk(&path.join(name), depth + 1, seen);
            }
        }
    }

    fn judge(&self, path: &Path, look: Look, seen: &mut Examination) {
        let is_link = look.kind == Kind::Other;
        if !look.is_ours || (!is_link && look.is_open_to_others()) {
            seen.loose.push(Loose { path: path.to_owned(), look });
        }
        if look.kind == Kind::File {
            seen.remains.extend(self.remains(path));
        }
    }

    /// What an interrupted writer has left there. A writer that lives has left nothing.
    fn remains(&self, path: &Path) -> Option<Remains> {
        let name = path.file_name()?.to_str()?;
        let is_set_aside = name.contains(ASIDE);
        let is_second = path.parent()?.ends_with("next");
        let is_unfinished = is_second || name.ends_with(".next");
        let is_idle = is_set_aside || (is_unfinished && !self.files.is_claimed(path).unwrap_or(false));
        is_idle.then(|| Remains { path: path.to_owned(), profile: profile_of(path, name), is_set_aside })
    }

    /// Two openings of one file are as two processes: the second gets the lock when the first has ended.
    fn lock_works(&self) -> Result<bool, Error> {
        let path = self.check_folder(LOCKS)?.join("doctor.lock");
        let patience = Patience { limit: PROBE_LIMIT, on_wait: &|| {}, is_over: &|| false };
        let lock = || self.wait(&path, "the vault directory", Access::Exclusive, &patience);
        let first = lock()?;
        let mut second = self.files.open_lock(&path)?;
        let is_excluded = !second.try_lock(true).map_err(super::file::failed("lock", &path))?;
        drop((first, second));
        lock()?;
        Ok(is_excluded)
    }
}

fn place(role: Role, path: &Path) -> Place {
    Place {
        role,
        path: path.to_owned(),
        is_there: path.is_dir(),
        file_system: file_system(path),
        synced_by: synced_by(path),
    }
}

/// `profiles/work.json.next`, or `next/profile-work.json` in the second place.
fn profile_of(path: &Path, name: &str) -> Option<ProfileName> {
    let name = name.split_once(ASIDE).map_or(name, |(name, _)| name);
    let name = name.strip_suffix(".next").unwrap_or(name);
    let name = std::ffi::OsStr::new(name);
    if path.parent()?.ends_with(PROFILES) {
        return document_name(name);
    }
    match second_name(name)? {
        Name::Profile(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_is_left_is_of_the_profile_in_its_name() {
        let of = |path: &str| {
            let path = PathBuf::from(path);
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            profile_of(&path, &name).map(|name| name.to_string())
        };

        assert_eq!(of("/v/profiles/work.json.next").as_deref(), Some("work"));
        assert_eq!(of("/v/profiles/work.json.next.unread-0a").as_deref(), Some("work"));
        assert_eq!(of("/s/id/next/profile-work.json").as_deref(), Some("work"));
        assert_eq!(of("/s/id/next/client-work.json"), None);
        assert_eq!(of("/v/vault.json.next"), None);
    }
}
