//! The callback page in a real browser.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::home::Home;
use crate::outside;
use crate::provider::{Config, Endpoint, Provider, browser};
use crate::tree;

/// How long a page may take; a browser that starts on a busy machine needs some of it.
const PATIENCE: Duration = Duration::from_secs(90);

const LOGIN: [&str; 3] = ["login", "work", "--no-browser"];

#[test]
fn a_login_in_chromium_ends_on_a_page_that_names_the_profile() {
    let Some(chromium) = outside::program("chromium") else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let login = home.start_login(&LOGIN);

    let page = shown(&chromium, &home, login.url.as_ref().unwrap());

    login.finish(&LOGIN).expect_code(0);
    assert!(page.contains("You are signed in"), "{page}");
    assert!(page.contains("<b>me@example.com</b>") && page.contains("<b>work</b>"), "{page}");
    assert!(!page.contains("code="), "{page}");
}

#[test]
fn a_hostile_page_neither_ends_nor_answers_a_login() {
    let Some(chromium) = outside::program("chromium") else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let before = tree::stored(&home);
    let spent = provider.count(Endpoint::Token);
    let login = home.start_login(&LOGIN);
    let address = browser::authorize(login.url.as_ref().unwrap()).unwrap();

    // It even knows the right address, which only the person's browser does.
    let page = shown(&chromium, &home, &hostile_page(&address));

    assert!(page.contains("all tried"), "{page}");
    assert_eq!(provider.count(Endpoint::Token), spent, "a script has answered the login");
    assert_eq!(tree::stored(&home), before);
    assert_eq!(browser::get(&address, &[]).unwrap().status, 200);
    login.finish(&LOGIN).expect_code(0);
}

#[test]
fn a_name_that_was_bent_to_this_machine_does_not_answer_a_login() {
    let Some(chromium) = outside::program("chromium") else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let before = tree::stored(&home);
    let login = home.start_login(&LOGIN);
    let address = browser::authorize(login.url.as_ref().unwrap()).unwrap();
    let bent = address.replace("127.0.0.1", "evil.example");

    let page = shown_with(&chromium, &home, &["--host-resolver-rules=MAP evil.example 127.0.0.1"], &bent);

    assert!(page.contains("Not this one"), "{page}");
    assert_eq!(tree::stored(&home), before);
    assert_eq!(browser::get(&address, &[]).unwrap().status, 200);
    login.finish(&LOGIN).expect_code(0);
}

/// What Chromium shows in the end, as HTML.
fn shown(chromium: &Path, home: &Home, url: &str) -> String {
    shown_with(chromium, home, &[], url)
}

/// The same with more options.
pub fn shown_with(chromium: &Path, home: &Home, options: &[&str], url: &str) -> String {
    let mut command = Command::new(chromium);
    command
        .env("HOME", home.path("chromium"))
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-extensions"])
        .args(["--disable-dev-shm-usage", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", home.path("chromium").display()))
        .args(options)
        .arg(url)
        .stdin(Stdio::null());
    let output = within(PATIENCE, command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn within(patience: Duration, mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes)
    });
    let deadline = Instant::now() + patience;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("chromium took longer than {patience:?}");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    Output { status, stdout: reader.join().unwrap().unwrap(), stderr: Vec::new() }
}

/// The address of a page of another origin that tries every way a script has to call `address`.
fn hostile_page(address: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let address = address.replace('"', "%22");
    let page = format!(
        r#"<!doctype html><title>hostile</title><body>
<img src="{address}"><iframe src="{address}"></iframe><script src="{address}"></script>
<link rel="stylesheet" href="{address}"><form id="form" method="post" target="frame" action="{address}"></form>
<iframe name="frame"></iframe><p id="state">trying</p>
<script>
document.getElementById("form").submit();
const tries = [
  fetch("{address}"), fetch("{address}", {{mode: "no-cors"}}), fetch("{address}", {{method: "POST"}}),
  new Promise((done) => {{ const socket = new WebSocket("{address}".replace("http", "ws")); socket.onerror = done; }}),
];
navigator.sendBeacon("{address}");
Promise.allSettled(tries).then(() => {{ document.getElementById("state").textContent = "all tried"; }});
</script>"#
    );
    std::thread::spawn(move || listener.incoming().for_each(|stream| show(stream.unwrap(), &page)));
    url
}

/// Answers whatever is asked with a page.
pub fn show(mut stream: TcpStream, page: &str) {
    let _ = stream.read(&mut [0; 4096]);
    let length = page.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(page.as_bytes()));
}
