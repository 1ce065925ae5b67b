//! A profile: the link of account, client, scopes, grant and API key.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DocumentId, Field, Grant, GrantType, Host, ProfileName, Scopes, Use, VariableName};

/// Whose account it is, as the provider says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The e-mail address, for people; it can change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The provider's stable identifier (OpenID Connect Core, 2: `sub`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Account {
    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        self.email.is_none() && self.subject.is_none()
    }

    /// What to call it: the address, else the subject.
    pub fn label(&self) -> Option<&str> {
        self.email.as_deref().or(self.subject.as_deref())
    }

    /// Whether `other`, freshly reported by the provider, is this account.
    ///
    /// The subject decides where both have one, because an address can move to another person.
    /// An address that was only asked for is compared without regard to case.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (&self.subject, &other.subject) {
            (Some(linked), Some(reported)) => linked == reported,
            _ => match (&self.email, &other.email) {
                (Some(linked), Some(reported)) => linked.eq_ignore_ascii_case(reported),
                (Some(_), None) => false,
                (None, _) => self.subject.is_none(),
            },
        }
    }

    /// Whether nothing that is known of the two tells them apart.
    pub fn may_be(&self, other: &Self) -> bool {
        match ((&self.subject, &other.subject), (&self.email, &other.email)) {
            ((Some(one), Some(two)), _) => one == two,
            (_, (Some(one), Some(two))) => one.eq_ignore_ascii_case(two),
            _ => true,
        }
    }
}

/// Scopes as they were asked for and as the user granted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRecord {
    /// What the profile asks for at login.
    pub asked: Scopes,
    /// What the grant holds.
    pub granted: Scopes,
}

/// A profile as it stands in its document; its secrets are sealed beside it.
///
/// The field names are part of the vault format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What the user calls it.
    pub name: ProfileName,
    /// The provider of its client, for listing.
    pub provider: String,
    /// Whose account it is.
    pub account: Account,
    /// The document of its client.
    pub client: DocumentId,
    /// What was asked and what was granted.
    pub scopes: ScopeRecord,
    /// The consent, if there is one.
    #[serde(default)]
    pub grant: Option<Grant>,
    /// Variables beside the provider's default ones.
    #[serde(default)]
    pub exports: BTreeMap<VariableName, Field>,
    /// The hosts that its token may be sent to, and by whom.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<Use, BTreeSet<Host>>,
    /// How its tokens come about.
    #[serde(default, skip_serializing_if = "GrantType::needs_person")]
    pub grant_type: GrantType,
    /// The command that opens its consent page, where that is not the usual browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// The Google Cloud project that its requests are counted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When its API key came into the vault, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_set_at: Option<Timestamp>,
}

impl Profile {
    /// Whether it is bound to exactly this host.
    pub fn is_bound_to(&self, need: Use, host: &Host) -> bool {
        self.hosts.get(&need).is_some_and(|hosts| hosts.contains(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(email: Option<&str>, subject: Option<&str>) -> Account {
        Account { email: email.map(Into::into), subject: subject.map(Into::into) }
    }

    #[test]
    fn the_subject_decides_over_the_address() {
        let linked = account(Some("me@old.example"), Some("1"));

        assert!(linked.is_same_as(&account(Some("me@new.example"), Some("1"))));
        assert!(!linked.is_same_as(&account(Some("me@old.example"), Some("2"))));
    }

    #[test]
    fn an_address_that_was_asked_for_must_be_reported() {
        let asked = account(Some("Me@work.example"), None);

        assert!(asked.is_same_as(&account(Some("me@work.example"), Some("1"))));
        assert!(!asked.is_same_as(&account(Some("you@work.example"), Some("1"))));
        assert!(!asked.is_same_as(&account(None, Some("1"))));
    }

    #[test]
    fn what_cannot_be_told_apart_may_be_one_account() {
        let (one, two) = (account(Some("me@x.example"), Some("1")), account(Some("Me@x.example"), None));
        assert!(one.may_be(&two) && two.may_be(&one));
        assert!(one.may_be(&account(None, None)) && account(None, Some("7")).may_be(&two));

        assert!(!one.may_be(&account(Some("me@x.example"), Some("2"))));
        assert!(!two.may_be(&account(Some("you@x.example"), Some("1"))));
    }

    #[test]
    fn any_account_may_be_linked_where_none_was_named() {
        assert!(account(None, None).is_same_as(&account(Some("me@x.example"), Some("1"))));
        assert!(!account(None, Some("1")).is_same_as(&account(Some("me@x.example"), None)));
    }
}
