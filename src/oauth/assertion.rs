//! What a service account signs to get a token: a JWT as its grant (RFC 7523, 2.1), signed with RS256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::Error;

/// How long an assertion is good for, in seconds: the most that Google accepts.
/// <https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth>
const LIFE: i64 = 3600;

/// Why a text is no key that can sign.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKey {
    /// There is no private key in it.
    #[error("the private key is not in PEM, between BEGIN PRIVATE KEY and END PRIVATE KEY")]
    NotPem,
    /// It is a private key in another envelope.
    #[error("the private key is not in PKCS#8, as BEGIN PRIVATE KEY would say")]
    NotPkcs8,
    /// There is more than one.
    #[error("there is more than one private key")]
    Several,
    /// It is no RSA key, or it is damaged, or of a size that is not used.
    #[error("the private key is not an RSA key of 2048 to 4096 bits ({0})")]
    NotRsa(String),
}

/// A private key that signs with RS256 (RFC 7518, 3.3). `Debug` shows its public half only.
#[derive(Debug)]
pub struct SigningKey(RsaKeyPair);

impl SigningKey {
    /// The key in a PEM text: RSA in PKCS#8, from 2048 bits, which RFC 7518, 3.3 asks for at least, to 4096, the
    /// most that `ring` signs with.
    ///
    /// # Errors
    ///
    /// If it is anything else.
    pub fn from_pem(pem: &SecretString) -> Result<Self, InvalidKey> {
        let mut keys = PrivateKeyDer::pem_slice_iter(pem.expose_secret().as_bytes());
        let first = keys.next().and_then(Result::ok).ok_or(InvalidKey::NotPem)?;
        if keys.next().is_some() {
            return Err(InvalidKey::Several);
        }
        let PrivateKeyDer::Pkcs8(der) = first else { return Err(InvalidKey::NotPkcs8) };
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der());
        pair.map(Self).map_err(|error| InvalidKey::NotRsa(error.to_string()))
    }

    /// The modulus and the exponent of its public half, in DER (RFC 8017, A.1.1).
    pub fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The JWT of `claims` (RFC 7515, 7.1).
    fn sign(&self, key_id: Option<&str>, claims: &Map<String, Value>) -> Result<SecretString, Error> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = key_id {
            header["kid"] = id.into();
        }
        let claims = serde_json::to_string(claims).expect("claims can be written to memory");
        let input = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.as_bytes()));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)
            .map_err(|_| Error::policy("the private key does not sign"))?;
        Ok(format!("{input}.{}", part(&signature)).into())
    }
}

fn part(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What an assertion is to bring.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// An access token with these scopes, in the form of a request.
    AccessToken(&'a str),
    /// An ID token for this audience.
    /// <https://cloud.google.com/docs/authentication/get-id-token#sa-key>
    IdToken(&'a str),
}

/// Who asserts what to whom. Destination and issuer come from an opened seal.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The address of the service account.
    pub issuer: &'a str,
    /// The token endpoint that is to accept it (RFC 7523, 3).
    pub audience: &'a str,
    /// The user on whose behalf it acts, if not for itself.
    pub subject: Option<&'a str>,
    /// What it is for.
    pub purpose: Purpose<'a>,
}

impl Statement<'_> {
    /// Signs it at `now`. It holds for an hour, and brings a token whoever has it: it is a secret.
    ///
    /// # Errors
    ///
    /// If the key does not sign.
    pub fn sign(
        &self,
        key: &SigningKey,
        key_id: Option<&str>,
        now: Timestamp,
    ) -> Result<SecretString, Error> {
        let iat = now.as_second();
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), self.issuer.into());
        claims.insert("aud".to_owned(), self.audience.into());
        claims.insert("iat".to_owned(), iat.into());
        claims.insert("exp".to_owned(), (iat + LIFE).into());
        if let Some(subject) = self.subject {
            claims.insert("sub".to_owned(), subject.into());
        }
        let (name, value) = match self.purpose {
            Purpose::AccessToken(scope) => ("scope", scope),
            Purpose::IdToken(audience) => ("target_audience", audience),
        };
        claims.insert(name.to_owned(), value.into());
        key.sign(key_id, &claims)
    }
}

#[cfg(test)]
mod tests;
