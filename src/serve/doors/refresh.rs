//! `POST /SECRET/token`: a refresh (RFC 6749, 6), for programs that keep a refresh token of their own and may
//! be told where to renew it. Whatever they send as one is not looked at: the secret stands in the path.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::form::{Form, is_form, scopes};
use crate::domain::Scopes;
use crate::serve::reply::Reply;
use crate::serve::teller::Teller;
use crate::system::http::Refusal;

/// The same in JSON, as google-cloud-auth for Rust sends it.
#[derive(Deserialize)]
struct Json {
    grant_type: String,
    refresh_token: IgnoredAny,
    #[serde(default, alias = "scopes")]
    scope: Option<String>,
}

/// The answer to `body`, which is in `format`.
pub(in crate::serve) fn answer(teller: &Teller<'_>, format: Option<&str>, body: &[u8]) -> Reply {
    refresh(teller, format, body).unwrap_or_else(|refusal| refusal)
}

fn refresh(teller: &Teller<'_>, format: Option<&str>, body: &[u8]) -> Result<Reply, Reply> {
    let scopes = wanted(format, body)?;
    let token = teller.token(scopes).map_err(|refusal| Reply::of_desk(&refusal))?;
    Ok(Reply::token(teller, &token, None))
}

fn wanted(format: Option<&str>, body: &[u8]) -> Result<Option<Scopes>, Reply> {
    match format {
        Some(format) if is_form(format) => {
            let form = Form::read(body);
            let has_token = form.one("refresh_token")?.is_some();
            check(form.one("grant_type")?, has_token)?;
            scopes(form.one("scope")?, ' ')
        }
        Some(format) if format.eq_ignore_ascii_case("application/json") => {
            let json: Json = serde_json::from_slice(body)
                .map_err(|_| Reply::error("invalid_request", "the request is not understood"))?;
            let IgnoredAny = json.refresh_token;
            check(Some(&json.grant_type), true)?;
            scopes(json.scope.as_deref(), ' ')
        }
        _ => Err(Reply::refused(Refusal::UnsupportedMediaType, "the request must be a form or JSON")),
    }
}

fn check(grant_type: Option<&str>, has_token: bool) -> Result<(), Reply> {
    match (grant_type, has_token) {
        (Some("refresh_token"), true) => Ok(()),
        (Some("refresh_token"), false) => {
            Err(Reply::error("invalid_request", "the refresh token is missing"))
        }
        _ => Err(Reply::error("unsupported_grant_type", "only a refresh is answered here")),
    }
}
