//! Single bytes of documents, changed under the eyes of the program: one of every kind of place. The
//! same for every byte there is, through the library alone: `tests/properties/tampering.rs`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::provider::Endpoint;
use crate::scene::{Scene, documents, read};

#[test]
fn a_changed_byte_of_any_kind_is_refused_and_nothing_is_sent_or_written() {
    let scene = Scene::new();
    let manifest = scene.home.vault_dir().join("vault.json");
    for document in [scene.home.profile("work"), scene.client(), manifest.clone()] {
        let good = fs::read(&document).unwrap();
        let places = places(&document);
        assert!(places.len() >= 40, "{}: {}", document.display(), places.len());
        for (kind, at) in places {
            let mut bytes = good.clone();
            // A changed letter stays a letter, and a quote becomes something else.
            bytes[at] ^= 1;
            fs::write(&document, &bytes).unwrap();
            let asked = scene.provider.requests().len();
            let before = documents(&scene.home);

            let run = scene.home.run(&["token", "work", "--refresh"]);

            let what = format!("{} at {at}, {kind}: {}", document.display(), run.stderr);
            // Where the slot itself does not open, there is no key to check a MAC with.
            let is_slot = document == manifest && kind.contains("armor");
            assert!(run.code == 6 || is_slot && run.code == 4, "{what}");
            assert_eq!(run.stdout, "", "{what}");
            assert_eq!(scene.provider.requests().len(), asked, "{what}");
            assert!(documents(&scene.home) == before, "{what}");
        }
        if document == scene.home.profile("work") {
            scene.home.run(&["token", "other"]).expect_code(0);
            scene.home.run(&["list"]).expect_code(0);
        }
        fs::write(&document, &good).unwrap();
    }
    scene.home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_changed_byte_of_any_kind_in_a_cached_token_makes_it_no_token() {
    let scene = Scene::new();
    // The token of a refresh, as all the later ones are: that of the login has an ID token beside it.
    scene.home.run(&["token", "work", "--refresh"]).expect_code(0);
    let id = read(&scene.home.profile("work"))["id"].as_str().unwrap().to_owned();
    let path =
        scene.home.files("cache").into_iter().find(|path| path.to_str().unwrap().contains(&id)).unwrap();

    let count = places(&path).len();
    assert!(count >= 40, "{count}");
    for number in 0..count {
        let old = scene.home.run(&["token", "work"]).answer();
        let (kind, at) = places(&path).remove(number);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let asked = scene.provider.count(Endpoint::Token);

        let token = scene.home.run(&["token", "work"]).expect_said("warning").answer();

        assert!(token != old && scene.provider.is_live_access_token(&token), "{kind} at {at}");
        assert_eq!(scene.provider.count(Endpoint::Token), asked + 1, "{kind} at {at}");
    }
}

/// One place of each kind, and what stands there: in the name and in the value of every member, the colon
/// between them, the brackets around it, and beginning, middle and end of each armor.
fn places(document: &Path) -> Vec<(String, usize)> {
    let text = fs::read_to_string(document).unwrap();
    let find = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} stands in it"));
    let mut places = vec![
        ("first bracket".to_owned(), 0),
        ("last bracket".to_owned(), text.trim_end().len() - 1),
        ("first comma".to_owned(), find(",")),
    ];
    for (name, value) in read(document).as_object().unwrap() {
        let at = find(&format!("\n  \"{name}\":")) + 3;
        let colon = at + name.len() + 1;
        places.extend([(format!("quote of {name}"), at), (format!("name of {name}"), at + 1)]);
        places.extend([(format!("colon of {name}"), colon), (format!("value of {name}"), colon + 2)]);
        if let Value::String(value) = value {
            let start = colon + 3;
            places.extend([
                (format!("start of {name}"), start),
                (format!("end of {name}"), start + value.len() - 1),
            ]);
        }
    }
    for (start, _) in text.match_indices("-----BEGIN AGE") {
        let end = start + text[start..].find("-----END AGE").unwrap();
        let armor = [("begin of armor", start), ("body of armor", (start + end) / 2), ("end of armor", end)];
        places.extend(armor.map(|(kind, at)| (kind.to_owned(), at)));
    }
    places
}
