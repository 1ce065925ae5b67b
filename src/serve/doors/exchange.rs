//! `POST /v1/token`: a token exchange (RFC 8693), as Google's libraries do it for a file of the type
//! `external_account`. What they exchange is the secret of this run.

use super::form::{Form, is_form, scopes};
use crate::serve::reply::Reply;
use crate::serve::teller::Teller;
use crate::serve::visit::Pass;
use crate::system::http::Refusal;

/// RFC 8693, 2.1.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// RFC 8693, 3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The answer to `body`, which is in `format`.
pub(in crate::serve) fn answer(teller: &Teller<'_>, pass: &Pass, format: Option<&str>, body: &[u8]) -> Reply {
    if !format.is_some_and(is_form) {
        return Reply::refused(Refusal::UnsupportedMediaType, "the request must be a form");
    }
    exchange(teller, pass, &Form::read(body)).unwrap_or_else(|refusal| refusal)
}

fn exchange(teller: &Teller<'_>, pass: &Pass, form: &Form<'_>) -> Result<Reply, Reply> {
    if !form.one("subject_token")?.is_some_and(|token| pass.admits(token)) {
        // RFC 8693, 2.2.2: a subject token that is invalid for any reason is an invalid request.
        let why = "this is not the secret of the server that runs now; start the program again through `vault exec`";
        return Err(Reply::error("invalid_request", why));
    }
    if form.one("grant_type")? != Some(GRANT) {
        return Err(Reply::error("unsupported_grant_type", "only a token exchange is answered here"));
    }
    if form.one("requested_token_type")?.is_some_and(|wanted| wanted != ACCESS_TOKEN) {
        return Err(Reply::error("invalid_request", "only access tokens are given out"));
    }
    let scopes = scopes(form.one("scope")?, ' ')?;
    let token = teller.token(scopes).map_err(|refusal| Reply::of_desk(&refusal))?;
    Ok(Reply::token(teller, &token, Some(ACCESS_TOKEN)))
}
