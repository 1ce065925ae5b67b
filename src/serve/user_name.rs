//! The user name that stands beside a token where a server takes it in place of a password.

use super::{Desk, Refusal};
use crate::domain::{Account, Host, ProfileName};

/// What a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UserName {
    /// This one only, or any: then this one.
    Fixed(&'static str),
    /// Any that begins so; the second is the usual one.
    Beginning(&'static str, &'static str),
    /// The address of the account.
    Address,
}

use UserName::{Address, Beginning, Fixed};

/// What the servers of git want beside an access token; `.` before a name stands for all hosts below it.
///
/// Google: what `gcloud auth git-helper` answers. Bitbucket: "OAuth on Bitbucket Cloud", cloning with an access
/// token.
const GIT: &[(&str, UserName)] = &[
    ("source.developers.google.com", Address),
    (".googlesource.com", Beginning("git-", "git-account")),
    (".sourcemanager.dev", Fixed("git-account")),
    (".developerconnect.dev", Fixed("git-account")),
    (".blueoryx.dev", Fixed("git-account")),
    ("bitbucket.org", Fixed("x-token-auth")),
];

/// What registries want. Google: "Set up authentication for Docker", access token.
const REGISTRIES: &[(&str, UserName)] = &[
    ("gcr.io", Fixed("oauth2accesstoken")),
    (".gcr.io", Fixed("oauth2accesstoken")),
    (".pkg.dev", Fixed("oauth2accesstoken")),
];

/// What everybody else wants: GitLab insists on it ("OAuth 2.0 provider", Git over HTTPS), GitHub, Gitea and
/// Forgejo look at the token alone.
const USUAL: UserName = Fixed("oauth2");

/// The user name for git at `host`, where git names the user `asked`; `None` if that is somebody else.
///
/// Whoever names the profile says that this user is meant.
pub(super) fn for_git(
    desk: &dyn Desk,
    host: &Host,
    profile: &ProfileName,
    asked: Option<&str>,
    is_named: bool,
) -> Result<Option<String>, Refusal> {
    let rule = of(GIT, host);
    match (rule, asked) {
        (Fixed(name) | Beginning(_, name), None) => return Ok(Some(name.to_owned())),
        (Fixed(name), Some(asked)) if is_named || asked == name => return Ok(Some(name.to_owned())),
        (Beginning(start, _), Some(asked)) if asked.starts_with(start) => return Ok(Some(asked.to_owned())),
        _ => {}
    }
    let account = desk.profile(profile)?.account;
    let is_meant = is_named || asked.is_none_or(|asked| is_called(&account, asked));
    Ok(is_meant.then(|| rule.beside(&account)))
}

/// The user name for a registry.
pub(super) fn for_registry(host: &Host) -> &'static str {
    match of(REGISTRIES, host) {
        Fixed(name) | Beginning(_, name) => name,
        Address => unreachable!("no registry asks for an address"),
    }
}

fn of(table: &[(&str, UserName)], host: &Host) -> UserName {
    let is_it = |name: &str| match name.starts_with('.') {
        true => host.name().ends_with(name),
        false => host.name() == name,
    };
    table.iter().find(|(name, _)| is_it(name)).map_or(USUAL, |(_, rule)| *rule)
}

impl UserName {
    fn beside(self, account: &Account) -> String {
        match self {
            Fixed(name) | Beginning(_, name) => name.to_owned(),
            // Without an address, the token alone has to do.
            Address => account.email.clone().unwrap_or_else(|| "git-account".to_owned()),
        }
    }
}

fn is_called(account: &Account, name: &str) -> bool {
    let is_address = account.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(name));
    is_address || account.subject.as_deref() == Some(name)
}
