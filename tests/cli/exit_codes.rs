//! Every exit code that there is, reached by the real program, and compared with its documentation.
//!
//! 1 is a bug: no input reaches it, and a unit test in `src/cli/mod.rs` holds what a panic gives.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use vault::cli::exit::Code;

use crate::home::Home;
use crate::provider::{Config, Consent, Endpoint, Fault, Provider};

/// No machine needs as long for one request; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_page_lists_every_code_with_its_meaning_and_no_other() {
    let page = std::fs::read_to_string("docs/exit-codes.md").unwrap();
    let first_table = page.split("\n## ").next().unwrap();
    let listed: Vec<(u8, String)> = first_table.lines().filter_map(row).collect();

    let codes: Vec<(u8, String)> =
        Code::ALL.iter().map(|(code, meaning)| (*code as u8, (*meaning).to_owned())).collect();
    assert_eq!(listed, codes);
}

/// The number and the meaning in a row of the page.
fn row(line: &str) -> Option<(u8, String)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
}

#[test]
fn the_help_names_every_code() {
    let help = Home::bare().run(&["--help"]).answer();
    let table = help.split_once("Exit codes:").unwrap().1;
    let numbers: Vec<&str> =
        table.split_whitespace().filter(|word| word.bytes().all(|b| b.is_ascii_digit())).collect();
    for (code, _) in Code::ALL {
        assert!(numbers.contains(&(code as u8).to_string().as_str()), "{code:?}");
    }
}

#[test]
fn code_0_done() {
    Home::new().run(&["init"]).expect_code(0);
}

#[test]
fn code_2_usage() {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);

    home.run(&["token", "--no-such-option"]).expect_code(2);
    home.run(&["token"]).expect_code(2);
    home.run(&["init"]).expect_code(2);
}

#[test]
fn code_3_no_such_profile_client_slot_or_field() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    home.run(&["token", "wrok"]).expect_code(3);
    home.run(&["client", "show", "wrok"]).expect_code(3);
    home.run(&["key", "remove", "ffff"]).expect_code(3);
    home.run(&["reveal", "work", "api_key"]).expect_code(3);
    Home::new().run(&["token", "work"]).expect_code(3);
}

#[test]
fn code_4_locked() {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    std::fs::remove_file(home.path("identity.txt")).unwrap();

    home.run(&["verify"]).expect_code(4);
}

#[test]
fn code_5_login_needed() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["add-profile", "later", "--client", "127.0.0.1", "--flow", "none"]).expect_code(0);
    provider.revoke_user_grant("desktop", "me@example.com");

    home.run(&["token", "later"]).expect_code(5);
    home.run(&["token", "work", "--refresh"]).expect_code(5);
    home.run(&["login", "work", "--no-input"]).expect_code(5);
}

#[test]
fn code_6_integrity_refused() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    replace(&home.profile("work"), "me@example.com", "be@example.com");

    home.run(&["token", "work"]).expect_code(6);
}

#[test]
fn code_7_refused_by_a_check_or_by_the_provider() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.script(Endpoint::Token, vec![Fault::bad_secret()]);

    home.run(&["token", "work", "--refresh"]).expect_code(7);
    home.run(&["client", "remove", "127.0.0.1"]).expect_code(7);
}

#[test]
fn code_8_try_again_later() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.script(Endpoint::Token, vec![Fault::unavailable(5)]);
    home.run(&["token", "work", "--refresh"]).expect_code(8);
    drop(provider);

    home.run(&["token", "work", "--refresh"]).expect_code(8);
}

#[test]
fn code_9_an_answer_that_makes_no_sense() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.script(Endpoint::Token, vec![Fault::html(200)]);

    home.run(&["token", "work", "--refresh"]).expect_code(9);
}

#[test]
fn code_10_storage_failed_and_nothing_was_sent() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let before = provider.count(Endpoint::Token);

    let mut limited = std::process::Command::new("sh");
    home.prepare(&mut limited);
    // No file may grow: what a full disk does, and what even root has to obey.
    limited.args(["-c", "ulimit -f 0; exec \"$0\" token work --refresh", crate::home::VAULT]);
    let output = limited.output().unwrap();

    assert_eq!(output.status.code(), Some(10), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(provider.count(Endpoint::Token), before);
    home.run(&["token", "work", "--refresh"]).expect_code(0);
}

#[test]
fn code_11_saved_only_as_a_rescue() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let mut command = home.command(&["token", "work", "--refresh"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let child = child.unwrap();
    assert!(provider.wait_until_holding(1, PATIENCE));

    // The disk goes away between the request and the answer.
    std::fs::rename(home.path("data"), home.path("data.away")).unwrap();
    std::fs::rename(home.path("state"), home.path("state.away")).unwrap();
    std::fs::write(home.path("data"), "").unwrap();
    std::fs::write(home.path("state"), "").unwrap();
    provider.release();
    let output = child.wait_with_output().unwrap();

    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(11), "{stderr}");
    assert!(stderr.contains("-----BEGIN VAULT RESCUE-----"), "{stderr}");
}

#[test]
fn code_12_cancelled() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.next_consent(Consent::denied());

    home.consent(&["login", "work", "--no-browser"]).expect_code(12);
}

#[test]
fn code_13_stopped_part_way() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    provider.script(Endpoint::Revoke, vec![Fault::unavailable(1)]);

    home.consent(&["rotate", "grant", "work", "--no-browser"]).expect_code(13);
    home.run(&["rotate", "grant", "work"]).expect_code(0);
}

#[test]
fn code_14_written_by_a_newer_version() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    replace(&home.profile("work"), "vault-profile/1", "vault-profile/2");

    home.run(&["token", "work"]).expect_code(14);
}

#[test]
fn a_program_that_runs_gives_its_own_status() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    for status in [0, 1, 5, 77, 255] {
        let script = format!("exit {status}");
        home.run(&["exec", "work", "--", "sh", "-c", &script]).expect_code(status);
    }
}

#[test]
fn a_program_that_cannot_run_gives_what_a_shell_would() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let plain = home.write("plain", "not a program");

    home.run(&["exec", "work", "--", "no-such-program"]).expect_code(127).expect_said("no-such-program");
    home.run(&["exec", "work", "--", plain.to_str().unwrap()]).expect_code(126);
}

#[test]
fn a_signal_that_ends_the_program_ends_the_process() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    let output = home.command(&["exec", "work", "--", "sh", "-c", "kill -TERM $$"]).output().unwrap();

    assert_eq!(output.status.signal(), Some(15));
}

/// Edits a file as somebody who is not vault would.
fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}
