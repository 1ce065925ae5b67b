//! The desk: where whatever speaks with other programs asks for a token, and is given one or told why not.

use std::fmt;

use jiff::SignedDuration;
use secrecy::SecretString;

use crate::domain::{AccessToken, Host, IdToken, Profile, ProfileName, Scopes, Use};

/// What a token is asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// What it must be good for; nothing in particular if there is none.
    pub scopes: Option<Scopes>,
    /// How long it must still work, beyond the usual margin.
    pub min_ttl: SignedDuration,
}

/// Answers for the vault. Each question is one use of it: it is unlocked for that alone, and written down.
pub trait Desk: Sync {
    /// An access token of `profile` that works now.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn token(&self, profile: &ProfileName, ask: &Ask) -> Result<AccessToken, Refusal>;

    /// An ID token of `profile` for `audience` that counts for at least so long.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn identity(
        &self,
        profile: &ProfileName,
        _audience: &str,
        _min_ttl: SignedDuration,
    ) -> Result<IdToken, Refusal> {
        let message = format!("no ID tokens of profile `{profile}` are given out here");
        Err(Refusal { kind: RefusalKind::Other, message })
    }

    /// What is known of `profile`, verified.
    ///
    /// # Errors
    ///
    /// Why it cannot be told.
    fn profile(&self, profile: &ProfileName) -> Result<Profile, Refusal>;

    /// The profile whose token goes to `host`, if there is one: the named one, if it is bound to this host, else
    /// the one that is. Nothing is unlocked for a host that no profile is bound to.
    ///
    /// # Errors
    ///
    /// If several are bound, or why that cannot be told.
    fn profile_for(
        &self,
        need: Use,
        host: &Host,
        named: Option<&ProfileName>,
    ) -> Result<Option<ProfileName>, Refusal>;

    /// Forgets the cached token of `profile` if it is `value`, which is said not to work.
    ///
    /// # Errors
    ///
    /// Why it could not.
    fn forget(&self, profile: &ProfileName, value: &SecretString) -> Result<(), Refusal>;
}

/// Why nothing is given out.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What kind of reason it is.
    pub kind: RefusalKind,
    /// The reason in one line, for a person, with what to do about it. No secret.
    pub message: String,
}

/// What kind of reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// Only a new login helps.
    LoginNeeded,
    /// The grant is not good for what is asked.
    ScopesNotGranted,
    /// The vault key cannot be had without a person.
    Locked,
    /// The provider cannot be reached, or asks to come again later.
    Offline,
    /// There is no such profile, client or field.
    NotFound,
    /// Anything else.
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
