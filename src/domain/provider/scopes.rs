//! How a provider speaks of scopes, and what it is asked for with them.

use super::{Provider, Separator};
use crate::domain::Scopes;

/// The scope that asks for a grant which lasts (OpenID Connect Core, 11).
pub const OFFLINE: &str = "offline_access";

impl Provider {
    /// The scope that `text` stands for: itself, if it is no short name.
    pub fn expand_scope(&self, text: &str) -> String {
        let found = self.scopes.names.iter().find(|(short, _)| short == text);
        found.map_or(text, |(_, full)| full).to_owned()
    }

    /// The name under which `scope` is compared with others.
    pub fn canonical_scope<'a>(&'a self, scope: &'a str) -> &'a str {
        let found = self.scopes.aliases.iter().find(|(alias, _)| alias == scope);
        found.map_or(scope, |(_, canonical)| canonical)
    }

    /// What of `asked` is not in `granted`, by whatever names.
    pub fn missing_scopes(&self, asked: &Scopes, granted: &Scopes) -> Scopes {
        let is_granted = |scope: &str| {
            granted.iter().any(|other| self.canonical_scope(other) == self.canonical_scope(scope))
        };
        let missing: Vec<String> =
            asked.iter().filter(|scope| !is_granted(scope)).map(str::to_owned).collect();
        missing.try_into().expect("scopes of a set are scopes")
    }

    /// What of `asked` a token with the scopes `granted` is not good for: what was neither granted itself
    /// nor is included in what was.
    pub fn uncovered_scopes(&self, asked: &Scopes, granted: &Scopes) -> Scopes {
        let missing = self.missing_scopes(asked, granted);
        let is_included = |scope: &str| {
            let includes = self.scopes.includes.iter().filter(|(whole, _)| granted.contains(whole));
            includes.flat_map(|(_, parts)| parts.iter()).any(|part| part == scope)
        };
        let uncovered: Vec<String> =
            missing.iter().filter(|scope| !is_included(scope)).map(str::to_owned).collect();
        uncovered.try_into().expect("scopes of a set are scopes")
    }

    /// The value of the parameter that asks for `scopes`.
    pub fn scopes_text(&self, scopes: &Scopes) -> String {
        let list: Vec<&str> = scopes.iter().collect();
        list.join(match self.scopes.separator {
            Separator::Space => " ",
            Separator::Comma => ",",
        })
    }

    /// Its own parameters in an authorization request.
    pub fn consent_parameters(&self, has_login_hint: bool, asked: &Scopes) -> Vec<(String, String)> {
        let request = &self.authorization_request;
        let prompt = if has_login_hint { &request.prompt_known } else { &request.prompt_any };
        // OpenID Connect Core, 11: without it, the server must ignore the scope.
        let lasting = asked.contains(OFFLINE).then(|| "consent".to_owned());
        let prompt = prompt.clone().or(lasting).map(|prompt| ("prompt".to_owned(), prompt));
        request.parameters.iter().cloned().chain(prompt).collect()
    }
}
