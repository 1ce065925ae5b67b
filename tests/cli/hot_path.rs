//! What a cached token costs in system calls: facts that hold on every machine, unlike times.

use std::process::Command;

use serde_json::json;

use crate::home::{Home, VAULT};
use crate::provider::{Config, Provider};
use crate::{forge, outside, scene};

#[test]
fn a_cached_token_costs_no_more_calls_among_many_profiles_than_alone() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["use", "work"]).expect_code(0);
    let Some(alone) = calls(&home, &["token", "work"]) else { return };
    let default_alone = calls(&home, &["token"]).unwrap();

    crowd(&home, 300);

    assert_eq!(names(&calls(&home, &["token", "work"]).unwrap()), names(&alone));
    assert_eq!(names(&calls(&home, &["token"]).unwrap()), names(&default_alone));
}

#[test]
fn a_cached_token_starts_no_thread_and_opens_no_socket() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let Some(calls) = calls(&home, &["token", "work"]) else { return };

    let names = names(&calls);

    for never in ["clone", "clone3", "fork", "vfork", "socket", "connect"] {
        assert!(!names.contains(&never.to_owned()), "{never}: {calls:#?}");
    }
}

#[test]
fn a_cached_token_reads_each_file_once_and_none_outside() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    let authorities = home.write("authorities.pem", "");
    home.set("SSL_CERT_FILE", authorities.to_str().unwrap());
    let Some(calls) = calls(&home, &["token", "work"]) else { return };

    let mut opened = opened(&calls);

    // What programs of this language read before their first line, and dynamically linked ones.
    opened.retain(|path| path != "/proc/self/maps" && !path.contains("ld.so") && !path.contains(".so."));
    // The manifest, the place, the pin, the identities of this machine, the identity file, two
    // documents, the mark of each that has one, and the audit log.
    assert!((9..=11).contains(&opened.len()), "{opened:#?}");
    let home = home.path("").display().to_string();
    assert!(opened.iter().all(|path| path.starts_with(&home)), "{opened:#?}");
    assert!(!opened.contains(&authorities.display().to_string()), "{opened:#?}");
    let count = opened.len();
    opened.sort();
    opened.dedup();
    assert_eq!(opened.len(), count, "{calls:#?}");
}

#[test]
fn the_audit_log_costs_a_cached_token_eight_calls_and_no_sync() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let Some(calls) = calls(&home, &["token", "work"]) else { return };

    // A debug build asks of each file that it closes whether it was open.
    let calls: Vec<&String> = calls.iter().filter(|call| !call.starts_with("fcntl(")).collect();
    let begin = calls.iter().position(|call| call.starts_with("getppid(")).unwrap();
    let answer = calls.iter().position(|call| call.starts_with("write(1, ")).unwrap();

    let between: Vec<_> = calls[begin..answer].iter().map(|call| call.split_once('(').unwrap().0).collect();
    assert_eq!(between, ["getppid", "readlink", "openat", "statx", "flock", "statx", "write", "close"]);
}

#[test]
fn a_refresh_over_plain_http_reads_no_certificates() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let Some(calls) = calls(&home, &["token", "work", "--refresh"]) else { return };

    let opened = opened(&calls);

    assert!(names(&calls).contains(&"connect".to_owned()));
    assert!(!opened.iter().any(|path| path.contains("/ssl") || path.contains("cert")), "{opened:#?}");
}

/// Adds so many profiles that differ from `work` in name and identifier.
fn crowd(home: &Home, count: usize) {
    let key = forge::vault_key(home);
    let mut document = scene::read(&home.profile("work"));
    for number in 0..count {
        let name = format!("another-{number}");
        document["name"] = json!(name);
        document["id"] = json!(format!("{number:032x}"));
        forge::sign_with(&key, &mut document);
        scene::write(&home.profile(&name), &document);
    }
}

/// Every system call of a run that succeeds, but those that get memory: how many of them there are is the
/// allocator's concern.
fn calls(home: &Home, arguments: &[&str]) -> Option<Vec<String>> {
    let strace = outside::program("strace")?;
    let trace = home.path("trace");
    let mut command = Command::new(strace);
    home.prepare(&mut command);
    command.args(["-f", "-qq", "-e", "trace=!mmap,munmap,mremap,brk,madvise,mprotect", "-o"]);
    let output = command.arg(&trace).arg(VAULT).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = std::fs::read_to_string(&trace).unwrap();
    // A line begins with the number of its process.
    Some(calls.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim_start().to_owned())).collect())
}

fn names(calls: &[String]) -> Vec<String> {
    calls.iter().filter_map(|call| Some(call.split_once('(')?.0.to_owned())).collect()
}

/// The paths of the files that were there and were opened.
fn opened(calls: &[String]) -> Vec<String> {
    let opens = calls.iter().filter(|call| call.starts_with("open") && !call.contains("= -1"));
    opens.filter_map(|call| Some(call.split_once('"')?.1.split_once('"')?.0.to_owned())).collect()
}
