//! The head of a request, read as strictly as only a program can that knows its one visitor.

use httparse::Request;
use url::Url;
use zeroize::Zeroizing;

use super::Refusal;
use crate::oauth::authorization::{Answer, Flow};
use crate::system::http::{self, one};

/// Why a request is refused, for people, and nothing of what was sent.
pub(super) fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Forbidden => "the request does not come from following a link",
        Refusal::NotFound => "there is nothing at this address",
        Refusal::MethodNotAllowed => "only GET is answered here",
        Refusal::Timeout => "the request did not arrive in time",
        Refusal::UriTooLong => "the address is too long",
        Refusal::FieldsTooLarge => "the request is too large",
        _ => "the request is malformed",
    }
}

/// What the head of one request means for `flow`, whoever sent it.
///
/// # Errors
///
/// A [`Refusal`] if it is no request that a browser makes for following a redirect to this flow.
pub fn judge(head: &[u8], flow: &Flow) -> Result<Answer, Refusal> {
    let query = query(head, flow.redirect_uri())?;
    Ok(flow.accept(&query))
}

/// The query of a request for `redirect`, without its `?`; empty if it has none.
fn query(head: &[u8], redirect: &Url) -> Result<Zeroizing<String>, Refusal> {
    let mut fields = http::no_fields();
    let request = http::parse(head, &mut fields)?;
    check_fields(&request, redirect)?;
    let (path, query) = http::target(&request)?;
    if path != redirect.path() {
        return Err(Refusal::NotFound);
    }
    Ok(Zeroizing::new(query.to_owned()))
}

fn check_fields(request: &Request<'_, '_>, redirect: &Url) -> Result<(), Refusal> {
    if request.method != Some("GET") {
        return Err(Refusal::MethodNotAllowed);
    }
    // RFC 9112, 3.2: exactly one. A name that was bent to this address shows itself here.
    let host = one(request, "host")?.ok_or(Refusal::BadRequest)?;
    if !is_host_of(redirect, host) {
        return Err(Refusal::Forbidden);
    }
    http::check_no_body(request)?;
    check_origin(request)
}

/// A redirect from the provider is a navigation of the whole window; an image, a frame or a script
/// that calls this port is not. Browsers say which; a person with `curl` need not.
fn check_origin(request: &Request<'_, '_>) -> Result<(), Refusal> {
    let mode = one(request, "sec-fetch-mode")?;
    let is_navigation = mode.is_none_or(|mode| mode == b"navigate");
    let is_window = one(request, "sec-fetch-dest")?.is_none_or(|dest| dest == b"document");
    // A form at the provider that ends in a redirect may leave its origin behind, as `null` or whole.
    let is_origin_told = one(request, "origin")?.is_some_and(|origin| origin != b"null");
    if is_navigation && is_window && (mode.is_some() || !is_origin_told) {
        Ok(())
    } else {
        Err(Refusal::Forbidden)
    }
}

/// Literally the host of the redirect URI, with its port. Port 80 may be left out (RFC 9110, 7.2).
fn is_host_of(redirect: &Url, host: &[u8]) -> bool {
    let name = redirect.host_str().unwrap_or_default();
    match redirect.port() {
        Some(port) => host == format!("{name}:{port}").as_bytes(),
        None => host == name.as_bytes() || host == format!("{name}:80").as_bytes(),
    }
}

#[cfg(test)]
mod tests;
