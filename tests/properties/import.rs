//! A file that another tool may have left, or that somebody has planted: it is read within bounds, and whatever is
//! taken from it can be stored, sent and shown.

use std::ffi::OsStr;

use secrecy::ExposeSecret;
use vault::ops::import::{Input, Item, MAX_ITEMS, MAX_SIZE, Odd, read};

/// Holds whatever `file` is; says whether something was found in it.
pub fn holds(file: &[u8]) -> bool {
    let found = look(None, file);
    // A name adds what it says, and takes nothing away.
    let named = look(Some("Google.OAuth2.Token.9-named.apps.googleusercontent.com.json"), file);
    assert_eq!(found.as_ref().map(Vec::len), named.as_ref().map(Vec::len));
    found.is_some()
}

fn look(name: Option<&str>, bytes: &[u8]) -> Option<Vec<Item>> {
    match read(&Input { name: name.map(OsStr::new), bytes }) {
        Ok(items) => {
            assert!(bytes.len() <= MAX_SIZE);
            assert!((1..=MAX_ITEMS).contains(&items.len()));
            items.iter().for_each(assert_is_sound);
            Some(items)
        }
        Err(odd) => {
            assert_is_plain(&odd);
            None
        }
    }
}

fn assert_is_sound(item: &Item) {
    assert!(item.client.is_some() || item.grant.is_some(), "{item:?}");
    let shown = format!("{item:?}");
    if let Some(client) = &item.client {
        assert!(is_word(&client.client_id));
        if let Some(secret) = &client.client_secret {
            assert!(!secret.expose_secret().is_empty());
            // Short texts stand in the names of what holds them.
            assert!(
                secret.expose_secret().len() < 12 || is_shown_elsewhere(item, secret.expose_secret(), &shown)
            );
        }
    }
    if let Some(grant) = &item.grant {
        let token = grant.refresh_token.expose_secret();
        assert!(!token.is_empty() && token.bytes().all(|b| matches!(b, 0x20..=0x7e)));
        assert!(token.len() < 12 || is_shown_elsewhere(item, token, &shown));
    }
    for text in [&item.account, &item.label].into_iter().flatten() {
        assert!(!text.is_empty() && text.len() <= 1024 && !text.contains(|c: char| c.is_control()));
    }
}

/// Whether `Debug` shows the secret only where the file has the same text in a public place too.
fn is_shown_elsewhere(item: &Item, secret: &str, shown: &str) -> bool {
    let id = item.client.as_ref().map_or("", |client| &*client.client_id);
    let label = item.label.as_deref().unwrap_or_default();
    let account = item.account.as_deref().unwrap_or_default();
    let scopes = item.grant.as_ref().map_or_else(String::new, |grant| grant.scopes.to_string());
    let endpoint = item.token_endpoint.as_ref().map_or("", |url| url.as_str());
    let project = item.project.as_deref().unwrap_or_default();
    let uris = item.client.as_ref().map_or_else(String::new, |client| client.redirect_uris.join(" "));
    let public = [id, label, account, &scopes, endpoint, project, &uris].concat();
    !shown.contains(secret) || public.contains(secret)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 4096 && text.bytes().all(|b| b.is_ascii_graphic())
}

fn assert_is_plain(odd: &Odd) {
    let text = odd.to_string();
    assert!(!text.is_empty() && text.len() < 400, "{text}");
    assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
}
