//! An ID token and the keys that it is checked with: whatever comes, none is taken but one that its issuer has
//! signed, and an error repeats nothing of it.

use jiff::Timestamp;
use serde_json::Value;
use vault::oauth::id_token::{self, Expectation};
use vault::oauth::key_set::KeySet;

/// Within the life of the tokens of the seeds.
const NOW: i64 = 1_800_000_000;

/// What the issuer of the seeds has signed, and nothing else.
const SIGNED: &str = "eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUiLCJhdWQiOiJtZSIsInN1YiI6IjEwODkiLCJpYXQiOjE4MDAwMDAwMDAsImV4cCI6\
                      MTgwMDAwMzYwMH0";

/// Holds whatever `bytes` are: the first line is an ID token, the rest a key set. Says whether the token was taken.
pub fn holds(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let token = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let set = bytes.get(end + 1..).unwrap_or_default();
    let keys = match KeySet::parse(set) {
        Ok(keys) => keys,
        Err(error) => {
            crate::clean::assert_error(&error);
            return false;
        }
    };
    assert!(crate::keys::stand_once(set), "readers differ on which of two counts");
    let listed: Value = serde_json::from_slice(set).expect("a key set is a JSON object");
    assert!(keys.len() <= listed["keys"].as_array().expect("it has a list of keys").len());

    let expect = Expectation { issuer: "https://as.example", client_id: "me", nonce: None, now: None };
    match id_token::check(&token.as_str().into(), &keys, &expect, Timestamp::from_second(NOW).unwrap()) {
        Ok(checked) => {
            assert_eq!(token.split('.').nth(1), Some(SIGNED), "nobody has signed {token}");
            assert_eq!(checked.account.subject.as_deref(), Some("1089"));
            true
        }
        Err(error) => {
            crate::clean::assert_error(&error);
            if token.len() > 20 {
                crate::clean::assert_does_not_show(&error, &token);
            }
            false
        }
    }
}
