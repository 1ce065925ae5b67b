//! Who comes to the port of a login beside the browser: what is sent there changes nothing, learns
//! nothing, and keeps nobody waiting. Every reply in this file is looked at for what it gives away.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Home, VAULT};
use crate::outside;
use crate::provider::{Config, Endpoint, Provider, browser};
use crate::tree;
use crate::waiting::{LOGIN, Waiting, parameter};

/// One of these statuses, or a connection that was closed while the visitor was still talking.
#[track_caller]
fn expect_status(reply: &str, statuses: &[&str], what: &str) {
    let status = reply.split(' ').nth(1).unwrap_or_default();
    assert!(statuses.contains(&status), "{what:.60}: {reply:.60}");
}

fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    (provider, home)
}

#[test]
fn an_answer_without_the_right_state_leaves_the_login_waiting() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let state = &waiting.state;
    let last = if state.ends_with('A') { "B" } else { "A" };
    let nearly = format!("{}{last}", &state[..state.len() - 1]);

    for query in [
        "code=canary".to_owned(),
        "code=canary&state=".to_owned(),
        format!("code=canary&state={nearly}"),
        format!("code=canary&state={}", &state[1..]),
        format!("code=canary&state={state}x"),
        format!("code=canary&state={}", state.to_lowercase()),
        format!("code=canary&state={state}&state={state}"),
        format!("code=canary&state={state}&state=canary"),
        format!("code=canary&State={state}"),
        "error=access_denied&state=canary".to_owned(),
    ] {
        expect_status(&waiting.get(&format!("/?{query}")), &["400"], &query);
    }
    waiting.expect_still_waiting();
}

#[test]
fn an_answer_with_neither_code_nor_error_leaves_the_login_waiting() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let iss = parameter(&waiting.query, "iss");

    for query in
        [format!("state={}&iss={iss}", waiting.state), format!("state={}&iss={iss}&x=canary", waiting.state)]
    {
        expect_status(&waiting.get(&format!("/?{query}")), &["400"], &query);
    }
    waiting.expect_still_waiting();
}

#[test]
fn an_answer_that_contradicts_itself_or_holds_no_code_ends_the_login() {
    let (provider, home) = logged_in();
    let before = tree::stored(&home);
    for bad in [
        "code=canary&error=access_denied",
        "code=canary&code=canary",
        "code=",
        "code=%00",
        "code=can%0aary",
        "code=%ff%fe",
    ] {
        let waiting = Waiting::new(&provider, &home);
        let iss = parameter(&waiting.query, "iss");
        let reply = waiting.get(&format!("/?{bad}&state={}&iss={iss}", waiting.state));
        assert!(reply.contains("The login did not succeed"), "{bad}: {reply}");
        waiting.expect_end(9).expect_unsaid("canary");
    }
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn a_code_is_decoded_once_on_its_way() {
    let (provider, home) = logged_in();
    for (sent, meant) in [("a%2Bb", "a+b"), ("a+b", "a b"), ("a%252Bb", "a%2Bb"), ("%61", "a")] {
        let waiting = Waiting::new(&provider, &home);
        let iss = parameter(&waiting.query, "iss");
        waiting.get(&format!("/?code={sent}&state={}&iss={iss}", waiting.state));
        waiting.expect_end(5);
        let asked = provider.requests_to(Endpoint::Token);
        assert_eq!(asked.last().unwrap().field("code"), Some(meant));
    }
}

#[test]
fn only_get_and_only_http_is_understood() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let (host, target) = (&waiting.host, format!("/?{}", waiting.query));

    for method in ["POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "PROPFIND", "get"] {
        let reply = waiting.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        expect_status(&reply, &["405"], method);
        assert!(reply.contains("Allow: GET\r\n"), "{reply}");
    }
    let hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03canary".to_vec();
    for (what, request) in [
        ("CONNECT", format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("TLS", hello),
        ("HTTP/0.9", format!("GET {target}\r\n\r\n").into_bytes()),
        (
            "a body",
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 6\r\n\r\ncanary").into_bytes(),
        ),
        (
            "two requests",
            format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\nGET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
                .into_bytes(),
        ),
        (
            "chunks",
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n")
                .into_bytes(),
        ),
    ] {
        expect_status(&waiting.send(request), &["400", "405"], what);
    }
    waiting.expect_still_waiting();
}

#[test]
fn only_the_exact_target_is_the_way_back() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let (host, query) = (&waiting.host, &waiting.query);
    let many: String = (0..10_000).map(|number| format!("p{number}=canary&")).collect();

    for (target, statuses) in [
        (format!("http://{host}/?{query}"), &["400"][..]),
        (format!("//?{query}"), &["404"]),
        (format!("//{host}/?{query}"), &["404"]),
        (format!("/%2e%2e/?{query}"), &["404"]),
        (format!("/../?{query}"), &["404"]),
        (format!("/canary?{query}"), &["404"]),
        (format!("/%2f?{query}"), &["404"]),
        (format!("/;x?{query}"), &["404"]),
        (format!("/?{query}#canary"), &["400"]),
        (format!("/\u{e9}?{query}"), &["400"]),
        (format!("*?{query}"), &["400"]),
        (format!("?{query}"), &["400"]),
        (format!("/?{}&{query}", "canary".repeat(20_000)), &["414", ""]),
        (format!("/?{many}{query}"), &["414", ""]),
        ("/favicon.ico".to_owned(), &["404"]),
    ] {
        expect_status(&waiting.get(&target), statuses, &target);
    }
    waiting.expect_still_waiting();
}

#[test]
fn only_our_own_host_is_answered() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let port = waiting.host.rsplit(':').next().unwrap().to_owned();
    let ask = |fields: &str| waiting.send(format!("GET /?{} HTTP/1.1\r\n{fields}\r\n", waiting.query));

    for name in [
        format!("evil.example:{port}"),
        format!("127.0.0.1.nip.io:{port}"),
        format!("localhost:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::1]:{port}"),
        format!("127.0.0.1.:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:1".to_owned(),
        format!("canary@127.0.0.1:{port}"),
        format!("127.0.0.1:0{port}"),
        String::new(),
    ] {
        expect_status(&ask(&format!("Host: {name}\r\n")), &["403", "400"], &name);
    }
    let ours = &waiting.host;
    for fields in [
        String::new(),
        format!("Host: {ours}\r\nHost: {ours}\r\n"),
        format!("Host: {ours}\r\nhost: canary.example\r\n"),
        format!("X-Forwarded-Host: {ours}\r\n"),
    ] {
        expect_status(&ask(&fields), &["400", "403"], &fields);
    }
    // Names of hosts know no case; a browser writes digits, which have none.
    expect_status(&ask(&format!("hOST: {ours}\r\nSec-Fetch-Mode: no-cors\r\n")), &["403"], "case");
    waiting.expect_still_waiting();
}

#[test]
fn what_a_page_of_another_origin_sends_is_refused() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);

    for fields in [
        "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nOrigin: https://evil.example\r\n",
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
        "Sec-Fetch-Mode: websocket\r\n",
        "Origin: https://evil.example\r\n",
    ] {
        let request = format!("GET /?{} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", waiting.query, waiting.host);
        expect_status(&waiting.send(request), &["403"], fields);
    }
    waiting.expect_still_waiting();
}

#[test]
fn a_head_that_parsers_disagree_about_is_refused() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let (host, target) = (&waiting.host, format!("/?{}", waiting.query));
    let line = format!("GET {target} HTTP/1.1");

    for (what, request) in [
        ("bare LF", format!("{line}\nHost: {host}\n\n")),
        ("one bare LF", format!("{line}\r\nHost: {host}\nX: y\r\n\r\n")),
        ("bare CR", format!("{line}\r\nHost: {host}\rX: y\r\n\r\n")),
        ("folded", format!("{line}\r\nHost:\r\n {host}\r\n\r\n")),
        ("NUL", format!("{line}\r\nHost: {host}\r\nX: \0canary\r\n\r\n")),
        ("space before colon", format!("{line}\r\nHost : {host}\r\n\r\n")),
        ("no colon", format!("{line}\r\nHost: {host}\r\ncanary\r\n\r\n")),
        ("tab in line", format!("GET\t{target}\tHTTP/1.1\r\nHost: {host}\r\n\r\n")),
        ("version", format!("GET {target} HTTP/3.7\r\nHost: {host}\r\n\r\n")),
    ] {
        expect_status(&waiting.send(request), &["400"], what);
    }
    let huge = format!("{line}\r\nHost: {host}\r\nX: {}\r\n\r\n", "canary".repeat(200_000));
    expect_status(&waiting.send(huge), &["431", ""], "a header of a mebibyte");
    let many = format!("{line}\r\nHost: {host}\r\n{}\r\n", "X: y\r\n".repeat(65));
    expect_status(&waiting.send(many), &["431"], "65 fields");
    waiting.expect_still_waiting();
}

#[test]
fn a_head_may_have_eight_kibibytes_and_no_more() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let head = |length: usize, query: &str| {
        let start = format!("GET /?{query} HTTP/1.1\r\nHost: {}\r\nX: ", waiting.host);
        let rest = length - start.len() - 4;
        format!("{start}{}\r\n\r\n", "x".repeat(rest))
    };

    expect_status(&waiting.send(head(8 * 1024 + 1, &waiting.query)), &["431", ""], "too long");
    expect_status(&waiting.send(head(8 * 1024, &waiting.query)), &["200"], "just right");
    waiting.login.finish(&LOGIN).expect_code(0);
}

#[test]
fn who_speaks_slowly_or_not_at_all_keeps_nobody_waiting() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let idle: Vec<_> = (0..64).map(|_| waiting.connect()).collect();
    let drip = waiting.connect();
    let mut dripping = drip.try_clone().unwrap();
    let dripper = std::thread::spawn(move || {
        let request = b"GET /?code=canary HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        // Whoever is told 408 is hung up on: then there is nobody to talk to.
        request
            .iter()
            .take_while(|byte| {
                std::thread::sleep(Duration::from_millis(100));
                dripping.write_all(&[**byte]).is_ok()
            })
            .count()
    });

    let mut told = String::new();
    let _ = (&drip).read_to_string(&mut told);
    expect_status(&waiting.checked(told), &["408"], "a drip");
    let _ = drip.shutdown(Shutdown::Both);
    assert!(dripper.join().unwrap() < 48, "it could say all that it had to say");
    // Sixty-four came, sixteen may stay: the others were hung up on before their time was over, without a word.
    let pushed_out = idle.iter().filter(|stream| {
        stream.set_nonblocking(true).unwrap();
        matches!(stream.peek(&mut [0; 1]), Ok(0))
    });
    assert!(pushed_out.count() >= 48);
    waiting.expect_still_waiting();
}

#[test]
fn a_thousand_wrong_answers_of_another_user_change_nothing() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let script = "import collections, concurrent.futures, socket, sys\n\
        host, port = sys.argv[1].split(':')\n\
        def ask(number):\n\
        \x20with socket.create_connection((host, int(port))) as s:\n\
        \x20 s.sendall(f'GET /?code=canary&state=guess{number} HTTP/1.1\\r\\nHost: {sys.argv[1]}\\r\\n\\r\\n'.encode())\n\
        \x20 return s.recv(65536).split(b' ')[1].decode()\n\
        with concurrent.futures.ThreadPoolExecutor(10) as people:\n\
        \x20print(dict(collections.Counter(people.map(ask, range(1000)))))\n";
    let Some(mut stranger) = crate::neighbours::python_of_a_stranger() else {
        return waiting.expect_still_waiting();
    };

    let output = stranger.args(["-c", script, &waiting.host]).output().unwrap();

    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "{'400': 1000}\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    waiting.expect_still_waiting();
}

#[test]
fn the_right_answer_twice_is_spent_once() {
    let (provider, home) = logged_in();
    let waiting = Waiting::new(&provider, &home);
    let ask = || {
        // The port may be closed already.
        let Ok(mut stream) = TcpStream::connect(&waiting.host) else { return String::new() };
        let mut reply = String::new();
        let _ = write!(stream, "GET /?{} HTTP/1.1\r\nHost: {}\r\n\r\n", waiting.query, waiting.host);
        let _ = stream.read_to_string(&mut reply);
        reply
    };

    let replies = std::thread::scope(|scope| {
        let visits: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        visits.into_iter().map(|visit| visit.join().unwrap()).collect::<Vec<_>>()
    });

    assert_eq!(replies.iter().filter(|reply| reply.contains("You are signed in")).count(), 1, "{replies:?}");
    assert_eq!(provider.count(Endpoint::Token), waiting.spent + 1);
    waiting.expect_end(0);
}

#[test]
fn the_port_is_closed_however_the_login_ends() {
    let (provider, home) = logged_in();
    let with_state = |waiting: &Waiting<'_>, query: &str| {
        let iss = parameter(&waiting.query, "iss");
        waiting.get(&format!("/?{query}&state={}&iss={iss}", waiting.state));
    };

    let waiting = Waiting::new(&provider, &home);
    with_state(&waiting, "error=access_denied");
    waiting.expect_end(12);
    let waiting = Waiting::new(&provider, &home);
    with_state(&waiting, "error=invalid_scope");
    waiting.expect_end(7);
    for signal in [Signal::INT, Signal::TERM] {
        let waiting = Waiting::new(&provider, &home);
        kill_process(Pid::from_child(&waiting.login.child), signal).unwrap();
        let host = waiting.host.clone();
        let run = waiting.login.finish(&LOGIN);
        assert!([12, 130, 143].contains(&run.code), "{signal:?}: {run:?}");
        assert!(TcpStream::connect(host).is_err());
    }
    let timed = ["login", "work", "--no-browser", "--timeout", "1s"];
    let login = home.start_login(&timed);
    let url = url::Url::parse(login.url.as_ref().unwrap()).unwrap();
    let back = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    login.finish(&timed).expect_code(12);
    assert!(browser::get(&back, &[]).is_err());
}

#[test]
fn an_issuer_that_is_not_to_the_letter_ours_ends_the_login() {
    let (provider, home) = logged_in();
    let before = tree::stored(&home);
    let ours = provider.issuer();
    for iss in [
        String::new(),
        format!("&iss={ours}/"),
        "&iss=https%3A%2F%2Fevil.example".to_owned(),
        format!("&iss={ours}&iss={ours}"),
        format!("&iss={}", ours.to_uppercase()),
    ] {
        let waiting = Waiting::new(&provider, &home);
        let code = parameter(&waiting.query, "code");
        waiting.get(&format!("/?code={code}&state={}{iss}", waiting.state));
        assert_eq!(provider.count(Endpoint::Token), waiting.spent, "{iss}: the code was sent");
        waiting.expect_end(7);
    }
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn the_port_is_open_before_the_address_is_shown_and_on_this_machine_only() {
    if !outside::have(&["strace"]) {
        return;
    }
    let (_provider, home) = logged_in();
    let trace = home.path("trace");
    let mut command = Command::new("strace");
    home.prepare(&mut command);
    command.args(["-f", "-qq", "-s", "4096", "-e", "trace=bind,listen,write", "-o"]).arg(&trace).arg(VAULT);
    let output = command.args(LOGIN).args(["--timeout", "1s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(12));

    let calls = std::fs::read_to_string(&trace).unwrap();
    let first = |what: &str| calls.lines().position(|line| line.contains(what)).expect(what);
    assert!(first("listen(") < first("response_type=code"), "{calls}");
    let bound: Vec<&str> =
        calls.lines().filter(|line| line.contains("bind(") && line.contains("sin")).collect();
    assert!(
        !bound.is_empty() && bound.iter().all(|line| line.contains("127.0.0.1") || line.contains("::1")),
        "{bound:?}"
    );
}
