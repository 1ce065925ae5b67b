//! `--scope` of the commands that give a token out: less than the whole login.

use crate::domain::Scopes;

/// What a token is to be good for, if not for all of the login.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct OnlyArgs {
    /// A token with this scope and no other of the login; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scopes)]
    only: Vec<Scopes>,
}

impl OnlyArgs {
    /// The scopes that were named, if any were.
    pub(super) fn scopes(&self) -> Option<Scopes> {
        let all = self.only.iter().fold(Scopes::default(), |all, some| all.union(some));
        Some(all).filter(|all| !all.is_empty())
    }
}

/// One scope, or some with spaces between them.
fn scopes(text: &str) -> Result<Scopes, String> {
    match text.parse::<Scopes>() {
        Ok(scopes) if scopes.is_empty() => Err("name a scope".to_owned()),
        Ok(scopes) => Ok(scopes),
        Err(error) => Err(error.to_string()),
    }
}
