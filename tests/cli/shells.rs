//! What `vault env` prints, read back by the real shells and programs.
//!
//! A program that is not installed is skipped with a line that says so; with `VAULT_TESTS_STRICT=1`
//! that is a failure, except for those that no package registry has. Where to look:
//! `VAULT_TESTS_PYTHON` is a Python with python-dotenv, `VAULT_TESTS_NODE_MODULES` a folder with the
//! packages `dotenv` and `nushell`.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use secrecy::ExposeSecret;
use tempfile::TempDir;
use vault::cli::format::{Format, removal, render};
use vault::domain::Variable;

use crate::outside::leave_out;

#[test]
fn dash_reads_back_every_value() {
    posix_shell_reads_back_every_value("dash", &[]);
}

#[test]
fn bash_reads_back_every_value() {
    posix_shell_reads_back_every_value("bash", &["--norc"]);
}

#[test]
fn interactive_bash_reads_back_every_value() {
    // With history expansion on.
    posix_shell_reads_back_every_value("bash", &["--norc", "-i", "-o", "histexpand"]);
}

#[test]
fn zsh_reads_back_every_value() {
    posix_shell_reads_back_every_value("zsh", &["-f"]);
}

#[test]
fn zsh_with_doubled_quotes_reads_back_every_value() {
    posix_shell_reads_back_every_value("zsh", &["-f", "-o", "rcquotes", "-o", "interactivecomments"]);
}

#[test]
fn other_posix_shells_read_back_every_value() {
    for (shell, options) in [("mksh", &[][..]), ("ksh", &[]), ("busybox", &["ash"])] {
        if let Some(program) = optional(shell) {
            posix_shell(&program, options);
        }
    }
}

#[test]
fn fish_reads_back_every_value() {
    let Some(fish) = required("fish") else { return };
    for locale in ["C", "C.UTF-8"] {
        reads_back(Format::Fish, |file| {
            let mut command = Command::new(&fish);
            command.env("LC_ALL", locale).args([
                "--no-config",
                "-c",
                "cat $argv[1] | source; command env -0",
            ]);
            environment_of(command.arg(file))
        });
    }
}

#[test]
fn shells_forget_a_variable_that_is_taken_away() {
    let shells = [("dash", Format::Sh), ("bash", Format::Sh), ("zsh", Format::Sh), ("fish", Format::Fish)];
    for (shell, format) in shells {
        let Some(program) = required(shell) else { continue };
        // The second one was never set.
        let script = format!("{}command env", removal(format, &["TAKEN", "NEVER_SET"]));
        let output = Command::new(program).args(["-c", &script]).env("TAKEN", "x").output().unwrap();
        let left = String::from_utf8_lossy(&output.stdout);
        assert!(left.contains("PATH=") && !left.contains("TAKEN="), "{shell}: {output:?}");
    }
}

#[test]
fn powershell_reads_back_every_value() {
    let Some(pwsh) = optional("pwsh") else { return };
    reads_back(Format::Powershell, |file| {
        let script = format!("/bin/cat '{}' | Invoke-Expression; /usr/bin/env -0", file.display());
        environment_of(Command::new(&pwsh).args(["-NoProfile", "-NonInteractive", "-Command", &script]))
    });
}

#[test]
fn nushell_reads_back_every_value() {
    let Some(nu) = required("nu") else { return };
    reads_back(Format::Nushell, |file| {
        let script = format!("^cat '{}' | from json | load-env; ^env -0", file.display());
        environment_of(Command::new(&nu).args(["--no-config-file", "--commands", &script]))
    });
}

#[test]
fn python_dotenv_reads_back_every_value() {
    let Some(python) = python_with("dotenv") else { return };
    let script = "import dotenv, sys\n\
        for name, value in dotenv.dotenv_values(sys.argv[1], encoding='utf-8').items():\n \
        sys.stdout.buffer.write(f'{name}={value}\\0'.encode())";
    reads_back(Format::Dotenv, |file| environment_of(Command::new(&python).args(["-c", script]).arg(file)));
}

#[test]
fn dotenv_of_npm_reads_back_every_value() {
    let Some(node) = node_with("dotenv") else { return };
    for options in ["{}", "{fast: true}"] {
        let script = format!(
            "const read = require('dotenv').parse(require('fs').readFileSync(process.argv[1]), {options});\n\
             for (const name in read) process.stdout.write(`${{name}}=${{read[name]}}\\0`)"
        );
        reads_back(Format::Dotenv, |file| {
            let mut command = Command::new(&node);
            command.env("NODE_PATH", node_modules().unwrap_or_default());
            environment_of(command.args(["-e", &script]).arg(file))
        });
    }
}

#[test]
fn docker_reads_back_every_value() {
    let Some(docker) = required("docker") else { return };
    reads_back(Format::Docker, |file| created_with(&docker, file));
}

#[test]
fn python_reads_back_every_value_from_json() {
    let Some(python) = required("python3") else { return };
    let script = "import json, sys\n\
        for name, value in json.load(open(sys.argv[1], encoding='utf-8')).items():\n \
        sys.stdout.buffer.write(f'{name}={value}\\0'.encode())";
    reads_back(Format::Json, |file| environment_of(Command::new(&python).args(["-c", script]).arg(file)));
}

fn posix_shell_reads_back_every_value(shell: &str, options: &[&str]) {
    if let Some(program) = required(shell) {
        posix_shell(&program, options);
    }
}

fn posix_shell(program: &Path, options: &[&str]) {
    for locale in ["C", "C.UTF-8"] {
        reads_back(Format::Sh, |file| {
            let mut command = Command::new(program);
            command.env("LC_ALL", locale).args(options);
            environment_of(command.args(["-c", "eval \"$(cat \"$1\")\"; env -0", "sh"]).arg(file))
        });
    }
}

/// Renders every value that `format` can carry, has `read` read the file, and compares.
fn reads_back(format: Format, read: impl FnOnce(&Path) -> Environment) {
    let (variables, values): (Vec<_>, BTreeMap<_, _>) = carried(format);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("variables");
    let rendered = render(format, &variables).unwrap();
    fs::write(&file, rendered.stdout.expose_secret()).unwrap();

    let read = read(&file);

    for (name, value) in &values {
        let got = read.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert_eq!(got.as_deref(), Some(value.as_str()), "{format}: {name}");
    }
}

/// Variables as they were read back, in bytes.
type Environment = BTreeMap<String, Vec<u8>>;

fn carried(format: Format) -> (Vec<Variable>, BTreeMap<String, String>) {
    let mut kept = Vec::new();
    let mut values = BTreeMap::new();
    for (number, value) in nasty_values().into_iter().enumerate() {
        let name = format!("V{number:04}");
        let variable =
            Variable { name: name.parse().unwrap(), value: value.as_str().into(), is_secret: true };
        if render(format, std::slice::from_ref(&variable)).is_ok() {
            kept.push(variable);
            values.insert(name, value);
        } else {
            assert!(may_refuse(format, &value), "{format} refuses {value:.80?}");
        }
    }
    (kept, values)
}

/// What each format has no way to write down, told apart from the product's own rules.
fn may_refuse(format: Format, value: &str) -> bool {
    match format {
        Format::Powershell => value.is_empty(),
        Format::Docker => {
            let is_in_quotes =
                value.len() > 1 && value.starts_with(['\'', '"']) && value.ends_with(['\'', '"']);
            value.contains('\n') || value.ends_with('\r') || value.len() > 65_529 || is_in_quotes
        }
        Format::Dotenv => {
            let kinds = [&['\''][..], &['"'], &['\r'], &['$', '`']];
            let many_kinds = kinds.iter().filter(|kind| value.contains(**kind)).count() > 1;
            value.contains("${") || value.contains('\\') || many_kinds
        }
        _ => false,
    }
}

fn nasty_values() -> Vec<String> {
    let mut values: Vec<String> = WRITTEN_BY_HAND.iter().map(|text| (*text).to_owned()).collect();
    let ascii = || (1..=127_u8).map(char::from);
    values.push(ascii().collect());
    values.push(ascii().rev().collect());
    values.extend(ascii().map(String::from));
    values.extend(ascii().map(|c| format!("a{c}b")));
    values.extend(ascii().map(|c| format!("{c}{c}")));
    values.push((0x80..0x800).filter_map(char::from_u32).collect());
    values.push((0x800..=0x10_ffff).step_by(97).filter_map(char::from_u32).collect());
    values.push("it's $x `y` \"z\" ".repeat(3_000));
    // Around 64 KiB with `V0000=`, where docker's reader gives up.
    values.extend([65_529, 65_530, 70_000].map(|length| "x".repeat(length)));
    values.extend(mixtures());
    values
}

const WRITTEN_BY_HAND: &[&str] = &[
    "",
    "plain",
    "ya29.a0AfH6-_x",
    "1//0g-x",
    " leading",
    "trailing ",
    "\ttabs\t",
    "two\nlines",
    "ends\n",
    "ends\n\n",
    "\nbegins",
    "a\r\nb",
    "ends\r",
    "\r\n",
    "it's",
    "''",
    "'quoted'",
    "\"quoted\"",
    "`quoted`",
    "\\'",
    "'\\''",
    "\\\"",
    "\\\\",
    "ends\\",
    "\\n",
    "\\r\\n",
    "\\x41",
    "\\u0041",
    "\\u{41}",
    "$HOME",
    "${HOME}",
    "${HOME:-x}",
    "$(id)",
    "`id`",
    "$((1+1))",
    "!!",
    "!$",
    "a!b",
    "%PATH%",
    "100%",
    "^",
    "~",
    "~/x",
    "*",
    "?[a]",
    "{a,b}",
    "a;b",
    "a&b",
    "a|b",
    "<x>",
    "#comment",
    "\\\\#",
    "a'\"#",
    "a #b",
    " # c",
    "=",
    "a=b",
    "-n",
    "--",
    "export X=1",
    "EOF",
    "VAULT_END",
    "VAULT_END\nVAULT_END_1",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "'\n$(touch pwned)\n'",
    "::add-mask::x",
    "null",
    "true",
    "123",
    "1e999",
    "{\"a\":1}",
    "[1]",
    "‘’‚‛“”„‟",
    "it’s",
    "é",
    "e\u{301}",
    "日本語",
    "🔑",
    "👩\u{200d}💻",
    "עברית",
    "\u{200b}",
    "\u{202e}x",
    "\u{feff}bom",
    "\u{85}",
    "\u{2028}",
    "\u{2029}'\u{2028}\"",
    "\u{a0}nbsp\u{a0}",
    "\u{3000}",
    "\u{e000}",
    "\u{f600}",
    "\u{f6ff}",
    "\u{f8ff}",
    "\u{fdd0}",
    "\u{fdef}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{10ffff}",
];

/// Three hundred mixtures of what quoting is about; the same ones every time.
fn mixtures() -> impl Iterator<Item = String> {
    let alphabet: Vec<char> = "''\"\"\\\\$`!#{}()=a \n\r\t’é🔑".chars().collect();
    // Knuth's constants of MMIX: any sequence would do.
    let mut state = 42_u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    (0..300).map(move |_| (0..=next(12)).map(|_| alphabet[next(alphabet.len())]).collect())
}

/// What a command prints as `name=value` and NUL.
fn environment_of(command: &mut Command) -> Environment {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    let lines = output.stdout.split(|byte| *byte == 0);
    lines
        .filter_map(|line| {
            let end = line.iter().position(|byte| *byte == b'=')?;
            Some((String::from_utf8_lossy(&line[..end]).into_owned(), line[end + 1..].to_vec()))
        })
        .collect()
}

/// The environment that docker asks its daemon to give a container; the daemon is ours, and makes none.
fn created_with(docker: &Path, env_file: &Path) -> Environment {
    let daemon = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("tcp://{}", daemon.local_addr().unwrap());
    let body = thread::spawn(move || body_of_create_request(&daemon));
    let mut run = Command::new(docker);
    run.args(["--host", &host, "create", "--pull", "never", "--env-file"]).arg(env_file).arg("image");
    let output = run.env_remove("DOCKER_CONTEXT").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no container here"), "{said}");

    let body: serde_json::Value = serde_json::from_slice(&body.join().unwrap()).unwrap();
    let lines = body["Env"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

/// Answers one request per connection until docker has asked for a container.
fn body_of_create_request(daemon: &TcpListener) -> Vec<u8> {
    for stream in daemon.incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        let head: Vec<_> =
            stream.by_ref().lines().map_while(Result::ok).take_while(|it| !it.is_empty()).collect();
        let length =
            head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).unwrap();
        let is_create = head.first().is_some_and(|line| line.contains("/containers/create"));
        let (status, answer) =
            if is_create { ("500 No", "{\"message\":\"no container here\"}") } else { ("200 OK", "OK") };
        let length = answer.len();
        write!(
            stream.get_mut(),
            "HTTP/1.1 {status}\r\nApi-Version: 1.47\r\nOstype: linux\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{answer}"
        )
        .unwrap();
        if is_create {
            return body;
        }
    }
    unreachable!("a listener does not end")
}

/// The program, or a line that says what is skipped: a failure in a strict run.
fn required(name: &str) -> Option<PathBuf> {
    let found = find(name);
    let _ = present(found.is_some(), name);
    found
}

/// The program, or a line that says what is skipped: also in a strict run.
fn optional(name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

fn find(name: &str) -> Option<PathBuf> {
    let from_npm = node_modules().map(|folder| PathBuf::from(folder).join(".bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(from_npm);
    folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
}

fn python_with(module: &str) -> Option<PathBuf> {
    let python = env::var_os("VAULT_TESTS_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let runs = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    present(runs.is_ok_and(|it| it.status.success()), "python-dotenv").then_some(python)
}

fn node_with(module: &str) -> Option<PathBuf> {
    let node = required("node")?;
    let has_it = node_modules().is_some_and(|folder| Path::new(&folder).join(module).is_dir());
    present(has_it, "dotenv of npm").then_some(node)
}

fn present(is_there: bool, what: &str) -> bool {
    if !is_there {
        leave_out(&format!("{what} is not installed"));
    }
    is_there
}

fn node_modules() -> Option<OsString> {
    env::var_os("VAULT_TESTS_NODE_MODULES")
}
