use std::collections::VecDeque;
use std::sync::Barrier;
use std::thread;

use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::domain::{Host, Use};

/// A clock that stands until it is set.
struct HandClock(Mutex<Timestamp>);

impl HandClock {
    fn new() -> Self {
        Self(Mutex::new(Timestamp::from_second(1_000_000).unwrap()))
    }

    fn advance(&self, seconds: i64) {
        let mut now = locked(&self.0);
        *now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *locked(&self.0)
    }

    fn instant(&self) -> std::time::Instant {
        unreachable!("an answer holds by the time of day")
    }

    fn sleep(&self, _: std::time::Duration) {
        unreachable!("nobody sleeps at a counter")
    }
}

/// A desk that answers what was laid out beforehand, and then tokens of an hour; each with its number.
struct Clerk<'a> {
    clock: &'a HandClock,
    laid_out: Mutex<VecDeque<Outcome>>,
    asked: Mutex<Vec<Ask>>,
}

enum Outcome {
    /// A token of a life in seconds, or of one that nobody knows.
    Token(Option<i64>),
    Refused(RefusalKind),
    /// The same after a while, in which others come to ask.
    RefusedAfterAWhile(RefusalKind),
    Panics,
}

impl<'a> Clerk<'a> {
    fn new(clock: &'a HandClock, laid_out: impl Into<VecDeque<Outcome>>) -> Self {
        Self { clock, laid_out: Mutex::new(laid_out.into()), asked: Mutex::default() }
    }

    fn next(&self, ask: Ask) -> (Outcome, usize) {
        let mut asked = locked(&self.asked);
        asked.push(ask);
        (locked(&self.laid_out).pop_front().unwrap_or(Outcome::Token(Some(3600))), asked.len())
    }
}

impl Desk for Clerk<'_> {
    fn token(&self, _: &ProfileName, ask: &Ask) -> Result<AccessToken, Refusal> {
        let (outcome, number) = self.next(ask.clone());
        let now = self.clock.now();
        match outcome {
            Outcome::Token(life) => Ok(AccessToken {
                value: SecretString::from(format!("token {number}")),
                obtained_at: now,
                expires_at: life.map(|life| now.checked_add(SignedDuration::from_secs(life)).unwrap()),
                scopes: Scopes::default(),
            }),
            Outcome::Refused(kind) => Err(Refusal { kind, message: format!("refusal {number}") }),
            Outcome::RefusedAfterAWhile(kind) => {
                thread::sleep(std::time::Duration::from_millis(50));
                Err(Refusal { kind, message: format!("refusal {number}") })
            }
            Outcome::Panics => panic!("a bug, for the test"),
        }
    }

    fn profile(&self, name: &ProfileName) -> Result<Profile, Refusal> {
        let (outcome, number) = self.next(Ask::default());
        match outcome {
            Outcome::Refused(kind) => Err(Refusal { kind, message: format!("refusal {number}") }),
            _ => Ok(serde_json::from_value(serde_json::json!({
                "name": name, "provider": "google", "client": crate::domain::DocumentId::from_bytes([0; 16]),
                "account": {}, "scopes": { "asked": [], "granted": [] }, "project": format!("project-{number}"),
            }))
            .unwrap()),
        }
    }

    fn profile_for(&self, _: Use, _: &Host, _: Option<&ProfileName>) -> Result<Option<ProfileName>, Refusal> {
        unreachable!("a server knows its profile")
    }

    fn forget(&self, _: &ProfileName, _: &SecretString) -> Result<(), Refusal> {
        unreachable!("a server forgets no token")
    }
}

fn teller<'a>(clerk: &'a Clerk<'_>, clock: &'a HandClock) -> Teller<'a> {
    static IS_STOPPED: AtomicBool = AtomicBool::new(false);
    Teller::new(clerk, clock, "work".parse().unwrap(), None, &IS_STOPPED)
}

#[test]
fn nobody_is_asked_any_more_when_the_server_ends_however_many_wait() {
    let clock = HandClock::new();
    let clerk = Clerk::new(&clock, []);
    let is_stopped = AtomicBool::new(false);
    let teller = Teller::new(&clerk, &clock, "work".parse().unwrap(), None, &is_stopped);
    teller.token(None).unwrap();

    is_stopped.store(true, Ordering::SeqCst);

    let scopes = Scopes::try_from(vec!["openid".to_owned()]).unwrap();
    assert_eq!(teller.token(Some(scopes)).unwrap_err().kind, RefusalKind::Offline);
    assert_eq!(teller.facts().unwrap_err().kind, RefusalKind::Offline);
    assert_eq!(locked(&clerk.asked).len(), 1);
}

fn said(result: Result<AccessToken, Refusal>) -> String {
    result.map_or_else(|refusal| refusal.message, |token| token.value.expose_secret().to_owned())
}

#[test]
fn an_answer_holds_for_ten_seconds_and_no_longer() {
    let clock = HandClock::new();
    let clerk = Clerk::new(&clock, []);
    let teller = teller(&clerk, &clock);

    assert_eq!(said(teller.token(None)), "token 1");
    clock.advance(9);
    assert_eq!(said(teller.token(None)), "token 1");
    clock.advance(1);
    assert_eq!(said(teller.token(None)), "token 2");
    // A clock that was put right.
    clock.advance(-5);
    assert_eq!(said(teller.token(None)), "token 3");
}

#[test]
fn a_refusal_holds_for_two_seconds() {
    let clock = HandClock::new();
    let clerk = Clerk::new(&clock, [Outcome::Refused(RefusalKind::Offline)]);
    let teller = teller(&clerk, &clock);

    assert_eq!(said(teller.token(None)), "refusal 1");
    clock.advance(1);
    assert_eq!(said(teller.token(None)), "refusal 1");
    clock.advance(1);
    assert_eq!(said(teller.token(None)), "token 2");
}

#[test]
fn other_scopes_are_another_question() {
    let clock = HandClock::new();
    let clerk = Clerk::new(&clock, []);
    let teller = teller(&clerk, &clock);
    let scopes = |text: &str| Some(text.parse::<Scopes>().unwrap());

    assert_eq!(said(teller.token(scopes("a b"))), "token 1");
    assert_eq!(said(teller.token(scopes("a"))), "token 2");
    assert_eq!(said(teller.token(None)), "token 3");
    assert_eq!(said(teller.token(scopes("b a"))), "token 1");
    for number in 0..100 {
        let _ = teller.token(scopes(&number.to_string()));
    }
    assert!(locked(&teller.tokens.state).answers.len() <= QUESTIONS + 1);
}

#[test]
fn a_dead_token_is_not_given_again() {
    let clock = HandClock::new();
    let clerk = Clerk::new(&clock, [Outcome::Token(Some(5)), Outcome::Token(None)]);
    let teller = teller(&clerk, &clock);

    assert_eq!(said(teller.token(None)), "token 1");
    clock.advance(4);
    assert_eq!(said(teller.token(None)), "token 1");
    clock.advance(1);
    let token = teller.token(None).unwrap();
    assert_eq!((teller.seconds_left(&token), said(Ok(token))), (None, "token 2".to_owned()));
}

#[test]
fn a_token_lives_six_minutes_more_or_half_of_its_life() {
    let clock = HandClock::new();
    let lives = [Some(3600), Some(419), Some(420), None, Some(60)];
    let clerk = Clerk::new(&clock, lives.map(Outcome::Token));
    let teller = teller(&clerk, &clock);

    for _ in 0..6 {
        teller.token(None).unwrap();
        clock.advance(10);
    }

    let asked: Vec<_> = locked(&clerk.asked).iter().map(|ask| ask.min_ttl.as_secs()).collect();
    assert_eq!(asked, [360, 360, 209, 360, 360, 30]);
}

#[test]
fn facts_are_told_again_while_the_vault_is_locked() {
    let clock = HandClock::new();
    let refused = |kind| Outcome::Refused(kind);
    let laid_out = [
        refused(RefusalKind::Locked),
        Outcome::Token(None),
        refused(RefusalKind::Locked),
        refused(RefusalKind::Offline),
        refused(RefusalKind::NotFound),
    ];
    let clerk = Clerk::new(&clock, laid_out);
    let teller = teller(&clerk, &clock);
    let ask = || {
        clock.advance(10);
        teller.facts().map_or_else(|refusal| refusal.message, |facts| facts.project.unwrap())
    };

    let answers: Vec<String> = (0..6).map(|_| ask()).collect();

    assert_eq!(answers, ["refusal 1", "project-2", "project-2", "project-2", "refusal 5", "project-6"]);
}

#[test]
fn whoever_waits_gets_the_answer_of_the_one_who_asked() {
    let clock = HandClock::new();
    let clerk = Clerk::new(&clock, [Outcome::RefusedAfterAWhile(RefusalKind::Other)]);
    let teller = teller(&clerk, &clock);
    let together = Barrier::new(50);

    let answers: Vec<String> = thread::scope(|scope| {
        let ask = || {
            together.wait();
            said(teller.token(None))
        };
        let asking: Vec<_> = (0..50).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });

    assert_eq!(answers, vec!["refusal 1"; 50]);
}

#[test]
fn a_bug_at_the_desk_leaves_nobody_waiting() {
    let clock = HandClock::new();
    let clerk = Clerk::new(&clock, [Outcome::Panics]);
    let teller = teller(&clerk, &clock);

    thread::scope(|scope| assert!(scope.spawn(|| teller.token(None)).join().is_err()));

    assert_eq!(said(teller.token(None)), "token 2");
}
