use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;

const PEM: &str = include_str!("../../../tests/provider/keys/robot.pem");

fn key(pem: &str) -> Result<SigningKey, InvalidKey> {
    SigningKey::from_pem(&pem.into())
}

fn read(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn statement<'a>(subject: Option<&'a str>, purpose: Purpose<'a>) -> Statement<'a> {
    let audience = "https://as.example/token";
    Statement { issuer: "robot@project.example", audience, subject, purpose }
}

#[test]
fn an_assertion_is_signed_by_the_key_and_says_who_asks_whom_for_what_and_until_when() {
    let key = key(PEM).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();

    let jwt = statement(None, Purpose::AccessToken("a b")).sign(&key, Some("key-1"), now).unwrap();

    let parts: Vec<&str> = jwt.expose_secret().split('.').collect();
    assert_eq!(read(parts[0]), json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    let claims = json!({
        "iss": "robot@project.example", "aud": "https://as.example/token", "scope": "a b",
        "iat": 1_800_000_000, "exp": 1_800_003_600,
    });
    assert_eq!(read(parts[1]), claims);
    let signed = format!("{}.{}", parts[0], parts[1]);
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public());
    public.verify(signed.as_bytes(), &signature).unwrap();
}

#[test]
fn a_user_and_an_audience_stand_in_claims_of_their_own() {
    let key = key(PEM).unwrap();
    let sign = |subject, purpose| {
        let jwt = statement(subject, purpose).sign(&key, None, Timestamp::UNIX_EPOCH).unwrap();
        read(jwt.expose_secret().split('.').nth(1).unwrap())
    };

    assert_eq!(sign(Some("me@work.example"), Purpose::AccessToken("a"))["sub"], "me@work.example");
    let claims = sign(None, Purpose::IdToken("https://run.example"));
    assert_eq!(claims["target_audience"], "https://run.example");
    assert!(claims.get("scope").is_none() && claims.get("sub").is_none());
}

#[test]
fn only_an_rsa_key_in_pkcs8_signs() {
    let short = include_str!("../../../tests/provider/keys/short.pem");
    let curve = include_str!("../../../tests/provider/keys/curve.pem");
    let pkcs1 = include_str!("../../../tests/provider/keys/pkcs1.pem");
    for (pem, expected) in [
        ("", InvalidKey::NotPem),
        ("-----BEGIN PRIVATE KEY-----\nnonsense\n", InvalidKey::NotPem),
        (&PEM.replace("PRIVATE", "PUBLIC"), InvalidKey::NotPem),
        (pkcs1, InvalidKey::NotPkcs8),
        (&PEM.repeat(2), InvalidKey::Several),
    ] {
        assert_eq!(key(pem).unwrap_err(), expected);
    }
    for pem in [short, curve, &PEM.replace("MII", "MIA")] {
        assert!(matches!(key(pem).unwrap_err(), InvalidKey::NotPem | InvalidKey::NotRsa(_)));
    }
}

#[test]
fn debug_does_not_show_the_key() {
    let line = PEM.lines().nth(5).unwrap();
    assert!(!format!("{:?}", key(PEM).unwrap()).contains(line));
}
