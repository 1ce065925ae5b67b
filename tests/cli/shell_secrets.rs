//! A secret of any characters, through the whole program and a real shell: in from a file, out as a
//! variable, the same bytes.

use std::path::Path;
use std::process::Command;

use crate::home::{Home, VAULT};
use crate::outside;
use crate::provider::{Config, Provider};

/// How many secrets go through each shell: enough that every character meets every other kind.
const SECRETS: usize = 10;

#[test]
fn a_secret_of_any_characters_is_the_same_in_every_shell() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let posix = "eval \"$(\"$VAULT_PROGRAM\" env work --set KEY=api_key)\"; exec env -0";
    let fish = "$VAULT_PROGRAM env work --format fish --set KEY=api_key | source; env -0";
    let nu =
        "^$env.VAULT_PROGRAM env work --format nushell --set KEY=api_key | from json | load-env; ^env -0";
    let pwsh = "& $env:VAULT_PROGRAM env work --format powershell --set KEY=api_key | Out-String | Invoke-Expression; env -0";
    let shells: [(&str, &[&str]); 7] = [
        ("dash", &["-c", posix]),
        ("bash", &["--norc", "-c", posix]),
        ("bash", &["--norc", "-i", "-o", "histexpand", "-c", posix]),
        ("zsh", &["-f", "-c", posix]),
        ("fish", &["--no-config", "-c", fish]),
        ("nu", &["--no-config-file", "--commands", nu]),
        // No registry that the tests use has it.
        ("pwsh", &["-NoProfile", "-Command", pwsh]),
    ];
    let shells: Vec<_> = shells.iter().filter_map(|(name, words)| Some((find(name)?, *words))).collect();
    assert!(!shells.is_empty());

    for secret in secrets() {
        let file = home.write("key", format!("{secret}\n"));
        home.run(&["edit", "work", "--api-key-file", file.to_str().unwrap()]).expect_code(0);
        assert_eq!(home.run(&["reveal", "work", "api_key"]).expect_code(0).stdout, format!("{secret}\n"));

        for (shell, words) in &shells {
            assert_eq!(read_back(&home, shell, words), secret.as_bytes(), "{}: {secret:?}", shell.display());
        }
        let output =
            home.command(&["exec", "work", "--set", "KEY=api_key", "--", "env", "-0"]).output().unwrap();
        assert_eq!(key(&output.stdout), secret.as_bytes(), "exec: {secret:?}");
    }
}

fn find(name: &str) -> Option<std::path::PathBuf> {
    if name != "pwsh" {
        return outside::program(name);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn read_back(home: &Home, shell: &Path, words: &[&str]) -> Vec<u8> {
    let mut command = Command::new(shell);
    home.prepare(&mut command);
    let output = command.args(words).env("VAULT_PROGRAM", VAULT).env("LC_ALL", "C.UTF-8").output().unwrap();
    key(&output.stdout)
}

/// The value of `KEY` in what `env -0` prints.
fn key(environment: &[u8]) -> Vec<u8> {
    let lines = environment.split(|byte| *byte == 0);
    lines.filter_map(|line| line.strip_prefix(b"KEY=")).next().unwrap_or_default().to_vec()
}

/// All of ASCII that a secret may hold, the ends that are easily lost, and mixtures drawn anew each time.
fn secrets() -> Vec<String> {
    let ascii: String = (1..=127_u8).map(char::from).filter(|c| !matches!(c, '\n' | '\r')).collect();
    let mut secrets = vec![
        ascii.chars().rev().collect(),
        ascii,
        "-n --leading".to_owned(),
        " both ends  ".to_owned(),
        "\t\\".to_owned(),
        "\u{feff}\u{202e}e\u{301}👩\u{200d}💻\u{2028}".to_owned(),
    ];
    let alphabet: Vec<char> =
        "''\"\"\\\\$$``!#%&*?~{}()[]<>|;=:,.+-^@ \ta0Zé’日🔑\u{1b}\u{7f}".chars().collect();
    while secrets.len() < SECRETS {
        let mut bytes = [0; 120];
        getrandom::fill(&mut bytes).unwrap();
        secrets.push(bytes.iter().map(|byte| alphabet[usize::from(*byte) % alphabet.len()]).collect());
    }
    secrets
}
