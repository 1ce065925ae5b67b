//! Programs that others wrote, which the tests run where they are installed.

use std::path::{Path, PathBuf};

/// The program called `name`, or a line that says what is skipped: a failure in a strict run.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(name);
    }
    found
}

/// Whether all of these programs are there; says which one is not.
pub fn have(names: &[&str]) -> bool {
    names.iter().all(|name| program(name).is_some())
}

/// A library that Debian packages put into a folder of its own for each architecture.
pub fn installed_library(name: &str) -> Option<PathBuf> {
    let folder = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let file = Path::new(&folder).join(name);
    if !file.exists() {
        skip(name);
        return None;
    }
    Some(file)
}

/// A file that `tests/run` installs below the target directory.
pub fn installed(below_target: &str) -> Option<PathBuf> {
    let file = target().join(below_target);
    if !file.exists() {
        skip(below_target);
        return None;
    }
    Some(file)
}

/// The Node that `tests/run` installs, else that of the system.
pub fn newest_node() -> Option<PathBuf> {
    let ours = target().join("oidc-provider/node_modules/.bin/node");
    if ours.exists() { Some(ours) } else { program("node") }
}

/// A file of the project.
pub fn ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// Whether everything is tried of which the usual run tries a part.
pub fn is_exhaustive() -> bool {
    std::env::var_os("VAULT_TESTS_EXHAUSTIVE").is_some_and(|value| value == "1")
}

fn skip(what: &str) {
    leave_out(&format!("{what} is not installed"));
}

/// Says why a test ends early: a failure in a strict run.
pub fn leave_out(why: &str) {
    let is_strict = std::env::var_os("VAULT_TESTS_STRICT").is_some_and(|value| value == "1");
    assert!(!is_strict, "{why}");
    eprintln!("skipped: {why}");
}
