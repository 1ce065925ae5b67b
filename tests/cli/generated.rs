//! What is generated from the parser: completions, in the shells that use them, and manual pages.

use std::path::PathBuf;
use std::process::Command;

use crate::home::{Home, Run, VAULT};
use crate::outside::{have, program};
use crate::provider::{Config, Provider};

#[test]
fn every_shell_completes_profiles_clients_commands_and_values() {
    let home = with_two_profiles();

    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert_eq!(completed(&home, shell, &["token", "w"]), ["work", "work2"], "{shell}");
        assert_eq!(completed(&home, shell, &["token", "-p", "work2"]), ["work2"], "{shell}");
        assert_eq!(completed(&home, shell, &["client", "show", "1"]), ["127.0.0.1"], "{shell}");
        assert_eq!(completed(&home, shell, &["tok"]), ["token"], "{shell}");
        assert_eq!(completed(&home, shell, &["token", "--format", "he"]), ["header"], "{shell}");
        assert_eq!(completed(&home, shell, &["token", "--ref"]), ["--refresh"], "{shell}");
    }
}

#[test]
fn completing_needs_no_key_and_says_nothing() {
    let mut home = with_two_profiles();
    std::fs::remove_file(home.path("identity.txt")).unwrap();
    home.unset("VAULT_IDENTITY_FILE");
    assert_eq!(completed(&home, "fish", &["token", "w"]), ["work", "work2"]);

    assert!(completed(&Home::bare(), "fish", &["token", "w"]).is_empty());
}

#[test]
fn the_script_for_bash_loads_and_completes() {
    if !have(&["bash"]) {
        return;
    }
    let script = "source <(vault completions bash); complete -p vault
        COMP_WORDS=(vault token w); COMP_CWORD=2; COMP_TYPE=9
        _clap_complete_vault vault w token; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let answer = in_shell(&with_two_profiles(), "bash", &["--norc", "-c", script]);

    assert!(answer.starts_with("complete "), "{answer}");
    assert!(answer.ends_with("\nwork\nwork2"), "{answer}");
}

#[test]
fn the_script_for_zsh_loads_and_completes() {
    if !have(&["zsh"]) {
        return;
    }
    // What the completion system is told stands for what it would show in its own editor.
    let script = "autoload -U compinit && compinit -u -D; source <(vault completions zsh)
        print $_comps[vault]
        _describe() { local list=$@[-1]; print -l ${(P)list}; }
        words=(vault token w); CURRENT=3; $_comps[vault]";
    let answer = in_shell(&with_two_profiles(), "zsh", &["-f", "-c", script]);

    assert_eq!(answer, "_clap_dynamic_completer_vault\nwork\nwork2");
}

#[test]
fn the_script_for_fish_loads_and_completes() {
    if !have(&["fish"]) {
        return;
    }
    let script = "vault completions fish | source; complete -C 'vault token w'";
    let answer = in_shell(&with_two_profiles(), "fish", &["--no-config", "-c", script]);

    assert_eq!(answer, "work\nwork2");
}

#[test]
fn there_is_a_manual_page_for_every_command_and_it_has_its_options() {
    let home = Home::bare();
    home.run(&["man", "pages/man1"]).expect_code(0).expect_said("pages/man1");

    let pages: Vec<PathBuf> = home.files("pages");
    let mut command = vault::cli::command();
    command.build();
    assert_eq!(pages.len(), count(&command));
    let token = std::fs::read_to_string(home.path("pages/man1/vault-token.1")).unwrap();
    for part in [".SH NAME", "min\\-ttl", "no\\-input", ".SH \"EXAMPLES\"", "The cached token is answered"] {
        assert!(token.contains(part), "{part}\n{token}");
    }
    let client = std::fs::read_to_string(home.path("pages/man1/vault-client-add.1")).unwrap();
    assert!(client.contains("client\\-secret\\-file"), "{client}");
    assert!(!pages.iter().any(|page| page.to_str().unwrap().contains("agent-process")));
}

#[test]
fn a_formatter_has_nothing_to_complain_about() {
    let Some(groff) = program("groff") else { return };
    let home = Home::bare();
    home.run(&["man", "pages"]).expect_code(0);

    for page in home.files("pages") {
        let output = Command::new(&groff).args(["-man", "-ww", "-Tutf8"]).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{}: {said}", page.display());
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_storage_that_failed() {
    let home = Home::bare();
    home.write("file", "");
    home.run(&["man", "file/man1"]).expect_code(10).expect_said("file/man1");
}

fn with_two_profiles() -> Home {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["add-profile", "work2", "--flow", "none"]).expect_code(0);
    home.run(&["add-profile", "private", "--flow", "none"]).expect_code(0);
    home
}

/// What a shell's completion script is answered for these words, descriptions left out.
fn completed(home: &Home, shell: &str, words: &[&str]) -> Vec<String> {
    let arguments = [&["--", "vault"], words].concat();
    let mut command = home.command(&arguments);
    command.env("VAULT_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    let run = Run::of(&arguments, command.output().unwrap()).expect_code(0);
    assert_eq!(run.stderr, "", "{shell}");
    let value = |line: &str| line.split(['\t', ':']).next().unwrap().trim_end().to_owned();
    run.stdout.lines().map(value).filter(|it| !it.is_empty()).collect()
}

/// The output of a shell in which `vault` is the program.
fn in_shell(home: &Home, shell: &str, arguments: &[&str]) -> String {
    let bin = home.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(VAULT, bin.join("vault")).unwrap();
    let mut command = Command::new(program(shell).unwrap());
    home.prepare(&mut command);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", bin.display())).env("XDG_CONFIG_HOME", home.path("config"));
    let run = Run::of(&[shell], command.args(arguments).output().unwrap());
    assert_eq!(run.stderr, "");
    run.answer()
}

/// The commands of the parser, with the program itself and without what is hidden.
fn count(command: &clap::Command) -> usize {
    let shown = |it: &&clap::Command| !it.is_hide_set() && it.get_name() != "help";
    1 + command.get_subcommands().filter(shown).map(count).sum::<usize>()
}
