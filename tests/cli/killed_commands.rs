//! Every command that writes, killed at each call that changes anything, and then simply run again.

use std::path::Path;

use crate::expiry::{assert_no_stray_file, strays};
use crate::home::{Home, Run};
use crate::kills::{Step, Subject, alone, with_consent};
use crate::provider::{Client, Config, Provider};
use crate::stage::Stage;
use crate::tree::json;

/// A command, and what must be so after it was killed and run again.
struct Case<'a> {
    arguments: &'a [&'a str],
    run: fn(std::process::Command, &[&str]) -> Run,
    /// The exit code of the second run where the first has done everything already.
    done: i32,
    /// The name of the profile that was `work`, once the command is through.
    work: Option<&'a str>,
}

impl Case<'_> {
    /// The loop over all kills. `is_done` looks at what the command is for.
    fn hold(&self, stage: &Stage, is_done: impl Fn(&Home) -> bool) {
        let subject = Subject {
            home: &stage.home,
            arguments: self.arguments,
            prepare: &|| stage.reset(),
            run: self.run,
        };
        let tally = subject.kill_at_changes(|step| self.make_up_for(stage, step, &is_done));
        eprintln!("kills of vault {}: {tally:?}", self.arguments[0]);
        assert!(tally.is_none_or(|tally| tally.killed >= 10), "too few to be true");
    }

    fn make_up_for(&self, stage: &Stage, step: &Step, is_done: &impl Fn(&Home) -> bool) {
        let home = &stage.home;
        let why = format!("{:?}, {step:?}", self.arguments);
        let was_done = is_done(home);

        let again = (self.run)(home.command(self.arguments), self.arguments);

        // The second run may find that there is no more to do than to put a document in its place.
        let was_done = was_done || again.stderr.contains("Completed an interrupted");
        let expected: &[i32] = if was_done { &[0, self.done] } else { &[0] };
        assert!(expected.contains(&again.code), "{why}: {again:?}");
        assert!(is_done(home), "{why}: {again:?}");
        stage.assert_discreet(&again);
        assert_other_is_whole(stage, &why);
        if let Some(work) = self.work {
            let live = stage.provider.live_refresh_tokens();
            let kept = stage.refresh_token_of(work, &why);
            assert!(live.contains(&kept), "{why}");
        }
        take_over_temporary_files(home);
        assert_no_stray_file(home);
    }
}

/// A temporary file is taken over by the next writer of the same document, or of anything that this
/// machine remembers. Where all was done but for such a file, the same command may have nothing to write.
fn take_over_temporary_files(home: &Home) {
    let left = strays(home);
    if left.iter().any(|path| path.ends_with("fact.tmp")) {
        let _ = home.run(&["use", "other"]).expect_code(0);
    }
    if left.iter().any(|path| path.parent().unwrap().ends_with("clients")) {
        let _ = home.consent(&["login", "new", "--no-browser"]).expect_code(0);
    }
    if left.iter().any(|path| path.ends_with("twin.json.tmp")) {
        // Its login has ended, as its next use shows and notes.
        let _ = home.run(&["token", "twin"]).expect_code(5);
    }
}

/// The bystander's document is as it was, and the whole vault verifies.
fn assert_other_is_whole(stage: &Stage, why: &str) {
    let other = stage.home.profile("other");
    assert!(std::fs::read(&other).ok().as_deref() == stage.before(&other), "{why}");
    let verified = stage.home.run(&["verify"]);
    assert_eq!(verified.code, 0, "{why}: {}", verified.stderr);
}

fn holds(path: &Path, text: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|document| document.contains(text))
}

#[test]
fn a_login_killed_at_any_change_loses_neither_grant() {
    let stage = Stage::with_grace();
    let arguments = ["login", "work", "--no-browser", "--scope", "calendar"];
    Case { arguments: &arguments, run: with_consent, done: 0, work: Some("work") }
        .hold(&stage, |home| holds(&home.profile("work"), "calendar"));
}

#[test]
fn a_profile_and_its_client_that_were_killed_in_the_making_are_made_by_the_next_run() {
    let stage = Stage::with_grace();
    // How this client proves itself is found out on the way, and concerns two documents.
    stage.provider.configure(|config| config.clients.push(Client::post("late", "GOCSPX-late-secret")));
    let stage = stage.now();
    let secret = stage.home.write("late.secret", "GOCSPX-late-secret\n");
    let (issuer, secret) = (stage.provider.issuer(), secret.to_str().unwrap().to_owned());
    let client =
        ["--issuer", &issuer, "--insecure-loopback", "--client-id", "late", "--client-secret-file", &secret];
    let arguments = [&["add-profile", "new", "--no-browser"], &client[..]].concat();
    // A name that exists is refused, with the command that changes it.
    Case { arguments: &arguments, run: with_consent, done: 2, work: Some("work") }.hold(&stage, |home| {
        home.profile("new").exists() && home.run(&["token", "new", "--refresh"]).code == 0
    });
}

#[test]
fn a_removal_killed_at_any_change_is_finished_by_the_next_run() {
    let stage = Stage::with_grace();
    let token = stage.home.files("cache");
    Case { arguments: &["remove", "work", "--yes"], run: alone, done: 3, work: None }
        .hold(&stage, |home| !home.profile("work").exists());
    assert!(token.len() > stage.home.files("cache").len(), "the cached token goes too");
}

#[test]
fn a_renaming_killed_at_any_change_is_finished_by_the_next_run() {
    let stage = Stage::with_grace();
    Case { arguments: &["rename", "work", "job"], run: alone, done: 3, work: Some("job") }
        .hold(&stage, |home| home.profile("job").exists() && !home.profile("work").exists());
}

#[test]
fn an_edit_killed_at_any_change_is_made_by_the_next_run() {
    let stage = Stage::with_grace();
    let arguments = ["edit", "work", "--set", "TOKEN=access_token", "--api-key-file"];
    let key = stage.home.path("api.key");
    let arguments = [&arguments[..], &[key.to_str().unwrap()]].concat();
    Case { arguments: &arguments, run: alone, done: 0, work: Some("work") }
        .hold(&stage, |home| holds(&home.profile("work"), "TOKEN"));
}

#[test]
fn changes_of_clients_killed_at_any_moment_are_made_by_the_next_run() {
    let stage = Stage::with_grace();
    let secret = stage.home.write("web.secret", "GOCSPX-web-secret\n");
    let (issuer, secret) = (stage.provider.issuer(), secret.to_str().unwrap().to_owned());
    let arguments =
        ["client", "add", "--name", "web", "--issuer", &issuer, "--insecure-loopback", "--client-id", "web"];
    let arguments = [&arguments[..], &["--client-secret-file", &secret]].concat();
    Case { arguments: &arguments, run: alone, done: 7, work: Some("work") }
        .hold(&stage, |home| home.client("web").exists());

    stage.reset();
    let _ = stage.home.run(&arguments).expect_code(0);
    let stage = stage.now();
    Case { arguments: &["client", "remove", "web"], run: alone, done: 3, work: Some("work") }
        .hold(&stage, |home| !home.client("web").exists());
    stage.reset();
    Case { arguments: &["client", "rename", "127.0.0.1", "desk"], run: alone, done: 3, work: Some("work") }
        .hold(&stage, |home| home.client("desk").exists() && !home.client("127.0.0.1").exists());
}

#[test]
fn changes_of_the_manifest_killed_at_any_moment_are_made_by_the_next_run() {
    let stage = Stage::with_grace();
    let recipient = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    let manifest = |home: &Home| home.vault_dir().join("vault.json");
    Case { arguments: &["key", "add", "--recipient", recipient], run: alone, done: 0, work: Some("work") }
        .hold(&stage, |home| holds(&manifest(home), recipient));
    Case { arguments: &["use", "work"], run: alone, done: 0, work: Some("work") }
        .hold(&stage, |home| holds(&manifest(home), "default_profile"));
}

#[test]
fn a_vault_killed_in_the_making_is_made_by_the_next_run() {
    let provider = Provider::start(Config::default());
    let home = Home::in_memory();
    let empty = crate::expiry::Snapshot::of(&home);
    let identity = home.path("identity.txt");
    let arguments = ["init", "--unlock", "identity", "--identity", identity.to_str().unwrap()];
    let subject =
        Subject { home: &home, arguments: &arguments, prepare: &|| empty.restore(&home), run: alone };
    let tally = subject.kill_at_changes(|step| {
        let was_made = home.vault_dir().join("vault.json").exists();
        let again = home.run(&arguments);
        assert_eq!(again.code, if was_made { 2 } else { 0 }, "{step:?}: {again:?}");
        let _ = home.run(&["verify"]).expect_code(0);
        // The first run may have begun to remember how to unlock a vault that never came to be.
        let vault = json(home.vault_dir().join("vault.json"))["vault"].as_str().unwrap().to_owned();
        let mut left = strays(&home);
        left.retain(|path| {
            path.starts_with(home.vault_dir()) || path.starts_with(home.path("state/vault").join(&vault))
        });
        assert!(left.is_empty(), "{step:?}: {left:?}");
    });
    eprintln!("kills of vault init: {tally:?}");
    home.add_profile(&provider, "work").expect_code(0);
}

/// The profile has no grant, and its refresh token does not work any more.
fn is_logged_out(stage: &Stage, home: &Home) -> bool {
    let live = stage.provider.live_refresh_tokens();
    json(home.profile("work"))["grant"].is_null() && !live.contains(&stage.refresh_token)
}

#[test]
fn a_logout_killed_at_any_change_is_finished_by_the_next_run() {
    let stage = Stage::with_grace();
    Case { arguments: &["logout", "work"], run: alone, done: 0, work: None }
        .hold(&stage, |home| is_logged_out(&stage, home));
}

#[test]
fn a_logout_that_ends_other_logins_too_is_finished_by_the_next_run_wherever_it_was_killed() {
    let (provider, home) = crate::logout::at_google(&["work", "twin", "other"]);
    let stage = Stage::of(provider, home);
    Case { arguments: &["logout", "work", "--yes"], run: alone, done: 0, work: None }.hold(&stage, |home| {
        // Of a run that was killed after the revocation, the next one learns only that the token is gone.
        let is_dead = json(home.profile("twin"))["grant"]["state"] == "dead";
        is_logged_out(&stage, home) && (is_dead || crate::logout::cached(home, "twin").is_none())
    });
}

#[test]
fn a_rotation_killed_at_any_change_leaves_a_login_that_works_and_is_finished_by_the_next_run() {
    let stage = Stage::with_grace();
    let arguments = ["rotate", "grant", "work", "--no-browser"];
    Case { arguments: &arguments, run: with_consent, done: 0, work: Some("work") }.hold(&stage, |home| {
        let is_retired = !holds(&home.profile("work"), "refresh_token_previous");
        is_retired && !stage.provider.live_refresh_tokens().contains(&stage.refresh_token)
    });
}
