//! Files that other programs have written themselves, taken in by `vault import`, and their logins used.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::gcloud;
use crate::home::Home;
use crate::import::{SECRET, Scene};
use crate::outside::{installed, program};
use crate::tree;

/// Runs another program to its end, in this home.
#[track_caller]
fn run(home: &Home, program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> bool {
    let mut command = Command::new(program);
    home.prepare(&mut command);
    let output =
        command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
    if !output.status.success() {
        eprintln!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// Runs a program in Python, whose arguments are the refresh token and the token endpoint.
#[track_caller]
fn python(scene: &Scene, text: &str) -> Option<()> {
    let python = installed("python/bin/python")?;
    let endpoint = scene.provider.url("/token");
    assert!(run(&scene.home, &python, &["-c", text, &scene.token, &endpoint, SECRET], &[]));
    Some(())
}

#[test]
fn a_token_that_google_auth_for_python_has_saved_works() {
    let scene = Scene::new();
    let text = "import sys\n\
                from google.oauth2.credentials import Credentials\n\
                c = Credentials('old', refresh_token=sys.argv[1], token_uri=sys.argv[2], client_id='desktop', client_secret=sys.argv[3],\n\
                                scopes=['openid', 'email'], account='me@example.com')\n\
                open('token.json', 'w').write(c.to_json())\n";
    let Some(()) = python(&scene, text) else { return };

    scene.import(&["token.json", "--check"]).expect_code(0);

    scene.assert_works("me");
    let profile = tree::json(scene.home.profile("me"));
    assert_eq!(profile["account"]["email"], "me@example.com");
    assert_eq!(profile["scopes"]["granted"], json!(["email", "openid"]));
}

#[test]
fn a_storage_of_oauth2client_works() {
    let scene = Scene::new();
    let text = "import sys, datetime\n\
                from oauth2client.client import OAuth2Credentials\n\
                from oauth2client.file import Storage\n\
                c = OAuth2Credentials('old', 'desktop', sys.argv[3], sys.argv[1], datetime.datetime(2026, 1, 1), sys.argv[2], 'x/1',\n\
                                      scopes=['openid', 'email'], id_token={'email': 'me@example.com'})\n\
                Storage('x-oauth2.json').put(c)\n";
    let Some(()) = python(&scene, text) else { return };

    scene.import(&["x-oauth2.json"]).expect_code(0);

    scene.assert_works("me");
}

#[test]
fn the_remotes_that_rclone_has_saved_work() {
    let scene = Scene::new();
    let Some(rclone) = program("rclone") else { return };
    let other = scene.provider.grant("desktop", "other@example.com", &["openid"]);
    for (name, kind, token) in [("gd", "drive", &scene.token), ("my photos", "google photos", &other)] {
        let token =
            json!({ "access_token": "old", "refresh_token": token, "expiry": "2026-01-01T00:00:00Z" });
        let token = format!("token={token}");
        let secret = format!("client_secret={SECRET}");
        let arguments = [
            "config",
            "create",
            name,
            kind,
            "client_id=desktop",
            &secret,
            &token,
            "config_refresh_token=false",
        ];
        assert!(run(&scene.home, &rclone, &arguments, &[("RCLONE_CONFIG", "rclone.conf")]));
    }

    scene.import(&["rclone.conf"]).expect_code(0);

    scene.assert_works("gd");
    scene.assert_works("my-photos");
}

#[test]
fn the_files_that_gcloud_keeps_of_an_account_work() {
    if !gcloud::is_here() {
        return;
    }
    let scene = Scene::new();
    let endpoint = scene.provider.url("/token");
    let variables = [
        ("CLOUDSDK_AUTH_TOKEN_HOST", &*endpoint),
        ("CLOUDSDK_AUTH_CLIENT_ID", "desktop"),
        ("CLOUDSDK_AUTH_CLIENT_SECRET", SECRET),
        ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true"),
        ("CLOUDSDK_CONFIG", "gcloud"),
    ];
    let gcloud = program("gcloud").unwrap();
    let arguments = ["auth", "activate-refresh-token", "me@example.com", &scene.token, "--quiet"];
    assert!(run(&scene.home, &gcloud, &arguments, &variables));

    let folder = "gcloud/legacy_credentials/me@example.com";
    let adc: Value = tree::json(scene.home.path(format!("{folder}/adc.json")));
    assert_eq!(adc["type"], "authorized_user");
    scene.import(&[&format!("{folder}/adc.json")]).expect_code(0);
    scene.import(&[&format!("{folder}/.boto")]).expect_code(7).expect_said("already");

    let names = scene.home.files("data/vault/profiles");
    let name = names[0].file_stem().unwrap().to_str().unwrap();
    scene.assert_works(name);
}
