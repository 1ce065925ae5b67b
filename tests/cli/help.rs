//! `--help` of every command, as a person reads it in a terminal of 80 columns.

use clap::Command;

use crate::home::Home;
use crate::transcript::compare;

#[test]
fn the_help_of_every_command_is_as_reviewed() {
    let mut home = Home::bare();
    home.set("COLUMNS", "80");

    for path in paths() {
        let name = format!("help-{}", if path.is_empty() { "vault".to_owned() } else { path.join("-") });
        compare(&name, &help(&home, &path));
    }
}

#[test]
fn no_line_of_help_is_broken_by_the_terminal() {
    let mut home = Home::bare();
    home.set("COLUMNS", "80");

    for path in paths() {
        let help = help(&home, &path);
        // What clap cannot break by itself is the usage.
        let long = help.lines().find(|line| line.chars().count() > 80 && !line.starts_with("Usage:"));
        assert_eq!(long, None, "vault {}", path.join(" "));
    }
}

#[test]
fn there_is_one_help_however_it_is_asked_for() {
    let home = Home::bare();

    for path in paths().iter().filter(|path| !path.is_empty()) {
        let asked = |before: &[&'static str], after: &[&'static str]| {
            let words: Vec<&str> = before
                .iter()
                .copied()
                .chain(path.iter().map(String::as_str))
                .chain(after.iter().copied())
                .collect();
            home.run(&words).answer()
        };
        let help = asked(&[], &["--help"]);
        assert_eq!(asked(&[], &["-h"]), help);
        assert_eq!(asked(&["help"], &[]), help);
    }
}

#[test]
fn a_call_without_a_command_shows_the_help_and_is_no_success() {
    let run = Home::bare().run(&[]).expect_code(2).expect_said("Start here:");
    assert!(run.stderr.starts_with("Keeps OAuth accounts"));
}

#[test]
fn the_version_is_the_answer() {
    assert_eq!(Home::bare().run(&["--version"]).answer(), format!("vault {}", env!("CARGO_PKG_VERSION")));
}

fn help(home: &Home, path: &[String]) -> String {
    let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    home.run(&words).answer() + "\n"
}

/// The words of every command, the hidden ones left out.
fn paths() -> Vec<Vec<String>> {
    let mut command = vault::cli::command();
    command.build();
    let mut paths = Vec::new();
    collect(&command, &[], &mut paths);
    paths
}

fn collect(command: &Command, path: &[String], paths: &mut Vec<Vec<String>>) {
    paths.push(path.to_vec());
    for subcommand in command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help") {
        let path: Vec<String> = path.iter().cloned().chain([subcommand.get_name().to_owned()]).collect();
        collect(subcommand, &path, paths);
    }
}
