//! What `vault setup` writes, read by the tools themselves.

use std::process::Command;

use crate::home::Home;
use crate::outside::have;
use crate::provider::{Config, Provider};
use crate::serving::Serving;
use crate::setup::{put, read, said, setup, with_profile};

#[test]
fn git_asks_us_for_the_host_and_nobody_else() {
    if !have(&["git"]) {
        return;
    }
    let home = with_profile();
    put(&home.path(".gitconfig"), "[credential]\n\thelper = store");
    write(&home, "git work --host git.example.com");

    let helpers = |url: &str| {
        let asked = ["config", "--get-urlmatch", "credential.helper", url];
        said(tool(&home, "git", &asked))
    };
    assert_eq!(helpers("https://git.example.com/a/b.git"), "vault --profile work\n");
    for other in
        ["https://other.example.com/", "https://git.example.com.evil.example/", "http://git.example.com/"]
    {
        assert_eq!(helpers(other), "store\n", "{other}");
    }
    let all = ["config", "--get-all", "credential.https://git.example.com.helper"];
    assert_eq!(said(tool(&home, "git", &all)), "\nvault --profile work\n", "those above are not asked");
}

#[test]
fn docker_asks_our_helper_for_the_registry() {
    if !have(&["docker"]) {
        return;
    }
    let home = with_profile();
    write(&home, "docker work --host gcr.io");
    // Found first: it tells what it was asked.
    let helper = home.path("first/docker-credential-vault");
    put(&helper, &format!("#!/bin/sh\n{{ echo \"$1\"; cat; }} > {}\n", home.path("asked").display()));
    said(tool(&home, "chmod", &["755", helper.to_str().unwrap()]));
    let mut docker = tool(&home, "docker", &["logout", "gcr.io"]);
    docker.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", home.path("first").display()));

    said(docker);

    assert_eq!(read(&home, "asked"), "erase\ngcr.io");
}

#[test]
fn cargo_reads_the_provider_of_the_registry() {
    let home = with_profile();
    put(
        &home.path(".cargo/config.toml"),
        "[registries.corp] # ours\nindex = \"sparse+https://crates.example.com/\"\n",
    );
    write(&home, "cargo work --registry corp");

    let asked = ["-Z", "unstable-options", "config", "get", "registries.corp"];
    let mut cargo = tool(&home, env!("CARGO"), &asked);
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_HOME", home.path(".cargo"));
    let shown = said(cargo);

    assert!(
        shown.contains("credential-provider = [\"cargo-credential-vault\", \"--profile\", \"work\"]"),
        "{shown}"
    );
    assert!(shown.contains("index = \"sparse+https://crates.example.com/\""), "{shown}");
    let document = read(&home, "data/vault/profiles/work.json");
    assert!(document.contains("crates.example.com"), "the host of the index is the one that gets the token");
}

#[test]
fn mail_programs_read_their_lines() {
    if !have(&["msmtp", "mbsync", "neomutt"]) {
        return;
    }
    let provider = Provider::start(Config::default());
    let home = with_profile();
    let _ = home.add_profile(&provider, "live").expect_code(0);
    put(&home.path(".msmtprc"), "account other\nhost mail.example");
    write(&home, "msmtp live --host smtp.x.example --user me@x.example");
    // It asks for the password, too.
    let shown = said(tool(&home, "msmtp", &["--pretend", "--account=live", "you@x.example"]));
    for line in ["host = smtp.x.example", "auth = OAUTHBEARER", "user = me@x.example"] {
        assert!(shown.contains(line), "{shown}");
    }

    std::fs::create_dir(home.path("mail")).unwrap();
    put(&home.path(".mbsyncrc"), "MaildirStore local\nPath ~/mail/\nInbox ~/mail/inbox");
    write(&home, "mbsync live --host 127.0.0.1:1 --user me@x.example");
    let text = read(&home, ".mbsyncrc");
    put(
        &home.path(".mbsyncrc"),
        &format!(
            "{text}\n\nIMAPStore far\nAccount live\n\nChannel all\nFar :far:\nNear :local:\nPatterns *\n"
        ),
    );
    // Nothing listens there; a line that it does not understand would be named by its number.
    let run = tool(&home, "mbsync", &["--list", "all"]).output().unwrap();
    let complaint = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(complaint.contains("127.0.0.1:1") && !complaint.contains(".mbsyncrc:"), "{complaint}");

    write(&home, "neomutt work");
    let shown = said(tool(&home, "neomutt", &["-Q", "imap_oauth_refresh_command"]));
    assert_eq!(shown.trim(), "set imap_oauth_refresh_command = \"vault token work\"");
}

#[test]
fn rclone_gets_its_tokens_from_where_the_variable_says_and_has_no_other_secret() {
    if !have(&["rclone"]) {
        return;
    }
    let provider = Provider::start(Config::default());
    let mut home = with_profile();
    let _ = home.add_profile(&provider, "live").expect_code(0);
    write(&home, "rclone live");
    assert!(said(tool(&home, "rclone", &["config", "show", "live"])).contains("type = drive"));
    let serving = Serving::start(&home, &["live"]);
    home.set("RCLONE_CONFIG_LIVE_TOKEN_URL", serving.fact(0, "token_url").as_str().unwrap());
    // Whatever is behind the token is not reached.
    home.set("HTTPS_PROXY", "http://127.0.0.1:1");

    let list = ["lsd", "live:", "--retries=1", "--low-level-retries=1"];
    let _ = tool(&home, "rclone", &list).output().unwrap();

    let conf = read(&home, ".config/rclone/rclone.conf");
    let token = live_token(&conf);
    assert!(provider.is_live_access_token(token["access_token"].as_str().unwrap()), "{conf}");
    assert_eq!(token["refresh_token"], "vault");

    provider.configure(|config| config.expires_in = 5);
    home.unset("RCLONE_CONFIG_LIVE_TOKEN_URL");
    let _ = home.run(&["token", "live", "--refresh"]).expect_code(0);
    put(
        &home.path(".config/rclone/rclone.conf"),
        &conf.replace(live_token(&conf)["expiry"].as_str().unwrap(), "2000-01-01T00:00:00Z"),
    );
    let exec = ["exec", "live", "--adc", "broker", "--", "rclone"];
    let _ = home.run(&[&exec[..], &list].concat());
    let renewed = live_token(&read(&home, ".config/rclone/rclone.conf"));
    assert_ne!(renewed["access_token"], token["access_token"]);
    assert!(provider.is_live_access_token(renewed["access_token"].as_str().unwrap()), "{renewed}");

    let _ = home.run(&setup("rclone live --undo")).expect_code(0);
    assert_eq!(read(&home, ".config/rclone/rclone.conf").trim(), "", "also after rclone has written it");
}

/// What rclone has written down as the token of its one remote.
fn live_token(conf: &str) -> serde_json::Value {
    let (_, token) = conf.split_once("\ntoken = ").unwrap();
    serde_json::from_str(token.lines().next().unwrap()).unwrap()
}

#[test]
fn direnv_has_a_function_that_sets_the_variables_or_fails() {
    if !have(&["direnv", "bash"]) {
        return;
    }
    let provider = Provider::start(Config::default());
    let home = with_profile();
    let _ = home.add_profile(&provider, "live").expect_code(0);
    write(&home, "direnv live --envrc project/.envrc");
    assert!(read(&home, "project/.envrc").contains("\nuse vault live\n"));

    said(tool(&home, "direnv", &["allow", home.path("project").to_str().unwrap()]));
    let token = home.run(&["token", "live"]).answer();
    let shown = said(tool(&home, "direnv", &["exec", "project", "sh", "-c", "echo $OAUTH_ACCESS_TOKEN"]));
    assert_eq!(shown.trim(), token);

    let _ = home.run(&setup("direnv live --undo --envrc project/.envrc")).expect_code(0);
    assert!(!home.path("project/.envrc").exists() && home.path(".config/direnv/lib/vault.sh").exists());
    let script =
        format!(". {}; use_vault work && echo set", home.path(".config/direnv/lib/vault.sh").display());
    let failed = tool(&home, "bash", &["-c", &script]).output().unwrap();
    assert!(!failed.status.success() && failed.stdout.is_empty(), "a profile without a login sets nothing");
}

#[test]
fn systemd_understands_the_unit() {
    if !have(&["systemd-analyze"]) {
        return;
    }
    let home = with_profile();
    write(&home, "systemd work");
    let unit = home.path(".config/systemd/user/vault-serve@.service");
    let families = "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n";
    assert!(
        read(&home, ".config/systemd/user/vault-serve@.service").contains(families),
        "whose a connection is, netlink tells"
    );
    let mut analyze = tool(&home, "systemd-analyze", &["verify", "--user", "--man=no"]);
    let run = analyze.arg(unit).output().unwrap();

    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!said.contains("vault-serve@"), "{said}");
}

#[test]
fn gcloud_reads_the_configuration_and_keeps_no_log() {
    // No registry has it: `tests/run` names it where it is missing.
    if !std::path::Path::new("/usr/bin/gcloud").exists() {
        return;
    }
    let home = with_profile();
    write(&home, "gcloud work");
    let asked = ["--configuration=vault-work", "config", "get", "core/disable_file_logging"];

    assert_eq!(said(tool(&home, "gcloud", &asked)).trim(), "true");
}

fn write(home: &Home, words: &str) {
    let _ = home.run(&setup(&format!("{words} --write"))).expect_code(0);
}

fn tool(home: &Home, name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(name);
    home.prepare(&mut command);
    command.args(words);
    command
}
