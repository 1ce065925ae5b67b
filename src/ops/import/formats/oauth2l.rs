//! The cache of oauth2l, `~/.oauth2l`: an object whose names are JSON too, with the whole client in them, and whose
//! values are tokens in Base64.
//!
//! Its layout: <https://github.com/google/oauth2l/blob/master/util/cache.go>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::json as any;
use crate::oauth::json::{self, Members, Value};
use crate::ops::import::item::{Input, Item, MAX_ITEMS, Odd};
use crate::ops::import::text;

/// Its logins, if it is such a cache.
pub(super) fn read(members: &Members) -> Option<Result<Vec<Item>, Odd>> {
    let is_entry = |(name, value): (&str, &Value)| name.starts_with('{') && value.text().is_some();
    if members.iter().next().is_none() || !members.iter().all(is_entry) {
        return None;
    }
    let mut items = Vec::new();
    for (name, value) in members.iter() {
        if items.len() > MAX_ITEMS {
            return Some(Err(Odd::TooMany));
        }
        items.extend(entry(name, value.text().unwrap_or_default()));
    }
    let nothing = || {
        Odd::useless(
            "it is a cache of oauth2l without refresh tokens: what is in it ends by itself",
            "remove it with `oauth2l reset`",
        )
    };
    Some(if items.is_empty() { Err(nothing()) } else { Ok(items) })
}

/// One login: the token from the value, its client and scopes from the name.
fn entry(name: &str, value: &str) -> Option<Item> {
    let key = json::strict(name.as_bytes()).ok()?;
    let token = Zeroizing::new(STANDARD.decode(value).ok()?);
    let no_name = |bytes| Input { name: None, bytes };
    let mut login = any::read(&no_name(&token), &token).ok()?.pop().filter(|item| item.grant.is_some())?;
    login.kind = "oauth2l";
    let credentials = key.text("CredentialsJSON").unwrap_or_default().as_bytes();
    let around = any::read(&no_name(credentials), credentials).ok().and_then(|mut items| items.pop());
    if let Some(around) = around {
        login.client = around.client.or(login.client);
        login.project = around.project.or(login.project);
        login.token_endpoint = around.token_endpoint.or(login.token_endpoint);
    }
    login.account = key.text("Email").and_then(text::email).or(login.account);
    if let Some(grant) = &mut login.grant {
        grant.scopes = text::scopes(key.text("Scope"));
    }
    Some(login)
}
