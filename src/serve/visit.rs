//! One request as the doors get it: read strictly, and refused where a browser, a proxy or a bent name shows
//! itself.

use httparse::Request;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::system::http::{self, Refusal, one};

/// Why a request is refused, and the words for it.
pub(super) type Denial = (Refusal, &'static str);

/// Whoever knows this was given it by us, for this run.
pub(super) struct Pass(pub SecretString);

/// Who is at the other end of the connection.
#[cfg_attr(not(unix), allow(dead_code, reason = "only Unix says who somebody is"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visitor {
    /// The user who runs us.
    Ours,
    /// Another user of this machine.
    Stranger(u32),
    /// The system does not say.
    Unknown,
}

/// What is done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The root, which says that somebody is here.
    Ping,
    /// `POST /v1/token`.
    Exchange,
    /// `POST /SECRET/token`.
    Refresh,
    /// What stands behind `/computeMetadata`.
    Metadata(&'a str),
}

/// A request that may be answered.
pub(super) struct Visit<'a> {
    pub route: Route<'a>,
    /// The whole path, as it was asked for.
    pub path: &'a str,
    /// The query, without its `?`.
    pub query: &'a str,
    /// How long its body is, for a POST.
    pub length: usize,
    /// The format of its body, without parameters.
    pub format: Option<&'a str>,
    /// Whether the body comes only when we say so (RFC 9110, 10.1.1).
    pub is_waiting: bool,
}

/// Largest body of a request for a token, in bytes.
const MAX_BODY: usize = 8 * 1024;

impl Pass {
    /// Whether `text` is the secret; how long that takes says nothing about it.
    pub(super) fn admits(&self, text: &str) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl<'a> Visit<'a> {
    /// What `request` asks for, unless it may not.
    pub(super) fn of(
        request: &Request<'_, 'a>,
        visitor: Visitor,
        port: u16,
        pass: &Pass,
    ) -> Result<Self, Denial> {
        let method = method(request)?;
        check_host(request, port)?;
        check_marks(request)?;
        let (path, query) =
            http::target(request).map_err(|_| (Refusal::Forbidden, "only a plain path is answered"))?;
        let (is_admitted, rest) = without_pass(path, pass);
        let route = route(rest, is_admitted).ok_or((Refusal::NotFound, "there is nothing at this path"))?;
        let is_metadata = matches!(route, Route::Ping | Route::Metadata(_));
        if (method == Method::Get) != is_metadata {
            return Err((Refusal::MethodNotAllowed, "this path is asked in another way"));
        }
        if is_metadata {
            check_flavor(request)?;
        }
        let is_trusted = is_admitted || visitor == Visitor::Ours;
        if !is_trusted && matches!(route, Route::Metadata(_)) {
            return Err((Refusal::Forbidden, "the secret of this run is missing in the path"));
        }
        let length = if method == Method::Post { length(request)? } else { no_body(request)? };
        let is_waiting = one(request, "expect").is_ok_and(|value| value.is_some()) && length > 0;
        Ok(Self { route, path, query, length, format: format(request)?, is_waiting })
    }
}

impl Route<'_> {
    /// What stands in the log: nothing that was made up by a visitor.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ping => "GET /",
            Self::Exchange => "POST /v1/token",
            Self::Refresh => "POST /…/token",
            Self::Metadata(_) => "GET /computeMetadata",
        }
    }
}

fn method(request: &Request<'_, '_>) -> Result<Method, Denial> {
    match request.method {
        Some("GET") => Ok(Method::Get),
        Some("POST") => Ok(Method::Post),
        _ => Err((Refusal::MethodNotAllowed, "only GET and POST are answered")),
    }
}

/// Makes sure that we were called by a name of this machine: one that was bent to its address shows itself here.
///
/// The names of Google's own metadata server are none of them. Whoever answers for the network's names can bend
/// those as well, and without TLS a browser says of no page of such a name that it is one.
fn check_host(request: &Request<'_, '_>, port: u16) -> Result<(), Denial> {
    let host = one(request, "host").ok().flatten().and_then(|host| std::str::from_utf8(host).ok());
    let is_ours = |host: &str| {
        ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| match host.strip_prefix(name) {
            Some("") => port == 80,
            Some(rest) => rest.strip_prefix(':') == Some(&port.to_string()),
            None => false,
        })
    };
    if host.is_some_and(is_ours) {
        Ok(())
    } else {
        Err((Refusal::Forbidden, "the request is for another host"))
    }
}

/// A browser says from where it asks, a proxy for whom. Neither has any business here.
///
/// `Sec-Fetch-Mode: cors` by itself is that of `fetch` in Node; a browser that sends it sends `Sec-Fetch-Site` with
/// it (Fetch Metadata Request Headers, 3). Its extensions, which may read every answer, say `none` there.
fn check_marks(request: &Request<'_, '_>) -> Result<(), Denial> {
    for field in request.headers.iter() {
        let name = field.name.to_ascii_lowercase();
        let is_mark = match name.as_str() {
            "origin" | "referer" | "forwarded" | "via" | "x-real-ip" => true,
            "sec-fetch-mode" => field.value != b"cors",
            _ if name.starts_with("sec-fetch-") => true,
            _ => name.starts_with("x-forwarded-"),
        };
        if is_mark {
            return Err((Refusal::Forbidden, "the request comes from a browser or through a proxy"));
        }
    }
    Ok(())
}

/// A page cannot send this field to another origin without being asked first (Fetch, 4.8), and we never allow it.
fn check_flavor(request: &Request<'_, '_>) -> Result<(), Denial> {
    match one(request, "metadata-flavor") {
        Ok(Some(b"Google")) => Ok(()),
        _ => Err((Refusal::Forbidden, "Missing required header \"Metadata-Flavor\": \"Google\"")),
    }
}

/// Whether the first part of the path is the secret, and the path without it.
fn without_pass<'a>(path: &'a str, pass: &Pass) -> (bool, &'a str) {
    let first = path[1..].split('/').next().unwrap_or_default();
    if pass.admits(first) { (true, &path[1 + first.len()..]) } else { (false, path) }
}

fn route(path: &str, is_admitted: bool) -> Option<Route<'_>> {
    match path {
        "" | "/" => Some(Route::Ping),
        "/v1/token" if !is_admitted => Some(Route::Exchange),
        "/token" if is_admitted => Some(Route::Refresh),
        _ => path
            .strip_prefix("/computeMetadata")
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .map(Route::Metadata),
    }
}

/// How long the body is. It must be said beforehand, and once (RFC 9112, 6.3).
fn length(request: &Request<'_, '_>) -> Result<usize, Denial> {
    let malformed = (Refusal::BadRequest, "the length of the body is malformed");
    let is_coded = one(request, "transfer-encoding").map_err(|_| malformed)?.is_some();
    let length = one(request, "content-length").map_err(|_| malformed)?;
    let Some(length) = length.filter(|_| !is_coded) else {
        return Err((Refusal::LengthRequired, "the length of the body must be said beforehand"));
    };
    if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
        return Err(malformed);
    }
    let length = std::str::from_utf8(length).ok().and_then(|digits| digits.parse::<usize>().ok());
    length.filter(|length| *length <= MAX_BODY).ok_or((Refusal::BodyTooLarge, "the body is too long"))
}

fn no_body(request: &Request<'_, '_>) -> Result<usize, Denial> {
    http::check_no_body(request).map_err(|refusal| (refusal, "no body belongs to this request"))?;
    Ok(0)
}

fn format<'b>(request: &Request<'_, 'b>) -> Result<Option<&'b str>, Denial> {
    let malformed = (Refusal::BadRequest, "the type of the body is malformed");
    let value = one(request, "content-type").map_err(|_| malformed)?;
    let Some(value) = value else { return Ok(None) };
    let value = std::str::from_utf8(value).map_err(|_| malformed)?;
    Ok(Some(value.split(';').next().unwrap_or_default().trim()))
}
