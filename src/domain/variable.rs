//! Names of environment variables that we are willing to set.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Variables that load code or change how programs are found: whoever can choose them runs code.
const DANGEROUS: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "IFS",
    "PATH",
    "SHELL",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "HOME",
    "CDPATH",
    "FPATH",
    "ZDOTDIR",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "RUBYLIB",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "BROWSER",
    "GCONV_PATH",
    "LOCPATH",
    "HOSTALIASES",
    "TERMINFO",
    "TMPDIR",
    "RUSTC_WRAPPER",
    "GOFLAGS",
    "LUA_PATH",
    "LUA_CPATH",
    "OPENSSL_CONF",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Beginnings of such names.
const DANGEROUS_PREFIXES: &[&str] =
    &["LD_", "DYLD_", "PYTHON", "GIT_", "BASH_FUNC_", "VAULT_", "CARGO_", "MALLOC_", "GLIBC_"];

/// Endings of such names: a proxy sees what is sent.
const DANGEROUS_SUFFIXES: &[&str] = &["_PROXY"];

/// Variables that some shell owns: setting them fails there, or means something else.
const OWNED_BY_SHELLS: &[&str] = &[
    "_", "EUID", "GID", "EGID", "PPID", "UID", "RANDOM", "SECONDS", "LINENO", "STATUS", "VERSION",
    "HOSTNAME", "PWD", "OLDPWD", "OPTIND", "OPTARG",
];

/// Why a variable is not set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidVariable {
    /// It would not be a name in every shell.
    #[error("{0:?} is no variable name: use letters, digits and `_`, not beginning with a digit")]
    Malformed(String),
    /// It would run code or change what is run.
    #[error("the variable `{0}` loads code or changes how programs are found, so vault does not set it")]
    Dangerous(String),
    /// Some shell does not let it be set.
    #[error("the variable `{0}` belongs to the shell, which does not let it be set")]
    OwnedByShells(String),
}

/// The name of an environment variable that is safe to set to any value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariableName(String);

impl VariableName {
    /// `VAULT_PROFILE`, the one variable of our own that we set: it names the profile to the programs
    /// that we start.
    pub fn vault_profile() -> Self {
        Self::ours("VAULT_PROFILE")
    }

    /// A name that the program itself has chosen, and no user: it may be one that is refused else.
    pub(crate) fn ours(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VariableName {
    type Err = InvalidVariable;

    fn from_str(text: &str) -> Result<Self, InvalidVariable> {
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let goes_on_well = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !starts_well || !goes_on_well || text.len() > 128 {
            return Err(InvalidVariable::Malformed(text.chars().take(80).collect()));
        }
        if is_dangerous(text) {
            return Err(InvalidVariable::Dangerous(text.to_owned()));
        }
        if OWNED_BY_SHELLS.contains(&text.to_ascii_uppercase().as_str()) {
            return Err(InvalidVariable::OwnedByShells(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Compared without regard to case, because Windows and some programs do so too.
fn is_dangerous(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    DANGEROUS.contains(&name.as_str())
        || DANGEROUS_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || DANGEROUS_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

impl TryFrom<String> for VariableName {
    type Error = InvalidVariable;

    fn try_from(text: String) -> Result<Self, InvalidVariable> {
        text.parse()
    }
}

impl From<VariableName> for String {
    fn from(name: VariableName) -> Self {
        name.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A variable to set.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: VariableName,
    /// Its value: any text without NUL.
    pub value: SecretString,
    /// Whether logs must not show the value. A profile's name or an e-mail address is no secret,
    /// and hiding such a common word would make a log unreadable.
    pub is_secret: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_load_code_are_refused() {
        for name in
            ["LD_PRELOAD", "path", "PYTHONSTARTUP", "GIT_SSH_COMMAND", "https_proxy", "VAULT_PASSPHRASE_FILE"]
        {
            let refused = name.parse::<VariableName>();
            assert!(matches!(refused, Err(InvalidVariable::Dangerous(_))), "{name}");
        }
    }

    #[test]
    fn names_that_some_shell_would_not_take_are_refused() {
        for name in ["", "1A", "A=B", "A B", "A-B", "é", "A\n"] {
            let refused = name.parse::<VariableName>();
            assert!(matches!(refused, Err(InvalidVariable::Malformed(_))), "{name:?}");
        }
    }

    #[test]
    fn ordinary_names_are_accepted() {
        for name in ["GOOGLE_OAUTH_ACCESS_TOKEN", "token", "_x1"] {
            assert!(name.parse::<VariableName>().is_ok(), "{name}");
        }
    }
}
