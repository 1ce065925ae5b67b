#[path = "../../../tests/provider/signing.rs"]
#[allow(unreachable_pub, clippy::unwrap_used, reason = "shared with the tests of the program")]
mod signing;

use jiff::Timestamp;
use serde_json::{Value, json};
use signing::SigningKey;

use super::*;
use crate::domain::Account;
use crate::oauth::id_token::{self, Checked, Expectation};

const NOW: i64 = 1_800_000_000;

const KEYS: [SigningKey; 4] = [SigningKey::Rsa, SigningKey::P256, SigningKey::P384, SigningKey::Ed25519];

fn published(keys: &[SigningKey]) -> KeySet {
    set(&keys.iter().map(|key| key.public()).collect::<Vec<_>>())
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://as.example", "aud": "me", "sub": "1089", "iat": NOW, "exp": NOW + 3600,
        "email": "me@work.example",
    })
}

fn token(key: SigningKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(header["alg"].as_str().unwrap_or_default(), signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn usual(key: SigningKey) -> Value {
    json!({"alg": key.algorithm(), "kid": key.id()})
}

fn check(token: &str, keys: &KeySet) -> Result<Checked, Error> {
    let expect = Expectation { issuer: "https://as.example", client_id: "me", nonce: None, now: None };
    id_token::check(&token.into(), keys, &expect, Timestamp::from_second(NOW).unwrap())
}

#[track_caller]
fn assert_refused(token: &str, keys: &KeySet, why: &str) {
    match check(token, keys) {
        Err(Error::Policy { what }) => assert!(what.contains(why), "{what:?} does not say {why:?}"),
        other => panic!("{other:?}, where {why:?} was expected"),
    }
}

#[test]
fn a_token_that_the_provider_has_signed_is_taken_whatever_the_algorithm() {
    let keys = published(&KEYS);
    for key in KEYS {
        let checked = check(&token(key, &usual(key), &claims()), &keys).unwrap();

        let account = Account { email: Some("me@work.example".into()), subject: Some("1089".into()) };
        let expires_at = Timestamp::from_second(NOW + 3600).unwrap();
        assert_eq!(checked, Checked { account, expires_at });
    }
    for algorithm in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        let header = json!({"alg": algorithm, "kid": SigningKey::Rsa.id()});
        check(&token(SigningKey::Rsa, &header, &claims()), &keys).unwrap();
    }
}

#[test]
fn an_algorithm_that_does_not_fit_the_key_is_refused() {
    let keys = published(&KEYS);
    let rsa = SigningKey::Rsa;
    for (signer, header) in [
        (SigningKey::PublicAsSecret, json!({"alg": "HS256", "kid": rsa.id()})),
        (rsa, json!({"alg": "ES256", "kid": rsa.id()})),
        (rsa, json!({"alg": "RS256", "kid": SigningKey::P256.id()})),
        (rsa, json!({"alg": "rs256", "kid": rsa.id()})),
        (SigningKey::P256, json!({"alg": "ES384", "kid": SigningKey::P256.id()})),
        (SigningKey::P384, json!({"alg": "ES256", "kid": SigningKey::P384.id()})),
    ] {
        assert_refused(&token(signer, &header, &claims()), &keys, "not for");
    }
    for algorithm in ["none", "None", "NONE"] {
        let header = json!({"alg": algorithm, "kid": rsa.id()});
        assert_refused(&token(SigningKey::Nobody, &header, &claims()), &keys, "not signed");
    }
    // A signature of another hash or padding than the header says.
    let [_, payload, signature] = split(&token(rsa, &json!({"alg": "PS256", "kid": rsa.id()}), &claims()));
    let [header, ..] = split(&token(rsa, &usual(rsa), &claims()));
    assert_refused(&format!("{header}.{payload}.{signature}"), &keys, "wrong");
}

fn split(token: &str) -> [String; 3] {
    token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn a_key_says_itself_what_it_is_for() {
    let with = |patch: Value| {
        let mut key = SigningKey::Rsa.public();
        key.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        key
    };
    let good = token(SigningKey::Rsa, &usual(SigningKey::Rsa), &claims());

    for patch in [json!({}), json!({"alg": "RS256"}), json!({"use": null}), json!({"key_ops": ["verify"]})] {
        check(&good, &set(&[with(patch)])).unwrap();
    }
    assert_refused(&good, &set(&[with(json!({"alg": "RS512"}))]), "not for");
    for patch in [
        json!({"use": "enc"}),
        json!({"use": 1}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": "verify"}),
        json!({"kty": "oct"}),
        json!({"kty": "EC"}),
        json!({"n": "not base64url!"}),
        json!({"e": null}),
    ] {
        let keys = set(&[with(patch.clone())]);
        assert!(keys.is_empty(), "{patch}");
        assert_refused(&good, &keys, "does not name");
    }
}

#[test]
fn an_unknown_key_and_the_key_of_another_are_refused() {
    let keys = published(&KEYS);

    let other = token(SigningKey::OtherRsa, &usual(SigningKey::OtherRsa), &claims());
    assert_refused(&other, &keys, "does not name");
    let impostor = token(SigningKey::Impostor, &usual(SigningKey::Impostor), &claims());
    assert_refused(&impostor, &keys, "wrong");
    let mut brings_its_own = usual(SigningKey::Impostor);
    brings_its_own["jwk"] = SigningKey::Impostor.public();
    brings_its_own["jku"] = "https://elsewhere.example/keys".into();
    assert_refused(&token(SigningKey::Impostor, &brings_its_own, &claims()), &keys, "wrong");
}

#[test]
fn without_a_name_the_key_must_be_the_only_one() {
    let unnamed = token(SigningKey::Rsa, &json!({"alg": "RS256"}), &claims());

    check(&unnamed, &published(&[SigningKey::Rsa])).unwrap();
    assert_refused(&unnamed, &published(&KEYS), "does not say which key");
    assert_refused(&unnamed, &published(&[]), "does not say which key");
    let odd = token(SigningKey::Rsa, &json!({"alg": "RS256", "kid": 1}), &claims());
    assert_refused(&odd, &published(&[SigningKey::Rsa]), "does not name");
}

#[test]
fn of_keys_with_one_name_a_few_are_tried() {
    let (right, wrong) = (SigningKey::Rsa.public(), SigningKey::Impostor.public());
    let good = token(SigningKey::Rsa, &usual(SigningKey::Rsa), &claims());

    check(&good, &set(&[wrong.clone(), right.clone()])).unwrap();
    let mut many = vec![wrong; 1000];
    many.push(right);
    assert_refused(&good, &set(&many), "wrong");
}

#[test]
fn weak_and_monstrous_numbers_verify_nothing() {
    let good = token(SigningKey::Rsa, &usual(SigningKey::Rsa), &claims());
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let short = text(&[0x03, 0xff]);
    let even = text(&[0xfe; 256]);
    let huge = text(&[0xff; 4096]);
    for (n, e) in [(&*short, "AQAB"), ("", "AQAB"), (&even, "AQAB"), (&huge, "AQAB")] {
        let key = json!({"kty": "RSA", "kid": SigningKey::Rsa.id(), "n": n, "e": e});
        assert_refused(&good, &set(&[key]), "wrong");
    }
    let mut key = SigningKey::Rsa.public();
    for e in ["", "AA", "AQ", "Ag", &text(&[0xff; 16])] {
        key["e"] = (*e).into();
        assert_refused(&good, &set(std::slice::from_ref(&key)), "wrong");
    }
    // A number may begin with zeros.
    let mut key = SigningKey::Rsa.public();
    key["e"] = "AAEAAQ".into();
    check(&good, &set(&[key])).unwrap();
}

#[test]
fn the_claims_are_ours_or_the_token_is_refused() {
    let keys = published(&KEYS);
    let with = |patch: &Value| {
        let mut claims = claims();
        for (name, value) in patch.as_object().unwrap() {
            match value.is_null() {
                true => drop(claims.as_object_mut().unwrap().remove(name)),
                false => claims[name] = value.clone(),
            }
        }
        token(SigningKey::P256, &usual(SigningKey::P256), &claims)
    };
    for (patch, why) in [
        (json!({"iss": "https://as.example/"}), "another issuer"),
        (json!({"iss": null}), "another issuer"),
        (json!({"aud": "you"}), "another client"),
        (json!({"aud": ["me", "you"]}), "another client"),
        (json!({"aud": null}), "another client"),
        (json!({"azp": "you"}), "another client"),
        (json!({"exp": NOW - 301}), "expired"),
        (json!({"exp": null}), "from when to when"),
        (json!({"iat": NOW + 301}), "from the future"),
        (json!({"iat": null}), "from when to when"),
        (json!({"nbf": NOW + 301}), "from the future"),
        (json!({"sub": null}), "no subject"),
        (json!({"sub": 1089}), "no subject"),
        (json!({"sub": ""}), "no subject"),
    ] {
        assert_refused(&with(&patch), &keys, why);
    }
    check(&with(&json!({"aud": ["me", "you"], "azp": "me", "nbf": NOW})), &keys).unwrap();
}

#[test]
fn a_nonce_that_is_known_must_be_there() {
    let keys = published(&KEYS);
    let mut claims = claims();
    claims["nonce"] = "n".into();
    let token = token(SigningKey::P256, &usual(SigningKey::P256), &claims).into();
    let now = Timestamp::from_second(NOW).unwrap();
    let expect = |nonce| Expectation { issuer: "https://as.example", client_id: "me", nonce, now: None };

    id_token::check(&token, &keys, &expect(Some("n")), now).unwrap();
    let refused = id_token::check(&token, &keys, &expect(Some("m")), now);
    assert!(matches!(refused, Err(Error::Policy { .. })), "{refused:?}");
}

#[test]
fn an_extension_that_must_be_understood_is_not() {
    let keys = published(&KEYS);
    for crit in [json!(["exp"]), json!([]), json!("b64"), Value::Null] {
        let mut header = usual(SigningKey::P256);
        header["crit"] = crit;
        assert_refused(&token(SigningKey::P256, &header, &claims()), &keys, "extension");
    }
}

#[test]
fn no_change_of_a_single_bit_is_accepted() {
    let keys = published(&KEYS);
    for key in [SigningKey::Rsa, SigningKey::P256] {
        let good = token(key, &usual(key), &claims());
        let parts = split(&good);
        for (number, part) in parts.iter().enumerate() {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let mut parts = parts.clone();
                parts[number] = BASE64_URL_SAFE_NO_PAD.encode(changed);
                assert!(check(&parts.join("."), &keys).is_err(), "{key:?}: part {number}, bit {bit}");
            }
            // And of the text itself, the last character of which has bits that mean nothing.
            let end = parts[..=number].join(".").len() - 1;
            for bit in 0..7 {
                let mut changed = good.clone().into_bytes();
                changed[end] ^= 1 << bit;
                let changed = String::from_utf8(changed).unwrap();
                assert!(check(&changed, &keys).is_err(), "{key:?}: end of part {number}, bit {bit}");
            }
        }
    }
}

#[test]
fn a_set_of_thousands_of_keys_is_read_and_only_the_named_key_is_tried() {
    let mut keys: Vec<Value> = (0..2000)
        .map(|number| {
            let mut key = SigningKey::OtherRsa.public();
            key["kid"] = format!("k{number}").into();
            key
        })
        .collect();
    keys.push(SigningKey::Rsa.public());
    let text = json!({"keys": keys}).to_string();

    let keys = KeySet::parse(text.as_bytes()).unwrap();

    assert_eq!(keys.len(), 2001);
    assert_eq!(keys.named(Some(SigningKey::Rsa.id())).unwrap().len(), 1);
    check(&token(SigningKey::Rsa, &usual(SigningKey::Rsa), &claims()), &keys).unwrap();
}

#[test]
fn what_is_no_key_set_makes_no_sense() {
    let deep = format!("{{\"keys\":{}{}}}", "[".repeat(500), "]".repeat(500));
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "<html>", &deep] {
        let parsed = KeySet::parse(text.as_bytes());
        assert!(matches!(parsed, Err(Error::Nonsense { .. })), "{text:.40}");
    }
    let odd = json!({"keys": [1, "x", [], {}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]});
    assert!(KeySet::parse(odd.to_string().as_bytes()).unwrap().is_empty());
}
