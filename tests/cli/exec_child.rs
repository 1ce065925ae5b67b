//! A program that `vault exec` stays up for: seen from outside, it is as if it had taken our place.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rexpect::session::PtySession;
use rustix::process::Signal;

use crate::exec_stage::{Running, is_dead, run_dirs, send};
use crate::expiry::{LONG, assert_nothing_lost, expired, finish, refreshes, start};
use crate::holder::wait_until;
use crate::home::{Home, Run, VAULT};
use crate::provider::{Config, Endpoint, Fault, Provider};
use crate::slots::expect_end;

/// The simplest run in which we stay up.
const STAY: [&str; 3] = ["exec", "work", "--token-file"];

fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    (provider, home)
}

fn script(text: &str) -> Vec<&str> {
    [&STAY[..], &["--", "sh", "-c", text]].concat()
}

#[test]
fn its_exit_status_is_ours() {
    let (_provider, home) = logged_in();

    for status in [0, 1, 5, 77, 255] {
        home.run(&script(&format!("exit {status}"))).expect_code(status);
    }
    let plain = home.write("plain", "not a program");
    let run = |program: &str| home.run(&[&STAY[..], &["--", program]].concat());
    run("no-such-program").expect_code(127).expect_said("no-such-program");
    run(plain.to_str().unwrap()).expect_code(126);
    assert!(run_dirs(&home).is_empty());
}

#[test]
fn a_signal_that_ends_it_ends_us() {
    let (_provider, home) = logged_in();

    for signal in ["TERM", "KILL", "INT", "QUIT", "SEGV", "USR1", "PIPE"] {
        let output = home.command(&script(&format!("kill -{signal} $$"))).output().unwrap();

        let named = Command::new("kill").args(["-l", signal]).output().unwrap();
        let number: i32 = String::from_utf8(named.stdout).unwrap().trim().parse().unwrap();
        assert_eq!(output.status.signal(), Some(number), "{signal}: {output:?}");
        assert!(!output.status.core_dumped(), "{signal}: a dump of ours would hold secrets");
    }
    assert!(run_dirs(&home).is_empty());
}

#[test]
fn what_is_sent_to_us_alone_reaches_it() {
    let (_provider, home) = logged_in();
    let told = "for s in HUP INT QUIT TERM USR1 USR2 TSTP WINCH; do trap \"echo $s\" $s; done; : >ready; \
                while ! test -e enough; do sleep 0.01; done";
    let signals =
        [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2, Signal::TSTP];
    let child = start(&home, &script(told));
    wait_until("the program to listen", || home.path("ready").exists());

    for signal in signals {
        send(child.id(), signal);
        // Signals have no order among them.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    home.write("enough", "");

    let run = finish(child, &["exec"]).expect_code(0);
    assert_eq!(run.stdout, "HUP\nINT\nQUIT\nTERM\nUSR1\nUSR2\nTSTP\n");
}

#[test]
fn it_finds_the_process_as_the_user_had_it() {
    let (_provider, home) = logged_in();
    let look = "umask; ulimit -c; ulimit -n; grep -i '^sig[bi]' /proc/self/status; pwd; \
                ps -o pgid= -p $$ | tr -d ' ' >group; ps -o pgid= -p $PPID | tr -d ' ' >>group";

    for before in ["umask 027", "umask 000", "ulimit -Sc $(ulimit -Hc)", "trap '' INT HUP"] {
        let direct = shell(&home, &format!("{before}; exec sh -c \"{look}\"")).expect_code(0);
        // What is open is compared within one run: other tests of this process leave their own files open to it.
        let open = "ls /proc/self/fd";
        let through = format!(
            "{before}; {open} >open; exec \"$0\" exec work --token-file -- sh -c \"{open} >open-within; {look}\""
        );
        let through = shell(&home, &through).expect_code(0);
        assert_eq!(through.stdout, direct.stdout, "{before}");
        let read = |name: &str| std::fs::read_to_string(home.path(name)).unwrap();
        assert_eq!(read("open"), read("open-within"), "{before}");
        let groups = std::fs::read_to_string(home.path("group")).unwrap();
        let mut groups = groups.lines();
        assert_eq!(groups.next(), groups.next(), "the same process group as ours");
    }
}

#[test]
fn a_script_that_names_no_shell_is_run_by_one() {
    let (_provider, home) = logged_in();
    let script = home.write("script", "exit 42\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();

    home.run(&[&STAY[..], &["--", script.to_str().unwrap()]].concat()).expect_code(42);
}

/// Runs a script in which `$0` is the program.
fn shell(home: &Home, script: &str) -> Run {
    let mut command = Command::new("sh");
    home.prepare(&mut command);
    Run::of(&[script], command.args(["-c", script, VAULT]).output().unwrap())
}

#[test]
fn a_signal_during_a_refresh_reaches_it_at_once_and_us_when_the_new_token_is_safe() {
    let (provider, home) = expired();
    provider.configure(|config| config.expires_in = 90);
    let _ = home.run(&["token", "work"]).answer();
    let running = Running::start(&home, &["work", "--adc", "broker"]);
    provider.script(Endpoint::Token, vec![Fault::CommitThenHold]);
    let before = refreshes(&provider);
    std::thread::scope(|scope| {
        // The token in the cache does not live as long as a library wants.
        scope.spawn(|| running.exchange("openid"));
        assert!(provider.wait_until_holding(1, LONG));
        send(running.vault.id(), Signal::TERM);
        wait_until("the program to end", || is_dead(running.number));
        assert!(!is_dead(running.vault.id()), "the new token would be lost");
        provider.release();
    });

    let run = running.finish();

    assert_eq!(run.code, 128 + 15, "{}", run.stderr);
    assert_eq!(refreshes(&provider), before + 1);
    assert_nothing_lost(&provider, &home);
    assert!(run_dirs(&home).is_empty());
}

/// A shell with job control on a terminal, in the user's home.
fn job_shell(home: &Home) -> PtySession {
    let mut command = Command::new("bash");
    home.prepare(&mut command);
    command
        .args(["--norc", "--noprofile", "-i"])
        .env("PS1", "ready> ")
        .env("VAULT", VAULT)
        .env("TERM", "dumb");
    command.stdin(Stdio::inherit());
    let mut shell = rexpect::session::spawn_command(command, Some(60_000)).unwrap();
    shell.exp_string("ready> ").unwrap();
    // What is typed is not to be taken for what is answered.
    shell.send_line("bind 'set enable-bracketed-paste off' 2>/dev/null; stty -echo").unwrap();
    shell.exp_string("ready> ").unwrap();
    shell
}

#[test]
fn ctrl_c_and_ctrl_backslash_end_both_and_a_program_that_catches_them_goes_on() {
    let (_provider, home) = logged_in();
    let mut shell = job_shell(&home);
    for (key, status) in [('c', 130), ('\\', 131)] {
        shell.send_line("$VAULT exec work --token-file -- sh -c 'echo runs; exec sleep 60'").unwrap();
        shell.exp_string("runs").unwrap();
        shell.send_control(key).unwrap();
        shell.exp_string("ready> ").unwrap();
        shell.send_line("echo status $?").unwrap();
        shell.exp_string(&format!("status {status}")).unwrap();
        shell.exp_string("ready> ").unwrap();
    }
    assert!(run_dirs(&home).is_empty());

    shell
        .send_line("$VAULT exec work --token-file -- sh -c 'trap \"echo caught\" INT; echo runs; while ! test -e e; do sleep 0.1; done; exit 7'")
        .unwrap();
    shell.exp_string("runs").unwrap();
    shell.send_control('c').unwrap();
    shell.exp_string("caught").unwrap();
    home.write("e", "");
    shell.exp_string("ready> ").unwrap();
    shell.send_line("exit $?").unwrap();
    expect_end(shell, 7);
}

#[test]
fn ctrl_z_stops_both_and_fg_lets_both_go_on() {
    let (_provider, home) = logged_in();
    let mut shell = job_shell(&home);
    shell
        .send_line("$VAULT exec work --token-file -- sh -c 'echo $PPID >us; echo $$ >it; echo runs; while ! test -e e; do sleep 0.1; done; exit 7'")
        .unwrap();
    shell.exp_string("runs").unwrap();
    let state = |name: &str| {
        let process = std::fs::read_to_string(home.path(name)).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };

    for _ in 0..2 {
        shell.send_control('z').unwrap();
        shell.exp_string("Stopped").unwrap();
        shell.exp_string("ready> ").unwrap();
        assert_eq!(["us", "it"].map(state), ['T', 'T']);
        shell.send_line("fg").unwrap();
        wait_until("both to go on", || ["us", "it"].map(state).iter().all(|state| *state != 'T'));
    }

    home.write("e", "");
    shell.exp_string("ready> ").unwrap();
    shell.send_line("exit $?").unwrap();
    expect_end(shell, 7);
}
