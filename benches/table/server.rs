//! The authorization server of the tests behind TLS, with a certificate authority of its own.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::provider::{Config, Provider, Rotation};

/// An authorization server that speaks `https:`.
pub struct Server {
    /// What stands behind it.
    pub provider: Provider,
    /// The certificate that a client has to trust, as PEM.
    pub authority: String,
    address: SocketAddr,
}

impl Server {
    /// Starts it. A rotating one replaces the refresh token at each refresh.
    pub fn start(rotates: bool) -> Result<Self, String> {
        let rotation = if rotates { Rotation::Rotate { grace_secs: 0 } } else { Rotation::None };
        let provider = Provider::start(Config { rotation, ..Config::default() });
        let behind = provider.url("").trim_start_matches("http://").parse::<SocketAddr>();
        let (config, authority) = certified().map_err(|error| error.to_string())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let behind = behind.map_err(|error| error.to_string())?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                // A client that goes away is its own concern.
                thread::spawn(move || pass_on(config, stream, behind));
            }
        });
        Ok(Self { provider, authority, address })
    }

    /// The absolute URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }
}

/// A new authority, and a server that has a certificate of it for `localhost`.
fn certified() -> Result<(Arc<ServerConfig>, String), Box<dyn std::error::Error>> {
    let mut authority = CertificateParams::default();
    // One that is called as the server is would be taken for the server's own signature.
    authority.distinguished_name.push(DnType::CommonName, "the authority of the benchmark");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["localhost".to_owned()])?
        .signed_by(&key, &Issuer::new(authority, authority_key))?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((config.into(), pem))
}

/// Hands one request to the server behind, and its answer back.
fn pass_on(config: Arc<ServerConfig>, stream: TcpStream, behind: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let session = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut client = StreamOwned::new(session, stream);
    let request = read_request(&mut client)?;
    let mut server = TcpStream::connect(behind)?;
    server.write_all(&request)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    client.write_all(&answer)?;
    client.conn.send_close_notify();
    client.flush()
}

/// The head and as much body as it announces.
fn read_request(client: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n")
            && request.len() >= end + 4 + content_length(&request[..end])
        {
            return Ok(request);
        }
        match client.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => request.extend(&part[..length]),
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}
