//! Every error that needs no provider to come about, in the words that a person reads.

use std::os::unix::fs::PermissionsExt;

use crate::home::{Home, write_identity};
use crate::provider::{Config, Consent, Endpoint, Fault, Provider};
use crate::transcript::Transcript;

#[test]
fn errors_of_the_command_line() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    let mut transcript = Transcript::default();
    let commands: [&[&str]; 26] = [
        &["tokn"],
        &["token", "--refersh"],
        &["token", "work", "extra"],
        &["token", "work", "-p", "work"],
        &["token", "Not/A/Name"],
        &["token", "work", "--format", "xml"],
        &["token", "work", "--min-ttl", "soon"],
        &["token", "work", "--min-ttl=-5m"],
        &["token", "work", "--min-ttl", "1.5h"],
        &["token", "work", "--min-ttl", "999999999"],
        &["env", "work", "--set", "PATH=access_token"],
        &["env", "work", "--set", "1X=access_token"],
        &["env", "work", "--set", "X=password"],
        &["env", "work", "--set", "X"],
        &["exec", "work"],
        &["exec", "work", "--"],
        &["reveal", "work"],
        &["reveal", "work", "password"],
        &["edit", "work"],
        &["init", "--unlock", "identity"],
        &["login", "work", "--flow", "none"],
        &["key", "add"],
        &["key", "add", "--recipient", "age1nonsense"],
        &["key", "accept", "nonsense"],
        &["client", "add"],
        &["client", "add", "--provider", "gogle", "--client-id", "x"],
    ];
    for arguments in commands {
        transcript.run(&home, arguments);
    }
    transcript.compare("errors-usage");
}

#[test]
fn errors_where_something_is_missing_or_taken() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["add-profile", "later", "--flow", "none"]).expect_code(0);
    let empty = Home::new();

    let mut transcript = Transcript::default();
    transcript.run(&empty, &["token", "work"]);
    transcript.run(&empty, &["init", "-q"]);
    transcript.run(&empty, &["init"]);
    transcript.run(&empty, &["token", "work"]);
    transcript.run(&empty, &["token"]);
    transcript.run(&empty, &["client", "show", "google"]);
    transcript.run(&empty, &["add-profile", "work", "--flow", "none"]);
    let commands: [&[&str]; 16] = [
        &["token"],
        &["token", "wrok"],
        &["show", "late"],
        &["use", "nobody"],
        &["client", "show", "127.0.0.2"],
        &["reveal", "work", "api_key"],
        &["env", "work", "--set", "KEY=api_key"],
        &["token", "later"],
        &["login", "work", "--no-input"],
        &["add-profile", "work", "--flow", "none"],
        &["rename", "work", "later"],
        &["rename", "nobody", "somebody"],
        &["client", "remove", "127.0.0.1"],
        &["key", "remove", "ffff"],
        &["unlocked"],
        &["exec", "work", "--", "no-such-program"],
    ];
    for arguments in commands {
        transcript.run(&home, arguments);
    }
    let slot = home.run(&["key", "list", "--json"]).answer();
    let slot = slot.split("\"id\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    transcript.run(&home, &["key", "remove", &slot]);
    transcript.compare("errors-missing");
}

#[test]
fn errors_of_a_new_client() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let secret = home.write("other.secret", "another-secret\n");
    let secret = secret.to_str().unwrap();
    let nonsense = home.write("nonsense.json", "{}");
    let issuer = provider.issuer();
    let client = |issuer: &'static str| {
        vec!["client", "add", "--client-id", "x", "--client-auth", "none", "--issuer", issuer]
    };

    let mut transcript = Transcript::default();
    let other = ["client", "add", "--issuer", &issuer, "--insecure-loopback", "--client-id", "desktop"];
    transcript.run(&home, &[&other[..], &["--client-secret-file", secret]].concat());
    transcript.run(&home, &["client", "add", "--client-file", nonsense.to_str().unwrap()]);
    transcript.run(&home, &["client", "add", "--client-file", "no-such-file.json"]);
    transcript.run(&home, &["client", "add", "--client-id", "x"]);
    transcript.run(&home, &["client", "add", "--client-id", "x", "--client-secret-file", "no-such-file"]);
    transcript.run(&home, &["client", "add", "--client-id", "x", "--client-auth", "password"]);
    transcript.run(&home, &client("http://sso.example.com"));
    transcript.run(&home, &client("http://127.0.0.1:1"));
    transcript.run(&home, &client("https://user@sso.example.com"));
    transcript.run(&home, &client("https://sso.example.com?tenant=1"));
    transcript.run(&home, &client("https://sso.example.com#tenant"));
    transcript.run(&home, &client("sso.example.com"));
    transcript.run(&home, &[&client("http://127.0.0.1:1")[..], &["--insecure-loopback"]].concat());
    transcript.compare("errors-client");
}

#[test]
fn errors_where_the_vault_stays_locked() {
    let home = Home::new();
    home.run(&["init"]).expect_code(0);
    let mut transcript = Transcript::default();

    std::fs::rename(home.path("identity.txt"), home.path("away.txt")).unwrap();
    transcript.run(&home, &["verify"]);
    write_identity(&home.path("identity.txt"));
    transcript.run(&home, &["verify"]);
    home.write("identity.txt", "not an identity\n");
    transcript.run(&home, &["verify"]);

    let mut home = Home::bare();
    let right = home.write("right.txt", "correct horse battery staple\n");
    let wrong = home.write("wrong.txt", "incorrect horse battery staple\n");
    home.set("VAULT_PASSPHRASE_FILE", right.to_str().unwrap());
    home.run(&["init", "--unlock", "passphrase"]).expect_code(0);
    home.set("VAULT_PASSPHRASE_FILE", wrong.to_str().unwrap());
    transcript.run(&home, &["verify"]);
    home.set("VAULT_PASSPHRASE_FILE", "/no-such-file");
    transcript.run(&home, &["verify"]);
    home.unset("VAULT_PASSPHRASE_FILE");
    home.set("VAULT_PASSPHRASE_COMMAND", "false");
    transcript.run(&home, &["verify"]);
    home.unset("VAULT_PASSPHRASE_COMMAND");
    transcript.run(&home, &["verify"]);
    transcript.run(&home, &["verify", "--no-input"]);
    transcript.compare("errors-locked");
}

#[test]
fn errors_where_files_cannot_be_trusted() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    let profile = home.profile("work");
    let whole = std::fs::read(&profile).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let mut transcript = Transcript::default();

    for (from, to) in
        [("me@example.com", "be@example.com"), ("vault-profile/1", "vault-profile/2"), ("\"mac\"", "mac")]
    {
        std::fs::write(&profile, text.replace(from, to)).unwrap();
        transcript.run(&home, &["token", "work"]);
        transcript.run(&home, &["verify"]);
    }
    std::fs::write(&profile, &whole).unwrap();
    std::fs::copy(&profile, home.profile("copy")).unwrap();
    transcript.run(&home, &["token", "copy"]);
    std::fs::remove_file(home.profile("copy")).unwrap();

    home.run(&["edit", "work", "--set", "A=account"]).expect_code(0);
    std::fs::write(&profile, &whole).unwrap();
    transcript.run(&home, &["token", "work"]);
    transcript.run(&home, &["verify", "--accept-rollback"]);

    std::fs::rename(home.client("127.0.0.1"), home.path("client.away")).unwrap();
    transcript.run(&home, &["token", "work", "--refresh"]);
    transcript.run(&home, &["list"]);
    std::fs::rename(home.path("client.away"), home.client("127.0.0.1")).unwrap();

    home.set("VAULT_KEY_ID", "00000000000000000000000000000000");
    transcript.run(&home, &["token", "work"]);
    home.unset("VAULT_KEY_ID");

    std::fs::rename(home.vault_dir().join("vault.json"), home.path("manifest.away")).unwrap();
    transcript.run(&home, &["token", "work"]);
    std::fs::rename(home.path("manifest.away"), home.vault_dir().join("vault.json")).unwrap();

    let mode = |mode| std::fs::set_permissions(home.vault_dir(), std::fs::Permissions::from_mode(mode));
    mode(0o777).unwrap();
    transcript.run(&home, &["token", "work"]);
    mode(0o700).unwrap();
    transcript.compare("errors-integrity");
}

#[test]
fn errors_that_the_provider_causes() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let refresh = ["token", "work", "--refresh"];
    let mut transcript = Transcript::default();

    for fault in [
        Fault::bad_secret(),
        Fault::deleted_client(),
        Fault::unavailable(5),
        Fault::too_many_requests(30),
        Fault::html(200),
        Fault::Redirect("https://elsewhere.example/".to_owned()),
        Fault::error(400, "invalid_request", "Evil \u{1b}[31mtext\u{202e} of a server"),
    ] {
        provider.script(Endpoint::Token, vec![fault]);
        transcript.run(&home, &refresh);
    }
    provider.next_consent(Consent::denied());
    transcript.run_login(&home, &["login", "work", "--no-browser"]);
    provider.next_user("other@example.com");
    transcript.run_login(&home, &["login", "work", "--no-browser"]);
    provider.revoke_user_grant("desktop", "me@example.com");
    transcript.run(&home, &refresh);
    transcript.run(&home, &refresh);
    transcript.run(&home, &["status"]);
    drop(provider);
    transcript.run(&home, &["login", "work", "--no-browser", "--timeout", "1s"]);
    transcript.compare("errors-provider");
}
