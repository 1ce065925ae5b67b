//! What an ID token says that lies beside a refresh token. Nobody has checked it: it stands there for whoever wrote the
//! file, as the rest of the file does.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use zeroize::Zeroizing;

use crate::oauth::json::{self, Members, Value};
use crate::ops::import::text;

/// For which client, and whose account.
#[derive(Debug, Default)]
pub(super) struct Hints {
    pub(super) client_id: Option<String>,
    pub(super) email: Option<String>,
}

/// What can be read of it; nothing if it is none.
pub(super) fn hints(token: &str) -> Hints {
    claims(token).map_or_else(Hints::default, |claims| Hints {
        client_id: audience(&claims).and_then(text::word),
        email: claims.text("email").and_then(text::email),
    })
}

/// RFC 7519, 3: the middle one of three parts.
fn claims(token: &str) -> Option<Members> {
    let payload = token.split('.').nth(1)?;
    let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?);
    json::strict(&bytes).ok()
}

/// OpenID Connect Core, 2: the party that it was issued to, else its only audience.
fn audience(claims: &Members) -> Option<&str> {
    claims.text("azp").or_else(|| match claims.get("aud")? {
        Value::Text(audience) => Some(audience.as_str()),
        Value::List(list) if list.len() == 1 => list[0].text(),
        _ => None,
    })
}
