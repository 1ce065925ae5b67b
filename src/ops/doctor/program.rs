//! The program itself: others of its name, and variables that change what it or its users do.

use std::path::{Path, PathBuf};

use super::Surroundings;
use super::check::{Check, Remedy, Subject};
use crate::domain::counted;

/// What a variable does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Tools take their token from it, and not what vault gives to another one.
    Shadows,
    /// It holds a secret that does not end.
    HoldsSecret,
    /// It changes what vault does; that is meant.
    Steers,
    /// It changes how providers are reached; that is meant.
    Network,
    /// It is of HashiCorp's program, and nothing to us.
    Foreign,
}

/// The names that matter. Their values are never looked at.
pub const VARIABLES: [&str; 29] = {
    let mut names = [""; 29];
    let mut at = 0;
    while at < names.len() {
        names[at] = EFFECTS[at].0;
        at += 1;
    }
    names
};

const EFFECTS: [(&str, Effect); 29] = [
    ("GOOGLE_APPLICATION_CREDENTIALS", Effect::Shadows),
    ("CLOUDSDK_AUTH_ACCESS_TOKEN", Effect::Shadows),
    ("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", Effect::Shadows),
    ("GOOGLE_OAUTH_ACCESS_TOKEN", Effect::Shadows),
    ("OAUTH_ACCESS_TOKEN", Effect::Shadows),
    ("GOOGLE_API_KEY", Effect::HoldsSecret),
    ("CLIENT_ID", Effect::Shadows),
    ("CLIENT_SECRET", Effect::HoldsSecret),
    ("REFRESH_TOKEN", Effect::HoldsSecret),
    ("VAULT_DIR", Effect::Steers),
    ("VAULT_PROFILE", Effect::Steers),
    ("VAULT_KEY_ID", Effect::Steers),
    ("VAULT_PASSPHRASE_FILE", Effect::Steers),
    ("VAULT_PASSPHRASE_COMMAND", Effect::Steers),
    ("VAULT_IDENTITY_FILE", Effect::Steers),
    ("CREDENTIALS_DIRECTORY", Effect::Steers),
    ("RUST_LOG", Effect::Steers),
    ("VAULT_ADDR", Effect::Foreign),
    ("VAULT_TOKEN", Effect::Foreign),
    ("HTTP_PROXY", Effect::Network),
    ("http_proxy", Effect::Network),
    ("HTTPS_PROXY", Effect::Network),
    ("https_proxy", Effect::Network),
    ("ALL_PROXY", Effect::Network),
    ("all_proxy", Effect::Network),
    ("NO_PROXY", Effect::Network),
    ("no_proxy", Effect::Network),
    ("SSL_CERT_FILE", Effect::Network),
    ("SSL_CERT_DIR", Effect::Network),
];

pub(super) fn checks(around: &Surroundings) -> Vec<Check> {
    let mut checks = vec![on_path(around)];
    let set = EFFECTS.iter().filter(|(name, _)| around.variables.iter().any(|set| set == name));
    checks.extend(set.map(|(name, effect)| variable(name, *effect)));
    if checks.len() == 1 {
        checks.push(Check::ok("variables", Subject::None, "none is set that changes anything"));
    }
    checks
}

fn variable(name: &'static str, effect: Effect) -> Check {
    let subject = Subject::Variable(name);
    let warning = |found| Check::warning("variables", subject.clone(), found).remedy(Remedy::Unset(name));
    match effect {
        Effect::Shadows => {
            warning("is set: tools take it, whichever profile is meant, also when it has expired")
        }
        Effect::HoldsSecret => {
            warning("is set: a secret that does not end, seen by every program that is started here")
        }
        Effect::Steers => Check::ok("variables", subject, "is set, and changes what vault does"),
        Effect::Network => Check::ok("variables", subject, "is set, and changes how providers are reached"),
        Effect::Foreign => Check::ok("variables", subject, "is HashiCorp's, and nothing to this program"),
    }
}

/// Programs of our name where programs are looked for. None of them is run.
fn on_path(around: &Surroundings) -> Check {
    let found = programs(&around.search_path);
    let ours = around.executable.as_deref().map(real);
    let is_ours = |path: &PathBuf| ours.as_ref().is_some_and(|ours| real(path) == *ours);
    let others: Vec<&PathBuf> = found.iter().filter(|path| !is_ours(path)).collect();
    if others.is_empty() {
        return Check::ok("path", Subject::None, "no other program is called vault");
    }
    let listed = others.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if found.first().is_some_and(is_ours) {
        let words = format!("{} of the same name, behind this one", counted(others.len(), "other program"));
        return Check::ok("path", Subject::None, words).detail(listed);
    }
    let check = Check::warning("path", Subject::None, "`vault` calls another program than this one");
    let remedy = around.executable.clone().map(Remedy::CallByPath);
    Check { remedy, ..check.detail(listed) }
}

fn programs(search_path: &[PathBuf]) -> Vec<PathBuf> {
    let name = if cfg!(windows) { "vault.exe" } else { "vault" };
    let mut found: Vec<PathBuf> = Vec::new();
    for program in search_path.iter().map(|folder| folder.join(name)).filter(|path| path.is_file()) {
        // One directory may stand there twice, or under two names.
        if !found.iter().any(|known| real(known) == real(&program)) {
            found.push(program);
        }
    }
    found
}

fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
