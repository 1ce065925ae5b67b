//! A refresh that is killed at each of its system calls, and then simply run again; the same for the run
//! that makes up for a killed one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::expiry::{beside, state_dir, strays};
use crate::injection::{Call, Fate, Tracer, is_there};
use crate::kills::{Step, Subject, Tally, alone};
use crate::stage::Stage;

const REFRESH: [&str; 3] = ["token", "work", "--refresh"];

#[test]
fn a_refresh_killed_at_any_system_call_loses_nothing_at_a_provider_with_grace() {
    let stage = Stage::with_grace();
    let mut states = States::default();
    let tally = kill_everywhere(&stage, |step| states.count(make_up_for(&stage, step, 1)));
    states.report("a refresh, with grace", tally.as_ref());
    assert_eq!(states.of(State::LoginNeeded), 0);
    assert!(tally.is_none_or(|tally| tally.killed > 300 && states.of(State::Recovered) > 100));
}

#[test]
fn a_refresh_killed_at_any_system_call_costs_the_login_only_in_the_window_that_cannot_be_closed() {
    let stage = Stage::without_grace();
    let mut states = States::default();
    let tally = kill_everywhere(&stage, |step| states.count(make_up_for(&stage, step, 1)));
    states.report("a refresh, without grace", tally.as_ref());
    let lost = states.of(State::LoginNeeded);
    assert!(tally.is_none() || (1..=WINDOW).contains(&lost), "{lost}");
}

/// System calls between the provider's commitment and the new token in the file, waking of threads included.
const WINDOW: usize = 40;

/// What a kill has left, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Nothing was changed, and nobody was asked.
    Untouched,
    /// The next run has made up for it.
    Recovered,
    /// The next run has asked for a login.
    LoginNeeded,
}

#[derive(Default)]
struct States(BTreeMap<State, usize>);

impl States {
    fn count(&mut self, state: State) {
        *self.0.entry(state).or_default() += 1;
    }

    fn of(&self, state: State) -> usize {
        self.0.get(&state).copied().unwrap_or_default()
    }

    fn report(&self, what: &str, tally: Option<&Tally>) {
        eprintln!("kills of {what}: {tally:?}, {:?}", self.0);
    }
}

fn kill_everywhere(stage: &Stage, after: impl FnMut(&Step)) -> Option<Tally> {
    refresh_of(stage, &|| stage.reset()).kill_everywhere(after)
}

fn refresh_of<'a>(stage: &'a Stage, prepare: &'a dyn Fn()) -> Subject<'a> {
    Subject { home: &stage.home, arguments: &REFRESH, prepare, run: alone }
}

/// Runs a refresh again that was killed and may have gone on by so many generations, and holds everything
/// that must be so.
fn make_up_for(stage: &Stage, step: &Step, generations: u64) -> State {
    let why = format!("{step:?}");
    let was_asked = stage.was_asked();
    let changed = stage.changed();
    if changed.is_empty() && !was_asked {
        return State::Untouched;
    }
    assert_only_work_changed(stage, &changed, generations);
    let is_in_the_window = is_spent(stage) && !is_saved(stage);

    let next = stage.home.run(&REFRESH);

    stage.assert_discreet(&next);
    let was_refused = next.code == 5;
    if was_refused {
        assert!(is_in_the_window, "{why}: {}", next.stderr);
        let _ = next.expect_said("the answer to an earlier refresh was lost");
        let _ = stage.home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    } else {
        assert_eq!(next.code, 0, "{why}: {}", next.stderr);
        assert!(stage.provider.is_live_access_token(next.stdout.trim_end()), "{why}");
    }
    let live = stage.provider.live_refresh_tokens();
    stage.assert_whole("work", live.last().unwrap(), &why);
    let left = strays(&stage.home);
    assert!(left.iter().all(|path| is_kept_for_a_person(path)), "{why}: {left:?}");
    assert!(generations > 1 || left.is_empty(), "{why}: {left:?}");
    if was_refused { State::LoginNeeded } else { State::Recovered }
}

/// Nobody else's files, and no generation but the next ones.
fn assert_only_work_changed(stage: &Stage, changed: &[PathBuf], generations: u64) {
    let before = json_of(stage.before(&stage.home.profile("work")).unwrap()).unwrap();
    let id = before["id"].as_str().unwrap();
    let is_of_work = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.contains("work.json") || name.starts_with(id) || name == "fact.tmp"
    };
    assert!(changed.iter().all(is_of_work), "{changed:?}");
    let generation = before["generation"].as_u64().unwrap();
    assert!((generation..=generation + generations).contains(&stage.generation("work")));
}

/// Whether the provider has replaced the refresh token.
fn is_spent(stage: &Stage) -> bool {
    !stage.provider.live_refresh_tokens().contains(&stage.refresh_token)
}

/// Whether the next generation is on the disk, in its place or beside it.
fn is_saved(stage: &Stage) -> bool {
    let before = json_of(stage.before(&stage.home.profile("work")).unwrap()).unwrap();
    let is_next = |bytes: Vec<u8>| {
        json_of(&bytes).is_some_and(|document| {
            document["format"] == before["format"]
                && document["generation"].as_u64() > before["generation"].as_u64()
        })
    };
    let places = [stage.home.profile("work"), beside(&stage.home)];
    places.into_iter().filter_map(|place| std::fs::read(place).ok()).any(is_next)
}

fn json_of(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

#[test]
fn a_run_that_recovers_may_be_killed_at_any_change_too() {
    let mut killed = 0;
    for first in FIRST {
        let stage = Stage::with_grace();
        if !is_there() {
            return;
        }
        first.happen(&stage);
        let stage = stage.now();
        let mut states = States::default();
        let tally = refresh_of(&stage, &|| stage.reset())
            .kill_at_changes(|step| states.count(make_up_for(&stage, step, 2)))
            .unwrap();
        states.report(&format!("the recovery from {first:?}"), Some(&tally));
        assert_eq!(states.of(State::LoginNeeded), 0, "{first:?}");
        killed += tally.killed;
    }
    assert!(killed > 200, "{killed}");
}

/// What a refresh can leave that did not come to its good end.
#[derive(Clone, Copy, Debug)]
enum First {
    /// The provider has replaced the token, and only the intent is on the disk.
    Intent,
    /// Half of the successor stands over the intent, as a power loss may leave it.
    HalfASuccessor,
    /// The successor is written, and the rest of the room stands behind it.
    UncutSuccessor,
    /// The successor is complete and not in its place.
    UnrenamedSuccessor,
    /// The successor is in its place, and this machine does not know it yet.
    Unmarked,
    /// The place beside the document failed; the successor is in the second one.
    SecondPlace,
}

const FIRST: [First; 6] = [
    First::Intent,
    First::HalfASuccessor,
    First::UncutSuccessor,
    First::UnrenamedSuccessor,
    First::Unmarked,
    First::SecondPlace,
];

impl First {
    fn happen(self, stage: &Stage) {
        let home = &stage.home;
        let mark = state_dir(home).join("fact.tmp");
        let at = |path: PathBuf, name: &str, number, fate| {
            let call = Call { name: name.to_owned(), number };
            Tracer::new(home, name).at(vec![path]).run(&call, fate, &REFRESH)
        };
        let kill = |path, name| assert_eq!(at(path, name, 1, Fate::KILL).code, 128 + 9);
        match self {
            Self::Intent => kill(beside(home), "lseek"),
            Self::HalfASuccessor => {
                kill(beside(home), "ftruncate");
                tear(&beside(home));
            }
            Self::UncutSuccessor => kill(beside(home), "ftruncate"),
            Self::UnrenamedSuccessor => kill(beside(home), "rename"),
            Self::Unmarked => kill(mark, "rename"),
            Self::SecondPlace => {
                let failed = at(beside(home), "fsync", 2, Fate { what: "error=EIO", lasts: false });
                let _ = failed.expect_code(0).expect_said("saved in the state directory");
            }
        }
        assert!(is_spent(stage), "{self:?}");
    }
}

/// Leaves the first half of what is written in the room.
fn tear(room: &Path) {
    let mut bytes = std::fs::read(room).unwrap();
    let half = bytes.trim_ascii_end().len() / 2;
    bytes[half..].fill(b' ');
    std::fs::write(room, bytes).unwrap();
}

/// Torn writes are not deleted by the program.
fn is_kept_for_a_person(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().contains(".unread-")
}
