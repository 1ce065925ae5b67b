//! The login by a code that is typed on another device (RFC 8628).

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use crate::home::{Home, Run};
use crate::provider::{Config, Device, Endpoint, Provider, browser};
use crate::tree;

/// What a test waits for at most; no machine needs it.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_code_that_is_typed_elsewhere_logs_a_new_profile_in() {
    let (provider, home) = (offering(), Home::new());
    provider.next_user("other@example.com");

    let login = DeviceLogin::start(&home, &add(&home, &provider, &[]));
    assert!(provider.wait_for(Endpoint::Token, 1, LONG), "it asks whether somebody has consented");
    login.consent();
    let run = login.finish().expect_code(0).expect_said("logged in as other@example.com");

    assert!(!run.stderr.contains("CANARY-DC"), "{}", run.stderr);
    let token = home.run(&["token", "work"]).answer();
    assert!(provider.is_live_access_token(&token));
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    assert_eq!(home.files("data/vault/clients").len(), 1);
    assert_eq!(tree::json(home.client("127.0.0.1"))["client_auth"], "post", "what worked is pinned");
    assert_eq!(provider.count(Endpoint::Authorize), 0);
}

/// A provider that gives out device codes.
fn offering() -> Provider {
    offering_as(Device::default())
}

fn offering_as(device: Device) -> Provider {
    Provider::start(Config { device: Some(device), ..Config::default() })
}

/// `vault add-profile work --flow device`.
fn add(home: &Home, provider: &Provider, options: &[&str]) -> Vec<String> {
    let mut words =
        vec!["add-profile".to_owned(), "work".to_owned(), "--flow".to_owned(), "device".to_owned()];
    words.extend(home.desktop(provider));
    words.extend(options.iter().map(|word| (*word).to_owned()));
    words
}

/// A login that waits for somebody to type a code.
struct DeviceLogin {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
    arguments: Vec<String>,
    /// Where the code is typed, and the code; `None` if the program has ended without showing them.
    invitation: Option<(String, String)>,
}

impl DeviceLogin {
    fn start(home: &Home, arguments: &[String]) -> Self {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self::start_command(home.command(&words), arguments)
    }

    fn start_command(mut command: Command, arguments: &[String]) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut shown) = (String::new(), Vec::new());
        // The address, then the code, each on a line of its own.
        while shown.len() < 2 {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                break;
            }
            shown.extend(line.strip_prefix("  ").map(|text| text.trim().to_owned()));
            said.push_str(&line);
        }
        let invitation = (shown.len() == 2).then(|| (shown[0].clone(), shown[1].clone()));
        Self { child, stderr, said, arguments: arguments.to_vec(), invitation }
    }

    /// Types the code where it belongs; the person there answers as planned.
    fn consent(&self) {
        let (address, code) = self.invitation.as_ref().expect("it shows what to type");
        assert_eq!(browser::get(&format!("{address}?user_code={code}"), &[]).unwrap().status, 200);
    }

    fn finish(mut self) -> Run {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stderr = self.said.into_bytes();
        let words: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Run::of(&words, output)
    }
}
