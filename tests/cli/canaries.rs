//! No secret is where nobody asked for it: in what is said, logged, or stored outside its seal.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine};

use crate::home::{Home, Run};
use crate::provider::{Config, Consent, Endpoint, Fault, Provider};

const CLIENT_SECRET: &str = "GOCSPX-desktop-secret";
const API_KEY: &str = "AIza-canary-of-an-api-key";

#[test]
fn no_secret_is_said_logged_or_stored_outside_its_seal() {
    let provider = Provider::start(Config::default());
    let mut home = Home::new();
    home.set("RUST_LOG", "trace");
    let mut runs = vec![home.add_profile(&provider, "work").expect_code(0)];
    let key = home.write("key.txt", API_KEY);
    runs.push(home.run(&["edit", "work", "--api-key-file", key.to_str().unwrap(), "-vvv"]));
    runs.extend(what_works(&home));
    runs.extend(what_fails(&home, &provider));
    std::fs::remove_file(key).unwrap();
    std::fs::remove_file(home.path("desktop.secret")).unwrap();

    let mut secrets = provider.issued();
    secrets.extend([CLIENT_SECRET.to_owned(), API_KEY.to_owned()]);
    assert!(runs.len() >= 40 && secrets.len() > 10);
    let needles: Vec<String> = secrets.iter().flat_map(|secret| disguises(secret)).collect();
    assert!(
        runs.iter().any(|run| needles.iter().any(|needle| run.stdout.contains(needle))),
        "they can be found"
    );
    for run in &runs {
        let found = needles.iter().find(|needle| run.stderr.contains(*needle));
        assert_eq!(found, None, "vault {} says a secret:\n{}", run.arguments, run.stderr);
    }
    for file in ["data", "cache", "state", "run"].iter().flat_map(|folder| home.files(folder)) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let found = needles.iter().find(|needle| text.contains(*needle));
        assert_eq!(found, None, "{} holds a secret", file.display());
    }
}

/// Everything that succeeds, as talkative as it can be.
fn what_works(home: &Home) -> Vec<Run> {
    let commands: [&[&str]; 20] = [
        &["token", "work"],
        &["token", "work", "--refresh"],
        &["token", "work", "--format", "header"],
        &["token", "work", "--format", "curl"],
        &["token", "work", "--format", "sasl"],
        &["token", "work", "--json"],
        &["env", "work"],
        &["env", "work", "--set", "S=client_secret", "--set", "R=refresh_token"],
        &["env", "work", "--format", "docker"],
        &["exec", "work", "--", "true"],
        &["reveal", "work", "refresh_token"],
        &["reveal", "work", "client_secret"],
        &["reveal", "work", "api_key"],
        &["list"],
        &["show", "work"],
        &["status"],
        &["client", "list"],
        &["client", "show", "127.0.0.1"],
        &["key", "list"],
        &["verify"],
    ];
    commands.iter().map(|it| home.run(&[it, &["-vvv"][..]].concat()).expect_code(0)).collect()
}

/// Everything that fails, by the provider's fault and by the user's.
fn what_fails(home: &Home, provider: &Provider) -> Vec<Run> {
    let faults = [
        Fault::bad_secret(),
        Fault::deleted_client(),
        Fault::invalid_rapt(),
        Fault::unavailable(1),
        Fault::too_many_requests(1),
        Fault::html(200),
        Fault::html(404),
        Fault::Garbage,
        Fault::Redirect("http://127.0.0.1:1/".to_owned()),
        Fault::error(400, "invalid_request", &format!("you sent client_secret={CLIENT_SECRET}")),
        Fault::oversized(2 << 20),
    ];
    let mut runs: Vec<Run> = Vec::new();
    for fault in faults {
        let name = format!("{fault:.40?}");
        // A lost answer is asked for once more.
        let times = if matches!(fault, Fault::Garbage) { 2 } else { 1 };
        provider.script(Endpoint::Token, vec![fault; times]);
        let run = home.run(&["token", "work", "--refresh", "-vvv"]);
        assert_ne!(run.code, 0, "{name}");
        runs.push(run);
        relogin_if_dead(home, &mut runs);
    }
    provider.next_consent(Consent::denied());
    runs.push(home.consent(&["login", "work", "--no-browser", "-vvv"]).expect_code(12));
    provider.next_user("other@example.com");
    runs.push(home.consent(&["login", "work", "--no-browser", "-vvv"]).expect_code(7));
    let commands: [&[&str]; 7] = [
        &["token", "nobody"],
        &["token", "work", "--format", "xml"],
        &["env", "work", "--set", "PATH=access_token"],
        &["exec", "work", "--set", "S=client_secret", "--", "no-such-program"],
        &["client", "remove", "127.0.0.1"],
        &["reveal", "work", "password"],
        &["add-profile", "work"],
    ];
    runs.extend(commands.iter().map(|it| home.run(&[it, &["-vvv"][..]].concat())));
    let profile = home.profile("work");
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, text.replace("me@example.com", "be@example.com")).unwrap();
    runs.push(home.run(&["token", "work", "-vvv"]).expect_code(6));
    std::fs::write(&profile, text).unwrap();
    runs
}

/// After an `invalid_grant`, the next failures need a grant that lives.
fn relogin_if_dead(home: &Home, runs: &mut Vec<Run>) {
    if runs.last().is_some_and(|run| run.code == 5) {
        runs.push(home.consent(&["login", "work", "--no-browser", "-vvv"]).expect_code(0));
    }
}

/// A secret as it is, and in the clothes in which it could slip through.
fn disguises(secret: &str) -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    // Without the end, which depends on what follows.
    let whole_groups = &secret.as_bytes()[..secret.len() / 3 * 3];
    vec![
        secret.to_owned(),
        encoded,
        hex::encode(secret),
        hex::encode_upper(secret),
        BASE64_STANDARD.encode(whole_groups),
        BASE64_URL_SAFE.encode(whole_groups),
    ]
}
