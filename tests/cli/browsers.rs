//! Which browser opens, and what is told where none can.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::holder::wait_until;
use crate::home::{Home, Run};
use crate::provider::{Config, Device, Provider, browser};
use crate::tree;

/// A login that finds out by itself how to go on.
const LOGIN: [&str; 4] = ["login", "work", "--timeout", "60s"];

#[test]
fn each_profile_opens_its_pages_with_the_command_that_it_remembers() {
    let (provider, mut home) = logged_in();
    let (one, other) = (Browser::new(&home, "one"), Browser::new(&home, "other"));

    one.opens(&home, &["login", "work", "--browser", &format!("{} -P 'my work'", one.command)]);
    assert_eq!(one.arguments()[..2], ["-P", "my work"]);
    let url = one.arguments()[2].clone();
    assert!(url.contains("&state=") && url.starts_with(&provider.url("/authorize?")), "one argument: {url}");

    // The variable is for profiles without a command of their own.
    home.set("BROWSER", &other.command);
    home.set("DISPLAY", ":99");
    one.opens(&home, &LOGIN);
    assert_eq!(one.arguments()[..2], ["-P", "my work"]);
    let stored = tree::json(home.profile("work"));
    assert_eq!(stored["browser"], format!("{} -P 'my work'", one.command));
    let shown = home.run(&["show", "work"]).answer();
    assert!(shown.contains("-P 'my work'"), "{shown}");
    let shown: serde_json::Value =
        serde_json::from_str(&home.run(&["show", "work", "--json"]).answer()).unwrap();
    assert_eq!(shown["profiles"][0]["browser"], stored["browser"]);

    home.run(&["edit", "work", "--usual-browser"]).expect_code(0);
    other.opens(&home, &LOGIN);
    assert!(tree::json(home.profile("work")).get("browser").is_none());
    home.run(&["edit", "work", "--browser", &format!("{} --app=%s --new", one.command)]).expect_code(0);
    one.opens(&home, &LOGIN);
    let seen = one.arguments();
    assert!(seen[0].starts_with("--app=http://") && seen[1] == "--new" && seen.len() == 2, "{seen:?}");
}

#[test]
fn a_new_profile_remembers_its_browser_from_the_first_login_or_without_one() {
    let provider = Provider::start(Config::default());
    let home = Home::new();
    let one = Browser::new(&home, "one");
    let options = home.desktop(&provider);
    let mut arguments = vec!["add-profile", "work", "--browser", &one.command];
    arguments.extend(options.iter().map(String::as_str));

    one.opens(&home, &arguments);
    home.run(&["add-profile", "later", "--client", "127.0.0.1", "--flow", "none", "--browser", &one.command])
        .expect_code(0);

    assert_eq!(tree::json(home.profile("work"))["browser"], one.command.as_str());
    assert_eq!(tree::json(home.profile("later"))["browser"], one.command.as_str());
}

#[test]
fn a_login_that_fails_remembers_no_browser() {
    let (provider, home) = logged_in();
    let one = Browser::new(&home, "one");
    provider.next_user("other@example.com");
    let before = tree::stored(&home);

    let run = one.run(&home, &["login", "work", "--browser", &one.command]);

    run.expect_code(7);
    assert_eq!(tree::stored(&home), before);
}

#[test]
fn no_shell_sees_the_command_and_a_browser_that_is_not_there_has_no_substitute() {
    let (_provider, mut home) = logged_in();
    let other = Browser::new(&home, "other");
    home.set("BROWSER", &other.command);
    let trap = home.path("trap");
    let command = format!("no-such-browser; touch {}", trap.display());
    home.run(&["edit", "work", "--browser", &command]).expect_code(0);

    let run = home.consent(&LOGIN).expect_code(0);

    run.expect_said("could not be started").expect_said("Open this address in a browser");
    assert!(!trap.exists() && !other.has_run(), "another browser is logged in with another account");
    for odd in ["", "firefox 'x", "a\nb"] {
        home.run(&["edit", "work", "--browser", odd]).expect_code(2);
    }
}

#[test]
fn over_ssh_the_line_is_told_that_leads_a_browser_elsewhere_back_to_here() {
    let (_provider, mut home) = logged_in();
    home.set("SSH_CONNECTION", "198.51.100.7 50122 192.0.2.9 2222");
    home.set("SSH_TTY", "/dev/pts/7");
    home.set("USER", "me");
    home.set("DISPLAY", "localhost:10.0");

    let login = home.start_login(&LOGIN);
    let port = port_of(login.url.as_ref().unwrap());
    browser::consent(login.url.as_ref().unwrap()).unwrap();
    let run = login.finish(&LOGIN).expect_code(0);

    run.expect_said("No browser is opened, because this is an SSH session.")
        .expect_said(&format!("\n  ssh -N -L {port}:127.0.0.1:{port} -p 2222 me@192.0.2.9\n"))
        .expect_said("otherwise than by 192.0.2.9")
        .expect_said("paste it here");

    home.unset("SSH_CONNECTION");
    home.unset("USER");
    let chosen = home.consent(&["login", "work", "--no-browser"]).expect_code(0);
    chosen
        .expect_said(":127.0.0.1:")
        .expect_said(" USER@HOST\n")
        .expect_unsaid("No browser is opened, because");
}

#[test]
fn where_no_browser_can_open_it_is_said_why_and_what_else_there_is() {
    let (provider, mut home) = logged_in();
    home.set("container", "podman");

    let run = home.consent(&LOGIN).expect_code(0);
    run.expect_said("No browser is opened, because this is a container without a screen.")
        .expect_said("paste it here")
        .expect_unsaid("--flow device")
        .expect_unsaid("ssh -N");
    home.set("WSL_DISTRO_NAME", "Debian");
    home.consent(&LOGIN).expect_code(0).expect_said("because this is WSL");

    let offering = Provider::start(Config { device: Some(Device::default()), ..Config::default() });
    let home = Home::logged_in(&offering);
    home.consent(&LOGIN).expect_code(0).expect_said("with `--flow device` you type a code on any device");
    drop(provider);
}

fn logged_in() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    (provider, home)
}

/// The port that the browser is to come back to.
fn port_of(url: &str) -> u16 {
    let url = url::Url::parse(url).unwrap();
    let redirect = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    url::Url::parse(&redirect).unwrap().port().unwrap()
}

/// A browser that writes down what it is called with, and in which a person then consents.
struct Browser {
    command: String,
    seen: std::path::PathBuf,
}

impl Browser {
    fn new(home: &Home, name: &str) -> Self {
        let (seen, script) = (home.path(format!("{name}.seen")), home.path(format!("{name}.sh")));
        let text =
            format!("for word; do printf '%s\\n' \"$word\"; done >{0}.part; mv {0}.part {0}", seen.display());
        std::fs::write(&script, text).unwrap();
        Self { command: format!("sh {}", script.display()), seen }
    }

    /// Runs a command that must log in by this browser.
    #[track_caller]
    fn opens(&self, home: &Home, arguments: &[&str]) {
        let run = self.run(home, arguments).expect_code(0);
        run.expect_said("Your browser opens");
    }

    /// Runs a command that must open this browser, and consents in it.
    #[track_caller]
    fn run(&self, home: &Home, arguments: &[&str]) -> Run {
        let _ = std::fs::remove_file(&self.seen);
        let mut child = self.start(home.command(arguments));
        wait_until("the browser", || self.has_run());
        let opened = self.arguments().into_iter().find(|word| word.contains("response_type=code")).unwrap();
        let url = opened.trim_start_matches("--app=");
        let _ = browser::consent(url);
        let mut said = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_to_string(&mut said).unwrap();
        let mut output = child.wait_with_output().unwrap();
        output.stderr = said.into_bytes();
        Run::of(arguments, output)
    }

    fn start(&self, mut command: Command) -> std::process::Child {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn has_run(&self) -> bool {
        self.seen.exists()
    }

    fn arguments(&self) -> Vec<String> {
        let file = std::fs::File::open(&self.seen).unwrap();
        BufReader::new(file).lines().map(Result::unwrap).collect()
    }
}
