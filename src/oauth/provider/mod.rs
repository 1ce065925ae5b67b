//! What we know of providers before we ask them.

mod google;

pub use google::project_number as google_project_number;
use url::Url;

use crate::domain::{ClientAuth, Endpoints, Field, Scopes};

/// A provider that needs no discovery, or (as [`GENERIC`]) one that does.
#[derive(Debug)]
pub struct Provider {
    /// What it is called in documents and on the command line.
    pub id: &'static str,
    /// What it is called on a screen.
    pub title: &'static str,
    /// Who issues its tokens, and where it is spoken to; `None` where only discovery can say.
    pub fixed: Option<Fixed>,
    /// How its clients prove themselves, where that is known.
    pub client_auth: Option<ClientAuth>,
    /// What is asked for besides the scopes that the user names: enough to know whose account it is.
    pub default_scopes: &'static [&'static str],
    /// Short names of scopes, and what they stand for.
    pub scope_names: &'static [(&'static str, &'static str)],
    /// Scopes that the provider grants under another name than they are asked under.
    pub scope_aliases: &'static [(&'static str, &'static str)],
    /// Scopes that include others: what is allowed with each of the others is allowed with the one.
    pub scope_includes: &'static [(&'static str, &'static [&'static str])],
    /// Parameters of its own in every authorization request.
    pub parameters: &'static [(&'static str, &'static str)],
    /// What is asked of the user: once when it is clear which account is meant, and otherwise.
    pub prompt: Option<Prompt>,
    /// The variables that a profile sets without being told.
    pub default_exports: &'static [(&'static str, Field)],
    /// Where a developer sees to clients and their secrets.
    pub clients_page: Option<&'static str>,
    /// Where a developer sees to API keys.
    pub api_keys_page: Option<&'static str>,
    /// Where a developer publishes the app.
    pub audience_page: Option<&'static str>,
    /// Where a user sees what has access to the account.
    pub grants_page: Option<&'static str>,
    /// Hosts to which a token goes without being told: `.example.com` stands for all below it.
    pub api_hosts: &'static [&'static str],
    /// The header fields in which its APIs take more than a token.
    pub api_headers: Option<ApiHeaders>,
    /// Whether revoking one token ends every grant of the same user to the same client.
    pub revokes_siblings: bool,
}

/// The header fields in which the APIs of a provider take more than a token.
#[derive(Debug)]
pub struct ApiHeaders {
    /// For an API key.
    pub api_key: &'static str,
    /// For the project that a request is counted for.
    pub project: &'static str,
}

/// What discovery would say, known beforehand.
#[derive(Debug)]
pub struct Fixed {
    /// The issuer (RFC 8414, 2).
    pub issuer: &'static str,
    /// Where the user consents.
    pub authorization: &'static str,
    /// Where tokens are issued.
    pub token: &'static str,
    /// Where tokens are revoked.
    pub revocation: &'static str,
    /// Where the account is asked for.
    pub userinfo: &'static str,
    /// Where a device asks for a code.
    pub device_authorization: &'static str,
    /// Where the keys are that ID tokens are signed with.
    pub jwks: &'static str,
    /// Hosts that may stand in a downloaded client file, for the user's part and for ours.
    pub client_file_hosts: &'static [&'static str],
}

/// The values of `prompt` (OpenID Connect Core, 3.1.2.1).
#[derive(Debug)]
pub struct Prompt {
    /// When it is clear which account is meant.
    pub known_account: &'static str,
    /// When the user has yet to choose.
    pub any_account: &'static str,
}

/// The scope that asks for a grant which lasts (OpenID Connect Core, 11).
pub const OFFLINE: &str = "offline_access";

/// A provider of which nothing is known but what discovery says.
pub static GENERIC: Provider = Provider {
    id: "oidc",
    title: "OpenID Connect",
    fixed: None,
    client_auth: None,
    default_scopes: &["openid", "email"],
    scope_names: &[],
    scope_aliases: &[],
    scope_includes: &[],
    parameters: &[],
    prompt: None,
    default_exports: &[("OAUTH_ACCESS_TOKEN", Field::AccessToken)],
    clients_page: None,
    api_keys_page: None,
    audience_page: None,
    grants_page: None,
    api_hosts: &[],
    api_headers: None,
    revokes_siblings: false,
};

/// All that are known by name.
pub static ALL: &[&Provider] = &[&google::GOOGLE];

/// The provider called `id`, if it is known by name.
pub fn find(id: &str) -> Option<&'static Provider> {
    ALL.iter().copied().find(|provider| provider.id == id)
}

/// The provider called `id`, or [`GENERIC`].
pub fn get(id: &str) -> &'static Provider {
    find(id).unwrap_or(&GENERIC)
}

/// The provider whose issuer this is, if it is known by name.
pub fn of_issuer(issuer: &str) -> Option<&'static Provider> {
    ALL.iter().copied().find(|provider| provider.fixed.as_ref().is_some_and(|fixed| fixed.issuer == issuer))
}

impl Provider {
    /// Whether `host`, in lower case and ASCII, is one of its APIs.
    pub fn has_api_at(&self, host: &str) -> bool {
        self.api_hosts.iter().any(|known| match known.strip_prefix('.') {
            // Something must stand before the dot.
            Some(_) => host.len() > known.len() && host.ends_with(known),
            None => host == *known,
        })
    }

    /// Where it is spoken to, where that is known.
    pub fn endpoints(&self) -> Option<Endpoints> {
        let fixed = self.fixed.as_ref()?;
        let url = |text: &str| Url::parse(text).expect("a preset endpoint is a URL");
        Some(Endpoints {
            authorization: url(fixed.authorization),
            token: url(fixed.token),
            revocation: Some(url(fixed.revocation)),
            userinfo: Some(url(fixed.userinfo)),
            device_authorization: Some(url(fixed.device_authorization)),
            jwks: Some(url(fixed.jwks)),
        })
    }

    /// The scope that `text` stands for: itself, if it is no short name.
    pub fn expand_scope(&self, text: &str) -> String {
        let found = self.scope_names.iter().find(|(short, _)| *short == text);
        found.map_or(text, |(_, full)| full).to_owned()
    }

    /// The name under which `scope` is compared with others.
    pub fn canonical_scope<'a>(&self, scope: &'a str) -> &'a str {
        let found = self.scope_aliases.iter().find(|(alias, _)| *alias == scope);
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
            let includes = self.scope_includes.iter().filter(|(whole, _)| granted.contains(whole));
            includes.flat_map(|(_, parts)| parts.iter()).any(|part| *part == scope)
        };
        let uncovered: Vec<String> =
            missing.iter().filter(|scope| !is_included(scope)).map(str::to_owned).collect();
        uncovered.try_into().expect("scopes of a set are scopes")
    }

    /// Its own parameters in an authorization request, for [`Consent::extra`].
    ///
    /// [`Consent::extra`]: super::authorization::Consent::extra
    pub fn consent_parameters(&self, has_login_hint: bool, asked: &Scopes) -> Vec<(&'static str, String)> {
        let prompt = self.prompt.as_ref().map(|prompt| {
            let prompt = if has_login_hint { prompt.known_account } else { prompt.any_account };
            ("prompt", prompt)
        });
        // OpenID Connect Core, 11: without it, the server must ignore the scope.
        let prompt = prompt.or_else(|| asked.contains(OFFLINE).then_some(("prompt", "consent")));
        self.parameters.iter().copied().chain(prompt).map(|(name, value)| (name, value.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::VariableName;
    use crate::oauth::check_url;

    #[test]
    fn every_preset_has_urls_that_secrets_may_be_sent_to() {
        for provider in ALL {
            let known = provider.endpoints().unwrap();
            let optional = [known.revocation, known.userinfo, known.device_authorization, known.jwks];

            for url in [known.authorization, known.token].into_iter().chain(optional.into_iter().flatten()) {
                check_url(&url, false).unwrap();
            }
        }
    }

    #[test]
    fn every_default_variable_may_be_set() {
        for provider in ALL.iter().copied().chain([&GENERIC]) {
            for (name, _) in provider.default_exports {
                assert!(name.parse::<VariableName>().is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn an_unknown_provider_is_the_generic_one() {
        assert_eq!(get("sso.example").id, "oidc");
        assert!(find("sso.example").is_none());
        assert_eq!(GENERIC.expand_scope("drive"), "drive");
        assert_eq!(GENERIC.consent_parameters(false, &Scopes::default()), []);
    }

    #[test]
    fn a_lasting_grant_is_asked_for_together_with_a_new_consent() {
        let asked: Scopes = "openid offline_access".parse().unwrap();

        assert_eq!(GENERIC.consent_parameters(true, &asked), [("prompt", "consent".to_owned())]);
    }
}
