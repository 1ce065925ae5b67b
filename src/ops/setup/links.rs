//! The names under which tools look for us: links to this program where programs are looked for.

use std::fs;
use std::path::{Path, PathBuf};

use super::places::Places;
use super::{Error, Tool, json};
use crate::system::{NewFileError, UserFile, make_directories_above};

/// The link that is to be made so that `helper` is found; none if it is found already.
///
/// # Errors
///
/// [`Error::Taken`] if something else has the name; [`Error::NotOnPath`] if the usual place is none for programs and
/// no other one was named.
pub fn missing(
    places: &Places,
    helper: &'static str,
    named: Option<&Path>,
) -> Result<Option<PathBuf>, Error> {
    match places.found(helper) {
        Some(found) if places.is_ours(&found) => return Ok(None),
        Some(found) => return Err(Error::Taken(found)),
        None => {}
    }
    let directory = directory(places, named);
    if named.is_none() && !places.search_path.contains(&directory) {
        return Err(Error::NotOnPath { directory, helper });
    }
    let link = directory.join(helper);
    match fs::symlink_metadata(&link) {
        // One that leads nowhere was made for a program that has gone.
        Ok(found) if !(found.is_symlink() && fs::metadata(&link).is_err()) => Err(Error::Taken(link)),
        _ => Ok(Some(link)),
    }
}

/// The link that may be taken away when nothing needs it: one of ours, where we make them.
pub fn made(places: &Places, helper: &str, named: Option<&Path>) -> Option<PathBuf> {
    let link = directory(places, named).join(helper);
    let is_link = fs::symlink_metadata(&link).is_ok_and(|found| found.is_symlink());
    (is_link && places.is_ours(&link)).then_some(link)
}

/// Makes a link to this program.
///
/// # Errors
///
/// As the file system says.
pub fn make(places: &Places, link: &Path) -> Result<(), Error> {
    make_directories_above(link)?;
    if fs::symlink_metadata(link).is_ok_and(|found| found.is_symlink()) && fs::metadata(link).is_err() {
        fs::remove_file(link).map_err(|source| failed("replace", link, source))?;
    }
    link_to(&places.program(), link).map_err(|source| failed("make", link, source))
}

/// Takes a link away.
///
/// # Errors
///
/// As the file system says.
pub fn remove(link: &Path) -> Result<(), Error> {
    fs::remove_file(link).map_err(|source| failed("remove", link, source))
}

/// Whether what is left of its configuration still names us.
pub fn is_used(tool: Tool, text: &str) -> bool {
    match tool {
        Tool::Git => {
            text.lines().any(|line| line.trim_start().starts_with("helper") && line.contains("vault"))
        }
        Tool::Docker => json::keys(text, "credHelpers", "vault").is_ok_and(|keys| !keys.is_empty()),
        _ => tool.helper().is_some_and(|helper| text.contains(helper)),
    }
}

/// Whether the file that the tool itself would use names us, or cannot be read.
pub fn is_used_by_itself(tool: Tool, places: &Places) -> bool {
    let file = match tool {
        Tool::Git => places.git(),
        Tool::Docker => places.docker(),
        Tool::Kubectl => places.kube(),
        Tool::Cargo => places.cargo(),
        _ => return false,
    };
    UserFile::read(&file).map_or(true, |file| is_used(tool, file.text().unwrap_or_default()))
}

fn directory(places: &Places, named: Option<&Path>) -> PathBuf {
    named.map_or_else(|| places.home.join(".local/bin"), Path::to_owned)
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    NewFileError::Io { action, path: path.to_owned(), source }.into()
}

#[cfg(unix)]
fn link_to(program: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(program, link)
}

/// Symbolic links take a privilege there; programs end with `.exe`.
#[cfg(not(unix))]
fn link_to(program: &Path, link: &Path) -> std::io::Result<()> {
    fs::hard_link(program, link.with_extension("exe"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const HELPER: &str = "git-credential-vault";

    struct Machine {
        home: tempfile::TempDir,
        places: Places,
    }

    impl Machine {
        /// A program, and `~/.local/bin` on the path.
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let executable = home.path().join("vault");
            fs::write(&executable, "").unwrap();
            let search_path = vec![home.path().join("usr"), home.path().join(".local/bin")];
            for directory in &search_path {
                fs::create_dir_all(directory).unwrap();
            }
            let places =
                Places { home: home.path().to_owned(), executable, search_path, ..Places::default() };
            Self { home, places }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.home.path().join(name)
        }
    }

    #[test]
    fn a_link_is_made_once_and_leads_to_this_program() {
        let machine = Machine::new();
        let link = missing(&machine.places, HELPER, None).unwrap().unwrap();
        assert_eq!(link, machine.at(".local/bin/git-credential-vault"));

        make(&machine.places, &link).unwrap();

        assert_eq!(missing(&machine.places, HELPER, None).unwrap(), None);
        assert_eq!(made(&machine.places, HELPER, None), Some(link.clone()));
        remove(&link).unwrap();
        assert_eq!(made(&machine.places, HELPER, None), None);
    }

    #[test]
    fn what_somebody_else_has_put_under_the_name_stays() {
        let machine = Machine::new();
        for theirs in ["usr/git-credential-vault", ".local/bin/git-credential-vault"] {
            fs::write(machine.at(theirs), "theirs").unwrap();
            assert!(matches!(missing(&machine.places, HELPER, None), Err(Error::Taken(_))));
            assert_eq!(made(&machine.places, HELPER, None), None);
            fs::remove_file(machine.at(theirs)).unwrap();
        }
        fs::write(machine.at("other"), "").unwrap();
        symlink(machine.at("other"), machine.at(".local/bin/git-credential-vault")).unwrap();
        assert!(matches!(missing(&machine.places, HELPER, None), Err(Error::Taken(_))));
        assert_eq!(made(&machine.places, HELPER, None), None);
    }

    #[test]
    fn a_link_to_a_program_that_has_gone_is_made_anew() {
        let machine = Machine::new();
        let link = machine.at(".local/bin/git-credential-vault");
        symlink(machine.at("old/vault"), &link).unwrap();

        assert_eq!(missing(&machine.places, HELPER, None).unwrap(), Some(link.clone()));
        make(&machine.places, &link).unwrap();

        assert!(machine.places.is_ours(&link));
    }

    #[test]
    fn a_place_where_nobody_looks_has_to_be_named() {
        let mut machine = Machine::new();
        machine.places.search_path.clear();

        assert!(matches!(missing(&machine.places, HELPER, None), Err(Error::NotOnPath { .. })));
        let named = machine.at("bin");
        assert_eq!(missing(&machine.places, HELPER, Some(&named)).unwrap(), Some(named.join(HELPER)));
    }

    #[test]
    fn it_is_seen_whether_a_configuration_still_names_us() {
        assert!(is_used(Tool::Git, "[credential]\n\thelper = vault --profile play\n"));
        assert!(!is_used(Tool::Git, "[vault]\n\thelper = store\n"));
        assert!(is_used(Tool::Docker, "{\"credHelpers\": {\"a\": \"vault\"}}"));
        assert!(!is_used(Tool::Docker, "{\"auths\": {\"vault.example\": {}}}"));
        assert!(is_used(Tool::Cargo, "credential-provider = [\"cargo-credential-vault\"]"));
        assert!(!is_used(Tool::Kubectl, "command: gke-gcloud-auth-plugin"));
    }
}
