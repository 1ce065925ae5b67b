//! The login by a code that is typed on another device (RFC 8628).

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::disk::{Disk, with_own_mounts};
use crate::home::{Home, Run};
use crate::provider::{Config, Consent, Device, Endpoint, Fault, Provider, browser};
use crate::slots::{expect_end, on_terminal};
use crate::tree;

/// What a test waits for at most; no machine needs it.
const LONG: Duration = Duration::from_secs(60);

/// A login of the profile that is there.
const LOGIN: [&str; 4] = ["login", "work", "--flow", "device"];

#[test]
fn a_code_that_is_typed_elsewhere_logs_a_new_profile_in() {
    let (provider, home) = (offering(), Home::new());
    provider.next_user("other@example.com");

    let login = DeviceLogin::start(&home, &add(&home, &provider, &["-vvv"]));
    assert!(provider.wait_for(Endpoint::Token, 1, LONG), "it asks whether somebody has consented");
    login.consent();
    let run = login.finish().expect_code(0).expect_said("logged in as other@example.com");

    run.expect_said("It logs profile `work` in at 127.0.0.1.").expect_unsaid("CANARY-DC");
    let token = home.run(&["token", "work"]).answer();
    assert!(provider.is_live_access_token(&token));
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    assert_eq!(home.files("data/vault/clients").len(), 1);
    assert_eq!(tree::json(home.client("127.0.0.1"))["client_auth"], "post", "what worked is pinned");
    assert_eq!(provider.count(Endpoint::Authorize), 0);
    for file in ["data", "state", "cache"].iter().flat_map(|folder| home.files(folder)) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains("CANARY-DC"), "{}", file.display());
    }
}

#[test]
fn a_profile_is_logged_in_again_and_another_account_is_refused() {
    let (provider, home) = logged_in();
    let before = std::fs::read(home.profile("work")).unwrap();

    provider.next_user("other@example.com");
    let login = DeviceLogin::start(&home, &LOGIN);
    login.consent();
    login.finish().expect_code(7).expect_said("other@example.com").expect_said("as me@example.com");
    assert_eq!(std::fs::read(home.profile("work")).unwrap(), before);

    provider.next_user("me@example.com");
    let login = DeviceLogin::start(&home, &LOGIN);
    login.consent();
    login.finish().expect_code(0);
    let newest = home.run(&["reveal", "work", "refresh_token"]).answer();
    assert_eq!(provider.live_refresh_tokens().last(), Some(&newest));
}

#[test]
fn a_grant_is_rotated_by_a_code_too() {
    let (provider, home) = logged_in();
    let old = home.run(&["reveal", "work", "refresh_token"]).answer();

    let login = DeviceLogin::start(&home, &["rotate", "grant", "work", "--flow", "device"]);
    login.consent();
    login.finish().expect_code(0).expect_said("the refresh token before is revoked");

    assert!(!provider.live_refresh_tokens().contains(&old));
    home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn a_provider_that_wants_to_be_asked_less_often_is() {
    let (provider, home) = logged_in();
    provider.script(Endpoint::Token, vec![Fault::error(400, "slow_down", "too fast")]);
    provider.forget_requests();

    let login = DeviceLogin::start(&home, &LOGIN);
    assert!(provider.wait_for(Endpoint::Token, 1, LONG));
    // Longer than the interval, and less than the five seconds more that are asked for.
    std::thread::sleep(Duration::from_secs(2));
    login.signal(Signal::INT);
    login.finish().expect_code(128 + Signal::INT.as_raw());

    assert_eq!(provider.count(Endpoint::Token), 1);
    let asked = provider.requests_to(Endpoint::DeviceAuthorization)[0].at;
    let first = provider.requests_to(Endpoint::Token)[0].at;
    assert!(first - asked >= Duration::from_secs(1), "the interval holds for the first poll too");
}

#[test]
fn who_says_no_or_nothing_is_not_waited_for_and_nothing_is_stored() {
    let short = Device { expires_in: 1, ..Device::default() };
    let (provider, home) = (offering(), with_vault());
    let before = tree::stored(&home);
    let end = |options: &[&str]| {
        let login = DeviceLogin::start(&home, &add(&home, &provider, options));
        login.finish()
    };

    provider.next_consent(Consent::denied());
    let login = DeviceLogin::start(&home, &add(&home, &provider, &[]));
    login.consent();
    login.finish().expect_code(12).expect_said("consent was denied");
    end(&["--timeout", "1s"]).expect_code(12).expect_said("--timeout");
    provider.configure(|config| config.device = Some(short));
    end(&[]).expect_code(12).expect_said("the code has expired").expect_said("run the command again");
    provider.amend(Endpoint::DeviceAuthorization, json!({"expires_in": 0}));
    let polls = provider.count(Endpoint::Token);
    end(&[]).expect_code(12).expect_said("the code has expired");

    assert_eq!(provider.count(Endpoint::Token), polls, "there is nothing to ask for");
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn every_other_error_of_a_poll_ends_the_login_and_nothing_is_stored() {
    let cases = [
        (Fault::error(400, "expired_token", "too late"), 12, "run the command again for a new code"),
        (Fault::error(400, "access_denied", "no"), 12, "consent was denied"),
        (Fault::error(400, "invalid_grant", "of CANARY-DC"), 5, "invalid_grant"),
        (Fault::error(400, "unauthorized_client", "not this one"), 7, "unauthorized_client"),
        (Fault::html(400), 9, "HTTP status 400"),
        (Fault::Redirect("https://evil.example/".to_owned()), 9, "redirects"),
    ];
    // Each of them waits for most of its time.
    std::thread::scope(|scope| {
        for (fault, code, said) in cases {
            scope.spawn(move || {
                let (provider, home) = (offering(), with_vault());
                let before = tree::stored(&home);
                provider.script(Endpoint::Token, vec![Fault::Pass, fault]);

                let options = ["--client-auth", "post"];
                let login = DeviceLogin::start(&home, &add(&home, &provider, &options));
                login.finish().expect_code(code).expect_said(said);

                assert_eq!(provider.count(Endpoint::Token), 2);
                assert_eq!(tree::stored(&home), before);
            });
        }
    });
}

#[test]
fn the_answer_to_a_client_that_proves_itself_the_other_way_is_the_one_that_counts() {
    let (provider, home) = (offering(), with_vault());
    // Basic is tried first, and refused; `desktop` posts its secret.
    provider.next_consent(Consent::denied());
    provider.configure(|config| config.device = Some(Device { authenticates: false, ..Device::default() }));

    let login = DeviceLogin::start(&home, &add(&home, &provider, &[]));
    login.consent();
    login.finish().expect_code(12).expect_said("consent was denied");

    assert_eq!(provider.count(Endpoint::Token), 2);
    assert!(home.files("data/vault/clients").is_empty());
}

#[test]
fn a_provider_that_is_out_of_reach_for_a_while_costs_no_login() {
    let (provider, home) = logged_in();
    provider.script(Endpoint::Token, vec![Fault::ResetBefore]);

    let login = DeviceLogin::start(&home, &LOGIN);
    login.consent();
    let run = login.finish().expect_code(0).expect_said("it could not be asked whether you have consented");

    assert_eq!(run.stderr.matches("could not be asked").count(), 1, "{}", run.stderr);
    assert_eq!(provider.faults_left(Endpoint::Token), 0);
}

#[test]
fn a_code_that_nobody_waits_for_any_more_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let (provider, home) = (offering(), with_vault());
        let before = tree::stored(&home);
        let login = DeviceLogin::start(&home, &add(&home, &provider, &[]));
        assert!(provider.wait_for(Endpoint::Token, 1, LONG));
        provider.settle();

        login.signal(signal);
        let polls = provider.count(Endpoint::Token);
        login.finish().expect_code(128 + signal.as_raw());

        assert!(provider.count(Endpoint::Token) <= polls + 1, "it ends at once");
        assert_eq!(tree::stored(&home), before);
    }
}

#[test]
fn a_poll_that_brings_the_tokens_is_not_interrupted() {
    let (provider, home) = logged_in();
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let login = DeviceLogin::start(&home, &LOGIN);
    login.consent();
    assert!(provider.wait_until_holding(1, LONG));

    login.signal(Signal::INT);
    provider.release();
    login.finish().expect_code(128 + Signal::INT.as_raw());

    let newest = home.run(&["reveal", "work", "refresh_token"]).answer();
    assert_eq!(provider.live_refresh_tokens().last(), Some(&newest), "the new grant is saved");
}

#[test]
fn a_login_that_is_killed_while_it_polls_can_be_done_again() {
    let (provider, home) = (offering(), with_vault());
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let mut login = DeviceLogin::start(&home, &add(&home, &provider, &["--client-auth", "post"]));
    login.consent();
    assert!(provider.wait_until_holding(1, LONG));
    login.child.kill().unwrap();
    login.child.wait().unwrap();
    provider.release();
    assert!(!home.profile("work").exists());

    let login = DeviceLogin::start(&home, &add(&home, &provider, &["--client-auth", "post"]));
    login.consent();
    login.finish().expect_code(0);

    assert_eq!(home.files("data/vault/clients").len(), 1);
    home.run(&["verify"]).expect_code(0);
    let token = home.run(&["token", "work"]).answer();
    assert!(provider.is_live_access_token(&token));
}

#[test]
fn nobody_asks_for_tokens_that_could_not_be_saved() {
    with_own_mounts(|| {
        let (provider, home) = logged_in();
        let before = tree::stored(&home);
        let disk = Disk::under(&home.path(""));
        provider.forget_requests();

        let login = DeviceLogin::start(&home, &LOGIN);
        login.consent();
        disk.leave_pages(0);
        let run = login.finish();
        disk.mend();

        run.expect_code(10);
        assert!(tree::stored(&home) == before);
        // The disk may have been full only after the first poll.
        assert_eq!(provider.live_refresh_tokens().len(), 1, "the consent waits, and is not spent");
    });
}

#[test]
fn while_somebody_types_the_vault_is_free_for_others() {
    let (provider, home) = logged_in();
    let login = DeviceLogin::start(&home, &LOGIN);

    home.run(&["token", "work", "--refresh"]).expect_code(0);
    home.run(&["edit", "work", "--set", "A=access_token"]).expect_code(0);

    login.consent();
    login.finish().expect_code(0);
    let profile = tree::json(home.profile("work"));
    assert_eq!(profile["exports"]["A"], "access_token", "what was changed meanwhile is kept");
    let newest = home.run(&["reveal", "work", "refresh_token"]).answer();
    assert_eq!(provider.live_refresh_tokens().last(), Some(&newest));
}

#[test]
fn an_answer_that_leads_astray_or_cannot_be_shown_is_refused() {
    let (provider, home) = logged_in();
    let before = tree::stored(&home);
    let polls = provider.count(Endpoint::Token);
    let answer = json!({
        "device_code": "CANARY-DC-x", "user_code": "WDJB-MJHT", "expires_in": 60, "interval": 1,
        "verification_uri": provider.url("/device"),
    });
    let with = |name: &str, value: Value| {
        let mut answer = answer.clone();
        answer[name] = value;
        Fault::json(200, &answer)
    };
    let doubled = answer.to_string().replacen('{', r#"{"user_code":"OTHER","#, 1);
    let json_fields = vec![("Content-Type".to_owned(), "application/json".to_owned())];

    for (fault, code) in [
        (with("verification_uri", json!("http://evil.example/device")), 7),
        (with("verification_uri", json!("javascript:alert(1)")), 7),
        (with("verification_uri_complete", json!("http://evil.example/")), 7),
        (with("user_code", json!("AB\u{1b}]0;CANARY-TITLE\u{7}")), 9),
        (with("user_code", json!("\u{202e}CANARY-BIDI")), 9),
        (with("user_code", json!("C".repeat(1000))), 9),
        (with("device_code", json!("D".repeat(100_000))), 9),
        (with("device_code", Value::Null), 9),
        (Fault::Respond { status: 200, headers: json_fields, body: doubled.into_bytes() }, 9),
        (Fault::oversized(2 << 20), 9),
        (Fault::html(200), 9),
        (Fault::Redirect("https://evil.example/".to_owned()), 9),
        (Fault::error(400, "unauthorized_client", "not this one"), 7),
        (Fault::unavailable(5), 8),
    ] {
        provider.script(Endpoint::DeviceAuthorization, vec![fault]);
        let run = home.run(&LOGIN).expect_code(code).expect_unsaid("CANARY").expect_unsaid("Open this");
        assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
    }

    assert_eq!(provider.count(Endpoint::Token), polls);
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn a_provider_without_the_device_flow_is_named_with_the_way_that_it_has() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.forget_requests();

    home.run(&LOGIN).expect_code(7).expect_said("does not offer the device flow").expect_said("--flow paste");

    assert!(provider.requests().is_empty());
}

#[test]
fn google_is_asked_for_no_code_that_it_would_not_give() {
    let home = with_vault();
    let client = |kind: &str, name: &str| {
        let client = json!({
            "client_id": format!("1-{kind}.apps.googleusercontent.com"), "client_secret": "GOCSPX-CANARY",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token", "redirect_uris": ["http://localhost"],
        });
        home.write(name, json!({ kind: client }).to_string()).to_str().unwrap().to_owned()
    };
    let (web, installed) = (client("web", "web.json"), client("installed", "installed.json"));
    let add = |file: &str, scope: &str| {
        home.run(&["add-profile", "tv", "--client-file", file, "--flow", "device", "--scope", scope])
    };

    add(&web, "openid")
        .expect_code(7)
        .expect_said("with a client of type web")
        .expect_said("TVs and Limited Input devices")
        .expect_said("--flow paste");
    // No request was made: there is no network to Google here, which would be another error.
    add(&installed, "gmail.readonly")
        .expect_code(7)
        .expect_said("TVs and Limited Input devices")
        .expect_said("does not allow the device flow for https://www.googleapis.com/auth/gmail.readonly")
        .expect_said("https://www.googleapis.com/auth/youtube.readonly")
        .expect_said("--flow paste");

    assert!(home.files("data/vault/clients").is_empty());
}

#[test]
fn nobody_types_a_code_where_nobody_may_be_asked() {
    let (provider, home) = logged_in();
    provider.forget_requests();

    home.run(&[&LOGIN[..], &["--no-input"]].concat()).expect_code(5);

    assert!(provider.requests().is_empty());
}

#[test]
fn a_client_proves_itself_for_a_code_at_its_own_provider_only() {
    let (provider, elsewhere) = (offering(), offering());
    elsewhere.configure(|config| config.device = Some(Device { authenticates: false, ..Device::default() }));
    let endpoint = elsewhere.url("/device_authorization");
    provider.amend(Endpoint::OpenidConfiguration, json!({ "device_authorization_endpoint": endpoint }));
    provider.amend(Endpoint::OauthMetadata, json!({ "device_authorization_endpoint": endpoint }));
    let home = with_vault();

    DeviceLogin::start(&home, &add(&home, &provider, &[])).finish().expect_code(5);

    let asked = &elsewhere.requests_to(Endpoint::DeviceAuthorization)[0];
    assert_eq!(asked.field("client_id"), Some("desktop"));
    assert_eq!((asked.field("client_secret"), asked.header("authorization")), (None, None));
    assert_eq!(elsewhere.count(Endpoint::Token), 0);
}

#[test]
fn a_picture_of_the_address_stands_beside_the_code_where_it_fits() {
    let (provider, mut home) = logged_in();
    provider.amend(Endpoint::DeviceAuthorization, json!({"expires_in": 0}));
    let mut shown = |columns: &str, options: &[&str]| {
        // The size of the terminal, for the program that comes after.
        home.run_by(&["sh", "-c", &format!("stty cols {columns}; exec \"$@\""), "sh"]);
        expect_end(on_terminal(&home, &[&LOGIN[..], options].concat()), 12)
    };
    let half = '\u{2580}';

    let wide = text_of(&shown("100", &[]));
    assert!(wide.contains(half) && wide.contains("\u{1b}[30;107m"), "{wide}");
    assert!(wide.contains("/device\r\n") && wide.contains("WDJB-0001"), "the code stands there too: {wide}");
    let plain = text_of(&shown("100", &["--color", "never"]));
    assert!(plain.contains(half) && !plain.contains('\u{1b}'), "{plain}");
    let narrow = text_of(&shown("30", &[]));
    assert!(!narrow.contains(half) && narrow.contains("WDJB-0003"), "{narrow}");

    home.run_by(&[]);
    let piped = home.run(&LOGIN).expect_code(12).expect_said("WDJB-0004");
    assert!(!piped.stderr.contains(half), "{}", piped.stderr);
}

/// What was written to the terminal: of each byte, its reader makes a character.
fn text_of(read: &str) -> String {
    let bytes: Vec<u8> = read.chars().map(|c| u8::try_from(c).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

/// A provider that gives out device codes.
fn offering() -> Provider {
    Provider::start(Config { device: Some(Device::default()), ..Config::default() })
}

/// A home with a profile `work` at a provider that gives out device codes.
fn logged_in() -> (Provider, Home) {
    let provider = offering();
    let home = Home::logged_in(&provider);
    (provider, home)
}

fn with_vault() -> Home {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    home
}

/// `vault add-profile work --flow device`.
fn add(home: &Home, provider: &Provider, options: &[&str]) -> Vec<String> {
    let mut words =
        vec!["add-profile".to_owned(), "work".to_owned(), "--flow".to_owned(), "device".to_owned()];
    words.extend(home.desktop(provider));
    words.extend(options.iter().map(|word| (*word).to_owned()));
    words
}

/// A login that waits for somebody to type a code.
pub struct DeviceLogin {
    /// The process.
    pub child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
    arguments: Vec<String>,
    /// Where the code is typed, and the code; `None` if the program has ended without showing them.
    pub invitation: Option<(String, String)>,
}

impl DeviceLogin {
    /// Starts it, and waits until it shows what to type.
    pub fn start(home: &Home, arguments: &[impl AsRef<str>]) -> Self {
        let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let mut command = home.command(&words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut shown) = (String::new(), Vec::new());
        // The address, then the code, each on a line of its own.
        while shown.len() < 2 {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                break;
            }
            shown.extend(line.strip_prefix("  ").map(|text| text.trim().to_owned()));
            said.push_str(&line);
        }
        let invitation = (shown.len() == 2).then(|| (shown[0].clone(), shown[1].clone()));
        Self {
            child,
            stderr,
            said,
            arguments: words.iter().map(|word| (*word).to_owned()).collect(),
            invitation,
        }
    }

    /// Types the code where it belongs; the person there answers as planned.
    fn consent(&self) {
        let (address, code) = self.invitation.as_ref().expect("it shows what to type");
        assert_eq!(browser::get(&format!("{address}?user_code={code}"), &[]).unwrap().status, 200);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Run {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stderr = self.said.into_bytes();
        let words: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Run::of(&words, output)
    }
}
