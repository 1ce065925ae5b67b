//! Whatever an interrupted refresh has left, the next one goes on from there.

use std::path::{Path, PathBuf};
use std::process::Child;

use crate::expiry::{
    API_KEY, Snapshot, assert_no_stray_file, assert_nothing_lost, beside, expired, expired_with_grace,
    expired_without_rotation, finish, refresh_token, refreshes, second, start_and_hold, state_dir, strays,
};
use crate::home::{Home, Run};
use crate::provider::{Endpoint, Fault, Provider};

/// A refresh that was interrupted after it had written the successor, and before it put it in its
/// place: the provider has replaced the token, and only the successor has the new one.
fn interrupted() -> (Provider, Home, Vec<u8>) {
    let (provider, home) = expired();
    let before = Snapshot::of(&home);
    let _ = home.run(&["token", "work"]).answer();
    let successor = std::fs::read(home.profile("work")).unwrap();
    before.restore(&home);
    (provider, home, successor)
}

/// Puts these bytes where a writer would have left them.
pub fn plant(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_successor_beside_its_document_is_completed() {
    let (provider, home, mut successor) = interrupted();
    // A kill before the file was cut to its length leaves the spaces of the reservation.
    successor.extend_from_slice(&[b' '; 4096]);
    plant(&beside(&home), &successor);

    let run = home.run(&["token", "work"]).expect_said("Completed an interrupted refresh of `work`");

    assert!(provider.is_live_access_token(&run.answer()));
    assert_nothing_lost(&provider, &home);
    let _ = home.run(&["token", "work", "--refresh"]).expect_unsaid("interrupted").answer();
}

#[test]
fn a_successor_in_the_second_place_is_completed() {
    let (provider, home, successor) = interrupted();
    plant(&second(&home), &successor);

    let run = home.run(&["token", "work"]).expect_said("Completed an interrupted refresh of `work`");

    assert!(provider.is_live_access_token(&run.answer()));
    assert_nothing_lost(&provider, &home);
}

#[test]
fn an_edit_completes_a_successor_too() {
    let key = |home: &Home| home.write("other.key", API_KEY).to_str().unwrap().to_owned();
    for place in [beside, second] {
        let (provider, home, successor) = interrupted();
        plant(&place(&home), &successor);

        let _ = home
            .run(&["edit", "work", "--api-key-file", &key(&home)])
            .expect_code(0)
            .expect_said("Completed");

        assert_nothing_lost(&provider, &home);
    }
}

#[test]
fn a_renamed_profile_takes_its_successor_along() {
    let (provider, home, successor) = interrupted();
    plant(&beside(&home), &successor);

    let _ = home.run(&["rename", "work", "job"]).expect_code(0);

    let kept = home.run(&["reveal", "job", "refresh_token"]).answer();
    assert_eq!([kept].as_slice(), provider.live_refresh_tokens());
    assert_no_stray_file(&home);
}

#[test]
fn an_older_leftover_is_removed() {
    let (provider, home) = expired();
    let old = std::fs::read(home.profile("work")).unwrap();
    let _ = home.run(&["token", "work"]).answer();
    for place in [beside(&home), second(&home)] {
        plant(&place, &old);
    }

    let _ = home.run(&["token", "work", "--refresh"]).expect_unsaid("interrupted").answer();

    assert_nothing_lost(&provider, &home);
}

#[test]
fn half_a_successor_is_kept_for_a_person_and_does_no_harm() {
    for place in [beside, second] {
        let (provider, home) = expired();
        let half = {
            let whole = std::fs::read(home.profile("work")).unwrap();
            whole[..whole.len() / 2].to_vec()
        };
        plant(&place(&home), &half);

        let run = home.run(&["token", "work"]).expect_said("could not be read").answer();

        assert!(provider.is_live_access_token(&run));
        let kept = strays(&home);
        assert_eq!(kept.len(), 1);
        assert!(
            kept[0].to_str().unwrap().contains(".next.unread-")
                || kept[0].to_str().unwrap().contains(".json.unread-")
        );
        assert_eq!(std::fs::read(&kept[0]).unwrap(), half);
        let _ = home.run(&["token", "work", "--refresh"]).expect_unsaid("warning").answer();
        assert_eq!(refresh_token(&home), *provider.live_refresh_tokens().last().unwrap());
    }
}

#[test]
fn the_document_of_another_profile_is_no_successor() {
    let (provider, home) = expired();
    let options = ["add-profile", "home", "--client", "127.0.0.1", "--no-browser"];
    let _ = home.consent(&options).expect_code(0);
    for _ in 0..3 {
        let _ = home.run(&["token", "home", "--refresh"]).answer();
    }
    let before = refresh_token(&home);
    plant(&beside(&home), &std::fs::read(home.profile("home")).unwrap());

    let _ = home.run(&["token", "work"]).expect_said("could not be read").answer();

    assert_ne!(refresh_token(&home), before);
    assert_eq!(provider.families_revoked(), []);
}

#[test]
fn a_killed_refresh_is_made_up_for_by_the_next_one() {
    let (provider, home) = expired_with_grace();
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let mut child = start_and_hold(&provider, &home);
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    provider.release();
    assert!(beside(&home).exists());

    let token = home.run(&["token", "work"]).expect_unsaid("interrupted").answer();

    assert!(provider.is_live_access_token(&token));
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_signal_waits_until_the_new_token_is_safe() {
    use rustix::process::Signal;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (provider, home) = expired();
        provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
        let child = start_and_hold(&provider, &home);

        rustix::process::kill_process(pid(&child), signal).unwrap();
        rustix::process::kill_process(pid(&child), signal).unwrap();
        provider.release();

        let run = finish(child, &["token", "work"]).expect_code(128 + signal.as_raw());
        assert_eq!(run.stderr, "");
        assert_nothing_lost(&provider, &home);
        assert!(provider.is_live_access_token(&home.run(&["token", "work"]).answer()));
        assert_eq!(refreshes(&provider), 1);
    }
}

#[test]
fn ctrl_z_stops_the_process_only_when_the_new_token_is_safe() {
    use rustix::process::{Signal, WaitOptions, kill_process, waitpid};
    let (provider, home) = expired();
    let before = std::fs::read(home.profile("work")).unwrap();
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let child = start_and_hold(&provider, &home);

    kill_process(pid(&child), Signal::TSTP).unwrap();
    provider.release();

    let (_, status) = waitpid(Some(pid(&child)), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped(), "{status:?}");
    assert!(std::fs::read(home.profile("work")).unwrap() != before, "stopped before the token was safe");
    kill_process(pid(&child), Signal::CONT).unwrap();
    assert!(provider.is_live_access_token(&finish(child, &["token", "work"]).answer()));
    assert_eq!(refreshes(&provider), 1);
}

/// The process, to send signals to.
pub fn pid(child: &Child) -> rustix::process::Pid {
    rustix::process::Pid::from_child(child)
}

#[test]
fn without_room_nothing_is_sent() {
    let (provider, home) = expired_without_rotation();
    let before = Snapshot::of(&home);
    // Files of this process may not be longer than 64 KiB, as on a disk that is almost full.
    let script = r#"trap "" XFSZ; ulimit -f 128; exec "$0" token work"#;
    let mut command = std::process::Command::new("sh");
    home.prepare(&mut command);

    let output = command.args(["-c", script, crate::home::VAULT]).output().unwrap();

    let _ = Run::of(&["token", "work"], output)
        .expect_code(10)
        .expect_said("cannot reserve")
        .expect_said("nothing was sent");
    assert_eq!(refreshes(&provider), 0);
    before.assert_unchanged(&home);
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_second_place_that_cannot_be_had_is_noticed_before_the_request() {
    let (provider, home) = expired();
    let next = state_dir(&home).join("next");
    let _ = std::fs::remove_dir_all(&next);
    std::fs::write(&next, "in the way").unwrap();

    let _ = home.run(&["token", "work"]).expect_code(10).expect_said("nothing was sent");

    assert_eq!(refreshes(&provider), 0);
    std::fs::remove_file(&next).unwrap();
    let _ = home.run(&["token", "work"]).answer();
    assert_nothing_lost(&provider, &home);
}

#[test]
fn what_is_no_file_of_ours_is_not_touched_and_nothing_is_sent() {
    let (provider, home) = expired();
    let target = home.write("precious", "not to be overwritten");
    let make: [fn(&Path, PathBuf); 2] = [
        |path, _| std::fs::create_dir(path).unwrap(),
        |path, target| std::os::unix::fs::symlink(target, path).unwrap(),
    ];
    for make in make {
        make(&beside(&home), target.clone());

        let _ = home.run(&["token", "work"]).expect_code(6).expect_said("work.json.next");

        assert_eq!(refreshes(&provider), 0);
        let _ = std::fs::remove_dir(beside(&home)).or_else(|_| std::fs::remove_file(beside(&home)));
    }
    assert_eq!(std::fs::read_to_string(target).unwrap(), "not to be overwritten");
}
