//! Crowds of processes at every expiry, of which a third is killed: one request, one token, no grant lost.
//!
//! What is random comes from a seed, which a failure names; `VAULT_TESTS_SEED` repeats its choices,
//! `VAULT_TESTS_ROUNDS` goes on for longer.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::process::Child;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::expiry::{LONG, assert_nothing_lost, expired_in, finish, refreshes, start};
use crate::home::Home;
use crate::provider::{Config, Endpoint, Fault, Provider, Rotation};

/// Processes that want a token at the same expiry.
const CROWD: usize = 50;

/// Expiries without a grace, where nobody asks for more.
const ROUNDS: usize = 100;

/// Expiries with a grace.
const ROUNDS_WITH_GRACE: usize = 25;

/// Longest time between two kills, in microseconds: a process of the crowd lives for some thousands.
const LONGEST_PAUSE: u64 = 4000;

const ASK: [&str; 2] = ["token", "work"];

#[test]
fn a_crowd_of_which_a_third_is_killed_makes_one_request_for_each_expiry() {
    let mut chance = Chance::new();
    let (provider, home) = expired_in(Home::in_memory(), Config::default());
    for round in 0..rounds(ROUNDS) {
        let what = format!("round {round}, seed {}", chance.seed);
        expire(&provider, &home);
        // The one who asks is known while its answer waits. To kill it would lose the grant: there
        // is no grace. Everybody else can be killed at any moment, before and after the answer.
        provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
        let crowd = start_crowd(&home);
        assert!(provider.wait_until_holding(1, LONG), "{what}");
        let holder = holder(&home, &crowd);

        let mut spared = kill_some(crowd, CROWD / 6, &mut chance, |pid| pid != holder);
        provider.release();
        spared = kill_some(spared, CROWD / 6, &mut chance, |pid| pid != holder);

        assert!(spared.iter().any(|child| child.id() == holder), "{what}");
        let tokens = tokens(spared);
        assert_eq!(tokens.len(), 1, "{what}");
        assert!(provider.is_live_access_token(tokens.first().unwrap()), "{what}");
        assert_eq!(refreshes(&provider), 1, "{what}");
        assert_eq!(provider.families_revoked(), [], "{what}");
    }
    assert_nothing_lost(&provider, &home);
}

#[test]
fn at_a_provider_with_grace_anybody_in_the_crowd_may_be_killed() {
    let mut chance = Chance::new();
    let grace = Config { rotation: Rotation::Rotate { grace_secs: 60 }, ..Config::default() };
    let (provider, home) = expired_in(Home::in_memory(), grace);
    for round in 0..rounds(ROUNDS_WITH_GRACE) {
        let what = format!("round {round}, seed {}", chance.seed);
        expire(&provider, &home);
        provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
        let mut crowd = start_crowd(&home);
        assert!(provider.wait_until_holding(1, LONG), "{what}");
        let holder = holder(&home, &crowd);

        // The one who asks is among them in every second round, at the worst of moments.
        if round % 2 == 0 {
            crowd = kill_some(crowd, 1, &mut chance, |pid| pid == holder);
        }
        provider.release();
        let spared = kill_some(crowd, CROWD / 3, &mut chance, |_| true);

        let tokens = tokens(spared);
        assert_eq!(tokens.len(), 1, "{what}");
        assert!(provider.is_live_access_token(tokens.first().unwrap()), "{what}");
        assert_eq!(provider.families_revoked(), [], "{what}");
        // Each request but the last was made by somebody who was killed.
        assert!(refreshes(&provider) <= 1 + CROWD / 3, "{what}");
    }
    assert_nothing_lost(&provider, &home);
}

/// Lets the cached token be one that is about to expire.
fn expire(provider: &Provider, home: &Home) {
    provider.configure(|config| config.expires_in = 30);
    let _ = home.run(&["token", "work", "--refresh"]).answer();
    provider.configure(|config| config.expires_in = 3599);
    provider.forget_requests();
}

fn start_crowd(home: &Home) -> Vec<Child> {
    (0..CROWD).map(|_| start(home, &ASK)).collect()
}

/// Who has the turn: `/proc/locks` (proc(5)) names the process of every lock, and the file's number.
fn holder(home: &Home, crowd: &[Child]) -> u32 {
    let locks = home.files("data/vault/locks").into_iter();
    let files: BTreeSet<u64> = locks.map(|file| std::fs::metadata(file).unwrap().ino()).collect();
    let held = std::fs::read_to_string("/proc/locks").unwrap();
    let holder = held.lines().find_map(|line| {
        // 1: FLOCK  ADVISORY  WRITE 4242 fd:01:131090 0 EOF; one who waits has an arrow before FLOCK.
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, file, ..] = fields[..] else { return None };
        let inode: u64 = file.rsplit(':').next()?.parse().ok()?;
        let pid: u32 = pid.parse().ok()?;
        (files.contains(&inode) && crowd.iter().any(|child| child.id() == pid)).then_some(pid)
    });
    holder.expect("who asks the provider holds the lock of the grant")
}

/// Kills `count` of those who may be killed, one after the other, and returns the others.
fn kill_some(
    mut crowd: Vec<Child>,
    count: usize,
    chance: &mut Chance,
    may_be_killed: impl Fn(u32) -> bool,
) -> Vec<Child> {
    for _ in 0..count {
        let candidates: Vec<usize> =
            (0..crowd.len()).filter(|index| may_be_killed(crowd[*index].id())).collect();
        let victim = candidates[chance.below(candidates.len() as u64) as usize];
        std::thread::sleep(Duration::from_micros(chance.below(LONGEST_PAUSE)));
        let mut child = crowd.swap_remove(victim);
        child.kill().unwrap();
        let _ = child.wait().unwrap();
    }
    crowd
}

/// What they have printed; panics unless all succeeded.
fn tokens(crowd: Vec<Child>) -> BTreeSet<String> {
    crowd.into_iter().map(|child| finish(child, &ASK).answer()).collect()
}

fn rounds(usual: usize) -> usize {
    number_from("VAULT_TESTS_ROUNDS").map_or(usual, |rounds| rounds as usize)
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Numbers that are the same for the same seed: SplitMix64 (Steele, Lea and Flood, 2014).
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn new() -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = number_from("VAULT_TESTS_SEED").unwrap_or_else(now);
        Self { seed, state: seed }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % end
    }
}
