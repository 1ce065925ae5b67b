//! A page in a real browser on the machine on which `vault serve` runs. It knows the port, and even the secret.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::chromium::{show, shown_with};
use crate::outside;
use crate::served::{METADATA, Served};

/// So that a page reaches this machine, which newer browsers ask their user about.
const NO_QUESTIONS: &str = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,PrivateNetworkAccessChecks";

#[test]
fn a_page_of_another_origin_reads_no_token_though_it_knows_the_secret() {
    let Some(chromium) = outside::program("chromium") else { return };
    let served = Served::new();
    let page = page(&served, &format!("http://{}", served.host), &served.secret);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    std::thread::spawn(move || listener.incoming().for_each(|stream| show(stream.unwrap(), &page)));

    let seen = shown_with(&chromium, &served.home, &[NO_QUESTIONS], &address);

    expect_nothing_read(&served, &seen);
    let run = served.expect_nothing_given();
    let refused = run.stderr.matches("refused: 40").count();
    assert!(refused >= 20, "{refused} of its requests came here: {}", run.stderr);
}

#[test]
fn a_page_whose_name_was_bent_to_this_machine_reads_refusals_only() {
    let Some(chromium) = outside::program("chromium") else { return };
    let served = Served::new();
    let port = served.host.rsplit(':').next().unwrap();
    let origin = format!("http://evil.example:{port}");
    let proxy = bent_name(&served, &page(&served, &origin, "unknown"));

    let seen = shown_with(
        &chromium,
        &served.home,
        &[NO_QUESTIONS, &format!("--proxy-server=http://{proxy}")],
        &format!("{origin}/attack"),
    );

    expect_nothing_read(&served, &seen);
    assert!(!seen.contains(&served.secret), "{seen}");
    assert!(seen.contains("the request is for another host"), "it reached the server: {seen}");
    let seen = shown_with(
        &chromium,
        &served.home,
        &["--host-resolver-rules=MAP evil.example 127.0.0.1"],
        &format!("{origin}{}", served.metadata_path()),
    );
    assert!(seen.contains("the request is for another host"), "{seen}");
    served.expect_nothing_given();
}

#[test]
fn the_address_of_a_token_shows_none_in_a_browser_by_whatever_number_it_is_called() {
    let Some(chromium) = outside::program("chromium") else { return };
    let served = Served::new();
    let address = format!("http://{}{}", served.host.replace("127.0.0.1", "0.0.0.0"), served.metadata_path());

    let seen = shown_with(&chromium, &served.home, &[NO_QUESTIONS], &address);

    assert!(!seen.contains("access_token"), "{seen}");
    served.expect_nothing_given();
}

/// The page tried everything, and nothing of what it has read is a token.
#[track_caller]
fn expect_nothing_read(served: &Served, seen: &str) {
    assert!(seen.contains("all tried"), "{seen}");
    assert!(!seen.contains("access_token"), "{seen}");
    for token in served.provider.issued() {
        assert!(!seen.contains(&token), "{token}: {seen}");
    }
}

/// A page that asks at `base` in every way a script has, and writes down all that it can read of the answers.
fn page(served: &Served, base: &str, secret: &str) -> String {
    let form = served.exchange_form().replace(&served.secret, secret);
    format!(
        r#"<!doctype html><title>hostile</title><body><pre id="read"></pre><p id="state">trying</p>
<script>
const base = "{base}", form = "{form}";
const metadata = "/{secret}{METADATA}";
const paths = ["/", metadata, "{METADATA}", "/v1/token", "/{secret}/token", "/{secret}/computeMetadata/v1/?recursive=true"];
const read = (what) => {{ document.getElementById("read").textContent += what + "\n"; }};
const tries = [];
const attempt = (name, promise) => tries.push(promise.then((what) => read(name + ": " + what), (e) => read(name + ": " + e)));
const told = async (answer) => answer.type + " " + answer.status + " " + await answer.text();
const flavored = {{"Metadata-Flavor": "Google"}};
const typed = {{"Content-Type": "application/x-www-form-urlencoded"}};
for (const path of paths) {{
  const url = base + path;
  for (const mode of ["cors", "no-cors", "same-origin"]) {{
    attempt("GET " + mode, fetch(url, {{mode}}).then(told));
    attempt("GET " + mode + " flavored", fetch(url, {{mode, headers: flavored}}).then(told));
    attempt("POST " + mode, fetch(url, {{mode, method: "POST", headers: typed, body: form}}).then(told));
    attempt("POST " + mode + " text", fetch(url, {{mode, method: "POST", body: form}}).then(told));
  }}
  attempt("XHR", new Promise((done) => {{
    const asked = new XMLHttpRequest();
    asked.open("GET", url);
    asked.setRequestHeader("Metadata-Flavor", "Google");
    asked.onloadend = () => done(asked.status + " " + asked.responseText);
    asked.send();
  }}));
  attempt("WebSocket", new Promise((done) => {{
    const socket = new WebSocket(url.replace("http", "ws"));
    socket.onerror = () => done("closed");
    socket.onmessage = (message) => done(message.data);
  }}));
  attempt("EventSource", new Promise((done) => {{
    const events = new EventSource(url);
    events.onerror = () => {{ events.close(); done("closed"); }};
    events.onmessage = (message) => done(message.data);
  }}));
  for (const kind of ["img", "script", "iframe", "embed", "video"]) {{
    attempt(kind, new Promise((done) => {{
      const element = document.createElement(kind);
      const look = () => {{ try {{ done(element.contentDocument.body.innerText); }} catch (e) {{ done(kind); }} }};
      element.onload = look; element.onerror = look; element.src = url;
      document.body.appendChild(element);
      setTimeout(look, 500);
    }}));
  }}
  for (const method of ["get", "post"]) {{
    const frame = document.createElement("iframe");
    frame.name = "frame" + document.forms.length;
    document.body.appendChild(frame);
    const sent = document.createElement("form");
    Object.assign(sent, {{method, action: url, target: frame.name}});
    for (const [name, value] of new URLSearchParams(form)) {{
      sent.appendChild(Object.assign(document.createElement("input"), {{type: "hidden", name, value}}));
    }}
    document.body.appendChild(sent);
    sent.submit();
  }}
  navigator.sendBeacon(url, new URLSearchParams(form));
}}
Promise.allSettled(tries).then(() => {{ document.getElementById("state").textContent = "all tried"; }});
</script>"#
    )
}

/// A proxy that shows a page at `/attack` of every name, and asks the server for all else: to a browser, a name that
/// led to a stranger at first and leads to this machine now. Its address.
fn bent_name(served: &Served, page: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (server, page) = (served.host.clone(), page.to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (server, page) = (server.clone(), page.clone());
            std::thread::spawn(move || pass_on(stream.unwrap(), &server, &page));
        }
    });
    address
}

fn pass_on(mut browser: TcpStream, server: &str, page: &str) -> Option<()> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    let request = loop {
        let length = browser.read(&mut part).ok().filter(|length| *length > 0)?;
        bytes.extend(&part[..length]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.len() >= content_length(head)
        {
            break text.into_owned();
        }
    };
    let (method, rest) = request.split_once(" http://")?;
    let (_, path) = rest.split_once('/')?;
    if path.starts_with("attack ") {
        let _ = browser.shutdown(std::net::Shutdown::Read);
        show(browser, page);
        return None;
    }
    let mut there = TcpStream::connect(server).ok()?;
    // A name server is no proxy: nothing shows that somebody stands between.
    let plain = format!("{method} /{path}").replace("Proxy-Connection: keep-alive\r\n", "");
    there.write_all(plain.as_bytes()).ok()?;
    let mut answer = Vec::new();
    there.read_to_end(&mut answer).ok()?;
    browser.write_all(&answer).ok()
}

fn content_length(head: &str) -> usize {
    let head = head.to_ascii_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.map_or(0, |length| length.trim().parse().unwrap())
}
