//! `vault api` on a terminal: an answer is made readable, and is not obeyed.

use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::api::logged_in;
use crate::api_streams::{Server, allow};
use crate::provider::{Endpoint, Fault};
use crate::slots::{expect_end, on_terminal};

fn answering(kind: &str, body: &[u8]) -> Fault {
    Fault::Respond { status: 200, headers: vec![("Content-Type".into(), kind.into())], body: body.to_vec() }
}

#[test]
fn json_is_laid_out_and_no_answer_commands_the_terminal() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");
    let odd = "a\u{1b}]0;title\u{7}\u{9b}2J\u{202e}b\n";
    provider.script(
        Endpoint::Api,
        vec![
            answering("application/json; charset=utf-8", b"{\"n\":1.50,\"t\":[\"x\"]}"),
            answering("application/problem+json", format!("{{\"t\":\"{}\"}}", odd.trim()).as_bytes()),
            answering("text/plain", odd.as_bytes()),
            answering("text/html", b"{\"n\":1}"),
        ],
    );
    let mut shown = Vec::new();
    for _ in 0..4 {
        shown.push(expect_end(on_terminal(&home, &["api", "-i", &url]), 0));
    }

    assert!(
        shown[0].contains("{\r\n  \"n\": 1.50,\r\n  \"t\": [\r\n    \"x\"\r\n  ]\r\n}\r\n"),
        "{}",
        shown[0]
    );
    assert!(shown[0].contains("HTTP/1.1 200 OK\r\n"), "{}", shown[0]);
    for text in shown.iter().map(|text| text_of(text)) {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{text:?}");
    }
    assert!(text_of(&shown[2]).contains("a\u{fffd}]0;title"), "{}", shown[2]);
    assert!(shown[3].contains("{\"n\":1}"), "{}", shown[3]);
}

/// What was written to the terminal: of each byte, its reader makes a character.
fn text_of(read: &str) -> String {
    let bytes: Vec<u8> = read.chars().map(|c| u8::try_from(c).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_is_no_text_is_not_written_to_a_terminal() {
    let (provider, home) = logged_in();
    let url = provider.url("/api/x");
    const IMAGE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let image = || answering("image/png", IMAGE);
    let sorry = Fault::Respond { status: 503, headers: Vec::new(), body: IMAGE.to_vec() };
    provider.script(Endpoint::Api, vec![image(), sorry, image()]);

    let said = expect_end(on_terminal(&home, &["api", &url]), 2);

    assert!(said.contains("-o FILE") && !said.contains("PNG"), "{said}");
    // How the request went comes first.
    let said = expect_end(on_terminal(&home, &["api", &url]), 8);
    assert!(said.contains("is no text") && said.contains("HTTP status 503"), "{said}");
    let _ = expect_end(on_terminal(&home, &["api", &url, "-o", "out.png"]), 0);
    assert_eq!(std::fs::read(home.path("out.png")).unwrap().len(), 16);
}

/// What takes a line of a terminal away (ECMA-48, 8.3.41).
const CLEAR_LINE: &str = "\u{1b}[2K";

/// Of the body, in bytes.
const LENGTH: usize = 1 << 20;

/// Sends a body of `LENGTH` bytes: little by little until `is_seen`, and then the rest.
fn send_slowly(stream: &mut TcpStream, is_seen: &AtomicBool) {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n").unwrap();
    let mut sent = 0;
    while sent < LENGTH {
        let piece = if is_seen.load(Ordering::SeqCst) { LENGTH - sent } else { 1 };
        stream.write_all(&vec![b'x'; piece]).unwrap();
        sent += piece;
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_takes_long_shows_how_far_it_is_and_leaves_no_trace() {
    let (_provider, home) = logged_in();
    let is_seen = Arc::new(AtomicBool::new(false));
    let tell = is_seen.clone();
    let server = Server::start(move |stream, _| {
        send_slowly(stream, &is_seen);
        Vec::new()
    });
    allow(&home, &server);
    let mut command = home.command(&["api", &server.url(), "-o", "long"]);
    command.env("TERM", "xterm").stdin(Stdio::inherit());
    let mut terminal = rexpect::session::spawn_command(command, Some(60_000)).unwrap();

    let before = terminal.exp_string(" of 1.00 MiB").unwrap();
    tell.store(true, Ordering::SeqCst);
    let after = expect_end(terminal, 0);

    assert!(before.contains("Received ") && before.contains(" B"), "{before:?}");
    // The line is taken away again, and nothing comes after it.
    let (_, end) = after.rsplit_once(CLEAR_LINE).unwrap();
    assert_eq!(end.trim(), "", "{after:?}");
    assert_eq!(std::fs::read(home.path("long")).unwrap().len(), LENGTH);
}
