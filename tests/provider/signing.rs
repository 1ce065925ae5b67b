//! Keys that sign ID tokens, and how they are published (RFC 7517). The RSA keys were made for these tests and
//! guard nothing.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    self as sign, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding,
};
use serde_json::{Value, json};

/// A key, or what stands in the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// An RSA key of 2048 bits.
    Rsa,
    /// Another one, with another name.
    OtherRsa,
    /// Another one, which goes by the name of the first.
    Impostor,
    /// A key on the curve P-256.
    P256,
    /// A key on the curve P-384.
    P384,
    /// A key on the curve of EdDSA.
    Ed25519,
    /// The public part of the RSA key, taken for the secret of an HMAC.
    PublicAsSecret,
    /// Nobody signs.
    Nobody,
}

impl SigningKey {
    /// The key id.
    pub fn id(self) -> &'static str {
        match self {
            Self::Rsa | Self::Impostor | Self::PublicAsSecret | Self::Nobody => "provider-1",
            Self::OtherRsa => "provider-2",
            Self::P256 => "provider-p256",
            Self::P384 => "provider-p384",
            Self::Ed25519 => "provider-ed25519",
        }
    }

    /// Its usual algorithm (RFC 7518, 3.1).
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Rsa | Self::OtherRsa | Self::Impostor => "RS256",
            Self::P256 => "ES256",
            Self::P384 => "ES384",
            Self::Ed25519 => "EdDSA",
            Self::PublicAsSecret => "HS256",
            Self::Nobody => "none",
        }
    }

    /// Its public part as a JWK, for any algorithm that it is good for.
    pub fn public(self) -> Value {
        let (id, text) = (self.id(), |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes));
        match self {
            Self::Rsa | Self::OtherRsa | Self::Impostor => {
                let (n, e) = self.numbers();
                json!({"kty": "RSA", "use": "sig", "kid": id, "n": text(&n), "e": text(&e)})
            }
            Self::P256 => point("P-256", id, p256().public_key().as_ref()),
            Self::P384 => point("P-384", id, p384().public_key().as_ref()),
            Self::Ed25519 => {
                let x = text(ed25519().public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": id, "x": x})
            }
            Self::PublicAsSecret | Self::Nobody => json!({"kty": "none", "kid": id}),
        }
    }

    /// Modulus and exponent of an RSA key.
    fn numbers(self) -> (Vec<u8>, Vec<u8>) {
        let public = PublicKeyComponents::<Vec<u8>>::from(self.rsa().public());
        (public.n, public.e)
    }

    fn rsa(self) -> &'static RsaKeyPair {
        static ONE: OnceLock<RsaKeyPair> = OnceLock::new();
        static TWO: OnceLock<RsaKeyPair> = OnceLock::new();
        let key = |der: &[u8]| RsaKeyPair::from_pkcs8(der).unwrap();
        match self {
            Self::OtherRsa | Self::Impostor => TWO.get_or_init(|| key(include_bytes!("keys/id-token-2.der"))),
            _ => ONE.get_or_init(|| key(include_bytes!("keys/id-token-1.der"))),
        }
    }

    /// Signs by `algorithm`, as far as the key can.
    pub(super) fn sign(self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match self {
            Self::Rsa | Self::OtherRsa | Self::Impostor => {
                let key = self.rsa();
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding(algorithm), &rng, message, &mut signature).unwrap();
                signature
            }
            Self::P256 => p256().sign(&rng, message).unwrap().as_ref().to_vec(),
            Self::P384 => p384().sign(&rng, message).unwrap().as_ref().to_vec(),
            Self::Ed25519 => ed25519().sign(message).as_ref().to_vec(),
            Self::PublicAsSecret => {
                let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.numbers().0);
                ring::hmac::sign(&secret, message).as_ref().to_vec()
            }
            Self::Nobody => Vec::new(),
        }
    }
}

fn padding(algorithm: &str) -> &'static dyn RsaEncoding {
    match algorithm {
        "RS384" => &sign::RSA_PKCS1_SHA384,
        "RS512" => &sign::RSA_PKCS1_SHA512,
        "PS256" => &sign::RSA_PSS_SHA256,
        "PS384" => &sign::RSA_PSS_SHA384,
        "PS512" => &sign::RSA_PSS_SHA512,
        _ => &sign::RSA_PKCS1_SHA256,
    }
}

/// SEC 1, 2.3.3: a byte that says uncompressed, then the two coordinates.
fn point(curve: &str, id: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "EC", "crv": curve, "use": "sig", "kid": id, "x": text(x), "y": text(y)})
}

fn p256() -> &'static EcdsaKeyPair {
    static KEY: OnceLock<EcdsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| new_ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING))
}

fn p384() -> &'static EcdsaKeyPair {
    static KEY: OnceLock<EcdsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| new_ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING))
}

fn new_ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let rng = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &rng).unwrap()
}

fn ed25519() -> &'static Ed25519KeyPair {
    static KEY: OnceLock<Ed25519KeyPair> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap()
    })
}
