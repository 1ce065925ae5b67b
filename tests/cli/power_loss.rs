//! The power fails: every state of the disk that a file system may then leave, opened by the program.
//!
//! What was written in which order is read from strace; the states are those of `crash_states.rs`.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::crash_states::{Act, Disk};
use crate::expiry::Snapshot;
use crate::home::{Home, Run, VAULT};
use crate::injection::is_there;
use crate::kills::{alone, with_consent};
use crate::provider::{Config, Provider, Rotation};
use crate::stage::Stage;
use crate::tree::json;

/// One run of a command, as the disk and the provider have seen it.
struct Recording {
    disk: Disk,
    /// From this act on, the provider may have answered.
    fill: usize,
    /// From this act on, the answer is safe.
    safe: usize,
}

impl Recording {
    fn of(home: &Home, arguments: &[&str], run: fn(Command, &[&str]) -> Run) -> Self {
        let before = Snapshot::of(home);
        let log = home.path("trace");
        let mut command = Command::new("strace");
        home.prepare(&mut command);
        let calls = "trace=openat,open,mkdir,rename,unlink,write,pwrite64,lseek,ftruncate,fsync,fdatasync";
        command
            .args(["-qq", "-y", "-xx", "-s", "1000000", "-e", calls, "-o"])
            .arg(&log)
            .arg(VAULT)
            .args(arguments);
        let _ = run(command, arguments).expect_code(0);
        let disk = Disk::of(before, &std::fs::read_to_string(log).unwrap());
        let differs = Snapshot { files: disk.at_the_end(), folders: BTreeSet::new() }.changed(home);
        assert!(differs.is_empty(), "the model and the disk disagree on {differs:?}");
        let fill = disk.acts.iter().position(|act| matches!(act, Act::Fill)).unwrap_or(disk.acts.len());
        let synced = disk.acts[fill..].iter().position(|act| matches!(act, Act::SyncFile(_)));
        let safe = synced.map_or(disk.acts.len(), |after| fill + after + 1);
        Self { disk, fill, safe }
    }

    /// Hands over every state before the provider's answer, in the window in which the answer is
    /// nowhere else, and after it. Says how many there are.
    fn for_each_state(&self, mut work: impl FnMut(Moment, &Snapshot)) -> usize {
        let moments = [
            (Moment::Before, 0..=self.fill),
            (Moment::InTheWindow, self.fill..=self.safe - 1),
            (Moment::After, self.safe..=self.disk.acts.len()),
        ];
        let mut number = 0;
        for (moment, counts) in moments {
            let mut seen = HashSet::new();
            for count in counts {
                for state in self.disk.found_after(count, &mut seen) {
                    number += 1;
                    work(moment, &state);
                }
            }
        }
        number
    }
}

/// When the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Before,
    InTheWindow,
    After,
}

#[test]
fn a_power_loss_at_any_moment_of_a_refresh_loses_nothing() {
    let stage = Stage::with_grace();
    let refresh = ["token", "work", "--refresh"];
    let count = for_each_loss(&stage, &refresh, alone, |moment, why| {
        if moment == Moment::After {
            // What is on the disk is enough.
            without_grace(&stage.provider);
        }
        assert_refreshes(&stage, why);
    });
    assert!(count.is_none_or(|count| count >= 40), "{count:?}");
}

#[test]
fn a_power_loss_costs_the_login_only_in_the_window_that_cannot_be_closed() {
    let stage = Stage::without_grace();
    let mut lost = 0;
    let refresh = ["token", "work", "--refresh"];
    let _ = for_each_loss(&stage, &refresh, alone, |moment, why| {
        if moment != Moment::InTheWindow {
            return;
        }
        let next = stage.home.run(&refresh);
        assert!([0, 5].contains(&next.code), "{why}: {}", next.stderr);
        if next.code == 5 {
            lost += 1;
            let _ = stage.home.consent(&["login", "work", "--no-browser"]).expect_code(0);
        }
        assert_refreshes(&stage, why);
    });
    eprintln!("of them the login is lost in {lost}");
    assert!(lost <= 12, "{lost}");
}

#[test]
fn a_power_loss_at_any_moment_of_a_login_loses_neither_grant() {
    let stage = Stage::with_grace();
    let login = ["login", "work", "--no-browser"];
    let count = for_each_loss(&stage, &login, with_consent, |_, why| assert_refreshes(&stage, why));
    assert!(count.is_none_or(|count| count >= 40), "{count:?}");
}

#[test]
fn a_power_loss_at_any_moment_of_a_change_leaves_the_old_or_the_new() {
    let stage = Stage::with_grace();
    let key = stage.home.path("api.key");
    let edit = ["edit", "work", "--set", "T=access_token", "--api-key-file", key.to_str().unwrap()];
    let count = for_each_loss(&stage, &edit, alone, |_, why| assert_refreshes(&stage, why));
    assert!(count.is_none_or(|count| count >= 8), "{count:?}");

    let count = for_each_loss(&stage, &["rename", "work", "job"], alone, |_, why| {
        let renamed = stage.home.run(&["rename", "work", "job"]);
        let is_through = renamed.code == 3 && stage.home.profile("job").exists();
        assert!(renamed.code == 0 || is_through, "{why}: {renamed:?}");
        assert_whole(&stage, "job", why);
    });
    assert!(count.is_none_or(|count| count >= 8), "{count:?}");

    let token = cached_token(&stage);
    let count = for_each_loss(&stage, &["remove", "work", "--yes"], alone, |_, why| {
        let verified = stage.home.run(&["verify"]);
        assert_eq!(verified.code, 0, "{why}: {}", verified.stderr);
        let removed = stage.home.run(&["remove", "work", "--yes"]);
        assert!([0, 3].contains(&removed.code), "{why}: {removed:?}");
        assert!(!stage.home.profile("work").exists(), "{why}");
        assert!(!token.exists(), "{why}");
    });
    assert!(count.is_none_or(|count| count >= 6), "{count:?}");
}

#[test]
fn a_power_loss_while_a_vault_and_its_first_profile_are_made_is_made_up_for() {
    let provider = Provider::start(Config::default());
    let home = Home::in_memory();
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser"];
    arguments.extend(options.iter().map(String::as_str));
    let stage = Stage::empty(provider, home);
    let count = for_each_loss(&stage, &arguments, with_consent, |moment, why| {
        let token = stage.home.run(&["token", "work", "--refresh"]);
        let is_made = token.code == 0;
        // Whatever was said to be done is there. Before, there is no vault or no profile yet.
        assert!(
            if moment == Moment::After { is_made } else { [0, 3].contains(&token.code) },
            "{why}: {token:?}"
        );
        if !is_made {
            let again = stage.home.consent(&arguments);
            assert_eq!(again.code, 0, "{why}: {}", again.stderr);
        }
        let verified = stage.home.run(&["verify"]);
        assert_eq!(verified.code, 0, "{why}: {}", verified.stderr);
    });
    assert!(count.is_none_or(|count| count >= 60), "{count:?}");
}

#[test]
fn a_power_loss_at_any_moment_of_a_rotation_leaves_everything_in_reach_of_a_key_that_is_kept() {
    let stage = five_documents();
    let rotate = ["rotate", "--json"];
    let count = for_each_loss(&stage, &rotate, alone, |_, why| {
        let verified = stage.home.run(&["verify"]);
        assert_eq!(verified.code, 0, "{why}: {}", verified.stderr);
        let again = stage.home.run(&rotate);
        assert_eq!(again.code, 0, "{why}: {}", again.stderr);
        let rotation: Value = serde_json::from_str(&again.answer()).unwrap();
        let kid = rotation["rotation"]["kid"].as_str().unwrap();
        for path in ["data", "cache", "state"].iter().flat_map(|folder| stage.home.files(folder)) {
            let found = std::fs::read_to_string(&path).unwrap();
            let named = serde_json::from_str::<Value>(&found).ok().and_then(|it| it.get("kid").cloned());
            assert!(named.is_none_or(|named| named == kid), "{}: {why}", path.display());
        }
    });
    assert!(count.is_none_or(|count| count >= 100), "{count:?}");
    stage.assert_whole("work", &stage.refresh_token, "after the last one");
}

/// A client and four profiles, of which one has a cached token: tokens are written without syncs, and each
/// would multiply the states.
fn five_documents() -> Stage {
    let stage = Stage::with_grace();
    for name in ["third", "fourth"] {
        let _ = stage.home.add_profile(&stage.provider, name).expect_code(0);
    }
    let stage = stage.now();
    let kept = cached_token(&stage);
    stage
        .home
        .files("cache")
        .iter()
        .filter(|path| **path != kept)
        .for_each(|path| std::fs::remove_file(path).unwrap());
    stage.now()
}

/// Leaves each state that a power loss in this command can leave, and says how many there are.
fn for_each_loss(
    stage: &Stage,
    arguments: &[&str],
    run: fn(Command, &[&str]) -> Run,
    mut work: impl FnMut(Moment, &str),
) -> Option<usize> {
    if !is_there() {
        return None;
    }
    stage.reset();
    let recording = Recording::of(&stage.home, arguments, run);
    stage.provider.settle();
    let answered = stage.provider.memory();
    let count = recording.for_each_state(|moment, state| {
        stage.reset();
        state.restore(&stage.home);
        if moment != Moment::Before {
            stage.provider.recall(&answered);
        }
        work(moment, &format!("{arguments:?}, {moment:?}, {}", described(state)));
    });
    eprintln!("power losses in vault {}: {count} states of {} acts", arguments[0], recording.disk.acts.len());
    Some(count)
}

/// Where the access token of `work` lies at the moment of the stage.
fn cached_token(stage: &Stage) -> PathBuf {
    stage.reset();
    let id = json(stage.home.profile("work"))["id"].as_str().unwrap().to_owned();
    let is_of_work = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().contains(&id);
    stage.home.files("cache").into_iter().find(is_of_work).expect("it is cached")
}

fn without_grace(provider: &Provider) {
    provider.configure(|config| config.rotation = Rotation::Rotate { grace_secs: 0 });
}

/// The program takes the state as it is, and no secret of `work` is lost.
fn assert_refreshes(stage: &Stage, why: &str) {
    let verified = stage.home.run(&["verify"]);
    assert_eq!(verified.code, 0, "{why}: {}", verified.stderr);
    let token = stage.home.run(&["token", "work", "--refresh"]);
    assert_eq!(token.code, 0, "{why}: {}", token.stderr);
    assert!(stage.provider.is_live_access_token(token.stdout.trim_end()), "{why}");
    assert_whole(stage, "work", why);
}

fn assert_whole(stage: &Stage, name: &str, why: &str) {
    let kept = stage.home.run(&["reveal", name, "refresh_token"]).answer();
    assert!(stage.provider.live_refresh_tokens().contains(&kept), "{why}");
    stage.assert_whole(name, &kept, why);
}

fn described(state: &Snapshot) -> String {
    let file = |(path, bytes): (&std::path::PathBuf, &std::rc::Rc<Vec<u8>>)| {
        let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(20)]).into_owned();
        format!("{}: {} bytes {begin:?}", path.display(), bytes.len())
    };
    state.files.iter().map(file).collect::<Vec<_>>().join("\n")
}
