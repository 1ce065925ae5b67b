//! `vault rotate client-secret`: proven before it is used, and never in the way of a token.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::backup::back_up;
use crate::expiry::{LONG, assert_no_stray_file, finish, start, strays};
use crate::forge;
use crate::home::Home;
use crate::injection::{Fate, Tracer};
use crate::kills::{Step, Subject, alone};
use crate::outside;
use crate::provider::{Client, Config, Endpoint, Fault, Provider};
use crate::stage::{CLIENT_SECRET, Stage};
use crate::tree::json;

/// What the client of a [`Stage`] is called.
const CLIENT: &str = "127.0.0.1";
/// The second secret of the client `desktop`.
const NEW: &str = "GOCSPX-canary-new-secret";

/// A stage whose provider has made a second secret, which lies in the file `new.secret`.
fn stage() -> Stage {
    let stage = Stage::with_grace();
    accept(&stage.provider, &[CLIENT_SECRET, NEW]);
    stage.home.write("new.secret", format!("{NEW}\n"));
    stage.now()
}

/// The secrets of the client `desktop` that work from now on.
fn accept(provider: &Provider, secrets: &[&str]) {
    provider.configure(|config| {
        let desktop = config.clients.iter_mut().find(|client| client.id == "desktop").unwrap();
        desktop.secrets = secrets.iter().map(ToString::to_string).collect();
    });
}

const ROTATE: [&str; 5] = ["rotate", "client-secret", CLIENT, "--client-secret-file", "new.secret"];

fn secrets(home: &Home) -> BTreeMap<String, Value> {
    secrets_in(&home.client(CLIENT))
}

fn secrets_in(document: &Path) -> BTreeMap<String, Value> {
    serde_json::from_value(json(document)["secrets"].clone()).unwrap()
}

/// The secrets of the client, opened with the vault key alone.
fn opened(home: &Home) -> BTreeMap<String, String> {
    opened_in(home, &home.client(CLIENT))
}

fn opened_in(home: &Home, document: &Path) -> BTreeMap<String, String> {
    let key = forge::vault_key(home);
    let value = |sealed: &Value| {
        let item: Value = serde_json::from_str(&forge::open(&key, sealed.as_str().unwrap())).unwrap();
        item["value"].as_str().unwrap().to_owned()
    };
    secrets_in(document).iter().map(|(field, sealed)| (field.clone(), value(sealed))).collect()
}

#[track_caller]
fn assert_opened(home: &Home, expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
    assert_eq!(opened(home), expected);
}

/// Both profiles hold a refresh token that works, and nothing was revoked.
#[track_caller]
fn assert_no_grant_lost(stage: &Stage, why: &str) {
    let live = stage.provider.live_refresh_tokens();
    for name in ["work", "other"] {
        let kept = &opened_in(&stage.home, &stage.home.profile(name))["refresh_token"];
        assert!(live.contains(kept), "{why}: {name}");
    }
    assert_eq!(stage.provider.families_revoked(), [], "{why}");
    assert_eq!(stage.home.run(&["verify"]).code, 0, "{why}");
}

#[track_caller]
fn expect_refreshes(home: &Home) {
    for name in ["work", "other"] {
        let _ = home.run(&["token", name, "--refresh"]).expect_code(0);
    }
}

#[test]
fn a_new_client_secret_is_proven_by_a_refresh_and_then_used_by_every_profile() {
    let stage = stage();
    let home = &stage.home;

    let run = home.run(&ROTATE).expect_code(0).expect_said("proven by a refresh of `other`");

    let run =
        run.expect_said("used by other, work").expect_said("vault rotate client-secret 127.0.0.1 --drop-old");
    assert_eq!((run.stdout.as_str(), stage.provider.count(Endpoint::Token)), ("", 1));
    stage.assert_discreet(&run);
    assert_opened(home, &[("client_secret", NEW), ("client_secret_previous", CLIENT_SECRET)]);
    accept(&stage.provider, &[NEW]);
    expect_refreshes(home);
    assert_no_grant_lost(&stage, "rotated");
}

#[test]
fn the_old_secret_is_forgotten_when_it_is_said_to_be_disabled() {
    let stage = stage();
    let home = &stage.home;
    let drop_old = ["rotate", "client-secret", CLIENT, "--drop-old"];
    let _ = home.run(&drop_old).expect_code(0).expect_said("No old secret of client `127.0.0.1` is kept");
    let _ = home.run(&ROTATE).expect_code(0);
    assert_unfinished(home, CLIENT, "client_secret_previous", &drop_old);
    let shown = home.run(&["client", "show", CLIENT]).answer();
    assert!(
        shown.contains("Old secret:") && shown.contains("kept; run `vault rotate client-secret"),
        "{shown}"
    );

    let _ = home.run(&drop_old).expect_code(0).expect_said("Forgot the old secret");

    assert_opened(home, &[("client_secret", NEW)]);
    assert!(!home.run(&["client", "show", CLIENT]).answer().contains("Old secret"));
}

#[test]
fn a_secret_that_the_provider_refuses_changes_nothing() {
    let stage = stage();
    accept(&stage.provider, &[CLIENT_SECRET]);
    let before = secrets(&stage.home);

    let run = stage.home.run(&ROTATE).expect_code(7).expect_said("does not accept the new secret");

    stage.assert_discreet(&run);
    let run = run.expect_said("the client secret is not, or no longer, the right one");
    assert!(!run.stderr.contains(NEW), "{}", run.stderr);
    assert_eq!(secrets(&stage.home), before, "not a byte of a secret");
    let changed: Vec<_> =
        stage.changed().into_iter().filter(|path| path.extension().unwrap() != "lock").collect();
    let is_of_client =
        |path: &Path| path.ends_with("clients/127.0.0.1.json") || path.parent().unwrap().ends_with("marks");
    assert!(changed.iter().all(|path| is_of_client(path)), "{changed:?}");
    assert_eq!(json(stage.home.client(CLIENT))["secret_set_at"], before_date(&stage), "its date stays");
    expect_refreshes(&stage.home);
    assert_no_grant_lost(&stage, "refused");
}

fn before_date(stage: &Stage) -> Value {
    let path = stage.home.client(CLIENT);
    let document: Value = serde_json::from_slice(stage.before(&path).unwrap()).unwrap();
    document["secret_set_at"].clone()
}

#[test]
fn a_proof_that_cannot_be_made_now_leaves_nothing_behind_and_can_be_made_later() {
    let stage = stage();
    let before = secrets(&stage.home);
    stage.provider.script(Endpoint::Token, vec![Fault::unavailable(1)]);

    let _ = stage.home.run(&ROTATE).expect_code(8);

    assert_eq!(secrets(&stage.home), before);
    stage.provider.script(Endpoint::Token, vec![Fault::CommitThenReset, Fault::CommitThenReset]);
    let _ = stage.home.run(&ROTATE).expect_code(8);
    assert_eq!(secrets(&stage.home), before);
    let _ = stage.home.run(&ROTATE).expect_code(0);
    assert_no_grant_lost(&stage, "later");
}

#[test]
fn the_same_secret_again_is_proven_and_keeps_its_date() {
    let stage = stage();
    stage.home.write("new.secret", CLIENT_SECRET);

    let _ =
        stage.home.run(&ROTATE).expect_code(0).expect_said("has this secret already; a refresh of `other`");

    assert_eq!(stage.provider.count(Endpoint::Token), 1);
    let client = stage.home.client(CLIENT);
    assert_eq!(std::fs::read(&client).unwrap(), stage.before(&client).unwrap());
}

#[test]
fn a_downloaded_file_gives_the_secret_only_if_it_is_of_the_same_client() {
    let stage = stage();
    let file = |id: &str, secret: &str| {
        let text = format!(
            r#"{{"installed":{{"client_id":"{id}"{secret},"auth_uri":"https://a.example/","token_uri":"https://a.example/t"}}}}"#
        );
        stage.home.write("client.json", text);
    };
    let rotate = ["rotate", "client-secret", CLIENT, "--client-file", "client.json"];
    let with_secret = format!(r#","client_secret":"{NEW}""#);

    file("another", &with_secret);
    let _ = stage.home.run(&rotate).expect_code(7).expect_said("its client id is another");
    file("desktop", "");
    let _ = stage.home.run(&rotate).expect_code(2).expect_said("holds no secret");
    let client = stage.home.client(CLIENT);
    assert_eq!(std::fs::read(&client).unwrap(), stage.before(&client).unwrap(), "nothing was written");
    file("desktop", &with_secret);
    let _ = stage.home.run(&rotate).expect_code(0);
    assert_opened(&stage.home, &[("client_secret", NEW), ("client_secret_previous", CLIENT_SECRET)]);
}

#[test]
fn a_public_client_has_no_secret_to_rotate() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let issuer = provider.issuer();
    let add = [
        "client",
        "add",
        "--name",
        "app",
        "--issuer",
        &issuer,
        "--insecure-loopback",
        "--client-id",
        "public",
    ];
    let _ = home.run(&[&add[..], &["--client-auth", "none"]].concat()).expect_code(0);

    let _ = home.run(&["rotate", "client-secret", "app"]).expect_code(7).expect_said("is a public one");
    let _ = home.run(&["rotate", "client-secret", "nobody"]).expect_code(3);
}

#[test]
fn a_secret_that_no_login_can_prove_is_taken_only_if_that_is_said() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    let options = home.desktop(&provider);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let _ = home.run(&[&["client", "add"], &options[..]].concat()).expect_code(0);
    home.write("new.secret", NEW);
    let before = secrets(&home);

    let _ = home.run(&ROTATE).expect_code(7).expect_said("vault add-profile NAME --client 127.0.0.1");
    let _ = home.run(&["add-profile", "later", "--client", CLIENT, "--flow", "none"]).expect_code(0);
    let _ = home.run(&ROTATE).expect_code(7).expect_said("run `vault login later`").expect_said("--unproven");
    assert_eq!(secrets(&home), before);

    let _ = home
        .run(&[&ROTATE[..], &["--unproven"]].concat())
        .expect_code(0)
        .expect_said("which nothing has proven");
    assert_opened(&home, &[("client_secret", NEW), ("client_secret_previous", CLIENT_SECRET)]);
    assert_eq!(provider.count(Endpoint::Token), 0);
}

#[test]
fn a_login_that_has_ended_lets_another_one_prove_the_secret() {
    let stage = stage();
    stage.provider.revoke_user_grant("desktop", "other@example.com");
    let other = stage.home.profile("other");

    let _ = stage.home.run(&ROTATE).expect_code(0).expect_said("proven by a refresh of `work`");

    // With a secret that nobody had proven yet, its own login need not have been at fault.
    assert_eq!(std::fs::read(&other).unwrap(), stage.before(&other).unwrap());
    let _ = stage.home.run(&["token", "other", "--refresh"]).expect_code(5);
}

#[test]
fn a_login_finds_out_how_a_client_proves_itself_and_its_spare_secrets_follow() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    // It is taken for one that uses Basic.
    provider.configure(|config| config.clients.push(Client::post("late", NEW)));
    home.write("new.secret", NEW);
    home.write("old.secret", "GOCSPX-old");
    let issuer = provider.issuer();
    let add = [
        "client",
        "add",
        "--name",
        "late",
        "--issuer",
        &issuer,
        "--insecure-loopback",
        "--client-id",
        "late",
    ];
    let _ = home.run(&[&add[..], &["--client-secret-file", "old.secret"]].concat()).expect_code(0);
    let _ = home.run(&["add-profile", "new", "--client", "late", "--flow", "none"]).expect_code(0);
    let rotate = ["rotate", "client-secret", "late", "--unproven", "--client-secret-file", "new.secret"];
    let _ = home.run(&rotate).expect_code(0);
    assert_eq!(json(home.client("late"))["client_auth"], "basic");

    let _ = home.consent(&["login", "new", "--no-browser"]).expect_code(0);

    assert_eq!(json(home.client("late"))["client_auth"], "post");
    let _ = home.run(&["verify"]).expect_code(0);
}

#[test]
fn a_run_that_was_interrupted_is_finished_without_the_secret() {
    let stage = stage();
    leave_waiting(&stage);

    let shown = stage.home.run(&["client", "show", CLIENT]).answer();
    assert!(shown.contains("waits for its proof; run `vault rotate client-secret 127.0.0.1`"), "{shown}");
    assert_unfinished(&stage.home, "127.0.0.1", "client_secret_next", &ROTATE[..3]);
    expect_refreshes(&stage.home);
    let rotate = ["rotate", "client-secret", CLIENT];
    let _ = stage.home.run(&rotate).expect_code(0).expect_said("Going on with the new secret");

    assert_opened(&stage.home, &[("client_secret", NEW), ("client_secret_previous", CLIENT_SECRET)]);
    assert_no_grant_lost(&stage, "finished");
    let _ = stage.home.run(&rotate).expect_code(2).expect_said("the new client secret is missing");
}

#[test]
fn a_secret_that_waits_is_given_up_only_if_the_provider_refuses_it() {
    let stage = stage();
    leave_waiting(&stage);
    let rotate = ["rotate", "client-secret", CLIENT];
    stage.provider.script(Endpoint::Token, vec![Fault::unavailable(1)]);
    let _ = stage.home.run(&rotate).expect_code(8);
    assert_opened(&stage.home, &[("client_secret", CLIENT_SECRET), ("client_secret_next", NEW)]);

    stage.provider.script(Endpoint::Token, vec![Fault::bad_secret()]);
    let _ = stage.home.run(&rotate).expect_code(7);
    assert_opened(&stage.home, &[("client_secret", CLIENT_SECRET)]);
}

#[test]
fn a_secret_that_waits_is_in_a_backup_and_in_what_is_restored() {
    let stage = stage();
    leave_waiting(&stage);
    back_up(&stage.home);
    for options in [&[][..], &["--same-id"]] {
        std::fs::remove_dir_all(stage.home.vault_dir()).unwrap();
        let _ = stage.home.run(&[&["restore", "backup.age"], options].concat()).expect_code(0);

        assert_opened(&stage.home, &[("client_secret", CLIENT_SECRET), ("client_secret_next", NEW)]);
        let _ = stage.home.run(&["verify"]).expect_code(0);
    }
}

#[test]
fn another_secret_takes_the_place_of_one_that_waits() {
    let stage = stage();
    leave_waiting(&stage);
    accept(&stage.provider, &[CLIENT_SECRET, "GOCSPX-third"]);
    stage.home.write("new.secret", "GOCSPX-third");

    let _ = stage.home.run(&ROTATE).expect_code(0);

    assert_opened(
        &stage.home,
        &[("client_secret", "GOCSPX-third"), ("client_secret_previous", CLIENT_SECRET)],
    );
}

/// Status, doctor and the list of secrets name what a rotation has left, with the command that finishes it.
#[track_caller]
pub fn assert_unfinished(home: &Home, owner: &str, kind: &str, command: &[&str]) {
    let command = format!("vault {}", command.join(" "));
    let status: Value = serde_json::from_str(&home.run(&["status", "--json"]).answer()).unwrap();
    let expected = serde_json::json!([{"kind": kind, "of": owner, "finished_by": command}]);
    assert_eq!(status["vault"]["unfinished"], expected);
    let said = home.run(&["status"]).answer();
    assert!(said.contains("Unfinished:") && said.contains(&format!("run `{command}`")), "{said}");
    let listed: Value = serde_json::from_str(&home.run(&["rotate", "list", "--json"]).answer()).unwrap();
    let is_it = |it: &Value| it["kind"] == kind && it["of"] == owner && it["renewed_by"] == *command;
    assert!(listed["secrets"].as_array().unwrap().iter().any(is_it), "{listed}");
    let checks = crate::doctor::doctor(home, &["--offline"], 0);
    let found = checks.iter().find(|check| check.check == "secrets").unwrap();
    assert_eq!((found.result.as_str(), &found.fix), ("warning", &command));
    assert!(found.subject.contains(owner), "{found:?}");
}

/// Kills a rotation while the provider is asked.
fn leave_waiting(stage: &Stage) {
    stage.provider.script(Endpoint::Token, vec![Fault::Hold]);
    let mut child = start(&stage.home, &ROTATE);
    assert!(stage.provider.wait_until_holding(1, LONG));
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    stage.provider.release();
    stage.provider.settle();
    assert_opened(&stage.home, &[("client_secret", CLIENT_SECRET), ("client_secret_next", NEW)]);
}

#[test]
fn every_secret_beside_the_one_in_use_is_verified_too() {
    let stage = stage();
    leave_waiting(&stage);
    let verified = stage.home.run(&["verify", "--json"]).answer();
    let items = |answer: &str| serde_json::from_str::<Value>(answer).unwrap()["verified"]["items"].as_u64();
    // Two refresh tokens, an API key, and two secrets of the client.
    assert_eq!(items(&verified), Some(5));

    let path = stage.home.client(CLIENT);
    let mut document = json(&path);
    document["secrets"]["client_secret_next"] = document["secrets"]["client_secret"].clone();
    std::fs::write(&path, document.to_string()).unwrap();
    forge::sign(&stage.home, &path);

    let _ = stage.home.run(&["verify"]).expect_code(6).expect_said("client_secret_next is not acceptable");
    let _ = stage.home.run(&["rotate", "client-secret", CLIENT]).expect_code(6);
}

#[test]
fn one_rotation_of_a_client_waits_for_another_before_it_writes_anything() {
    let stage = stage();
    let client = stage.home.client(CLIENT);
    let lock = format!("locks/{}.lock", json(&client)["id"].as_str().unwrap());
    let other = std::fs::File::create(stage.home.vault_dir().join(lock)).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();

    let mut waiting = start(&stage.home, &ROTATE);
    let mut line = String::new();
    let _ = BufReader::new(waiting.stderr.take().unwrap()).read_line(&mut line).unwrap();

    assert_eq!(line, "Waiting for another vault process…\n");
    assert_eq!(std::fs::read(&client).unwrap(), stage.before(&client).unwrap());
    assert!(!stage.was_asked());
    drop(other);
    let _ = finish(waiting, &ROTATE).expect_code(0);
    assert_opened(&stage.home, &[("client_secret", NEW), ("client_secret_previous", CLIENT_SECRET)]);
}

#[test]
fn tokens_are_had_while_the_secret_is_rotated_again_and_again() {
    let stage = stage();
    let home = &stage.home;
    home.write("old.secret", CLIENT_SECRET);
    for round in 0..4 {
        let file = ["new.secret", "old.secret"][round % 2];
        let rotate = ["rotate", "client-secret", CLIENT, "--client-secret-file", file];
        let names = ["work", "other", "work", "other"];
        let tokens: Vec<_> = names.iter().map(|name| start(home, &["token", name, "--refresh"])).collect();
        let rotations: Vec<_> = (0..2).map(|_| start(home, &rotate)).collect();

        for child in tokens {
            let _ = finish(child, &["token"]).answer();
        }
        for child in rotations {
            let _ = finish(child, &rotate).expect_code(0);
        }
        let now = [NEW, CLIENT_SECRET];
        let expected = [("client_secret", now[round % 2]), ("client_secret_previous", now[(round + 1) % 2])];
        assert_opened(home, &expected);
    }
    assert_no_grant_lost(&stage, "after the race");
    assert_no_stray_file(home);
}

#[test]
fn a_rotation_of_a_client_secret_killed_at_any_change_keeps_both_and_is_finished_by_the_next_run() {
    let stage = stage();
    let subject = Subject { home: &stage.home, arguments: &ROTATE, prepare: &|| stage.reset(), run: alone };
    let mut waited = 0;
    let tally = subject.kill_at_changes(|step| waited += usize::from(make_up_for(&stage, step)));
    eprintln!("kills of vault rotate client-secret: {tally:?}, {waited} with a secret that waited");
    assert!(tally.is_none_or(|tally| tally.killed >= 40 && waited >= 10), "too few to be true");
}

/// Runs it again, without the secret where it waits; says whether it did.
fn make_up_for(stage: &Stage, step: &Step) -> bool {
    let home = &stage.home;
    let why = format!("{step:?}");
    let left = opened(home);
    assert!(left.values().any(|value| value == CLIENT_SECRET), "{why}: {left:?}");
    let waits = left.contains_key("client_secret_next");

    let again = home.run(if waits { &ROTATE[..3] } else { &ROTATE });

    assert_eq!(again.code, 0, "{why}: {again:?}");
    stage.assert_discreet(&again);
    let expected = [("client_secret", NEW), ("client_secret_previous", CLIENT_SECRET)];
    assert_opened(home, &expected);
    assert_no_grant_lost(stage, &why);
    // What is taken over by the next writer of the same document.
    if !strays(home).is_empty() {
        expect_refreshes(home);
        let _ = home.run(&["rotate", "client-secret", CLIENT, "--drop-old"]).expect_code(0);
    }
    assert_no_stray_file(home);
    waits
}

#[test]
fn a_rotation_whose_disk_fails_after_the_proof_says_how_to_finish_it() {
    let stage = stage();
    let tracer =
        Tracer::new(&stage.home, "rename").at(vec![stage.home.client(CLIENT).with_extension("json.tmp")]);
    let Some(renames) = tracer.calls(&ROTATE) else { return };
    stage.reset();
    // It is written beside the old one first, and in its place last.
    assert_eq!(renames.len(), 2, "{renames:?}");

    let fate = Fate { what: "error=ENOSPC", lasts: false };
    let run = tracer.run(&renames[1], fate, &ROTATE).expect_code(13);

    let run = run.expect_said("is proven, and could not be put in the place");
    let _ = run.expect_said("it needs no secret this time");
    assert_opened(&stage.home, &[("client_secret", CLIENT_SECRET), ("client_secret_next", NEW)]);
    let _ = stage.home.run(&ROTATE[..3]).expect_code(0);
    assert_opened(&stage.home, &[("client_secret", NEW), ("client_secret_previous", CLIENT_SECRET)]);
}

#[test]
fn on_a_terminal_the_secret_is_asked_for_and_the_old_one_forgotten_when_that_is_confirmed() {
    if !outside::have(&["script"]) {
        return;
    }
    let stage = stage();
    for (answer, is_kept) in [("n", true), ("y", false)] {
        stage.reset();
        let typed = typed(
            &stage.home,
            &format!("{} rotate client-secret {CLIENT}", crate::home::VAULT),
            &[("New client secret:", NEW), ("[y/N]", answer)],
        );
        assert_eq!(opened(&stage.home).contains_key("client_secret_previous"), is_kept, "{typed}");
    }
}

/// What a person sees at a terminal who answers each of these questions.
fn typed(home: &Home, command: &str, answers: &[(&str, &str)]) -> String {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};
    let mut script = Command::new("script");
    home.prepare(&mut script);
    script.args(["-qec", command, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = String::new();
    for (question, answer) in answers {
        while !seen.contains(question) {
            let mut byte = [0; 64];
            let count = stdout.read(&mut byte).unwrap();
            assert!(count > 0, "it ended before {question}: {seen}");
            seen.push_str(&String::from_utf8_lossy(&byte[..count]));
        }
        stdin.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    stdout.read_to_string(&mut seen).unwrap();
    assert!(child.wait().unwrap().success(), "{seen}");
    seen
}
