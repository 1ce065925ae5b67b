//! Providers: those that are built in, and the user's own.

use std::borrow::Cow;

use super::{Error, Unlocked};
use crate::oauth::provider::{self, Provider};

impl Unlocked {
    /// The provider that is known under the name `id`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if none is.
    pub fn known_provider(&self, id: &str) -> Result<Cow<'static, Provider>, Error> {
        built_in(id)
    }
}

/// The same where there is no vault.
pub(super) fn built_in(id: &str) -> Result<Cow<'static, Provider>, Error> {
    let found = provider::find(id).map(Cow::Borrowed);
    found.ok_or_else(|| Error::Usage(format!("no provider named `{id}`")))
}
