//! The network itself: TLS to providers, and plain HTTP to this machine only.

use std::io::Read;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use reqwest::blocking::{Body, Client, ClientBuilder, RequestBuilder};
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{
    Authorization, Cause, Error, Http, Method, Obstacle, Own, Request, Response, TransportError, Verb,
    obstacle,
};

/// Longest body that is read, in bytes. Token answers have some kilobytes.
const MAX_BODY: u64 = 1 << 20;

/// How long a connection may take. A host that does not answer by then will not.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait that a provider can ask for: who asks for more means *not today*.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Checks that secrets and users may be sent to `url`: `https:`, without user information and
/// fragment. With `insecure_loopback`, also `http:` on this machine.
///
/// # Errors
///
/// [`Error::Policy`], naming scheme and host only.
pub fn check_url(url: &Url, insecure_loopback: bool) -> Result<(), Error> {
    let host = url.host_str().unwrap_or("nowhere");
    let is_plain_allowed = insecure_loopback && is_loopback(url);
    let what = match url.scheme() {
        "https" if url.host().is_some() => None,
        "http" if is_plain_allowed => None,
        "http" if is_loopback(url) => Some("is plain HTTP, which must be allowed explicitly on this machine"),
        _ => Some("is not an https: URL"),
    };
    let what = what.or_else(|| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        has_user.then_some("holds a user name")
    });
    let what = what.or_else(|| url.fragment().map(|_| "has a fragment"));
    match what {
        Some(what) => Err(Error::policy(format!("the URL {}://{host}/ {what}", url.scheme()))),
        None => Ok(()),
    }
}

/// Whether `url` names this machine, by number or as `localhost`.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Speaks HTTP/1.1 over TLS. Costs nothing until the first request.
#[derive(Default)]
pub struct Https {
    /// For providers: through the proxy, if the system has one.
    remote: OnceLock<Client>,
    /// For this machine: never through a proxy.
    local: OnceLock<Client>,
    /// The same without TLS, for which no certificates are read.
    plain: OnceLock<Client>,
}

impl Https {
    /// A connection to everywhere that is not made yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self, url: &Url) -> Result<&Client, reqwest::Error> {
        let (slot, build): (_, Build) = match (is_loopback(url), url.scheme()) {
            (true, "http") => (&self.plain, whole::plain),
            (true, _) => (&self.local, whole::local),
            (false, _) => (&self.remote, |builder| builder),
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = build(whole::strict(Client::builder())).build()?;
        Ok(slot.get_or_init(|| client))
    }
}

impl Http for Https {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        // Whether plain HTTP to this machine is wanted was checked when the client was made; that
        // it leaves this machine is refused here once more.
        check_url(&request.url, true).map_err(|e| TransportError::Refused { what: e.to_string() })?;
        let host = host(&request.url);
        let client = self.client(&request.url).map_err(|e| unreachable(&host, &e))?;

        let answer = prepare(client, request).send().map_err(|e| classify(&host, e))?;
        let response = head(&answer);
        let body = read_body(answer, &host)?;
        Ok(Response { body, ..response })
    }
}

/// Makes a client fit for a kind of place.
type Build = fn(ClientBuilder) -> ClientBuilder;

/// The rules for either kind of client, blocking or not: their builders are alike and have no common trait.
macro_rules! rules {
    ($builder:ty) => {
        /// No redirects, no cookies, no compression, no second try behind our back.
        pub(in crate::oauth) fn strict(builder: $builder) -> $builder {
            // Fails only if there is a provider already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            builder
                .user_agent(concat!("vault/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout($crate::oauth::https::CONNECT_TIMEOUT)
                .pool_max_idle_per_host(0)
                .referer(false)
        }

        /// For this machine: never through a proxy.
        pub(in crate::oauth) fn local(builder: $builder) -> $builder {
            use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
            // RFC 6761, 6.3: the name means this machine, whatever a resolver says. Port 0 stands for the
            // one in the URL.
            let here = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            let here = here.map(|ip| SocketAddr::new(ip, 0));
            builder.no_proxy().resolve_to_addrs("localhost", &here)
        }

        /// For this machine without TLS, for which no certificates are read.
        pub(in crate::oauth) fn plain(builder: $builder) -> $builder {
            local(builder).tls_certs_only([])
        }
    };
}

/// The rules for requests that are answered as a whole.
mod whole {
    rules!(reqwest::blocking::ClientBuilder);
}

/// The same rules for requests whose bodies flow.
pub(super) mod flowing {
    rules!(reqwest::ClientBuilder);
}

fn prepare(client: &Client, request: &Request) -> RequestBuilder {
    let url = request.url.clone();
    let builder = match &request.method {
        Method::Get => client.get(url),
        Method::PostForm(pairs) => {
            client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form(pairs))
        }
        Method::PostJson(text) => {
            client.post(url).header(CONTENT_TYPE, "application/json").body(text.expose_secret().to_owned())
        }
        Method::Own(own) => own_request(client, url, own),
    };
    let builder = builder.timeout(request.timeout);
    let builder = match &request.method {
        Method::Own(own) if own.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) => {
            builder
        }
        _ => builder.header(ACCEPT, "application/json"),
    };
    match &request.authorization {
        // RFC 6749, 2.3.1: id and secret are form-encoded before they are joined.
        Some(Authorization::Basic { id, secret }) => {
            builder.basic_auth(form_encoded(id).as_str(), Some(form_encoded(secret.expose_secret()).as_str()))
        }
        Some(Authorization::Bearer(token)) => builder.bearer_auth(token.expose_secret()),
        None => builder,
    }
}

fn own_request(client: &Client, url: Url, own: &Own) -> RequestBuilder {
    let builder = match own.verb {
        Verb::Get => client.get(url),
        Verb::Post => client.post(url),
        Verb::Delete => client.delete(url),
    };
    let builder = own.headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    match &own.json {
        Some(json) => builder.header(CONTENT_TYPE, "application/json").body(json.expose_secret().to_owned()),
        None => builder,
    }
}

fn form_encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

fn form(pairs: &[(&'static str, SecretString)]) -> Body {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        form.append_pair(name, value.expose_secret());
    }
    form.finish().into()
}

fn head(answer: &reqwest::blocking::Response) -> Response {
    let headers = answer.headers();
    let date = header(headers, &DATE).and_then(http_date);
    Response {
        status: answer.status().as_u16(),
        retry_after: header(headers, &RETRY_AFTER).and_then(|text| retry_after(text, date)),
        date,
        location: header(headers, &LOCATION).map(str::to_owned),
        body: Zeroizing::default(),
    }
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// RFC 9110, 5.6.7, in the only form that is still sent.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()
}

/// RFC 9110, 10.2.3: seconds, or a date, which is measured by the provider's own clock.
pub(super) fn retry_after(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let wait = http_date(text)?.duration_since(now?).max(SignedDuration::ZERO);
    Some(wait.unsigned_abs().min(MAX_RETRY_AFTER))
}

fn read_body(answer: reqwest::blocking::Response, host: &str) -> Result<Zeroizing<Vec<u8>>, TransportError> {
    // Room for all of it at once, so that no copy is left behind by growing.
    let mut body = Zeroizing::new(Vec::with_capacity(64 * 1024));
    let read = answer.take(MAX_BODY + 1).read_to_end(&mut body);
    match read {
        Ok(length) if length as u64 > MAX_BODY => Err(TransportError::TooLong { host: host.to_owned() }),
        Ok(_) => Ok(body),
        Err(error) => Err(TransportError::Lost { host: host.to_owned(), cause: Cause::of(&error) }),
    }
}

pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Name resolution, connecting and the TLS handshake come before the first byte of the request.
pub(super) fn classify(host: &str, error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() || obstacle::wants_client_certificate(&error) {
        return unreachable(host, &error);
    }
    let cause = if error.is_timeout() { Cause::from("timed out") } else { Cause::of(&error) };
    TransportError::Lost { host: host.to_owned(), cause }
}

pub(super) fn unreachable(host: &str, error: &reqwest::Error) -> TransportError {
    TransportError::Unreachable { host: host.to_owned(), cause: Obstacle::of(error) }
}

#[cfg(test)]
mod tests;
