//! `vault import`: what lies about in plain text becomes profiles, and nothing goes where a file says.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::expiry::Snapshot;
use crate::home::{Home, Run};
use crate::kills::{Subject, alone, outline};
use crate::provider::{Config, Endpoint, Provider, Rotation};
use crate::stage::Stage;
use crate::tree;

/// The secret of the client `desktop`, as the provider knows it.
pub const SECRET: &str = "GOCSPX-desktop-secret";

/// Where a planted file would have secrets sent.
const ELSEWHERE: &str = "https://oauth2.googleapis.com.evil.example/token";

/// A user without a vault, and a provider that has given a login out to another program.
pub struct Scene {
    pub provider: Provider,
    pub home: Home,
    pub token: String,
}

impl Scene {
    pub fn new() -> Self {
        Self::of(Config::google())
    }

    /// With a provider that does not replace refresh tokens.
    pub fn without_rotation() -> Self {
        Self::of(Config { rotation: Rotation::None, ..Config::google() })
    }

    fn of(config: Config) -> Self {
        let provider = Provider::start(config);
        let token = provider.grant("desktop", "me@example.com", &["openid", "email"]);
        Self { provider, home: Home::in_memory(), token }
    }

    /// What names the provider of the test, which no file names.
    pub fn import(&self, arguments: &[&str]) -> Run {
        let issuer = self.provider.issuer();
        let import = ["import", "--issuer", &issuer, "--insecure-loopback"];
        self.home.run(&[&import[..], arguments].concat())
    }

    /// The response of the token endpoint, under the name by which the seed of this program has saved it.
    fn seed(&self) -> &'static str {
        let text = json!({ "access_token": "old", "expires_in": 3599, "refresh_token": self.token, "token_type": "Bearer" });
        self.home.write("Google.OAuth2.Token.desktop.json", text.to_string());
        "Google.OAuth2.Token.desktop.json"
    }

    /// A file as google-auth writes it.
    fn google_auth(&self, token_uri: &str) -> &'static str {
        let text = json!({
            "token": "old", "refresh_token": self.token, "token_uri": token_uri, "client_id": "desktop",
            "client_secret": SECRET, "scopes": ["openid", "email"], "account": "me@example.com",
        });
        self.home.write("token.json", text.to_string());
        "token.json"
    }

    fn token_endpoint(&self) -> String {
        self.provider.url("/token")
    }

    /// Asserts that a profile's token comes from the login that was taken in.
    #[track_caller]
    pub fn assert_works(&self, profile: &str) {
        let token = self.home.run(&["token", profile]).answer();
        assert!(self.provider.is_live_access_token(token.trim()), "{token}");
    }

    /// Asserts that neither what was said, nor any file but those named, holds a secret.
    #[track_caller]
    pub fn assert_discreet(&self, run: &Run, files: &[&str]) {
        let secrets = [SECRET, &self.token];
        for text in [&run.stdout, &run.stderr] {
            assert!(!secrets.iter().any(|secret| text.contains(secret)), "{run:?}");
        }
        for file in self.home.files("") {
            let name = file.file_name().unwrap().to_str().unwrap();
            let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
            let is_source = files.contains(&name);
            assert!(is_source || !secrets.iter().any(|secret| text.contains(secret)), "{}", file.display());
        }
    }

    /// The names of all profiles and clients.
    fn names(&self) -> BTreeSet<String> {
        let stems = |folder| {
            let files = self.home.files(self.home.vault_dir().join(folder));
            let stem = |file: PathBuf| format!("{folder}/{}", file.file_stem().unwrap().to_str().unwrap());
            files.into_iter().map(stem).collect::<Vec<_>>()
        };
        stems("clients").into_iter().chain(stems("profiles")).collect()
    }
}

#[test]
fn the_seeds_token_is_taken_in_with_the_client_beside_it_and_works() {
    let scene = Scene::new();
    let file = scene.seed();
    let client = json!({ "installed": {
        "client_id": "desktop", "client_secret": SECRET, "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
    }});
    scene.home.write("client_secret_desktop.json", client.to_string());

    let run = scene.import(&[file, "--profile", "work"]).expect_code(0);

    assert_eq!(scene.provider.count(Endpoint::Token), 0, "nobody is asked without `--check`");
    scene.assert_discreet(&run, &[file, "client_secret_desktop.json"]);
    assert!(run.stderr.contains(&format!("{file} still lies there in plain text")), "{}", run.stderr);
    assert_eq!(scene.names(), ["clients/127.0.0.1", "profiles/work"].map(str::to_owned).into());
    scene.assert_works("work");
}

#[test]
fn a_secret_that_no_file_holds_is_handed_over_or_known_from_the_client() {
    let scene = Scene::new();
    let file = scene.seed();
    let secret = scene.home.write("secret", format!("{SECRET}\n"));

    scene
        .import(&[file, "--profile", "work", "--client-secret-file", secret.to_str().unwrap()])
        .expect_code(0);
    scene.assert_works("work");

    let again = scene.provider.grant("desktop", "other@example.com", &["openid"]);
    scene.home.write("other.json", json!({ "refresh_token": again }).to_string());
    scene.home.run(&["import", "other.json", "--client", "127.0.0.1"]).expect_code(0);
    scene.assert_works("127.0.0.1");
    assert_eq!(scene.names().len(), 3);

    scene.home.run(&["import", "other.json"]).expect_code(2).expect_said("--client NAME");
    scene.home.run(&["import", "other.json", "--client", "nobody"]).expect_code(3);
    let of_google = r#"{"refresh_token":"1//0x","client_id":"1-a.apps.googleusercontent.com"}"#;
    scene.home.write("google.json", of_google);
    scene.home.run(&["import", "google.json"]).expect_code(2).expect_said("does not hold the secret");
    scene.home.run(&["import", "google.json", "--client", "127.0.0.1"]).expect_code(7);
}

#[test]
fn a_file_that_would_send_secrets_elsewhere_is_refused_before_anything_is_stored_or_asked() {
    let scene = Scene::new();
    for planted in
        [ELSEWHERE, "http://oauth2.googleapis.com/token", "https://oauth2.googleapis.com:444/token"]
    {
        let file = scene.google_auth(planted);
        let run =
            scene.import(&[file, "--check"]).expect_code(7).expect_said("somebody may have changed the file");
        scene.assert_discreet(&run, &[file, "adc.json"]);

        let google = json!({
            "type": "authorized_user", "client_id": "1-a.apps.googleusercontent.com", "client_secret": SECRET,
            "refresh_token": scene.token, "token_uri": planted,
        });
        scene.home.write("adc.json", google.to_string());
        scene.home.run(&["import", "adc.json", "--check"]).expect_code(7).expect_said("which is not Google");
    }
    assert_eq!(scene.provider.count(Endpoint::Token), 0);
    assert_eq!(scene.names(), BTreeSet::new());

    // Its own is fine, and what it is called is not taken for granted.
    let file = scene.google_auth(&scene.token_endpoint());
    scene.import(&[file]).expect_code(0);
    scene.assert_works("me");
}

#[test]
fn whose_client_it_is_must_be_known_or_said() {
    let scene = Scene::new();
    let file = scene.google_auth(ELSEWHERE);

    // Nobody has said that this host may be asked.
    scene.home.run(&["import", file]).expect_code(2).expect_said("--issuer URL");
    assert_eq!(scene.names(), BTreeSet::new());
}

#[test]
fn what_is_there_already_is_refused_by_its_name() {
    let scene = Scene::new();
    let file = scene.google_auth(&scene.token_endpoint());
    scene.import(&[file]).expect_code(0);

    scene.import(&[file]).expect_code(7).expect_said("vault token me");
    scene.import(&[file, "--profile", "twice"]).expect_code(7);
    let other = scene.provider.grant("desktop", "me@example.com", &["openid"]);
    let text = std::fs::read_to_string(scene.home.path(file)).unwrap().replace(&scene.token, &other);
    scene.home.write("newer.json", text);
    scene.import(&["newer.json"]).expect_code(7).expect_said("vault login me");
    assert_eq!(scene.names().len(), 2);

    scene.import(&["newer.json", "--profile", "second"]).expect_code(0);
    assert_eq!(scene.names().len(), 3);
    scene.import(&["newer.json", "--profile", "second"]).expect_code(2);
    let wrong = std::fs::read_to_string(scene.home.path(file)).unwrap().replace(SECRET, "GOCSPX-another");
    scene.home.write("wrong.json", wrong);
    scene.import(&["wrong.json", "--profile", "third"]).expect_code(7).expect_said("another secret");
}

#[test]
fn a_check_proves_the_login_and_learns_whose_it_is() {
    let scene = Scene::new();
    let file = scene.seed();
    let secret = scene.home.write("secret", SECRET);
    let secret = secret.to_str().unwrap();

    let run = scene.import(&[file, "--client-secret-file", secret, "--check", "--json"]).expect_code(0);

    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["imports"][0]["account"]["email"], "me@example.com", "{answer}");
    assert_eq!(answer["imports"][0]["checked"], true);
    assert_eq!(scene.provider.count(Endpoint::Token), 1);
    scene.assert_works("127.0.0.1");
    assert_eq!(scene.provider.count(Endpoint::Token), 1, "the token of the check is kept");
}

#[test]
fn a_login_that_the_provider_refuses_is_not_stored() {
    let scene = Scene::new();
    let file = scene.google_auth(&scene.token_endpoint());
    scene.provider.revoke_user_grant("desktop", "me@example.com");

    scene.import(&[file, "--check"]).expect_code(5).expect_said("was not stored");

    assert_eq!(scene.names(), BTreeSet::new());
    assert!(scene.home.path(file).exists());
}

#[test]
fn a_provider_that_replaces_refresh_tokens_leaves_the_vault_with_the_newest() {
    let scene = Scene::of(Config::default());
    let file = scene.google_auth(&scene.token_endpoint());

    // This server wants the secret in another place than most.
    scene
        .import(&[file, "--check", "--client-auth", "basic"])
        .expect_code(7)
        .expect_said("--client-auth post");
    assert_eq!(scene.names(), BTreeSet::new());
    scene.import(&[file, "--check", "--client-auth", "post"]).expect_code(0);
    scene.home.run(&["token", "me", "--refresh"]).expect_code(0);

    assert_eq!(scene.provider.families_revoked(), []);
}

#[test]
fn variables_are_taken_in_and_the_user_is_told_to_unset_them() {
    let mut scene = Scene::new();
    scene.home.set("CLIENT_ID", "desktop");
    scene.home.set("CLIENT_SECRET", SECRET);
    let token = scene.token.clone();
    scene.home.set("REFRESH_TOKEN", &token);

    let run = scene.import(&["--env", "--profile", "work"]).expect_code(0).expect_said("unset them");

    scene.assert_discreet(&run, &[]);
    scene.assert_works("work");
    scene.import(&["--env", "--env-prefix", "GOOGLE_"]).expect_code(2);
}

/// A configuration of rclone with several logins, one of them twice.
fn rclone(scene: &Scene, users: &[&str]) -> &'static str {
    let mut text = String::from("[s3]\ntype = s3\n");
    for (place, user) in users.iter().enumerate() {
        let token = scene.provider.grant("desktop", user, &["openid"]);
        for name in [format!("drive {place}"), format!("copy {place}")] {
            let token =
                json!({ "access_token": "old", "refresh_token": token, "expiry": "2026-01-01T00:00:00Z" });
            text.push_str(&format!(
                "[{name}]\ntype = drive\nclient_id = desktop\nclient_secret = {SECRET}\ntoken = {token}\n"
            ));
        }
    }
    scene.home.write("rclone.conf", text);
    "rclone.conf"
}

#[test]
fn each_remote_of_rclone_becomes_a_profile_and_a_login_that_stands_there_twice_one() {
    let scene = Scene::new();
    let file = rclone(&scene, &["me@example.com", "other@example.com"]);

    let shown = scene.import(&[file, "--dry-run"]).expect_code(0);
    assert!(shown.stdout.contains("drive-0") && shown.stdout.contains("drive-1"), "{shown:?}");
    assert_eq!(scene.home.files("data"), Vec::<PathBuf>::new(), "not even a vault is made");

    scene.import(&[file, "--profile", "one"]).expect_code(2).expect_said("leave out `--profile`");
    scene.import(&[file]).expect_code(0);

    assert_eq!(
        scene.names(),
        ["clients/127.0.0.1", "profiles/drive-0", "profiles/drive-1"].map(str::to_owned).into()
    );
    scene.assert_works("drive-0");
    scene.assert_works("drive-1");
    scene.import(&[file]).expect_code(7);
}

#[test]
fn a_remote_with_the_client_of_rclone_itself_is_left_out_beside_others_and_refused_alone() {
    let scene = Scene::new();
    let file = rclone(&scene, &["me@example.com"]);
    let own = "[theirs]\ntype = drive\ntoken = {\"refresh_token\":\"of-rclone\"}\n";
    scene.home.write("own.conf", own);
    let both = std::fs::read_to_string(scene.home.path(file)).unwrap() + own;
    scene.home.write(file, both);

    scene.import(&["own.conf"]).expect_code(2).expect_said("its refresh token for `theirs`");
    scene.import(&[file]).expect_code(0).expect_said("left out a login");

    assert_eq!(scene.names(), ["clients/127.0.0.1", "profiles/drive-0"].map(str::to_owned).into());
}

#[test]
fn a_client_and_its_login_that_are_named_together_belong_together() {
    let scene = Scene::new();
    scene.home.write("any.json", json!({ "client_id": "desktop", "client_secret": SECRET }).to_string());
    scene.home.write("login.json", json!({ "refresh_token": scene.token }).to_string());

    scene.import(&["login.json", "any.json", "--profile", "work"]).expect_code(0);

    assert_eq!(scene.names(), ["clients/127.0.0.1", "profiles/work"].map(str::to_owned).into());
    scene.assert_works("work");
    // The client is known now, which stands in nobody's way.
    let other = scene.provider.grant("desktop", "other@example.com", &["openid"]);
    scene.home.write("login.json", json!({ "refresh_token": other }).to_string());
    scene.home.run(&["import", "any.json", "login.json", "--profile", "other"]).expect_code(0);
    scene
        .home
        .run(&["import", "any.json"])
        .expect_code(7)
        .expect_said("in the vault already, as `127.0.0.1`");
    scene.assert_works("other");
}

#[test]
fn an_import_that_is_killed_anywhere_is_completed_by_the_next_run() {
    let provider = Provider::start(Config::default());
    let home = Home::in_memory();
    home.add_profile(&provider, "work").expect_code(0);
    let scene = Scene { provider, home, token: "none".to_owned() };
    let file = rclone(&scene, &["me@example.com", "other@example.com"]);
    let Scene { provider, home, .. } = scene;
    let stage = Stage::of(provider, home);
    let arguments = ["import", file, "--client", "127.0.0.1"];

    let subject =
        Subject { home: &stage.home, arguments: &arguments, prepare: &|| stage.reset(), run: alone };
    let (before, mut seen) = (Snapshot::of(&stage.home), BTreeSet::new());
    let tally = subject.kill_at_changes(|step| {
        if !seen.insert(outline(&before, &stage.home)) {
            return;
        }
        let again = stage.home.run(&arguments);
        assert!([0, 7].contains(&again.code), "{step:?}: {again:?}");
        for name in ["drive-0", "drive-1"] {
            assert!(stage.home.profile(name).exists(), "{step:?}: {again:?}");
        }
        assert_eq!(stage.home.files(stage.home.vault_dir().join("profiles")).len(), 3, "{step:?}");
        stage.home.run(&["verify"]).expect_code(0);
    });
    eprintln!("kills of vault import: {tally:?}");
    assert!(tally.is_none_or(|tally| tally.killed >= 5), "too few to be true");
}

#[test]
fn files_that_are_hostile_or_no_files_are_refused_and_nothing_is_made() {
    let scene = Scene::new();
    let home = &scene.home;
    std::fs::create_dir(home.path("folder")).unwrap();
    symlink("/dev/zero", home.path("zero")).unwrap();
    symlink("gone", home.path("broken")).unwrap();
    assert!(Command::new("mkfifo").arg(home.path("fifo")).status().unwrap().success());
    home.write("huge.json", vec![b' '; 5 << 20]);
    home.write("noise", (0..=255_u8).collect::<Vec<_>>());
    home.write("twice.json", format!(r#"{{"refresh_token":"{0}","refresh_token":"x"}}"#, scene.token));
    home.write("deep.json", format!("{}1{}", r#"{"a":"#.repeat(5000), "}".repeat(5000)));
    home.write("gh.yml", format!("github.com:\n    oauth_token: {}\n", scene.token));
    home.write("empty", "");

    for (file, code) in [
        ("folder", 2),
        ("zero", 2),
        ("broken", 2),
        ("fifo", 2),
        ("nowhere", 2),
        ("huge.json", 2),
        ("noise", 2),
        ("twice.json", 2),
        ("deep.json", 2),
        ("empty", 2),
        ("gh.yml", 7),
    ] {
        let run = scene.import(&[file]).expect_code(code);
        assert!(!run.stderr.contains(&scene.token), "{run:?}");
    }
    assert_eq!(home.files("data"), Vec::<PathBuf>::new());

    // A link to a file is what the user has named.
    let file = scene.google_auth(&scene.token_endpoint());
    symlink(file, home.path("link.json")).unwrap();
    scene.import(&["link.json"]).expect_code(0);
}

#[test]
fn a_pipe_is_read_as_a_shell_hands_it_over() {
    let scene = Scene::new();
    let file = scene.google_auth(&scene.token_endpoint());
    let text = std::fs::read_to_string(scene.home.path(file)).unwrap();
    let issuer = scene.provider.issuer();

    let words = ["import", "-", "--issuer", &issuer, "--insecure-loopback", "--profile", "one"];
    let run = scene.home.run_with_input(&words, &text).expect_code(0);
    assert!(!run.stderr.contains("still lies"), "{run:?}");

    let other = scene.provider.grant("desktop", "other@example.com", &["openid"]);
    scene.home.write(
        "other.json",
        text.replace(&scene.token, &other).replace("me@example.com", "other@example.com"),
    );
    let mut shell = scene.home.command(&[]);
    let vault = shell.get_program().to_owned();
    shell = Command::new("bash");
    scene.home.prepare(&mut shell);
    let run = shell
        .args(["-c", "\"$0\" import <(cat other.json)"])
        .arg(vault)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    scene.assert_works("other");
}

#[test]
fn the_clients_of_other_programs_are_taken_in_with_a_warning() {
    let home = Home::in_memory();
    let adc = json!({
        "type": "authorized_user", "refresh_token": "1//0canary", "client_secret": "canary", "quota_project_id": "p1",
        "client_id": "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com",
    });
    home.write("adc.json", adc.to_string());

    home.run(&["import", "adc.json"]).expect_code(0).expect_said("that of gcloud, shared by all its users");

    let profile = tree::json(home.profile("gcloud"));
    assert_eq!(profile["provider"], "google");
    assert_eq!(profile["project"], "p1");
    assert_eq!(profile["account"], json!({}));
}
