//! Who comes to the agent's socket beside the program, and what they send.

use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};

use serde_json::{Value, json};

use crate::forge;
use crate::holder::{Holder, wait_until};
use crate::neighbours::python_of_a_stranger;
use crate::scene::read;

/// A frame as the protocol has it: length, version, message.
fn frame(version: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[version], message].concat()
}

fn send(holder: &Holder, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(holder.socket()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn ask(holder: &Holder, message: &Value) -> Value {
    let answer = send(holder, &frame(1, message.to_string().as_bytes()));
    serde_json::from_slice(&answer[5..]).unwrap()
}

/// The agent holds the key of `holder`'s vault, and nothing else unlocks it.
fn held() -> Holder {
    let holder = Holder::new();
    holder.unlock("1h").expect_code(0);
    holder
}

fn ids(holder: &Holder) -> (Value, Value) {
    let manifest = read(&holder.home.vault_dir().join("vault.json"));
    (manifest["vault"].clone(), manifest["kid"].clone())
}

#[test]
fn what_is_no_message_is_answered_with_a_failure_that_repeats_nothing() {
    let holder = held();
    for bytes in [
        vec![0, 0, 0, 0],
        vec![0xff; 4],
        vec![0xff; 4096],
        (256 * 1024 + 1_u32).to_be_bytes().to_vec(),
        vec![0, 0],
        [&100_u32.to_be_bytes()[..], b"\x01\"sta"].concat(),
        frame(1, br#"{"canary":{}}"#),
        frame(1, br#""status" "canary""#),
        frame(1, br#"{"get":{"vault":"canary","kid":"canary"}}"#),
        frame(1, b"\xff\xfecanary"),
        frame(1, b""),
        frame(0, br#""status""#),
        frame(2, br#""status""#),
        frame(1, &b"[".repeat(200_000)),
        frame(1, "\"canary".repeat(30_000).as_bytes()),
    ] {
        let answer = String::from_utf8_lossy(&send(&holder, &bytes)).into_owned();
        assert!(answer.is_empty() || answer.contains("not_understood"), "{answer}");
        assert!(!answer.contains("canary") && !answer.contains("AGE-SECRET-KEY"), "{answer}");
    }
    holder.hide_identity();
    holder.verify().expect_code(0);
}

#[test]
fn no_message_gives_a_secret_of_a_profile() {
    let holder = held();
    let (vault, kid) = ids(&holder);
    for name in ["reveal", "refresh_token", "client_secret", "token", "open", "run", "load", "Get", "GET"] {
        let answer = ask(&holder, &json!({ name: { "vault": vault, "kid": kid, "profile": "work" } }));
        assert_eq!(answer, json!({ "failure": { "reason": "not_understood" } }), "{name}");
    }
    let answer = ask(&holder, &json!({ "get": { "vault": vault, "kid": kid, "helper": "/bin/sh" } }));
    assert_eq!(
        answer,
        json!({ "failure": { "reason": "not_understood" } }),
        "a message that names a program"
    );
}

#[test]
fn a_time_that_makes_no_sense_and_a_condition_that_is_unknown_hold_nothing() {
    let holder = held();
    let (_, kid) = ids(&holder);
    let vault = "0123456789abcdef0123456789abcdef";
    let hold = |seconds: Value| json!({ "hold": { "vault": vault, "kid": kid, "key": "AGE-SECRET-KEY-1CANARY", "seconds": seconds } });

    for seconds in
        [json!(0), json!(-1), json!(1e30), json!(u64::MAX), json!("1"), json!(null), json!(2_678_401)]
    {
        let answer = ask(&holder, &hold(seconds.clone()));
        assert!(answer.get("failure").is_some(), "{seconds}: {answer}");
    }
    let mut confirmed = hold(json!(60));
    confirmed["hold"]["confirm"] = true.into();
    assert_eq!(ask(&holder, &confirmed), json!({ "failure": { "reason": "not_understood" } }));
    assert_eq!(ask(&holder, &json!({ "get": { "vault": vault, "kid": kid } })), json!("nothing"));
    assert_eq!(ask(&holder, &json!("status"))["status"]["vaults"].as_array().unwrap().len(), 1);
}

#[test]
fn a_key_that_was_dropped_is_nowhere_in_the_memory_of_the_agent() {
    use age::secrecy::ExposeSecret;
    let holder = held();
    let agent = holder.agent().unwrap();
    let (_, kid) = ids(&holder);
    let ours = forge::vault_key(&holder.home).to_string().expose_secret().to_owned();
    // Many, because the place of one is soon taken by something else.
    let others: Vec<(String, String)> = (0..30)
        .map(|number| {
            (
                format!("{number:032x}"),
                age::x25519::Identity::generate().to_string().expose_secret().to_owned(),
            )
        })
        .collect();
    for (vault, key) in &others {
        let answer =
            ask(&holder, &json!({ "hold": { "vault": vault, "kid": kid, "key": key, "seconds": 600 } }));
        assert!(answer.get("held").is_some(), "{answer}");
    }
    let keys = || others.iter().map(|(_, key)| key.as_str());
    let Some(before) = held_in_memory(&agent, keys().chain([ours.as_str()])) else {
        return crate::outside::leave_out("only root can look into the agent");
    };
    assert_eq!(before, 31, "the look finds what is there");

    for (vault, _) in &others {
        assert_eq!(ask(&holder, &json!({ "drop": { "vault": vault } })), json!("nothing"));
    }
    assert_eq!(held_in_memory(&agent, keys()), Some(0), "dropped keys are still in the memory of the agent");
    assert_eq!(held_in_memory(&agent, [ours.as_str()].into_iter()), Some(1));
    let status = std::fs::read_to_string(format!("/proc/{agent}/status")).unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim();
    assert_ne!(locked, "0 kB", "no memory is kept from the disk");

    let answer = ask(&holder, &json!({ "get": { "vault": others[0].0, "kid": kid } }));
    assert_eq!(answer, json!("nothing"));
    holder.home.run(&["lock"]).expect_code(0);
    wait_until("the agent to end with its last key", || holder.agent().is_none());
}

/// How many of these texts are in what the process has in its memory; `None` if nobody may look.
fn held_in_memory<'a>(process: &str, texts: impl Iterator<Item = &'a str>) -> Option<usize> {
    use std::os::unix::fs::FileExt;
    // Without the beginning, which is that of every key, and which an allocator may write over.
    let search = aho_corasick::AhoCorasick::new(texts.map(|text| &text[40..])).unwrap();
    let memory = std::fs::File::open(format!("/proc/{process}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut found = std::collections::BTreeSet::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            found.extend(search.find_iter(&bytes).map(|place| place.pattern()));
        }
    }
    Some(found.len())
}

#[test]
fn thousands_of_connections_keep_the_agent_neither_from_living_nor_from_answering() {
    let holder = held();
    let mut silent = Vec::new();
    for _ in 0..2_000 {
        // More than it serves are closed at once.
        silent.extend(UnixStream::connect(holder.socket()).ok());
    }
    assert!(silent.len() > 200);
    drop(silent);

    holder.hide_identity();
    wait_until("the agent to answer again", || holder.verify().code == 0);
    assert!(holder.agent().is_some());
}

#[test]
fn a_client_that_leaves_before_its_answer_harms_nobody() {
    let holder = held();
    let (vault, kid) = ids(&holder);
    let request = frame(1, json!({ "get": { "vault": vault, "kid": kid } }).to_string().as_bytes());
    for length in (0..request.len()).step_by(7).chain([request.len(); 50]) {
        let mut stream = UnixStream::connect(holder.socket()).unwrap();
        let _ = stream.write_all(&request[..length]);
    }

    holder.hide_identity();
    holder.verify().expect_code(0);
}

#[test]
fn another_user_gets_no_word_from_the_agent_whatever_the_modes_are() {
    let Some(mut stranger) = python_of_a_stranger() else { return };
    let holder = held();
    let open = |path: std::path::PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(holder.home.path(""), 0o755);
    open(holder.home.path("run"), 0o777);
    open(holder.home.path("run/vault"), 0o777);
    open(holder.socket(), 0o666);
    let script = "import socket, sys\n\
        s = socket.socket(socket.AF_UNIX)\n\
        s.connect(sys.argv[1])\n\
        print('connected')\n\
        try:\n\
        \x20s.sendall(b'\\x00\\x00\\x00\\x09\\x01\"status\"')\n\
        \x20print(s.recv(4096))\n\
        except OSError: print(b'')\n";

    let output = stranger.args(["-c", script]).arg(holder.socket()).output().unwrap();

    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "connected\nb''\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_agent_of_another_version_is_named_with_both_versions() {
    let holder = Holder::new();
    std::fs::DirBuilder::new().mode(0o700).create(holder.home.path("run/vault")).unwrap();
    let newer = UnixListener::bind(holder.socket()).unwrap();
    std::thread::spawn(move || {
        for stream in newer.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&frame(2, br#"{"anything":"else"}"#));
        }
    });

    holder.home.run(&["unlocked"]).expect_code(14).expect_said("version 2").expect_said("version 1");
    holder.home.run(&["lock"]).expect_code(14);
    holder.verify().expect_code(0);
}

#[test]
fn a_socket_path_that_is_too_long_is_named() {
    let mut holder = Holder::new();
    let deep = holder.home.path("x".repeat(60)).join("y".repeat(60));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&deep).unwrap();
    holder.home.set("XDG_RUNTIME_DIR", deep.to_str().unwrap());

    holder.unlock("1h").expect_code(10).expect_said("too long");
    holder.verify().expect_code(0);
}
