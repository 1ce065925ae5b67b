//! Another program at work on a private copy of a text, so that what it does can be seen before it counts.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::RunDir;

/// Runs `program` on a copy of `text`, in a private directory below `runtime_dir` that ends with it, and with nothing of
/// our environment. Gives what it says on standard output, and the text as it has left it.
///
/// # Errors
///
/// One line: what the program complains about first, or why it could not be run.
pub fn run_on_copy(
    program: &Path,
    runtime_dir: &Path,
    text: &str,
    words: impl FnOnce(&Path) -> Vec<String>,
) -> Result<(String, String), String> {
    let dir = RunDir::make(runtime_dir).map_err(|error| error.to_string())?;
    let copy = dir.write("copy", &text.into()).map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(words(&copy))
        .env_clear()
        .env("HOME", dir.path())
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().next().unwrap_or("it failed").to_owned());
    }
    let after = fs::read_to_string(&copy).map_err(|error| error.to_string())?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), after))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(place: &Path, script: &str) -> Result<(String, String), String> {
        run_on_copy(Path::new("/bin/sh"), place, "before\n", |copy| {
            vec!["-c".to_owned(), script.to_owned(), copy.display().to_string()]
        })
    }

    #[test]
    fn what_a_program_does_to_the_copy_is_seen_and_the_copy_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("runtime");

        let (said, after) = shell(&place, "cat \"$0\"; echo after > \"$0\"").unwrap();
        let failed = shell(&place, "echo it is broken >&2; echo more >&2; exit 1").unwrap_err();

        assert_eq!((said.as_str(), after.as_str(), failed.as_str()), ("before\n", "after\n", "it is broken"));
        let left = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(left.filter(|path| path.is_dir()).count(), 0);
    }
}
