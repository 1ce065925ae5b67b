//! The programs for which `vault export` writes, reading what it has written.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::expiry::refresh_token;
use crate::home::Home;
use crate::outside::{installed, program};
use crate::provider::{Config, Endpoint, Fault, Provider, Rotation};

fn exported(home: &Home, options: &[&str], file: &str) {
    let words = ["export", "work", "--plaintext", "--output", file, "--format"];
    home.run(&[&words[..], options].concat()).expect_code(0);
}

fn run(home: &Home, program: &Path, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    home.prepare(&mut command);
    command.args(words).envs(variables.iter().copied()).output().unwrap()
}

#[track_caller]
fn answer(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

/// google-auth asks Google, whatever the file says: so the endpoint is set after it was read.
const READ: &str = "
import sys, google.auth
from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials
kind, file, endpoint = sys.argv[1:]
if kind == 'adc':
    credentials, project = google.auth.default()
    assert credentials.quota_project_id == 'my-project'
else:
    credentials = Credentials.from_authorized_user_file(file)
    assert credentials.expired and credentials.scopes, credentials
credentials._token_uri = endpoint
credentials.refresh(Request())
print(credentials.token)
";

#[test]
fn google_auth_reads_adc_and_the_file_of_google_auth_oauthlib_and_refreshes() {
    let Some(python) = installed("python/bin/python") else { return };
    let provider = Provider::start(Config { rotation: Rotation::None, ..Config::default() });
    let home = Home::logged_in(&provider);
    home.run(&["edit", "work", "--project", "my-project"]).expect_code(0);
    for kind in ["adc", "oauthlib"] {
        exported(&home, &[kind], kind);

        let file = home.path(kind);
        let file = file.to_str().unwrap();
        let words = ["-c", READ, kind, file, &provider.url("/token")];
        let token = answer(&run(&home, &python, &words, &[("GOOGLE_APPLICATION_CREDENTIALS", file)]));

        assert!(provider.is_live_access_token(&token), "{kind}");
    }
}

#[test]
fn rclone_reads_its_section_and_refreshes_where_it_says() {
    let Some(rclone) = program("rclone") else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    exported(&home, &["rclone", "--type", "google cloud storage"], "rclone.conf");
    let file = json!({ "items": [{ "name": "hello.txt", "bucket": "b", "size": "5" }] });
    provider.script(Endpoint::Elsewhere, vec![Fault::json(200, &file); 4]);
    provider.forget_requests();

    let storage = provider.url("/storage/v1/");
    let config = home.path("rclone.conf");
    let words = ["--config", config.to_str().unwrap(), "--gcs-endpoint", &storage, "lsf", "work:b"];
    let listed = answer(&run(&home, &rclone, &words, &[]));

    assert_eq!(listed, "hello.txt");
    assert_eq!(provider.count(Endpoint::Token), 1);
    home.run(&["export", "work", "--plaintext", "--format", "rclone"]).expect_code(2).expect_said("--type");
}

#[test]
fn a_shell_and_python_dotenv_read_the_three_variables() {
    let Some(python) = installed("python/bin/python") else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let token = refresh_token(&home);
    exported(&home, &["env"], "copy.env");

    let shell = run(&home, Path::new("/bin/sh"), &["-c", ". ./copy.env; printf %s \"$REFRESH_TOKEN\""], &[]);
    assert_eq!(answer(&shell), token);
    let script = "import dotenv; print(dotenv.dotenv_values('copy.env')['REFRESH_TOKEN'])";
    assert_eq!(answer(&run(&home, &python, &["-c", script], &[])), token);
}

#[test]
fn gcloud_takes_the_login_over_where_it_is_installed() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(gcloud) = std::env::split_paths(&path).map(|it| it.join("gcloud")).find(|it| it.is_file())
    else {
        // It is in no package registry: a strict run may lack it.
        eprintln!("skipped: gcloud is not installed");
        return;
    };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    fs::create_dir_all(home.path(".config/gcloud")).unwrap();
    exported(&home, &["adc"], ".config/gcloud/application_default_credentials.json");

    let endpoint = provider.url("/token");
    let variables =
        [("CLOUDSDK_AUTH_TOKEN_HOST", &*endpoint), ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true")];
    let words = ["auth", "application-default", "print-access-token"];
    let token = answer(&run(&home, &gcloud, &words, &variables));

    assert!(provider.is_live_access_token(&token));
}
