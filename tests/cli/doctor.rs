//! `vault doctor`: each fault that is made here is found by its check, with the command that mends it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use rexpect::session::PtySession;
use serde_json::Value;

use crate::expiry::is_log;
use crate::home::{Home, Run};
use crate::provider::{Config, Endpoint, Fault, Provider};

/// What one check said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Which check.
    pub check: String,
    /// On what.
    pub subject: String,
    /// `ok`, `warning`, `bad` or `skipped`.
    pub result: String,
    /// What it found.
    pub found: String,
    /// What would mend it.
    pub fix: String,
}

/// The checks of `vault doctor --json` with these arguments, which must end with `code`.
#[track_caller]
pub fn doctor(home: &Home, arguments: &[&str], code: i32) -> Vec<Said> {
    let run = home.run(&[&["doctor", "--json", "--no-input"], arguments].concat());
    assert_eq!(run.code, code, "{}\n{}", run.stdout, run.stderr);
    said(&run)
}

/// The checks in the answer of a run.
#[track_caller]
pub fn said(run: &Run) -> Vec<Said> {
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["version"], 1);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = answer["checks"].as_array().unwrap().iter();
    let said = checks.map(|check| Said {
        check: text(&check["check"]),
        subject: text(&check["subject"]),
        result: text(&check["result"]),
        found: text(&check["found"]),
        fix: text(&check["fix"]),
    });
    said.collect()
}

/// A moment from now, as an HTTP server says it (RFC 9110, 5.6.7).
pub fn http_date(from_now: SignedDuration) -> String {
    let at = Timestamp::now() + from_now;
    rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap()
}

/// The provider says at the next request that it is so much later.
pub fn tell_time(provider: &Provider, from_now: SignedDuration) {
    let headers = vec![("Date".to_owned(), http_date(from_now))];
    provider.script(Endpoint::Token, vec![Fault::Respond { status: 405, headers, body: Vec::new() }]);
}

/// Everything below the home, with its modes.
fn whole(home: &Home) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let files = home.files("").into_iter().filter(|path| !is_log(path));
    let seen = files.map(|path| {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        (path.clone(), (mode, std::fs::read(&path).unwrap()))
    });
    seen.collect()
}

#[test]
fn a_healthy_vault_is_all_well() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    tell_time(&provider, SignedDuration::ZERO);

    let checks = doctor(&home, &[], 0);

    let not_ok: Vec<_> = checks.iter().filter(|it| it.result != "ok").map(|it| &it.check).collect();
    assert_eq!(not_ok, ["keychain"], "{checks:#?}");
    let names: BTreeSet<&str> = checks.iter().map(|it| it.check.as_str()).collect();
    for name in [
        "path",
        "variables",
        "vault",
        "modes",
        "file-system",
        "room",
        "lock",
        "key",
        "slot",
        "login",
        "secrets",
        "unlock",
        "documents",
        "leftovers",
        "provider",
        "clock",
        "plaintext",
    ] {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    let page = std::fs::read_to_string("docs/doctor.md").unwrap();
    for name in names {
        assert!(page.contains(&format!("\n| `{name}` |")), "{name} is not in docs/doctor.md");
    }
}

#[test]
fn a_person_reads_a_line_for_each_check_with_a_mark_a_word_and_what_mends_it() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    home.set("CLIENT_SECRET", "canary");
    std::fs::write(home.profile("work"), "{").unwrap();

    let run = home.run(&["doctor", "--offline"]);

    assert_eq!(run.code, 6, "{}", run.stderr);
    let _ = run.expect_said("checks found something bad");
    let run = home.run(&["doctor", "--offline", "--color", "always"]);
    let line = |start: &str| run.stdout.lines().find(|line| line.contains(start)).unwrap();
    assert!(line("✓ ok ").contains("path"), "{}", run.stdout);
    assert!(line("! warning ").contains("CLIENT_SECRET: is set"));
    assert!(run.stdout.lines().any(|line| line.trim() == "→ unset CLIENT_SECRET"));
    assert!(line("✗ bad ").contains('\u{1b}'));
    assert!(line("- skipped ").contains("keychain"));
}

#[test]
fn nothing_is_changed_and_nothing_secret_is_sent() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    doctor(&home, &[], 0);
    let before = whole(&home);
    provider.forget_requests();

    doctor(&home, &[], 0);

    assert_eq!(whole(&home), before);
    let requests = provider.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    let request = format!("{:?}", requests[0]);
    assert!(
        request.contains("GET") && requests[0].form.is_empty() && requests[0].query.is_empty(),
        "{request}"
    );
    for secret in provider.issued().iter().chain([&"GOCSPX-desktop-secret".to_owned()]) {
        assert!(!request.contains(secret), "{request}");
    }
}

#[test]
fn without_a_vault_it_says_so_makes_none_and_checks_the_rest() {
    let mut home = Home::new();
    home.set("REFRESH_TOKEN", "canary");

    let checks = doctor(&home, &[], 0);

    let vault = only(&checks, "vault");
    assert_eq!(vault.result, "warning");
    assert!(
        vault.found.contains("there is none yet") && vault.fix.contains("vault add-profile"),
        "{vault:?}"
    );
    assert!(checks.iter().any(|it| it.check == "variables" && it.subject == "REFRESH_TOKEN"), "{checks:#?}");
    assert_eq!(only(&checks, "plaintext").result, "ok");
    assert!(!home.path("data").exists() && !home.path("state").exists());
    home.run(&["doctor", "work"]).expect_code(3);
}

#[test]
fn a_locked_vault_is_looked_at_as_far_as_that_goes_without_a_key() {
    let provider = Provider::start(Config::default());
    let mut home = with_passphrase(&provider);
    home.unset("VAULT_PASSPHRASE_FILE");
    provider.forget_requests();

    let checks = doctor(&home, &[], 0);

    assert_eq!(only(&checks, "slot").found, "needs its passphrase");
    let unlock = only(&checks, "unlock");
    assert_eq!((unlock.result.as_str(), unlock.fix.contains("vault unlock")), ("skipped", true));
    assert_eq!(only(&checks, "login").result, "ok");
    for check in ["documents", "provider", "clock"] {
        assert_eq!(only(&checks, check).result, "skipped", "{check}");
    }
    // Where a changed file says is nowhere to send anything.
    assert!(provider.requests().is_empty());
    doctor(&home, &["--refresh"], 4);
}

#[test]
fn nobody_is_asked_for_anything_on_a_terminal_unless_logins_are_to_be_proven() {
    let provider = Provider::start(Config::default());
    let mut home = with_passphrase(&provider);
    home.unset("VAULT_PASSPHRASE_FILE");

    let mut quiet = on_terminal(&home, &["doctor"]);
    let said = quiet.exp_eof().unwrap();
    let mut asking = on_terminal(&home, &["doctor", "--refresh"]);

    assert!(said.contains("needs its passphrase") && !said.contains("Passphrase of"), "{said}");
    asking.exp_string("Passphrase of the vault").unwrap();
    asking.send_line(PASSPHRASE).unwrap();
    assert!(asking.exp_eof().unwrap().contains("the provider gave a new token"));
}

#[test]
fn offline_no_provider_is_asked() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.forget_requests();

    let checks = doctor(&home, &["--offline"], 0);

    assert!(provider.requests().is_empty());
    assert_eq!(only(&checks, "provider").result, "skipped");
    home.run(&["doctor", "--offline", "--refresh"]).expect_code(2);
}

#[test]
fn a_refresh_proves_each_login_or_the_one_that_is_named() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.next_user("other@example.com");
    home.add_profile(&provider, "other").expect_code(0);
    home.run(&["add-profile", "later", "--client", "127.0.0.1", "--flow", "none"]).expect_code(0);
    provider.forget_requests();

    let one = doctor(&home, &["work", "--refresh"], 0);
    assert_eq!(only(&one, "refresh").subject, "profile `work`");
    assert_eq!(posts(&provider), 1);

    let all = doctor(&home, &["--refresh"], 0);
    let results: Vec<_> = all
        .iter()
        .filter(|it| it.check == "refresh")
        .map(|it| (it.subject.as_str(), it.result.as_str()))
        .collect();
    let expected = [("profile `later`", "skipped"), ("profile `other`", "ok"), ("profile `work`", "ok")];
    assert_eq!(results, expected);
    assert_eq!(posts(&provider), 3);

    provider.revoke_user_grant("desktop", "other@example.com");
    let dead = doctor(&home, &["--refresh"], 5);
    let refused = dead.iter().find(|it| it.check == "refresh" && it.result == "bad").unwrap();
    assert_eq!(refused.subject, "profile `other`");
    assert!(refused.fix.contains("vault login other"), "{refused:?}");
    home.run(&["doctor", "nobody"]).expect_code(3);
}

#[test]
fn a_report_has_no_name_no_address_no_path_of_the_user_and_no_secret() {
    let provider = Provider::start(Config::default());
    let mut home = Home::new();
    let secret = home.write("secret", "GOCSPX-desktop-secret\n");
    let client = ["--issuer", &provider.issuer(), "--insecure-loopback", "--client-id", "desktop"];
    let secret = ["--client-secret-file", secret.to_str().unwrap(), "--name", "canary-client"];
    home.run(&[&["client", "add"][..], &client, &secret].concat()).expect_code(0);
    home.consent(&["add-profile", "canary-one", "--client", "canary-client", "--no-browser"]).expect_code(0);
    provider.next_user("other@example.com");
    home.consent(&["add-profile", "canary-two", "--client", "canary-client", "--no-browser"]).expect_code(0);
    // As much as can be wrong at once, with a name in each.
    provider.revoke_user_grant("desktop", "other@example.com");
    let dead = home.run(&["token", "canary-two", "--refresh"]);
    assert_eq!(dead.code, 5);
    home.set("CLIENT_SECRET", "canary-variable");
    home.set("HTTPS_PROXY", "http://canary-proxy.example:1");
    home.write(
        "Google.OAuth2.Token.canary-id.json",
        "{\"refresh_token\":\"1//0canary-pLa1nT3xT-5f7H9j2K4m6N8p\"}",
    );
    home.write("data/vault/profiles/canary-one.json.next", "canary-leftover");
    home.write("data/vault/profiles/canary stranger.txt", "canary");
    std::fs::set_permissions(home.client("canary-client"), Permissions::from_mode(0o644)).unwrap();
    std::fs::create_dir_all(home.path("canary-bin")).unwrap();
    let other = home.write("canary-bin/vault", "#!/bin/false\n");
    std::fs::set_permissions(other, Permissions::from_mode(0o755)).unwrap();
    home.set("PATH", home.path("canary-bin").to_str().unwrap());

    let said = home.run(&["doctor"]);
    let report = home.run(&["doctor", "--report"]);

    // What a person is told does name all this: the report is not empty of it for want of trouble.
    for name in ["canary-two", "canary-client", "canary-id", "canary stranger", "canary-bin", "127.0.0.1"] {
        assert!(said.stdout.contains(name), "{name}:\n{}", said.stdout);
    }
    let text = format!("{}{}", report.stdout, report.stderr);
    let mut canaries = provider.issued();
    canaries.extend(["canary", "desktop", "127.0.0.1", "example.com", "1001", "1002"].map(str::to_owned));
    canaries.extend([home.path("").display().to_string(), provider.issuer()]);
    for canary in canaries {
        assert!(!text.contains(canary.trim_end_matches('/')), "{canary}:\n{text}");
    }
    assert!(!text.contains("vault-test-"), "{text}");
    for line in [
        concat!("vault ", env!("CARGO_PKG_VERSION")),
        "profiles:",
        "profile-1: ",
        "profile-2: ",
        "host-1: ",
        "Google.OAuth2.Token.*",
        "CLIENT_SECRET",
        "key slots:       recipient",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
    assert_eq!(report.code, 5);
    home.run(&["doctor", "--report", "--json"]).expect_code(2);
}

/// Requests for a token; the doctor's own look at the endpoint is a GET.
fn posts(provider: &Provider) -> usize {
    provider.requests_to(Endpoint::Token).iter().filter(|request| !request.form.is_empty()).count()
}

/// The one check of this name.
#[track_caller]
pub fn only(checks: &[Said], name: &str) -> Said {
    let found: Vec<_> = checks.iter().filter(|it| it.check == name).collect();
    assert_eq!(found.len(), 1, "{name}: {checks:#?}");
    found[0].clone()
}

/// What opens [`with_passphrase`].
pub const PASSPHRASE: &str = "correct horse battery";

/// A logged-in profile in a vault that only a passphrase opens; a file holds it.
pub fn with_passphrase(provider: &Provider) -> Home {
    let mut home = Home::bare();
    let file = home.write("passphrase.txt", format!("{PASSPHRASE}\n"));
    home.set("VAULT_PASSPHRASE_FILE", file.to_str().unwrap());
    home.run(&["init", "--unlock", "passphrase"]).expect_code(0);
    home.add_profile(provider, "work").expect_code(0);
    home
}

fn on_terminal(home: &Home, arguments: &[&str]) -> PtySession {
    let mut command = home.command(arguments);
    command.stdin(Stdio::inherit());
    rexpect::session::spawn_command(command, Some(60_000)).unwrap()
}
