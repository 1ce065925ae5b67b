//! A file that belongs to the user and is read by another program, of which we change a few lines.
//!
//! It is replaced as a whole or not at all, keeps its mode, and stays where a symbolic link says that it is. A copy
//! of what it was stands beside it afterwards.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::new_file::{NewFile, NewFileError, Overwrite, write_new};

/// A settings file of a person is some kilobytes long; nothing that is longer than 1 MiB is one.
const MAX_LENGTH: u64 = 1 << 20;

/// Why a file of the user's is not touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserFileError {
    /// It is something else than the kind of file that we change.
    #[error("{} {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
    },
    /// Somebody has changed it since we have read it.
    #[error("{} has just been changed by another program", .0.display())]
    Changed(PathBuf),
    /// It could not be written.
    #[error(transparent)]
    NewFile(#[from] NewFileError),
}

/// A file of the user's as it was when it was read.
#[derive(Debug)]
pub struct UserFile {
    /// Where it really is, behind every link.
    path: PathBuf,
    text: Option<String>,
}

impl UserFile {
    /// Reads it; one that is not there has no text.
    ///
    /// # Errors
    ///
    /// [`UserFileError::Unfit`] for what is no plain text file that is the user's own to change.
    pub fn read(path: &Path) -> Result<Self, UserFileError> {
        let unfit = |why| UserFileError::Unfit { path: path.to_owned(), why };
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return match fs::symlink_metadata(path) {
                    Ok(_) => Err(unfit("is a link to something that is not there")),
                    Err(_) => Ok(Self { path: path.to_owned(), text: None }),
                };
            }
            Err(source) => return Err(failed("look at", path, source)),
        };
        let found = fs::metadata(&real).map_err(|source| failed("look at", &real, source))?;
        check(&found).map_err(unfit)?;
        let bytes = fs::read(&real).map_err(|source| failed("read", &real, source))?;
        let text = String::from_utf8(bytes).map_err(|_| unfit("is not UTF-8 text"))?;
        if text.contains('\0') {
            return Err(unfit("is not a text file"));
        }
        Ok(Self { path: real, text: Some(text) })
    }

    /// What is in it, if it is there.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Writes `text` in its place, after a private copy of what is there was made in `copy`. Where there is no file, a
    /// private one is made, and the directories above it.
    ///
    /// # Errors
    ///
    /// [`UserFileError::Changed`] if it is not what it was when it was read; else as the file system says. Nothing has
    /// changed then.
    pub fn replace(&self, text: &str, copy: &Path) -> Result<(), UserFileError> {
        let Some(before) = &self.text else {
            make_directories_above(&self.path)?;
            return Ok(write_new(&self.path, text.as_bytes())?);
        };
        let mut next = NewFile::begin(&self.path, Overwrite::Allowed)?;
        next.write(text.as_bytes())?;
        keep_mode(&self.path, next.part())
            .map_err(|source| failed("set the mode of", next.part(), source))?;
        self.check_unchanged()?;
        write_new(copy, before.as_bytes())?;
        Ok(next.finish()?)
    }

    /// Removes it, after a private copy was made in `copy`.
    ///
    /// # Errors
    ///
    /// As for [`Self::replace`].
    pub fn remove(&self, copy: &Path) -> Result<(), UserFileError> {
        let Some(before) = &self.text else { return Ok(()) };
        self.check_unchanged()?;
        write_new(copy, before.as_bytes())?;
        fs::remove_file(&self.path).map_err(|source| failed("remove", &self.path, source))
    }

    /// The copy that stands beside the file: `NAME.vault-backup-WHEN`.
    pub fn copy_beside(&self, when: &str) -> PathBuf {
        let mut name = OsString::from(self.path.file_name().unwrap_or_default());
        name.push(format!(".vault-backup-{when}"));
        self.path.with_file_name(name)
    }

    /// Nobody locks such files; what is left is a moment in which a change can be lost, and it is in no copy then.
    fn check_unchanged(&self) -> Result<(), UserFileError> {
        match Self::read(&self.path) {
            Ok(now) if now.text == self.text => Ok(()),
            _ => Err(UserFileError::Changed(self.path.clone())),
        }
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> UserFileError {
    NewFileError::Io { action, path: path.to_owned(), source }.into()
}

fn check(found: &fs::Metadata) -> Result<(), &'static str> {
    if !found.is_file() {
        return Err("is no file");
    }
    if found.len() > MAX_LENGTH {
        return Err("is longer than 1 MiB");
    }
    check_owner(found)?;
    if found.permissions().readonly() {
        return Err("is read-only");
    }
    Ok(())
}

#[cfg(unix)]
fn check_owner(found: &fs::Metadata) -> Result<(), &'static str> {
    use std::os::unix::fs::MetadataExt;

    use super::{Disk, SystemDisk};

    if found.uid() != SystemDisk.user() {
        return Err("belongs to another user");
    }
    // Its other names would go on naming the old one.
    if found.nlink() > 1 {
        return Err("has several names (hard links)");
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &fs::Metadata) -> Result<(), &'static str> {
    Ok(())
}

/// The mode of the old file for the new one, and its group where that is possible; a group that may not be given gets
/// no rights.
#[cfg(unix)]
fn keep_mode(old: &Path, new: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    let found = fs::metadata(old)?;
    let is_of_group = fs::metadata(new)?.gid() == found.gid() || chown(new, None, Some(found.gid())).is_ok();
    let mode = found.mode() & if is_of_group { 0o777 } else { 0o707 };
    fs::set_permissions(new, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn keep_mode(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes what is missing, for this user alone.
///
/// # Errors
///
/// As the file system says.
pub fn make_directories_above(path: &Path) -> Result<(), NewFileError> {
    let Some(directory) = path.parent() else { return Ok(()) };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|source| NewFileError::Io {
        action: "make",
        path: directory.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.path(name);
            fs::write(&path, text).unwrap();
            path
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(self.0.path())
                .unwrap()
                .map(|it| it.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    fn refusal(path: &Path) -> String {
        UserFile::read(path).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_what_it_was_is_kept_beside_it() {
        let folder = Folder::new();
        let path = folder.file("config", "before");
        let file = UserFile::read(&path).unwrap();

        file.replace("after", &file.copy_beside("now")).unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::read_to_string(folder.path("config.vault-backup-now")).unwrap(), "before");
        assert_eq!(folder.names(), ["config", "config.vault-backup-now"]);
    }

    #[test]
    fn one_that_is_not_there_is_made_with_the_directories_above_it() {
        let folder = Folder::new();
        let file = UserFile::read(&folder.path("a/b/config")).unwrap();
        assert_eq!(file.text(), None);

        file.replace("new", &file.copy_beside("now")).unwrap();

        assert_eq!(fs::read_to_string(folder.path("a/b/config")).unwrap(), "new");
        assert_eq!(
            fs::read_dir(folder.path("a/b")).unwrap().count(),
            1,
            "there is nothing to keep a copy of"
        );
    }

    #[test]
    fn what_another_program_has_written_meanwhile_is_not_lost() {
        let folder = Folder::new();
        let path = folder.file("config", "before");
        let file = UserFile::read(&path).unwrap();
        fs::write(&path, "theirs").unwrap();

        let (replaced, removed) =
            (file.replace("ours", &folder.path("copy")), file.remove(&folder.path("copy")));

        assert!(matches!(replaced, Err(UserFileError::Changed(_))));
        assert!(matches!(removed, Err(UserFileError::Changed(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(folder.names(), ["config"]);
    }

    #[test]
    fn nothing_changes_where_no_copy_can_be_made() {
        let folder = Folder::new();
        let path = folder.file("config", "before");
        let file = UserFile::read(&path).unwrap();

        assert!(file.replace("after", &folder.path("missing/copy")).is_err());
        assert!(file.remove(&folder.path("missing/copy")).is_err());

        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(folder.names(), ["config"]);
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let folder = Folder::new();
        fs::create_dir(folder.path("directory")).unwrap();
        fs::write(folder.path("bytes"), b"\xff\xfe").unwrap();
        folder.file("null", "a\0b");
        folder.file("long", &"x".repeat((MAX_LENGTH + 1) as usize));

        assert!(refusal(&folder.path("directory")).ends_with("directory is no file"));
        assert!(refusal(&folder.path("bytes")).ends_with("is not UTF-8 text"));
        assert!(refusal(&folder.path("null")).ends_with("is not a text file"));
        assert!(refusal(&folder.path("long")).ends_with("is longer than 1 MiB"));
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

        use super::*;

        #[test]
        fn a_link_stays_a_link_and_what_it_leads_to_keeps_its_mode() {
            let folder = Folder::new();
            let real = folder.file("real", "before");
            fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
            symlink("real", folder.path("link")).unwrap();
            let file = UserFile::read(&folder.path("link")).unwrap();

            file.replace("after", &file.copy_beside("now")).unwrap();

            assert_eq!(fs::read_link(folder.path("link")).unwrap(), Path::new("real"));
            assert_eq!(fs::read_to_string(&real).unwrap(), "after");
            assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o640);
            assert_eq!(fs::metadata(folder.path("real.vault-backup-now")).unwrap().mode() & 0o777, 0o600);
        }

        #[test]
        fn a_file_that_is_not_meant_to_be_changed_is_refused() {
            let folder = Folder::new();
            fs::set_permissions(folder.file("fixed", ""), fs::Permissions::from_mode(0o444)).unwrap();
            fs::hard_link(folder.file("one", ""), folder.path("two")).unwrap();
            symlink("nowhere", folder.path("broken")).unwrap();
            symlink("/dev/null", folder.path("device")).unwrap();

            assert!(refusal(&folder.path("fixed")).ends_with("is read-only"));
            assert!(refusal(&folder.path("two")).ends_with("has several names (hard links)"));
            assert!(refusal(&folder.path("broken")).ends_with("is a link to something that is not there"));
            assert!(refusal(&folder.path("device")).ends_with("is no file"));
        }
    }
}
