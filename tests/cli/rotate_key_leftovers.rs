//! `vault rotate key` where something lies about that an interrupted command has left, and what can be
//! done before an interrupted rotation is finished.

use std::fs;

use crate::expiry::{
    Snapshot, assert_no_stray_file, assert_nothing_lost, beside, expired, refresh_token, start_and_hold,
};
use crate::home::{Home, write_identity};
use crate::provider::{Endpoint, Fault};
use crate::recovery::plant;
use crate::rescue::{rescue, rescued};
use crate::rotation::{assert_rotated_from, assert_unchanged, coming_key, kid, kids, manifest, stop_before};
use crate::stage::Stage;
use crate::tree::json;

#[test]
fn key_slots_stay_as_they_are_until_a_rotation_is_finished() {
    let stage = Stage::with_grace();
    let home = &stage.home;
    let other = home.path("other.txt");
    write_identity(&other);
    let add = ["key", "add", "--identity", other.to_str().unwrap()];
    let slot = manifest(home)["slots"][0]["id"].as_str().unwrap().to_owned();
    stop_before(home, "work");
    let before = fs::read(home.vault_dir().join("vault.json")).unwrap();

    home.run(&add).expect_code(7).expect_said("run `vault rotate` to finish it");
    home.run(&["key", "remove", &slot]).expect_code(7);
    home.run(&["rotate", "--drop-slot", &slot]).expect_code(7).expect_said("run `vault rotate` to finish it");

    assert_eq!(fs::read(home.vault_dir().join("vault.json")).unwrap(), before);
    home.run(&["key", "list"]).expect_code(0);
    home.run(&["rotate", "--json"]).expect_code(0);
    home.run(&add).expect_code(0);
    home.run(&["key", "remove", &slot]).expect_code(0);
}

#[test]
fn every_command_works_while_a_rotation_is_unfinished_and_says_once_that_it_is() {
    let stage = Stage::with_grace();
    let home = &stage.home;
    let old = kid(home);
    // The client and one profile are under the new key, the other profile is under the old one.
    stop_before(home, "work");
    assert_eq!(json(home.profile("other"))["kid"], manifest(home)["rotation"]["kid"]);
    assert_eq!(json(home.profile("work"))["kid"], old);

    for command in [
        &["token", "work", "--refresh"][..],
        &["token", "other", "--refresh"],
        &["reveal", "work", "api_key"],
        &["edit", "work", "--set", "X=client_id"],
        &["use", "other"],
        &["rename", "work", "job"],
        &["verify"],
    ] {
        let run = home.run(command).expect_code(0).expect_said("vault rotate");
        assert_eq!(run.stderr.matches("vault rotate").count(), 1, "{run:?}");
        home.run(&["-q", "verify"]).expect_code(0).expect_unsaid("rotate");
    }
    assert_eq!(json(home.profile("job"))["kid"], old, "only a rotation changes the key of a document");
    let add = ["add-profile", "new", "--client", "127.0.0.1", "--no-browser"];
    home.consent(&add).expect_code(0);
    assert_eq!(json(home.profile("new"))["kid"], manifest(home)["rotation"]["kid"]);
    home.run(&["remove", "other", "--yes"]).expect_code(0);

    let (vault, new) = coming_key(home);
    let answer = home.run(&["rotate", "--json"]).answer();
    assert!(answer.contains("\"resumed\": true") && answer.contains(&new.id(&vault).to_string()), "{answer}");
    assert_rotated_from(home, &old, "at the end");
    assert_no_stray_file(home);
}

#[test]
fn a_printed_token_stops_a_rotation_before_anything_is_written() {
    let (provider, home, block) = rescued();
    let (old, before) = (kid(&home), Snapshot::of(&home));

    let refused = home.run(&["rotate"]).expect_code(7).expect_said("work");

    let _ = refused.expect_said("vault import-rescue").expect_said("--forget-rescue");
    assert_unchanged(&before, &home);
    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(0);
    home.run(&["rotate"]).expect_code(0);
    assert_rotated_from(&home, &old, "after the import");
    let _ = home.run(&["token", "work", "--refresh"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_printed_token_can_be_given_up_for_a_rotation() {
    let (_provider, home, block) = rescued();
    let old = kid(&home);

    home.run(&["rotate", "--forget-rescue"]).expect_code(0);

    assert_rotated_from(&home, &old, "without the block");
    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(6);
    home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    let _ = home.run(&["token", "work", "--refresh"]).answer();
}

#[test]
fn a_token_that_is_printed_in_the_middle_of_a_rotation_keeps_the_old_key_until_it_is_taken_in() {
    let (provider, home) = expired();
    let old = kid(&home);
    stop_before(&home, "work");
    let block = rescue(&provider, &home);

    for _ in 0..2 {
        let run = home.run(&["rotate"]).expect_code(13);
        let _ = run.expect_said("vault import-rescue").expect_said("vault rotate");
    }
    assert!(manifest(&home)["rotation"].is_object());
    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(0);
    home.run(&["rotate"]).expect_code(0);

    assert_rotated_from(&home, &old, "after the import");
    assert_nothing_lost(&provider, &home);
    let _ = home.run(&["token", "work", "--refresh"]).answer();
    assert_eq!(provider.families_revoked(), []);
}

#[test]
fn a_token_that_is_printed_in_the_middle_of_a_rotation_can_be_given_up_too() {
    let (provider, home) = expired();
    let old = kid(&home);
    stop_before(&home, "work");
    let _ = rescue(&provider, &home);

    home.run(&["rotate", "--forget-rescue"]).expect_code(0);

    assert_rotated_from(&home, &old, "without the block");
}

#[test]
fn what_was_set_aside_stops_a_rotation_before_anything_is_written_and_its_end() {
    let (_provider, home) = expired();
    let old = kid(&home);
    let half = fs::read(home.profile("work")).unwrap();
    let set_aside = || {
        plant(&beside(&home), &half[..half.len() / 2]);
        let _ = home.run(&["token", "work", "--refresh"]).expect_code(0).expect_said("could not be read");
        let files = home.files("data/vault/profiles");
        files.into_iter().find(|path| path.to_str().unwrap().contains(".unread-")).unwrap()
    };
    let aside = set_aside();
    let before = Snapshot::of(&home);

    home.run(&["rotate"]).expect_code(7).expect_said(aside.to_str().unwrap());
    assert_unchanged(&before, &home);
    fs::remove_file(aside).unwrap();
    stop_before(&home, "work");
    let aside = set_aside();
    home.run(&["rotate"]).expect_code(13).expect_said(aside.to_str().unwrap());
    assert!(manifest(&home)["rotation"].is_object());
    fs::remove_file(aside).unwrap();
    // Left by somebody who was killed in the middle, and found by the rotation itself.
    plant(&beside(&home), &half[..half.len() / 2]);
    home.run(&["rotate"]).expect_code(13).expect_said(".unread-");
    fs::remove_file(home.files("data/vault/profiles").pop().unwrap()).unwrap();
    home.run(&["rotate"]).expect_code(0);

    assert_rotated_from(&home, &old, "without what was set aside");
}

#[test]
fn that_an_answer_was_lost_is_still_known_after_a_rotation() {
    let (provider, home) = expired();
    let old = kid(&home);
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let mut child = start_and_hold(&provider, &home);
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    provider.release();
    stop_before(&home, "work");
    assert_eq!(json(home.profile("work"))["kid"], old);

    home.run(&["rotate"]).expect_code(0);

    assert_eq!(kids(&home), [kid(&home)].into());
    assert!(beside(&home).exists());
    home.run(&["token", "work"]).expect_code(5).expect_said("the answer to an earlier refresh was lost");
    assert_no_stray_file(&home);
}

#[test]
fn a_successor_that_was_not_put_in_its_place_comes_before_the_rotation() {
    for in_the_middle in [false, true] {
        let (provider, home) = expired();
        let old = kid(&home);
        if in_the_middle {
            stop_before(&home, "work");
        }
        let before = Snapshot::of(&home);
        let _ = home.run(&["token", "work"]).answer();
        let successor = fs::read(home.profile("work")).unwrap();
        let newest = refresh_token(&home);
        before.restore(&home);
        plant(&beside(&home), &successor);

        home.run(&["rotate"]).expect_code(0).expect_said("Completed an interrupted refresh");

        assert_eq!(refresh_token(&home), newest);
        assert_rotated_from(&home, &old, "with the successor");
        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn a_renaming_that_was_interrupted_is_finished_by_a_rotation() {
    for in_the_middle in [false, true] {
        let stage = Stage::with_grace();
        let home = &stage.home;
        let (old, half) = (kid(home), fs::read(home.profile("work")).unwrap());
        if in_the_middle {
            stop_before(home, "work");
        }
        home.run(&["rename", "work", "job"]).expect_code(0);
        fs::write(home.profile("work"), half).unwrap();

        home.run(&["rotate"]).expect_code(0);

        assert!(!home.profile("work").exists());
        assert_rotated_from(home, &old, "renamed");
        stage.assert_whole("job", &stage.refresh_token, "renamed");
    }
}

#[test]
fn cached_tokens_that_cannot_be_used_or_are_of_nobody_do_not_stay_under_the_old_key() {
    let stage = Stage::with_grace();
    let home = &stage.home;
    let old = kid(home);
    let orphan = cached(home, "other");
    let bytes = fs::read(&orphan).unwrap();
    home.run(&["remove", "other", "--yes"]).expect_code(0);
    fs::write(&orphan, bytes).unwrap();
    let damaged = cached(home, "work");
    fs::write(&damaged, fs::read_to_string(&damaged).unwrap().replace("obtained_at", "obtained_ax")).unwrap();

    home.run(&["rotate"]).expect_code(0);

    assert!(!damaged.exists());
    assert_rotated_from(home, &old, "with odd tokens");
    home.run(&["token", "work"]).expect_code(0).expect_unsaid("warning");
}

fn cached(home: &Home, profile: &str) -> std::path::PathBuf {
    let id = json(home.profile(profile))["id"].as_str().unwrap().to_owned();
    home.files("cache").into_iter().find(|path| path.to_str().unwrap().contains(&id)).unwrap()
}

#[test]
fn that_the_key_was_compromised_is_noted_also_by_the_run_that_finishes_a_rotation() {
    let stage = Stage::with_grace();
    let home = &stage.home;
    stop_before(home, "work");
    assert!(manifest(home)["compromised_at"].is_null());

    home.run(&["rotate", "--reason", "compromise"]).expect_code(0);

    assert!(manifest(home)["compromised_at"].is_string());
    home.run(&["rotate"]).expect_code(0);
    assert!(manifest(home)["compromised_at"].is_string());
}
