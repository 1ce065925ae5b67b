//! The sockets behind a redirect URI: on this machine only, never on all interfaces.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use url::{Host, Url};

use crate::domain::RedirectUri;
use crate::oauth::https::is_loopback;
use crate::oauth::{Cause, Error};

const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// One socket, or two where the name `localhost` can mean two addresses.
#[derive(Debug)]
pub(super) struct Sockets(Vec<TcpListener>);

impl Sockets {
    /// The connections that are waiting now.
    pub(super) fn accept(&self) -> impl Iterator<Item = TcpStream> {
        self.0.iter().flat_map(|socket| std::iter::from_fn(|| socket.accept().ok()).map(|(stream, _)| stream))
    }
}

/// Any free port of 127.0.0.1, or of \\[::1\\] where there is no IPv4 (RFC 8252, 7.3 and 8.3).
pub(super) fn anywhere() -> Result<(Sockets, RedirectUri), Error> {
    let socket = open(IPV4, 0).or_else(|_| open(IPV6, 0)).map_err(|e| refused("127.0.0.1", 0, &e))?;
    let address = socket.local_addr().map_err(|e| refused("127.0.0.1", 0, &e))?;
    let uri = Url::parse(&format!("http://{address}/")).expect("an address and a slash are a URL");
    Ok((Sockets(vec![socket]), uri.into()))
}

/// The port of `redirect` and no other.
pub(super) fn fixed(redirect: &RedirectUri) -> Result<(Sockets, RedirectUri), Error> {
    check(redirect)?;
    let host = redirect.host_str().unwrap_or_default();
    let wanted = redirect.port_or_known_default().unwrap_or(80);
    let sockets = open_all(&addresses(redirect), wanted).map_err(|e| refused(host, wanted, &e))?;

    if wanted != 0 {
        return Ok((Sockets(sockets), redirect.clone()));
    }
    let mut uri = redirect.url().clone();
    let port = sockets[0].local_addr().map_err(|e| refused(host, wanted, &e))?.port();
    uri.set_port(Some(port)).expect("an http: URL takes a port");
    Ok((Sockets(sockets), uri.into()))
}

fn check(redirect: &Url) -> Result<(), Error> {
    let is_plain = redirect.username().is_empty() && redirect.password().is_none();
    if redirect.scheme() == "http" && is_loopback(redirect) && is_plain && redirect.fragment().is_none() {
        return Ok(());
    }
    let host = redirect.host_str().unwrap_or("nowhere");
    Err(Error::policy(format!(
        "the redirect URI {}://{host} does not lead to this machine over plain HTTP, so it cannot be listened on",
        redirect.scheme()
    )))
}

fn addresses(redirect: &Url) -> Vec<IpAddr> {
    match redirect.host() {
        Some(Host::Ipv4(ip)) => vec![ip.into()],
        Some(Host::Ipv6(ip)) => vec![ip.into()],
        _ => vec![IPV4, IPV6],
    }
}

/// Opens the same port on each address. An address that this machine does not have is left out; a
/// port that somebody else has is not, because the browser might go there.
fn open_all(addresses: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let mut sockets: Vec<TcpListener> = Vec::new();
    let mut failure = None;
    for address in addresses {
        let port = match sockets.first() {
            Some(first) => first.local_addr()?.port(),
            None => port,
        };
        match open(*address, port) {
            Ok(socket) => sockets.push(socket),
            Err(e) if matches!(e.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {
                return Err(e);
            }
            Err(e) => failure = Some(e),
        }
    }
    match (sockets.is_empty(), failure) {
        (true, Some(failure)) => Err(failure),
        _ => Ok(sockets),
    }
}

fn open(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(SocketAddr::new(address, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn refused(host: &str, port: u16, error: &io::Error) -> Error {
    Error::Listen { address: format!("{host}:{port}"), cause: Cause::of(error) }
}
