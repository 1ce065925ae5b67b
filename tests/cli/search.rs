//! Looking for secrets in whatever clothes they could slip through.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine};

/// Finds any of many secrets, as they are or encoded, in one pass over a text.
pub struct Search {
    automaton: AhoCorasick,
    names: Vec<String>,
}

impl Search {
    /// A search for these secrets, each with what it is called in a failure.
    pub fn new(secrets: &[(String, String)]) -> Self {
        let mut names = Vec::new();
        let mut needles = Vec::new();
        for (name, secret) in secrets {
            assert!(secret.len() >= 16, "{name} is too short to be looked for");
            for (clothes, needle) in disguises(secret) {
                names.push(format!("{name} ({clothes})"));
                needles.push(needle);
            }
        }
        Self { automaton: AhoCorasick::new(needles).unwrap(), names }
    }

    /// What is found, by name.
    pub fn found(&self, text: impl AsRef<[u8]>) -> BTreeSet<&str> {
        let matches = self.automaton.find_iter(text.as_ref());
        matches.map(|found| self.names[found.pattern().as_usize()].as_str()).collect()
    }
}

/// A secret as it is, and as programs write it down.
fn disguises(secret: &str) -> BTreeSet<(&'static str, String)> {
    let json = serde_json::to_string(secret).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    let mut all = BTreeSet::from([
        ("as it is", secret.to_owned()),
        ("in a URL", url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()),
        ("in a path", percent(secret)),
        ("in hex", hex::encode(secret)),
        ("in HEX", hex::encode_upper(secret)),
        ("in JSON", json.replace('/', "\\/")),
        ("in JSON", json),
    ]);
    for offset in 0..3 {
        // What stands before a secret decides where its bits begin, what follows decides its last letter.
        let skipped = [0, 2, 3][offset];
        let shifted = [&vec![0; offset][..], secret.as_bytes()].concat();
        let whole = shifted.len() * 8 / 6;
        all.insert(("in base64", BASE64_STANDARD_NO_PAD.encode(&shifted)[skipped..whole].to_owned()));
        all.insert(("in base64", BASE64_URL_SAFE_NO_PAD.encode(&shifted)[skipped..whole].to_owned()));
    }
    all
}

/// Everything but letters and digits as `%` and two digits.
fn percent(secret: &str) -> String {
    let one = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    secret.bytes().map(one).collect()
}

#[test]
fn a_secret_is_found_in_any_clothes_and_in_the_middle_of_others() {
    let secret = "1//0g-canary \"\\+/=?\u{e9} of a secret";
    let search = Search::new(&[("it".to_owned(), secret.to_owned())]);

    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{secret}xyz");
        for encoded in [
            text.clone(),
            BASE64_STANDARD_NO_PAD.encode(&text),
            BASE64_URL_SAFE_NO_PAD.encode(&text),
            hex::encode(&text),
            hex::encode_upper(&text),
            serde_json::to_string(&text).unwrap(),
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            url::Url::parse(&format!("http://h/?{text}"))
                .unwrap()
                .query()
                .unwrap()
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('-', "%2D")
                .replace('=', "%3D")
                .replace('?', "%3F")
                .replace("%22\\", "%22%5C"),
        ] {
            assert!(!search.found(&encoded).is_empty(), "{encoded}");
        }
    }
    assert!(search.found("1//0g-canary").is_empty());
}
