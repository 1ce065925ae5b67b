//! The name by which the program was called: other tools look for a helper under a name of their choice.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A name under which another tool looks for us, and the command that speaks its protocol.
pub(super) struct HelperName {
    /// The file name, without the `.exe` of Windows.
    pub file: &'static str,
    /// What is meant by it, as words behind `vault helper`.
    pub protocol: &'static str,
}

/// `git-credential-NAME`: gitcredentials(7). `docker-credential-NAME`: docker login, "Credential helper
/// protocol". `cargo-credential-NAME`: Cargo's RFC 2730 and its own helpers are called so; `kubectl-…` is
/// ours, of the same form.
pub(super) const HELPER_NAMES: &[HelperName] = &[
    HelperName { file: "cargo-credential-vault", protocol: "cargo" },
    HelperName { file: "docker-credential-vault", protocol: "docker" },
    HelperName { file: "git-credential-vault", protocol: "git" },
    HelperName { file: "kubectl-credential-vault", protocol: "kubectl" },
];

/// The command line as the parser is to read it: a helper's name stands for `vault helper PROTOCOL`.
/// Under any other name we are `vault`, such as `gvault` beside another program of that name; so there only
/// cargo is known, by the one argument with which it calls every provider.
pub(super) fn command_line(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let is_cargo = matches!(&words[..], [_, only] if only == "--cargo-plugin");
    let protocol = words.first().and_then(|name| protocol_of(name)).or(is_cargo.then_some("cargo"));
    if let Some(protocol) = protocol {
        words.splice(..1, ["vault", "helper", protocol].map(OsString::from));
    }
    words
}

fn protocol_of(called: &OsStr) -> Option<&'static str> {
    let name = Path::new(called).file_name()?.to_str()?;
    let name = name.strip_suffix(".exe").unwrap_or(name);
    HELPER_NAMES.iter().find(|helper| helper.file == name).map(|helper| helper.protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(words: &[&str]) -> Vec<String> {
        let words = words.iter().map(OsString::from);
        command_line(words).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn the_name_that_a_tool_looks_for_stands_for_its_protocol() {
        for (typed, read) in [
            (
                &["git-credential-vault", "--profile", "work", "get"][..],
                &["git", "--profile", "work", "get"][..],
            ),
            (&["/home/me/.local/bin/docker-credential-vault", "get"], &["docker", "get"]),
            (&["./kubectl-credential-vault"], &["kubectl"]),
            (&["cargo-credential-vault.exe", "--cargo-plugin"], &["cargo", "--cargo-plugin"]),
            (&["/usr/bin/vault", "--cargo-plugin"], &["cargo", "--cargo-plugin"]),
        ] {
            assert_eq!(read_as(typed), [&["vault", "helper"], read].concat());
        }
    }

    #[test]
    fn under_any_other_name_the_command_line_is_as_it_was_typed() {
        for name in ["vault", "gvault", "/opt/git-credential-vault/vault", "git-credential-vault2", "", "/"] {
            assert_eq!(read_as(&[name, "helper"]), [name, "helper"]);
        }
        assert_eq!(read_as(&[]), [] as [&str; 0]);
        for words in [&["vault", "git-credential-vault"][..], &["vault", "token", "--cargo-plugin"]] {
            assert_eq!(read_as(words), words);
        }
    }
}
