//! Who has signed in, as the provider says when asked with the access token.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::{Authorization, Error, Http, Method, Request, Response, ServerError, id_token, json};
use crate::domain::Account;

/// Asks the endpoint at `url` (OpenID Connect Core, 5.3) whose `access_token` it is.
///
/// # Errors
///
/// [`Error::Refused`] if the token is not good for that, [`Error::Nonsense`] if the answer names
/// nobody, else the errors of the network.
pub fn userinfo(
    http: &dyn Http,
    url: &Url,
    access_token: &SecretString,
    timeout: Duration,
) -> Result<Account, Error> {
    let authorization = Some(Authorization::Bearer(access_token.clone()));
    let request = Request { method: Method::Get, url: url.clone(), authorization, timeout };
    let response = http.send(&request)?;
    check_status(&response)?;

    let odd = |what: String| Error::nonsense(format!("the answer about the account is odd: {what}"));
    let claims = json::strict(&response.body).map_err(|e| odd(e.to_string()))?;
    let subject = claims.text("sub").filter(|text| id_token::is_subject(text)).map(str::to_owned);
    let account = Account { email: id_token::email(&claims), subject };
    if account.is_unknown() { Err(odd("it names nobody".to_owned())) } else { Ok(account) }
}

/// RFC 6750, 3.1: 401 and 403 are about the token.
fn check_status(response: &Response) -> Result<(), Error> {
    let status = response.status;
    match status {
        200 => Ok(()),
        _ if response.is_unavailable() => {
            Err(Error::Unavailable { status, retry_after: response.retry_after })
        }
        401 => Err(Error::Refused(ServerError::new("invalid_token", status))),
        403 => Err(Error::Refused(ServerError::new("insufficient_scope", status))),
        _ => Err(Error::nonsense(format!(
            "the question about the account is answered with HTTP status {status}"
        ))),
    }
}

#[cfg(test)]
mod tests;
