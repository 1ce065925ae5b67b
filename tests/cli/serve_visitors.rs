//! Who comes to the port of `vault serve` beside the programs it is for: nobody of them gets a token, costs a
//! refresh, or keeps anybody waiting. What a request must not have in it is tried field by field in
//! `src/serve/server/guard_tests.rs`.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::time::Duration;

use crate::neighbours;
use crate::outside;
use crate::served::{METADATA, Served, expect_status};

#[test]
fn what_is_no_plain_request_gets_no_token() {
    let served = Served::new();
    for (door, request) in served.doors() {
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());

        for (what, request) in [
            ("bare LF", request.replace("\r\n", "\n")),
            ("a bare CR", request.replacen("\r\n", "\r", 1)),
            ("a folded field with a tab", request.replacen("\r\nHost", "\r\nX: y\r\n\tz\r\nHost", 1)),
            ("NUL in the path", request.replacen(target, &format!("{target}\0"), 1)),
            ("no colon", request.replacen("\r\nHost", "\r\ncanary\r\nHost", 1)),
            ("no name", request.replacen("\r\nHost", "\r\n: canary\r\nHost", 1)),
            ("tabs in the first line", request.replacen(' ', "\t", 2)),
            ("an empty line before it", format!("\r\n{request}")),
            ("HTTP/0.9", format!("{method} {target}\r\n\r\n")),
            ("HTTP/2", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{request}")),
            ("HTTP/3.7", request.replacen("HTTP/1.1", "HTTP/3.7", 1)),
            ("TLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03".to_owned()),
            ("a path without a slash", request.replacen(target, &target[1..], 1)),
            ("two slashes", request.replacen(target, &format!("/{target}"), 1)),
            ("a fragment", request.replacen(target, &format!("{target}#canary"), 1)),
            ("an umlaut in the path", request.replacen(target, &format!("{target}\u{fc}"), 1)),
            (
                "chunks by another name",
                request.replacen("\r\nHost", "\r\nTransfer-Encoding: xchunked\r\nHost", 1),
            ),
        ] {
            let reply = served.send(request);
            expect_status(&reply, &["400", "403", "404", "405", "411"], &format!("{door}: {what}"));
        }
        let huge = request.replacen("\r\nHost", &format!("\r\nX: {}\r\nHost", "canary".repeat(20_000)), 1);
        expect_status(&served.send(huge), &["431", ""], "a field of more than 100 KiB");
        let long = request.replacen(target, &format!("{target}?{}", "canary".repeat(20_000)), 1);
        expect_status(&served.send(long), &["414", "431", ""], "a path of more than 100 KiB");
    }
    served.expect_nothing_given();
}

#[test]
fn what_comes_behind_a_request_is_not_heard() {
    let served = Served::new();
    let ping = served.get("/", "Metadata-Flavor: Google\r\n");
    for (door, request) in served.doors() {
        // The first of two is refused, or answered alone; the second is never heard.
        let reply = served.send(format!("{ping}{request}"));
        expect_status(&reply, &["200", "400"], door);
        let reply = served.send(format!("{}{request}", served.get("/canary", "")));
        expect_status(&reply, &["400", "403", "404"], door);
        let smuggled = served.post("/v1/token", &format!("grant_type=canary\r\n\r\n{request}"));
        expect_status(&served.send(smuggled), &["400"], door);
    }
    let form = served.exchange_form();
    let head = served.post_head("/v1/token", &format!("Content-Length: {}\r\n", form.len()));
    expect_status(&served.send(format!("{head}{form}&scope=mail")), &["400"], "more than was announced");
    served.expect_nothing_given();
}

#[test]
fn a_foreign_name_gets_no_token() {
    let served = Served::new();
    let port = served.host.rsplit(':').next().unwrap().to_owned();
    let host = format!("Host: {}\r\n", served.host);
    for (door, request) in served.doors() {
        for field in [
            String::new(),
            "Host: localhost\r\n".to_owned(),
            format!("Host: :{port}\r\n"),
            format!("Host: localhost.evil.example:{port}\r\n"),
            format!("Host: localhost.:{port}\r\n"),
            format!("Host: 0:{port}\r\n"),
            format!("Host: 127.0.0.2:{port}\r\n"),
            format!("Host: 2130706433:{port}\r\n"),
            format!("Host: [::]:{port}\r\n"),
            format!("Host: [::ffff:127.0.0.1]:{port}\r\n"),
            format!("Host: 127.0.0.1:{port}/canary\r\n"),
            "Host: 127.0.0.1:80\r\n".to_owned(),
            format!("Host: evil.example\r\n{host}"),
        ] {
            let reply = served.send(request.replacen(&host, &field, 1));
            expect_status(&reply, &["400", "403"], &format!("{door}: {field}"));
        }
    }
    // The connection is ours, and a page in our browser may have made it.
    let bent = served.get(METADATA, "Metadata-Flavor: Google\r\n");
    let bent = bent.replace(&served.host, &format!("metadata.google.internal:{port}"));
    expect_status(&served.send(bent), &["403"], "a page of Google's name");
    served.expect_nothing_given();
}

#[test]
fn the_secret_is_not_guessed_by_parts_or_spellings() {
    let served = Served::new();
    let secret = served.secret.clone();
    let last = if secret.ends_with('0') { '1' } else { '0' };
    let guesses = [
        String::new(),
        "canary".to_owned(),
        "0".repeat(32),
        secret[..31].to_owned(),
        format!("{}{last}", &secret[..31]),
        format!("{secret}0"),
        format!("%{:x}{}", secret.as_bytes()[0], &secret[1..]),
        format!(";{secret}"),
        format!("{secret};x"),
        format!("{secret}%00"),
        format!("{secret}%20"),
        format!("./{secret}"),
        format!("x/../{secret}"),
        format!("%2e%2e/{secret}"),
        format!("%2f{secret}"),
    ];
    for guess in &guesses {
        for (what, request) in [
            ("metadata", served.get(&format!("/{guess}{METADATA}"), "Metadata-Flavor: Google\r\n")),
            ("refresh", served.post(&format!("/{guess}/token"), "grant_type=refresh_token&refresh_token=x")),
        ] {
            expect_status(&served.send(request), &["403", "404", "405"], &format!("{what}: {guess}"));
        }
        // A form is decoded once, so that a percent sign may stand for its character there.
        if !guess.starts_with('%') {
            let form = served.exchange_form().replace(&secret, guess);
            expect_status(&served.send(served.post("/v1/token", &form)), &["400"], guess);
        }
    }
    let form = served.exchange_form();
    for form in [
        format!("{form}&subject_token={secret}"),
        format!("{form}&subject_token=canary"),
        format!("subject_token=canary&{form}"),
        form.replace("subject_token", "Subject_token"),
        form.replace("subject_token", "subject_token%00"),
        form.replace('&', ";"),
        format!("{form}%0a"),
        format!("{form}\n"),
        format!("{form}{}", "&x=canary".repeat(2_000)),
    ] {
        expect_status(&served.send(served.post("/v1/token", &form)), &["400", "413"], &form);
    }
    served.expect_nothing_given();
}

#[test]
fn a_path_that_is_not_to_the_letter_right_gets_no_token() {
    let served = Served::new();
    let secret = &served.secret;
    let account = "instance/service-accounts";
    for path in [
        format!("/{secret}{METADATA}/"),
        format!("/{secret}{METADATA}/canary"),
        format!("/{secret}{METADATA};canary"),
        format!("/{secret}{METADATA}%00"),
        format!("/{secret}//computeMetadata/v1/{account}/default/token"),
        format!("/{secret}/computeMetadata//v1/{account}/default/token"),
        format!("/{secret}/computeMetadata/v1/{account}//token"),
        format!("/{secret}/computeMetadata/v1/{account}/default/../default/token"),
        format!("/{secret}/computeMetadata/v1/./{account}/default/token"),
        format!("/{secret}/computeMetadata/v1/../v1/{account}/default/token"),
        format!("/{secret}/computeMetadata/v1/instance%2fservice-accounts/default/token"),
        format!("/{secret}/computeMetadata/v1/instance%2Fservice-accounts%2Fdefault%2Ftoken"),
        format!("/{secret}/computeMetadata/v1/{account}/%2564efault/token"),
        format!("/{secret}/computeMetadata/v1/{account}/me%2540example.com/token"),
        format!("/{secret}/computeMetadata/v1/{account}/default%00/token"),
        format!("/{secret}/computeMetadata/v1/{account}/DEFAULT/token"),
        format!("/{secret}/computeMetadata/v1/{account}/other@example.com/token"),
        format!("/{secret}/computeMetadata/v1/{account}/me@example.com.evil.example/token"),
        format!("/{secret}/computeMetadata/v1/{account}/work/token"),
        format!("/{secret}/computeMetadata/v1/{account}/*/token"),
        format!("/{secret}/computeMetadata/v1/{account}/token"),
        format!("/{secret}/computeMetadata/v1/{account}/default/Token"),
        format!("/{secret}/computeMetadata/V1/{account}/default/token"),
        format!("/{secret}/computemetadata/v1/{account}/default/token"),
        format!("/{secret}/computeMetadata/v1beta1/{account}/default/token"),
        format!("/{secret}/0.1/meta-data/{account}/default/token"),
        format!("/{secret}/latest/meta-data/iam/security-credentials/default"),
        format!("/{secret}/{secret}{METADATA}"),
        format!("/computeMetadata/{secret}/v1/{account}/default/token"),
        format!("/?{secret}{METADATA}"),
    ] {
        let reply = served.send(served.get(&path, "Metadata-Flavor: Google\r\n"));
        expect_status(&reply, &["400", "403", "404", "405"], &path);
    }
    for path in
        ["/token", "/v1/token/", "/v1//token", "/V1/token", "/v1/token/..", "/v1/%74oken", "/v2/token"]
    {
        expect_status(&served.send(served.post(path, &served.exchange_form())), &["404", "405"], path);
    }
    // Nothing that is made up of several answers holds a token.
    let everything =
        served.get(&format!("/{secret}/computeMetadata/v1/?recursive=true"), "Metadata-Flavor: Google\r\n");
    assert!(!served.send(everything).contains("access_token"));
    served.expect_nothing_given();
}

#[test]
fn another_user_gets_no_word_beside_a_refusal_even_with_the_secret() {
    let Some(mut stranger) = neighbours::as_a_stranger("curl") else { return };
    let served = Served::new();
    let port = served.host.rsplit(':').next().unwrap();
    let url = |path: &str| format!("http://{}{path}", served.host);
    stranger.args(["-q", "-sS", "--noproxy", "*", "-w", "%{http_code}\\n", "-H", "Metadata-Flavor: Google"]);
    for path in [
        "/".to_owned(),
        METADATA.to_owned(),
        format!("/{}{METADATA}", "0".repeat(32)),
        served.metadata_path(),
    ] {
        stranger.arg(url(&path));
    }
    stranger.arg(format!("http://localhost:{port}{}", served.metadata_path()));

    let output = stranger.output().unwrap();

    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told.matches("403\n").count(), 5, "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!told.contains("access_token") && !told.contains(&served.secret), "{told}");
    served.expect_nothing_given().expect_said("user 65534");
}

#[test]
fn who_speaks_slowly_keeps_no_program_from_its_token() {
    let served = Served::new();
    let drip = served.connect();
    let mut dripping = drip.try_clone().unwrap();
    let request = served.metadata();
    let dripper = std::thread::spawn(move || {
        // Whoever is told 408 is hung up on: then there is nobody to talk to.
        let said = request.bytes().take_while(|byte| {
            std::thread::sleep(Duration::from_millis(100));
            dripping.write_all(&[*byte]).is_ok()
        });
        said.count() == request.len()
    });
    let mut waiting = served.connect();
    waiting.write_all(served.post_head("/v1/token", "Content-Length: 100\r\n").as_bytes()).unwrap();

    let mut told = String::new();
    let _ = (&drip).read_to_string(&mut told);
    expect_status(&served.checked(told), &["408", ""], "a drip");
    let _ = drip.shutdown(Shutdown::Both);
    assert!(!dripper.join().unwrap(), "it could say all that it had to say");
    let mut told = String::new();
    let _ = waiting.read_to_string(&mut told);
    expect_status(&served.checked(told), &["408", ""], "a body that does not come");
    served.expect_nothing_given();
}

#[test]
fn nothing_listens_beyond_this_machine() {
    if !Path::new("/proc/net/tcp").exists() {
        return outside::leave_out("only Linux lists its sockets in /proc/net/tcp");
    }
    let served = Served::new();

    let sockets = listening(served.serving.vault.id());

    let port = served.host.rsplit(':').next().unwrap();
    let ours = format!("0100007F:{:04X}", port.parse::<u16>().unwrap());
    assert_eq!(sockets, [ours], "it listens on one port of 127.0.0.1");
    served.end();
}

/// Address and port of every socket on which a process listens, as /proc/net/tcp and tcp6 have them.
fn listening(process: u32) -> Vec<String> {
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let held: Vec<String> = descriptors
        .filter_map(|descriptor| std::fs::read_link(descriptor.unwrap().path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    let tables = ["tcp", "tcp6"]
        .map(|table| std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default());
    tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row[3] == "0A" && held.contains(&format!("socket:[{}]", row[9])))
        .map(|row| row[1].to_owned())
        .collect()
}
