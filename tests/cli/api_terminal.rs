//! `vault api` on a terminal: an answer is made readable, and is not obeyed.

use crate::api::logged_in;
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
    let image = || answering("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    provider.script(Endpoint::Api, vec![image(), image()]);

    let said = expect_end(on_terminal(&home, &["api", &url]), 2);

    assert!(said.contains("-o FILE") && !said.contains("PNG"), "{said}");
    let _ = expect_end(on_terminal(&home, &["api", &url, "-o", "out.png"]), 0);
    assert_eq!(std::fs::read(home.path("out.png")).unwrap().len(), 16);
}
