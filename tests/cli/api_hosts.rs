//! `vault api`: where a token goes, and where it does not go whatever leads there.

use serde_json::json;

use crate::api::{bearer, logged_in, only, with_code};
use crate::home::{Home, Run};
use crate::network::Proxy;
use crate::provider::{Authority, Config, Endpoint, Fault, HOST, Provider, browser};
use crate::tree::json as document;

const API_KEY: &str = "AIza-canary-of-vault-api";

/// RFC 9110, 15.4: those that a client may follow.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

fn redirect(status: u16, target: &str) -> Fault {
    Fault::Respond { status, headers: vec![("Location".into(), target.into())], body: b"moved".to_vec() }
}

#[test]
fn a_token_goes_to_another_host_only_after_somebody_has_allowed_it() {
    let (provider, home) = logged_in();
    let other = Provider::start(Config::default());
    let url = other.url("/api/x");
    let host = other.address().to_string();

    let refused = home.run(&["api", "work", &url]).expect_code(7);
    let _ = refused.expect_said(&format!("`--allow-host {host}`")).expect_said("nothing was sent");
    let _ = home.run(&["api", "work", &url, "--allow-host", "127.0.0.1:1"]).expect_code(2);
    let _ = home.run(&["api", "work", &url, "--allow-host", "*"]).expect_code(2);
    assert_eq!(other.requests().len(), 0);
    assert!(document(home.profile("work"))["hosts"].is_null(), "nothing was written down");

    // The other server knows nothing of this token.
    let _ = with_code(home.run(&["api", "work", &url, "--allow-host", &host]), 7).expect_said("from now on");
    assert!(bearer(&other.requests()[0]).is_some());
    assert_eq!(document(home.profile("work"))["hosts"], json!({"api": [host]}));
    // It is not said twice.
    let again = with_code(home.run(&["api", "work", &url, "--allow-host", &host]), 7);
    assert!(!again.stderr.contains("from now on"), "{}", again.stderr);
    let _ = with_code(home.run(&["api", "work", &url]), 7).expect_said("does not accept the token");
    assert!(home.run(&["show", "work"]).answer().contains(&format!("{host} (api)")));

    let _ = home.run(&["edit", "work", "--unbind", &format!("api={host}")]).expect_code(0);
    other.forget_requests();
    let _ = home.run(&["api", "work", &url]).expect_code(7).expect_said("--allow-host");
    assert_eq!(other.requests().len(), 0);
    assert_eq!(provider.count(Endpoint::Api), 0);
}

#[test]
fn a_host_that_was_allowed_for_another_use_or_profile_or_by_hand_is_not_allowed() {
    let (_provider, home) = logged_in();
    let other = Provider::start(Config::default());
    let host = other.address().to_string();
    let _ = home.run(&["edit", "work", "--bind", &format!("git={host}")]).expect_code(0);
    let _ = home.run(&["api", "work", &other.url("/api/x")]).expect_code(7);

    let mut profile = document(home.profile("work"));
    profile["hosts"]["api"] = json!([host]);
    std::fs::write(home.profile("work"), profile.to_string()).unwrap();
    let _ = home.run(&["api", "work", &other.url("/api/x")]).expect_code(6);
    assert_eq!(other.requests().len(), 0);
}

#[test]
fn plain_http_gets_a_token_on_this_machine_only_and_only_by_a_client_that_was_made_for_it() {
    let (_provider, home) = logged_in();
    for url in
        ["http://api.example.com/x", "http://10.0.0.1/x", "ftp://127.0.0.1/x", "http://localhost.example/x"]
    {
        let host = url.split('/').nth(2).unwrap();
        let _ = home
            .run(&["api", url, "--allow-host", &format!("{host}:80")])
            .expect_code(if url.starts_with("ftp") { 2 } else { 7 });
        let _ = home.run(&["api", url]).expect_code(7).expect_said("nothing was sent");
    }
    assert!(document(home.profile("work"))["hosts"].is_null());

    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let home = Home::trusting(&authority);
    let secret = home.write("secret", "GOCSPX-desktop-secret");
    let options =
        ["--client-id", "desktop", "--client-secret-file", secret.to_str().unwrap(), "--no-browser"];
    let issuer = provider.issuer();
    let _ =
        home.consent(&[&["add-profile", "work", "--issuer", &issuer], &options[..]].concat()).expect_code(0);
    let plain = Provider::start(Config::default());
    let host = plain.address().to_string();
    let run = home.run(&["api", &plain.url("/api/x"), "--allow-host", &host]).expect_code(7);
    let _ = run.expect_said("--insecure-loopback");
    assert_eq!(plain.requests().len(), 0);
    let _ = home.run(&["api", &provider.url("/api/x")]).expect_code(0);
}

#[test]
fn no_redirect_is_followed_unless_that_is_asked_for() {
    let (provider, home) = logged_in();
    let elsewhere = Provider::start(Config::default());
    for status in REDIRECTS {
        for target in
            [elsewhere.url("/api/y?q=CANARY"), provider.url("/api/y"), "/api/y".into(), "//127.0.0.1/".into()]
        {
            provider.forget_requests();
            provider.script(Endpoint::Api, vec![redirect(status, &target)]);

            let run = with_code(home.run(&["api", &provider.url("/api/x")]), 7);

            assert_eq!(run.stdout, "moved");
            let _ = run
                .expect_said(&format!("HTTP status {status}"))
                .expect_said("--follow")
                .expect_unsaid("CANARY");
            assert_eq!(
                (provider.count(Endpoint::Api), elsewhere.requests().len()),
                (1, 0),
                "{status} {target}"
            );
        }
    }
}

#[test]
fn a_redirect_within_the_host_takes_the_token_along_and_no_body() {
    let (provider, home) = logged_in();
    for status in REDIRECTS {
        provider.forget_requests();
        provider.script(Endpoint::Api, vec![redirect(status, "/api/y")]);
        let _ = home.run(&["api", "-L", &provider.url("/api/x"), "-H", "X-A: b"]).expect_code(0);
        let requests = provider.requests_to(Endpoint::Api);
        assert_eq!((requests.len(), &*requests[1].path), (2, "/api/y"));
        assert_eq!((bearer(&requests[0]), requests[1].header("x-a")), (bearer(&requests[1]), Some("b")));

        provider.forget_requests();
        provider.script(Endpoint::Api, vec![redirect(status, "/api/y")]);
        let run = home.run(&["api", "-L", &provider.url("/api/x"), "-d", "CANARY"]);
        let requests = provider.requests_to(Endpoint::Api);
        if status == 303 {
            let run = run.expect_code(0);
            assert!(
                !run.stdout.contains("CANARY") && requests[1].method == "GET" && requests[1].body.is_empty()
            );
        } else {
            let _ = with_code(run, 7).expect_said("only GET and HEAD");
            assert_eq!(requests.len(), 1, "{status}");
        }
    }
    provider.forget_requests();
    provider.script(Endpoint::Api, (0..20).map(|_| redirect(302, "/api/y")).collect());
    let _ = with_code(home.run(&["api", "-L", &provider.url("/api/x")]), 7).expect_said("there were ten");
    assert_eq!(provider.count(Endpoint::Api), 11);
}

#[test]
fn what_is_done_is_not_done_again_because_its_answer_cannot_be_had() {
    let (provider, home) = logged_in();
    let refused = Fault::Respond { status: 401, headers: Vec::new(), body: Vec::new() };
    provider.script(Endpoint::Api, vec![redirect(303, "/api/y"), refused]);

    let run = home.run(&["api", "-L", &provider.url("/api/x"), "-d", "pay"]);

    let _ = with_code(run, 7).expect_said("HTTP status 401");
    let methods: Vec<String> =
        provider.requests_to(Endpoint::Api).into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "GET"]);
}

#[test]
fn a_redirect_to_nowhere_is_no_success() {
    let (provider, home) = logged_in();
    let nowhere = || Fault::Respond { status: 302, headers: Vec::new(), body: Vec::new() };
    provider.script(Endpoint::Api, vec![nowhere(), nowhere()]);

    for words in [&["-o", "answer"][..], &["-L"]] {
        let url = provider.url("/api/x");
        let run = home.run(&[&["api", &url], words].concat());
        let _ = with_code(run, 7).expect_said("leads to what is no address");
    }
}

#[test]
fn a_redirect_to_another_host_is_followed_without_any_secret_and_never_without_tls() {
    let authority = Authority::new();
    let start = || Provider::start_https(Config::default(), authority.certify(HOST));
    let (provider, elsewhere, plain) = (start(), start(), Provider::start(Config::default()));
    let home = Home::trusting(&authority);
    let _ = home.add_profile(&provider, "work").expect_code(0);
    provider.forget_requests();
    let (there, back) = (elsewhere.url("/elsewhere"), provider.url("/api/back"));
    for status in REDIRECTS {
        for forgotten in [&provider, &elsewhere] {
            forgotten.forget_requests();
        }
        provider.script(Endpoint::Api, vec![redirect(status, &there)]);
        elsewhere.script(Endpoint::Elsewhere, vec![redirect(302, &back)]);

        let secret = ["-H", "X-Api-Key: CANARY", "-H", "Accept: text/csv"];
        let run = home.run(&[&["api", "-L", "work", &provider.url("/api/x")], &secret[..]].concat());

        let _ = with_code(run, 7);
        let (led, came_back) = (&elsewhere.requests()[0], &provider.requests_to(Endpoint::Api)[1]);
        for request in [led, came_back] {
            assert_eq!(request.header("accept"), Some("text/csv"));
            let text = format!("{:?}", request.headers);
            assert!(
                bearer(request).is_none() && !text.contains("CANARY") && !text.contains("ya29"),
                "{text}"
            );
        }

        provider.script(Endpoint::Api, vec![redirect(status, &plain.url("/api/x"))]);
        let run = with_code(home.run(&["api", "-L", "work", &provider.url("/api/x")]), 7);
        let _ = run.expect_said("leads away from https:");
        assert_eq!(plain.requests().len(), 0);
    }
    provider.script(Endpoint::Api, vec![redirect(302, &there.replace("https://", "https://me:you@"))]);
    let _ = with_code(home.run(&["api", "-L", "work", &provider.url("/api/x")]), 7).expect_said("user name");
}

/// Google, as far as it goes through a proxy that leads everything to one server.
struct Google {
    provider: Provider,
    proxy: Proxy,
    home: Home,
}

impl Google {
    fn new() -> Self {
        let authority = Authority::new();
        let claims = json!({"iss": "https://accounts.google.com"});
        let config = Config { id_token_claims: claims, ..Config::google() };
        let hosts = ["www.googleapis.com", "*.googleapis.com", "*.storage.googleapis.com"];
        let provider = Provider::start_https(config, authority.certify_all(&hosts));
        let proxy = Proxy::leading_to(provider.address());
        let mut home = Home::trusting(&authority);
        home.set("HTTPS_PROXY", &proxy.url());
        home.write("secret", "GOCSPX-desktop-secret");
        home.write("key", API_KEY);
        let google = Self { provider, proxy, home };
        google.log_in();
        google.provider.forget_requests();
        google
    }

    fn log_in(&self) {
        let words = "add-profile work --provider google --client-id desktop --client-secret-file secret \
                     --api-key-file key --no-browser";
        let words: Vec<&str> = words.split_whitespace().collect();
        let login = self.home.start_login(&words);
        if let Some(url) = &login.url {
            let query = url.split_once('?').unwrap().1;
            let ours = format!("https://{}/authorize?{query}", self.provider.address());
            let _ = browser::consent(&ours).unwrap();
        }
        let _ = login.finish(&words).expect_code(0);
    }

    fn run(&self, words: &[&str]) -> Run {
        self.home.run(&[&["api", "work"], words].concat())
    }
}

#[test]
fn apis_of_google_get_token_key_and_project_and_what_only_looks_like_one_gets_nothing() {
    let google = Google::new();

    for host in [
        "www.googleapis.com",
        "GMAIL.GoogleAPIs.com",
        "bucket.storage.googleapis.com",
        "www.googleapis.com:443",
    ] {
        google.provider.forget_requests();
        let _ = google.run(&[&format!("https://{host}/api/x")]).expect_code(0);
        let request = only(&google.provider);
        assert!(google.provider.is_live_access_token(bearer(&request).unwrap()), "{host}");
        assert_eq!((request.header("x-goog-api-key"), request.header("x-goog-user-project")), (None, None));
    }
    google.provider.forget_requests();
    let _ = google.home.run(&["edit", "work", "--project", "mine-1"]).expect_code(0);
    let url = "https://www.googleapis.com/api/x";
    let _ = google.run(&[url, "--api-key"]).expect_code(0).expect_unsaid(API_KEY);
    let _ = google.run(&[url, "--quota-project", "other-2"]).expect_code(0);
    let sent = google.provider.requests_to(Endpoint::Api);
    assert_eq!(sent[0].header("x-goog-api-key"), Some(API_KEY));
    assert_eq!(sent[0].header("x-goog-user-project"), Some("mine-1"));
    assert_eq!(sent[1].header("x-goog-user-project"), Some("other-2"));

    let heard = google.proxy.heard().len();
    google.provider.forget_requests();
    for host in [
        "googleapis.com",
        "evilgoogleapis.com",
        "googleapis.com.evil.example",
        "www.googleapis.com.evil.example",
        "www.googleapis.com.",
        "www.googleapis.com:8443",
        "www.googleapis.com:80",
        "www.googleapis.com@evil.example",
        "www.googleapis.com%2eevil.example",
        "www-googleapis.com",
        "www.g\u{43e}\u{43e}gleapis.com",
        "xn--ggleapis-c1aa.com",
        "accounts.google.com",
        "x.googleusercontent.com",
        "me@www.googleapis.com",
        "me:secret@www.googleapis.com",
        "127.0.0.1",
        "[::1]",
        "2130706433",
    ] {
        for more in [&[][..], &["--api-key"], &["--quota-project", "p"]] {
            let run = google.run(&[&[&*format!("https://{host}/api/x")], more].concat()).expect_code(7);
            let _ = run.expect_said("nothing was sent").expect_unsaid("secret@");
        }
    }
    for odd in ["https://www.googleapis.com\\@evil.example/", "https://evil.example\\.googleapis.com/"] {
        let _ = google.run(&[odd]).expect_code(2);
    }
    assert_eq!((google.proxy.heard().len(), google.provider.requests().len()), (heard, 0));
}

#[test]
fn a_redirect_from_google_takes_neither_key_nor_project_along() {
    let google = Google::new();
    let _ = google.home.run(&["edit", "work", "--project", "mine-1"]).expect_code(0);
    let target = "https://bucket.storage.googleapis.com/elsewhere";
    google.provider.script(Endpoint::Api, vec![redirect(302, target)]);

    let run = google.run(&["-L", "--api-key", "https://www.googleapis.com/api/x"]);

    let _ = with_code(run, 7);
    let led = google.provider.requests_to(Endpoint::Elsewhere);
    assert_eq!(led.len(), 1);
    for name in ["authorization", "x-goog-api-key", "x-goog-user-project"] {
        assert_eq!(led[0].header(name), None);
    }
    let heard = google.proxy.heard().concat();
    assert!(!heard.contains("ya29") && !heard.contains(API_KEY), "a proxy sees nothing of what is said");
}

#[test]
fn a_profile_that_has_an_api_key_alone_sends_that_alone() {
    let google = Google::new();
    let words = "add-profile maps --client google --api-key-file key --flow none";
    let _ = google.home.run(&words.split(' ').collect::<Vec<_>>()).expect_code(0);
    google.provider.forget_requests();

    let run = google.home.run(&["api", "maps", "https://www.googleapis.com/api/x", "--api-key"]);

    // The server wants a token too.
    let _ = with_code(run, 7);
    let request = only(&google.provider);
    assert_eq!((request.header("x-goog-api-key"), request.header("authorization")), (Some(API_KEY), None));
    let _ = google.home.run(&["api", "maps", "https://www.googleapis.com/api/x"]).expect_code(5);
}

#[test]
fn an_api_on_this_machine_is_not_asked_through_a_proxy() {
    let (provider, mut home) = logged_in();
    let proxy = Proxy::leading_to(provider.address());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        home.set(name, &proxy.url());
    }

    let _ = home.run(&["api", &provider.url("/api/x")]).expect_code(0);

    assert!(proxy.heard().is_empty());
}
