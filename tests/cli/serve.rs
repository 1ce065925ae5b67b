//! `vault serve`: tokens for programs that ask an address, for as long as it runs.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::expiry::{expired, expired_without_rotation};
use crate::holder::wait_until;
use crate::home::Home;
use crate::outside;
use crate::provider::{Config, Consent, Endpoint, Fault, Provider, browser};
use crate::serving::{Serving, error, token};

fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    (provider, home)
}

/// The directories of runs that are there.
fn run_dirs(home: &Home) -> Vec<std::path::PathBuf> {
    let entries =
        std::fs::read_dir(home.path("run/vault")).into_iter().flatten().map(|it| it.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("run-")).collect()
}

#[test]
fn what_is_printed_leads_to_a_token_that_works() {
    let (provider, home) = logged_in();
    let serving = Serving::start(&home, &["work"]);

    let page = serving.exchange("");

    assert!(provider.is_live_access_token(&token(&page)));
    let answer = page.json();
    assert_eq!(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(answer["token_type"], "Bearer");
    assert!((3000..3600).contains(&answer["expires_in"].as_i64().unwrap()), "{answer}");
    assert_eq!(answer.as_object().unwrap().len(), 4, "{answer}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(serving.variable(0, "NO_PROXY").contains("127.0.0.1"));
}

#[test]
fn what_is_printed_for_a_shell_is_what_a_shell_reads() {
    let (provider, home) = logged_in();
    provider.next_user("other@example.com");
    home.add_profile(&provider, "home").expect_code(0);
    for (arguments, blocks) in [(&["work"][..], 1), (&["work", "home"], 2)] {
        let mut command = home.command(&[&["serve"], arguments].concat());
        let mut vault = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut text = String::new();
        let mut stdout = vault.stdout.take().unwrap();
        let mut buffer = [0; 4096];
        while text.matches("NO_PROXY").count() < blocks || !text.ends_with('\n') {
            let count = stdout.read(&mut buffer).unwrap();
            assert!(count > 0, "{text}");
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        let script = format!("{text}\ncat \"$GOOGLE_APPLICATION_CREDENTIALS\"");
        let output = Command::new("sh").args(["-eu", "-c", &script]).output().unwrap();
        let adc: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(adc["type"], "external_account", "{text}");
        assert_eq!(adc["audience"], format!("vault:{}", arguments.last().unwrap()));
        assert_eq!(text.matches("# ").count(), if blocks == 1 { 0 } else { blocks }, "{text}");
        kill_process(Pid::from_child(&vault), Signal::INT).unwrap();
        assert_eq!(vault.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn one_token_leaves_one_line_however_often_it_is_given_out() {
    let (_provider, home) = logged_in();
    let before = crate::audit::lines(&home).len();
    let serving = Serving::start(&home, &["work"]);

    // Each of these is a question of its own to the vault.
    let tokens = ["", "openid", "openid email"].map(|scope| token(&serving.exchange(scope)));

    assert!(tokens.iter().all(|token| *token == tokens[0]));
    serving.end().expect_code(0);
    let lines = crate::audit::lines(&home)[before..].to_vec();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["what"], "serve");
}

#[test]
fn hundreds_of_programs_at_once_cost_one_refresh() {
    let (provider, home) = expired();
    let serving = Serving::start(&home, &["work"]);

    let tokens: Vec<String> = thread::scope(|scope| {
        let ask = || token(&serving.exchange(""));
        let asking: Vec<_> = (0..300).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });

    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert!(provider.is_live_access_token(&tokens[0]));
    assert_eq!(provider.count(Endpoint::Token), 1);
    assert!(provider.families_revoked().is_empty());
    serving.end().expect_code(0);
    let log = home.run(&["log", "--json"]).answer();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let served: Vec<_> =
        lines.iter().filter(|line| line["what"] == "serve" && line["token"] == "refreshed").collect();
    assert_eq!(served.len(), 1, "{log}");
    assert_eq!(served[0]["profile"], "work");
}

#[test]
fn a_token_is_renewed_before_the_program_that_has_it_must_ask_again() {
    let provider = Provider::start(Config { expires_in: 350, ..Config::default() });
    let home = Home::logged_in(&provider);
    provider.configure(|config| config.expires_in = 3599);
    provider.forget_requests();
    let serving = Serving::start(&home, &["work"]);

    // The one in the cache works for nearly six minutes more, and would be asked for again at once.
    let page = serving.exchange("");

    assert_eq!(provider.count(Endpoint::Token), 1);
    assert!(page.json()["expires_in"].as_i64().unwrap() > 360, "{page:?}");
}

#[test]
fn a_token_of_a_short_life_is_given_all_the_same_and_not_renewed_each_time() {
    let provider = Provider::start(Config { expires_in: 200, ..Config::default() });
    let home = Home::logged_in(&provider);
    provider.forget_requests();
    let serving = Serving::start(&home, &["work"]);

    let first = token(&serving.exchange(""));
    let others = ["openid", "email", "openid email"].map(|scope| token(&serving.exchange(scope)));

    assert_eq!(others, [&*first; 3]);
    assert_eq!(provider.count(Endpoint::Token), 1);
}

#[test]
fn while_the_vault_is_locked_programs_are_told_and_afterwards_they_get_their_token() {
    let (_provider, home) = logged_in();
    let serving = Serving::start(&home, &["work"]);
    std::fs::rename(home.path("identity.txt"), home.path("hidden.txt")).unwrap();

    let (error, why) = error(&serving.exchange(""), 502);

    assert_eq!(error, "temporarily_unavailable");
    assert!(why.starts_with("vault: ") && why.contains("no way to get the vault key"), "{why}");
    let metadata = serving.metadata("instance/service-accounts/default/token");
    assert_eq!((metadata.status, metadata.header("metadata-flavor")), (502, Some("Google")));
    std::fs::rename(home.path("hidden.txt"), home.path("identity.txt")).unwrap();
    wait_until("the server to see that the vault is open", || serving.exchange("").status == 200);
    serving.end().expect_code(0).expect_said("warning: ");
}

#[test]
fn vault_lock_holds_for_a_server_that_runs() {
    let (_provider, home) = logged_in();
    let holder = crate::holder::Holder::of(home);
    holder.unlock("1h").expect_code(0);
    holder.hide_identity();
    let serving = Serving::start(&holder.home, &["work"]);
    token(&serving.exchange(""));

    holder.home.run(&["lock"]).expect_code(0);

    // What was answered a moment ago may be answered again for ten seconds. This was not asked yet.
    let (error, _) = error(&serving.exchange("openid"), 502);
    assert_eq!(error, "temporarily_unavailable");
}

#[test]
fn while_the_provider_is_away_programs_are_told_and_afterwards_they_get_their_token() {
    let (provider, home) = expired();
    let serving = Serving::start(&home, &["work"]);
    provider.script(Endpoint::Token, vec![Fault::unavailable(1)]);

    let (error, why) = error(&serving.exchange(""), 502);

    assert_eq!(error, "temporarily_unavailable");
    assert!(why.starts_with("vault: ") && !why.contains('\n'), "{why}");
    assert_eq!(provider.count(Endpoint::Token), 1);
    // Who asks again at once does not storm it.
    assert_eq!(serving.exchange("").status, 502);
    assert_eq!(provider.count(Endpoint::Token), 1);
    wait_until("the provider to be back", || serving.exchange("").status == 200);
    assert_eq!(provider.count(Endpoint::Token), 2);
}

#[test]
fn a_dead_grant_is_told_in_the_words_that_the_user_needs() {
    let (provider, home) = expired_without_rotation();
    provider.script(Endpoint::Token, vec![Fault::revoked()]);
    let serving = Serving::start(&home, &["work"]);

    let (code, why) = error(&serving.exchange(""), 400);

    assert_eq!(code, "invalid_grant");
    assert!(why.starts_with("vault: ") && why.contains("run `vault login work`"), "{why}");
    let metadata = serving.metadata("instance/service-accounts/default/token");
    assert_eq!(error(&metadata, 400), (code, why));
}

#[test]
fn scopes_that_the_grant_covers_get_its_token_and_others_are_named() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    provider.next_consent(Consent::granting(&["openid", "email"]));
    let options = home.desktop(&provider);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    home.consent(
        &[&["add-profile", "work", "--no-browser"], &options[..], &["--scope", "openid", "--scope", "email"]]
            .concat(),
    )
    .expect_code(0);
    provider.forget_requests();
    let serving = Serving::start(&home, &["work"]);

    let granted = token(&serving.exchange("openid"));
    let (code, why) = error(&serving.exchange("openid https://www.googleapis.com/auth/drive"), 400);

    assert!(provider.is_live_access_token(&granted));
    assert_eq!(code, "invalid_scope");
    assert!(why.contains("https://www.googleapis.com/auth/drive") && !why.contains("openid"), "{why}");
    let page = serving.metadata("instance/service-accounts/default/token?scopes=email,mail");
    assert_eq!(error(&page, 400).0, "invalid_scope");
    assert_eq!(provider.count(Endpoint::Token), 0);
}

#[test]
fn the_metadata_are_told_to_the_same_user_and_to_whoever_has_the_secret() {
    let (provider, home) = logged_in();
    home.run(&["edit", "work", "--project", "proj-1"]).expect_code(0);
    let serving = Serving::start(&home, &["work", "--adc", "metadata"]);
    let below = |base: &str, key: &str| {
        browser::get(&format!("http://{base}/computeMetadata/v1/{key}"), &[("Metadata-Flavor", "Google")])
            .unwrap()
    };
    let (host, ip) = (serving.variable(0, "GCE_METADATA_HOST"), serving.variable(0, "GCE_METADATA_IP"));

    assert_eq!(host, format!("127.0.0.1:{}/{}", serving.port(0), serving.secret(0)));
    assert_eq!(ip, format!("127.0.0.1:{}", serving.port(0)));
    for base in [host, ip] {
        assert_eq!(below(base, "project/project-id").body, "proj-1");
        assert_eq!(below(base, "instance/service-accounts/default/email").body, "me@example.com");
        let page = below(base, "instance/service-accounts/me@example.com/token");
        assert!(provider.is_live_access_token(&token(&page)));
    }
    assert!(
        serving.fact(0, "variables")["GOOGLE_APPLICATION_CREDENTIALS"].is_null(),
        "it would be preferred"
    );
    assert!(std::path::Path::new(serving.variable(0, "CLOUDSDK_CONFIG")).is_dir());
}

#[test]
fn a_page_a_proxy_and_a_bent_name_get_nothing() {
    let (_provider, home) = logged_in();
    let serving = Serving::start(&home, &["work"]);
    let url = format!(
        "http://127.0.0.1:{}/computeMetadata/v1/instance/service-accounts/default/token",
        serving.port(0)
    );
    let flavor = ("Metadata-Flavor", "Google");
    for mark in [
        ("Origin", "https://evil.example"),
        ("Referer", "https://evil.example/"),
        ("Sec-Fetch-Site", "same-site"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Via", "1.1 proxy"),
    ] {
        let page = browser::get(&url, &[flavor, mark]).unwrap();
        assert_eq!(page.status, 403, "{mark:?}");
        assert!(!page.body.contains("access_token") && page.header("access-control-allow-origin").is_none());
    }
    assert_eq!(browser::get(&url, &[]).unwrap().status, 403);
    let raw = |head: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", serving.port(0))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    };
    for head in [
        format!(
            "GET / HTTP/1.1\r\nHost: evil.example:{}\r\nMetadata-Flavor: Google\r\n\r\n",
            serving.port(0)
        ),
        "GET / HTTP/1.1\r\nMetadata-Flavor: Google\r\n\r\n".to_owned(),
    ] {
        assert!(raw(&head).starts_with("HTTP/1.1 403 "), "{head}");
    }
    let preflight = format!(
        "OPTIONS /v1/token HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: https://evil.example\r\n\r\n",
        serving.port(0)
    );
    let reply = raw(&preflight);
    assert!(reply.starts_with("HTTP/1.1 405 ") && !reply.contains("Access-Control"), "{reply}");
}

#[test]
fn curl_gets_a_token_and_is_sent_to_the_folder_on_the_same_host() {
    let Some(curl) = outside::program("curl") else { return };
    let (provider, home) = logged_in();
    let serving = Serving::start(&home, &["work"]);
    let url = serving.fact(0, "token_url").as_str().unwrap();
    let run = |arguments: &[&str]| {
        Command::new(&curl).args(["-sS", "--noproxy", "*"]).args(arguments).output().unwrap()
    };

    let refreshed = run(&["-d", "grant_type=refresh_token", "-d", "refresh_token=vault:work", url]);
    let base = format!("http://localhost:{}/computeMetadata/v1/instance", serving.port(0));
    let listed = run(&["-L", "-H", "Metadata-Flavor: Google", "-w", "%{url_effective}", &base]);

    let answer: Value = serde_json::from_slice(&refreshed.stdout).unwrap();
    assert!(provider.is_live_access_token(answer["access_token"].as_str().unwrap()), "{answer}");
    assert_eq!(String::from_utf8_lossy(&listed.stdout), format!("service-accounts/\n{base}/"));
}

#[test]
fn those_who_connect_and_say_nothing_do_not_keep_a_program_waiting() {
    let (_provider, home) = logged_in();
    let serving = Serving::start(&home, &["work"]);
    let idle: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(("127.0.0.1", serving.port(0))).unwrap()).collect();

    for _ in 0..3 {
        token(&serving.exchange(""));
    }

    // Those who came first were hung up on, or told that their time is up.
    let is_over = |stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        (&*stream).read(&mut [0]).map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |_| true)
    };
    wait_until("the oldest connections to be over", || idle[..100].iter().all(is_over));
    serving.end().expect_code(0);
}

#[test]
fn each_signal_ends_it_with_everything_tidied_up() {
    let (_provider, home) = logged_in();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let serving = Serving::start(&home, &["work"]);
        token(&serving.exchange(""));
        let (port, file) =
            (serving.port(0), serving.variable(0, "GOOGLE_APPLICATION_CREDENTIALS").to_owned());
        assert_eq!(run_dirs(&home).len(), 1);
        // Somebody who says nothing keeps nobody from ending.
        let _idle = TcpStream::connect(("127.0.0.1", port)).unwrap();

        serving.end_by(signal).expect_code(0);

        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{signal:?}");
        assert!(!std::path::Path::new(&file).exists() && run_dirs(&home).is_empty());
    }
}

#[test]
fn whoever_stops_it_for_a_while_finds_it_as_it_was() {
    let (_provider, home) = logged_in();
    let serving = Serving::start(&home, &["work"]);
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", serving.vault.id())).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    let send = |signal| kill_process(Pid::from_child(&serving.vault), signal).unwrap();

    send(Signal::TSTP);
    wait_until("the server to stop", || state() == 'T');
    send(Signal::CONT);

    token(&serving.exchange(""));
    send(Signal::TSTP);
    wait_until("the server to stop again", || state() == 'T');
    send(Signal::CONT);
    serving.end().expect_code(0);
    assert!(run_dirs(&home).is_empty());
}

#[test]
fn what_a_killed_run_has_left_is_removed_by_the_next() {
    let (_provider, home) = logged_in();
    let serving = Serving::start(&home, &["work"]);
    let left = run_dirs(&home);

    let _ = serving.end_by(Signal::KILL);
    assert_eq!(run_dirs(&home), left);
    let serving = Serving::start(&home, &["work"]);

    assert!(!left[0].exists() && run_dirs(&home).len() == 1);
    token(&serving.exchange(""));
}

#[test]
fn a_refresh_that_is_under_way_is_saved_before_the_end() {
    let (provider, home) = expired();
    let serving = Serving::start(&home, &["work"]);
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let (adc, ended) = (serving.adc(0), Instant::now());
    let asking = thread::spawn(move || {
        let secret = std::fs::read_to_string(adc["credential_source"]["file"].as_str().unwrap()).unwrap();
        let form = [("grant_type", crate::serving::EXCHANGE), ("subject_token", &*secret)];
        browser::post(adc["token_url"].as_str().unwrap(), &form, &[]).unwrap()
    });
    assert!(provider.wait_until_holding(1, crate::expiry::LONG));

    let end = thread::spawn(move || serving.end());
    thread::sleep(Duration::from_millis(50));
    assert!(!end.is_finished(), "{:?}", ended.elapsed());
    provider.release();

    end.join().unwrap().expect_code(0);
    assert!(provider.is_live_access_token(&token(&asking.join().unwrap())));
    crate::expiry::assert_nothing_lost(&provider, &home);
}

#[test]
fn a_port_that_is_taken_is_refused_by_its_number_and_nothing_is_left() {
    let (_provider, home) = logged_in();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();

    let run = home.run(&["serve", "work", "--port", &port]);

    run.expect_code(7).expect_said(&format!("port {port} of 127.0.0.1 is taken")).expect_said("--port N");
    assert!(run_dirs(&home).is_empty());
}

#[test]
fn each_profile_has_a_server_of_its_own_and_the_ports_follow_one_another() {
    let (provider, home) = logged_in();
    provider.next_user("other@example.com");
    home.add_profile(&provider, "home").expect_code(0);
    // Some port whose next one is free too.
    let serving = (0..20).find_map(|_| {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        TcpListener::bind(("127.0.0.1", port + 1)).ok()?;
        Some(Serving::start(&home, &["work", "-p", "home", "--port", &port.to_string()]))
    });
    let serving = serving.unwrap();

    let tokens = [0, 1].map(|server| token(&serving.exchange_at(server, "")));

    assert_eq!([serving.fact(0, "profile"), serving.fact(1, "profile")], ["work", "home"]);
    assert_eq!(serving.port(1), serving.port(0) + 1);
    assert_ne!(tokens[0], tokens[1]);
    assert_ne!(serving.secret(0), serving.secret(1));
    home.run(&["serve", "work", "work"]).expect_code(2).expect_said("named twice");
}

#[test]
fn a_provider_that_hangs_holds_up_its_own_profile_alone() {
    let (provider, home) = expired();
    let other = Provider::start(Config::default());
    let options = home.desktop(&other);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    home.consent(&[&["add-profile", "home", "--no-browser"], &options[..]].concat()).expect_code(0);
    let serving = Serving::start(&home, &["work", "home"]);
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);

    thread::scope(|scope| {
        let slow = scope.spawn(|| serving.exchange_at(0, ""));
        assert!(provider.wait_until_holding(1, crate::expiry::LONG));
        token(&serving.exchange_at(1, ""));
        assert!(!slow.is_finished());
        provider.release();
        token(&slow.join().unwrap());
    });
}

#[test]
fn the_log_says_who_asked_for_what_and_holds_no_secret() {
    let (provider, home) = logged_in();
    let serving = Serving::start(&home, &["work"]);
    let secret = serving.secret(0);
    token(&serving.exchange(""));
    assert_eq!(serving.metadata("instance/").status, 200);
    let mistyped = format!("http://127.0.0.1:{}/x{secret}/token", serving.port(0));
    assert_eq!(browser::post(&mistyped, &[], &[]).unwrap().status, 404);

    let run = serving.end();

    for line in
        ["work: POST /v1/token: 200 OK", "work: GET /computeMetadata: 200 OK", "work: refused: 404 Not Found"]
    {
        assert!(run.stderr.contains(line), "{line}\n{}", run.stderr);
    }
    let secrets = provider.issued().into_iter().chain([secret]);
    assert!(secrets.into_iter().all(|secret| !run.stderr.contains(&secret)), "{}", run.stderr);
}

#[test]
fn without_a_key_or_a_profile_it_does_not_begin() {
    let (_provider, home) = logged_in();

    home.run(&["serve", "nobody"]).expect_code(3).expect_said("no profile named `nobody`");
    std::fs::remove_file(home.path("identity.txt")).unwrap();
    home.run(&["serve", "work", "--no-input"]).expect_code(4);

    assert!(run_dirs(&home).is_empty());
}
