//! A private directory for as long as we run: what a program that we start is to find in files.
//!
//! `run-<random>` in the runtime directory. A lock is held in it as long as we live, so that the next run knows
//! which directories nobody has removed, and does it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

use super::random_id;

/// What the names of these directories begin with.
const PREFIX: &str = "run-";

/// Held in each as long as whoever made it lives.
const LOCK: &str = "lock";

/// Held while one is made or others are removed. Never removed itself: two could then hold a lock of that name.
const TURN: &str = "runs.lock";

/// Longest wait for those who make or remove one, which takes milliseconds. Whoever was stopped while doing so must
/// not hold up all others: they pass on signals already, and would not obey one.
const TURN_LIMIT: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(5);

/// Why there is no such directory, or not what was to be in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else could look into it.
    #[cfg(unix)]
    #[error("the files of this run have no safe place")]
    Unsafe(#[from] super::UnsafePath),
    /// Programs that are told of it in JSON could not find it.
    #[error("the files of this run have no place: {} is not UTF-8 text", _0.display())]
    NotText(PathBuf),
    /// The file system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// A private directory, which is removed with everything in it when this is dropped.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// What says that we live.
    _living: File,
}

impl RunDir {
    /// Makes one in `runtime_dir`, and that too if it is missing; and removes those of runs that were killed.
    ///
    /// # Errors
    ///
    /// If the place is not ours alone or no text, or the file system says no.
    pub fn make(runtime_dir: &Path) -> Result<Self, Error> {
        if runtime_dir.to_str().is_none() {
            return Err(Error::NotText(runtime_dir.to_owned()));
        }
        match make_private(runtime_dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(failed("create", runtime_dir)(error));
            }
            _ => check_private(runtime_dir)?,
        }
        let _turn = lock(&runtime_dir.join(TURN), TURN_LIMIT)?;
        sweep(runtime_dir);
        let path = runtime_dir.join(format!("{PREFIX}{}", random_id()));
        make_private(&path).map_err(failed("create", &path))?;
        let living = lock(&path.join(LOCK), TURN_LIMIT).inspect_err(|_| remove(&path))?;
        Ok(Self { path, _living: living })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a private directory in it.
    ///
    /// # Errors
    ///
    /// As the file system says.
    pub fn make_dir(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        make_private(&path).map_err(failed("create", &path))?;
        Ok(path)
    }

    /// Writes a private file, or puts another in its place: whoever reads it has the old one or the new one, whole.
    ///
    /// # Errors
    ///
    /// As the file system says; then the old one is still there.
    pub fn write(&self, name: &str, content: &SecretString) -> Result<PathBuf, Error> {
        let path = self.path.join(name);
        let part = self.path.join(format!(".{name}.part"));
        let mut file = match create(&part) {
            // An earlier attempt, which failed.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(&part).and_then(|()| create(&part))
            }
            created => created,
        }
        .map_err(failed("create", &part))?;
        file.write_all(content.expose_secret().as_bytes()).map_err(failed("write", &part))?;
        fs::rename(&part, &path).map_err(failed("rename", &part))?;
        Ok(path)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Whether `path` lies in a directory of a run, ours or another's.
pub fn is_of_a_run(path: &Path, runtime_dir: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(runtime_dir) else { return false };
    let first = inside.components().next().and_then(|name| name.as_os_str().to_str());
    first.is_some_and(|name| name.starts_with(PREFIX))
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), Error> {
    Ok(super::check_private_dir(path)?)
}

/// The user's own directory for temporary files is private there.
#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<(), Error> {
    Ok(())
}

fn create(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// The options for a file that nobody else may read, and that is no link to another.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options
}

/// The file, locked; made if it is missing. Waits for whoever has it, for `limit` at most.
fn lock(path: &Path, limit: Duration) -> Result<File, Error> {
    let file = private(OpenOptions::new().write(true).create(true).truncate(false)).open(path);
    let file = file.map_err(failed("open", path))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < limit => thread::sleep(PAUSE),
            Err(error) => return Err(failed("lock", path)(error.into())),
        }
    }
}

/// Removes the directories of those who are dead.
fn sweep(runtime_dir: &Path) {
    let entries = fs::read_dir(runtime_dir).into_iter().flatten().flatten();
    let runs =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)));
    for path in runs.map(|entry| entry.path()).filter(|path| check_private(path).is_ok()) {
        if is_left(&path) {
            remove(&path);
        }
    }
}

/// Whether nobody needs this directory any more. Makes no file in it, which would keep its owner from removing it.
fn is_left(path: &Path) -> bool {
    match private(OpenOptions::new().write(true)).open(path.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        // It was killed before it had one, which it makes while it has the turn; or is just being removed.
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Two may do so at once: its owner, and whoever finds it without a lock.
fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            log::warn!("{} could not be removed: {error}", path.display());
        }
        _ => {}
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};

    use super::super::UnsafePath;
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn it_is_private_with_all_that_is_in_it_and_ends_with_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("vault");

        let run = RunDir::make(&base).unwrap();
        let file = run.write("token", &"secret".into()).unwrap();
        let inner = run.make_dir("gcloud").unwrap();

        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!([&base, run.path(), &file, &inner].map(mode), [0o700, 0o700, 0o600, 0o700]);
        drop(run);
        assert_eq!(names(&base), [TURN]);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_leaves_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::make(&dir.path().join("vault")).unwrap();
        let file = run.write("token", &"the first".into()).unwrap();
        let reader = File::open(&file).unwrap();
        fs::write(run.path().join(".token.part"), "left by a write that failed").unwrap();

        run.write("token", &"the second".into()).unwrap();

        assert_eq!(io::read_to_string(reader).unwrap(), "the first");
        assert_eq!(fs::read_to_string(file).unwrap(), "the second");
        assert_eq!(names(run.path()), [LOCK, "token"]);
    }

    #[test]
    fn what_dead_runs_have_left_is_removed_and_what_living_ones_have_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("vault");
        let living = RunDir::make(&base).unwrap();
        let (half_made, dead) = (base.join("run-half-made"), base.join("run-dead"));
        for path in [&half_made, &dead] {
            DirBuilder::new().mode(0o700).create(path).unwrap();
        }
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("token"), "secret").unwrap();

        let new = RunDir::make(&base).unwrap();

        assert!(living.path().exists() && new.path().exists());
        assert!(!half_made.exists() && !dead.exists());
    }

    #[test]
    fn whoever_comes_while_others_go_disturbs_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("vault");
        let going = RunDir::make(&base).unwrap();
        // As `remove` leaves it half-way.
        fs::remove_file(going.path().join(LOCK)).unwrap();
        let path = going.path().to_owned();

        assert!(is_left(&path));

        assert_eq!(names(&path), Vec::<String>::new());
        fs::remove_dir(&path).unwrap();
    }

    #[test]
    fn whoever_has_the_turn_and_does_nothing_is_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let turn = dir.path().join(TURN);
        let held = lock(&turn, TURN_LIMIT).unwrap();

        assert!(matches!(lock(&turn, PAUSE), Err(Error::Io { action: "lock", .. })));

        drop(held);
        assert!(lock(&turn, TURN_LIMIT).is_ok());
    }

    #[test]
    fn a_place_that_no_program_could_be_told_of_is_refused() {
        let name = std::os::unix::ffi::OsStrExt::from_bytes(b"/tmp/\xff");

        assert!(matches!(RunDir::make(Path::new::<std::ffi::OsStr>(name)), Err(Error::NotText(_))));
    }

    #[test]
    fn what_is_not_ours_alone_is_neither_used_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("precious"), "").unwrap();
        let base = dir.path().join("vault");
        DirBuilder::new().mode(0o700).create(&base).unwrap();
        symlink(&elsewhere, base.join("run-link")).unwrap();

        drop(RunDir::make(&base).unwrap());

        assert!(elsewhere.join("precious").exists());
        fs::set_permissions(&base, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert!(matches!(RunDir::make(&base), Err(Error::Unsafe(UnsafePath::Open(_)))));
        let link = dir.path().join("link");
        symlink(&base, &link).unwrap();
        assert!(matches!(RunDir::make(&link), Err(Error::Unsafe(UnsafePath::Kind { .. }))));
    }

    #[test]
    fn the_files_of_runs_are_told_from_others() {
        let base = Path::new("/run/user/1000/vault");

        assert!(is_of_a_run(Path::new("/run/user/1000/vault/run-0a/adc.json"), base));
        for other in
            ["/run/user/1000/vault/agent.sock", "/home/me/adc.json", "/run/user/1000/vault", "adc.json"]
        {
            assert!(!is_of_a_run(Path::new(other), base), "{other}");
        }
    }
}
