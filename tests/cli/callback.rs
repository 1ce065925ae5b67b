//! The way back from the browser: the loopback port, and the pasted address.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::home::{Home, Login};
use crate::outside;
use crate::provider::{Client, Config, Endpoint, Provider, browser};
use crate::tree;

const LOGIN: [&str; 4] = ["login", "work", "--flow", "paste"];

#[test]
fn the_pasted_address_is_the_answer_once_it_is_the_right_one() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let spent = provider.count(Endpoint::Token);
    let mut login = home.start_login(&LOGIN);
    let address = answer(&login);
    let code = address.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();

    login.paste("");
    login.paste(&code);
    login.paste(&address.replace("state=", "state=x"));
    login.paste("https://example.com/");
    assert_eq!(provider.count(Endpoint::Token), spent);
    login.paste(&format!("  {address}  "));

    login.finish(&LOGIN).expect_code(0).expect_said("still waiting").expect_unsaid(&code);
    assert_eq!(provider.count(Endpoint::Token), spent + 1);
}

#[test]
fn the_browser_and_the_paste_race_and_one_code_is_spent_once() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let spent = provider.count(Endpoint::Token);
    let mut login = home.start_login(&LOGIN);
    let address = answer(&login);

    let url = address.clone();
    let page = std::thread::spawn(move || browser::get(&url, &[]));
    login.paste(&address);

    login.finish(&LOGIN).expect_code(0);
    let _ = page.join().unwrap();
    assert_eq!(provider.count(Endpoint::Token), spent + 1);
}

#[test]
fn the_end_of_the_input_leaves_the_browser_as_the_way_back() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let mut login = home.start_login(&LOGIN);

    drop(login.child.stdin.take());

    let page = browser::get(&answer(&login), &[]).unwrap();
    assert_eq!(page.status, 200);
    login.finish(&LOGIN).expect_code(0);
}

#[test]
fn a_callback_without_the_right_state_changes_nothing() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let spent = provider.count(Endpoint::Token);
    let login = home.start_login(&LOGIN);
    let address = answer(&login);
    let (base, query) = address.split_once('?').unwrap();
    let state = query.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
    let iss = query.split('&').find(|pair| pair.starts_with("iss=")).unwrap();

    let wrong = [
        format!("{base}?code=attacker"),
        format!("{base}?code=attacker&state="),
        format!("{base}?code=attacker&state={}", &state[1..]),
        format!("{base}?code=attacker&state={state}&state={state}"),
        format!("{base}?error=access_denied"),
        format!("{base}?state={state}&{iss}"),
        base.to_owned(),
    ];
    for url in wrong.iter().cycle().take(21) {
        let page = browser::get(url, &[]).unwrap();
        assert_eq!(page.status, 400, "{url}");
        assert!(!page.body.contains(state), "the page tells the state");
    }
    let origin = base.trim_end_matches('/');
    assert_eq!(browser::get(&format!("{origin}/favicon.ico"), &[]).unwrap().status, 404);
    assert_eq!(browser::post(&address, &[], &[]).unwrap().status, 405);

    assert_eq!(provider.count(Endpoint::Token), spent);
    assert_eq!(browser::get(&address, &[]).unwrap().status, 200);
    login.finish(&LOGIN).expect_code(0).expect_unsaid("attacker");
}

#[test]
fn idle_connections_do_not_keep_the_answer_out() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let login = home.start_login(&LOGIN);
    let address = answer(&login);
    let port = url::Url::parse(&address).unwrap().port().unwrap();

    let idle: Vec<_> = (0..64).filter_map(|_| TcpStream::connect(("127.0.0.1", port)).ok()).collect();
    let start = Instant::now();
    assert_eq!(browser::get(&address, &[]).unwrap().status, 200);

    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    login.finish(&LOGIN).expect_code(0);
    drop(idle);
}

#[test]
fn the_port_is_closed_when_the_login_is_over() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let login = home.start_login(&LOGIN);
    let address = answer(&login);

    assert_eq!(browser::get(&address, &[]).unwrap().status, 200);
    login.finish(&LOGIN).expect_code(0);

    assert!(browser::get(&address, &[]).is_err());
}

#[test]
fn a_web_client_comes_back_to_the_letter_of_what_is_registered() {
    for (path, host) in [("", "localhost"), ("/", "127.0.0.1"), ("/oauth/back", "localhost")] {
        let (home, port) = (with_vault(), free_port());
        let uri = format!("http://{host}:{port}{path}");
        let provider = Provider::start(with_web_client(&uri));

        let options = web(&home, &provider, &uri);
        home.consent(&options.iter().map(String::as_str).collect::<Vec<_>>()).expect_code(0);

        let asked = &provider.requests_to(Endpoint::Authorize)[0];
        assert_eq!(asked.param("redirect_uri"), Some(uri.as_str()));
        for request in provider.requests_to(Endpoint::Token) {
            assert_eq!(request.field("redirect_uri"), Some(uri.as_str()));
        }
        assert_eq!(tree::json(home.client("127.0.0.1"))["redirect_uri"], uri);
    }
}

#[test]
fn a_port_that_is_taken_ends_the_login_before_it_begins() {
    let (home, port) = (with_vault(), free_port());
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let uri = format!("http://127.0.0.1:{port}/");
    let provider = Provider::start(with_web_client(&uri));
    let before = tree::stored(&home);

    let options = web(&home, &provider, &uri);
    home.consent(&options.iter().map(String::as_str).collect::<Vec<_>>())
        .expect_code(7)
        .expect_said(&format!("127.0.0.1:{port}"))
        .expect_said("end the program that uses this port");

    assert_eq!(provider.count(Endpoint::Authorize), 0);
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn a_redirect_uri_that_leads_elsewhere_is_refused() {
    let home = with_vault();
    for uri in ["http://192.0.2.1:8085/", "http://127.0.0.1.nip.io:8085/"] {
        let provider = Provider::start(with_web_client(uri));

        let options = web(&home, &provider, uri);
        home.consent(&options.iter().map(String::as_str).collect::<Vec<_>>()).expect_code(7);

        assert_eq!(provider.count(Endpoint::Authorize), 0);
    }
}

#[test]
fn the_browser_gets_the_address_and_nothing_that_unlocks() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    if !outside::have(&["sh", "env"]) {
        return;
    }
    let (seen, script) = (home.path("seen.txt"), home.path("browser.sh"));
    std::fs::write(
        &script,
        format!("env >{0}.part; echo \"$1\" >>{0}.part; mv {0}.part {0}", seen.display()),
    )
    .unwrap();
    home.set("BROWSER", &format!("sh {} %s", script.display()));
    let mut child = home.command(&["login", "work"]).stderr(std::process::Stdio::piped()).spawn().unwrap();

    let deadline = Instant::now() + Duration::from_secs(20);
    while !seen.exists() {
        assert!(Instant::now() < deadline, "the browser was not started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let text = std::fs::read_to_string(&seen).unwrap();
    assert!(!text.contains("VAULT_IDENTITY_FILE"), "{text}");
    assert_eq!(browser::consent(text.lines().last().unwrap()).unwrap().status, 200);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
}

/// Where the browser would end: the answer to this login.
fn answer(login: &Login) -> String {
    browser::authorize(login.url.as_ref().unwrap()).unwrap()
}

fn with_vault() -> Home {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    home
}

fn with_web_client(uri: &str) -> Config {
    let client = Client::basic("web", "GOCSPX-web-secret").with_redirects(&[uri]);
    Config { clients: vec![client], ..Config::default() }
}

fn web(home: &Home, provider: &Provider, uri: &str) -> Vec<String> {
    let secret = home.write("web.secret", "GOCSPX-web-secret\n");
    let options = [
        "add-profile",
        "work",
        "--no-browser",
        "--insecure-loopback",
        "--issuer",
        &provider.issuer(),
        "--client-id",
        "web",
        "--client-secret-file",
        secret.to_str().unwrap(),
        "--redirect-uri",
        uri,
    ];
    options.map(str::to_owned).to_vec()
}

/// A port that nobody has, and that the system gives to nobody who asks for any: those begin at
/// 32768 (ip(7), `ip_local_port_range`).
fn free_port() -> u16 {
    let mut random = [0; 2];
    loop {
        getrandom::fill(&mut random).unwrap();
        let port = 20_000 + u16::from_le_bytes(random) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("::1", port)).is_ok() {
            return port;
        }
    }
}
