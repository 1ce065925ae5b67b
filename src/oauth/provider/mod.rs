//! What we know of providers before we ask them: one file each, which is read when it is needed.

mod check;
mod file;

use std::sync::{LazyLock, OnceLock};

pub use crate::domain::Provider;
pub use crate::domain::provider::OFFLINE;
pub use file::{Flaw, MAX_FILE, parse};

/// A provider whose file is part of the program.
struct BuiltIn {
    id: &'static str,
    file: &'static str,
    read: OnceLock<Provider>,
}

macro_rules! built_in {
    ($($id:literal),* $(,)?) => {
        /// In the order of their names.
        static BUILT_IN: [BuiltIn; [$($id),*].len()] = [$(BuiltIn {
            id: $id,
            file: include_str!(concat!("data/", $id, ".toml")),
            read: OnceLock::new(),
        }),*];
    };
}

built_in! {
    "atlassian", "bitbucket", "codeberg", "discord", "dropbox", "forgejo", "gitea", "github", "gitlab", "google",
    "linear", "microsoft", "notion", "salesforce", "slack", "spotify", "twitch", "zoom",
}

impl BuiltIn {
    fn provider(&self) -> &Provider {
        self.read.get_or_init(|| {
            parse(self.file.as_bytes(), false)
                .expect("the file of a built-in provider is sound, as a test holds")
        })
    }
}

/// A provider of which nothing is known but what discovery says.
pub static GENERIC: LazyLock<Provider> = LazyLock::new(|| Provider {
    id: "oidc".to_owned(),
    title: "OpenID Connect".to_owned(),
    scopes: crate::domain::provider::ScopeHabits {
        default: vec!["openid".to_owned(), "email".to_owned()],
        ..Default::default()
    },
    ..Provider::default()
});

/// The names of those that are built in. Reads no file.
pub fn ids() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|known| known.id)
}

/// All that are built in.
pub fn all() -> impl Iterator<Item = &'static Provider> {
    BUILT_IN.iter().map(BuiltIn::provider)
}

/// The built-in provider called `id`.
pub fn find(id: &str) -> Option<&'static Provider> {
    BUILT_IN.iter().find(|known| known.id == id).map(BuiltIn::provider)
}

/// The built-in provider called `id`, or [`GENERIC`].
pub fn get(id: &str) -> &'static Provider {
    find(id).unwrap_or(&GENERIC)
}

/// The built-in provider whose issuer this is, with nothing filled in but its defaults.
pub fn of_issuer(issuer: &str) -> Option<&'static Provider> {
    all().find(|provider| provider.filled_by_default().is_some_and(|filled| filled.issuer == issuer))
}

/// Whether a token may go to `host`, spelt as the client has it pinned, without being told: `.example.com` stands
/// for all below it, at the usual port.
pub fn is_api_host<'a>(known: impl IntoIterator<Item = &'a String>, host: &crate::domain::Host) -> bool {
    known.into_iter().any(|known| match known.strip_prefix('.') {
        // Something must stand before the dot.
        Some(_) => {
            host.port() == 443 && host.name().len() > known.len() && host.name().ends_with(known.as_str())
        }
        None => known.parse().is_ok_and(|known: crate::domain::Host| known == *host),
    })
}

/// The number of the project that a client id of Google belongs to: `1234-abc.apps.googleusercontent.com`.
pub fn google_project_number(client_id: &str) -> Option<&str> {
    let (number, rest) = client_id.split_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && rest.ends_with(".apps.googleusercontent.com")).then_some(number)
}

#[cfg(test)]
mod tests;
