//! The document parser: what it accepts is strict JSON, means the same to every reader, and survives
//! being written.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vault::domain::{Client, Profile};
use vault::seal::{Document, MAX_SIZE, Manifest, Verified};

use crate::vault_of_vectors::{KEY, VAULT, canonical, sign};

/// Largest integer of strict JSON. A document that has been written as often cannot be written again.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Holds whatever `bytes` are; says whether they are a document.
pub fn holds(bytes: &[u8]) -> bool {
    let Ok(document) = Document::parse(bytes) else { return false };
    let fields = fields(bytes);
    assert!(crate::keys::stand_once(bytes), "readers differ on which of two counts");
    assert_eq!(
        document.facts::<Map<String, Value>>().unwrap(),
        fields,
        "another reader reads something else"
    );
    assert_means(&document.to_bytes(), &fields);
    assert_only_its_mac_fits(fields);
    true
}

fn fields(bytes: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(bytes).expect("strict JSON is JSON")
}

/// What is written can be read and means `fields`.
fn assert_means(written: &[u8], fields: &Map<String, Value>) {
    // Indented, it may have outgrown what is read.
    if written.len() > MAX_SIZE {
        return;
    }
    let again = Document::parse(written).expect("what was read can be written and read");
    assert_eq!(again.to_bytes(), written);
    assert_eq!(canonical(&again.facts().unwrap()), canonical(&Value::Object(fields.clone())));
}

/// A MAC over it all is accepted, and none over anything else; then it can be written on.
fn assert_only_its_mac_fits(fields: Map<String, Value>) {
    let signed = sign(fields);
    let verify = |bytes: &[u8]| Document::parse(bytes).unwrap().verify(&VAULT, &KEY);
    let document = verify(&signed).expect("a MAC that fits is accepted");

    let mut changed = self::fields(&signed);
    changed.insert("another".into(), changed.len().into());
    verify(canonical(&Value::Object(changed)).as_bytes()).expect_err("a MAC over less is refused");

    if document.generation() < MAX_INTEGER {
        assert_unchanged_by_a_write(&document, document.next().sign(&KEY));
        assert_known_facts_come_back::<Profile>(&document);
        assert_known_facts_come_back::<Client>(&document);
        assert_known_facts_come_back::<Manifest>(&document);
    }
}

/// Everything but the envelope is still there.
fn assert_unchanged_by_a_write(before: &Verified, after: Verified) {
    assert_eq!(after.generation(), before.generation() + 1);
    let content = |document: &Verified| {
        let mut fields: Map<String, Value> = document.facts().unwrap();
        fields.remove("generation");
        fields.remove("mac");
        fields
    };
    assert_eq!(content(before), content(&after));
    assert_means(&after.to_bytes(), &after.facts().unwrap());
}

/// Facts that can be read are the same after a write, and so is every field that they do not know.
fn assert_known_facts_come_back<T: Serialize + DeserializeOwned>(document: &Verified) {
    let Ok(facts) = document.facts::<T>() else { return };
    let after = document.next().facts(&facts).sign(&KEY);
    let text = |facts: T| serde_json::to_value(facts).unwrap();
    assert_eq!(text(after.facts().unwrap()), text(facts));
    let (before, after): (Map<_, _>, Map<_, _>) = (document.facts().unwrap(), after.facts().unwrap());
    for name in before.keys() {
        assert!(after.contains_key(name), "{name:?} is lost");
    }
}
