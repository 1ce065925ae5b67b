//! `vault rotate key`: everything under a new key, and nothing under the old one.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use vault::seal::{Document, KeyRing};

use crate::expiry::{API_KEY, assert_no_stray_file};
use crate::kills::{Subject, alone};
use crate::rotation::{assert_all_open, assert_unnamed, documents, key, kids, pinned};
use crate::stage::Stage;

#[test]
fn after_a_rotation_the_old_key_opens_nothing_and_the_new_one_everything() {
    let stage = Stage::with_grace();
    let home = &stage.home;
    let (vault, old) = key(home);
    let tokens = home.files("cache").len();

    let run = home.run(&["rotate"]).expect_code(0).expect_said("Rotated the vault key");

    let (_, new) = key(home);
    let old_kid = old.id(&vault).to_string();
    assert!(run.stderr.contains(&format!("vault key accept {}", new.id(&vault))));
    assert_eq!(kids(home), BTreeSet::from([new.id(&vault).to_string()]));
    assert_eq!(home.files("cache").len(), tokens);
    let old = KeyRing::of(old);
    for path in documents(home) {
        let document = Document::parse(&fs::read(&path).unwrap()).unwrap();
        assert!(document.verify(&vault, &old).is_err(), "{}", path.display());
    }
    assert_all_open(home, &vault, new);
    assert_unnamed(home, &old_kid, "after the rotation");
    stage.assert_whole("work", &stage.refresh_token, "after the rotation");
    home.run(&["token", "work"]).expect_code(0);
    assert!(!stage.was_asked(), "the cached token goes on");
    assert_no_stray_file(home);
}

#[test]
fn a_rotation_says_what_it_has_done_as_json() {
    let stage = Stage::with_grace();
    let (_, old) = key(&stage.home);

    let answer = stage.home.run(&["rotate", "key", "--json"]).expect_code(0).answer();

    let (vault, new) = key(&stage.home);
    let rotation = &serde_json::from_str::<Value>(&answer).unwrap()["rotation"];
    assert_eq!(rotation["kid"], new.id(&vault).to_string());
    assert_eq!(rotation["old_kid"], old.id(&vault).to_string());
    assert_eq!((&rotation["documents"], &rotation["resumed"]), (&3.into(), &false.into()));
    assert!(!answer.contains(API_KEY));
}

/// A client and four profiles, one of which has an API key.
fn five_documents() -> Stage {
    let stage = Stage::with_grace();
    for name in ["third", "fourth"] {
        let _ = stage.home.add_profile(&stage.provider, name).expect_code(0);
    }
    stage.now()
}

#[test]
fn a_rotation_killed_at_any_change_is_finished_by_the_next_run() {
    let stage = five_documents();
    let (vault, old) = key(&stage.home);
    let old = old.id(&vault).to_string();
    let subject =
        Subject { home: &stage.home, arguments: &["rotate"], prepare: &|| stage.reset(), run: alone };
    let tally = subject.kill_at_changes(|step| {
        let why = format!("{step:?}");
        // Before anybody finishes it, every command works.
        stage.assert_whole("work", &stage.refresh_token, &why);
        let again = stage.home.run(&["rotate"]);
        assert_eq!(again.code, 0, "{why}: {}", again.stderr);
        stage.assert_discreet(&again);
        let found = kids(&stage.home);
        assert!(found.len() == 1 && !found.contains(&old), "{why}: {found:?}");
        stage.assert_whole("work", &stage.refresh_token, &why);
        let (kids, dropped) = pinned(&stage.home);
        assert_eq!((kids.len(), dropped), (1, Vec::new()), "{why}");
        assert_no_stray_file(&stage.home);
    });
    eprintln!("kills of vault rotate: {tally:?}");
    assert!(tally.is_none_or(|tally| tally.killed >= 100), "too few to be true");
}
