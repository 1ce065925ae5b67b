//! What a rotation promises of any document: everything in it is as it was, under the new key only.

use proptest::collection::btree_map;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::document::ENVELOPE;
use super::{Document, Draft, Format, KeyRing, VaultKey, Verified, json as strict};
use crate::domain::{DocumentId, VaultId};

fn id() -> DocumentId {
    DocumentId::from_bytes([7; 16])
}

/// What stands where no version of today expects anything, too.
type Fields = std::collections::BTreeMap<String, Value>;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..1_u64 << 53).prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-z_]{1,8}", inner, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn fields(most: usize) -> impl Strategy<Value = Fields> {
    let is_free = |name: &String| !ENVELOPE.contains(&name.as_str());
    btree_map("[A-Za-z0-9_]{1,12}".prop_filter("no field of the envelope", is_free), value(), 0..most)
}

/// The plaintext of an item, with fields beside those of this version.
fn plaintext(vault: &VaultId, field: &str, secret: &str, more: &Fields) -> Map<String, Value> {
    let mut text = Map::from_iter(more.clone());
    let ours = json!({
        "v": 1, "vault": vault, "document": id(), "field": field, "value": secret, "pad": "",
        "bind": {"issuer": "https://issuer.example", "later": more},
    });
    text.extend(ours.as_object().unwrap().clone());
    text
}

fn document(vault: &VaultId, keys: &KeyRing, public: &Fields, items: &[Map<String, Value>]) -> Verified {
    let mut draft = Draft::new(Format::Profile, vault.clone(), id());
    draft.fields.extend(public.clone());
    for item in items {
        let message = keys.current().seal(&serde_json::to_vec(item).unwrap());
        draft.secrets().insert(item["field"].as_str().unwrap().to_owned(), message.into());
    }
    draft.sign(keys)
}

fn public(document: &Document) -> Map<String, Value> {
    let mut public = document.fields.clone();
    public.retain(|name, _| !ENVELOPE.contains(&name.as_str()));
    public
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_resealed_document_holds_what_it_held_and_opens_with_the_new_key_alone(
        facts in fields(6),
        secrets in btree_map("[a-z_]{1,12}", (".{0,600}", fields(3)), 0..4),
        moves in any::<bool>(),
    ) {
        let from = VaultId::from_bytes([1; 16]);
        let to = VaultId::from_bytes([1 + u8::from(moves); 16]);
        let (old, new) = (KeyRing::of(VaultKey::generate()), VaultKey::generate());
        let texts = |vault| -> Vec<_> {
            secrets.iter().map(|(field, (secret, more))| plaintext(vault, field, secret, more)).collect()
        };
        let before = document(&from, &old, &facts, &texts(&from));

        let draft = before.reseal(&old, &to, &new).unwrap();
        let new = KeyRing::of(new);
        let after = Document::parse(&draft.sign(&new).to_bytes()).unwrap();

        prop_assert!(after.clone().verify(&to, &old).is_err());
        let after = after.verify(&to, &new).unwrap();
        prop_assert_eq!(after.open_all(&new).unwrap(), secrets.len());
        prop_assert_eq!((after.id(), after.generation()), (before.id(), before.generation() + 1));
        prop_assert_eq!(public(&after), public(&before));
        for expected in texts(&to) {
            let message = after.fields["secrets"][expected["field"].as_str().unwrap()].as_str().unwrap();
            prop_assert!(old.current().open(message).is_err());
            let opened = new.current().open(message).unwrap();
            prop_assert_eq!(opened.len() % 512, 0);
            let mut found = strict::parse(&opened).unwrap();
            found.insert("pad".to_owned(), "".into());
            prop_assert_eq!(found, expected);
        }
    }
}
