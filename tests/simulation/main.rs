//! The product on a simulated machine: what the design promises about grants, tried in many stories.
//!
//! A seed draws a story: which processes run, who goes on at each request to the system, who is
//! killed, when the power fails, what the disk refuses, what the network loses and how the provider
//! behaves. Everything above `system::Disk`, `system::Clock` and `oauth::Http` is the product itself.
//!
//! `VAULT_SIM_SEED=N` tells one story with its whole schedule; `VAULT_SIM_SEEDS=N` says how many are
//! tried. The bytes of sealed items differ from run to run, the schedule does not.
#![allow(clippy::disallowed_methods, reason = "tests read their own settings")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod commands;
mod disk;
mod fate;
mod judge;
mod keys;
mod ledger;
mod machine;
mod round;
mod server;
mod story;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, OnceLock};

use story::{Report, Scene};

/// How many stories are tried unless somebody says otherwise.
const STORIES: u64 = 1000;

fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(Scene::make)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn no_story_loses_a_grant_but_in_the_window_that_no_client_can_close() {
    if let Some(seed) = setting("VAULT_SIM_SEED") {
        let report = scene().tell(seed);
        println!("{}", report.trace.join("\n"));
        assert!(report.violations.is_empty(), "{}", report.violations.join("\n"));
        return;
    }
    let first = setting("VAULT_SIM_FIRST").unwrap_or_default();
    let seeds = first..first + setting("VAULT_SIM_SEEDS").unwrap_or(STORIES);

    let tried = Tried::all(seeds.clone());

    println!("{} stories; why a login was needed: {:?}", seeds.count(), tried.logins);
    if let Some((seed, report)) = tried.failed.first_key_value() {
        let (trace, violations) = (report.trace.join("\n"), report.violations.join("\n  "));
        let failed: Vec<&u64> = tried.failed.keys().collect();
        panic!(
            "{trace}\n\nVAULT_SIM_SEED={seed}:\n  {violations}\n{} stories fail: {failed:?}",
            failed.len()
        );
    }
}

/// What came of many stories.
#[derive(Default)]
struct Tried {
    failed: BTreeMap<u64, Report>,
    logins: BTreeMap<&'static str, u64>,
}

impl Tried {
    /// Tells one story for each of `seeds`, on all cores.
    fn all(seeds: Range<u64>) -> Self {
        let tried = Mutex::new(Self::default());
        let seeds = Mutex::new(seeds);
        let tell = || {
            while let Some(seed) = { seeds.lock().unwrap().next() } {
                let report = scene().tell(seed);
                tried.lock().unwrap().take_in(seed, report);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(tell);
            }
        });
        tried.into_inner().unwrap()
    }

    fn take_in(&mut self, seed: u64, report: Report) {
        for why in &report.logins {
            *self.logins.entry(why).or_default() += 1;
        }
        if !report.violations.is_empty() {
            self.failed.insert(seed, report);
        }
    }
}

#[test]
fn a_seed_tells_the_same_story_again() {
    for seed in 0..20 {
        assert_eq!(scene().tell(seed).trace, scene().tell(seed).trace, "{seed}");
    }
}
