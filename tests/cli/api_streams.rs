//! `vault api`: bodies of any length in either direction, and answers that do not come to their end.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::api::{logged_in, with_code};
use crate::home::{Home, Run, VAULT};
use crate::provider::{Endpoint, Fault};

/// How long a long body is, in MiB: more than the program may use of memory.
const LONG: usize = 100;

/// What the program may use of memory for its data, in KiB.
const MEMORY: usize = 48 * 1024;

const MIB: usize = 1 << 20;

/// A server that lets one connection do as it likes.
pub struct Server {
    port: u16,
    served: JoinHandle<Vec<u8>>,
}

impl Server {
    /// Serves one connection, whose head is read before, and returns what `serve` has found.
    pub fn start(serve: impl FnOnce(&mut TcpStream, &str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            serve(&mut stream, &String::from_utf8(head).unwrap())
        });
        Self { port, served }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/x", self.port)
    }
}

/// Allows the profile's token to the server.
pub fn allow(home: &Home, server: &Server) {
    let host = format!("api=127.0.0.1:{}", server.port);
    let _ = home.run(&["edit", "work", "--bind", &host]).expect_code(0);
}

/// The program with little memory, run by a shell that says where its input comes from.
fn limited(home: &Home, before: &str, words: &[&str]) -> Command {
    let script = format!("ulimit -d {MEMORY}; {before} \"$@\"");
    let mut command = Command::new("sh");
    home.prepare(&mut command);
    command.args(["-c", &script, "sh", VAULT]).args(words);
    command
}

/// The next MiB of a body that never repeats.
fn piece(number: usize) -> Vec<u8> {
    let mut piece = vec![b'x'; MIB];
    piece[..8].copy_from_slice(&(number as u64).to_le_bytes());
    piece
}

fn digest(mut body: impl Read) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; MIB];
    loop {
        match body.read(&mut buffer).unwrap() {
            0 => return hash.finalize().to_vec(),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn digest_of_pieces() -> Vec<u8> {
    let mut hash = Sha256::new();
    (0..LONG).for_each(|number| hash.update(piece(number)));
    hash.finalize().to_vec()
}

#[test]
fn a_long_answer_flows_through_little_memory() {
    let (_provider, home) = logged_in();
    let server = Server::start(|stream, _| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", LONG * MIB);
        stream.write_all(head.as_bytes()).unwrap();
        (0..LONG).for_each(|number| stream.write_all(&piece(number)).unwrap());
        Vec::new()
    });
    allow(&home, &server);

    let url = server.url();
    let mut child = limited(&home, "exec", &["api", &url]).stdout(Stdio::piped()).spawn().unwrap();
    let found = digest(child.stdout.take().unwrap());

    assert!(child.wait().unwrap().success());
    assert!(found == digest_of_pieces());
    server.served.join().unwrap();
}

/// Reads a body in chunks (RFC 9112, 7.1), or of `length` bytes, and returns its hash.
fn read_upload(stream: &mut TcpStream, head: &str) -> Vec<u8> {
    let head = head.to_ascii_lowercase();
    let found = match head.split("content-length: ").nth(1) {
        Some(rest) => {
            let length: u64 = rest.split("\r\n").next().unwrap().parse().unwrap();
            digest(stream.try_clone().unwrap().take(length))
        }
        None => {
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            let mut hash = Sha256::new();
            let mut reader = std::io::BufReader::with_capacity(MIB, stream.try_clone().unwrap());
            loop {
                let mut line = String::new();
                std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
                let length = usize::from_str_radix(line.trim(), 16).unwrap();
                let mut chunk = vec![0; length + 2];
                reader.read_exact(&mut chunk).unwrap();
                if length == 0 {
                    break hash.finalize().to_vec();
                }
                hash.update(&chunk[..length]);
            }
        }
    };
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    stream.write_all(answer).unwrap();
    found
}

#[test]
fn a_long_body_flows_through_little_memory_from_a_pipe_and_from_a_file() {
    let (_provider, home) = logged_in();
    let mut file = std::fs::File::create(home.path("long")).unwrap();
    (0..LONG).for_each(|number| file.write_all(&piece(number)).unwrap());
    for (before, source) in [("cat long |", "-"), ("exec", "long")] {
        let server = Server::start(read_upload);
        allow(&home, &server);

        let output =
            limited(&home, before, &["api", "PUT", &server.url(), "--input", source]).output().unwrap();

        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{source}");
        assert_eq!(output.stdout, b"ok");
        assert!(server.served.join().unwrap() == digest_of_pieces(), "{source}");
    }
}

#[test]
fn a_server_that_refuses_a_long_body_at_once_is_heard() {
    let (_provider, home) = logged_in();
    let server = Server::start(|stream, _| {
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop";
        stream.write_all(answer).unwrap();
        // Orderly: what was sent meanwhile is read, or a reset would overtake the answer.
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = std::io::copy(stream, &mut std::io::sink());
        Vec::new()
    });
    allow(&home, &server);

    let words = ["api", "PUT", &server.url(), "--input", "-"];
    let mut child = home
        .command(&words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Without an end, as far as the program can know.
    while stdin.write_all(&[b'x'; 4096]).is_ok() {}
    let run = Run::of(&words, child.wait_with_output().unwrap());

    assert_eq!(with_code(run, 7).stdout, "stop");
}

#[test]
fn an_answer_that_is_broken_off_is_no_answer_and_makes_no_file() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");
    let cut = || vec![Fault::CommitThenTruncate(10)];
    provider.script(Endpoint::Api, cut());
    let run = with_code(home.run(&["api", &url]), 8);
    assert_eq!(run.stdout.len(), 10);
    let _ = run.expect_said("broken off after 10 of ").expect_said("look before you send it again");

    provider.script(Endpoint::Api, cut());
    let _ = home.run(&["api", &url, "-o", "out"]).expect_code(8).expect_said("broken off");
    provider.script(Endpoint::Api, cut());
    let _ = home.run(&["api", &url, "--json"]).expect_code(8).expect_said("broken off");
    assert!(std::fs::read_dir(home.path("")).unwrap().all(|entry| {
        let name = entry.unwrap().file_name();
        name != "out" && !name.to_string_lossy().contains("vault-part")
    }));

    let server = Server::start(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").unwrap();
        Vec::new()
    });
    allow(&home, &server);
    let run = with_code(home.run(&["api", &server.url()]), 8).expect_said("broken off after 3 bytes");
    assert_eq!(run.stdout, "abc");
    for lost in [Fault::ResetBefore, Fault::CommitThenClose, Fault::Garbage] {
        provider.script(Endpoint::Api, vec![lost]);
        let _ = home.run(&["api", &url]).expect_code(8).expect_said("was lost");
    }
}

#[test]
fn a_server_that_falls_silent_is_waited_for_as_long_as_was_said() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let (_provider, home) = logged_in();
    // A dripping server comes to its end after one and a half seconds.
    let drip = |stream: &mut TcpStream, pieces: usize| {
        let _ = stream.write_all(HEAD);
        for _ in 0..pieces {
            std::thread::sleep(Duration::from_millis(1500) / 100);
            let _ = stream.write_all(b"0123456789");
        }
        Vec::new()
    };
    let wait = |stream: &mut TcpStream| {
        let _ = std::io::copy(stream, &mut std::io::sink());
        Vec::new()
    };
    let servers = [
        (Server::start(move |stream, _| wait(stream)), "--idle-time", 8, "has said nothing for too long"),
        (Server::start(move |stream, _| wait(stream)), "--max-time", 8, "the time was over"),
        (
            Server::start(move |stream, _| {
                let _ = stream.write_all(HEAD);
                let _ = stream.write_all(b"01234");
                wait(stream)
            }),
            "--idle-time",
            8,
            "broken off after 5 of 1000 bytes: the server has said nothing",
        ),
        (Server::start(move |stream, _| drip(stream, 100)), "--idle-time", 0, ""),
        (Server::start(move |stream, _| drip(stream, 100)), "--max-time", 8, "the time is over"),
    ];
    let started: Vec<_> = servers
        .iter()
        .map(|(server, limit, code, said)| {
            allow(&home, server);
            (crate::expiry::start(&home, &["api", &server.url(), limit, "1s"]), *code, *said)
        })
        .collect();

    for (child, code, said) in started {
        let _ = with_code(crate::expiry::finish(child, &["api"]), code).expect_said(said);
    }
}
