//! Who has signed in, as the provider says when asked with the access token.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::json::{Members, Value};
use super::{
    Authorization, Error, Http, Method, Own, Request, Response, ServerError, Verb, id_token, json, printable,
};
use crate::domain::provider::{QuestionMethod, Who};
use crate::domain::{Account, Client, Provider};

/// Largest whole number that is an identifier to the last digit (IEEE 754: 2^53).
const MAX_NUMBER: f64 = 9_007_199_254_740_992.0;

/// Asks at the client's userinfo endpoint whose `access_token` it is: in the provider's own way, or as OpenID
/// Connect Core, 5.3 has it. `None` if there is nobody to ask.
///
/// # Errors
///
/// [`Error::Refused`] if the token is not good for that, [`Error::Nonsense`] if the answer names
/// nobody, else the errors of the network.
pub fn account(
    http: &dyn Http,
    provider: &Provider,
    client: &Client,
    access_token: &SecretString,
    timeout: Duration,
) -> Result<Option<Account>, Error> {
    let Some(url) = &client.endpoints.userinfo else { return Ok(None) };
    match &provider.who {
        Some(who) => ask(http, who, url, &client.client_id, access_token, timeout).map(Some),
        None => userinfo(http, url, access_token, timeout).map(Some),
    }
}

/// Asks the endpoint at `url` (OpenID Connect Core, 5.3) whose `access_token` it is.
///
/// # Errors
///
/// As [`account`].
pub fn userinfo(
    http: &dyn Http,
    url: &Url,
    access_token: &SecretString,
    timeout: Duration,
) -> Result<Account, Error> {
    let claims = send(http, Method::Get, url, access_token, timeout)?;
    let subject = claims.text("sub").filter(|text| id_token::is_subject(text)).map(str::to_owned);
    known(Account { email: id_token::email(&claims), subject })
}

fn ask(
    http: &dyn Http,
    who: &Who,
    url: &Url,
    client_id: &str,
    access_token: &SecretString,
    timeout: Duration,
) -> Result<Account, Error> {
    let client_id = who.client_id_header.iter().map(|name| (name.clone(), client_id.to_owned()));
    let own = Own {
        verb: match who.method {
            QuestionMethod::Get => Verb::Get,
            QuestionMethod::Post => Verb::Post,
        },
        json: who.body.as_deref().map(SecretString::from),
        headers: who.headers.iter().cloned().chain(client_id).collect(),
    };
    let answer = send(http, Method::Own(own), url, access_token, timeout)?;
    // Some say with status 200 that they refuse.
    if let Some(error) = answer.text("error").filter(|text| !text.trim().is_empty()) {
        return Err(Error::Refused(ServerError::new(error, 200)));
    }
    let subject = answer.at(&who.subject).and_then(identifier).filter(|text| id_token::is_subject(text));
    let email = who.email.as_deref().and_then(|place| answer.at(place)).and_then(Value::text);
    let email = email.filter(|text| id_token::is_email(text)).map(str::to_owned);
    known(Account { email, subject })
}

/// A text as it is, or a whole number as text.
fn identifier(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.as_str().to_owned()),
        Value::Number(number) if number.fract() == 0.0 && (0.0..MAX_NUMBER).contains(number) => {
            Some(format!("{number:.0}"))
        }
        _ => None,
    }
}

fn send(
    http: &dyn Http,
    method: Method,
    url: &Url,
    access_token: &SecretString,
    timeout: Duration,
) -> Result<Members, Error> {
    let authorization = Some(Authorization::Bearer(access_token.clone()));
    let response = http.send(&Request { method, url: url.clone(), authorization, timeout })?;
    check_status(&response)?;
    json::strict(&response.body).map_err(|e| odd(&e.to_string()))
}

fn known(account: Account) -> Result<Account, Error> {
    if account.is_unknown() { Err(odd("it names nobody")) } else { Ok(account) }
}

fn odd(what: &str) -> Error {
    Error::nonsense(format!("the answer about the account is odd: {}", printable(what, 200)))
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
