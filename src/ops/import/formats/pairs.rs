//! Names with values, such as variables: `GOOGLE_CLIENT_ID`, `oauth2_refresh_token`, `clientSecret`.

use std::collections::BTreeMap;

use crate::domain::Scopes;
use crate::ops::import::item::{FoundClient, FoundGrant, Item};
use crate::ops::import::text;

/// What a name ends with, in lower case and without anything but letters.
const ENDINGS: [(&str, Part); 10] = [
    ("refreshtoken", Part::RefreshToken),
    ("clientid", Part::ClientId),
    ("clientsecret", Part::ClientSecret),
    ("tokenuri", Part::TokenEndpoint),
    ("tokenurl", Part::TokenEndpoint),
    ("requesturl", Part::TokenEndpoint),
    ("tokenendpoint", Part::TokenEndpoint),
    ("apikey", Part::ApiKey),
    ("scopes", Part::Scopes),
    ("scope", Part::Scopes),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    RefreshToken,
    ClientId,
    ClientSecret,
    TokenEndpoint,
    ApiKey,
    Scopes,
}

/// What belongs together: names that have the same beginning.
#[derive(Default)]
struct Group<'a> {
    parts: Vec<(Part, &'a str)>,
}

impl<'a> Group<'a> {
    fn get(&self, part: Part) -> Option<&'a str> {
        self.parts.iter().find(|(known, _)| *known == part).map(|(_, value)| *value)
    }

    fn client(&self) -> Option<FoundClient> {
        let client_id = text::word(self.get(Part::ClientId)?)?;
        let client_secret = self.get(Part::ClientSecret).and_then(text::secret);
        Some(FoundClient { client_id, client_secret, ..FoundClient::default() })
    }
}

/// Whether a name is one of those that are looked for. Used to pick variables from the environment.
pub fn is_wanted(name: &str) -> bool {
    split(name).is_some()
}

/// The beginning of a name that is looked for, and what it names.
fn split(name: &str) -> Option<(String, Part)> {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    ENDINGS.iter().find_map(|(ending, part)| Some((plain.strip_suffix(ending)?.to_owned(), *part)))
}

/// The logins and clients in them. `kind` and `label` say where they stood.
pub(in crate::ops::import) fn items<'a>(
    kind: &'static str,
    label: Option<&str>,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<Item> {
    let mut groups: BTreeMap<String, Group<'a>> = BTreeMap::new();
    let mut account = None;
    for (name, value) in pairs {
        if let Some((beginning, part)) = split(name) {
            groups.entry(beginning).or_default().parts.push((part, value));
        } else if ["user", "username", "remoteuser", "account", "email", "login"]
            .contains(&&*name.to_ascii_lowercase())
        {
            account = account.or_else(|| text::email(value));
        }
    }
    // `GOOGLE_` is what a person calls it, `gs_oauth2_` is not.
    let tells_apart = matches!(kind, "env" | "environment");
    let clients: Vec<FoundClient> = groups.values().filter_map(Group::client).collect();
    let only_client = if let [only] = &clients[..] { Some(only) } else { None };
    let with_login = groups.iter().filter_map(|(beginning, group)| {
        let refresh_token = text::secret(group.get(Part::RefreshToken)?)?;
        let scopes = group.get(Part::Scopes).map_or_else(Scopes::default, |it| text::scopes([it]));
        Some(Item {
            kind,
            client: group.client().or_else(|| only_client.cloned()),
            grant: Some(FoundGrant { refresh_token, scopes }),
            account: account.clone(),
            api_key: group.get(Part::ApiKey).and_then(text::secret),
            label: label.and_then(text::label).or_else(|| text::label(beginning).filter(|_| tells_apart)),
            token_endpoint: group.get(Part::TokenEndpoint).and_then(text::url),
            ..Item::default()
        })
    });
    let logins: Vec<Item> = with_login.collect();
    if !logins.is_empty() {
        return logins;
    }
    let alone = clients.into_iter().filter(|client| client.client_secret.is_some());
    alone
        .map(|client| Item {
            kind,
            client: Some(client),
            label: label.and_then(text::label),
            ..Item::default()
        })
        .collect()
}
