//! The public keys of a provider (RFC 7517), and whether one of them has signed something.
//!
//! What a key is for is decided by the key. The header of a token is written by whoever sends it: an algorithm
//! that it names counts only if it fits the type of a key of the provider, and a key that the header brings along
//! or points to is never looked at.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use ring::signature as sign;
use url::Url;

use super::json::{self, Members, Value};
use super::token_endpoint::redirected;
use super::{Error, Http, Method, Request};

/// Most keys of one name that are tried: providers have one, and two of different types at most.
const MOST_TRIED: usize = 4;

/// The keys of a provider that a signature can be checked with.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, if it says so (RFC 7517, 4.4).
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// What the header of a token says of its signature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed<'a> {
    pub(super) algorithm: &'a str,
    pub(super) key: Option<&'a str>,
}

/// Gets the keys of a provider.
///
/// # Errors
///
/// [`Error::Nonsense`] if the answer is no key set, else the errors of the network.
pub fn fetch(http: &dyn Http, url: &Url, timeout: Duration) -> Result<KeySet, Error> {
    let request = Request { method: Method::Get, url: url.clone(), authorization: None, timeout };
    let response = http.send(&request)?;
    let status = response.status;
    if response.is_redirect() {
        return Err(redirected("key set", status));
    }
    if response.is_unavailable() {
        return Err(Error::Unavailable { status, retry_after: response.retry_after });
    }
    if !response.is_success() {
        return Err(Error::nonsense(format!("the provider has no key set there (HTTP status {status})")));
    }
    KeySet::parse(&response.body)
}

impl KeySet {
    /// Reads a key set. A key that is of no use here is left out (RFC 7517, 5).
    ///
    /// # Errors
    ///
    /// [`Error::Nonsense`] if it is none.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let members = json::strict(text)
            .map_err(|error| Error::nonsense(format!("the key set of the provider is odd: {error}")))?;
        let Some(Value::List(list)) = members.get("keys") else {
            return Err(Error::nonsense("the key set of the provider has no list of keys"));
        };
        let keys = list.iter().filter_map(|value| match value {
            Value::Object(members) => Key::read(members),
            _ => None,
        });
        Ok(Self { keys: keys.collect() })
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks that one of the keys has signed `message`.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] if none has.
    pub(super) fn verify(&self, claimed: Claimed<'_>, message: &str, signature: &[u8]) -> Result<(), Error> {
        let named = self.named(claimed.key)?;
        let fitting: Vec<_> =
            named.iter().filter_map(|key| Some((key, key.verifier(claimed.algorithm)?))).collect();
        if fitting.is_empty() {
            let what = "the ID token is signed in a way that the key of the provider is not for";
            return Err(Error::policy(what));
        }
        let has_signed = fitting
            .iter()
            .take(MOST_TRIED)
            .any(|(key, verifier)| key.has_signed(verifier, message.as_bytes(), signature));
        if has_signed { Ok(()) } else { Err(Error::policy("the signature of the ID token is wrong")) }
    }

    /// The keys that `id` can mean. Without one there must be one key only (OpenID Connect Core, 10.1).
    fn named(&self, id: Option<&str>) -> Result<Vec<&Key>, Error> {
        let Some(id) = id else {
            return match &self.keys[..] {
                [key] => Ok(vec![key]),
                _ => Err(Error::policy("the ID token does not say which key of the provider has signed it")),
            };
        };
        let named: Vec<&Key> = self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).collect();
        match named.is_empty() {
            true => Err(Error::policy("the ID token is signed with a key that the provider does not name")),
            false => Ok(named),
        }
    }
}

/// How a signature is checked.
enum Verifier {
    Rsa(&'static sign::RsaParameters),
    Other(&'static dyn sign::VerificationAlgorithm),
}

impl Key {
    fn read(members: &Members) -> Option<Self> {
        if !is_for_signatures(members) {
            return None;
        }
        let text = |name: &str| members.text(name).map(str::to_owned);
        Some(Self { id: text("kid"), algorithm: text("alg"), material: Material::read(members)? })
    }

    /// How a signature of `algorithm` (RFC 7518, 3.1; RFC 8037, 3.1) is checked with this key, if it is for that.
    fn verifier(&self, algorithm: &str) -> Option<Verifier> {
        if self.algorithm.as_deref().is_some_and(|only| only != algorithm) {
            return None;
        }
        Some(match (&self.material, algorithm) {
            (Material::Rsa { .. }, "RS256") => Verifier::Rsa(&sign::RSA_PKCS1_2048_8192_SHA256),
            (Material::Rsa { .. }, "RS384") => Verifier::Rsa(&sign::RSA_PKCS1_2048_8192_SHA384),
            (Material::Rsa { .. }, "RS512") => Verifier::Rsa(&sign::RSA_PKCS1_2048_8192_SHA512),
            (Material::Rsa { .. }, "PS256") => Verifier::Rsa(&sign::RSA_PSS_2048_8192_SHA256),
            (Material::Rsa { .. }, "PS384") => Verifier::Rsa(&sign::RSA_PSS_2048_8192_SHA384),
            (Material::Rsa { .. }, "PS512") => Verifier::Rsa(&sign::RSA_PSS_2048_8192_SHA512),
            (Material::P256(_), "ES256") => Verifier::Other(&sign::ECDSA_P256_SHA256_FIXED),
            (Material::P384(_), "ES384") => Verifier::Other(&sign::ECDSA_P384_SHA384_FIXED),
            (Material::Ed25519(_), "EdDSA" | "Ed25519") => Verifier::Other(&sign::ED25519),
            _ => return None,
        })
    }

    fn has_signed(&self, verifier: &Verifier, message: &[u8], signature: &[u8]) -> bool {
        match (verifier, &self.material) {
            (Verifier::Rsa(parameters), Material::Rsa { n, e }) => {
                sign::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            (
                Verifier::Other(algorithm),
                Material::P256(point) | Material::P384(point) | Material::Ed25519(point),
            ) => sign::UnparsedPublicKey::new(*algorithm, point).verify(message, signature).is_ok(),
            _ => false,
        }
    }
}

/// RFC 7517, 4.2 and 4.3: a key may say what it is for. Those that say nothing are for anything.
fn is_for_signatures(members: &Members) -> bool {
    let is_use = members.get("use").is_none_or(|value| value.text() == Some("sig"));
    let is_operation = match members.get("key_ops") {
        None => true,
        Some(Value::List(list)) => list.iter().any(|operation| operation.text() == Some("verify")),
        Some(_) => false,
    };
    is_use && is_operation
}

impl Material {
    /// RFC 7518, 6, and RFC 8037, 2. A secret that is shared is no public key, whoever publishes it.
    fn read(members: &Members) -> Option<Self> {
        let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(members.text(name)?).ok();
        let point = |length: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            // Uncompressed, as SEC 1, 2.3.3 has it.
            (x.len() == length && y.len() == length).then(|| [&[4], &x[..], &y[..]].concat())
        };
        match (members.text("kty")?, members.text("crv")) {
            ("RSA", _) => Some(Self::Rsa { n: without_zeros(bytes("n")?), e: without_zeros(bytes("e")?) }),
            ("EC", Some("P-256")) => Some(Self::P256(point(32)?)),
            ("EC", Some("P-384")) => Some(Self::P384(point(48)?)),
            ("OKP", Some("Ed25519")) => Some(Self::Ed25519(bytes("x").filter(|x| x.len() == 32)?)),
            _ => None,
        }
    }
}

/// Some providers begin a number with a zero, which RFC 7518, 2 forbids, and which changes nothing.
fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number[zeros..].to_vec()
}

#[cfg(test)]
mod tests;
