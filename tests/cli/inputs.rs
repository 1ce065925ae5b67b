//! What people and machines do to a command line: odd texts, odd files, odd surroundings.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use clap::ArgAction;

use crate::home::{Home, Run, VAULT};
use crate::provider::{Config, Endpoint, Provider};

#[test]
fn no_option_takes_a_secret_as_its_value() {
    let mut command = vault::cli::command();
    command.build();
    let mut options = Vec::new();
    collect_options(&command, &mut options);

    assert!(options.len() > 60);
    for (command, option) in options {
        let is_secret =
            ["secret", "passphrase", "password", "key", "token"].iter().any(|it| option.contains(it));
        // Where it is, or where it is issued, is no secret.
        let is_place =
            ["-file", "-url"].iter().any(|it| option.ends_with(it)) || option == "service-account-key";
        assert!(!is_secret || is_place, "{command} --{option}");
    }
}

/// The options that take a value, of every command.
fn collect_options(command: &clap::Command, options: &mut Vec<(String, String)>) {
    let takes_value = |arg: &&clap::Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    for arg in command.get_arguments().filter(takes_value) {
        let name = arg.get_long().unwrap_or(arg.get_id().as_str());
        options.push((command.get_name().to_owned(), name.to_owned()));
    }
    command.get_subcommands().for_each(|it| collect_options(it, options));
}

#[test]
fn a_secret_given_as_a_value_is_refused_and_the_safe_way_is_named() {
    let home = Home::new();

    for arguments in [["--client-secret", "GOCSPX-canary"], ["--client-secret=GOCSPX-canary", "-q"]] {
        let run = home.run(&[&["client", "add", "--client-id", "x"][..], &arguments].concat());
        run.expect_code(2).expect_said("--client-secret-file").expect_unsaid("GOCSPX-canary=");
    }
}

#[test]
fn a_secret_is_a_line_of_text_of_a_sane_length() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let huge = "x".repeat(10 << 20);

    for bad in ["", "\n", "\r\n", "a\0b", "a\nb", "a\rb", "a\n\n", huge.as_str()] {
        let file = home.write("secret", bad);
        home.run(&["edit", "work", "--api-key-file", file.to_str().unwrap()]).expect_code(2);
        home.run_with_input(&["edit", "work", "--api-key-file", "-"], bad).expect_code(2);
    }
    home.run(&["edit", "work", "--api-key-file", "/dev/zero"]).expect_code(2);
    home.run(&["edit", "work", "--api-key-file", "/"]).expect_code(2);
    shell(&home, "\"$0\" edit work --api-key-file - <&-").expect_code(2);
    home.run(&["reveal", "work", "api_key"]).expect_code(3);
}

#[test]
fn one_line_break_at_the_end_of_a_secret_is_not_part_of_it() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    for (given, kept) in [("k", "k"), ("k\n", "k"), ("k\r\n", "k"), (" k \n", " k "), ("\u{fc}", "\u{fc}")] {
        home.run_with_input(&["edit", "work", "--api-key-file", "-"], given).expect_code(0);
        assert_eq!(home.run(&["reveal", "work", "api_key"]).expect_code(0).stdout, format!("{kept}\n"));
    }
}

#[test]
fn a_name_that_no_file_system_or_terminal_should_meet_is_refused() {
    let home = Home::new();
    let long = "x".repeat(1024);
    let bad = [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "../a",
        "a\\b",
        "a b",
        "A",
        "-x",
        "é",
        "🔑",
        "a\u{202e}b",
        "a\nb",
        "a\u{7}b",
        "x\u{200b}",
        &long,
    ];

    for name in bad {
        let run = home.run(&["add-profile", "--flow", "none", "--", name]).expect_code(2);
        assert!(run.stderr.chars().all(|c| c == '\n' || !c.is_control()), "{name:?}: {:?}", run.stderr);
        assert!(!run.stderr.contains('\u{202e}'), "{name:?}");
        assert!(run.stderr.len() < 1024 + 500, "{name:?}");
    }
    assert_eq!(home.files("data"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn an_issuer_that_could_send_a_secret_elsewhere_is_refused() {
    let home = Home::new();
    let issuers = [
        "http://sso.example.com",
        "http://127.0.0.1:1",
        "https://user@sso.example.com",
        "https://user:pass@sso.example.com",
        "https://sso.example.com#x",
        "https://sso.example.com?x",
        "ftp://sso.example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "sso.example.com",
        "https://",
        "",
    ];

    for issuer in issuers {
        let run =
            home.run(&["client", "add", "--client-id", "x", "--client-auth", "none", "--issuer", issuer]);
        assert!(matches!(run.code, 2 | 7), "{issuer}: {}\n{}", run.code, run.stderr);
        assert!(!run.stderr.contains("pass@"), "{issuer}: {}", run.stderr);
    }
    assert_eq!(home.files("data/vault/clients"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_host_in_other_letters_is_shown_as_what_it_is() {
    // The first letter is Cyrillic.
    let issuer = "https://\u{430}ccounts.invalid";
    let run =
        Home::new().run(&["client", "add", "--client-id", "x", "--client-auth", "none", "--issuer", issuer]);
    assert_ne!(run.code, 0);
    run.expect_said("xn--").expect_unsaid("\u{430}");
}

#[test]
fn a_scope_is_one_word() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    for scope in ["a\nb", "a\"b", "a\\b", "a\u{7}b", "\u{e4}", ""] {
        home.run(&["login", "work", "--no-browser", "--timeout", "1s", "--scope", scope]).expect_code(2);
    }
}

#[test]
fn a_variable_that_runs_code_or_is_none_is_refused() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let before = provider.count(Endpoint::Token);
    let dangerous = [
        "LD_PRELOAD",
        "ld_preload",
        "DYLD_INSERT_LIBRARIES",
        "PATH",
        "BASH_ENV",
        "ENV",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "NODE_OPTIONS",
        "GIT_SSH_COMMAND",
        "PERL5OPT",
        "RUBYOPT",
        "IFS",
        "",
        "1A",
        "A-B",
        "A B",
        "\u{e4}",
        "A\nB",
    ];

    for name in dangerous {
        let set = format!("{name}=access_token");
        home.run(&["exec", "work", "--set", &set, "--", "true"]).expect_code(2);
        home.run(&["env", "work", "--set", &set]).expect_code(2);
        home.run(&["edit", "work", "--set", &set]).expect_code(2);
    }
    // Split at the first `=`: what follows is no field.
    home.run(&["env", "work", "--set", "A=B=access_token"]).expect_code(2).expect_said("B=access_token");
    assert_eq!(provider.count(Endpoint::Token), before);
}

#[test]
fn a_program_that_is_missing_costs_no_token() {
    let provider = Provider::start(Config { expires_in: 1, ..Config::default() });
    let home = Home::logged_in(&provider);
    let before = provider.count(Endpoint::Token);

    home.run(&["exec", "work"]).expect_code(2);
    home.run(&["exec", "work", "--"]).expect_code(2);
    assert_eq!(provider.count(Endpoint::Token), before);
}

#[test]
fn an_answer_that_nobody_can_read_is_a_failure_and_the_refresh_is_kept() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    // A closed descriptor is opened as /dev/null before our first line runs: that is the caller's wish.
    for (closed, code) in [(">&-", 0), (">/dev/full", 10)] {
        let before = provider.count(Endpoint::Token);
        let run = shell(&home, &format!("\"$0\" token work --refresh {closed}"));
        assert_eq!(run.code, code, "{closed}: {}", run.stderr);
        assert_eq!(provider.count(Endpoint::Token), before + 1);

        // What was obtained is what the next call answers, without asking.
        let token = home.run(&["token", "work"]).answer();
        assert!(provider.is_live_access_token(&token));
        assert_eq!(provider.count(Endpoint::Token), before + 1);
    }
    assert!(provider.families_revoked().is_empty());
}

#[test]
fn a_closed_standard_error_stops_nothing() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    let run = shell(&home, "\"$0\" token work --refresh -vvv 2>&-").expect_code(0);
    assert!(provider.is_live_access_token(run.stdout.trim_end()));
    shell(&home, "\"$0\" token work --refresh -vvv 2>/dev/full").expect_code(0);
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    for command in ["list", "show work", "--help", "token work --refresh"] {
        let run = shell(&home, &format!("\"$0\" {command} | true"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{command}");
    }
    home.run(&["token", "work"]).expect_code(0);
}

#[test]
fn a_home_that_is_no_absolute_path_is_refused_and_nothing_is_written() {
    let home = Home::new();

    for (variable, value) in [("HOME", "relative"), ("HOME", "./x")] {
        let run = without_xdg(&home).env(variable, value).args(["init"]).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2), "{variable}={value}: {stderr}");
        assert!(stderr.contains("HOME"), "{stderr}");
        assert!(!home.path(value).exists());
    }
}

#[test]
fn a_relative_folder_of_the_desktop_is_ignored_as_its_specification_says() {
    let home = Home::new();
    let mut command = without_xdg(&home);
    for name in ["XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
        command.env(name, "relative");
    }

    let run = Run::of(&["init"], command.args(["init"]).output().unwrap()).expect_code(0);

    run.expect_said(".local/share/vault");
    assert!(home.path(".local/share/vault/vault.json").exists());
    assert!(!home.path("relative").exists());
}

#[test]
fn a_folder_that_was_deleted_under_us_does_not_matter() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    let run = shell(&home, "mkdir gone && cd gone && rmdir ../gone && \"$0\" token work").expect_code(0);
    assert!(provider.is_live_access_token(run.stdout.trim_end()));
}

#[test]
fn a_variable_of_ours_that_makes_no_sense_is_named() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    for (name, value) in
        [("VAULT_PROFILE", "Not/A/Name"), ("VAULT_PROFILE", "-x"), ("VAULT_KEY_ID", "nonsense")]
    {
        let run = Run::of(&["token"], home.command(&["token"]).env(name, value).output().unwrap());
        run.expect_code(2).expect_said(name);
    }
    // An empty one is one that was meant to be unset.
    let output =
        home.command(&["token", "work"]).env("VAULT_KEY_ID", "").env("VAULT_DIR", "").output().unwrap();
    Run::of(&["token"], output).expect_code(0);
}

#[test]
fn a_variable_with_a_slip_in_its_name_is_refused_and_those_of_others_are_not() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let run = |name: &str| {
        let output = home.command(&["token", "work"]).env(name, "x").output().unwrap();
        Run::of(&[name], output)
    };

    for (name, meant) in [
        ("VAULT_KEYID", "VAULT_KEY_ID"),
        ("VAULT_PASPHRASE_FILE", "VAULT_PASSPHRASE_FILE"),
        ("VAULT_IDENTITY_FIEL", "VAULT_IDENTITY_FILE"),
        ("VAULT_PROFILES", "VAULT_PROFILE"),
    ] {
        run(name).expect_code(2).expect_said(name).expect_said(&format!("did you mean {meant}?"));
    }
    // HashiCorp's program of the same name reads these, and the tests' own begins so too.
    for name in
        ["VAULT_ADDR", "VAULT_TOKEN", "VAULT_CACERT", "VAULT_NAMESPACE", "VAULT_MFA", "VAULT_TESTS_STRICT"]
    {
        run(name).expect_code(0);
    }
}

#[test]
fn a_profile_without_a_login_is_changed_and_not_made() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["add-profile", "later", "--flow", "none"]).expect_code(0).expect_said("Made profile `later`");

    home.run(&["edit", "later", "--set", "X=account"])
        .expect_code(0)
        .expect_said("Changed profile `later`. Log it in with: vault login later")
        .expect_unsaid("Made");
}

#[test]
fn the_poorest_terminal_gets_readable_text() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let surroundings = [("LC_ALL", "C"), ("COLUMNS", "1"), ("TERM", "dumb"), ("NO_COLOR", "1"), ("TERM", "")];

    for command in ["list", "status", "--help", "token --help"] {
        for (name, value) in surroundings {
            let words: Vec<&str> = command.split(' ').collect();
            let output = home.command(&words).env(name, value).output().unwrap();
            let run = Run::of(&words, output).expect_code(0);
            assert!(!run.stdout.contains('\u{1b}'), "{name}={value} vault {command}");
        }
    }
    let plain = home.run(&["list", "--color", "never"]).answer();
    assert_eq!(home.run(&["list", "--color", "auto"]).answer(), plain);
    assert!(home.run(&["list", "--color", "always"]).answer().contains('\u{1b}'));
}

#[test]
fn thousands_of_options_are_an_answer_within_moments() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let many: Vec<&str> = std::iter::once("token").chain(["-p", "work"].repeat(5_000)).collect();

    home.run(&many).expect_code(2);
}

#[test]
fn a_margin_is_a_duration_that_a_token_could_have() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    for bad in ["999999999", "-1", "-5m", "1e9", "", "5 minutes ago", "0x10", "1.5m", "\u{661}"] {
        let option = format!("--min-ttl={bad}");
        home.run(&["token", "work", &option]).expect_code(2);
    }
    for good in ["0", "30", "5m", "5 minutes", "1h30m"] {
        home.run(&["token", "work", "--min-ttl", good]).expect_code(0);
    }
}

#[test]
fn the_program_takes_our_place() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let mut command = home.command(&["exec", "work", "--", "sh", "-c", "echo $$; echo $VAULT_PROFILE"]);

    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();

    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{pid}\nwork\n"));
}

#[test]
fn the_program_gets_the_variables_and_nothing_that_unlocks() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    home.set("VAULT_PASSPHRASE_FILE", "/no-such-file");
    home.set("VAULT_PASSPHRASE_COMMAND", "false");
    home.set("KEPT", "as it was");

    let run = home.run(&["exec", "work", "--set", "ID=client_id", "--", "env"]).expect_code(0);

    let variables: BTreeSet<&str> = run.stdout.lines().map(|line| line.split('=').next().unwrap()).collect();
    for unlocking in ["VAULT_IDENTITY_FILE", "VAULT_PASSPHRASE_FILE", "VAULT_PASSPHRASE_COMMAND"] {
        assert!(!variables.contains(unlocking), "{unlocking}");
    }
    for line in ["KEPT=as it was", "ID=desktop", "VAULT_PROFILE=work"] {
        assert!(run.stdout.lines().any(|it| it == line), "{line}\n{}", run.stdout);
    }
    let token = run.stdout.lines().find_map(|line| line.strip_prefix("OAUTH_ACCESS_TOKEN=")).unwrap();
    assert!(provider.is_live_access_token(token));
}

#[test]
fn the_program_finds_the_process_as_the_user_had_it() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let look = "umask; ulimit -c; ulimit -n; ls /proc/self/fd; grep -i '^sig[bi]' /proc/self/status; pwd";

    for before in ["umask 027", "umask 000", "ulimit -Sc 0", "trap '' INT"] {
        let direct = shell(&home, &format!("{before}; exec sh -c \"{look}\"")).expect_code(0);
        let through =
            shell(&home, &format!("{before}; exec \"$0\" exec work -- sh -c \"{look}\"")).expect_code(0);
        assert_eq!(through.stdout, direct.stdout, "{before}");
    }
}

/// Runs a script in which `$0` is the program.
fn shell(home: &Home, script: &str) -> Run {
    let mut command = Command::new("sh");
    home.prepare(&mut command);
    let output: Output = command.args(["-c", script, VAULT]).output().unwrap();
    Run::of(&[script], output)
}

/// The program in this home, which the variables of the desktop do not describe.
fn without_xdg(home: &Home) -> Command {
    let mut command = home.command(&[]);
    for name in ["XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command
}
