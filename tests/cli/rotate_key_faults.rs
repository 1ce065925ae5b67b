//! `vault rotate key` on damaged vaults, and on disks that are full, fail, or may not be written.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::disk::{Disk, with_own_mounts};
use crate::expiry::{Snapshot, assert_no_stray_file, expired};
use crate::forge;
use crate::full_disks::Immutable;
use crate::home::Home;
use crate::injection::{Call, Fate, Tracer, name};
use crate::outside;
use crate::rotation::{assert_rotated_from, assert_unchanged, kid, manifest, stop_before};
use crate::scene::{Scene, edit};
use crate::stage::Stage;

/// Somebody else's document, or one that was damaged.
type Damage = fn(&Scene, &std::path::Path);

const DAMAGES: [(&str, Damage); 6] = [
    ("cut off", |_, path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("changed", |_, path| edit(path, |document| document["generation"] = 1000.into())),
    ("of another key", |_, path| {
        edit(path, |document| forge::sign_with(&age::x25519::Identity::generate(), document));
    }),
    ("of another vault", |_, path| {
        edit(path, |document| document["vault"] = "0".repeat(32).into());
    }),
    ("with an item that does not open", |scene, path| {
        edit(path, |document| {
            let stranger = age::x25519::Identity::generate().to_public();
            let secrets = document["secrets"].as_object_mut().unwrap();
            let item = secrets.values_mut().next().unwrap();
            *item = forge::seal(&stranger, b"canary").into();
        });
        forge::sign(&scene.home, path);
    }),
    ("of a newer version", |scene, path| {
        edit(path, |document| {
            let format = document["format"].as_str().unwrap().replace("/1", "/2");
            document["format"] = Value::from(format);
        });
        forge::sign(&scene.home, path);
    }),
];

#[test]
fn a_damaged_document_stops_a_rotation_before_anything_is_written_and_is_named() {
    let scene = Scene::new();
    let home = &scene.home;
    let old = kid(home);
    for (path, named) in [(home.profile("other"), "profile `other`"), (scene.client(), "client `127.0.0.1`")]
    {
        for (what, damage) in DAMAGES {
            let rightful = fs::read(&path).unwrap();
            damage(&scene, &path);
            let before = Snapshot::of(home);

            let run = home.run(&["rotate"]);

            let expected = if what == "of a newer version" { [6, 14] } else { [6, 6] };
            assert!(expected.contains(&run.code) && run.stderr.contains(named), "{what}: {run:?}");
            assert_unchanged(&before, home);
            fs::write(&path, rightful).unwrap();
        }
    }
    home.run(&["rotate"]).expect_code(0);
    assert_rotated_from(home, &old, "once all is well");
}

#[test]
fn a_document_that_is_damaged_in_the_middle_of_a_rotation_keeps_the_old_key_until_it_is_mended() {
    let scene = Scene::new();
    let home = &scene.home;
    let old = kid(home);
    stop_before(home, "work");
    for path in [home.profile("other"), home.profile("work")] {
        // The vault key of the file of the user is still the old one, which some documents are under.
        for (what, damage) in &DAMAGES[..4] {
            let rightful = fs::read(&path).unwrap();
            damage(&scene, &path);

            let run = home.run(&["rotate"]).expect_code(13);

            assert!(
                run.stderr.contains("profile `") && run.stderr.contains("run `vault rotate` again"),
                "{what}: {run:?}"
            );
            assert!(manifest(home)["rotation"].is_object(), "{what}");
            // What was not damaged may have been sealed anew meanwhile.
            fs::write(&path, rightful).unwrap();
        }
    }
    home.run(&["rotate"]).expect_code(0);
    assert_rotated_from(home, &old, "once all is well");
}

#[test]
fn a_full_disk_stops_a_rotation_at_any_page_and_the_next_run_finishes_it() {
    with_own_mounts(|| {
        let stage = Stage::with_grace();
        let home = &stage.home;
        let disk = Disk::under(&home.path(""));
        let mut codes = BTreeSet::new();
        let last = 16;
        for pages in 0..=last {
            let old = kid(home);
            disk.leave_pages(if pages == last { 120 } else { pages });
            let run = home.run(&["rotate"]);
            assert!([0, 10, 13].contains(&run.code), "{pages}: {run:?}");
            if run.code == 13 {
                assert!(run.stderr.contains(" of 3 documents"), "{pages}: {run:?}");
            }
            stage.assert_discreet(&run);
            // Everything opens on the full disk too.
            stage.assert_whole("work", &stage.refresh_token, &format!("{pages}: {run:?}"));
            disk.mend();
            if run.code != 0 {
                home.run(&["rotate"]).expect_code(0);
            }
            assert_rotated_from(home, &old, &format!("{pages}: {run:?}"));
            stage.assert_whole("work", &stage.refresh_token, &format!("{pages}: {run:?}"));
            assert_no_stray_file(home);
            codes.insert(run.code);
        }
        assert!(codes.contains(&0) && codes.contains(&10), "{codes:?}");
    });
}

#[test]
fn a_document_or_folder_that_may_not_be_written_stops_a_rotation_and_the_next_run_finishes_it() {
    let (_provider, home) = expired();
    for (path, done) in [(home.profile("work"), "1 of 2"), (home.vault_dir().join("profiles"), "1 of 2")] {
        let old = kid(&home);
        {
            let Some(_flag) = Immutable::set(&path) else { return };
            for _ in 0..2 {
                home.run(&["rotate"])
                    .expect_code(13)
                    .expect_said(done)
                    .expect_said("run `vault rotate` again");
            }
            home.run(&["verify"]).expect_code(0);
            home.run(&["reveal", "work", "api_key"]).expect_code(0);
        }
        home.run(&["rotate"]).expect_code(0);
        assert_rotated_from(&home, &old, "once it may be written");
    }
}

#[test]
fn a_vault_that_may_only_be_read_is_not_rotated_and_stays_as_it_is() {
    with_own_mounts(|| {
        for folder in ["data/vault", "state", ""] {
            let (_provider, home) = expired();
            let old = kid(&home);
            let disk = Disk::under(&home.path(folder));
            disk.forbid_writing();
            let before = Snapshot::of(&home);

            home.run(&["rotate"]).expect_code(10);

            assert_unchanged(&before, &home);
            home.run(&["verify"]).expect_code(0);
            disk.mend();
            home.run(&["rotate"]).expect_code(0);
            assert_rotated_from(&home, &old, folder);
        }
    });
}

/// Calls that change files.
const CHANGING: &str = "openat,open,write,fsync,rename,unlink,ftruncate,mkdir,flock";

/// What the disk says, in turn.
const ERRORS: [&str; 4] = ["ENOSPC", "EIO", "EROFS", "EACCES"];

/// Of the calls, so many are left out between two that fail, where nobody asks for all.
const STRIDE: usize = 5;

#[test]
fn an_error_at_any_change_of_a_rotation_loses_nothing_and_the_next_run_finishes_it() {
    let stage = Stage::with_grace();
    let home = &stage.home;
    let folders = ["data", "state", "cache"];
    let is_ours =
        |line: &&String| folders.iter().any(|folder| line.contains(home.path(folder).to_str().unwrap()));
    let tracer = Tracer::new(home, CHANGING);
    let Some(lines) = tracer.trace(&["-y"], &["rotate"]) else { return };
    let calls =
        numbered(&lines, |line| is_ours(&line) && (!line.contains("open") || line.contains("O_CREAT")));
    assert!(calls.len() > 50, "{calls:?}");
    let mut codes = BTreeSet::new();

    for (turn, call) in calls.iter().enumerate().step_by(if outside::is_exhaustive() { 1 } else { STRIDE }) {
        for lasts in [false, true] {
            stage.reset();
            let old = kid(home);
            let what = format!("error={}", ERRORS[turn % ERRORS.len()]);
            let run = tracer.run(call, Fate { what: &what, lasts }, &["rotate"]);
            let why = format!("{call:?} {what} {lasts}: {run:?}");
            assert!([0, 10, 13].contains(&run.code), "{why}");
            stage.assert_discreet(&run);
            stage.assert_whole("work", &stage.refresh_token, &why);
            if run.code != 0 || kid(home) == old {
                let again = home.run(&["rotate"]);
                assert_eq!(again.code, 0, "{why}: {}", again.stderr);
            }
            stage.assert_whole("work", &stage.refresh_token, &why);
            assert_ne!(kid(home), old, "{why}");
            codes.insert(run.code);
        }
    }
    eprintln!("errors at {} calls of vault rotate: {codes:?}", calls.len());
    assert!(codes.contains(&10) && codes.contains(&13), "{codes:?}");
}

/// The calls of a trace that are looked for, with their numbers among all of their names.
fn numbered(lines: &[String], is_wanted: impl Fn(&String) -> bool) -> Vec<Call> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    let mut calls = Vec::new();
    for line in lines {
        let Some(name) = name(line) else { continue };
        let number = *counts.entry(name).and_modify(|count| *count += 1).or_insert(1);
        if is_wanted(line) {
            calls.push(Call { name: name.to_owned(), number });
        }
    }
    calls
}

#[test]
fn a_rotation_needs_a_vault_and_makes_none() {
    let home = Home::new();

    home.run(&["rotate"]).expect_code(3);

    assert!(!home.vault_dir().exists());
}
