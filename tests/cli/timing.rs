//! Servers that do the work and then fail to say so, at every byte and for every length of time.

use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::expiry::{assert_nothing_lost, beside, expired_at, expired_with_grace, finish, refreshes, start};
use crate::home::{Home, Run, VAULT};
use crate::outside::program;
use crate::provider::{Config, Endpoint, Fault, Provider, Rotation};

/// How many bytes of the longest answer are tried: an answer is shorter.
const TRIED: usize = 2000;

#[test]
fn an_answer_that_is_cut_off_at_any_byte_is_had_again_by_this_run_or_the_next() {
    // Two providers, because a run waits more than it works. Neighbours lie in both halves of a triple.
    let halves: Vec<_> = [0, 3].map(|first| thread::spawn(move || cut_at_triples(first))).into();
    for half in halves {
        assert!(half.join().unwrap() > 300, "an answer has some hundred bytes");
    }
}

/// Cuts answers at every second triple of bytes: two are lost in one run, which fails, and one in
/// the next, which gets the second answer whole. Returns how long the whole answer was.
fn cut_at_triples(first: usize) -> usize {
    let (provider, home) = expired_with_grace();
    for bytes in (first..TRIED).step_by(6) {
        provider.forget_requests();
        provider.script(Endpoint::Token, (bytes..bytes + 3).map(Fault::CommitThenCut).collect());

        let lost = home.run(&["token", "work", "--refresh"]);
        if lost.code == 0 {
            // The first or the second of them was the whole answer.
            return bytes + refreshes(&provider);
        }
        let _ = lost.expect_code(8);
        assert!(beside(&home).exists(), "{bytes} bytes");
        let token = home.run(&["token", "work", "--refresh"]).answer();

        assert!(provider.is_live_access_token(&token), "{bytes} bytes");
        assert!(refreshes(&provider) <= 4, "{bytes} bytes");
    }
    panic!("an answer of {TRIED} bytes");
}

#[test]
fn whatever_is_lost_twice_keeps_the_intent_and_the_next_run_succeeds() {
    let chunked = |body: &str| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        Fault::CommitThenBytes(format!("{head}{body}").into_bytes())
    };
    let losses = [
        Fault::CommitThenClose,
        Fault::CommitThenReset,
        Fault::CommitThenCut(100),
        Fault::CommitThenTruncate(60),
        Fault::CommitThenGarbage,
        Fault::CommitThenLength(1),
        Fault::CommitThenLength(1 << 16),
        Fault::CommitThenBytes(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}".to_vec(),
        ),
        Fault::CommitThenBytes(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_vec()),
        Fault::CommitThenBytes(endless_head()),
        chunked("zz\r\n{}\r\n0\r\n\r\n"),
        chunked("ffffffffffffffffff\r\n{}"),
        chunked("2\r\n{}"),
        chunked("2\r\n{}\r\n"),
    ];
    let (provider, home) = expired_with_grace();
    for fault in losses {
        let what = format!("{fault:?}").chars().take(100).collect::<String>();
        provider.forget_requests();
        provider.script(Endpoint::Token, vec![fault.clone(), fault]);

        let _ = home.run(&["token", "work", "--refresh"]).expect_code(8).expect_said("was lost");
        assert_eq!(refreshes(&provider), 2, "{what}");
        assert!(beside(&home).exists(), "{what}");

        let token = home.run(&["token", "work", "--refresh"]).answer();
        assert!(provider.is_live_access_token(&token), "{what}");
        assert_nothing_lost(&provider, &home);
    }
}

/// A head of two mebibytes: no server that means well sends one.
fn endless_head() -> Vec<u8> {
    let field = format!("X-Padding: {}\r\n", "x".repeat(1000));
    format!("HTTP/1.1 200 OK\r\n{}\r\n{{}}", field.repeat(2000)).into_bytes()
}

#[test]
fn a_whole_answer_that_makes_no_sense_is_asked_for_again_by_the_next_run_only() {
    let (provider, home) = expired_with_grace();
    let nonsense = [
        Fault::CommitThenLength(-1),
        Fault::CommitThenLength(-100),
        Fault::CommitThenEndAt(0),
        Fault::CommitThenEndAt(40),
        Fault::CommitThenStatus(200),
        Fault::CommitThenFlood(2),
    ];
    for fault in nonsense {
        provider.forget_requests();
        provider.script(Endpoint::Token, vec![fault.clone()]);

        let _ = home.run(&["token", "work", "--refresh"]).expect_code(9);
        assert_eq!(refreshes(&provider), 1, "{fault:?}");

        let token = home.run(&["token", "work", "--refresh"]).answer();
        assert!(provider.is_live_access_token(&token), "{fault:?}");
        assert_nothing_lost(&provider, &home);
    }
}

/// The one test that waits as long as the deadline is. What it shows takes thirty seconds for one
/// kind of slowness or for all of them at once.
#[test]
fn one_deadline_ends_every_kind_of_slowness() {
    let slow = [
        Fault::Hold,
        Fault::CommitThenHold,
        Fault::CommitThenStop(50),
        Fault::CommitThenDelay(Duration::from_secs(3600)),
        Fault::DripBytes(Duration::from_secs(1)),
    ];
    let arguments = ["token", "work", "--refresh"];
    let waiting: Vec<_> = slow
        .into_iter()
        .map(|fault| {
            let (provider, home) = expired_with_long_grace();
            provider.script(Endpoint::Token, vec![fault.clone(), fault]);
            let child = start(&home, &arguments);
            (provider, home, child)
        })
        .collect();

    // Twice the deadline: far from both, a client that keeps it and one that keeps none.
    let patience = Instant::now() + Duration::from_secs(60);
    for (provider, home, mut child) in waiting {
        wait_until(&mut child, patience);
        let _ = finish(child, &arguments).expect_code(8).expect_said("timed out");

        assert_eq!(refreshes(&provider), 2);
        assert!(beside(&home).exists());
        let token = home.run(&arguments).answer();
        assert!(provider.is_live_access_token(&token));
        assert_nothing_lost(&provider, &home);
    }
}

/// A provider whose grace is longer than the deadline of a request.
fn expired_with_long_grace() -> (Provider, Home) {
    expired_at(Config { rotation: Rotation::Rotate { grace_secs: 3600 }, ..Config::default() })
}

fn wait_until(child: &mut Child, end: Instant) {
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "the deadline has not ended the request");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_endless_answer_and_a_packed_one_cost_no_memory() {
    let Some(python) = program("python3") else { return };
    let (provider, home) = expired_with_grace();
    let usual = peak_memory(&python, &home, 0);
    let packed =
        Command::new("sh").args(["-c", "head -c 268435456 /dev/zero | gzip -9"]).output().unwrap().stdout;
    let bomb = Fault::CommitThenRespond {
        status: 200,
        headers: vec![
            ("Content-Type".into(), "application/json".into()),
            ("Content-Encoding".into(), "gzip".into()),
        ],
        body: packed,
    };

    for fault in [Fault::CommitThenFlood(1024), bomb] {
        provider.script(Endpoint::Token, vec![fault]);

        let peak = peak_memory(&python, &home, 9);

        // One answer has one mebibyte at most, and is held once while it is read.
        assert!(peak < usual + 8 * 1024, "{usual} KiB usually, {peak} KiB now");
        let _ = home.run(&["token", "work", "--refresh"]).answer();
        assert_nothing_lost(&provider, &home);
    }
}

/// The most memory that a refresh with this exit code has had, in KiB: `ru_maxrss` of getrusage(2).
fn peak_memory(python: &std::path::Path, home: &Home, code: i32) -> u64 {
    const MEASURE: &str = "import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], 'w') as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)";
    let file = home.path("peak");
    let arguments = ["token", "work", "--refresh"];
    let mut command = Command::new(python);
    home.prepare(&mut command);
    let output = command.args(["-c", MEASURE]).arg(&file).arg(VAULT).args(arguments).output().unwrap();
    let _ = Run::of(&arguments, output).expect_code(code);
    std::fs::read_to_string(file).unwrap().parse().unwrap()
}
