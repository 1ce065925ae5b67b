//! TLS for the server: an authority of the test's own, and certificates that are right or wrong.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    StreamOwned,
};

/// The host that right certificates are for.
pub const HOST: &str = "localhost";

/// A certificate authority that no platform knows, until a test puts [`Authority::pem`] into a file
/// and names it in `SSL_CERT_FILE`.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one, with a key of its own.
    pub fn new() -> Self {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, "authority of a vault test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, key()).unwrap())
    }

    /// Its certificate, as platforms keep those they trust.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Everything is right for a server called `host`.
    pub fn certify(&self, host: &str) -> Tls {
        Tls { host: host.into(), ..self.sign(params(&[host])) }
    }

    /// The same for several, `*.example.com` among them, of which the server goes by the first.
    pub fn certify_all(&self, hosts: &[&str]) -> Tls {
        Tls { host: hosts[0].into(), ..self.sign(params(hosts)) }
    }

    /// A certificate for a host that is not [`HOST`].
    pub fn for_another_host(&self) -> Tls {
        self.sign(params(&["elsewhere.example"]))
    }

    /// A certificate for [`HOST`] whose time was over in 2001.
    pub fn expired(&self) -> Tls {
        let mut params = params(&[HOST]);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params)
    }

    /// A certificate for [`HOST`] whose time will come in 2999.
    pub fn not_yet_valid(&self) -> Tls {
        let mut params = params(&[HOST]);
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(3000, 1, 1);
        self.sign(params)
    }

    /// A right server that wants a certificate of the client, too.
    pub fn demanding_a_certificate(&self) -> Tls {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), ring()).build().unwrap();
        let (chain, key) = self.issue(&params(&[HOST]));
        let config = builder().with_client_cert_verifier(verifier).with_single_cert(chain, key.into());
        Tls::serving(config.unwrap())
    }

    /// Certificate and key of a right server called `host`, for a server of somebody else, as PEM.
    pub fn certificate_and_key(&self, host: &str) -> (String, String) {
        let key = key();
        let certificate = params(&[host]).signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn sign(&self, params: CertificateParams) -> Tls {
        let (chain, key) = self.issue(&params);
        Tls::of(chain, key)
    }

    fn issue(
        &self,
        params: &CertificateParams,
    ) -> (Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>) {
        let key = key();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (vec![certificate.der().clone()], key.serialize_der().into())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// What a server needs to speak TLS, and the host it goes by.
#[derive(Clone)]
pub struct Tls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) host: String,
}

impl Tls {
    /// A certificate for [`HOST`] that stands for itself.
    pub fn self_signed() -> Self {
        let key = key();
        let certificate = params(&[HOST]).self_signed(&key).unwrap();
        Self::of(vec![certificate.der().clone()], key.serialize_der().into())
    }

    /// The same for a server of somebody else.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// The same, but TLS 1.2 is the newest that it speaks.
    pub fn of_version_1_2(self) -> Self {
        let config = ServerConfig::builder_with_provider(ring())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(self.config.cert_resolver.clone());
        Self { config: config.into(), host: self.host }
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: PrivatePkcs8KeyDer<'static>) -> Self {
        let config = builder().with_no_client_auth().with_single_cert(chain, key.into());
        Self::serving(config.unwrap())
    }

    fn serving(config: ServerConfig) -> Self {
        Self { config: config.into(), host: HOST.into() }
    }
}

/// Connects as a person who clicks every warning away.
pub(super) fn connect(host: &str, stream: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let trusting = Trusting(ring().signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusting))
        .with_no_client_auth();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let host = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(config.into(), host).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Takes every certificate for the right one.
#[derive(Debug)]
struct Trusting(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn params(hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    CertificateParams::new(hosts).unwrap()
}

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn ring() -> Arc<CryptoProvider> {
    rustls::crypto::ring::default_provider().into()
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(ring()).with_safe_default_protocol_versions().unwrap()
}
