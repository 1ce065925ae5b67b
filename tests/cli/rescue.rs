//! The provider has replaced the token, and no place takes the new one.

use std::path::Path;

use crate::expiry::{
    API_KEY, assert_no_stray_file, assert_nothing_lost, beside, expired, finish, refresh_token, refreshes,
    second, start_and_hold, state_dir,
};
use crate::home::{Home, Run};
use crate::provider::{Endpoint, Fault, Provider};

const BEGIN: &str = "-----BEGIN VAULT RESCUE-----\n";
const END: &str = "-----END VAULT RESCUE-----\n";

/// A reserved place that fails once the request has been made.
fn spoil(place: &Path) {
    std::fs::remove_file(place).unwrap();
    std::fs::create_dir(place).unwrap();
}

fn mend(place: &Path) {
    std::fs::remove_dir(place).unwrap();
}

/// A refresh during which these places fail.
pub fn refresh_without(places: impl Fn(&Home) -> Vec<std::path::PathBuf>) -> (Provider, Home, Run) {
    let (provider, home) = expired();
    let run = refresh_in_vain(&provider, &home, &places(&home));
    (provider, home, run)
}

fn refresh_in_vain(provider: &Provider, home: &Home, places: &[std::path::PathBuf]) -> Run {
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let child = start_and_hold(provider, home);
    places.iter().for_each(|place| spoil(place));
    provider.release();
    let run = finish(child, &["token", "work"]);
    places.iter().for_each(|place| mend(place));
    run
}

/// A refresh that could save its token nowhere, and the block that it printed.
pub fn rescued() -> (Provider, Home, String) {
    let (provider, home) = expired();
    let block = rescue(&provider, &home);
    (provider, home, block)
}

/// The block that a refresh prints which can save its token nowhere.
pub fn rescue(provider: &Provider, home: &Home) -> String {
    let run = refresh_in_vain(provider, home, &[beside(home), second(home)]);
    let run = run.expect_code(11).expect_said("could not be saved").expect_said("vault import-rescue");
    let start = run.stderr.find(BEGIN).unwrap() + BEGIN.len();
    let end = run.stderr.find(END).unwrap();
    run.stderr[start..end].to_owned()
}

#[test]
fn what_cannot_be_saved_beside_the_document_is_saved_on_this_machine() {
    let (provider, home, run) = refresh_without(|home| vec![beside(home)]);

    let token = run.expect_said("warning: the new token was saved in the state directory").answer();

    assert!(provider.is_live_access_token(&token));
    let next = home.run(&["token", "work", "--refresh"]);
    let _ = next.expect_said("Completed an interrupted refresh of `work`").answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_second_place_that_fails_is_not_missed() {
    let (provider, home, run) = refresh_without(|home| vec![second(home)]);

    assert!(provider.is_live_access_token(&run.answer()));
    assert_nothing_lost(&provider, &home);
}

#[test]
fn what_can_be_saved_nowhere_is_printed_sealed_and_can_be_taken_in() {
    let (provider, home, block) = rescued();
    assert!(provider.issued().iter().all(|secret| !block.contains(secret)));
    assert!(state_dir(&home).join("rescues").read_dir().unwrap().next().is_some());

    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(0).expect_said("profile `work`");

    assert!(state_dir(&home).join("rescues").read_dir().unwrap().next().is_none());
    assert!(provider.is_live_access_token(&home.run(&["token", "work"]).answer()));
    assert_nothing_lost(&provider, &home);
}

#[test]
fn the_whole_message_is_as_good_as_the_block_in_it() {
    let (provider, home, block) = rescued();
    let message = format!("$ vault token work\nerror: it failed\n{BEGIN}{block}{END}$ \n");
    let file = home.write("rescue.txt", message);

    let _ = home.run(&["import-rescue", file.to_str().unwrap()]).expect_code(0);

    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_spent_token_is_not_sent_while_its_successor_is_only_printed() {
    let (provider, home, block) = rescued();
    let before = refreshes(&provider);

    let refused = home.run(&["token", "work"]).expect_code(7);
    let _ = refused.expect_said("printed as a rescue block").expect_said("run `vault login work`");
    // A change would take the generation of the block.
    let _ = home.run(&["edit", "work", "--account", "me@example.com"]).expect_code(7);
    let _ = home.run(&["rename", "work", "job"]).expect_code(7);

    assert_eq!(refreshes(&provider), before);
    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(0);
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_block_that_is_taken_in_already_does_no_harm_and_an_older_one_is_refused() {
    let (provider, home, block) = rescued();
    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(0);
    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(0);
    assert_nothing_lost(&provider, &home);
    let _ = home.run(&["token", "work", "--refresh"]).answer();

    let older = home.run_with_input(&["import-rescue"], &block);

    let _ = older.expect_code(7).expect_said("is older than what is stored");
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_login_makes_up_for_a_lost_block() {
    let (provider, home, block) = rescued();

    let _ = home.consent(&["login", "work", "--no-browser"]).expect_code(0);

    let _ = home.run(&["token", "work", "--refresh"]).answer();
    let _ = home.run_with_input(&["import-rescue"], &block).expect_code(7);
    assert_eq!(refresh_token(&home), *provider.live_refresh_tokens().last().unwrap());
    assert_eq!(home.run(&["reveal", "work", "api_key"]).answer(), API_KEY);
    assert_no_stray_file(&home);
}

#[test]
fn a_block_that_was_changed_or_is_of_another_vault_is_refused() {
    let (_provider, home, block) = rescued();
    let before = std::fs::read(home.profile("work")).unwrap();
    let (_other_provider, other) = expired();

    for bad in
        ["", "{", "{}", &block[..block.len() / 2], &block.replace("\"generation\": 3", "\"generation\": 9")]
    {
        assert!(bad != block);
        let _ = home.run_with_input(&["import-rescue"], bad).expect_code(6);
    }
    let _ = other.run_with_input(&["import-rescue"], &block).expect_code(6);

    assert_eq!(std::fs::read(home.profile("work")).unwrap(), before);
}
