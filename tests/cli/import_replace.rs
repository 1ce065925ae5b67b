//! `vault import --replace`: a file goes once what was in it is proven to be elsewhere, and comes back with `--undo`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::{Value, json};

use crate::expiry::{Snapshot, refresh_token};
use crate::home::Home;
use crate::import::{SECRET, Scene};
use crate::kills::{Subject, alone, outline};
use crate::outside::program;
use crate::provider::{Config, Provider, Rotation};
use crate::stage::Stage;

impl Scene {
    fn adc(&self) -> String {
        json!({
            "type": "authorized_user", "client_id": "desktop", "client_secret": SECRET, "refresh_token": self.token,
            "account": "me@example.com", "universe_domain": "googleapis.com",
        })
        .to_string()
    }

    /// Every file of the user but the vault's own, with what is in it.
    fn plain_files_with(&self, secret: &str) -> Vec<String> {
        let files = self.home.files("").into_iter();
        let with = files.filter(|file| String::from_utf8_lossy(&fs::read(file).unwrap()).contains(secret));
        with.map(|file| file.display().to_string()).collect()
    }
}

#[test]
fn the_file_goes_its_login_works_and_it_comes_back_as_it_was() {
    let scene = Scene::without_rotation();
    let text = scene.adc();
    let file = scene.home.write("adc.json", &text);

    scene
        .import(&["adc.json", "--profile", "work", "--replace"])
        .expect_code(0)
        .expect_said("vault import --undo")
        .expect_said("vault exec work --")
        .expect_said("history of git")
        .expect_unsaid("other users");

    assert!(!file.exists());
    assert_eq!(scene.plain_files_with(&scene.token), Vec::<String>::new());
    let token = scene.home.run(&["token", "work"]).answer();
    assert!(scene.provider.is_live_access_token(token.trim()));
    scene.home.run(&["verify"]).expect_code(0);
    scene.home.run(&["import", "--undo", "other.json"]).expect_code(3).expect_said("adc.json");
    // The copy goes where the vault goes.
    scene.home.run(&["rotate", "key"]).expect_code(0);
    let back = crate::backup::back_up(&scene.home);
    let there = Home::new();
    fs::copy(back, there.path("backup.age")).unwrap();
    fs::copy(scene.home.path("identity.txt"), there.path("recovery.txt")).unwrap();
    there.run(&["restore", "backup.age", "--open-with", "recovery.txt"]).expect_code(0);
    there.run(&["import", "--undo", file.to_str().unwrap()]).expect_code(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    fs::remove_file(&file).unwrap();

    scene.home.run(&["import", "--undo", "adc.json"]).expect_code(0).expect_said("in plain text");

    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    scene.home.run(&["import", "--undo", "adc.json"]).expect_code(3);
}

#[test]
fn what_stands_in_the_place_of_a_file_that_comes_back_is_not_replaced() {
    let scene = Scene::without_rotation();
    let file = scene.home.write("adc.json", scene.adc());
    scene.import(&["adc.json", "--profile", "work", "--replace"]).expect_code(0);
    fs::write(&file, "mine").unwrap();

    scene.home.run(&["import", "--undo", "adc.json"]).expect_code(2).expect_said("exists already");

    assert_eq!(fs::read(&file).unwrap(), b"mine");
    fs::remove_file(&file).unwrap();
    scene.home.run(&["import", "--undo", "adc.json"]).expect_code(0);
}

#[test]
fn of_a_file_that_others_could_read_it_is_said_what_helps() {
    let scene = Scene::without_rotation();
    let file = scene.home.write("adc.json", scene.adc());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();

    scene
        .import(&["adc.json", "--profile", "work", "--replace"])
        .expect_code(0)
        .expect_said("could be read by other users")
        .expect_said("vault rotate grant work --compromised");
}

#[test]
fn a_file_with_more_in_it_than_was_taken_in_stays() {
    let scene = Scene::without_rotation();
    let mut more: Value = serde_json::from_str(&scene.adc()).unwrap();
    more["smtp_password"] = json!("CANARY-password");
    let file = scene.home.write("more.json", more.to_string());
    let env = format!("CLIENT_ID=desktop\nCLIENT_SECRET={SECRET}\nREFRESH_TOKEN={}\nOTHER=x\n", scene.token);
    scene.home.write("copy.env", &env);

    let run = scene.import(&["more.json", "--profile", "work", "--replace"]).expect_code(7);
    run.expect_said("smtp_password").expect_unsaid("CANARY");
    let token = scene.home.run(&["token", "work"]).answer();
    assert!(scene.provider.is_live_access_token(token.trim()));
    assert_eq!(fs::read_to_string(&file).unwrap(), more.to_string());
    scene.import(&["copy.env", "--replace"]).expect_code(7).expect_said("by hand");
    assert_eq!(fs::read_to_string(scene.home.path("copy.env")).unwrap(), env);
}

#[test]
fn links_files_with_other_names_and_files_in_use_stay() {
    let scene = Scene::without_rotation();
    let file = scene.home.write("adc.json", scene.adc());
    symlink("adc.json", scene.home.path("link.json")).unwrap();
    let stays = |file: &str, why: &str| {
        let arguments = [file, "--profile", "work", "--replace"];
        let first = !scene.home.profile("work").exists();
        let again = [file, "--replace"];
        let run = scene.import(if first { &arguments } else { &again });
        run.expect_code(7).expect_said(why);
        assert!(scene.home.path(file).exists(), "{file}");
    };

    stays("link.json", "is a link");
    fs::hard_link(&file, scene.home.path("twin.json")).unwrap();
    stays("adc.json", "hard links");
    fs::remove_file(scene.home.path("twin.json")).unwrap();
    if cfg!(target_os = "linux") {
        let reader = File::open(&file).unwrap();
        stays("adc.json", "another program has it open");
        drop(reader);
    }

    scene.import(&["adc.json", "--replace"]).expect_code(0);
    assert!(!file.exists());
}

#[test]
fn rclone_goes_on_with_a_remote_that_has_no_secret_and_the_other_remotes_are_as_they_were() {
    let scene = Scene::without_rotation();
    let token = json!({ "access_token": "old", "token_type": "Bearer", "refresh_token": scene.token,
        "expiry": "2020-01-01T00:00:00Z" });
    let text = format!(
        "[work]\ntype = google cloud storage\nclient_id = desktop\nclient_secret = {SECRET}\ntoken_url = {}\n\
         token = {token}\nbucket_acl = private\n\n[s3]\ntype = s3\nsecret_access_key = stays\n",
        scene.provider.url("/token")
    );
    let file = scene.home.write("rclone.conf", &text);

    scene
        .import(&["rclone.conf", "--replace"])
        .expect_code(0)
        .expect_said("vault exec work --adc broker -- rclone");

    let now = fs::read_to_string(&file).unwrap();
    assert!(!now.contains(&scene.token) && !now.contains(SECRET), "{now}");
    assert!(now.contains("bucket_acl = private\n\n[s3]\ntype = s3\nsecret_access_key = stays\n"), "{now}");
    if let Some(rclone) = program("rclone") {
        let listing = json!({ "items": [{ "name": "hello.txt", "bucket": "b", "size": "5" }] });
        let answer = crate::provider::Fault::json(200, &listing);
        scene.provider.script(crate::provider::Endpoint::Elsewhere, vec![answer; 4]);
        let storage = scene.provider.url("/storage/v1/");
        let words =
            ["exec", "work", "--adc", "broker", "--", rclone.to_str().unwrap(), "--config", "rclone.conf"];
        let listed = scene.home.run(&[&words[..], &["--gcs-endpoint", &storage, "lsf", "work:b"]].concat());
        assert_eq!(listed.answer().trim(), "hello.txt");
    }
    fs::remove_file(&file).unwrap();
    scene.home.run(&["import", "--undo", "rclone.conf"]).expect_code(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_logout_forgets_the_copy_too() {
    let scene = Scene::without_rotation();
    scene.home.write("adc.json", scene.adc());
    scene.import(&["adc.json", "--profile", "work", "--replace"]).expect_code(0);

    scene.home.run(&["logout", "work", "--local-only"]).expect_code(0);

    scene.home.run(&["import", "--undo", "adc.json"]).expect_code(3).expect_said("no copy");
}

#[test]
fn killed_at_any_change_there_is_the_file_or_all_of_it_in_the_vault() {
    let provider = Provider::start(Config { rotation: Rotation::None, ..Config::google() });
    let home = Home::in_memory();
    home.add_profile(&provider, "other").expect_code(0);
    let token = provider.grant("desktop", "me@example.com", &["openid"]);
    let adc = json!({ "type": "authorized_user", "client_id": "desktop", "client_secret": SECRET, "refresh_token": token,
        "account": "new@example.com" })
    .to_string();
    let stage = Stage::empty(provider, home);
    let file = stage.home.path("adc.json");
    let issuer = stage.provider.issuer();
    let arguments =
        ["import", "--issuer", &issuer, "--insecure-loopback", "adc.json", "--profile", "work", "--replace"];
    let prepare = || {
        stage.reset();
        stage.home.write("adc.json", &adc);
    };
    let subject = Subject { home: &stage.home, arguments: &arguments, prepare: &prepare, run: alone };

    let (before, mut seen) = (Snapshot::of(&stage.home), BTreeSet::new());
    let tally = subject.kill_at_changes(|step| {
        let is_there = fs::read_to_string(&file).is_ok_and(|text| text == adc);
        if !is_there {
            assert!(!file.exists(), "{step:?}: half a file");
        }
        if !seen.insert((is_there, outline(&before, &stage.home))) {
            return;
        }
        if !is_there {
            assert_eq!(refresh_token(&stage.home), token, "{step:?}");
            stage.home.run(&["import", "--undo", "adc.json"]).expect_code(0);
            assert_eq!(fs::read_to_string(&file).unwrap(), adc, "{step:?}");
        }
        let again = ["import", "--issuer", &issuer, "--insecure-loopback", "adc.json", "--replace"];
        stage.home.run(&again).expect_code(0);
        assert!(!file.exists(), "{step:?}");
        stage.home.run(&["verify"]).expect_code(0);
    });

    assert!(tally.is_none_or(|tally| tally.killed >= 10), "too few to be true");
}

#[test]
fn what_a_scan_finds_is_shown_taken_in_where_it_can_be_and_the_rest_is_said() {
    let scene = Scene::without_rotation();
    fs::create_dir_all(scene.home.path("src/deep")).unwrap();
    scene.home.write("src/deep/adc.json", scene.adc());
    let half = json!({ "refresh_token": "1//0CANARYhalfALongAndRandomLooking7token4", "access_token": "x" });
    scene.home.write("src/half.json", half.to_string());
    scene.home.write("src/evil.db", b"SQLite format 3\0and then 1//0CANARYnothing8that9could0be1read");
    let issuer = scene.provider.issuer();
    let run = |more: &[&str]| {
        let words = ["import", "--from-scan", "src", "--issuer", &issuer, "--insecure-loopback"];
        scene.home.run(&[&words[..], more].concat())
    };

    run(&[]).expect_code(2).expect_said("--yes");
    assert!(!scene.home.vault_dir().exists(), "no vault is made before it is wanted");
    let planned = run(&["--dry-run"]).expect_code(0);
    assert!(planned.stdout.contains("adc.json"), "{planned:?}");
    assert!(!scene.home.profile("me").exists());
    let made = run(&["--yes", "--replace"]).expect_code(0).expect_unsaid("CANARY");

    assert!(made.stderr.contains("Not taken in") && made.stderr.contains("half.json"), "{}", made.stderr);
    assert!(!scene.home.path("src/deep/adc.json").exists() && scene.home.path("src/half.json").exists());
    let token = scene.home.run(&["token", "me"]).answer();
    assert!(scene.provider.is_live_access_token(token.trim()));
    fs::remove_file(scene.home.path("src/half.json")).unwrap();
    fs::remove_file(scene.home.path("src/evil.db")).unwrap();
    run(&["--yes"]).expect_code(0).expect_said("Nothing was found");
}
